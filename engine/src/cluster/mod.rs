//! What the nodes of a cluster keep in common to know of each other and to own groups one at a time: [`Nodes`] holds a row for each node, [`Owners`] one
//! for each group. What they decide with it stands in [`crate::domain::membership`].
//!
//! Adapters stand beside this file and pass the suite in `contract.rs`. They answer; they never retry a write, since one that is carried out
//! twice isn't what was decided.

use async_trait::async_trait;

use crate::domain::ids::{GroupUid, Seq};
use crate::domain::membership::ownership::{Epoch, OwnerRow};
use crate::domain::membership::{NodeId, NodeRow, Written};

#[cfg(any(test, feature = "testkit"))]
pub mod contract;
pub mod memory;

/// The store didn't answer in time, or can't. A write is done, or will be, or never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cluster's store is unavailable: {0}")]
pub struct Unavailable(pub String);

/// What became of a conditional write, for [`crate::domain::membership`].
pub fn written(answer: &Result<bool, Unavailable>) -> Written {
    match answer {
        Ok(true) => Written::Applied,
        Ok(false) => Written::NotApplied,
        Err(_) => Written::Unknown,
    }
}

/// The rows of the nodes.
///
/// Promises: every call is linearizable: it happens at one instant between its asking and its answer, and one that failed at any one instant from its asking
/// on, or never; on CQL that takes serial reads and conditional writes. Each is answered within a second, if by an error. A write answers whether its condition held,
/// and is then durable.
#[async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// Adds a row with the beat 0, unless the id has one.
    async fn join(&self, node: NodeId) -> Result<bool, Unavailable>;

    /// Replaces a row if it is there with a lower beat.
    async fn bump(&self, row: NodeRow) -> Result<bool, Unavailable>;

    /// Every row, in no order.
    async fn list(&self) -> Result<Vec<NodeRow>, Unavailable>;

    /// Whether a node's row is there.
    async fn is_there(&self, node: NodeId) -> Result<bool, Unavailable>;

    /// Deletes a row if its beat is this.
    async fn declare_dead(&self, node: NodeId, beat: u64) -> Result<bool, Unavailable>;

    /// Deletes a row if it is there.
    async fn leave(&self, node: NodeId) -> Result<bool, Unavailable>;
}

/// The rows of who owns which group.
///
/// Promises: as [`Nodes`]. A claim notes at the same instant where its epoch begins, and every earlier epoch's beginning stays: readers of the log tell by them
/// which of the events at a place counts.
#[async_trait]
pub trait Owners: Send + Sync + 'static {
    /// A group's row, or [`OwnerRow::NEVER`].
    async fn owner(&self, group: GroupUid) -> Result<OwnerRow, Unavailable>;

    /// Writes a row if the group's epoch is still the expected one, whoever had it.
    async fn claim(&self, group: GroupUid, expected: Epoch, row: OwnerRow) -> Result<bool, Unavailable>;

    /// Takes the node out of a row if it is there in that epoch. The epoch stays.
    async fn release(&self, group: GroupUid, epoch: Epoch, node: NodeId) -> Result<bool, Unavailable>;

    /// Where each epoch of a group begins, the oldest first.
    async fn epochs(&self, group: GroupUid) -> Result<Vec<(Epoch, Seq)>, Unavailable>;
}
