//! Finds a group's actor, and starts it when need be. Shared, not an actor: finding is on the hot path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use ractor::ActorRef;
use tokio::sync::oneshot;

use super::audience::Audience;
use super::frames::Frames;
use super::group::GroupSignal;
use super::inbox::{Inbox, Put};
use super::shard::ShardMessage;
use super::told::GroupMessage;
use crate::domain::event::Event;
use crate::domain::ids::{GroupUid, Seq, SessionId};
use crate::domain::profile::GroupRecord;
use crate::metrics::Metrics;
use crate::protocol::frame::{Scope, ServerFrame};

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
    pub(crate) inbox: Mutex<Inbox>,
    /// Held by the session that reads the page for newcomers: the others wait for it.
    pub(crate) greeting: tokio::sync::Mutex<()>,
    /// The newest place that is stored.
    stored: AtomicU64,
    /// The group is told who changed, and not the whole roster.
    large: AtomicBool,
    actor: RwLock<Option<ActorRef<GroupSignal>>>,
}

impl GroupSlot {
    pub(crate) fn new(record: GroupRecord) -> Self {
        Self {
            record,
            audience: Mutex::default(),
            inbox: Mutex::default(),
            greeting: tokio::sync::Mutex::default(),
            turn: Arc::default(),
            stored: AtomicU64::new(0),
            large: AtomicBool::new(false),
            actor: RwLock::new(None),
        }
    }

    /// For frames about the group.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope { id: &self.record.id, uid: self.record.uid }
    }

    /// The newest place that is stored: what the store is asked from now on it knows up to there.
    pub(crate) fn stored(&self) -> Seq {
        Seq(self.stored.load(Ordering::Acquire))
    }

    /// Everything up to this place is stored.
    pub(crate) fn set_stored(&self, seq: Seq) {
        self.stored.store(seq.0, Ordering::Release);
    }

    /// Whether the group is told who changed, and not the whole roster.
    pub(crate) fn is_large(&self) -> bool {
        self.large.load(Ordering::Relaxed)
    }

    pub(crate) fn set_large(&self, large: bool) {
        self.large.store(large, Ordering::Relaxed);
    }

    /// Gives everyone an event that is stored, and says whether no other is in sight.
    pub(crate) fn show(&self, event: &Event, is_last: bool, metrics: &Metrics) {
        let frames = Frames::new(ServerFrame::Event(self.scope(), event));
        let reached = self.audience.lock().deliver(event.seq, &frames, is_last);
        self.set_stored(event.seq);
        metrics.deliveries.inc_by(reached);
    }

    /// An actor is there: what was put in meanwhile is its first work.
    pub(crate) fn opened_by(&self, actor: ActorRef<GroupSignal>) {
        *self.actor.write() = Some(actor);
        self.inbox.lock().open();
    }

    /// No actor is there, and for some time none will be. What waits is refused.
    pub(crate) fn close(&self) {
        let refused = self.inbox.lock().close();
        drop(refused);
    }

    /// Tells the group something, or gives it back when the group sleeps or is quarantined. A group that is
    /// being started again hears it when it is back.
    // The message is large because it carries what it is about; it is moved, not copied.
    #[allow(clippy::result_large_err)]
    pub(crate) fn tell(&self, message: GroupMessage) -> Result<(), GroupMessage> {
        let put = self.inbox.lock().put(message)?;
        if put == Put::Notify
            && let Some(actor) = self.actor.read().as_ref()
        {
            // A dead one needs no notice: the next one looks by itself.
            let _ = actor.cast(GroupSignal::Noticed);
        }
        Ok(())
    }

    /// A session has gone. Works whether or not the actor is there.
    pub(crate) fn leave(&self, session: SessionId, lingers: bool) {
        self.audience.lock().leave(session);
        // A group that sleeps or is quarantined begins again with the audience.
        let _ = self.tell(GroupMessage::Leave { session, lingers });
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

    /// Tells a group something, starting it when need be.
    pub(crate) async fn tell(
        &self,
        record: &GroupRecord,
        mut message: GroupMessage,
    ) -> Result<Arc<GroupSlot>, Unavailable> {
        // A group may fall asleep between being found and being told, and again after being woken; thrice in a
        // row it doesn't.
        for _ in 0..3 {
            if let Some(slot) = self.get(record.uid) {
                message = match slot.tell(message) {
                    Ok(()) => return Ok(slot),
                    Err(message) => message,
                };
            }
            self.wake(record).await?;
        }
        Err(SOON)
    }
}
