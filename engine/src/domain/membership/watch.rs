//! What a node concludes of the others from their rows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{LeaseRules, NodeId, NodeRow};

/// Nodes remembered as gone. One that is forgotten is looked up in the store again, which costs a read.
const GONE_MAX: usize = 256;

/// A row as it was seen.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    beat: u64,
    leaving: bool,
    /// When it was seen first with that beat.
    since_ms: u64,
}

/// The others.
#[derive(Debug)]
pub(super) struct Watch {
    seen: BTreeMap<NodeId, Sighting>,
    gone: VecDeque<NodeId>,
    /// When the newest listing was asked for.
    asked_ms: u64,
    /// It isn't answered yet.
    waits: bool,
    next_ms: u64,
}

/// What a listing says beside who is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Conclusion {
    /// Their rows were there and are no more.
    pub(super) gone: Vec<NodeId>,
    /// Their rows haven't changed for the time of a lease.
    pub(super) unchanged: Vec<NodeRow>,
}

impl Watch {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { seen: BTreeMap::new(), gone: VecDeque::new(), asked_ms: now_ms, waits: false, next_ms: now_ms }
    }

    /// When the next listing is due. One at a time; one more as soon as it would tell that a lease is over.
    pub(super) fn due_ms(&self, rules: &LeaseRules) -> Option<u64> {
        let overs = self.seen.values().map(|sighting| sighting.since_ms + rules.lease_ms);
        let next_ms = overs.filter(|over_ms| self.asked_ms < *over_ms).chain([self.next_ms]).min();
        next_ms.filter(|_| !self.waits)
    }

    pub(super) fn ask(&mut self, now_ms: u64, rules: &LeaseRules) {
        self.asked_ms = now_ms;
        self.waits = true;
        self.next_ms = now_ms + rules.bump_interval_ms;
    }

    /// A listing was answered: when it was asked for.
    pub(super) fn answered(&mut self) -> Option<u64> {
        std::mem::take(&mut self.waits).then_some(self.asked_ms)
    }

    /// Compares a listing, asked for then, with the one before.
    ///
    /// A row counts as unchanged only if it was *read* a whole lease after it was first seen so. A watcher that was itself stopped for an hour concludes nothing of
    /// what it saw before.
    pub(super) fn conclude(
        &mut self,
        rows: impl Iterator<Item = NodeRow>,
        asked_ms: u64,
        now_ms: u64,
        rules: &LeaseRules,
    ) -> Conclusion {
        let mut conclusion = Conclusion::default();
        let mut missing: BTreeSet<NodeId> = self.seen.keys().copied().collect();
        for row in rows {
            missing.remove(&row.id);
            let fresh = Sighting { beat: row.beat, leaving: row.leaving, since_ms: now_ms };
            let sighting = self.seen.entry(row.id).or_insert(fresh);
            if sighting.beat != row.beat {
                *sighting = fresh;
            } else if sighting.since_ms + rules.lease_ms <= asked_ms {
                conclusion.unchanged.push(row);
            }
        }
        for node in missing {
            self.forget(node);
            conclusion.gone.push(node);
        }
        conclusion
    }

    fn forget(&mut self, node: NodeId) {
        self.seen.remove(&node);
        if self.gone.len() == GONE_MAX {
            self.gone.pop_front();
        }
        self.gone.push_back(node);
    }

    pub(super) fn is_gone(&self, node: NodeId) -> bool {
        self.gone.contains(&node)
    }

    /// The newest incarnation of each process that stays.
    pub(super) fn members(&self) -> BTreeMap<u64, NodeId> {
        let staying = self.seen.iter().filter(|(_, sighting)| !sighting.leaving);
        // In order, so that a later incarnation replaces an earlier one.
        staying.map(|(id, _)| (id.process, *id)).collect()
    }
}
