//! Who has heard what: every message is accounted for, for every member.

use hdrhistogram::Histogram;

use kijimuna_loadtest::message::Stamp;
use kijimuna_loadtest::tally::{Heard, Tally};

/// The accounts of a crowd.
pub(crate) struct Ledger {
    run: u32,
    speakers: usize,
    members: u64,
    /// How many messages each speaker has said: by group and slot.
    said: Vec<u32>,
    /// Deliveries that were due.
    due: u64,
    /// Deliveries, each message once for each member.
    pub(crate) heard: u64,
    /// Deliveries of what the member had heard already.
    pub(crate) doubled: u64,
    /// Deliveries, heard all the same, that came after what their speaker said later.
    pub(crate) disordered: u64,
    /// In microseconds, while measuring.
    times: Histogram<u64>,
    pub(crate) measuring: bool,
}

impl Ledger {
    pub(crate) fn new(run: u32, groups: u32, speakers: u32, members: u32) -> Self {
        let times = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order");
        Self {
            run,
            speakers: speakers as usize,
            members: u64::from(members),
            said: vec![0; (groups * speakers) as usize],
            due: 0,
            heard: 0,
            doubled: 0,
            disordered: 0,
            times,
            measuring: false,
        }
    }

    /// What a newcomer has heard: nothing, and nothing was said before it came.
    pub(crate) fn newcomer(&self) -> Tally {
        let mut tally = Tally::new(u32::try_from(self.speakers).expect("it was one"));
        tally.greet(std::iter::empty(), true);
        tally
    }

    /// A speaker is about to say its next message.
    pub(crate) fn say(&mut self, group: u32, slot: u32, intended_ns: u64) -> Stamp {
        let said = &mut self.said[group as usize * self.speakers + slot as usize];
        let stamp = Stamp { run: self.run, group, slot, sequence: *said, intended_ns };
        *said += 1;
        self.due += self.members;
        stamp
    }

    /// A member of a group has heard something. False when it was nothing of this run or nothing new.
    #[inline]
    pub(crate) fn hear(&mut self, group: u32, heard: &mut Tally, stamp: Stamp, now_ns: u64) -> bool {
        if stamp.run != self.run || stamp.group != group {
            return false;
        }
        // The others' messages have no place in their group that one could follow.
        match heard.hear(stamp.slot, stamp.sequence, None) {
            Heard::InOrder | Heard::AfterAGap => {}
            Heard::OutOfOrder => self.disordered += 1,
            Heard::Again => {
                self.doubled += 1;
                return false;
            }
            Heard::Impossible | Heard::Stray => return false,
        }
        self.heard += 1;
        if self.measuring {
            // What is longer than a minute counts as a minute.
            self.times.saturating_record(now_ns.saturating_sub(stamp.intended_ns) / 1_000);
        }
        true
    }

    /// Deliveries that haven't come.
    pub(crate) fn missing(&self) -> u64 {
        self.due.saturating_sub(self.heard)
    }

    /// The time that so many of a hundred deliveries didn't exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, percentile: f64) -> f64 {
        self.times.value_at_percentile(percentile) as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_or_doubled_shows() {
        let mut ledger = Ledger::new(9, 1, 2, 3);
        let stamps: Vec<_> = (0..4).map(|number| ledger.say(0, number % 2, 0)).collect();
        let mut members = [ledger.newcomer(), ledger.newcomer(), ledger.newcomer()];
        for member in &mut members {
            assert!(stamps.iter().all(|&stamp| ledger.hear(0, member, stamp, 5_000)));
        }
        assert_eq!((ledger.missing(), ledger.doubled, ledger.heard), (0, 0, 12));
        assert!(!ledger.hear(0, &mut members[0], stamps[1], 0));
        assert_eq!((ledger.missing(), ledger.doubled), (0, 1));
        assert!(!ledger.hear(0, &mut members[0], Stamp { run: 8, ..stamps[1] }, 0), "another run's");
        ledger.say(0, 0, 0);
        let later = ledger.say(0, 0, 0);
        assert!(ledger.hear(0, &mut members[0], later, 0));
        assert_eq!(ledger.missing(), 5, "one before it, and both for two others");
        let passed = Stamp { sequence: later.sequence - 1, ..later };
        assert!(ledger.hear(0, &mut members[0], passed, 0), "late, but heard");
        assert_eq!((ledger.missing(), ledger.doubled, ledger.disordered), (4, 1, 1));
    }
}
