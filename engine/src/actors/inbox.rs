//! What a group has been told and hasn't looked at yet. It stands outside the group's actor, so that a crash
//! loses only the message in hand; the next actor goes on with the rest, in order.
//!
//! The actor's own mailbox carries only the notice that something is here.

use std::collections::VecDeque;

use super::told::GroupMessage;

/// The messages of one group, oldest first. What enters is bounded at the edge: a session has at most
/// `inflight_bytes_max` under way, and a REST request waits for its answer.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: VecDeque<GroupMessage>,
    /// The actor knows that something is here and hasn't emptied it yet.
    noticed: bool,
    /// The group sleeps or is quarantined.
    closed: bool,
}

/// What has to be done about a message that was put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The actor must be told.
    Notify,
    /// The actor knows already.
    Known,
}

impl Inbox {
    /// Puts a message in, or gives it back when nobody will look.
    // The message is large because it carries what it is about; it is moved, not copied.
    #[allow(clippy::result_large_err)]
    pub(crate) fn put(&mut self, message: GroupMessage) -> Result<Put, GroupMessage> {
        if self.closed {
            return Err(message);
        }
        self.queue.push_back(message);
        let known = std::mem::replace(&mut self.noticed, true);
        Ok(if known { Put::Known } else { Put::Notify })
    }

    /// The oldest message. `None` also forgets the notice: the next message gives a new one.
    pub(crate) fn take(&mut self) -> Option<GroupMessage> {
        let message = self.queue.pop_front();
        self.noticed = message.is_some();
        message
    }

    /// Closes it, unless something is in it.
    pub(crate) fn close_if_empty(&mut self) -> bool {
        self.closed |= self.queue.is_empty();
        self.closed
    }

    /// Closes it and hands out what is in it, to be dropped where no lock is held.
    pub(crate) fn close(&mut self) -> VecDeque<GroupMessage> {
        self.closed = true;
        self.noticed = false;
        std::mem::take(&mut self.queue)
    }

    /// An actor is there that will look.
    pub(crate) fn open(&mut self) {
        self.closed = false;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SessionId;

    fn message(session: u64) -> GroupMessage {
        GroupMessage::Leave { session: SessionId(session), lingers: false }
    }

    #[test]
    fn the_actor_is_told_once_for_all_that_waits() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.put(message(1)).unwrap(), Put::Notify);
        assert_eq!(inbox.put(message(2)).unwrap(), Put::Known);
        assert!(inbox.take().is_some() && inbox.take().is_some());
        assert_eq!(inbox.put(message(3)).unwrap(), Put::Known, "it hasn't been seen empty yet");
        assert!(inbox.take().is_some() && inbox.take().is_none());
        assert_eq!(inbox.put(message(4)).unwrap(), Put::Notify);
    }

    #[test]
    fn a_group_falls_asleep_only_when_nothing_waits() {
        let mut inbox = Inbox::default();
        inbox.put(message(1)).unwrap();
        assert!(!inbox.close_if_empty());
        inbox.take();
        assert!(inbox.close_if_empty());
        assert!(inbox.put(message(2)).is_err());
        inbox.open();
        assert_eq!(inbox.put(message(2)).unwrap(), Put::Known, "the actor that opens it looks by itself");
    }
}
