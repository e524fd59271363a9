//! The clock that latencies are measured by, and the timer that wakes an event loop by it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Nanoseconds in a second.
pub const SECOND_NS: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND_NS: u64 = 1_000_000;

/// CLOCK_MONOTONIC in nanoseconds. All processes of a machine read the same one, so a message may be said by one
/// worker process and heard by another.
pub fn now_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// What this process has used of the CPUs, in nanoseconds.
pub fn cpu_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).expect("clocks that count from zero");
    seconds * SECOND_NS + u64::try_from(time.tv_nsec).expect("nanoseconds aren't negative")
}

/// Wakes a poll at an exact time. A poll's own timeout has whole milliseconds, and half of one would be added to
/// the latency of every message.
pub struct Timer {
    timer: OwnedFd,
    armed_for_ns: u64,
}

impl Timer {
    /// One that isn't armed.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { timer: timerfd_create(TimerfdClockId::Monotonic, flags)?, armed_for_ns: 0 })
    }

    /// What to register with a poll, for reading.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.timer
    }

    /// Wakes the poll at a time, once. A time that has passed wakes it at once.
    pub fn wake_at(&mut self, at_ns: u64) -> io::Result<()> {
        if self.armed_for_ns == at_ns {
            return Ok(());
        }
        // Zero would disarm the timer.
        let at_ns = at_ns.max(1);
        let value = Timespec {
            tv_sec: i64::try_from(at_ns / SECOND_NS).expect("less than the age of the universe"),
            tv_nsec: i64::try_from(at_ns % SECOND_NS).expect("less than a second"),
        };
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::ABSTIME,
            &Itimerspec { it_interval: once, it_value: value },
        )?;
        self.armed_for_ns = at_ns;
        Ok(())
    }

    /// The timer has fired: it is disarmed.
    pub fn fired(&mut self) {
        self.armed_for_ns = 0;
    }
}
