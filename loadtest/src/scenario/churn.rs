//! Members come and go while others talk.

use super::{DURATION, GROUPS, MEMBERS, RATE, Scenario};
use crate::plan::{End, Group, Plan};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "churn",
    about: "Members come and go while others talk: joins, latency, and nothing lost for those who stay",
    more: "\
Half of each group talks and stays. The others leave now and then, and come back with a new token. Whoever comes back \
must continue without a hole from the history page that greets it. The time of a join counts from when it was to come back, whatever it waited for since. The server's CPU per \
delivery has the joins in it, so a delivery costs that at most.

  kijimuna-loadtest churn --groups 10 --members 100 --rate 200 --churn-rate 100 --away 500ms",
    keys: &[
        GROUPS,
        MEMBERS,
        RATE,
        key("churn-rate", "NUMBER", Some("50"), "Members that leave a second, in all"),
        key("away", "TIME", Some("1s"), "How long each stays away"),
        DURATION,
    ],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    let members = settings.count("members", 1)?;
    let churners = members / 2;
    let group = Group { members, speakers: (members - churners).min(100), churners, ..Group::default() };
    Ok(Plan {
        groups: vec![group; settings.count("groups", 1)? as usize],
        talk: super::open_talk(settings, 0.0)?,
        churn_per_s: settings.number("churn-rate")?,
        away_ns: settings.time_ns("away")?,
        rejoin: true,
        warmup_ns: settings.time_ns("warmup")?,
        end: End::After { ns: settings.time_ns("duration")? },
        ..Plan::default()
    })
}
