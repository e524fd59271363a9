//! Settings: flags before environment variables before a TOML file before defaults.
//!
//! One table, [`SETTINGS`], makes the flags, the variables, the keys of the file and the help.

mod table;

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use engine::config::Limits;
use tracing_subscriber::EnvFilter;

use crate::logs::LogFormat;
use table::{CONFIG, SETTINGS, UNSERVED, command, flag, variable};

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
    /// Whether `/` has the playground, which makes demo tenants for anyone.
    pub playground: bool,
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
        let listen: SocketAddr = values.parsed("listen", "an address and a port, like 127.0.0.1:3010")?;
        Ok(Self {
            listen,
            data_dir: values.parsed("data_dir", "a folder")?,
            hash_secret: values.secret("hash_secret")?,
            admin_key: values.secret("admin_key")?,
            node_id: values.parsed("node_id", "a text")?,
            log: values.log_filter()?,
            log_format: values.parsed("log_format", "text or json")?,
            rest_rate_per_s: values
                .parsed("rest_rate", "a whole number of requests a second, 0 for no bound")?,
            // Who listens on loopback is trying it out, unless a proxy stands before it, which a key lets suppose: for
            // strangers no tenants are made.
            playground: values
                .switch("playground")?
                .unwrap_or(listen.ip().is_loopback() && values.given("admin_key").is_none()),
            max_connections: values
                .given("max_connections")
                .map(|_| values.positive("max_connections", "a whole number, at least 1"))
                .transpose()?,
            limits: limits(values)?,
        })
    }
}

/// The bounds of the engine that an operator may set, among all the others.
fn limits(values: &Values) -> Result<Limits, SettingsError> {
    const WAIT: &str = "a whole number of milliseconds, at least 1";
    const WAIT_OR_NONE: &str = "a whole number of milliseconds, 0 for none";
    let rate = |key, rule| values.parsed::<u32>(key, rule).map(|per_s| (per_s, per_s.saturating_mul(3)));
    let (send_rate_per_s, send_burst) =
        rate("send_rate", "a whole number of messages a second, 0 for no bound")?;
    let (request_rate_per_s, request_burst) =
        rate("history_rate", "a whole number of pages a second, 0 for no bound")?;
    let (signal_rate_per_s, signal_burst) =
        rate("signal_rate", "a whole number of signals a second, 0 for no bound")?;
    Ok(Limits {
        send_rate_per_s,
        send_burst,
        request_rate_per_s,
        request_burst,
        signal_rate_per_s,
        signal_burst,
        sessions_per_user_max: values
            .positive("user_connections", "a whole number of connections, at least 1")?,
        groups_per_session_max: values
            .positive("connection_groups", "a whole number of groups, at least 1")?,
        replay_events_max: values.parsed("resume_events", "a whole number of events, 0 for none")?,
        replay_bytes_max: values.parsed("resume_bytes", "a whole number of bytes, 0 for none")?,
        // Each connection is given a fresh one every half of it.
        ticket_ttl_ms: values.at_least(
            "ticket_ttl_ms",
            60_000,
            "a whole number of milliseconds, at least 60000",
        )?,
        leave_grace_ms: values.parsed("leave_grace_ms", WAIT_OR_NONE)?,
        retention_interval_ms: values.positive("retention_interval_ms", WAIT)?,
        group_idle_ms: values.positive("group_idle_ms", WAIT)?,
        ping_interval_ms: values.positive("ping_interval_ms", WAIT)?,
        pong_timeout_ms: values.positive("pong_timeout_ms", WAIT)?,
        drain_ms: values.positive("drain_ms", WAIT)?,
        drain_spread_ms: values.parsed("drain_spread_ms", WAIT_OR_NONE)?,
        ..Limits::default()
    })
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
    fn positive<T: FromStr + PartialOrd + From<u8> + Copy>(
        &self,
        key: &'static str,
        rule: &'static str,
    ) -> Result<T, SettingsError> {
        self.at_least(key, T::from(1), rule)
    }

    fn at_least<T: FromStr + PartialOrd + Copy>(
        &self,
        key: &'static str,
        least: T,
        rule: &'static str,
    ) -> Result<T, SettingsError> {
        let number: T = self.parsed(key, rule)?;
        if number >= least {
            return Ok(number);
        }
        let value = self.given(key).unwrap_or_default().to_owned();
        Err(SettingsError::Value { key, value, rule })
    }

    /// Something that is on or off, if it was said which.
    fn switch(&self, key: &'static str) -> Result<Option<bool>, SettingsError> {
        match self.given(key) {
            None => Ok(None),
            Some("on") => Ok(Some(true)),
            Some("off") => Ok(Some(false)),
            Some(value) => Err(SettingsError::Value { key, value: value.to_owned(), rule: "on or off" }),
        }
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

#[cfg(test)]
mod tests;
