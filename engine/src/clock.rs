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
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
