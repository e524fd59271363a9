//! What one receiver has heard of each speaker of its group: what is missing, twice or out of order.

use std::collections::BTreeSet;

/// Nothing is known of a speaker yet, so the first message of it that is heard is the right one.
const UNKNOWN: u32 = u32::MAX;

/// How a message fits with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is the next of its speaker.
    InOrder,
    /// Others of its speaker should have come first.
    AfterAGap,
    /// It was missing, and comes after ones that were said later.
    OutOfOrder,
    /// It was heard before.
    Again,
    /// No such speaker is in this group.
    Stray,
}

/// One receiver's account.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The next message of each speaker.
    next: Box<[u32]>,
    /// What was passed over, by speaker and sequence. Empty in a run without faults.
    missing: BTreeSet<(u32, u32)>,
}

impl Tally {
    /// An account of so many speakers.
    pub(crate) fn new(speakers: u32) -> Self {
        Self { next: vec![UNKNOWN; speakers as usize].into(), missing: BTreeSet::new() }
    }

    /// The receiver comes (back): what was said while it wasn't here is in its history, not lost.
    pub(crate) fn begin(&mut self) {
        self.next.fill(UNKNOWN);
    }

    /// The page of history that greets a session: what comes after it continues it. When the page holds all that
    /// was ever said in the group, a speaker who isn't in it has said nothing.
    pub(crate) fn greet(&mut self, page: impl Iterator<Item = (u32, u32)>, holds_everything: bool) {
        if holds_everything {
            self.next.fill(0);
        }
        for (slot, sequence) in page {
            if let Some(next) = self.next.get_mut(slot as usize) {
                *next = sequence + 1;
            }
        }
    }

    /// A message came.
    #[inline]
    pub(crate) fn hear(&mut self, slot: u32, sequence: u32) -> Heard {
        let Some(next) = self.next.get_mut(slot as usize) else { return Heard::Stray };
        if *next == sequence || *next == UNKNOWN {
            *next = sequence + 1;
            return Heard::InOrder;
        }
        if *next < sequence {
            self.missing.extend((*next..sequence).map(|passed| (slot, passed)));
            *next = sequence + 1;
            return Heard::AfterAGap;
        }
        if self.missing.remove(&(slot, sequence)) { Heard::OutOfOrder } else { Heard::Again }
    }

    /// How many were passed over and never came.
    pub(crate) fn gaps(&self) -> u64 {
        self.missing.len() as u64
    }

    /// How many at the end of what a speaker said haven't come.
    pub(crate) fn outstanding(&self, slot: u32, said: u32) -> u64 {
        match self.next.get(slot as usize) {
            None | Some(&UNKNOWN) => 0,
            Some(&next) => u64::from(said.saturating_sub(next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(speakers: u32) -> Tally {
        let mut tally = Tally::new(speakers);
        tally.greet(std::iter::empty(), true);
        tally
    }

    #[test]
    fn all_in_order_leaves_nothing_open() {
        let mut tally = fresh(2);
        for sequence in 0..100 {
            assert_eq!(tally.hear(0, sequence), Heard::InOrder);
            assert_eq!(tally.hear(1, sequence), Heard::InOrder);
        }
        assert_eq!((tally.gaps(), tally.outstanding(0, 100), tally.outstanding(1, 100)), (0, 0, 0));
    }

    #[test]
    fn a_lost_message_is_a_gap_and_a_lost_end_is_outstanding() {
        let mut tally = fresh(1);
        tally.hear(0, 0);
        assert_eq!(tally.hear(0, 3), Heard::AfterAGap);
        assert_eq!(tally.gaps(), 2);
        assert_eq!(tally.outstanding(0, 9), 5);
    }

    #[test]
    fn the_very_first_message_can_be_lost() {
        let mut tally = fresh(1);
        assert_eq!(tally.hear(0, 1), Heard::AfterAGap);
        assert_eq!(tally.gaps(), 1);
    }

    #[test]
    fn a_message_may_be_late_or_twice() {
        let mut tally = fresh(1);
        tally.hear(0, 0);
        tally.hear(0, 2);
        assert_eq!(tally.hear(0, 1), Heard::OutOfOrder);
        assert_eq!(tally.hear(0, 1), Heard::Again);
        assert_eq!(tally.hear(0, 2), Heard::Again);
        assert_eq!(tally.gaps(), 0);
    }

    #[test]
    fn speakers_are_told_apart_and_strangers_known() {
        let mut tally = fresh(2);
        assert_eq!(tally.hear(0, 0), Heard::InOrder);
        assert_eq!(tally.hear(1, 0), Heard::InOrder);
        assert_eq!(tally.hear(2, 0), Heard::Stray);
    }

    #[test]
    fn who_comes_back_continues_its_history() {
        let mut tally = fresh(3);
        tally.hear(0, 0);
        tally.begin();
        tally.greet([(0, 40), (0, 41), (1, 7)].into_iter(), false);
        assert_eq!(tally.hear(0, 42), Heard::InOrder);
        assert_eq!(tally.hear(1, 9), Heard::AfterAGap);
        assert_eq!(tally.hear(2, 500), Heard::InOrder, "nothing was known of it");
        assert_eq!(tally.gaps(), 1);
        tally.begin();
        assert_eq!(tally.outstanding(0, 1_000), 0, "what was said while away isn't lost");
    }
}
