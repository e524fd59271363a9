//! Settings of a run: one table makes the flags, the keys of a scenario file, and the help.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{Arg, ArgMatches};

use crate::clock::SECOND_NS;
use crate::scenario_file::ScenarioFile;
use crate::schedule::whole;

/// A setting. Its name is the flag without the hyphens before it, and the key in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) default: Option<&'static str>,
    pub(crate) help: &'static str,
}

/// What a key has for a value that is on or off.
const SWITCH: &str = "on|off";

/// A row of a table.
pub(crate) const fn key(
    name: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Key {
    Key { name, value, default, help }
}

pub(crate) const SIZE_HELP: &str = "Bytes of a message's text, from 67 on";

/// What every scenario has; one may have a row of its own instead, for another default.
pub(crate) const COMMON: &[Key] = &[
    key(
        "url",
        "URL",
        Some("http://127.0.0.1:3010"),
        "The deployment, http:// only: measure TLS at the proxy that does it. Of several nodes, URLs with commas between: \
         the members, those of one group, too, are spread over them, since each worker is at one of them, in turn",
    ),
    key("client", "TEXT", None, "A service to use, with --secret; without it a service is made for the run"),
    key("secret", "TEXT", None, "That service's secret"),
    key(
        "admin-key",
        "TEXT",
        None,
        "The server's KIJIMUNA_ADMIN_KEY, if it has one, to make the service with",
    ),
    key("size", "BYTES", Some("100"), SIZE_HELP),
    key("concurrency", "NUMBER", Some("256"), "Joins under way at once, in all"),
    key("warmup", "TIME", Some("2s"), "What isn't measured at the beginning"),
    key("join-deadline", "TIME", Some("30s"), "How long one join may take before it is tried anew"),
    key("join-timeout", "TIME", Some("120s"), "How long all may take to join before the run is given up"),
    key(
        "pong-deadline",
        "TIME",
        Some("10s"),
        "How long a ping may go unanswered; a few sockets a second ask",
    ),
    key(
        "workers",
        "NUMBER",
        None,
        "Processes that play the members; by default one for every 18,000, or fewer if the descriptor limit is low",
    ),
    key("pin", "CPUS", None, "Processors for the workers, such as 1 or 1,2; one worker each, in turn"),
    key(
        "pid",
        "NUMBERS",
        None,
        "The server's process, to measure, or several with commas between; found by itself when it is on this machine",
    ),
    key("keep", SWITCH, Some("off"), "Leave the groups, users and messages of the run in the deployment"),
    key("json", "FILE", None, "Write everything that was measured there"),
    key("html", "FILE", None, "Write a report with plots there, one file that needs no network"),
];

/// What can be wrong with a setting. The text names it and says what it must be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SettingsError {
    #[error("{place} is {value:?}: it must be {rule}.")]
    Value { place: String, value: String, rule: String },
    #[error("the scenario file {path} can't be read: {reason}")]
    File { path: String, reason: String },
    #[error("the scenario file {path} has the key {key:?}, which {scenario} doesn't have. It has: {known}.")]
    UnknownKey { path: String, key: String, scenario: String, known: String },
    #[error("the scenario file {path} says scenario = {name:?}. There are: {known}.")]
    UnknownScenario { path: String, name: String, known: String },
    #[error("--{flag} is no flag of {scenario}, which the scenario file {path} runs. It has: {known}.")]
    ForeignFlag { path: String, flag: &'static str, scenario: String, known: String },
    #[error("{0}")]
    Together(String),
}

/// What was set, as text, with the defaults.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// The names that a flag or a file has set.
    given: BTreeSet<&'static str>,
    /// The names that a file has set, and that file.
    of_file: BTreeSet<&'static str>,
    file: String,
}

/// The flags of keys. Their defaults aren't given to clap, which couldn't tell them from what was set.
pub(crate) fn flags(keys: &[Key]) -> Vec<Arg> {
    let flag = |key: &Key| {
        let help = match key.default {
            Some(default) => format!("{} [default: {default}]", key.help),
            None => key.help.to_owned(),
        };
        let arg = Arg::new(key.name).long(key.name).value_name(key.value).help(help);
        // A switch by itself is on, so that no value can be taken for it by mistake.
        if key.value == SWITCH {
            arg.num_args(0..=1).require_equals(true).default_missing_value("on")
        } else {
            arg
        }
    };
    keys.iter().map(flag).collect()
}

impl Settings {
    /// Flags before a file's keys before defaults.
    pub(crate) fn new(keys: &[Key], flags: &ArgMatches, file: Option<&ScenarioFile>) -> Self {
        let (mut values, mut given, mut of_file) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for key in keys {
            let flag = flags.try_get_one::<String>(key.name).ok().flatten();
            let in_file = file.and_then(|file| file.keys.get(key.name));
            if flag.is_none() && in_file.is_some() {
                of_file.insert(key.name);
            }
            if flag.or(in_file).is_some() {
                given.insert(key.name);
            }
            let default = || key.default.map(str::to_owned);
            if let Some(value) = flag.or(in_file).cloned().or_else(default) {
                values.insert(key.name, value);
            }
        }
        Self { values, given, of_file, file: file.map(|file| file.path.clone()).unwrap_or_default() }
    }

    /// Where a value stands, for who has to change it.
    pub(crate) fn place(&self, name: &str) -> String {
        if self.of_file.contains(name) {
            format!("the key {name} of the scenario file {}", self.file)
        } else {
            format!("--{name}")
        }
    }

    /// Whether a flag or a file has set it.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// Something that is on or off.
    pub(crate) fn switch(&self, name: &str) -> Result<bool, SettingsError> {
        self.parsed(name, "on or off", |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        })
    }

    /// A value isn't what it must be.
    pub(crate) fn wrong(&self, name: &str, rule: impl Into<String>) -> SettingsError {
        let value = self.text(name).unwrap_or_default().to_owned();
        SettingsError::Value { place: self.place(name), value, rule: rule.into() }
    }

    /// Everything that is set, without secrets.
    pub(crate) fn shown(&self) -> BTreeMap<&'static str, String> {
        let hidden = |name: &str| matches!(name, "secret" | "admin-key");
        self.values
            .iter()
            .filter(|(name, _)| !hidden(name))
            .map(|(name, value)| (*name, value.clone()))
            .collect()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// A whole number from `least` on.
    pub(crate) fn count(&self, name: &str, least: u32) -> Result<u32, SettingsError> {
        let most = 10_000_000;
        let rule = format!("a whole number from {least} to 10,000,000");
        self.parsed(name, &rule, |text| text.parse().ok().filter(|count| (least..=most).contains(count)))
    }

    /// A whole number, if it is set.
    pub(crate) fn count_if_set(&self, name: &str) -> Result<Option<u32>, SettingsError> {
        self.text(name).map(|_| self.count(name, 1)).transpose()
    }

    /// Whole numbers with commas between; none when it isn't set.
    pub(crate) fn counts_if_set(&self, name: &str) -> Result<Vec<u32>, SettingsError> {
        let Some(_) = self.text(name) else { return Ok(Vec::new()) };
        self.parsed(name, "whole numbers from 1 on, with commas between", |text| {
            text.split(',').map(|one| one.trim().parse().ok().filter(|count| *count > 0)).collect()
        })
    }

    /// A number a second, or without unit.
    pub(crate) fn number(&self, name: &str) -> Result<f64, SettingsError> {
        let positive = |number: &f64| number.is_finite() && (0.0..=1e9).contains(number);
        self.parsed(name, "a number, not negative", |text| text.parse().ok().filter(positive))
    }

    /// A time in nanoseconds.
    pub(crate) fn time_ns(&self, name: &str) -> Result<u64, SettingsError> {
        self.parsed(name, "a time such as 500ms, 30s, 2m or 1h", time_ns)
    }

    fn parsed<T>(
        &self,
        name: &str,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, SettingsError> {
        parse(self.text(name).unwrap_or_default()).ok_or_else(|| self.wrong(name, rule))
    }
}

fn time_ns(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let time_s = number.parse::<f64>().ok()? * seconds;
    (time_s <= 7.0 * 86_400.0).then(|| whole(time_s * SECOND_NS as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[Key] = &[key("rate", "NUMBER", Some("5"), ""), key("warmup", "TIME", Some("2s"), "")];

    fn file(keys: &[(&str, &str)]) -> ScenarioFile {
        let keys = keys.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ScenarioFile { path: "x.toml".to_owned(), scenario: "fanout".to_owned(), keys }
    }

    fn settings(keys: &[(&str, &str)]) -> Settings {
        let command = clap::Command::new("test").args(flags(KEYS));
        Settings::new(KEYS, &command.get_matches_from(["test"]), Some(&file(keys)))
    }

    #[test]
    fn a_file_wins_over_defaults_and_a_flag_over_both() {
        assert_eq!(settings(&[]).number("rate"), Ok(5.0));
        assert_eq!(settings(&[("rate", "7.5")]).number("rate"), Ok(7.5));
        let flags = clap::Command::new("test").args(flags(KEYS)).get_matches_from(["test", "--rate", "9"]);
        let both = Settings::new(KEYS, &flags, Some(&file(&[("rate", "7")])));
        assert_eq!((both.number("rate"), both.place("rate").as_str()), (Ok(9.0), "--rate"));
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in
            [("500ms", Some(500_000_000)), ("1.5s", Some(1_500_000_000)), ("2m", Some(120 * SECOND_NS))]
        {
            assert_eq!(time_ns(text), expected, "{text}");
        }
        for wrong in ["", "5", "s", "-1s", "1 day", "9999999h"] {
            assert_eq!(time_ns(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_its_rule() {
        let rule = "it must be a time such as 500ms, 30s, 2m or 1h.";
        let error = settings(&[("warmup", "soon")]).time_ns("warmup").unwrap_err().to_string();
        assert_eq!(error, format!("the key warmup of the scenario file x.toml is \"soon\": {rule}"));
        let flags =
            clap::Command::new("test").args(flags(KEYS)).get_matches_from(["test", "--warmup", "soon"]);
        let error = Settings::new(KEYS, &flags, None).time_ns("warmup").unwrap_err().to_string();
        assert_eq!(error, format!("--warmup is \"soon\": {rule}"));
        assert!(settings(&[("rate", "-1")]).number("rate").is_err());
    }

    #[test]
    fn the_rule_of_a_number_says_its_least() {
        for least in [0, 1, 5] {
            let error = settings(&[("rate", "x")]).count("rate", least).unwrap_err().to_string();
            assert!(error.contains(&format!("from {least} to 10,000,000")), "{error}");
        }
    }
}
