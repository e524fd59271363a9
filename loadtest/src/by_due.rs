//! Times of messages by when they were due. Whether one was due in a storm is known only once all are back, and it may
//! be heard long after that.

use std::collections::BTreeMap;

use crate::clock::MILLISECOND_NS;
use crate::histogram::Times;

/// Messages that were due in the same slice of time are told together.
const SLICE_NS: u64 = 10 * MILLISECOND_NS;
/// What is left of a time: three digits, as a histogram has them.
const BITS: u32 = 11;

/// On its way between two processes: the slice in which messages were due, what they took in microseconds, and how many
/// did.
pub(crate) type Slices = Vec<(u32, u64, u64)>;

/// Times of what was due after a moment.
#[derive(Debug, Default)]
pub(crate) struct ByDue(BTreeMap<(u32, u64), u64>);

impl ByDue {
    /// Counts the time of a message that was due so long after the moment.
    pub(crate) fn record_ns(&mut self, after_ns: u64, time_ns: u64) {
        let slice = u32::try_from(after_ns / SLICE_NS).unwrap_or(u32::MAX);
        *self.0.entry((slice, rounded(time_ns / 1_000))).or_default() += 1;
    }

    /// Everything so far, and begins anew.
    pub(crate) fn take(&mut self) -> Slices {
        std::mem::take(&mut self.0).into_iter().map(|((slice, us), count)| (slice, us, count)).collect()
    }

    /// Counts what another process counted.
    pub(crate) fn add(&mut self, slices: &[(u32, u64, u64)]) {
        for &(slice, us, count) in slices {
            *self.0.entry((slice, us)).or_default() += count;
        }
    }

    /// The times of what was due less than so long after the moment.
    pub(crate) fn before(&self, after_ns: u64) -> Times {
        let end = u32::try_from(after_ns.div_ceil(SLICE_NS)).unwrap_or(u32::MAX);
        let within: Vec<_> = self.0.range(..(end, 0)).map(|(&(_, us), &count)| (us, count)).collect();
        let mut times = Times::default();
        times.add(&within);
        times
    }
}

fn rounded(us: u64) -> u64 {
    let spare = u64::BITS.saturating_sub(us.leading_zeros() + BITS);
    us >> spare << spare
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND_NS;

    #[test]
    fn what_was_due_later_is_left_out_whenever_it_was_heard() {
        let (mut worker, mut all) = (ByDue::default(), ByDue::default());
        worker.record_ns(0, 5 * SECOND_NS);
        worker.record_ns(SECOND_NS, 3_000_000);
        all.add(&worker.take());
        worker.record_ns(SECOND_NS / 2, 4 * SECOND_NS);
        all.add(&worker.take());
        assert!(worker.take().is_empty(), "what was taken is gone");
        let times = |after_ns| {
            let summary = all.before(after_ns).summary();
            (summary.count, summary.p50_us / 100_000)
        };
        assert_eq!((times(0), times(SECOND_NS)), ((0, 0), (2, 40)));
        assert_eq!((times(SECOND_NS + 1).0, times(u64::MAX).0), (3, 3));
    }

    #[test]
    fn times_keep_three_digits() {
        for us in [0, 1, 999, 2_047, 2_048, 123_456, u64::MAX] {
            assert!(rounded(us) <= us && us - rounded(us) <= us / 1_000, "{us}");
        }
    }
}
