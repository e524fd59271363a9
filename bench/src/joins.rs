//! What a storm of joins costs in roster bytes. Counted, not timed: the same on every machine.

use std::collections::HashMap;

use bytes::Bytes;
use engine::config::Limits;
use engine::domain::Now;
use engine::domain::attendance::Standing;
use engine::domain::event::Head;
use engine::domain::group::{Command, Effect, Group};
use engine::domain::ids::{GroupId, GroupUid, SessionId, UserId, UserLife, UserUid};
use engine::domain::profile::Name;
use engine::domain::roster::{Attendee, RosterView};
use engine::protocol::codec;
use engine::protocol::frame::{Dialect, RosterFrame, Scope, ServerFrame};

use crate::rounds::Figure;

const MEMBERS: u64 = 1_000;
/// How fast they come: all of them within a second.
const JOINS_PER_MS: u64 = 1;
/// Newcomers between two tellings for whom the engine encodes the roster anew, in a group of this size.
const FRESH: u64 = 2;

pub(crate) fn figures() -> [Figure; 3] {
    let storm = Storm::run();
    let whole = storm.whole_roster as f64;
    let ticks = storm.encoded_per_tick.iter().map(|bytes| *bytes as f64 / whole).collect();
    let naive: f64 = (1..=MEMBERS).map(|online| online as f64 * whole).sum();
    [
        Figure::new(
            "1,000 joins into one group within a second: roster bytes encoded per coalescing tick, in whole rosters",
            "O(1), so O(members) bytes",
            "rosters",
            ticks,
        ),
        Figure::new(
            "the same: roster bytes sent for each join, in whole rosters",
            "O(1)",
            "rosters",
            vec![storm.sent as f64 / whole / MEMBERS as f64],
        ),
        Figure::new(
            "the same, a server that sends everyone the roster at each join would send this many times as much",
            "–",
            "times",
            vec![naive / storm.sent as f64],
        ),
    ]
}

#[derive(Default)]
struct Storm {
    online: u64,
    sent: u64,
    encoded_per_tick: Vec<u64>,
    whole_roster: u64,
    /// Bytes encoded since the last telling.
    encoded: u64,
    /// Which version of the roster newcomers were handed last, and how many of them had it encoded anew.
    handed: (u64, u64),
}

impl Storm {
    fn run() -> Self {
        let mut storm = Self::default();
        let mut group = group();
        for number in 0..MEMBERS {
            let now = number / JOINS_PER_MS;
            if group.due_ms().is_some_and(|due| due <= now) {
                storm.carry_out(&mut group, Command::Tick, now);
            }
            let join = Command::Join { session: SessionId(number), user: user(number) };
            storm.carry_out(&mut group, join, now);
        }
        while let Some(due) = group.due_ms() {
            storm.carry_out(&mut group, Command::Tick, due);
        }
        storm.end_tick();
        storm.whole_roster = whole(&group).len() as u64;
        storm
    }

    fn carry_out(&mut self, group: &mut Group, command: Command, mono_ms: u64) {
        let effects = group.handle(command, Now { unix_ms: mono_ms, mono_ms }).expect("everyone attends");
        for effect in effects {
            match effect {
                Effect::Tell(telling) => {
                    self.end_tick();
                    let bytes = encoded_roster(&telling.view).len() as u64;
                    self.encoded += bytes;
                    self.sent += bytes * self.online;
                }
                Effect::Admit(_) => self.admit(group),
                _ => {}
            }
        }
    }

    /// Those who come between two tellings are handed the same roster, all but the first few.
    fn admit(&mut self, group: &Group) {
        let (bytes, version) = (whole(group).len() as u64, group.roster().version());
        if self.handed.0 != version {
            self.handed = (version, 0);
        }
        if self.handed.1 < FRESH {
            self.handed.1 += 1;
            self.encoded += bytes;
        }
        self.sent += bytes;
        self.online += 1;
    }

    fn end_tick(&mut self) {
        if self.encoded > 0 {
            self.encoded_per_tick.push(std::mem::take(&mut self.encoded));
        }
    }
}

fn whole(group: &Group) -> Bytes {
    encoded_roster(&group.roster().whole())
}

fn encoded_roster(view: &RosterView) -> Bytes {
    let id = GroupId::parse("bench").expect("a valid id");
    let frame = RosterFrame {
        scope: Scope { id: &id, uid: GroupUid(1) },
        version: 1,
        online: view.on.len(),
        whole: true,
        view,
        count_only: false,
        markers: &HashMap::new(),
        unix_ms: 0,
    };
    codec::encode(Dialect::V1, None, ServerFrame::Roster(&frame)).expect("every version has rosters")
}

fn group() -> Group {
    let attendees = (0..MEMBERS).map(|number| Attendee {
        id: user(number).id,
        uid: UserUid(number),
        name: Name::parse(&format!("User {number}")).expect("a valid name"),
        icon: None,
        revision: 0,
        standing: Standing::default(),
    });
    Group::new(Head::default(), attendees, [], Limits::default().group_rules(), Now::default())
}

fn user(number: u64) -> UserLife {
    UserLife { id: UserId::parse(&format!("user-{number}")).expect("a valid id"), uid: UserUid(number) }
}
