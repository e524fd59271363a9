//! What never came. Who leaves it out of a distribution of times tells only of those who were served: of an open loop
//! it counts as the time that was waited for it, at least.

use std::collections::BTreeMap;

use super::Worker;
use crate::clock::SECOND_NS;
use crate::link::Said;
use crate::plan::{Paging, Role, Talk};

/// How many of the last messages' times a worker keeps, for all its speakers together.
const KEPT_MAX: usize = 1 << 18;
/// A join that is still under way at the end has something to say once it took this long; others may just have begun.
const PENDING_JOIN_NS: u64 = SECOND_NS;

/// When the last messages of a speaker should have been sent, in microseconds since the start.
#[derive(Debug, Default)]
pub(super) struct DueTimes(BTreeMap<(u32, u32), (u32, Vec<u64>)>);

impl DueTimes {
    /// Takes them out of what all have said.
    pub(super) fn of(said: &mut [Said]) -> Self {
        let times = |of: &mut Said| ((of.group, of.slot), (of.count, std::mem::take(&mut of.due_us)));
        Self(said.iter_mut().map(times).collect())
    }

    /// When a speaker's message should have been sent. Of an older one than those that were kept it is the time of the
    /// oldest, since it has been waited for for longer.
    fn of_message(&self, group: u32, slot: u32, sequence: u32) -> Option<u64> {
        let (count, times) = self.0.get(&(group, slot))?;
        let first = *count as usize - times.len().min(*count as usize);
        times.get((sequence as usize).saturating_sub(first)).copied()
    }
}

impl Worker {
    /// Notes when a speaker's message was due, for those who won't hear it.
    pub(super) fn note_due(&mut self, speaker: usize, intended_ns: u64) {
        if !matches!(self.assignment.plan.talk, Some(Talk::Open { .. })) {
            return;
        }
        let times = &mut self.members[speaker].due_us;
        if times.len() >= self.due_kept {
            times.pop_front();
        }
        times.push_back(intended_ns.saturating_sub(self.start_ns) / 1_000);
    }

    /// How many of such times each of so many speakers may keep.
    pub(super) fn due_kept(speakers: usize) -> usize {
        (KEPT_MAX / speakers.max(1)).max(1)
    }

    /// What this worker's speakers have said.
    pub(super) fn said(&self) -> Vec<Said> {
        let speakers = self.members.iter().filter_map(|member| match member.place.role {
            Role::Speaker(slot) if member.said > 0 => Some(Said {
                group: member.place.group,
                slot,
                count: member.said,
                refused: member.refused,
                due_us: member.due_us.iter().copied().collect(),
            }),
            _ => None,
        });
        speakers.collect()
    }

    /// At the end: counts the times of what was waited for in vain.
    pub(super) fn count_the_unheard(&mut self, now_ns: u64) {
        self.count_unheard_messages(now_ns);
        let open_paging = matches!(self.assignment.plan.paging, Some(Paging::Open { .. }));
        for member in &self.members {
            for asked in member.pages.iter().filter(|_| open_paging) {
                self.interval.page.record_ns(now_ns.saturating_sub(asked.at_ns));
            }
            let waited_ns = member.wanted_since_ns.map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
            if waited_ns >= PENDING_JOIN_NS && !member.is_slow() && !member.away {
                self.interval.join.record_ns(waited_ns);
            }
        }
    }

    fn count_unheard_messages(&mut self, now_ns: u64) {
        if !matches!(self.assignment.plan.talk, Some(Talk::Open { .. })) {
            return;
        }
        let since_end_ns = now_ns.saturating_sub(self.end_ns);
        for member in &self.members {
            let group = member.place.group;
            let said = &self.drain.said[group as usize];
            let mut found = 0;
            for (slot, sequence) in member.tally.missing(said) {
                let due_us = self.drain.due.of_message(group, slot, sequence);
                let due_ns = due_us.map(|due_us| self.start_ns.saturating_add(due_us * 1_000));
                match due_ns {
                    Some(due_ns) => self.interval.latency(due_ns, now_ns.saturating_sub(due_ns)),
                    None => self.interval.latency_of_unknown(since_end_ns),
                }
                found += 1;
            }
            // Of these it is known only that they were said.
            for _ in found..member.tally.lost(said) {
                self.interval.latency_of_unknown(since_end_ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_own_time_and_an_older_one_that_of_the_oldest() {
        let mut said = [Said { group: 3, slot: 1, count: 5, refused: 0, due_us: vec![30, 40, 50] }];
        let due = DueTimes::of(&mut said);
        assert!(said[0].due_us.is_empty(), "they were taken");
        let times: Vec<_> = (0..6).map(|sequence| due.of_message(3, 1, sequence)).collect();
        assert_eq!(times, [Some(30), Some(30), Some(30), Some(40), Some(50), None]);
        assert_eq!(due.of_message(3, 2, 0), None, "nobody");
    }
}
