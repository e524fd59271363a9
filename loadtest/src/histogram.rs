//! HDR histograms: one per thread and second, merged by the coordinator. Microseconds, three digits.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A histogram on its way between two processes: each value that occurred, and how often.
pub(crate) type Pairs = Vec<(u64, u64)>;

/// Times, in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Times(Histogram<u64>);

/// What is told of times, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
}

impl Default for Times {
    fn default() -> Self {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order");
        histogram.auto(true);
        Self(histogram)
    }
}

impl Times {
    /// Counts a time given in nanoseconds.
    #[inline]
    pub(crate) fn record_ns(&mut self, time_ns: u64) {
        // Only memory could run out.
        let _ = self.0.record(time_ns / 1_000);
    }

    /// Everything so far, and begins anew.
    pub(crate) fn take(&mut self) -> Pairs {
        if self.0.is_empty() {
            return Pairs::new();
        }
        let pairs = self.0.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value()));
        let pairs = pairs.collect();
        self.0.reset();
        pairs
    }

    /// Counts what another process counted.
    pub(crate) fn add(&mut self, pairs: &[(u64, u64)]) {
        for &(value, count) in pairs {
            let _ = self.0.record_n(value, count);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that so many of a hundred don't exceed, in microseconds.
    pub(crate) fn percentile_us(&self, percentile: f64) -> u64 {
        self.0.value_at_percentile(percentile)
    }

    pub(crate) fn summary(&self) -> Summary {
        if self.0.is_empty() {
            return Summary::default();
        }
        Summary {
            count: self.0.len(),
            mean_us: self.0.mean(),
            p50_us: self.percentile_us(50.0),
            p90_us: self.percentile_us(90.0),
            p99_us: self.percentile_us(99.0),
            p999_us: self.percentile_us(99.9),
            max_us: self.0.max(),
        }
    }

    /// The distribution for a plot whose axis counts nines: (percentile, microseconds).
    pub(crate) fn distribution(&self) -> Vec<(f64, u64)> {
        const STEPS_PER_NINE: i32 = 8;
        let nines = (self.0.len().max(10) as f64).log10();
        let percentile =
            |step: i32| 100.0 * (1.0 - 0.1_f64.powf(f64::from(step) / f64::from(STEPS_PER_NINE)));
        (0..)
            .take_while(|&step| f64::from(step) / f64::from(STEPS_PER_NINE) <= nines)
            .map(|step| (percentile(step), self.percentile_us(percentile(step))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_is_as_if_one_had_counted_all() {
        let (mut one, mut other, mut all, mut merged) = <(Times, Times, Times, Times)>::default();
        for time in 1..=10_000_u64 {
            all.record_ns(time * 7_000);
            if time % 3 == 0 { &mut one } else { &mut other }.record_ns(time * 7_000);
        }
        merged.add(&one.take());
        merged.add(&other.take());
        let (all, merged) = (all.summary(), merged.summary());
        assert_eq!(
            (all.count, all.p50_us, all.p99_us, all.max_us),
            (merged.count, merged.p50_us, merged.p99_us, merged.max_us)
        );
        assert!(one.is_empty(), "what was taken is gone");
    }

    #[test]
    fn a_distribution_rises() {
        let mut times = Times::default();
        (1..=1_000).for_each(|time| times.record_ns(time * 1_000));
        let plot = times.distribution();
        assert!(plot.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        assert_eq!(plot.first().map(|first| first.0), Some(0.0));
    }
}
