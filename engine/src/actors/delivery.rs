//! The second half of a group: follows the disk. What the group decided comes here in order; each is awaited
//! until it is durable, and then shown to everyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::ActorRef;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::Shared;
use super::directory::GroupSlot;
use super::group::{GroupMessage, GroupSignal};
use super::receipt::Receipt;
use crate::domain::ids::{UserId, UserLife};
use crate::domain::message::Message;
use crate::domain::profile::UserRecord;
use crate::error::EngineError;
use crate::protocol::code::{CloseCode, ErrorCode};
use crate::protocol::codec;
use crate::protocol::frame::{Refusal, ServerFrame};
use crate::store::{Appending, StoreError};

/// Answers a mutation.
pub(crate) type Reply = oneshot::Sender<Result<(), EngineError>>;

/// What a tenant may change in a group that is live.
#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    AddAttendee(UserId),
    /// Of this life of the user: one made again since under its id stays.
    RemoveAttendee(UserLife),
    Delete,
}

/// A mutation that is durable.
#[derive(Debug)]
pub(crate) enum Mutated {
    Added(UserRecord),
    Removed(UserLife),
    Deleted,
}

/// What a group hands to its delivery.
#[derive(Debug)]
pub(crate) enum Order {
    Message {
        message: Message,
        appending: Appending,
        receipt: Receipt,
    },
    Mutation(Mutation, Reply),
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
                Order::Message { message, appending, receipt } => match appending.await {
                    Ok(()) => self.deliver(&message, receipt),
                    Err(error) => self.fail(&error, receipt),
                },
                Order::Mutation(mutation, reply) => self.mutate(mutation, reply).await,
                // Who asked may have given up.
                Order::Flush(done) => _ = done.send(()),
                Order::Drain(code, done) => {
                    self.slot.audience.lock().close_all(code);
                    let _ = done.send(());
                }
            }
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn deliver(&self, message: &Message, receipt: Receipt) {
        let frame = codec::encode(ServerFrame::Message(self.slot.record.uid, message));
        let reached = self.slot.audience.lock().deliver(message.seq, &frame);
        self.shared.metrics.deliveries.inc_by(reached);
        receipt.delivered();
    }

    /// The log ends before this message. The group has counted on it, so it must begin again from the store.
    fn fail(&self, error: &StoreError, receipt: Receipt) {
        tracing::error!(group = self.slot.record.uid.0, %error, "a message couldn't be stored");
        receipt.refused(&Refusal::new(
            ErrorCode::STORE_UNAVAILABLE,
            "the message couldn't be stored: send it again in a moment",
        ));
        // A group that is gone begins again anyway.
        let _ = self.group.cast(GroupSignal::LogBroke);
    }

    async fn mutate(&self, mutation: Mutation, reply: Reply) {
        let (directory, record) = (&self.shared.directory, &self.slot.record);
        let deletes = matches!(mutation, Mutation::Delete);
        let stored = match mutation {
            Mutation::AddAttendee(user) => directory.add_attendee(record, &user).await.map(Mutated::Added),
            Mutation::RemoveAttendee(user) => {
                directory.remove_attendee(record, &user).await.map(|()| Mutated::Removed(user))
            }
            Mutation::Delete => directory.delete_group(record).await.map(|()| Mutated::Deleted),
        };
        match stored {
            // The group answers once the change shows. One that is quarantined reads it from the store later.
            Ok(mutated) => {
                if let Err(GroupMessage::Mutated(_, reply)) =
                    self.slot.tell(GroupMessage::Mutated(mutated, reply))
                {
                    let _ = reply.send(Ok(()));
                }
            }
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
}
