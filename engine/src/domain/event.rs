//! What happens in a group: the events of its one log.
//!
//! Messages, edits, deletions, reactions and moderation each take the next place. What history shows is a view of
//! the log: [`Shown`] is a message as it stands now.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{ClientId, ReactionKey, Seq, UserLife};
use super::profile::{Change, Custom};

/// The newest place in a group's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The last event's place; 0 when there is none.
    pub seq: Seq,
    /// When that was, Unix milliseconds.
    pub time_ms: u64,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A user.
    User(UserLife),
    /// The tenant's backend.
    System,
    /// A user that was erased since.
    Erased,
}

impl Actor {
    /// The user, if there is one.
    pub fn user(&self) -> Option<&UserLife> {
        match self {
            Self::User(user) => Some(user),
            Self::System | Self::Erased => None,
        }
    }

    /// The user's id as it goes over the wire; empty for nobody.
    pub fn id(&self) -> &str {
        self.user().map_or("", |user| user.id.as_str())
    }
}

/// One entry of a group's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place.
    pub seq: Seq,
    /// When the group took it, Unix milliseconds. Never less than the event before it.
    pub time_ms: u64,
    /// Who did it.
    pub by: Actor,
    /// What was done.
    pub kind: EventKind,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// Something was said.
    Message(Message),
    /// A message was changed. A replay has the message's newest version here, and nothing when it is deleted.
    Edit(Edit),
    /// A message was taken back. Its place stays.
    Delete {
        /// The message's place.
        of: Seq,
    },
    /// Somebody reacted, or took that back.
    Reaction(Reaction),
    /// Somebody was muted, removed, banned, or that was lifted.
    Moderation(Moderation),
}

impl EventKind {
    /// The place of the message that this changes, if it changes one.
    pub fn of(&self) -> Option<Seq> {
        match self {
            Self::Edit(Edit { of, .. }) | Self::Delete { of } | Self::Reaction(Reaction { of, .. }) => {
                Some(*of)
            }
            Self::Message(_) | Self::Moderation(_) => None,
        }
    }
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The text; empty in a tombstone.
    pub text: Arc<str>,
    /// What few messages have, or nothing.
    pub extra: Option<Box<Extra>>,
    /// It was deleted since: a replay has a tombstone here.
    pub deleted: bool,
}

/// What few messages have beside their text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extra {
    /// The client's own id of it.
    pub client_id: Option<ClientId>,
    /// The place of the message that it replies to.
    pub reply_to: Option<Seq>,
    /// The sender's own data.
    pub custom: Option<Custom>,
}

impl Message {
    /// A message of a text alone.
    pub fn plain(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), extra: None, deleted: false }
    }

    /// A message with what there is beside its text.
    pub fn new(text: impl Into<Arc<str>>, extra: Extra) -> Self {
        let extra = (extra != Extra::default()).then(|| Box::new(extra));
        Self { text: text.into(), extra, deleted: false }
    }

    /// The client's own id of it.
    pub fn client_id(&self) -> Option<&ClientId> {
        self.extra.as_ref()?.client_id.as_ref()
    }

    /// The message that it replies to.
    pub fn reply_to(&self) -> Option<Seq> {
        self.extra.as_ref()?.reply_to
    }

    /// The sender's own data.
    pub fn custom(&self) -> Option<&Custom> {
        self.extra.as_ref()?.custom.as_ref()
    }
}

/// A change of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The message's place.
    pub of: Seq,
    /// The new text; absent when it stays.
    pub text: Option<Arc<str>>,
    /// What becomes of the custom data.
    pub custom: Change<Custom>,
}

/// A reaction, or the end of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// The message's place.
    pub of: Seq,
    /// Which one.
    pub key: ReactionKey,
    /// Whether it is set; else it is taken back.
    pub set: bool,
}

/// What a moderator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderation {
    /// What is done.
    pub op: ModerationOp,
    /// To whom: the life, so that an erasure finds it. Nobody when that user was erased since.
    pub user: Option<UserLife>,
    /// Until when, Unix milliseconds; absent for until further notice.
    pub until_ms: Option<u64>,
}

/// What can be done to an attendee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModerationOp {
    /// Says nothing, until.
    Mute,
    /// May say something again.
    Unmute,
    /// Attends no longer.
    Kick,
    /// Can't come in, until.
    Ban,
    /// May come in again.
    Unban,
}

impl ModerationOp {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Mute, Self::Unmute, Self::Kick, Self::Ban, Self::Unban];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Unmute => "unmute",
            Self::Kick => "kick",
            Self::Ban => "ban",
            Self::Unban => "unban",
        }
    }

    /// Whether it can be said until when it holds.
    pub fn may_end(self) -> bool {
        matches!(self, Self::Mute | Self::Ban)
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.word() == word)
    }
}

/// A message as it stands now, for a page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its place.
    pub seq: Seq,
    /// When it was said, Unix milliseconds.
    pub time_ms: u64,
    /// Who said it.
    pub author: Actor,
    /// Its newest version; a tombstone when it was deleted.
    pub message: Message,
    /// How many messages of the group were said up to this one, it included.
    pub number: u64,
    /// The place of the last event that changed it; its own when none did.
    pub version: Seq,
    /// When it was edited last, Unix milliseconds.
    pub edited_ms: Option<u64>,
    /// How many set each reaction.
    pub reactions: BTreeMap<ReactionKey, u64>,
    /// The reactions that the asking user has set.
    pub mine: Vec<ReactionKey>,
}

impl Shown {
    /// What its id, its times and the names of its fields take on the wire, about.
    const FRAME_BYTES: usize = 80;

    /// What it adds to a page, in bytes. A text that must be escaped takes more on the wire.
    pub fn page_bytes(&self) -> usize {
        let custom = self.message.custom().map_or(0, Custom::bytes);
        let keys = self.reactions.keys().chain(&self.mine);
        let reactions: usize = keys.map(|key| key.as_str().len() + 12).sum();
        Self::FRAME_BYTES + self.author.id().len() + self.message.text.len() + custom + reactions
    }
}

/// What deciding about a change of a message takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who said it.
    pub author: Actor,
    /// It is a tombstone.
    pub deleted: bool,
    /// How many set each reaction.
    pub reactions: BTreeMap<ReactionKey, u64>,
    /// The reactions that the asking user has set.
    pub mine: Vec<ReactionKey>,
}

/// How far a user has come in a group. Only ever forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marker {
    /// Read up to here.
    pub read: Seq,
    /// Received up to here; never before [`Marker::read`].
    pub received: Seq,
}

impl Marker {
    /// Both of the two, whichever is further.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let read = self.read.max(other.read);
        Self { read, received: self.received.max(other.received).max(read) }
    }
}
