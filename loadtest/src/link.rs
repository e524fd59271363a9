//! What the coordinator and its workers tell each other: JSON, one value a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::by_due::Slices;
use crate::histogram::Pairs;
use crate::plan::Assignment;
use crate::printable::printable;

/// Errors that are told apart by their names.
const ERRORS_MAX: usize = 100;
/// Characters of a name.
const ERROR_CHARS_MAX: usize = 64;
/// What all others are counted as.
const OTHER: &str = "other";

/// From the coordinator to a worker, in this order.
#[derive(Serialize, Deserialize)]
pub(crate) enum Order {
    /// What to do; who may do it is there already.
    Prepare(Box<Assignment>),
    /// Join, and count in seconds from here on.
    Join { base_ns: u64 },
    /// Speak from the start on, measure from then on, and stop at the end if one is known.
    Go { start_ns: u64, measure_ns: u64, end_ns: Option<u64> },
    /// Say nothing more. With `finish` what was due is done before, and who is to be in comes in.
    Stop { finish: bool },
    /// This is what all have said: hear it out. With `alive` false nothing more will come.
    Expect { said: Vec<Said>, alive: bool },
    /// Of that more was refused: a message of each of these speakers, by group and slot.
    Refused(Vec<(u32, u32)>),
    /// The server has gone meanwhile: nothing more will come.
    Gone,
}

/// From a worker to the coordinator.
#[derive(Serialize, Deserialize)]
pub(crate) enum Report {
    /// Once a second, and where a phase ends.
    Tick(Box<Tick>),
    /// All have joined, and the history is filled.
    Ready,
    /// All whom the storm dropped are back.
    Returned { at_ns: u64 },
    /// What this worker's speakers have said, in answer to [`Order::Stop`].
    Said(Vec<Said>),
    /// What came too late for that: a message was refused of each of these speakers, by group and slot.
    Refused(Vec<(u32, u32)>),
    /// The last word.
    Done { worker: u32, lost: u64 },
    /// The run can't go on. The text says what to do.
    Failed { text: String },
}

/// How many messages a speaker has said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) group: u32,
    pub(crate) slot: u32,
    pub(crate) count: u32,
    /// How many of them the server refused, as far as is known yet.
    pub(crate) refused: u32,
    /// In an open loop, when the last of them were due: microseconds since the start.
    pub(crate) due_us: Vec<u64>,
}

/// What a moment of a run is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    #[default]
    Join,
    Fill,
    /// This worker waits for others.
    Wait,
    Warmup,
    Measure,
    Storm,
    /// Nothing more is said; what is under way still comes.
    Drain,
}

/// What happened since the tick before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) worker: u32,
    pub(crate) begin_ns: u64,
    /// Ticks of all workers with the same end belong together.
    pub(crate) end_ns: u64,
    pub(crate) phase: Phase,
    pub(crate) counts: Counts,
    /// From the time at which a message should have been sent until it was heard, or until the end if it never was and the
    /// loop is open.
    pub(crate) latency: Pairs,
    /// Those of what was due while it was measured and before the storm, where there is one; and of what was due after
    /// that began.
    pub(crate) calm: Pairs,
    pub(crate) storm: Slices,
    /// From the time at which a message should have been sent until it was: what the generator itself adds.
    pub(crate) late: Pairs,
    /// From the time at which a member should have asked for a token first until roster and history were there, whatever
    /// failed or was put off between.
    pub(crate) join: Pairs,
    /// From asking for a page of history until it was there.
    pub(crate) page: Pairs,
    /// Sockets that are open and greeted, now.
    pub(crate) connected: u64,
    /// Of the CPU, by this worker.
    pub(crate) cpu_ns: u64,
}

/// Plain counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
    pub(crate) joins: u64,
    pub(crate) leaves: u64,
    pub(crate) pages: u64,
    pub(crate) page_messages: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    /// Messages of another group, another run or nobody.
    pub(crate) strays: u64,
    /// Messages whose text, id, time or author isn't what was said, or that never were.
    pub(crate) altered: u64,
    /// Pages of history that weren't what was asked for; the errors say what was wrong with them.
    pub(crate) wrong_pages: u64,
    /// Frames that were answered with an error (`a: 5`).
    pub(crate) refused: u64,
    /// Frames that the protocol doesn't know.
    pub(crate) unknown: u64,
    /// Messages that were due while their speaker wasn't connected, or while there was no time for them.
    pub(crate) unsaid: u64,
    /// The same of pages of history.
    pub(crate) unasked: u64,
    /// Leaves that were due while all who may leave were away.
    pub(crate) unleft: u64,
    /// Pages of history that were asked for and never came.
    pub(crate) unanswered: u64,
    /// Members who should have been in at the end, and weren't.
    pub(crate) absent: u64,
    /// Pings that weren't answered in time.
    pub(crate) silent: u64,
    /// Requests for a token that were held back with 429.
    pub(crate) held_back: u64,
    /// By code (`a: 5`), and what went wrong in joining.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Closes that weren't ours, by code; 1006 is an end without a word. Those of members who never read are apart.
    pub(crate) closes: BTreeMap<u16, u64>,
    pub(crate) slow_closes: BTreeMap<u16, u64>,
}

impl Counts {
    /// Counts an error. A server may call it as it likes, so names are cut and cleaned, and there are only so many.
    pub(crate) fn error(&mut self, name: &str, times: u64) {
        if let Some(count) = self.errors.get_mut(name) {
            *count += times;
            return;
        }
        let name = printable(name, ERROR_CHARS_MAX);
        let known = self.errors.contains_key(&name) || self.errors.len() < ERRORS_MAX;
        let name = if known { name } else { OTHER.to_owned() };
        *self.errors.entry(name).or_default() += times;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let numbers = [
            (&mut self.sent, other.sent),
            (&mut self.deliveries, other.deliveries),
            (&mut self.bytes, other.bytes),
            (&mut self.joins, other.joins),
            (&mut self.leaves, other.leaves),
            (&mut self.pages, other.pages),
            (&mut self.page_messages, other.page_messages),
            (&mut self.duplicated, other.duplicated),
            (&mut self.reordered, other.reordered),
            (&mut self.strays, other.strays),
            (&mut self.altered, other.altered),
            (&mut self.wrong_pages, other.wrong_pages),
            (&mut self.refused, other.refused),
            (&mut self.unknown, other.unknown),
            (&mut self.unsaid, other.unsaid),
            (&mut self.unasked, other.unasked),
            (&mut self.unleft, other.unleft),
            (&mut self.unanswered, other.unanswered),
            (&mut self.absent, other.absent),
            (&mut self.silent, other.silent),
            (&mut self.held_back, other.held_back),
        ];
        for (sum, more) in numbers {
            *sum += more;
        }
        for (code, count) in &other.errors {
            self.error(code, *count);
        }
        for (code, count) in &other.closes {
            *self.closes.entry(*code).or_default() += count;
        }
        for (code, count) in &other.slow_closes {
            *self.slow_closes.entry(*code).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_counted_by_its_name() {
        let mut counts = Counts::default();
        counts.error("rate_limited", 1);
        counts.error("rate_limited", 2);
        counts.error("no_pong", 0);
        assert_eq!(counts.errors, [("no_pong".to_owned(), 0), ("rate_limited".to_owned(), 3)].into());
    }

    #[test]
    fn names_without_end_are_cut_and_cleaned_and_only_so_many() {
        let (mut worker, mut all) = (Counts::default(), Counts::default());
        for number in 0..10_000 {
            worker.error(&format!("\x1b]0;owned\x07{number} {}", "x".repeat(10_000)), 1);
        }
        all.add(&worker);
        all.add(&worker);
        assert!(all.errors.len() <= ERRORS_MAX + 1 && all.errors[OTHER] > 0);
        assert_eq!(all.errors.values().sum::<u64>(), 20_000, "none is forgotten");
        let plain =
            |name: &String| name.chars().count() <= ERROR_CHARS_MAX + 1 && !name.contains(char::is_control);
        assert!(all.errors.keys().all(plain), "{:?}", all.errors.keys().next());
    }
}
