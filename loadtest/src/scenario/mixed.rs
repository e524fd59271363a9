//! A day of chat: many small groups, a few huge ones, and everything at once.

use super::{DURATION, RATE, Scenario};
use crate::plan::{End, Group, Paging, Plan};
use crate::schedule::{whole, zipf_weights};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed",
    about: "A day of chat: many small groups, a few huge ones; messages, history, coming and going",
    more: "\
The sizes of the groups and their shares of the messages follow Zipf's law: the second group has half of the first, the \
third a third, and so on (--zipf 1). A quarter of each group comes and goes.

  kijimuna-loadtest mixed --groups 500 --sockets 5000 --rate 200 --churn-rate 50 --page-rate 50 --duration 5m",
    keys: &[
        key("groups", "NUMBER", Some("200"), "Groups"),
        key("sockets", "NUMBER", Some("1000"), "Members, all together; each group has at least two"),
        key("zipf", "NUMBER", Some("1"), "The exponent of Zipf's law"),
        RATE,
        key("churn-rate", "NUMBER", Some("20"), "Members that leave a second, in all"),
        key("away", "TIME", Some("1s"), "How long each stays away"),
        key("page-rate", "NUMBER", Some("20"), "Pages of history a second, in all"),
        DURATION,
    ],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    let zipf = settings.number("zipf")?;
    let page_rate = settings.number("page-rate")?;
    let sizes = sizes(settings.count("sockets", 1)?, settings.count("groups", 1)?, zipf);
    let group = |members: u32| {
        let churners = members / 4;
        Group { members, speakers: (members - churners).min(16), churners, ..Group::default() }
    };
    Ok(Plan {
        groups: sizes.map(group).collect(),
        talk: super::open_talk(settings, zipf)?,
        paging: (page_rate > 0.0).then_some(Paging::Open { per_s: page_rate }),
        churn_per_s: settings.number("churn-rate")?,
        away_ns: settings.time_ns("away")?,
        rejoin: true,
        warmup_ns: settings.time_ns("warmup")?,
        end: End::After { ns: settings.time_ns("duration")? },
        ..Plan::default()
    })
}

fn sizes(members: u32, groups: u32, zipf: f64) -> impl Iterator<Item = u32> {
    let weights = zipf_weights(groups as usize, zipf);
    let all: f64 = weights.iter().sum();
    let size =
        move |weight: f64| u32::try_from(whole(f64::from(members) * weight / all)).unwrap_or(u32::MAX).max(2);
    weights.into_iter().map(size)
}
