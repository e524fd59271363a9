//! The one place that asks what time it is.

use std::time::{Instant, SystemTime};

use crate::domain::Now;

/// Reads the system's clocks.
#[derive(Debug, Clone)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic half begins now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The present.
    pub fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { unix_ms: millis(unix), mono_ms: self.mono_ms() }
    }

    /// Milliseconds since the clock was started.
    pub fn mono_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    /// Milliseconds on a clock that never goes back and runs on while the process is stopped and while the machine sleeps: a node's lease is counted with it.
    #[cfg(target_os = "linux")]
    pub fn boot_ms(&self) -> u64 {
        let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(since_boot.tv_sec), u64::try_from(since_boot.tv_nsec));
        seconds.unwrap_or(0) * 1_000 + nanos.unwrap_or(0) / 1_000_000
    }

    /// Milliseconds on a clock that never goes back. Where there is no better one it stands still while the machine sleeps: many nodes need Linux.
    #[cfg(not(target_os = "linux"))]
    pub fn boot_ms(&self) -> u64 {
        self.mono_ms()
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_goes_as_fast_as_the_other_one() {
        let clock = Clock::start();
        let (boot_ms, mono_ms) = (clock.boot_ms(), clock.mono_ms());
        while clock.mono_ms() < mono_ms + 20 {
            std::thread::yield_now();
        }
        assert!((19..1_000).contains(&(clock.boot_ms() - boot_ms)));
    }
}
