//! A day of chat: many small groups, a few huge ones, and everything at once.

use super::{DURATION, RATE, Scenario};
use crate::plan::{End, Group, Paging, Plan};
use crate::schedule::{floor, zipf_weights};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed",
    about: "A day of chat: many small groups, a few huge ones; messages, history, coming and going",
    more: "\
The sizes of the groups and their shares of the messages follow Zipf's law: the second group has half of the first, the \
third a third, and so on (--zipf 1). A quarter of each group comes and goes. The server's CPU per delivery has the joins and \
the pages in it, so a delivery costs that at most.

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
    let (members, groups) = (settings.count("sockets", 1)?, settings.count("groups", 1)?);
    if members / 2 < groups {
        return Err(settings.wrong("sockets", format!("two for each of the {groups} groups at least")));
    }
    let group = |members: u32| {
        let churners = members / 4;
        Group { members, speakers: (members - churners).min(16), churners, ..Group::default() }
    };
    Ok(Plan {
        groups: sizes(members, groups, zipf).into_iter().map(group).collect(),
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

/// Sizes by Zipf's law that add up to the members, of two at least: what the smallest have too much is missing to all
/// others alike.
fn sizes(members: u32, groups: u32, zipf: f64) -> Vec<u32> {
    let weights = zipf_weights(groups as usize, zipf);
    let (mut left, mut weight_left) = (f64::from(members), weights.iter().sum::<f64>());
    // From the smallest, each takes its share of what is left. The largest takes what rounding has left over.
    let mut sizes: Vec<u32> = weights
        .iter()
        .rev()
        .map(|weight| {
            let size = floor(left * (weight / weight_left).min(1.0)).max(2);
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            left -= f64::from(size);
            weight_left -= weight;
            size
        })
        .collect();
    sizes.reverse();
    let rest = members - sizes.iter().skip(1).sum::<u32>();
    sizes[0] = rest;
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_as_many_members_as_were_asked_for() {
        let runs = [(1_000, 200, 1.0), (1_000, 500, 1.0), (2, 1, 1.0), (10_001, 3, 0.0), (999, 7, 2.5)];
        for (members, groups, zipf) in runs {
            let sizes = sizes(members, groups, zipf);
            assert_eq!((sizes.len(), sizes.iter().sum::<u32>()), (groups as usize, members), "{sizes:?}");
            assert!(sizes.iter().all(|&size| size >= 2) && sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        }
    }

    #[test]
    fn the_second_group_has_half_of_the_first() {
        let sizes = sizes(1_000, 200, 1.0);
        assert_eq!((sizes[..3].to_vec(), sizes[199]), (vec![163, 81, 53], 2));
    }
}
