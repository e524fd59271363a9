//! Whether the server still lives: a server that stands still looks like one at rest, since its sockets stay open and
//! nothing comes. So members ping it in turn while the run goes on, and as many as may at its end.

use std::collections::{BTreeMap, VecDeque};

use super::{Stage, Worker};
use crate::clock::MILLISECOND_NS;
use crate::frames;

/// How often a member of any worker pings. Few pings are enough, and cost the server next to nothing.
const PING_NS: u64 = 200 * MILLISECOND_NS;
/// How many members ping at the end.
const ROLL_MAX: usize = 1_000;
/// What an error is called when a pong didn't come.
pub(super) const NO_PONG: &str = "no_pong";

/// Pings on their way.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// The member that pings next, and when.
    next: usize,
    due_ns: u64,
    /// In the order of their pings; those that were answered are here, too.
    order: VecDeque<(u64, usize)>,
    /// Who pinged last at which time, and has no pong.
    waiting: BTreeMap<usize, u64>,
}

impl Pulse {
    fn pings(&mut self, member: usize, now_ns: u64) {
        self.waiting.insert(member, now_ns);
        self.order.push_back((now_ns, member));
    }

    /// A pong came for the ping of this time.
    fn ponged(&mut self, member: usize, payload: &[u8]) {
        let of_ping = |at_ns: &u64| payload == at_ns.to_be_bytes();
        if self.waiting.get(&member).is_some_and(of_ping) {
            self.waiting.remove(&member);
        }
    }

    /// The socket is gone, and with it what it waited for.
    pub(super) fn forget(&mut self, member: usize) {
        self.waiting.remove(&member);
    }

    /// How many pongs are still to come.
    pub(super) fn outstanding(&self) -> usize {
        self.waiting.len()
    }

    /// The longest that somebody waits for a pong, if longer than a bound.
    fn overdue(&mut self, deadline_ns: u64, now_ns: u64) -> Option<usize> {
        while let Some(&(at_ns, member)) = self.order.front() {
            if self.waiting.get(&member) == Some(&at_ns) {
                return (now_ns >= at_ns.saturating_add(deadline_ns)).then_some(member);
            }
            self.order.pop_front();
        }
        None
    }

    /// When there is something to do.
    pub(super) fn due_ns(&self, deadline_ns: u64, pinging: bool) -> u64 {
        let overdue_ns = self.order.front().map(|(at_ns, _)| at_ns.saturating_add(deadline_ns));
        let ping_ns = if pinging { self.due_ns } else { u64::MAX };
        overdue_ns.unwrap_or(u64::MAX).min(ping_ns)
    }
}

impl Worker {
    pub(super) fn pinging(&self) -> bool {
        self.stage == Stage::Running
    }

    /// Lets the next member ping when it is time, and looks for pongs that are overdue.
    pub(super) fn take_the_pulse(&mut self, now_ns: u64) {
        if self.pinging() && now_ns >= self.pulse.due_ns {
            self.pulse.due_ns = now_ns + PING_NS * u64::from(self.assignment.workers);
            self.ping_next(now_ns);
        }
        let deadline_ns = self.assignment.pong_deadline_ns;
        while let Some(member) = self.pulse.overdue(deadline_ns, now_ns) {
            // What has come and waits to be read isn't late by the server's fault.
            if !self.unread.contains(&member) {
                self.handle_readable(member);
            }
            if self.unread.contains(&member) {
                return;
            }
            if self.pulse.waiting.remove(&member).is_some() {
                self.interval.counts.silent += 1;
                self.interval.error(NO_PONG);
            }
        }
    }

    fn ping_next(&mut self, now_ns: u64) {
        let (count, first) = (self.members.len(), self.pulse.next);
        let next = (first..count).chain(0..first).find(|&member| self.can_ping(member));
        if let Some(member) = next {
            self.pulse.next = (member + 1) % count;
            self.ping(member, now_ns);
        }
    }

    fn can_ping(&self, member: usize) -> bool {
        let pings = &self.members[member];
        pings.is_live() && !pings.is_slow() && !self.pulse.waiting.contains_key(&member)
    }

    fn ping(&mut self, member: usize, now_ns: u64) {
        self.pulse.pings(member, now_ns);
        self.send(member, frames::PING, &now_ns.to_be_bytes());
    }

    /// At the end it must still be there for everybody.
    pub(super) fn call_the_roll(&mut self, now_ns: u64) {
        let able = (0..self.members.len()).filter(|&member| self.can_ping(member));
        let called: Vec<_> = able.take(ROLL_MAX).collect();
        called.into_iter().for_each(|member| self.ping(member, now_ns));
    }

    pub(super) fn handle_pong(&mut self, member: usize, payload: &[u8]) {
        self.pulse.ponged(member, payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_in_time_is_no_fault_whatever_the_order() {
        let mut pulse = Pulse::default();
        pulse.pings(1, 100);
        pulse.pings(2, 200);
        pulse.ponged(2, &200_u64.to_be_bytes());
        pulse.ponged(1, &100_u64.to_be_bytes());
        assert_eq!((pulse.overdue(50, 1_000), pulse.outstanding()), (None, 0));
    }

    #[test]
    fn a_pong_that_does_not_come_is_overdue_once() {
        let mut pulse = Pulse::default();
        pulse.pings(1, 100);
        pulse.pings(2, 200);
        assert_eq!(pulse.overdue(50, 149), None);
        assert_eq!(pulse.overdue(50, 150), Some(1));
        pulse.forget(1);
        assert_eq!(pulse.overdue(50, 150), None, "the second has time");
        assert_eq!(pulse.overdue(50, 250), Some(2));
        pulse.forget(2);
        assert_eq!(pulse.overdue(50, 1_000), None);
    }

    #[test]
    fn a_pong_for_another_ping_is_none() {
        let mut pulse = Pulse::default();
        pulse.pings(1, 100);
        pulse.ponged(1, &99_u64.to_be_bytes());
        pulse.ponged(1, b"");
        assert_eq!(pulse.overdue(50, 150), Some(1));
    }

    #[test]
    fn who_left_is_not_waited_for_and_may_ping_again() {
        let mut pulse = Pulse::default();
        pulse.pings(1, 100);
        pulse.forget(1);
        pulse.pings(1, 300);
        assert_eq!(pulse.overdue(50, 349), None);
        assert_eq!(pulse.overdue(50, 350), Some(1));
    }
}
