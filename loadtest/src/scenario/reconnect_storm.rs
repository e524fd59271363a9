//! All drop and come back, while one group talks on.

use super::{PROTOCOL, Scenario, spread};
use crate::plan::{End, Group, Plan};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reconnect-storm",
    about: "All sockets drop at once and come back, while a quiet group talks on: time until all are back",
    more: "\
A group that isn't dropped talks all the time. Its latency before the storm and during it says what the storm does to \
those who have nothing to do with it. A message counts as before or during it by when it was due, whenever it was heard; \
one that never was is lost, and counts with the time that was waited for it.

  kijimuna-loadtest reconnect-storm --sockets 15000 --groups 150 --concurrency 1000 --html storm.html",
    keys: &[
        key("sockets", "NUMBER", Some("1000"), "Sockets that drop and return, all together"),
        key("groups", "NUMBER", Some("10"), "Groups that they are in"),
        key("quiet", "NUMBER", Some("20"), "Members of the group that stays and talks"),
        key("rate", "NUMBER", Some("50"), "Messages a second in that group"),
        key("before", "TIME", Some("5s"), "How long to measure before the storm"),
        PROTOCOL,
    ],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    let members = settings.count("quiet", 1)?;
    let quiet = Group { members, speakers: members, quiet: true, ..Group::default() };
    let mut groups = vec![quiet];
    groups.extend(spread(settings.count("sockets", 1)?, settings.count("groups", 1)?));
    Ok(Plan {
        groups,
        talk: super::open_talk(settings, 0.0)?,
        storm_after_ns: Some(settings.time_ns("before")?),
        rejoin: true,
        warmup_ns: settings.time_ns("warmup")?,
        end: End::Returned,
        ..Plan::default()
    })
}
