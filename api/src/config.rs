//! Settings: flags before environment variables before a TOML file before defaults.
//!
//! One table, [`SETTINGS`], makes the flags, the variables, the keys of the file and the help.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Arg, Command};
use engine::config::Limits;
use tracing_subscriber::EnvFilter;

use crate::logs::LogFormat;

/// A setting as the table has it.
struct Setting {
    /// The key in the file; the flag has hyphens, the variable is `KIJIMUNA_` and upper case.
    key: &'static str,
    value: &'static str,
    default: Option<&'static str>,
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

const SETTINGS: &[Setting] = &[
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
        "Pages of history a second that one session may ask for, with bursts of three times as many; 0 for no bound",
    ),
    setting("rest_rate", "NUMBER", Some("1000"), "Requests a second of one service; 0 for no bound"),
    setting(
        "max_connections",
        "NUMBER",
        None,
        "Connections at once; as many as there are file descriptors when absent",
    ),
    setting("group_idle_ms", "MS", Some("60000"), "How long a group without sessions stays in memory"),
    setting("ping_interval_ms", "MS", Some("25000"), "Silence of a client after which it is pinged"),
    setting("pong_timeout_ms", "MS", Some("10000"), "Silence after a ping that closes with 4002"),
    setting("drain_ms", "MS", Some("10000"), "How long a stop may wait for sessions and groups"),
];

/// The only variable and flag that isn't a key of the file itself.
const CONFIG: &str = "config";

/// Settings that are known to the protocol and that this version has no part for.
const UNSERVED: &[&str] = &["scylla_uri", "redis_uri", "turn_uris", "turn_secret"];

/// Everything that was set, checked.
#[derive(Debug)]
pub struct Settings {
    /// Where to serve.
    pub listen: SocketAddr,
    /// Where the store is.
    pub data_dir: PathBuf,
    /// The key of the secrets' hashes, if the operator gave one.
    pub hash_secret: Option<Hidden>,
    /// What is needed to make services, if anything.
    pub admin_key: Option<Hidden>,
    /// This process' name.
    pub node_id: String,
    /// What to log.
    pub log: EnvFilter,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// Requests a second of one service.
    pub rest_rate_per_s: u32,
    /// Connections at once, if bounded.
    pub max_connections: Option<usize>,
    /// The engine's bounds.
    pub limits: Limits,
}

/// A text that isn't logged.
#[derive(Clone)]
pub struct Hidden(String);

impl Hidden {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Why the settings can't be used. The text names the setting and says what it must be.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The command line can't be read, or asks for help.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The file can't be read.
    #[error("the settings file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value breaks its rule.
    #[error("{} (flag {}, key {key}) is {value:?}: it must be {rule}", variable(.key), flag(.key))]
    Value {
        /// The setting.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A secret value breaks its rule.
    #[error("{} (flag {}, key {key}) must be at least 16 bytes", variable(.key), flag(.key))]
    Secret {
        /// The setting.
        key: &'static str,
    },
    /// A value isn't text.
    #[error("{} (flag {}, key {key}) must be UTF-8", variable(.key), flag(.key))]
    NotText {
        /// The setting.
        key: &'static str,
    },
    /// This version has no part for it.
    #[error("{} is set, but this version has no part for it: unset it", variable(.key))]
    Unserved {
        /// The setting.
        key: &'static str,
    },
}

impl Settings {
    /// Reads settings from a command line, the environment and the file that these name.
    pub fn read<I, T>(arguments: I) -> Result<Self, SettingsError>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let matches = command().try_get_matches_from(arguments)?;
        let mut values: HashMap<&'static str, String> = HashMap::new();
        if let Some(path) = matches.get_one::<String>(CONFIG) {
            values = read_file(path)?;
        }
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<OsString>(setting.key).filter(|value| !value.is_empty()) {
                let text = value.to_str().ok_or(SettingsError::NotText { key: setting.key })?;
                values.insert(setting.key, text.to_owned());
            }
        }
        Self::check(&Values(values))
    }

    fn check(values: &Values) -> Result<Self, SettingsError> {
        if let Some(key) = UNSERVED.iter().find(|key| values.given(key).is_some()) {
            return Err(SettingsError::Unserved { key });
        }
        let defaults = Limits::default();
        let send_rate_per_s: u32 =
            values.parsed("send_rate", "a whole number of messages a second, 0 for no bound")?;
        let request_rate_per_s: u32 =
            values.parsed("history_rate", "a whole number of pages a second, 0 for no bound")?;
        let milliseconds = "a whole number of milliseconds, at least 1";
        let limits = Limits {
            request_rate_per_s,
            request_burst: request_rate_per_s.saturating_mul(3),
            send_rate_per_s,
            send_burst: send_rate_per_s.saturating_mul(3),
            group_idle_ms: values.positive("group_idle_ms", milliseconds)?,
            ping_interval_ms: values.positive("ping_interval_ms", milliseconds)?,
            pong_timeout_ms: values.positive("pong_timeout_ms", milliseconds)?,
            drain_ms: values.positive("drain_ms", milliseconds)?,
            ..defaults
        };
        Ok(Self {
            listen: values.parsed("listen", "an address and a port, like 127.0.0.1:3010")?,
            data_dir: values.parsed("data_dir", "a folder")?,
            hash_secret: values.secret("hash_secret")?,
            admin_key: values.secret("admin_key")?,
            node_id: values.parsed("node_id", "a text")?,
            log: values.log_filter()?,
            log_format: values.parsed("log_format", "text or json")?,
            rest_rate_per_s: values
                .parsed("rest_rate", "a whole number of requests a second, 0 for no bound")?,
            max_connections: values
                .given("max_connections")
                .map(|_| values.positive("max_connections", "a whole number, at least 1"))
                .transpose()?,
            limits,
        })
    }
}

/// What was set, by key.
struct Values(HashMap<&'static str, String>);

impl Values {
    fn given(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn parsed<T: FromStr>(&self, key: &'static str, rule: &'static str) -> Result<T, SettingsError> {
        let default = SETTINGS.iter().find(|setting| setting.key == key).and_then(|setting| setting.default);
        let value = self.given(key).or(default).unwrap_or_default();
        value.parse().map_err(|_| SettingsError::Value { key, value: value.to_owned(), rule })
    }

    /// A number of at least one: a wait or a place that is none would stop everything or never end.
    fn positive<T: FromStr + PartialOrd + From<u8>>(
        &self,
        key: &'static str,
        rule: &'static str,
    ) -> Result<T, SettingsError> {
        let number: T = self.parsed(key, rule)?;
        if number >= T::from(1) {
            return Ok(number);
        }
        let value = self.given(key).unwrap_or_default().to_owned();
        Err(SettingsError::Value { key, value, rule })
    }

    /// A filter of levels and `target=level` pairs. tracing itself takes any other word for a target, and then
    /// logs nothing else.
    fn log_filter(&self) -> Result<EnvFilter, SettingsError> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        const RULE: &str = "error, warn, info, debug, trace, off, or target=level pairs";
        let value = self.given("log").unwrap_or("info");
        let known = |part: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part.trim()));
        if value
            .split(',')
            .all(|part| known(part) || part.rsplit_once('=').is_some_and(|(_, level)| known(level)))
        {
            return self.parsed("log", RULE);
        }
        Err(SettingsError::Value { key: "log", value: value.to_owned(), rule: RULE })
    }

    fn secret(&self, key: &'static str) -> Result<Option<Hidden>, SettingsError> {
        match self.given(key) {
            None => Ok(None),
            Some(value) if value.len() < 16 => Err(SettingsError::Secret { key }),
            Some(value) => Ok(Some(Hidden(value.to_owned()))),
        }
    }
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

fn command() -> Command {
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

fn read_file(path: &str) -> Result<HashMap<&'static str, String>, SettingsError> {
    let fail = |reason: String| SettingsError::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| fail(without_source(&error, &text)))?;
    let mut values = HashMap::new();
    for (key, value) in table {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            return Err(fail(format!("there is no setting {key:?}: --help lists them")));
        };
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            other => {
                return Err(fail(format!("{key} must be a text or a number, not a {}", other.type_str())));
            }
        };
        values.insert(setting.key, value);
    }
    Ok(values)
}

/// What is wrong and on which line. The error's own text would print the line, which may hold a secret.
fn without_source(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn variable(key: &str) -> String {
    format!("KIJIMUNA_{}", key.to_uppercase())
}

fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Settings, SettingsError> {
        Settings::read([&["kijimuna"], arguments].concat())
    }

    fn error(arguments: &[&str]) -> String {
        read(arguments).expect_err("refused").to_string()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:3010");
        assert_eq!(settings.data_dir, PathBuf::from("./data"));
        let limits = (settings.limits.send_rate_per_s, settings.limits.send_burst, settings.rest_rate_per_s);
        assert_eq!(limits, (20, 60, 1_000));
    }

    #[test]
    fn the_table_agrees_with_the_limits() {
        let (read, known) = (read(&[]).unwrap().limits, Limits::default());
        assert_eq!(format!("{read:?}"), format!("{known:?}"));
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = file("listen = \"0.0.0.0:1\"\nsend_rate = 5\n");
        let path = file.path().to_str().unwrap();
        let settings = read(&["--config", path, "--listen", "[::1]:2"]).unwrap();
        assert_eq!((settings.listen.port(), settings.limits.send_burst), (2, 15));
    }

    #[test]
    fn a_wrong_value_names_itself() {
        let text = error(&["--listen", "nowhere"]);
        for part in ["KIJIMUNA_LISTEN", "--listen", "\"nowhere\"", "127.0.0.1:3010"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(error(&["--send-rate", "-1"]).contains("KIJIMUNA_SEND_RATE"));
        assert!(error(&["--log", "loud"]).contains("KIJIMUNA_LOG"));
        assert!(read(&["--log", "warn,kijimuna=debug"]).is_ok());
        assert!(error(&["--send-rate=many"]).contains("KIJIMUNA_SEND_RATE"));
        assert!(error(&["--log-format=xml"]).contains("text or json"));
        assert!(error(&["--sned-rate=1"]).contains("--send-rate"), "a typo is answered with the right name");
    }

    #[test]
    fn a_secret_is_neither_short_nor_shown() {
        let text = error(&["--admin-key", "hunter2"]);
        assert!(text.contains("KIJIMUNA_ADMIN_KEY") && !text.contains("hunter2"), "{text}");
        let settings = read(&["--admin-key", "correct horse battery"]).unwrap();
        assert!(!format!("{settings:?}").contains("horse"));
    }

    #[test]
    fn a_file_with_an_unknown_key_is_refused() {
        let file = file("lisen = \"0.0.0.0:1\"\n");
        let text = error(&["--config", file.path().to_str().unwrap()]);
        assert!(text.contains("\"lisen\""), "{text}");
        assert!(error(&["--config", "/does/not/exist"]).contains("/does/not/exist"));
    }

    #[test]
    fn what_this_version_cant_do_is_not_ignored() {
        assert!(error(&["--scylla-uri", "127.0.0.1:9042"]).contains("KIJIMUNA_SCYLLA_URI"));
    }
}
