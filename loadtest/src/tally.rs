//! What one receiver has heard, of each speaker and of its group: what is missing, twice or out of order.
//!
//! A speaker's messages are numbered by itself, from 0; a group's by the server, from 1: their places. The one shows
//! what never got into the group, the other the order between speakers. Both are told of each message, and whatever
//! either of them finds is counted once.

use crate::gaps::Gaps;

/// Nothing is known of a speaker yet, so the first message of it that is heard is the right one.
const UNKNOWN: u32 = u32::MAX;
/// Nothing is known of the group's places yet.
const NO_PLACE: u64 = 0;
/// A number that is further ahead than this can't have been reached.
const AHEAD_MAX: u64 = 1 << 20;

/// How a message fits with those before it; the worse come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// It is the next.
    InOrder,
    /// Others should have come first.
    AfterAGap,
    /// It was missing, and comes after ones that were said later.
    OutOfOrder,
    /// It was heard before.
    Again,
    /// So many can't have been said.
    Impossible,
    /// No such speaker is in this group.
    Stray,
}

/// What a speaker has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speech {
    /// Whose it is.
    pub slot: u32,
    /// How many messages, numbered from 0.
    pub count: u32,
    /// How many of them the server refused. It doesn't say which.
    pub refused: u32,
}

impl Speech {
    /// The messages that should be heard.
    fn accepted(&self) -> u64 {
        u64::from(self.count.saturating_sub(self.refused))
    }
}

/// One receiver's account.
#[derive(Debug)]
pub struct Tally {
    /// The next message of each speaker.
    next: Box<[u32]>,
    /// What was passed over, by speaker and number.
    passed: Gaps,
    /// The next place of the group.
    next_place: u64,
    places_passed: Gaps,
    /// The last place that was ever heard, in whatever session.
    reached: u64,
}

impl Tally {
    /// An account of so many speakers.
    pub fn new(speakers: u32) -> Self {
        Self {
            next: vec![UNKNOWN; speakers as usize].into(),
            passed: Gaps::default(),
            next_place: NO_PLACE,
            places_passed: Gaps::default(),
            reached: 0,
        }
    }

    /// The receiver comes (back): what was said while it wasn't here is in its history, not lost.
    pub fn begin(&mut self) {
        self.next.fill(UNKNOWN);
        self.next_place = NO_PLACE;
    }

    /// The page of history that greets a session, as speaker, number and place of each message: what comes after it
    /// continues it. When the page holds all that was ever said in the group, a speaker who isn't in it has said
    /// nothing.
    pub fn greet(&mut self, page: impl Iterator<Item = (u32, u32, u64)>, holds_everything: bool) {
        if holds_everything {
            self.next.fill(0);
            self.next_place = 1;
        }
        for (slot, sequence, place) in page {
            if let Some(next) = self.next.get_mut(slot as usize) {
                *next = sequence.saturating_add(1);
            }
            self.next_place = place.saturating_add(1);
            self.reached = self.reached.max(place);
        }
    }

    /// A session begins after this place, of which it is told instead of a page: nothing is known of the speakers unless
    /// nobody has said anything.
    pub(crate) fn greet_after(&mut self, place: u64) {
        self.greet(std::iter::empty(), place == 0);
        self.next_place = place.saturating_add(1);
        self.reached = self.reached.max(place);
    }

    /// A message came. The place is `None` where it can't be known.
    #[inline]
    pub fn hear(&mut self, slot: u32, sequence: u32, place: Option<u64>) -> Heard {
        let of_speaker = self.hear_speaker(slot, sequence);
        if of_speaker >= Heard::Impossible {
            return of_speaker;
        }
        of_speaker.max(place.map_or(Heard::InOrder, |place| self.hear_place(place)))
    }

    #[inline]
    fn hear_speaker(&mut self, slot: u32, sequence: u32) -> Heard {
        let Some(next) = self.next.get_mut(slot as usize) else { return Heard::Stray };
        if sequence == UNKNOWN {
            return Heard::Impossible;
        }
        if *next == sequence || *next == UNKNOWN {
            *next = sequence + 1;
            return Heard::InOrder;
        }
        if *next < sequence {
            if u64::from(sequence - *next) > AHEAD_MAX {
                return Heard::Impossible;
            }
            self.passed.pass_over(key(slot, *next), key(slot, sequence));
            *next = sequence + 1;
            return Heard::AfterAGap;
        }
        if self.passed.fill(key(slot, sequence)) { Heard::OutOfOrder } else { Heard::Again }
    }

    #[inline]
    fn hear_place(&mut self, place: u64) -> Heard {
        if place == self.next_place || self.next_place == NO_PLACE && place < u64::MAX {
            self.next_place = place + 1;
            self.reached = self.reached.max(place);
            return Heard::InOrder;
        }
        if place > self.next_place {
            if place - self.next_place > AHEAD_MAX {
                return Heard::Impossible;
            }
            self.places_passed.pass_over(self.next_place, place);
            self.next_place = place + 1;
            self.reached = self.reached.max(place);
            return Heard::AfterAGap;
        }
        if self.places_passed.fill(place) { Heard::OutOfOrder } else { Heard::Again }
    }

    /// The last place that was heard.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// How many haven't come of what was said in the group.
    pub fn outstanding(&self, said: &[Speech]) -> u64 {
        // What was refused is among what was passed over, or at the end.
        let of_speaker = |of: &Speech| self.lost_of(of).min(u64::from(self.outstanding_of(of)));
        said.iter().map(of_speaker).sum::<u64>().max(self.places_outstanding(said))
    }

    /// Every message that is accepted gets the next place, so the last place is known, where there are places at all.
    fn places_outstanding(&self, said: &[Speech]) -> u64 {
        let last: u64 = said.iter().map(Speech::accepted).sum();
        let known = self.next_place != NO_PLACE && self.reached > 0;
        if known { (last + 1).saturating_sub(self.next_place) } else { 0 }
    }

    /// How many at the end of what a speaker said haven't come.
    fn outstanding_of(&self, said: &Speech) -> u32 {
        match self.next.get(said.slot as usize) {
            None | Some(&UNKNOWN) => 0,
            Some(&next) => said.count.saturating_sub(next),
        }
    }

    /// How many of a speaker's messages haven't come, beside those that were refused.
    fn lost_of(&self, said: &Speech) -> u64 {
        let passed = self.passed.count_within(key(said.slot, 0), key(said.slot, said.count));
        (passed + u64::from(self.outstanding_of(said))).saturating_sub(u64::from(said.refused))
    }

    /// How many were lost of what was said: those that were passed over, and those at the end, but for as many as were
    /// refused. A message that is missing among its speaker's and among the group's is one.
    pub fn lost(&self, said: &[Speech]) -> u64 {
        let of_speakers = said.iter().map(|of| self.lost_of(of)).sum::<u64>();
        of_speakers.max(self.places_passed.count() + self.places_outstanding(said))
    }

    /// Which of each speaker's messages haven't come, as speaker and number; as many are left out as were refused. Those of
    /// a speaker of whom nothing is known aren't among them.
    pub fn missing<'a>(&'a self, said: &'a [Speech]) -> impl Iterator<Item = (u32, u32)> + 'a {
        said.iter().flat_map(move |of| {
            let Speech { slot, count, refused } = *of;
            let gaps = self.passed.within(key(slot, 0), key(slot, count)).flatten().map(sequence);
            let all = gaps.chain(count - self.outstanding_of(of)..count);
            all.skip(refused as usize).map(move |sequence| (slot, sequence))
        })
    }

    /// How many speakers were heard saying what they never said.
    pub fn invented(&self, said: &[Speech]) -> u64 {
        let count_of = |slot: usize| said.iter().find(|of| of.slot as usize == slot).map_or(0, |of| of.count);
        let heard = self.next.iter().enumerate().filter(|&(_, &next)| next != UNKNOWN && next > 0);
        heard.filter(|&(slot, &next)| next > count_of(slot)).count() as u64
    }
}

fn key(slot: u32, sequence: u32) -> u64 {
    u64::from(slot) << 32 | u64::from(sequence)
}

/// The number in a key.
fn sequence(key: u64) -> u32 {
    u32::try_from(key & 0xffff_ffff).expect("32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(speakers: u32) -> Tally {
        let mut tally = Tally::new(speakers);
        tally.greet(std::iter::empty(), true);
        tally
    }

    fn said<const COUNT: usize>(of: [(u32, u32); COUNT]) -> [Speech; COUNT] {
        of.map(|(slot, count)| Speech { slot, count, refused: 0 })
    }

    #[test]
    fn what_was_refused_is_not_lost() {
        let mut tally = fresh(2);
        tally.hear(0, 0, Some(1));
        tally.hear(0, 3, Some(2));
        let said = |refused| [Speech { slot: 0, count: 6, refused }];
        let told = |refused| {
            let missing = tally.missing(&said(refused)).count() as u64;
            (tally.lost(&said(refused)), missing, tally.outstanding(&said(refused)))
        };
        assert_eq!((told(0), told(2)), ((4, 4, 4), (2, 2, 2)));
        assert_eq!((told(3), told(4), told(5)), ((1, 1, 1), (0, 0, 0), (0, 0, 0)));
        let others = Speech { slot: 1, count: 3, refused: 1 };
        assert_eq!(tally.lost(&[said(4)[0], others]), 2, "they are another's");
        tally.hear(0, 5, Some(5));
        assert_eq!(tally.lost(&said(3)), 2, "of two more it is known that they were accepted");
    }

    #[test]
    fn all_in_order_leaves_nothing_open() {
        let mut tally = fresh(2);
        for sequence in 0..100 {
            assert_eq!(tally.hear(0, sequence, Some(u64::from(sequence) * 2 + 1)), Heard::InOrder);
            assert_eq!(tally.hear(1, sequence, Some(u64::from(sequence) * 2 + 2)), Heard::InOrder);
        }
        let said = said([(0, 100), (1, 100)]);
        assert_eq!((tally.lost(&said), tally.outstanding(&said), tally.invented(&said)), (0, 0, 0));
    }

    #[test]
    fn a_lost_message_is_a_gap_and_a_lost_end_is_outstanding() {
        let mut tally = fresh(1);
        tally.hear(0, 0, Some(1));
        assert_eq!(tally.hear(0, 3, Some(4)), Heard::AfterAGap);
        assert_eq!((tally.lost(&said([(0, 4)])), tally.outstanding(&said([(0, 4)]))), (2, 0));
        assert_eq!((tally.lost(&said([(0, 9)])), tally.outstanding(&said([(0, 9)]))), (7, 5));
        let missing: Vec<_> = tally.missing(&said([(0, 6)])).collect();
        assert_eq!(missing, [(0, 1), (0, 2), (0, 4), (0, 5)]);
    }

    #[test]
    fn who_begins_after_a_place_misses_what_follows_it() {
        let mut tally = Tally::new(2);
        tally.greet_after(7);
        assert_eq!(tally.hear(1, 40, Some(9)), Heard::AfterAGap);
        assert_eq!((tally.lost(&said([(0, 5), (1, 4)])), tally.reached()), (1, 9));
        tally.begin();
        tally.greet_after(0);
        assert_eq!(tally.hear(0, 1, Some(2)), Heard::AfterAGap, "the first was the first of all");
    }

    #[test]
    fn a_message_lost_before_it_got_a_place_is_lost_all_the_same() {
        let mut tally = fresh(1);
        tally.hear(0, 0, Some(1));
        assert_eq!(tally.hear(0, 2, Some(2)), Heard::AfterAGap);
        assert_eq!(tally.lost(&said([(0, 3)])), 1);
    }

    #[test]
    fn the_very_first_message_can_be_lost() {
        let mut tally = fresh(1);
        assert_eq!(tally.hear(0, 1, None), Heard::AfterAGap);
        assert_eq!(tally.lost(&said([(0, 2)])), 1);
    }

    #[test]
    fn a_message_may_be_late_or_twice() {
        let mut tally = fresh(1);
        tally.hear(0, 0, Some(1));
        tally.hear(0, 2, Some(3));
        assert_eq!(tally.hear(0, 1, Some(2)), Heard::OutOfOrder);
        assert_eq!(tally.hear(0, 1, Some(2)), Heard::Again);
        assert_eq!(tally.hear(0, 2, Some(4)), Heard::Again, "stored twice");
        assert_eq!(tally.lost(&said([(0, 3)])), 0);
    }

    #[test]
    fn two_speakers_out_of_order_are_seen_by_their_places() {
        let mut tally = fresh(2);
        assert_eq!(tally.hear(1, 0, Some(2)), Heard::AfterAGap);
        assert_eq!(tally.hear(0, 0, Some(1)), Heard::OutOfOrder);
        assert_eq!(tally.lost(&said([(0, 1), (1, 1)])), 0);
    }

    #[test]
    fn numbers_that_nobody_can_have_reached_are_refused_and_cost_nothing() {
        let mut tally = fresh(1);
        assert_eq!(tally.hear(0, u32::MAX, Some(1)), Heard::Impossible);
        assert_eq!(tally.hear(0, 0xffff_fff0, Some(1)), Heard::Impossible);
        assert_eq!(tally.hear(0, 0, Some(u64::MAX)), Heard::Impossible);
        assert_eq!(tally.hear(0, 1, Some(1)), Heard::InOrder);
        let mut unknown = Tally::new(1);
        assert_eq!(unknown.hear(0, u32::MAX, Some(u64::MAX)), Heard::Impossible);
        assert_eq!(unknown.hear(0, u32::MAX - 1, None), Heard::InOrder);
    }

    #[test]
    fn what_was_never_said_is_neither_lost_nor_overlooked() {
        let mut tally = fresh(1);
        tally.hear(0, 0, None);
        assert_eq!(tally.hear(0, 1_000, None), Heard::AfterAGap);
        assert_eq!((tally.lost(&said([(0, 3)])), tally.invented(&said([(0, 3)]))), (2, 1));
    }

    #[test]
    fn speakers_are_told_apart_and_strangers_known() {
        let mut tally = fresh(2);
        assert_eq!(tally.hear(0, 0, None), Heard::InOrder);
        assert_eq!(tally.hear(1, 0, None), Heard::InOrder);
        assert_eq!(tally.hear(2, 0, None), Heard::Stray);
    }

    #[test]
    fn who_comes_back_continues_its_history() {
        let mut tally = fresh(3);
        tally.hear(0, 0, Some(1));
        tally.begin();
        tally.greet([(0, 40, 60), (0, 41, 61), (1, 7, 62)].into_iter(), false);
        assert_eq!(tally.hear(0, 42, Some(63)), Heard::InOrder);
        assert_eq!(tally.hear(1, 9, Some(65)), Heard::AfterAGap);
        assert_eq!(tally.hear(2, 500, Some(66)), Heard::InOrder, "nothing was known of it");
        let said = said([(0, 43), (1, 10), (2, 501)]);
        assert_eq!((tally.lost(&said[..2]), tally.reached()), (1, 66));
        tally.begin();
        assert_eq!(tally.outstanding(&said), 0, "what was said while away isn't lost");
    }
}
