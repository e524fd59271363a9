//! How often: a token bucket.

/// Fills at a steady rate up to a burst; each use takes one.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Thousandths of a use, so that a rate of any size fills without rounding to zero. Below zero for what was taken before its time.
    level_milli: i64,
    filled_ms: u64,
}

/// How fast a [`Bucket`] fills and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Uses a second; 0 for no bound.
    pub per_s: u32,
    /// Uses at once.
    pub burst: u32,
}

impl Bucket {
    /// A full bucket.
    pub fn full(rate: Rate, now_ms: u64) -> Self {
        Self { level_milli: i64::from(rate.burst) * 1_000, filled_ms: now_ms }
    }

    /// Takes one use, or says in how many milliseconds there will be one.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> Result<(), u64> {
        if rate.per_s == 0 {
            return Ok(());
        }
        self.fill(rate, now_ms);
        if self.level_milli >= 1_000 {
            self.level_milli -= 1_000;
            return Ok(());
        }
        Err((1_000 - self.level_milli).unsigned_abs().div_ceil(u64::from(rate.per_s)).max(1))
    }

    /// Takes so many uses, whether there are any or not. Answers how many milliseconds it takes until there would have been.
    pub fn take_ahead(&mut self, uses: u32, rate: Rate, now_ms: u64) -> u64 {
        if rate.per_s == 0 {
            return 0;
        }
        self.fill(rate, now_ms);
        self.level_milli = self.level_milli.saturating_sub(i64::from(uses) * 1_000);
        self.level_milli.min(0).unsigned_abs().div_ceil(u64::from(rate.per_s))
    }

    /// Whether nothing has been taken that isn't filled again: such a bucket needn't be kept.
    pub fn is_full(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.fill(rate, now_ms);
        self.level_milli >= i64::from(rate.burst) * 1_000
    }

    fn fill(&mut self, rate: Rate, now_ms: u64) {
        // One use a second is one thousandth a millisecond.
        let gained = now_ms.saturating_sub(self.filled_ms).saturating_mul(u64::from(rate.per_s));
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        self.level_milli = self.level_milli.saturating_add(gained).min(i64::from(rate.burst) * 1_000);
        self.filled_ms = self.filled_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate { per_s: 20, burst: 60 };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut bucket = Bucket::full(RATE, 0);
        for _ in 0..60 {
            assert_eq!(bucket.take(RATE, 0), Ok(()));
        }
        assert_eq!(bucket.take(RATE, 0), Err(50));
        assert_eq!(bucket.take(RATE, 49), Err(1));
        assert_eq!(bucket.take(RATE, 50), Ok(()));
    }

    #[test]
    fn what_is_taken_ahead_is_waited_for() {
        let mut bucket = Bucket::full(RATE, 0);
        assert_eq!(bucket.take_ahead(60, RATE, 0), 0);
        assert_eq!(bucket.take_ahead(20, RATE, 0), 1_000);
        assert_eq!(bucket.take(RATE, 0), Err(1_050));
        assert_eq!(bucket.take(RATE, 1_049), Err(1));
        assert_eq!(bucket.take(RATE, 1_050), Ok(()));
    }

    #[test]
    fn a_rate_of_zero_is_no_bound() {
        let none = Rate { per_s: 0, burst: 0 };
        let mut bucket = Bucket::full(none, 0);
        assert!((0..1_000).all(|_| bucket.take(none, 0).is_ok()));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_allow(waits in prop::collection::vec(0_u64..200, 1..200)) {
            let (mut now, mut taken) = (0, 0_u64);
            let mut bucket = Bucket::full(RATE, 0);
            for wait in waits {
                now += wait;
                taken += u64::from(bucket.take(RATE, now).is_ok());
                prop_assert!(taken <= 60 + now * 20 / 1_000);
            }
        }

        #[test]
        fn the_told_wait_is_enough(drain in 60_u32..200, at in 0_u64..10_000) {
            let mut bucket = Bucket::full(RATE, 0);
            for _ in 0..drain { let _ = bucket.take(RATE, at); }
            if let Err(wait) = bucket.take(RATE, at) {
                prop_assert_eq!(bucket.take(RATE, at + wait), Ok(()));
            }
        }
    }
}
