//! A machine with a clock of its own.

use super::At;
use super::chance::Chance;
use super::node::Node;

/// A machine on which a process runs, or none.
pub(super) struct Host {
    pub(super) node: Option<Node>,
    pub(super) life: u64,
    /// Its clock began then, and goes so much per thousand.
    pub(super) began_ms: u64,
    pub(super) rate: u64,
    pub(super) stopped_until_ms: u64,
    pub(super) ambush: Option<(&'static str, u64)>,
    /// What came while it was stopped.
    pub(super) held: Vec<At>,
    pub(super) cut_until_ms: u64,
    pub(super) mute_until_ms: u64,
    pub(super) wakes_ms: Option<u64>,
    /// Requests that wait for an answer or for the end of their time.
    pub(super) waiting: Vec<u64>,
}

impl Host {
    pub(super) fn new(chance: &mut Chance) -> Self {
        Self {
            node: None,
            life: 0,
            began_ms: chance.between(0, 1_000_000),
            // As wrong as the margin allows: 4 s of the slowest clock are less than 5 s of the fastest.
            rate: [890, 1_000, 1_110][usize::try_from(chance.between(0, 3)).unwrap()],
            stopped_until_ms: 0,
            ambush: None,
            held: Vec::new(),
            cut_until_ms: 0,
            mute_until_ms: 0,
            wakes_ms: None,
            waiting: Vec::new(),
        }
    }

    pub(super) fn clock_ms(&self, now_ms: u64) -> u64 {
        self.began_ms + now_ms * self.rate / 1_000
    }

    /// The first instant at which the clock shows that time.
    pub(super) fn instant_ms(&self, clock_ms: u64) -> u64 {
        (clock_ms.saturating_sub(self.began_ms) * 1_000).div_ceil(self.rate)
    }
}
