//! Members page through what was said.

use super::{DURATION, Scenario};
use crate::plan::{End, Group, Paging, Plan};
use crate::settings::{Settings, SettingsError, key};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "history",
    about: "Members page through what was said: pages a second, time of a page",
    more: "\
First so many messages are said in each group. Then every member pages from the newest to the oldest, each page before \
the last one, and begins anew; each asks for the next page when it has got one, or all together at --page-rate. Every page is checked: nothing left \
out, altered or out of order, as large as was asked for, and continuing the one before it. A server gives each session so \
many pages a second and refuses more: start it with KIJIMUNA_HISTORY_RATE=0 (--history-rate 0) to measure the engine.

  kijimuna-loadtest history --groups 10 --messages 10000 --members 4 --page-items 100
  kijimuna-loadtest history --page-rate 2000",
    keys: &[
        key("groups", "NUMBER", Some("4"), "Groups"),
        key("members", "NUMBER", Some("4"), "Members of each group, who page"),
        key("messages", "NUMBER", Some("1000"), "Messages said in each group before"),
        key("page-items", "NUMBER", Some("50"), "Messages of a page, 1 to 100"),
        key(
            "page-rate",
            "NUMBER",
            None,
            "Pages a second in all, whatever becomes of them (open loop); 0 is none, as if it weren't set",
        ),
        DURATION,
    ],
    make,
};

fn make(settings: &Settings) -> Result<Plan, SettingsError> {
    let page_items = settings.count("page-items", 1)?;
    if page_items > 100 {
        return Err(settings.wrong("page-items", "1 to 100, as the protocol has it"));
    }
    let per_s = settings.text("page-rate").map_or(Ok(0.0), |_| settings.number("page-rate"))?;
    let paging = if per_s > 0.0 { Paging::Open { per_s } } else { Paging::Closed };
    let group = Group { members: settings.count("members", 1)?, speakers: 1, ..Group::default() };
    Ok(Plan {
        groups: vec![group; settings.count("groups", 1)? as usize],
        paging: Some(paging),
        fill: settings.count("messages", 0)?,
        page_items,
        warmup_ns: settings.time_ns("warmup")?,
        end: End::After { ns: settings.time_ns("duration")? },
        ..Plan::default()
    })
}
