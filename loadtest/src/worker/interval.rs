//! What this worker counts between two ticks.

use crate::by_due::ByDue;
use crate::clock;
use crate::histogram::Times;
use crate::link::{Counts, Phase, Tick};

#[derive(Default)]
pub(super) struct Interval {
    pub(super) counts: Counts,
    latency: Times,
    calm: Times,
    storm: ByDue,
    /// From when on it is measured, and when the storm is, where there is one.
    measure_ns: u64,
    storm_ns: Option<u64>,
    pub(super) late: Times,
    pub(super) join: Times,
    pub(super) page: Times,
    begin_ns: u64,
    cpu_ns: u64,
}

impl Interval {
    /// Everything since the last time, and begins anew.
    pub(super) fn take(&mut self, end_ns: u64, phase: Phase, connected: u64) -> Tick {
        let cpu_ns = clock::cpu_ns();
        let tick = Tick {
            worker: 0,
            begin_ns: self.begin_ns,
            end_ns,
            phase,
            counts: std::mem::take(&mut self.counts),
            latency: self.latency.take(),
            calm: self.calm.take(),
            storm: self.storm.take(),
            late: self.late.take(),
            join: self.join.take(),
            page: self.page.take(),
            connected,
            cpu_ns: cpu_ns - self.cpu_ns,
        };
        self.begin(end_ns);
        tick
    }

    pub(super) fn begin_ns(&self) -> u64 {
        self.begin_ns
    }

    /// Counts from here on.
    pub(super) fn begin(&mut self, begin_ns: u64) {
        self.begin_ns = begin_ns;
        self.cpu_ns = clock::cpu_ns();
    }

    /// What was due from the one moment on is calm, and from the other on stormy, whenever it is heard.
    pub(super) fn divide(&mut self, measure_ns: u64, storm_ns: Option<u64>) {
        (self.measure_ns, self.storm_ns) = (measure_ns, storm_ns);
    }

    /// How long a message took that was due at a time, or was waited for in vain.
    #[inline]
    pub(super) fn latency(&mut self, due_ns: u64, time_ns: u64) {
        self.latency.record_ns(time_ns);
        let Some(storm_ns) = self.storm_ns else { return };
        if due_ns >= storm_ns {
            self.storm.record_ns(due_ns - storm_ns, time_ns);
        } else if due_ns >= self.measure_ns {
            self.calm.record_ns(time_ns);
        }
    }

    /// The same of one of which it isn't known when it was due.
    pub(super) fn latency_of_unknown(&mut self, time_ns: u64) {
        self.latency.record_ns(time_ns);
    }

    pub(super) fn error(&mut self, code: &str) {
        self.counts.error(code, 1);
    }

    pub(super) fn close(&mut self, code: u16, slow: bool) {
        let closes = if slow { &mut self.counts.slow_closes } else { &mut self.counts.closes };
        *closes.entry(code).or_default() += 1;
    }
}
