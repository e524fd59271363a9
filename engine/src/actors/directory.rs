//! Finds a group's actor, and starts it when need be. Shared, not an actor: finding is on the hot path.

use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use ractor::{ActorRef, MessagingErr};
use tokio::sync::oneshot;

use super::audience::Audience;
use super::group::GroupMessage;
use super::shard::ShardMessage;
use crate::domain::ids::{GroupUid, SessionId};
use crate::domain::profile::GroupRecord;

/// Why a group can't be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// When to try again, in milliseconds.
    pub(crate) retry_after_ms: u64,
}

const SOON: Unavailable = Unavailable { retry_after_ms: 1_000 };

/// What outlives the actor of a group.
#[derive(Debug)]
pub(crate) struct GroupSlot {
    pub(crate) record: GroupRecord,
    pub(crate) audience: Mutex<Audience>,
    /// Held by the delivery of the actor that is or was alive: the next one waits until the last has finished.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    actor: RwLock<Option<ActorRef<GroupMessage>>>,
}

impl GroupSlot {
    pub(crate) fn new(record: GroupRecord) -> Self {
        Self { record, audience: Mutex::default(), turn: Arc::default(), actor: RwLock::new(None) }
    }

    pub(crate) fn set_actor(&self, actor: Option<ActorRef<GroupMessage>>) {
        *self.actor.write() = actor;
    }

    /// Hands a message to the actor, or gives it back when there is none.
    pub(crate) fn cast(&self, message: GroupMessage) -> Result<(), GroupMessage> {
        let actor = self.actor.read();
        let Some(actor) = actor.as_ref() else { return Err(message) };
        actor.cast(message).map_err(|error| match error {
            MessagingErr::SendErr(message) => message,
            // The other errors are of untyped references and of replies, and neither is used here.
            other => unreachable!("casting to a typed actor failed with {other}"),
        })
    }

    /// A session has gone. Works whether or not the actor is there.
    pub(crate) fn leave(&self, session: SessionId) {
        self.audience.lock().leave(session);
        // Without an actor there is nobody to tell: the next one begins with the audience.
        let _ = self.cast(GroupMessage::Leave { session });
    }
}

/// The groups that are awake, and the shards that wake others.
#[derive(Debug, Default)]
pub(crate) struct LiveGroups {
    slots: DashMap<GroupUid, Arc<GroupSlot>>,
    shards: RwLock<Vec<ActorRef<ShardMessage>>>,
}

impl LiveGroups {
    /// A group's slot, if it is awake.
    pub(crate) fn get(&self, uid: GroupUid) -> Option<Arc<GroupSlot>> {
        self.slots.get(&uid).map(|slot| Arc::clone(&slot))
    }

    /// Every slot, for a drain and for a shard that starts again.
    pub(crate) fn all(&self) -> Vec<Arc<GroupSlot>> {
        self.slots.iter().map(|slot| Arc::clone(&slot)).collect()
    }

    /// The slot of a group that its shard starts.
    pub(crate) fn open(&self, record: &GroupRecord) -> Arc<GroupSlot> {
        Arc::clone(&self.slots.entry(record.uid).or_insert_with(|| Arc::new(GroupSlot::new(record.clone()))))
    }

    /// Forgets a group that sleeps. Only its shard calls this.
    pub(crate) fn close(&self, uid: GroupUid) {
        self.slots.remove(&uid);
    }

    pub(crate) fn set_shards(&self, shards: Vec<ActorRef<ShardMessage>>) {
        *self.shards.write() = shards;
    }

    /// Which shard supervises a group.
    pub(crate) fn shard_of(uid: GroupUid, shards: usize) -> usize {
        // Uids are random, so the remainder spreads them evenly.
        usize::try_from(uid.0 % shards.max(1) as u64).expect("less than the number of shards")
    }

    /// The slot of a group whose actor is there, after starting it when need be.
    pub(crate) async fn wake(&self, record: &GroupRecord) -> Result<Arc<GroupSlot>, Unavailable> {
        let (reply, awake) = oneshot::channel();
        {
            let shards = self.shards.read();
            let shard = shards.get(Self::shard_of(record.uid, shards.len())).ok_or(SOON)?;
            shard.cast(ShardMessage::Wake { record: record.clone(), reply }).map_err(|_| SOON)?;
        }
        awake.await.unwrap_or(Err(SOON))
    }

    /// Hands a message to a group, starting it when need be.
    pub(crate) async fn send(
        &self,
        record: &GroupRecord,
        mut message: GroupMessage,
    ) -> Result<Arc<GroupSlot>, Unavailable> {
        // A group may fall asleep between being found and being told, and again after being woken. Thrice in a
        // row it doesn't, unless it crashes each time.
        for _ in 0..3 {
            let slot = match self.get(record.uid) {
                Some(slot) => slot,
                None => self.wake(record).await?,
            };
            message = match slot.cast(message) {
                Ok(()) => return Ok(slot),
                Err(message) => message,
            };
            self.wake(record).await?;
        }
        Err(SOON)
    }
}
