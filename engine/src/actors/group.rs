//! The actor of a group: its one writer. It asks [`domain::Group`](Group) what to do and does it.
//!
//! Here is its life and what it is told; [`deciding`] asks the store and the rules about what is said, [`showing`] carries
//! effects out.

mod deciding;
mod showing;

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
use super::told::{Admission, GroupMessage, JoinDenied, Presence};
use crate::domain::group::{Command, Departure, Effect, Group};
use crate::domain::ids::SessionId;
use crate::domain::profile::UserRecord;
use crate::domain::roster::Attendee;
use crate::error::EngineError;
use crate::protocol::frame::Dialect;

/// Messages that are handled before timers and the supervisor get their turn.
const MESSAGES_PER_TURN: usize = 256;

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
    /// Who asked for one of the markers that are being gathered.
    marking: Vec<Receipt>,
    rosters: Rosters,
    /// When the next tick was asked for, on the monotonic clock.
    tick_ms: Option<u64>,
    active_ms: u64,
    /// The group is no more, or its deletion is on its way to the disk: nothing is said any more.
    deleted: bool,
    /// The engine stops.
    draining: bool,
}

/// What newcomers of a large group are handed, until everyone is told something newer: the roster in each dialect that somebody speaks.
#[derive(Default)]
struct Rosters {
    version: u64,
    /// How many attendees were encoded for them.
    attendees: usize,
    encoded: [Option<Bytes>; Dialect::ALL.len()],
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
            GroupSignal::Tick => state.tick()?,
            GroupSignal::MaySleep => state.may_sleep(&myself),
            GroupSignal::LogBroke => return Err("the log broke; beginning again from the store".into()),
        }
        state.answer_marks();
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
            marking: Vec::new(),
            rosters: Rosters::default(),
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
            GroupMessage::Say { speaker, message, marks, receipt } => {
                self.say(speaker, message, marks, receipt).await?;
            }
            GroupMessage::Change { speaker, kind, receipt } => self.change(speaker, kind, receipt).await?,
            GroupMessage::Moderate { speaker, op, user, until_ms, receipt } => {
                self.moderate(&speaker, op, &user, until_ms, receipt)?;
            }
            GroupMessage::Join { seat, reply } => self.join(seat, reply)?,
            GroupMessage::Leave { session, lingers } => self.leave(session, lingers)?,
            GroupMessage::Mark { session, marker, receipt } => self.mark(session, marker, receipt)?,
            GroupMessage::Type { session, on, receipt } => self.set_typing(session, on, receipt)?,
            GroupMessage::Whisper { session, custom, to, receipt } => {
                self.whisper(session, &custom, to.as_ref(), receipt);
            }
            GroupMessage::Mutate(mutation, reply) => self.mutate(mutation, reply)?,
            GroupMessage::Mutated(mutated, reply) => self.show(mutated, reply)?,
            GroupMessage::Moderated { by, moderation, attendee, receipt } => {
                let attendee = attendee.map(Attendee::from);
                self.decide(Command::Moderated { by, moderation, attendee }, receipt).await?;
            }
            GroupMessage::Marked(marked) => self.command(Command::Marked(marked))?,
            GroupMessage::UserChanged(user) => self.user_changed(&user)?,
            GroupMessage::Resync { session, r } => self.resync(session, r),
            GroupMessage::Presence { limit, reply } => self.tell_presence(limit, reply),
            GroupMessage::Flush(done) => self.live().delivery.order(Order::Flush(done))?,
            GroupMessage::Drain(code, done) => {
                self.live().draining = true;
                // What is still being gathered is stored before the goodbye.
                if let Some(marks) = self.live().group.hand_out_markers() {
                    self.carry_out(marks)?;
                }
                self.live().delivery.order(Order::Drain(code, done))?;
            }
        }
        Ok(())
    }

    fn join(
        &mut self,
        seat: Seat,
        reply: oneshot::Sender<Result<Admission, JoinDenied>>,
    ) -> Result<(), ActorProcessingErr> {
        if self.live().deleted {
            // Who asked may have gone.
            let _ = reply.send(Err(JoinDenied::GroupDeleted));
            return Ok(());
        }
        if self.live().draining {
            let _ = reply.send(Err(JoinDenied::Draining));
            return Ok(());
        }
        let now = self.shared.clock.now();
        let (session, user) = (seat.session, seat.user.clone());
        match self.live().group.handle(Command::Join { session, user }, now) {
            Err(denied) => _ = reply.send(Err(JoinDenied::Denied(denied))),
            Ok(effects) => {
                let mut newcomer = Some((seat, reply));
                for effect in effects {
                    if let Effect::Admit(_) = effect {
                        let (seat, reply) = newcomer.take().expect("one who joins is admitted once");
                        self.admit(seat, reply)?;
                    } else {
                        self.carry_out(effect)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, session: SessionId, lingers: bool) -> Result<(), ActorProcessingErr> {
        // A session that was admitted and left at the same moment may have been seated in between.
        self.slot.audience.lock().leave(session);
        self.command(Command::Leave { session, lingers })
    }

    fn mutate(&mut self, mutation: Mutation, reply: Reply) -> Result<(), ActorProcessingErr> {
        if self.live().deleted {
            let _ = reply.send(Err(EngineError::GroupNotFound));
            return Ok(());
        }
        self.live().deleted = matches!(mutation, Mutation::Delete);
        Ok(self.live().delivery.order(Order::Mutation(mutation, reply))?)
    }

    fn show(&mut self, mutated: Mutated, reply: Reply) -> Result<(), ActorProcessingErr> {
        match mutated {
            Mutated::Put(attendee) => self.command(Command::PutAttendee(attendee.into()))?,
            Mutated::Removed(user) => self.command(Command::RemoveAttendee(user))?,
            Mutated::Deleted => self.command(Command::Delete)?,
        }
        // Who asked may have given up.
        let _ = reply.send(Ok(()));
        Ok(())
    }

    fn user_changed(&mut self, user: &UserRecord) -> Result<(), ActorProcessingErr> {
        let Some(attendee) = self.live().group.known(&user.life()) else { return Ok(()) };
        let attendee = Attendee {
            name: user.profile.name.clone(),
            icon: user.profile.icon.clone(),
            revision: user.revision,
            ..attendee.clone()
        };
        self.command(Command::PutAttendee(attendee))
    }

    fn tell_presence(&mut self, limit: usize, reply: oneshot::Sender<Presence>) {
        let roster = self.live().group.roster();
        let presence = Presence { online: roster.online(), view: roster.first_online(limit) };
        // Who asked may have given up.
        let _ = reply.send(presence);
    }

    fn tick(&mut self) -> Result<(), ActorProcessingErr> {
        self.live().tick_ms = None;
        self.command(Command::Tick)
    }

    fn may_sleep(&mut self, myself: &ActorRef<GroupSignal>) {
        let idle_ms = self.shared.limits.group_idle_ms;
        let now_ms = self.shared.clock.mono_ms();
        let live = self.live();
        let idle = live.group.is_empty()
            && live.group.due_ms().is_none()
            && live.delivery.is_idle()
            && live.active_ms + idle_ms <= now_ms;
        // Once the inbox is closed, whoever wants to tell the group something wakes it first.
        if idle && self.slot.inbox.lock().close_if_empty() {
            myself.stop(None);
        } else {
            sleep_later(&self.shared, myself);
        }
    }

    fn command(&mut self, command: Command) -> Result<(), ActorProcessingErr> {
        let now = self.shared.clock.now();
        let effects = self.live().group.handle(command, now);
        self.carry_out_all(effects.expect("only what somebody asks for is ever denied"))
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
