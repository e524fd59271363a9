//! The second half of a group: follows the disk. What the group decided comes here in order; each is awaited
//! until it is durable, and then shown to everyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::ActorRef;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::Shared;
use super::directory::GroupSlot;
use super::frames::Frames;
use super::group::GroupSignal;
use super::receipt::Receipt;
use super::told::GroupMessage;
use crate::domain::attendance::{Attendance, AttendeeRecord, Role, Standing};
use crate::domain::event::{Actor, Event, EventKind, Head, Moderation, ModerationOp};
use crate::domain::group::Marked;
use crate::domain::ids::{Seq, UserId, UserLife};
use crate::error::EngineError;
use crate::protocol::code::CloseCode;
use crate::protocol::frame::ServerFrame;
use crate::socket::outbound::Worth;
use crate::store::{Appending, StoreError};

/// Answers a mutation.
pub(crate) type Reply = oneshot::Sender<Result<(), EngineError>>;

/// What may be changed in a group that is live.
#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    /// A member of this stint.
    AddAttendee(UserId, u64),
    /// Of this life of the user: one made again since under its id stays.
    RemoveAttendee(UserLife),
    /// The tenant makes somebody a moderator or a member.
    SetRole(UserId, Role),
    Delete,
}

/// What a moderator may do, once the group has agreed.
#[derive(Debug)]
pub(crate) struct Moderating {
    pub(crate) by: Actor,
    pub(crate) moderation: Moderation,
    pub(crate) user: UserLife,
}

/// A mutation that is durable.
#[derive(Debug)]
pub(crate) enum Mutated {
    /// Was added, or stands differently.
    Put(AttendeeRecord),
    Removed(UserLife),
    Deleted,
}

/// Why nothing is to be stored.
#[derive(Debug)]
pub(crate) enum Before {
    /// It was said before, there.
    Said(Head),
    /// The message at this place is so already.
    Unchanged(Seq),
}

/// What a group hands to its delivery.
#[derive(Debug)]
pub(crate) enum Order {
    Event {
        event: Event,
        appending: Appending,
        receipt: Option<Receipt>,
    },
    /// Nothing is to be stored, once all is stored up to this place that the answer goes by.
    Answer {
        before: Before,
        upto: Seq,
        receipt: Receipt,
    },
    /// Markers to store, and whoever asked for one of them.
    Marks(Vec<Marked>, Vec<Receipt>),
    Mutation(Mutation, Reply),
    Moderate(Box<Moderating>, Receipt),
    /// Answered when all before it is done.
    Flush(oneshot::Sender<()>),
    /// Ends everyone's session when all before it is done.
    Drain(CloseCode, oneshot::Sender<()>),
}

/// The group's end of its delivery.
#[derive(Debug)]
pub(crate) struct Delivery {
    orders: mpsc::UnboundedSender<Order>,
    pending: Arc<AtomicUsize>,
}

/// The delivery has ended, which it doesn't do while its group lives, unless it crashed.
#[derive(Debug, thiserror::Error)]
#[error("the group's delivery has crashed")]
pub(crate) struct Ended;

impl Delivery {
    /// Starts following the disk. `turn` is held until everything that was ordered is done.
    pub(crate) fn start(
        shared: Arc<Shared>,
        slot: Arc<GroupSlot>,
        group: ActorRef<GroupSignal>,
        turn: OwnedMutexGuard<()>,
    ) -> Self {
        // Unbounded, because what comes in is bounded by what sessions may have under way.
        let (orders, queue) = mpsc::unbounded_channel();
        let pending = Arc::new(AtomicUsize::new(0));
        let follower = Follower { shared, slot, group, pending: Arc::clone(&pending), _turn: turn };
        tokio::spawn(follower.run(queue));
        Self { orders, pending }
    }

    pub(crate) fn order(&self, order: Order) -> Result<(), Ended> {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.orders.send(order).map_err(|_| Ended)
    }

    /// Whether everything that was ordered is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Relaxed) == 0
    }
}

struct Follower {
    shared: Arc<Shared>,
    slot: Arc<GroupSlot>,
    group: ActorRef<GroupSignal>,
    pending: Arc<AtomicUsize>,
    _turn: OwnedMutexGuard<()>,
}

impl Follower {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = queue.recv().await {
            match order {
                Order::Event { event, appending, receipt } => match appending.await {
                    Ok(()) => self.deliver(&event, receipt),
                    Err(error) => self.fail(error, receipt),
                },
                Order::Answer { before, upto, receipt } => self.answer(&before, upto, receipt),
                Order::Marks(marked, receipts) => match self.mark(marked).await {
                    Ok(()) => receipts.into_iter().for_each(Receipt::done),
                    Err(error) => {
                        receipts.into_iter().for_each(|receipt| receipt.refused(error.clone().into()));
                    }
                },
                Order::Mutation(mutation, reply) => self.mutate(mutation, reply).await,
                Order::Moderate(moderating, receipt) => self.moderate(*moderating, receipt).await,
                // Who asked may have given up.
                Order::Flush(done) => _ = done.send(()),
                Order::Drain(code, done) => {
                    let shared = &self.shared;
                    let farewell = |seat: &super::audience::Seat| shared.sessions.say_farewell(seat.session);
                    self.slot.audience.lock().close_all(code, farewell);
                    let _ = done.send(());
                }
            }
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn deliver(&self, event: &Event, receipt: Option<Receipt>) {
        // What waits behind it is gathered with it by the writers.
        let is_last = self.pending.load(Ordering::Relaxed) <= 1;
        self.slot.show(event, is_last, &self.shared.metrics);
        if matches!(event.kind, EventKind::Message(_)) {
            self.shared.inboxes.bump(&self.slot.record);
        }
        if let Some(receipt) = receipt {
            receipt.happened(event);
        }
    }

    fn answer(&self, before: &Before, upto: Seq, receipt: Receipt) {
        if self.slot.stored() < upto {
            // What it goes by wasn't stored.
            return receipt.refused(EngineError::Uncertain);
        }
        match before {
            Before::Said(said) => receipt.duplicate(*said),
            Before::Unchanged(of) => receipt.unchanged(*of),
        }
    }

    /// The log ends before this event. The group has counted on it, so it must begin again from the store.
    fn fail(&self, error: StoreError, receipt: Option<Receipt>) {
        tracing::error!(group = self.slot.record.uid.0, %error, "an event couldn't be stored");
        if let Some(receipt) = receipt {
            receipt.refused(error.into());
        }
        // A group that is gone begins again anyway.
        let _ = self.group.cast(GroupSignal::LogBroke);
    }

    /// Stores markers and tells of them. They are state: a store that can't take them now gets newer ones later.
    async fn mark(&self, marked: Vec<Marked>) -> Result<(), StoreError> {
        let rows = marked.iter().map(|marked| (marked.user.clone(), marked.marker)).collect();
        self.shared.history.mark(self.slot.record.uid, rows).await.inspect_err(|error| {
            // One that was deleted meanwhile has none.
            if *error != StoreError::NoGroup {
                tracing::warn!(group = self.slot.record.uid.0, %error, "markers can't be stored now");
            }
        })?;
        let is_large = self.slot.is_large();
        for Marked { user, marker, told } in &marked {
            if !told {
                continue;
            }
            let frames = Frames::new(ServerFrame::Marker(self.slot.scope(), &user.id, *marker));
            let audience = self.slot.audience.lock();
            audience.signal(&frames, Worth::Essential, |seat| !is_large || seat.user == *user);
        }
        // A group that sleeps has nothing to note.
        let _ = self.slot.tell(GroupMessage::Marked(marked));
        Ok(())
    }

    async fn mutate(&self, mutation: Mutation, reply: Reply) {
        let (directory, record) = (&self.shared.directory, &self.slot.record);
        let deletes = matches!(mutation, Mutation::Delete);
        let stored = match mutation {
            Mutation::AddAttendee(user, stint) => {
                let added = directory.add_attendee(record, &user, stint).await;
                added.inspect(|attendee| self.attends(&attendee.user.life(), true)).map(Mutated::Put)
            }
            Mutation::SetRole(user, role) => self.set_role(&user, role).await.map(Mutated::Put),
            Mutation::RemoveAttendee(user) => {
                let removed = directory.remove_attendee(record, &user).await;
                removed.inspect(|()| self.attends(&user, false)).map(|()| Mutated::Removed(user))
            }
            Mutation::Delete => {
                let deleted = directory.delete_group(record).await;
                deleted.inspect(|()| self.shared.inboxes.ended(record.uid)).map(|()| Mutated::Deleted)
            }
        };
        match stored {
            Ok(mutated) => self.show(mutated, reply),
            Err(error) => {
                if deletes {
                    // The group has stopped taking messages; it looks again whether it still is.
                    let _ = self.group.cast(GroupSignal::LogBroke);
                }
                // Who asked may have given up.
                let _ = reply.send(Err(error.into()));
            }
        }
    }

    /// The group answers once the change shows. One that is quarantined reads it from the store later.
    fn show(&self, mutated: Mutated, reply: Reply) {
        if let Err(GroupMessage::Mutated(_, reply)) = self.slot.tell(GroupMessage::Mutated(mutated, reply)) {
            let _ = reply.send(Ok(()));
        }
    }

    /// Tells the user's connections that are in no group of it.
    fn attends(&self, user: &UserLife, attends: bool) {
        let (inboxes, record) = (&self.shared.inboxes, &self.slot.record);
        let user = (record.service.clone(), user.clone());
        if attends { inboxes.attends(&user, record) } else { inboxes.left(&user, record.uid) }
    }

    /// Reads how somebody stands and changes that; nothing comes between, since only the delivery of its group does so.
    async fn set_role(&self, user: &UserId, role: Role) -> Result<AttendeeRecord, StoreError> {
        let (directory, record) = (&self.shared.directory, &self.slot.record);
        let Attendance { user, standing } =
            directory.attendance(record, user).await?.ok_or(StoreError::NotAttending)?;
        directory.set_standing(record, &user, Standing { role, ..standing }).await
    }

    /// Stores how an attendee stands, and has it take its place in the log then: after a crash in between the same
    /// request does both again.
    async fn moderate(&self, moderating: Moderating, receipt: Receipt) {
        let Moderating { by, moderation, user } = moderating;
        match self.stand_after(&moderation, &user).await {
            Ok(attendee) => {
                // A group that can't be told drops the receipt, which answers.
                let _ = self.slot.tell(GroupMessage::Moderated { by, moderation, attendee, receipt });
            }
            Err(error) => receipt.refused(error.into()),
        }
    }

    /// How somebody stands after being moderated; none for whom is kicked.
    async fn stand_after(
        &self,
        moderation: &Moderation,
        user: &UserLife,
    ) -> Result<Option<AttendeeRecord>, StoreError> {
        let (directory, record) = (&self.shared.directory, &self.slot.record);
        let attendance = directory.attendance(record, &user.id).await?;
        let attendance = attendance.filter(|attendance| attendance.user == *user);
        let Attendance { standing, .. } = attendance.ok_or(StoreError::NotAttending)?;
        match standing.moderated(moderation.op, moderation.until_ms) {
            Some(standing) => {
                let attendee = directory.set_standing(record, user, standing).await?;
                if moderation.op == ModerationOp::Unban {
                    self.attends(user, true);
                }
                Ok(Some(attendee))
            }
            None => {
                directory.remove_attendee(record, user).await?;
                self.attends(user, false);
                Ok(None)
            }
        }
    }
}
