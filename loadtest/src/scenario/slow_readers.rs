//! Some members never read.

use super::{DURATION, Scenario};
use crate::plan::{End, Group, Plan};
use crate::settings::{SIZE_HELP, Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow-readers",
    about: "Some members never read: the others must get everything, in time",
    more: "\
Those who never read should be closed with 4001 once more waits for them than may; it takes about a MiB and what the \
kernel holds, which may be 4 MiB more (net.ipv4.tcp_wmem at the server). Each gets its group's share of --rate times --size bytes a second: 1 MB by default. At the end they read \
what there is, and the table says how the server ended with them. If it did so with nobody the exit status is 1, since then \
nothing was seen of what this is about.

  kijimuna-loadtest slow-readers
  kijimuna-loadtest slow-readers --groups 4 --members 50 --slow 5 --rate 400 --size 10000 --duration 30s",
    keys: &[
        key("groups", "NUMBER", Some("2"), "Groups"),
        key("members", "NUMBER", Some("20"), "Members of each group, each with a socket"),
        key("slow", "NUMBER", Some("5"), "Of these, so many never read"),
        key("rate", "NUMBER", Some("200"), "Messages a second in all, whatever becomes of them"),
        key("size", "BYTES", Some("10000"), SIZE_HELP),
        DURATION,
    ],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    let (members, slow) = (settings.count("members", 1)?, settings.count("slow", 1)?);
    if slow >= members {
        let text = format!("--slow {slow} leaves nobody of --members {members} who reads.");
        return Err(SettingsError::Together(text));
    }
    let group = Group { members, speakers: (members - slow).min(100), slow, ..Group::default() };
    Ok(Plan {
        groups: vec![group; settings.count("groups", 1)? as usize],
        talk: super::open_talk(settings, 0.0)?,
        warmup_ns: settings.time_ns("warmup")?,
        end: End::After { ns: settings.time_ns("duration")? },
        ..Plan::default()
    })
}
