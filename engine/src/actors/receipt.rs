//! The promise to a sender: a message is delivered, or its sender is told that it wasn't. Nothing is lost
//! silently, not even when the actor that holds the message dies.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use crate::protocol::code::ErrorCode;
use crate::protocol::codec;
use crate::protocol::frame::{Refusal, ServerFrame};
use crate::socket::outbound::{Outbound, Worth};

/// Goes where a message goes. Dropping it unanswered tells the sender.
pub(crate) struct Receipt {
    sender: Arc<Outbound>,
    shared: Arc<Shared>,
    taken: Instant,
    answered: bool,
    /// The message's share of what its session may have under way.
    _permit: OwnedSemaphorePermit,
}

impl Receipt {
    pub(crate) fn new(sender: Arc<Outbound>, permit: OwnedSemaphorePermit, shared: Arc<Shared>) -> Self {
        Self { sender, shared, taken: Instant::now(), answered: false, _permit: permit }
    }

    /// The message is durable and on its way to everyone, the sender included.
    pub(crate) fn delivered(mut self) {
        self.answered = true;
        self.shared.metrics.messages.inc();
        self.shared.metrics.append_seconds.observe(self.taken.elapsed().as_secs_f64());
    }

    /// The message wasn't taken.
    pub(crate) fn refused(mut self, refusal: &Refusal) {
        self.answered = true;
        self.refuse(refusal);
    }

    fn refuse(&self, refusal: &Refusal) {
        self.shared.metrics.refused(refusal.code);
        self.sender.push(codec::encode(ServerFrame::Error(refusal)), Worth::Essential);
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("answered", &self.answered).finish_non_exhaustive()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.answered {
            self.refuse(&Refusal::new(
                ErrorCode::GROUP_UNAVAILABLE,
                "the group is being started again: see in history whether the message is there, else send it again",
            ));
        }
    }
}
