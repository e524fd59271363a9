//! Every message goes to every member of its group.

use super::{DURATION, GROUPS, MEMBERS, PROTOCOL, SPEAKERS, Scenario};
use crate::plan::{End, Group, Plan, Talk};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "fanout",
    about: "Groups in which every message goes to every member: deliveries, latency, CPU per delivery",
    more: "\
With --rate the loop is open: messages are sent when they are due, whatever became of those before, and latency \
counts from when a message was due. That is what users would see; what never came counts with the time that was waited for \
it. With --window the loop is closed: so many messages \
are under way in each group at any time, which shows the most that the server can do.

  kijimuna-loadtest fanout --groups 10 --members 100 --rate 500 --duration 30s --html fanout.html
  kijimuna-loadtest fanout --groups 1 --members 1000 --window 16        # as fast as it goes
  kijimuna-loadtest fanout --groups 1 --members 5000 --rate 2           # one huge group",
    keys: &[
        GROUPS,
        MEMBERS,
        SPEAKERS,
        key("rate", "NUMBER", Some("500"), "Messages a second in all, whatever becomes of them (open loop)"),
        key("window", "NUMBER", None, "Instead of a rate: messages under way in each group (closed loop)"),
        PROTOCOL,
        DURATION,
    ],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    let members = settings.count("members", 1)?;
    let speakers = settings.count("speakers", 1)?.min(members);
    let group = Group { members, speakers, ..Group::default() };
    if settings.is_given("rate") && settings.is_given("window") {
        return Err(SettingsError::Together(format!(
            "{} opens the loop and {} closes it: choose one of them.",
            settings.place("rate"),
            settings.place("window")
        )));
    }
    let talk = match settings.count_if_set("window")? {
        Some(window) => Some(Talk::Closed { window }),
        None => super::open_talk(settings, 0.0)?,
    };
    Ok(Plan {
        groups: vec![group; settings.count("groups", 1)? as usize],
        talk,
        warmup_ns: settings.time_ns("warmup")?,
        end: End::After { ns: settings.time_ns("duration")? },
        ..Plan::default()
    })
}

/// For the tests of the table: no setting may hide another.
#[cfg(test)]
mod tests {
    use crate::scenario::SCENARIOS;
    use crate::settings::{Key, Settings, flags};
    use std::collections::BTreeSet;

    #[test]
    fn every_scenario_has_a_plan_by_default_and_no_key_twice() {
        for scenario in SCENARIOS {
            let keys: Vec<Key> = scenario.all_keys();
            let names: BTreeSet<_> = keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), keys.len(), "{}", scenario.name);
            let none = clap::Command::new("test").args(flags(&keys)).get_matches_from(["test"]);
            let settings = Settings::new(&keys, &none, None);
            let plan = scenario.plan(&settings).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            assert!(plan.members() > 0);
            assert!(
                plan.groups.iter().all(|group| group.speakers + group.churners + group.slow <= group.members)
            );
        }
    }
}
