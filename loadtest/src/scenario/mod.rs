//! The scenarios: each is a table of settings and a plan that is made of them. One file each.

mod churn;
mod fanout;
mod history;
mod idle;
mod join_storm;
mod mixed;
mod reconnect_storm;
mod slow_readers;

use crate::dialect::Dialect;
use crate::message;
use crate::plan::{Group, Plan, Talk};
use crate::settings::{COMMON, Key, Settings, SettingsError, key};

/// A scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// One line.
    pub(crate) about: &'static str,
    /// What it does, what it tells, and examples.
    pub(crate) more: &'static str,
    /// Its own settings, beside those of all.
    pub(crate) keys: &'static [Key],
    make: fn(&Settings) -> Result<Plan, SettingsError>,
}

/// All scenarios, in the order of the help.
pub(crate) const SCENARIOS: &[&Scenario] = &[
    &fanout::SCENARIO,
    &idle::SCENARIO,
    &join_storm::SCENARIO,
    &reconnect_storm::SCENARIO,
    &churn::SCENARIO,
    &slow_readers::SCENARIO,
    &history::SCENARIO,
    &mixed::SCENARIO,
];

/// The most that a run may have; more would need identifiers of another width.
const MEMBERS_MAX: u64 = 10_000_000;

impl Scenario {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().copied().find(|scenario| scenario.name == name)
    }

    /// Its settings and those of all.
    pub(crate) fn all_keys(&self) -> Vec<Key> {
        self.keys.iter().copied().chain(self.common_keys()).collect()
    }

    /// Those of all, without those that it has a row of its own for.
    pub(crate) fn common_keys(&self) -> impl Iterator<Item = Key> {
        let is_own = |key: &&Key| self.keys.iter().any(|own| own.name == key.name);
        COMMON.iter().filter(move |key| !is_own(key)).copied()
    }

    /// The plan for settings, checked.
    pub(crate) fn plan(&self, settings: &Settings) -> Result<Plan, SettingsError> {
        let mut plan = (self.make)(settings)?;
        plan.size = settings.count("size", 1)? as usize;
        if !(message::SIZE_MIN..=16_384).contains(&plan.size) {
            let rule = "67 to 16384 bytes: a message holds who said it when, and the protocol allows 16 KiB";
            return Err(settings.wrong("size", rule));
        }
        if let Some(name) = settings.text("protocol") {
            let rule = "v1, v2-json or v2-msgpack";
            plan.dialect = Dialect::named(name).ok_or_else(|| settings.wrong("protocol", rule))?;
        }
        plan.concurrency = settings.count("concurrency", 1)?;
        let members: u64 = plan.groups.iter().map(|group| u64::from(group.members)).sum();
        if members > MEMBERS_MAX {
            return Err(SettingsError::Together(format!(
                "{members} members are more than a run can have (10,000,000)."
            )));
        }
        Ok(plan)
    }
}

/// The settings of all scenarios together, each name once, and those common to all. A scenario's own have no default
/// here: it is another one in each.
pub(crate) fn of_all_scenarios() -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let own = SCENARIOS.iter().flat_map(|scenario| scenario.keys).map(|key| Key { default: None, ..*key });
    for key in own.chain(COMMON.iter().copied()) {
        if !keys.iter().any(|other| other.name == key.name) {
            keys.push(key);
        }
    }
    keys
}

/// Settings that several scenarios have.
const GROUPS: Key = key("groups", "NUMBER", Some("10"), "Groups");
const MEMBERS: Key = key("members", "NUMBER", Some("100"), "Members of each group, each with a socket");
const RATE: Key = key("rate", "NUMBER", Some("100"), "Messages a second in all, whatever becomes of them");
const SPEAKERS: Key = key("speakers", "NUMBER", Some("100"), "At most so many of a group's members speak");
const PROTOCOL: Key = key("protocol", "VERSION", Some("v1"), "What sockets speak: v1, v2-json or v2-msgpack");
const DURATION: Key = key("duration", "TIME", Some("10s"), "How long to measure");

/// So many members in so many groups, as evenly as it goes, none of whom speaks.
fn spread(members: u32, groups: u32) -> Vec<Group> {
    let groups = groups.min(members);
    let size = |group| members / groups + u32::from(group < members % groups);
    (0..groups).map(|group| Group { members: size(group), ..Group::default() }).collect()
}

/// A steady rate in all, or nothing for 0.
fn open_talk(settings: &Settings, zipf: f64) -> Result<Option<Talk>, SettingsError> {
    let per_s = settings.number("rate")?;
    Ok((per_s > 0.0).then_some(Talk::Open { per_s, zipf }))
}
