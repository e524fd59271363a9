//! The rows in the memory of one process: for one node alone, and for tests with several engines in one process.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Nodes, Owners, Unavailable};
use crate::domain::ids::{GroupUid, Seq};
use crate::domain::membership::ownership::{Epoch, OwnerRow};
use crate::domain::membership::{NodeId, NodeRow};

/// Everything that the nodes of one process have in common.
#[derive(Debug, Default)]
pub struct MemoryCluster {
    nodes: Mutex<BTreeMap<NodeId, NodeRow>>,
    groups: Mutex<BTreeMap<GroupUid, Owned>>,
}

#[derive(Debug)]
struct Owned {
    row: OwnerRow,
    epochs: Vec<(Epoch, Seq)>,
}

#[async_trait]
impl Nodes for MemoryCluster {
    async fn join(&self, node: NodeId) -> Result<bool, Unavailable> {
        let mut nodes = self.nodes.lock();
        let new = !nodes.contains_key(&node);
        nodes.entry(node).or_insert(NodeRow { id: node, beat: 0, leaving: false });
        Ok(new)
    }

    async fn bump(&self, row: NodeRow) -> Result<bool, Unavailable> {
        let mut nodes = self.nodes.lock();
        let Some(old) = nodes.get_mut(&row.id).filter(|old| old.beat < row.beat) else { return Ok(false) };
        *old = row;
        Ok(true)
    }

    async fn list(&self) -> Result<Vec<NodeRow>, Unavailable> {
        Ok(self.nodes.lock().values().copied().collect())
    }

    async fn is_there(&self, node: NodeId) -> Result<bool, Unavailable> {
        Ok(self.nodes.lock().contains_key(&node))
    }

    async fn declare_dead(&self, node: NodeId, beat: u64) -> Result<bool, Unavailable> {
        let mut nodes = self.nodes.lock();
        let same = nodes.get(&node).is_some_and(|row| row.beat == beat);
        Ok(same && nodes.remove(&node).is_some())
    }

    async fn leave(&self, node: NodeId) -> Result<bool, Unavailable> {
        Ok(self.nodes.lock().remove(&node).is_some())
    }
}

#[async_trait]
impl Owners for MemoryCluster {
    async fn owner(&self, group: GroupUid) -> Result<OwnerRow, Unavailable> {
        Ok(self.groups.lock().get(&group).map_or(OwnerRow::NEVER, |owned| owned.row))
    }

    async fn claim(&self, group: GroupUid, expected: Epoch, row: OwnerRow) -> Result<bool, Unavailable> {
        let mut groups = self.groups.lock();
        let epoch = groups.get(&group).map_or(OwnerRow::NEVER.epoch, |owned| owned.row.epoch);
        if epoch != expected {
            return Ok(false);
        }
        let owned = groups.entry(group).or_insert_with(|| Owned { row, epochs: Vec::new() });
        owned.row = row;
        owned.epochs.push((row.epoch, row.begins));
        Ok(true)
    }

    async fn release(&self, group: GroupUid, epoch: Epoch, node: NodeId) -> Result<bool, Unavailable> {
        let mut groups = self.groups.lock();
        let theirs = |owned: &&mut Owned| owned.row.epoch == epoch && owned.row.node == Some(node);
        let Some(owned) = groups.get_mut(&group).filter(theirs) else { return Ok(false) };
        owned.row.node = None;
        Ok(true)
    }

    async fn epochs(&self, group: GroupUid) -> Result<Vec<(Epoch, Seq)>, Unavailable> {
        Ok(self.groups.lock().get(&group).map(|owned| owned.epochs.clone()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract() {
        contract::check(&MemoryCluster::default(), 1).await;
    }
}
