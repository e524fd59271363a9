//! The clock that latencies are measured by, and the timer that wakes an event loop by it.

use std::io;
use std::os::fd::OwnedFd;

use nix::time::ClockId as CpuClock;
use nix::unistd::Pid;
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

/// What another process of this machine has used of the CPUs, user and system, in nanoseconds: of all its threads, those
/// that have ended, too. `None` when there is no such process. What `/proc` tells of the same has steps of 10 ms.
pub fn cpu_of_ns(pid: u32) -> Option<u64> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let time = CpuClock::pid_cpu_clock_id(pid).and_then(CpuClock::now).ok()?;
    u64::try_from(std::time::Duration::from(time).as_nanos()).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_uses_is_known_to_less_than_a_tick_and_of_threads_that_ended() {
        let own = std::process::id();
        let read_ns = || cpu_of_ns(own).unwrap();
        let worked_ns = std::thread::spawn(|| {
            let begin_ns = clock_gettime(ClockId::ThreadCPUTime);
            while nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
                < nanoseconds(begin_ns) + 20 * MILLISECOND_NS
            {}
            nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
        });
        let worked_ns = worked_ns.join().unwrap();
        let (before_ns, used_ns, after_ns) = (cpu_ns(), read_ns(), cpu_ns());
        assert!(before_ns <= used_ns && used_ns <= after_ns, "{before_ns} {used_ns} {after_ns}");
        assert!(used_ns >= worked_ns && worked_ns >= 20 * MILLISECOND_NS);
        assert_eq!(cpu_of_ns(u32::MAX), None);
    }
}
