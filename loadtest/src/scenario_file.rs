//! A scenario in a TOML file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::ArgMatches;

use crate::scenario::of_all_scenarios;
use crate::settings::{Key, SettingsError};

/// A scenario file has at most so many bytes.
const FILE_MAX: u64 = 64 << 10;

/// A scenario file: which scenario, and the keys that it sets.
#[derive(Debug)]
pub(crate) struct ScenarioFile {
    pub(crate) path: String,
    pub(crate) scenario: String,
    pub(crate) keys: BTreeMap<String, String>,
}

impl ScenarioFile {
    pub(crate) fn read(path: &Path) -> Result<Self, SettingsError> {
        let file = |reason: String| SettingsError::File { path: path.display().to_string(), reason };
        let mut text = String::new();
        let opened = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text));
        match opened {
            Err(error) => Err(file(error.to_string())),
            Ok(_) if text.len() as u64 > FILE_MAX => {
                Err(file("it has more than 64 KiB, which no scenario needs".to_owned()))
            }
            Ok(_) => Self::parse(path, &text),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let path = path.display().to_string();
        let file = |reason: String| SettingsError::File { path: path.clone(), reason };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| file(error.to_string()))?;
        let mut keys = BTreeMap::new();
        for (key, value) in table {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                toml::Value::Boolean(on) => if on { "on" } else { "off" }.to_owned(),
                _ => return Err(file(format!("the key {key:?} must be a number, a text, true or false"))),
            };
            keys.insert(key, value);
        }
        let Some(scenario) = keys.remove("scenario") else {
            return Err(file("it has no scenario = \"…\"".to_owned()));
        };
        Ok(Self { path, scenario, keys })
    }

    /// Every key must be one that the scenario has.
    pub(crate) fn check(&self, keys: &[Key]) -> Result<(), SettingsError> {
        let Some(unknown) = self.keys.keys().find(|name| !keys.iter().any(|key| key.name == **name)) else {
            return Ok(());
        };
        Err(SettingsError::UnknownKey {
            path: self.path.clone(),
            key: unknown.clone(),
            scenario: self.scenario.clone(),
            known: names(keys),
        })
    }

    /// Of the flags of all scenarios those that are given must be this one's.
    pub(crate) fn check_flags(&self, keys: &[Key], flags: &ArgMatches) -> Result<(), SettingsError> {
        let given = |key: &&Key| flags.try_contains_id(key.name).unwrap_or(false);
        let foreign = |key: &&Key| !keys.iter().any(|own| own.name == key.name);
        match of_all_scenarios().iter().filter(foreign).find(given) {
            None => Ok(()),
            Some(key) => Err(SettingsError::ForeignFlag {
                path: self.path.clone(),
                flag: key.name,
                scenario: self.scenario.clone(),
                known: names(keys),
            }),
        }
    }
}

fn names(keys: &[Key]) -> String {
    keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::key;

    const KEYS: &[Key] = &[key("rate", "NUMBER", Some("5"), ""), key("warmup", "TIME", Some("2s"), "")];

    #[test]
    fn a_file_without_end_is_not_read_to_it() {
        let error = ScenarioFile::read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("/dev/zero") && error.contains("64 KiB"), "{error}");
    }

    #[test]
    fn a_wrong_key_is_named_with_those_there_are() {
        let path = Path::new("x.toml");
        let file = ScenarioFile::parse(path, "scenario = \"fanout\"\nrtae = 5\n").unwrap();
        let error = file.check(KEYS).unwrap_err().to_string();
        assert!(
            error.contains("\"rtae\"") && error.contains("rate, warmup") && error.contains("x.toml"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_scenario_says_why() {
        let error = |text: &str| ScenarioFile::parse(Path::new("x.toml"), text).unwrap_err().to_string();
        assert!(error("rate = 5").contains("no scenario"));
        assert!(
            error("scenario = \"fanout\"\nrate = [1]")
                .contains("\"rate\" must be a number, a text, true or false")
        );
        assert!(error("scenario = ").contains("x.toml"));
    }
}
