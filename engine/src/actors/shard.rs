//! A shard: supervises the groups that hash to it. It starts them by need and again when they crash, and
//! keeps one that crashes over and over in quarantine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use super::Shared;
use super::crashes::Crashes;
use super::directory::{GroupSlot, LiveGroups, Unavailable};
use super::group::{GroupActor, GroupSignal};
use crate::domain::ids::GroupUid;
use crate::domain::profile::GroupRecord;

type Waiter = oneshot::Sender<Result<Arc<GroupSlot>, Unavailable>>;

/// What a shard is told.
#[derive(Debug)]
pub(crate) enum ShardMessage {
    /// Somebody needs the group's actor.
    Wake { record: GroupRecord, reply: Waiter },
    /// A quarantine is over.
    Retry(GroupUid),
}

pub(crate) struct ShardActor;

pub(crate) struct ShardState {
    shared: Arc<Shared>,
    groups: HashMap<GroupUid, Supervised>,
    actors: HashMap<ActorId, GroupUid>,
}

struct Supervised {
    slot: Arc<GroupSlot>,
    /// The actor that lives, or is falling asleep.
    actor: Option<ActorRef<GroupSignal>>,
    /// Who needs the next actor while this one is falling asleep.
    waiters: Vec<Waiter>,
    crashes: Crashes,
    /// When the next start may be, on the monotonic clock.
    quarantined_ms: Option<u64>,
}

impl Actor for ShardActor {
    type Msg = ShardMessage;
    type State = ShardState;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        shared: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(ShardState { shared, groups: HashMap::new(), actors: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShardMessage::Wake { record, reply } => state.wake(&record, reply, &myself).await,
            ShardMessage::Retry(uid) => {
                if let Some(group) = state.groups.get_mut(&uid) {
                    group.quarantined_ms = None;
                    state.start(uid, &myself).await;
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(actor, _, _) => {
                if let Some(uid) = state.actors.remove(&actor.get_id()) {
                    state.fell_asleep(uid, &myself).await;
                }
            }
            SupervisionEvent::ActorFailed(actor, error) => {
                if let Some(uid) = state.actors.remove(&actor.get_id()) {
                    tracing::error!(group = uid.0, %error, "a group crashed");
                    state.crashed(uid, &myself).await;
                }
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl ShardState {
    async fn wake(&mut self, record: &GroupRecord, reply: Waiter, myself: &ActorRef<ShardMessage>) {
        let uid = record.uid;
        let now_ms = self.shared.clock.mono_ms();
        let group = self.groups.entry(uid).or_insert_with(|| Supervised {
            slot: self.shared.groups.open(record),
            actor: None,
            waiters: Vec::new(),
            crashes: Crashes::default(),
            quarantined_ms: None,
        });
        if let Some(until_ms) = group.quarantined_ms {
            let retry_after_ms = until_ms.saturating_sub(now_ms).max(1);
            // Who asked may have gone, here and below.
            let _ = reply.send(Err(Unavailable { retry_after_ms }));
            return;
        }
        match &group.actor {
            // It is falling asleep: its end will be told, and then the next one starts.
            Some(_) if group.slot.inbox.lock().is_closed() => group.waiters.push(reply),
            Some(_) => _ = reply.send(Ok(Arc::clone(&group.slot))),
            None => {
                group.waiters.push(reply);
                self.start(uid, myself).await;
            }
        }
    }

    /// Starts a group's actor, unless it is there.
    async fn start(&mut self, uid: GroupUid, myself: &ActorRef<ShardMessage>) {
        let Some(group) = self.groups.get_mut(&uid) else { return };
        if group.actor.is_some() {
            return;
        }
        let arguments = (Arc::clone(&self.shared), Arc::clone(&group.slot));
        match Actor::spawn_linked(None, GroupActor, arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                self.actors.insert(actor.get_id(), uid);
                group.slot.opened_by(actor.clone());
                group.actor = Some(actor);
                for waiter in group.waiters.drain(..) {
                    let _ = waiter.send(Ok(Arc::clone(&group.slot)));
                }
            }
            Err(error) => {
                tracing::error!(group = uid.0, %error, "a group can't be started");
                self.quarantine(uid, myself);
            }
        }
    }

    async fn fell_asleep(&mut self, uid: GroupUid, myself: &ActorRef<ShardMessage>) {
        let Some(group) = self.groups.get_mut(&uid) else { return };
        group.actor = None;
        if group.waiters.is_empty() && group.slot.audience.lock().is_empty() {
            self.groups.remove(&uid);
            self.shared.groups.close(uid);
            self.shared.greetings.forget(uid);
        } else {
            self.start(uid, myself).await;
        }
    }

    async fn crashed(&mut self, uid: GroupUid, myself: &ActorRef<ShardMessage>) {
        self.shared.metrics.group_crashes.inc();
        let Some(group) = self.groups.get_mut(&uid) else { return };
        group.actor = None;
        let wait_ms = group.crashes.record(self.shared.clock.mono_ms(), &self.shared.limits);
        if wait_ms == 0 {
            self.start(uid, myself).await;
        } else {
            self.quarantine_for(uid, wait_ms, myself);
        }
    }

    fn quarantine(&mut self, uid: GroupUid, myself: &ActorRef<ShardMessage>) {
        let Some(group) = self.groups.get_mut(&uid) else { return };
        let wait_ms = group.crashes.record(self.shared.clock.mono_ms(), &self.shared.limits);
        self.quarantine_for(uid, wait_ms.max(self.shared.limits.quarantine_ms), myself);
    }

    fn quarantine_for(&mut self, uid: GroupUid, wait_ms: u64, myself: &ActorRef<ShardMessage>) {
        let Some(group) = self.groups.get_mut(&uid) else { return };
        tracing::warn!(group = uid.0, wait_ms, "a group is quarantined");
        group.quarantined_ms = Some(self.shared.clock.mono_ms() + wait_ms);
        group.slot.close();
        for waiter in group.waiters.drain(..) {
            let _ = waiter.send(Err(Unavailable { retry_after_ms: wait_ms }));
        }
        myself.send_after(Duration::from_millis(wait_ms), move || ShardMessage::Retry(uid));
    }
}

/// Wakes the groups of a shard that was started again and whose listeners are still there.
pub(crate) fn adopt(groups: &LiveGroups, shard: &ActorRef<ShardMessage>, index: usize, shards: usize) {
    for slot in groups.all() {
        if LiveGroups::shard_of(slot.record.uid, shards) == index {
            let (reply, _) = oneshot::channel();
            // A shard that is dead already is started again once more, and adopts then.
            let _ = shard.cast(ShardMessage::Wake { record: slot.record.clone(), reply });
        }
    }
}
