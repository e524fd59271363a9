//! The table of settings, and the command line that is made of it.

use std::ffi::OsString;

use clap::{Arg, Command};

/// A setting as the table has it.
pub(super) struct Setting {
    /// The key in the file; the flag has hyphens, the variable is `KIJIMUNA_` and upper case.
    pub(super) key: &'static str,
    value: &'static str,
    pub(super) default: Option<&'static str>,
    help: &'static str,
}

const fn setting(
    key: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { key, value, default, help }
}

/// Every setting, in the order of the help.
pub(super) const SETTINGS: &[Setting] = &[
    setting("listen", "ADDRESS:PORT", Some("127.0.0.1:3010"), "Where to serve"),
    setting("data_dir", "FOLDER", Some("./data"), "Where the embedded store keeps everything"),
    setting(
        "hash_secret",
        "TEXT",
        None,
        "Keys the hashes of services' secrets, at least 16 bytes; made and kept in the data folder when absent. It belongs to the store for good: a start with another one is refused",
    ),
    setting(
        "admin_key",
        "TEXT",
        None,
        "Needed to make services when set, as Authorization: Bearer; at least 16 bytes",
    ),
    setting("scylla_uri", "URI", None, "Not served by this version: setting it stops the start"),
    setting("redis_uri", "URI", None, "Not served by this version: setting it stops the start"),
    setting("node_id", "TEXT", Some("node-1"), "This process' name in its logs"),
    setting("turn_uris", "URIS", None, "Not served by this version: setting it stops the start"),
    setting("turn_secret", "TEXT", None, "Not served by this version: setting it stops the start"),
    setting(
        "log",
        "FILTER",
        Some("info"),
        "What to log: error, warn, info, debug, trace, or target=level pairs",
    ),
    setting("log_format", "text|json", Some("text"), "How a log line looks"),
    setting(
        "send_rate",
        "NUMBER",
        Some("20"),
        "Messages a second that one session may send, with bursts of three times as many; 0 for no bound",
    ),
    setting(
        "history_rate",
        "NUMBER",
        Some("20"),
        "Pages of history and the like (rosters, joins, inboxes) a second that one session may ask for, with bursts of three times as many; 0 for no bound",
    ),
    setting(
        "signal_rate",
        "NUMBER",
        Some("20"),
        "Markers, typing and ephemeral words a second that one session may send, with bursts of three times as many; 0 for no bound",
    ),
    setting("rest_rate", "NUMBER", Some("1000"), "Requests a second of one service; 0 for no bound"),
    setting(
        "playground",
        "on|off",
        None,
        "Whether the page at / makes demo tenants to try the chat with, for anyone, without the admin key; when absent on where the address is a loopback one and there is no admin key",
    ),
    setting(
        "max_connections",
        "NUMBER",
        None,
        "Connections at once; as many as there are file descriptors when absent",
    ),
    setting("user_connections", "NUMBER", Some("500"), "Connections that one user may have at once"),
    setting("connection_groups", "NUMBER", Some("1000"), "Groups that one connection may be in"),
    setting(
        "resume_events",
        "NUMBER",
        Some("1000"),
        "Missed events that a client which comes back is given at most; who has missed more pages history",
    ),
    setting(
        "resume_bytes",
        "NUMBER",
        Some("1048576"),
        "Bytes of texts and custom data in missed events that it is given at most, likewise",
    ),
    setting("ticket_ttl_ms", "MS", Some("86400000"), "How long a ticket opens a connection"),
    setting(
        "leave_grace_ms",
        "MS",
        Some("5000"),
        "How long who lost a connection still counts as online; 0 for not at all",
    ),
    setting("retention_interval_ms", "MS", Some("60000"), "How often what groups keep no longer is removed"),
    setting("group_idle_ms", "MS", Some("60000"), "How long a group without sessions stays in memory"),
    setting("ping_interval_ms", "MS", Some("25000"), "Silence of a client after which it is pinged"),
    setting("pong_timeout_ms", "MS", Some("10000"), "Silence after a ping that closes with 4002"),
    setting("drain_ms", "MS", Some("10000"), "How long a stop may wait for sessions and groups"),
    setting(
        "drain_spread_ms",
        "MS",
        Some("5000"),
        "Over how long clients are told to spread that come back after a stop",
    ),
];

/// The only variable and flag that isn't a key of the file itself.
pub(super) const CONFIG: &str = "config";

/// Settings that are known to the protocol and that this version has no part for.
pub(super) const UNSERVED: &[&str] = &["scylla_uri", "redis_uri", "turn_uris", "turn_secret"];

/// The command line.
pub(super) fn command() -> Command {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .env("KIJIMUNA_CONFIG")
        .value_name("FILE")
        .help("A TOML file with the settings below as keys, like data_dir = \"/var/lib/kijimuna\"");
    let settings = SETTINGS.iter().map(|setting| {
        let default = setting.default.map_or(String::new(), |default| format!(" [default: {default}]"));
        Arg::new(setting.key)
            .long(setting.key.replace('_', "-"))
            .env(variable(setting.key))
            .hide_env_values(true)
            .allow_hyphen_values(true)
            .value_parser(clap::value_parser!(OsString))
            .value_name(setting.value)
            .help(format!("{}{default}", setting.help))
    });
    Command::new("kijimuna")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Kijimuna, a chat engine: REST for tenants' backends, WebSockets for their users")
        .after_help("A flag wins over its environment variable, that over the file, that over the default.")
        .arg(config)
        .args(settings)
}

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("KIJIMUNA_{}", key.to_uppercase())
}

/// The flag of a setting.
pub(super) fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}
