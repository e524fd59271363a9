//! The rows of messages, each in its newest version. A message of a text alone has a short row; what few messages
//! have, and what changed since, stands in a tail.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rows;
use crate::domain::event::{Actor, Edit, Event, EventKind, Extra, Facts, Message, Shown};
use crate::domain::ids::{ClientId, ReactionKey, Seq, UserId, UserLife, UserUid};
use crate::domain::profile::{Change, Custom};
use crate::store::StoreError;

/// The layout of a row. Rows of [`rows::VERSION`] are from before logs held anything but messages.
const VERSION: u8 = 2;

/// A message without its place, which is its key.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
struct MessageRow<'a, T> {
    time_ms: u64,
    author: &'a str,
    life: u64,
    number: u64,
    text: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tail: Option<T>,
}

/// The row of a message from before logs held anything else.
#[derive(Deserialize)]
struct OldRow<'a> {
    time_ms: u64,
    author: &'a str,
    text: &'a str,
}

/// What few messages have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Tail {
    /// The last event that changed the message; 0 when none did.
    version: u64,
    edited_ms: Option<u64>,
    deleted: bool,
    client_id: Option<ClientId>,
    reply_to: Option<Seq>,
    custom: Option<Custom>,
    reactions: BTreeMap<ReactionKey, u64>,
}

/// A message as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) seq: Seq,
    pub(super) time_ms: u64,
    pub(super) author: Actor,
    /// How many messages of the group were said up to this one.
    pub(super) number: u64,
    text: Arc<str>,
    tail: Tail,
}

/// Writes the row of a message that was said just now.
pub(super) fn encode(time_ms: u64, by: &Actor, number: u64, message: &Message) -> Vec<u8> {
    let tail = (message.extra.is_some() || message.deleted).then(|| {
        let extra = message.extra.as_deref().cloned().unwrap_or_default();
        let Extra { client_id, reply_to, custom } = extra;
        Tail { client_id, reply_to, custom, deleted: message.deleted, ..Tail::default() }
    });
    encode_row(time_ms, by, number, &message.text, tail.as_ref())
}

fn encode_row(time_ms: u64, by: &Actor, number: u64, text: &str, tail: Option<&Tail>) -> Vec<u8> {
    let (author, life) = (by.id(), rows::life_of(by));
    // With room for the numbers and for a client id.
    let bytes = author.len() + text.len() + if tail.is_some() { 128 } else { 48 };
    rows::encode_as(VERSION, bytes, &MessageRow { time_ms, author, life, number, text, tail })
}

impl Stored {
    /// Reads a row.
    pub(super) fn decode(seq: Seq, bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(seq, bytes).map_err(|reason| StoreError::Corrupt(format!("message {}: {reason}", seq.0)))
    }

    fn read(seq: Seq, bytes: &[u8]) -> Result<Self, String> {
        let (version, body) = bytes.split_first().ok_or("the row is empty")?;
        match *version {
            VERSION => {
                let row: MessageRow<'_, Tail> = rows::parse(body)?;
                let author = rows::actor(row.author, row.life)?;
                let (tail, text) = (row.tail.unwrap_or_default(), row.text.into());
                Ok(Self { seq, time_ms: row.time_ms, author, number: row.number, text, tail })
            }
            rows::VERSION => {
                let row: OldRow<'_> = rows::parse(body)?;
                let id = UserId::parse(row.author).map_err(|error| error.to_string())?;
                // Of which life it was isn't known, and every event was a message then.
                let author = Actor::User(UserLife { id, uid: UserUid::default() });
                let (number, text) = (seq.0, row.text.into());
                Ok(Self { seq, time_ms: row.time_ms, author, number, text, tail: Tail::default() })
            }
            version => Err(format!("row version {version} is unknown")),
        }
    }

    /// Whether a row is from before logs held anything but messages.
    pub(super) fn is_old(row: &[u8]) -> bool {
        row.first() == Some(&rows::VERSION)
    }

    /// Writes the row.
    pub(super) fn encode(&self) -> Vec<u8> {
        let tail = (self.tail != Tail::default()).then_some(&self.tail);
        encode_row(self.time_ms, &self.author, self.number, &self.text, tail)
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.tail.deleted
    }

    pub(super) fn client_id(&self) -> Option<&ClientId> {
        self.tail.client_id.as_ref()
    }

    pub(super) fn has_reactions(&self) -> bool {
        !self.tail.reactions.is_empty()
    }

    /// Whether it was said by this life of a user.
    pub(super) fn is_by(&self, user: &UserLife) -> bool {
        self.author.user() == Some(user)
    }

    /// Changes it as an edit at this place and time says.
    pub(super) fn edit(&mut self, edit: &Edit, seq: Seq, time_ms: u64) {
        if let Some(text) = &edit.text {
            self.text = Arc::clone(text);
        }
        self.tail.edited_ms = Some(time_ms);
        self.tail.custom = edit.custom.apply(self.tail.custom.as_ref());
        self.tail.version = seq.0;
    }

    /// Makes it a tombstone: what was said is gone, and only what the log needs stays.
    pub(super) fn delete(&mut self, seq: Seq) {
        self.text = "".into();
        self.tail = Tail {
            version: seq.0,
            deleted: true,
            client_id: self.tail.client_id.take(),
            reply_to: self.tail.reply_to,
            ..Tail::default()
        };
    }

    /// Takes its author out of it, and what the author's client called it.
    pub(super) fn erase(&mut self) {
        self.author = Actor::Erased;
        self.tail.client_id = None;
    }

    /// Leaves its place and nothing else.
    pub(super) fn hollow(&mut self) {
        self.text = "".into();
        self.author = Actor::Erased;
        self.tail = Tail { version: self.tail.version, deleted: true, ..Tail::default() };
    }

    /// Counts a reaction that was set or taken back.
    pub(super) fn react(&mut self, key: &ReactionKey, set: bool, seq: Seq) {
        self.tail.version = seq.0;
        if set {
            let count = self.tail.reactions.entry(key.clone()).or_default();
            *count = count.saturating_add(1);
        } else if let Some(count) = self.tail.reactions.get_mut(key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.tail.reactions.remove(key);
            }
        }
    }

    /// What a replay shows of an edit of it: what was changed then, as it stands now.
    pub(super) fn edited(&self, text: bool, custom: bool) -> (Option<Arc<str>>, Change<Custom>) {
        if self.tail.deleted {
            return (None, Change::Keep);
        }
        let custom = match &self.tail.custom {
            _ if !custom => Change::Keep,
            None => Change::Clear,
            Some(custom) => Change::Set(custom.clone()),
        };
        (text.then(|| Arc::clone(&self.text)), custom)
    }

    /// What deciding about a change of it takes.
    pub(super) fn into_facts(self, mine: Vec<ReactionKey>) -> Facts {
        let Tail { deleted, reactions, .. } = self.tail;
        Facts { author: self.author, deleted, reactions, mine }
    }

    /// It as an event of its log.
    pub(super) fn into_event(self) -> Event {
        let Tail { deleted, client_id, reply_to, custom, .. } = self.tail;
        let message = Message { deleted, ..Message::new(self.text, Extra { client_id, reply_to, custom }) };
        Event { seq: self.seq, time_ms: self.time_ms, by: self.author, kind: EventKind::Message(message) }
    }

    /// It as a page shows it to who has set these reactions.
    pub(super) fn into_shown(self, mine: Vec<ReactionKey>) -> Shown {
        let Tail { version, edited_ms, deleted, client_id, reply_to, custom, reactions } = self.tail;
        Shown {
            seq: self.seq,
            time_ms: self.time_ms,
            author: self.author,
            message: Message { deleted, ..Message::new(self.text, Extra { client_id, reply_to, custom }) },
            number: self.number,
            version: self.seq.max(Seq(version)),
            edited_ms,
            reactions,
            mine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alice(uid: u64) -> Actor {
        Actor::User(UserLife { id: UserId::parse("alice").unwrap(), uid: UserUid(uid) })
    }

    #[test]
    fn a_plain_message_has_a_short_row() {
        let message = Message::plain("x".repeat(100));
        let row = encode(1_551_105_125_856, &alice(u64::MAX), 1_000_000, &message);
        // Version, array, time, author, life, number, text.
        assert_eq!(row.len(), 1 + 1 + 9 + 6 + 9 + 5 + 102);
    }

    #[test]
    fn a_row_of_the_old_layout_is_of_no_known_life() {
        let old = rows::encode(&(17_u64, "alice", "hi"));
        assert!(Stored::is_old(&old));
        let stored = Stored::decode(Seq(7), &old).unwrap();
        assert_eq!((stored.time_ms, &stored.author, stored.number), (17, &alice(0), 7));
        assert_eq!(stored.into_shown(vec![]).message, Message::plain("hi"));
    }

    #[test]
    fn nobody_is_either_the_system_or_who_was_erased() {
        for by in [Actor::System, Actor::Erased, alice(0), alice(1)] {
            let row = encode(1, &by, 1, &Message::plain("hi"));
            assert_eq!(Stored::decode(Seq(1), &row).unwrap().author, by);
        }
    }

    #[test]
    fn nothing_of_a_deleted_message_is_left_in_its_row() {
        let custom = Custom::from_value(&serde_json::json!("secret custom")).unwrap();
        let client_id = ClientId::parse("c1");
        let extra = Extra { client_id: client_id.clone(), reply_to: Some(Seq(1)), custom: Some(custom) };
        let row = encode(1, &alice(1), 2, &Message::new("secret text", extra));
        let mut stored = Stored::decode(Seq(2), &row).unwrap();
        stored.react(&ReactionKey::parse("secret key").unwrap(), true, Seq(3));
        stored.delete(Seq(4));
        let row = stored.encode();
        assert!(!String::from_utf8_lossy(&row).contains("secret"));
        let read = Stored::decode(Seq(2), &row).unwrap();
        assert_eq!((read.client_id(), read.is_deleted()), (client_id.as_ref(), true));
    }

    proptest! {
        #[test]
        fn a_message_comes_back_from_its_row(
            time_ms: u64, uid: u64, number: u64, text in any::<String>(), reply: Option<u64>, edit: Option<String>
        ) {
            let message = Message::new(text, Extra { reply_to: reply.map(Seq), ..Extra::default() });
            let row = encode(time_ms, &alice(uid), number, &message);
            let mut stored = Stored::decode(Seq(7), &row).unwrap();
            let event = Event { seq: Seq(7), time_ms, by: alice(uid), kind: EventKind::Message(message) };
            prop_assert_eq!(stored.clone().into_event(), event);
            prop_assert_eq!(stored.number, number);
            prop_assert_eq!(stored.encode(), row);
            let text = edit.map(Arc::from);
            stored.edit(&Edit { of: Seq(7), text, custom: Change::Keep }, Seq(9), 5);
            prop_assert_eq!(Stored::decode(Seq(7), &stored.encode()), Ok(stored));
        }
    }
}
