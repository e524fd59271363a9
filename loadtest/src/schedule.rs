//! When things are due, and whose turn it is. Every worker computes the whole schedule and does its own part of
//! it, so the workers need not talk to each other.

use crate::clock::SECOND_NS;
use crate::plan::Group;

/// Things that are due at a steady rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    start_ns: u64,
    per_s: f64,
    next: u64,
}

impl Schedule {
    /// The first is due at the start.
    pub(crate) fn new(start_ns: u64, per_s: f64) -> Self {
        Self { start_ns, per_s, next: 0 }
    }

    /// When the next is due. Each time is computed from the start, so nothing drifts.
    pub(crate) fn due_ns(&self) -> u64 {
        self.start_ns.saturating_add(whole(self.next as f64 / self.per_s * SECOND_NS as f64))
    }

    /// How many are due by now and weren't taken.
    pub(crate) fn behind(&self, now_ns: u64) -> u64 {
        if now_ns < self.due_ns() {
            return 0;
        }
        let passed_s = (now_ns - self.start_ns) as f64 / SECOND_NS as f64;
        (floor(passed_s * self.per_s) + 1).saturating_sub(self.next).max(1)
    }

    /// The next if it is due: which one it is, and when it should have happened.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        let due_ns = self.due_ns();
        (due_ns <= now_ns).then(|| {
            self.next += 1;
            (self.next - 1, due_ns)
        })
    }
}

/// Rounds what isn't negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounding is what it is for")]
pub(crate) fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// The whole part of what isn't negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "that is what it is for")]
pub(crate) fn floor(number: f64) -> u64 {
    number as u64
}

/// Whose turn it is to speak.
#[derive(Debug)]
pub(crate) struct Turns {
    /// The groups that have speakers, and how many.
    groups: Vec<(u32, u32)>,
    /// The share of all groups up to each one, when they aren't the same.
    shares: Vec<f64>,
}

impl Turns {
    /// The turns of groups, whose shares follow Zipf's law with an exponent; with 0 all get the same.
    pub(crate) fn new(groups: &[Group], zipf: f64) -> Self {
        let talking = (0..).zip(groups).filter(|(_, group)| group.speakers > 0);
        let groups: Vec<_> = talking.map(|(index, group)| (index, group.speakers)).collect();
        let shares = if zipf > 0.0 { cumulative(&zipf_weights(groups.len(), zipf)) } else { Vec::new() };
        Self { groups, shares }
    }

    /// Who says the message of this index: the group and which of its speakers.
    pub(crate) fn of(&self, index: u64) -> (u32, u32) {
        if self.shares.is_empty() {
            let count = self.groups.len() as u64;
            let (group, speakers) = self.groups[small(index % count) as usize];
            return (group, small(index / count % u64::from(speakers)));
        }
        let dice = unit(scatter(index));
        let place = self.shares.partition_point(|&share| share <= dice).min(self.groups.len() - 1);
        let (group, speakers) = self.groups[place];
        (group, small(scatter(index ^ 0x5bd1_e995) % u64::from(speakers)))
    }
}

/// Weights by Zipf's law: the first has 1, the second 1/2^exponent, and so on.
pub(crate) fn zipf_weights(count: usize, exponent: f64) -> Vec<f64> {
    (1..=count).map(|rank| (rank as f64).powf(-exponent)).collect()
}

fn cumulative(weights: &[f64]) -> Vec<f64> {
    let all: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let add = |weight: &f64| {
        sum += weight / all;
        sum
    };
    weights.iter().map(add).collect()
}

/// A number that looks random and is the same in every worker (splitmix64).
#[inline]
pub(crate) fn scatter(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn unit(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

/// A remainder of a u32.
fn small(number: u64) -> u32 {
    u32::try_from(number).expect("less than what it was divided by")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(speakers: &[u32]) -> Vec<Group> {
        speakers.iter().map(|&speakers| Group { members: 5, speakers, ..Group::default() }).collect()
    }

    #[test]
    fn a_late_look_gives_what_was_missed_with_its_own_times() {
        let mut schedule = Schedule::new(1_000, 1_000.0);
        assert_eq!(schedule.take(999), None);
        assert_eq!(schedule.take(2_001_000), Some((0, 1_000)));
        assert_eq!(schedule.take(2_001_000), Some((1, 1_001_000)));
        assert_eq!(schedule.take(2_001_000), Some((2, 2_001_000)));
        assert_eq!(schedule.take(2_001_000), None);
        assert_eq!(schedule.due_ns(), 3_001_000);
    }

    #[test]
    fn what_was_missed_is_counted() {
        let mut schedule = Schedule::new(1_000, 1_000.0);
        assert_eq!((schedule.behind(999), schedule.behind(1_000), schedule.behind(2_001_000)), (0, 1, 3));
        schedule.take(2_001_000);
        assert_eq!((schedule.behind(2_001_000), schedule.behind(1_000_999)), (2, 0));
    }

    #[test]
    fn rates_that_divide_badly_do_not_drift() {
        let mut schedule = Schedule::new(0, 3.0);
        (0..3_000_000).for_each(|_| assert!(schedule.take(u64::MAX).is_some()));
        assert_eq!(schedule.due_ns(), 1_000_000 * SECOND_NS);
    }

    #[test]
    fn turns_go_round_groups_and_their_speakers() {
        let turns = Turns::new(&groups(&[2, 0, 1]), 0.0);
        let heard: Vec<_> = (0..5).map(|index| turns.of(index)).collect();
        assert_eq!(heard, [(0, 0), (2, 0), (0, 1), (2, 0), (0, 0)]);
    }

    #[test]
    fn zipf_gives_the_first_group_the_most() {
        let turns = Turns::new(&groups(&[3; 10]), 1.0);
        let mut said = [0_u32; 10];
        (0..10_000).for_each(|index| said[turns.of(index).0 as usize] += 1);
        assert!(said.iter().sum::<u32>() == 10_000 && said[0] > 3_000 && said[0] < 3_800, "{said:?}");
        assert!(said[9] > 200, "{said:?}");
    }
}
