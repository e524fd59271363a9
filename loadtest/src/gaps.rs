//! Numbers that were passed over, as ranges: a jump over a million takes no more memory than one over a single one.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges that don't overlap.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Where each begins, and where it ends: the end isn't in it.
    ranges: BTreeMap<u64, u64>,
}

impl Gaps {
    /// Everything from `begin` until before `end` was passed over, for the first time.
    pub(crate) fn pass_over(&mut self, begin: u64, end: u64) {
        if begin < end {
            self.ranges.insert(begin, end);
        }
    }

    /// A number comes after all. False when it wasn't missing.
    pub(crate) fn fill(&mut self, number: u64) -> bool {
        let Some((&begin, &end)) = self.ranges.range(..=number).next_back() else { return false };
        if number >= end {
            return false;
        }
        self.ranges.remove(&begin);
        self.pass_over(begin, number);
        self.pass_over(number + 1, end);
        true
    }

    /// How many are missing.
    pub(crate) fn count(&self) -> u64 {
        self.ranges.iter().map(|(begin, end)| end - begin).sum()
    }

    /// How many are missing from `begin` until before `end`.
    pub(crate) fn count_within(&self, begin: u64, end: u64) -> u64 {
        self.within(begin, end).map(|range| range.end - range.start).sum()
    }

    /// What is missing from `begin` until before `end`, the last first.
    pub(crate) fn within(&self, begin: u64, end: u64) -> impl Iterator<Item = Range<u64>> {
        let within = self.ranges.range(..end).rev().take_while(move |&(_, &range_end)| range_end > begin);
        within.map(move |(&range_begin, &range_end)| range_begin.max(begin)..range_end.min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_missing_no_more() {
        let mut gaps = Gaps::default();
        gaps.pass_over(3, 6);
        assert!(!gaps.fill(2) && !gaps.fill(6));
        assert!(gaps.fill(4) && !gaps.fill(4));
        assert_eq!(gaps.count(), 2);
        assert!(gaps.fill(3) && gaps.fill(5));
        assert_eq!(gaps.count(), 0);
    }

    #[test]
    fn a_huge_gap_is_one_range() {
        let mut gaps = Gaps::default();
        gaps.pass_over(1, u64::MAX);
        assert_eq!((gaps.count(), gaps.ranges.len()), (u64::MAX - 1, 1));
    }

    #[test]
    fn a_part_is_counted_by_itself() {
        let mut gaps = Gaps::default();
        gaps.pass_over(10, 20);
        gaps.pass_over(30, 40);
        assert_eq!(gaps.count_within(0, 100), 20);
        assert_eq!(gaps.count_within(15, 32), 7);
        assert_eq!(gaps.count_within(20, 30), 0);
    }
}
