//! How often a group crashed lately, and how long it has to wait for the next start. Pure: time is given.

use std::collections::VecDeque;

use crate::config::Limits;

/// The longest quarantine, in milliseconds.
const QUARANTINE_MS_MAX: u64 = 60_000;

/// The crashes of one group.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    recent: VecDeque<u64>,
    quarantines: u32,
}

impl Crashes {
    /// Counts a crash. Answers how long to wait before the next start; 0 is at once.
    pub(super) fn record(&mut self, now_ms: u64, limits: &Limits) -> u64 {
        self.recent.push_back(now_ms);
        while self.recent.front().is_some_and(|crash| crash + limits.restart_window_ms <= now_ms) {
            self.recent.pop_front();
        }
        if self.recent.len() <= limits.restarts_max {
            self.quarantines = 0;
            return 0;
        }
        let wait = limits.quarantine_ms.saturating_mul(1 << self.quarantines.min(16)).min(QUARANTINE_MS_MAX);
        self.quarantines += 1;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_crashes_start_again_at_once_and_more_wait_ever_longer() {
        let limits =
            Limits { restarts_max: 3, restart_window_ms: 60_000, quarantine_ms: 1_000, ..Limits::default() };
        let mut crashes = Crashes::default();
        let waits: Vec<u64> = (0..6).map(|at| crashes.record(at, &limits)).collect();
        assert_eq!(waits, [0, 0, 0, 1_000, 2_000, 4_000]);
        assert_eq!((0..20).map(|at| crashes.record(at, &limits)).max(), Some(60_000));
        assert_eq!(crashes.record(100_000, &limits), 0, "old crashes are forgotten");
    }
}
