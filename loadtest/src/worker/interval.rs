//! What this worker counts between two ticks.

use crate::clock;
use crate::histogram::Times;
use crate::link::{Counts, Phase, Tick};

#[derive(Default)]
pub(super) struct Interval {
    pub(super) counts: Counts,
    pub(super) latency: Times,
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

    pub(super) fn error(&mut self, code: &str) {
        self.counts.error(code, 1);
    }

    pub(super) fn close(&mut self, code: u16) {
        *self.counts.closes.entry(code).or_default() += 1;
    }
}
