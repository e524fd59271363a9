//! The actor of a group: its one writer. It asks [`domain::Group`](Group) what to do and does it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::Shared;
use super::audience::Seat;
use super::delivery::{Delivery, Mutated, Mutation, Order, Reply};
use super::directory::GroupSlot;
use super::loading::{Loaded, load};
use super::receipt::Receipt;
use crate::domain::group::{Command, Denied, Departure, Effect, Group};
use crate::domain::ids::{Seq, SessionId};
use crate::domain::message::{Draft, Message};
use crate::domain::profile::UserRecord;
use crate::domain::roster::RosterView;
use crate::error::EngineError;
use crate::protocol::code::{CloseCode, ErrorCode};
use crate::protocol::codec;
use crate::protocol::frame::{Refusal, ServerFrame};
use crate::socket::outbound::Worth;

/// Messages that are handled before timers and the supervisor get their turn.
const MESSAGES_PER_TURN: usize = 256;

/// What a session needs to begin.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Live messages follow from here on; history ends here.
    pub(crate) cursor: Seq,
    /// The roster frame, whole.
    pub(crate) roster: Bytes,
}

/// Why a session can't begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinDenied {
    Denied(Denied),
    GroupDeleted,
    Draining,
}

/// What a group is told.
#[derive(Debug)]
pub(crate) enum GroupMessage {
    Join {
        seat: Seat,
        reply: oneshot::Sender<Result<Admission, JoinDenied>>,
    },
    Leave {
        session: SessionId,
    },
    Post {
        session: SessionId,
        draft: Draft,
        receipt: Receipt,
    },
    /// A tenant's change, to be stored in order with everything else.
    Mutate(Mutation, Reply),
    /// The delivery has stored a change: now it shows.
    Mutated(Mutated, Reply),
    /// A user of the service is shown differently.
    UserChanged(UserRecord),
    /// A slow session has caught up and missed roster frames.
    Resync {
        session: SessionId,
    },
    /// Answered when everything that was taken before is delivered.
    Flush(oneshot::Sender<()>),
    /// The engine stops: nothing more is said here, and once all that was said is delivered the sessions end
    /// with this code.
    Drain(CloseCode, oneshot::Sender<()>),
}

/// What wakes a group's actor.
#[derive(Debug)]
pub(crate) enum GroupSignal {
    /// Something is in the inbox.
    Noticed,
    /// Something is due.
    Tick,
    /// The group may have been idle for long enough.
    MaySleep,
    /// The delivery couldn't store a message: the log ends before it.
    LogBroke,
}

pub(crate) struct GroupActor;

pub(crate) struct GroupState {
    shared: Arc<Shared>,
    slot: Arc<GroupSlot>,
    /// Filled before the first message is handled; loading may wait for the store and for the turn.
    live: Option<Live>,
}

/// A group that has been loaded.
struct Live {
    group: Group,
    delivery: Delivery,
    /// Sessions that were let in by the group or wait for it.
    joining: HashMap<SessionId, (Seat, oneshot::Sender<Result<Admission, JoinDenied>>)>,
    /// When the next tick was asked for, on the monotonic clock.
    tick_ms: Option<u64>,
    active_ms: u64,
    /// The group is no more, or its deletion is on its way to the disk: nothing is said any more.
    deleted: bool,
    /// The engine stops.
    draining: bool,
}

impl Actor for GroupActor {
    type Msg = GroupSignal;
    type State = GroupState;
    type Arguments = (Arc<Shared>, Arc<GroupSlot>);

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (shared, slot): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        shared.metrics.groups_awake.inc();
        Ok(GroupState { shared, slot, live: None })
    }

    /// Loads here and not before, so that the shard isn't held up and messages can already queue.
    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let loaded = load(&state.shared, &state.slot).await?;
        state.live = Some(Live::begin(loaded, &state.shared, &state.slot, &myself));
        state.restore_seats();
        state.ask_for_tick(&myself);
        sleep_later(&state.shared, &myself);
        // What was told while no actor was there.
        myself.cast(GroupSignal::Noticed)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        signal: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match signal {
            GroupSignal::Noticed => state.read_inbox(&myself).await?,
            GroupSignal::Tick => state.tick(),
            GroupSignal::MaySleep => state.may_sleep(&myself),
            GroupSignal::LogBroke => return Err("the log broke; beginning again from the store".into()),
        }
        state.ask_for_tick(&myself);
        Ok(())
    }
}

impl Live {
    fn begin(
        loaded: Loaded,
        shared: &Arc<Shared>,
        slot: &Arc<GroupSlot>,
        myself: &ActorRef<GroupSignal>,
    ) -> Self {
        let delivery = Delivery::start(Arc::clone(shared), Arc::clone(slot), myself.clone(), loaded.turn);
        Self {
            group: loaded.group,
            delivery,
            joining: HashMap::new(),
            tick_ms: None,
            active_ms: shared.clock.mono_ms(),
            deleted: loaded.deleted,
            draining: false,
        }
    }
}

fn sleep_later(shared: &Shared, myself: &ActorRef<GroupSignal>) {
    myself.send_after(Duration::from_millis(shared.limits.group_idle_ms), || GroupSignal::MaySleep);
}

impl GroupState {
    fn live(&mut self) -> &mut Live {
        self.live.as_mut().expect("post_start loads before the first message is handled")
    }

    fn restore_seats(&mut self) {
        let (seated, shown) = {
            let mut audience = self.slot.audience.lock();
            (audience.seated(), audience.take_shown())
        };
        if seated.is_empty() {
            return;
        }
        let departure = if self.live().deleted { Departure::Deleted } else { Departure::Removed };
        for effect in self.live().group.restore(seated, shown) {
            if let Effect::Close(sessions, _) = effect {
                self.close(&sessions, departure);
            }
        }
    }

    /// Handles what is in the inbox, some of it: what is left is noticed again, so that signals get their turn.
    async fn read_inbox(&mut self, myself: &ActorRef<GroupSignal>) -> Result<(), ActorProcessingErr> {
        let now_ms = self.shared.clock.mono_ms();
        self.live().active_ms = now_ms;
        for _ in 0..MESSAGES_PER_TURN {
            // One at a time: what isn't taken out survives a crash.
            let next = self.slot.inbox.lock().take();
            let Some(message) = next else { return Ok(()) };
            self.handle(message).await?;
        }
        Ok(myself.cast(GroupSignal::Noticed)?)
    }

    async fn handle(&mut self, message: GroupMessage) -> Result<(), ActorProcessingErr> {
        match message {
            GroupMessage::Post { session, draft, receipt } => self.post(session, draft, receipt).await?,
            GroupMessage::Join { seat, reply } => self.join(seat, reply),
            GroupMessage::Leave { session } => self.leave(session),
            GroupMessage::Mutate(mutation, reply) => self.mutate(mutation, reply)?,
            GroupMessage::Mutated(mutated, reply) => self.show(mutated, reply),
            GroupMessage::UserChanged(user) => self.user_changed(user),
            GroupMessage::Resync { session } => self.resync(session),
            GroupMessage::Flush(done) => self.live().delivery.order(Order::Flush(done))?,
            GroupMessage::Drain(code, done) => {
                self.live().draining = true;
                self.live().delivery.order(Order::Drain(code, done))?;
            }
        }
        Ok(())
    }

    async fn post(
        &mut self,
        session: SessionId,
        draft: Draft,
        receipt: Receipt,
    ) -> Result<(), ActorProcessingErr> {
        if self.live().deleted {
            receipt.refused(&Refusal::new(ErrorCode::GROUP_NOT_FOUND, "the group is being deleted"));
            return Ok(());
        }
        if self.live().draining {
            receipt.refused(&Refusal::new(
                ErrorCode::DRAINING,
                "the server stops: not stored, send it again elsewhere",
            ));
            return Ok(());
        }
        let now = self.shared.clock.now();
        match self.live().group.handle(Command::Post { session, draft }, now) {
            Err(denied) => receipt.refused(&Refusal::new(ErrorCode::NOT_ATTENDING, denied.to_string())),
            Ok(effects) => {
                let mut receipt = Some(receipt);
                for effect in effects {
                    match (effect, receipt.take()) {
                        (Effect::Append(message), Some(receipt)) => self.append(message, receipt).await?,
                        (effect, _) => self.carry_out(effect),
                    }
                }
            }
        }
        Ok(())
    }

    async fn append(&mut self, message: Message, receipt: Receipt) -> Result<(), ActorProcessingErr> {
        let appending = self.shared.history.append(self.slot.record.uid, message.clone()).await;
        Ok(self.live().delivery.order(Order::Message { message, appending, receipt })?)
    }

    fn join(&mut self, seat: Seat, reply: oneshot::Sender<Result<Admission, JoinDenied>>) {
        if self.live().deleted {
            // Who asked may have gone.
            let _ = reply.send(Err(JoinDenied::GroupDeleted));
            return;
        }
        if self.live().draining {
            let _ = reply.send(Err(JoinDenied::Draining));
            return;
        }
        let now = self.shared.clock.now();
        let (session, user) = (seat.session, seat.user.clone());
        match self.live().group.handle(Command::Join { session, user }, now) {
            Err(denied) => _ = reply.send(Err(JoinDenied::Denied(denied))),
            Ok(effects) => {
                self.live().joining.insert(session, (seat, reply));
                self.carry_out_all(effects);
            }
        }
    }

    fn leave(&mut self, session: SessionId) {
        self.live().joining.remove(&session);
        // A session that was admitted and left at the same moment may have been seated in between.
        self.slot.audience.lock().leave(session);
        self.command(Command::Leave { session });
    }

    fn mutate(&mut self, mutation: Mutation, reply: Reply) -> Result<(), ActorProcessingErr> {
        if self.live().deleted {
            let _ = reply.send(Err(EngineError::GroupNotFound));
            return Ok(());
        }
        self.live().deleted = matches!(mutation, Mutation::Delete);
        Ok(self.live().delivery.order(Order::Mutation(mutation, reply))?)
    }

    fn show(&mut self, mutated: Mutated, reply: Reply) {
        match mutated {
            Mutated::Added(user) => self.command(Command::PutAttendee(user.into())),
            Mutated::Removed(user) => self.command(Command::RemoveAttendee(user)),
            Mutated::Deleted => self.command(Command::Delete),
        }
        // Who asked may have given up.
        let _ = reply.send(Ok(()));
    }

    fn user_changed(&mut self, user: UserRecord) {
        if self.live().group.roster().attends(&user.life()) {
            self.command(Command::PutAttendee(user.into()));
        }
    }

    fn resync(&mut self, session: SessionId) {
        let roster = self.encode_roster();
        if let Some(outbound) = self.slot.audience.lock().outbound(session) {
            outbound.push(roster, Worth::Sheddable);
        }
    }

    fn tick(&mut self) {
        self.live().tick_ms = None;
        self.command(Command::Tick);
    }

    fn may_sleep(&mut self, myself: &ActorRef<GroupSignal>) {
        let idle_ms = self.shared.limits.group_idle_ms;
        let now_ms = self.shared.clock.mono_ms();
        let live = self.live();
        let idle = live.group.is_empty() && live.delivery.is_idle() && live.active_ms + idle_ms <= now_ms;
        // Once the inbox is closed, whoever wants to tell the group something wakes it first.
        if idle && self.slot.inbox.lock().close_if_empty() {
            myself.stop(None);
        } else {
            sleep_later(&self.shared, myself);
        }
    }

    fn command(&mut self, command: Command) {
        let now = self.shared.clock.now();
        let effects = self.live().group.handle(command, now);
        self.carry_out_all(effects.expect("only joins and posts are ever denied"));
    }

    fn carry_out_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Append(message) => unreachable!("{message:?} came of no post"),
            Effect::Admit(sessions) => self.admit(&sessions),
            Effect::Tell(view) => self.tell(&view),
            Effect::Close(sessions, departure) => self.close(&sessions, departure),
        }
    }

    fn admit(&mut self, sessions: &[SessionId]) {
        let roster = self.encode_roster();
        for session in sessions {
            let Some((seat, reply)) = self.live().joining.remove(session) else { continue };
            let cursor = self.slot.audience.lock().seat(seat);
            if reply.send(Ok(Admission { cursor, roster: roster.clone() })).is_err() {
                // The session ended while it waited, and may have left before it was seated.
                self.leave(*session);
            }
        }
    }

    fn tell(&mut self, view: &RosterView) {
        let is_whole = !self.live().group.roster().is_large();
        let shed = self.slot.audience.lock().tell(view, is_whole, &codec::encode(ServerFrame::Roster(view)));
        self.shared.metrics.roster_frames_shed.inc_by(shed);
    }

    fn close(&mut self, sessions: &[SessionId], departure: Departure) {
        let (code, denied) = match departure {
            Departure::Removed => (CloseCode::REMOVED, JoinDenied::Denied(Denied::NotAttending)),
            Departure::Deleted => (CloseCode::GROUP_DELETED, JoinDenied::GroupDeleted),
        };
        self.slot.audience.lock().close(sessions, code);
        for session in sessions {
            if let Some((_, reply)) = self.live().joining.remove(session) {
                let _ = reply.send(Err(denied));
            }
        }
    }

    fn encode_roster(&mut self) -> Bytes {
        let view = self.live().group.hand_out_roster();
        if self.live().group.roster().is_large() {
            self.slot.audience.lock().showed(&view);
        }
        codec::encode(ServerFrame::Roster(&view))
    }

    /// Asks to be woken when something is due.
    fn ask_for_tick(&mut self, myself: &ActorRef<GroupSignal>) {
        let now_ms = self.shared.clock.mono_ms();
        let live = self.live();
        let Some(due_ms) = live.group.due_ms() else { return };
        if live.tick_ms.is_none_or(|asked| due_ms < asked) {
            live.tick_ms = Some(due_ms);
            myself.send_after(Duration::from_millis(due_ms.saturating_sub(now_ms)), || GroupSignal::Tick);
        }
    }
}

impl Drop for GroupState {
    fn drop(&mut self) {
        self.shared.metrics.groups_awake.dec();
    }
}
