//! What can be said, apart from how it is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::code::{CloseCode, ErrorCode};
use crate::domain::event::{Event, Marker, ModerationOp, Shown};
use crate::domain::ids::{ClientId, GroupId, GroupUid, MessageId, ReactionKey, Seq, UserId};
use crate::domain::profile::{Change, Custom};
use crate::domain::roster::RosterView;

/// A version of the protocol, in one of its encodings. A session speaks one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Version 1: JSON in text frames.
    V1,
    /// Version 2, JSON in text frames.
    V2Json,
    /// Version 2, MessagePack in binary frames.
    V2Msgpack,
}

impl Dialect {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::V1, Self::V2Json, Self::V2Msgpack];

    /// The WebSocket subprotocol that stands for it.
    pub fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::V1 => None,
            Self::V2Json => Some("kijimuna.v2.json"),
            Self::V2Msgpack => Some("kijimuna.v2.msgpack"),
        }
    }

    /// The first that a client offers of those that there are, in a `Sec-WebSocket-Protocol` header.
    pub fn offered(header: &str) -> Self {
        let known = |name: &str| Self::ALL.into_iter().find(|dialect| dialect.subprotocol() == Some(name));
        header.split(',').find_map(|name| known(name.trim())).unwrap_or(Self::V1)
    }

    /// Whether it is version 1.
    pub fn is_v1(self) -> bool {
        self == Self::V1
    }
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// Comes back with the answer.
    pub r: Option<u32>,
    /// Which group it is about, where that was said.
    pub group: Option<GroupId>,
    /// What is asked for.
    pub ask: Ask<'a>,
}

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask<'a> {
    /// The roster, again.
    Roster,
    /// Say something to the group.
    Post(Post<'a>),
    /// Page history.
    History {
        /// Where the page lies.
        edge: PageEdge,
        /// How many messages at most; absent for the default.
        limit: Option<usize>,
    },
    /// Change a message.
    Edit {
        /// Which.
        id: MessageId,
        /// The new text, unchecked; absent when it stays.
        text: Option<Cow<'a, str>>,
        /// What becomes of its custom data.
        custom: Change<Custom>,
    },
    /// Take a message back.
    Delete {
        /// Which.
        id: MessageId,
    },
    /// Set a reaction, or take it back.
    React {
        /// To which message.
        id: MessageId,
        /// Which reaction.
        key: ReactionKey,
        /// Whether it is to be set.
        set: bool,
    },
    /// Move the user's marker.
    Mark {
        /// Read up to here.
        read: Option<Seq>,
        /// Received up to here.
        received: Option<Seq>,
    },
    /// Say that the user types, or has stopped.
    Typing {
        /// Whether the user types.
        on: bool,
    },
    /// Say something that isn't stored.
    Ephemeral {
        /// What.
        custom: Custom,
        /// To whom; absent for everyone.
        to: Option<UserId>,
    },
    /// Get what was missed.
    Resume(ResumePoint),
    /// Come into a group.
    Join {
        /// And get what was missed there.
        resume: Option<ResumePoint>,
    },
    /// Leave a group.
    Leave,
    /// How far the user has come in all groups.
    Inbox {
        /// Entries at most; absent for the default.
        limit: Option<usize>,
    },
    /// Mute, kick, ban, or lift that.
    Moderate {
        /// What.
        op: ModerationOp,
        /// Whom.
        user: UserId,
        /// Until when, Unix milliseconds.
        until_ms: Option<u64>,
    },
}

/// A message to be said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Post<'a> {
    /// The text, unchecked.
    pub text: Cow<'a, str>,
    /// The client's own id of it.
    pub client_id: Option<ClientId>,
    /// It may have been stored already.
    pub again: bool,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// The sender's own data.
    pub custom: Option<Custom>,
}

/// Where a page of history lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEdge {
    /// The newest messages.
    Newest,
    /// Before this time, Unix milliseconds.
    BeforeTime(u64),
    /// Before this place.
    BeforeSeq(Seq),
    /// Before this message.
    BeforeId(MessageId),
    /// After this place.
    AfterSeq(Seq),
    /// After this message.
    AfterId(MessageId),
}

/// Up to where a client has seen a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// Of which log.
    pub epoch: String,
    /// The last place.
    pub seq: Seq,
}

/// A request that can't be read, with what could be read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its `r`.
    pub r: Option<u32>,
    /// Its group.
    pub group: Option<GroupId>,
    /// The message's client id.
    pub client_id: Option<ClientId>,
    /// What is wrong.
    pub refusal: Refusal,
}

/// The group that a frame is about.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// As its tenant names it.
    pub id: &'a GroupId,
    /// Its life, for message ids.
    pub uid: GroupUid,
}

/// What the server says. Version 1 has only rosters, messages, history and errors.
#[derive(Debug, Clone, Copy)]
pub enum ServerFrame<'a> {
    /// The first frame, and the first about a group.
    Welcome(&'a Welcome<'a>),
    /// Who is online, everyone or who changed.
    Roster(&'a RosterFrame<'a>),
    /// Who came and went in a large group. In version 1 it is a roster.
    RosterDelta(&'a RosterFrame<'a>),
    /// Something that happened. Version 1 has only messages.
    Event(Scope<'a>, &'a Event),
    /// A page of history, oldest first, and whether there is more.
    History(Scope<'a>, &'a [Shown], bool),
    /// A request was carried out.
    Ack(&'a Ack<'a>),
    /// Why the client's frame wasn't served.
    Error(&'a ErrorFrame<'a>),
    /// A user has come further.
    Marker(Scope<'a>, &'a UserId, Marker),
    /// A user types, or has stopped.
    Typing(Scope<'a>, &'a UserId, bool),
    /// So many type.
    TypingCount(Scope<'a>, usize),
    /// Words that aren't stored, of this user; nobody for the tenant's backend.
    Ephemeral(Scope<'a>, Option<&'a UserId>, &'a Custom),
    /// So many events follow.
    Resumed(Scope<'a>, usize),
    /// Nothing is replayed, and why.
    NotResumed(Scope<'a>, NotResumed),
    /// The server took the session out of a group.
    Left(Scope<'a>, CloseCode),
    /// How far the user has come.
    Inbox(&'a [InboxEntry]),
    /// A new ticket and its end, Unix milliseconds.
    Ticket(&'a str, u64),
    /// The server stops: wait so many milliseconds, and come back with this ticket.
    Drain(u64, &'a str),
}

/// What a session is told first.
#[derive(Debug, Clone, Copy)]
pub struct Welcome<'a> {
    /// Whose session it is.
    pub user: &'a UserId,
    /// The group that it is in now, if any.
    pub group: Option<GroupWelcome<'a>>,
    /// The connection's terms; absent in a welcome that answers a join.
    pub terms: Option<Terms<'a>>,
}

/// The group that a session is in.
#[derive(Debug, Clone, Copy)]
pub struct GroupWelcome<'a> {
    /// Which.
    pub scope: Scope<'a>,
    /// Its log.
    pub epoch: &'a str,
    /// The newest place.
    pub head: Seq,
    /// The user's role: `member`, `moderator` or `muted`.
    pub role: &'a str,
    /// Until when the user is muted, Unix milliseconds.
    pub muted_until_ms: Option<u64>,
}

/// The terms of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Silence after which the server pings, in milliseconds.
    pub heartbeat_ms: u64,
    /// What the client must keep to.
    pub limits: WireLimits,
    /// Opens the next connection.
    pub ticket: &'a str,
    /// When the ticket ends, Unix milliseconds.
    pub ticket_expires_ms: u64,
}

/// The limits that a client must keep to, with the names and in the order that they have on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WireLimits {
    /// Bytes of a frame.
    pub frame: usize,
    /// Bytes of a message's text.
    pub message: usize,
    /// Bytes of custom data.
    pub custom: usize,
    /// Messages a second; 0 for no bound.
    pub send: u32,
    /// Requests of pages and the like a second; 0 for no bound.
    pub request: u32,
    /// Markers, typing and ephemeral words a second; 0 for no bound.
    pub signal: u32,
    /// Groups that one connection may be in.
    pub groups: usize,
    /// Events that a resume replays.
    pub replay: usize,
}

/// A roster, or a change of one.
#[derive(Debug, Clone, Copy)]
pub struct RosterFrame<'a> {
    /// Whose roster.
    pub scope: Scope<'a>,
    /// Grows by one with every telling.
    pub version: u64,
    /// How many are online.
    pub online: usize,
    /// Whether a roster holds everyone; of no meaning in a delta.
    pub whole: bool,
    /// Who is told of. In a delta of version 2 `on` joined or changed, and `off` left.
    pub view: &'a RosterView,
    /// Only the count is told: a delta of a very large group.
    pub count_only: bool,
    /// How far everyone has come; empty for a large group.
    pub markers: &'a HashMap<UserId, Marker>,
    /// The present, Unix milliseconds: a mute may have ended.
    pub unix_ms: u64,
}

/// What was carried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ack<'a> {
    /// In which group.
    pub scope: Option<Scope<'a>>,
    /// The client's own id of the message.
    pub client_id: Option<&'a ClientId>,
    /// The message that was said or changed.
    pub message: Option<Seq>,
    /// The event's place.
    pub seq: Option<Seq>,
    /// When it was taken, Unix milliseconds.
    pub time_ms: Option<u64>,
    /// It had been carried out before.
    pub duplicate: bool,
}

/// Why a frame wasn't served.
#[derive(Debug, Clone, Copy)]
pub struct ErrorFrame<'a> {
    /// The word and what to do.
    pub refusal: &'a Refusal,
    /// About which group.
    pub group: Option<&'a GroupId>,
    /// About which message.
    pub client_id: Option<&'a ClientId>,
}

/// Why a client gets no replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotResumed {
    /// It has seen another log.
    Epoch,
    /// It has missed too much, or what is no longer kept.
    TooFar,
    /// It says that it has seen what isn't there yet.
    Ahead,
    /// Live events have been sent already.
    Late,
}

impl NotResumed {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::TooFar => "too_far",
            Self::Ahead => "ahead",
            Self::Late => "late",
        }
    }
}

/// How far a user has come in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// The group.
    pub group: GroupId,
    /// Its newest place.
    pub head: Seq,
    /// Read up to here.
    pub read: Seq,
    /// Messages after that.
    pub unread: u64,
}

/// Why a frame can't be served, with words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word for programs.
    pub code: ErrorCode,
    /// What is wrong and what to do.
    pub text: Arc<str>,
    /// When it may be tried again, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal with its words.
    pub fn new(code: ErrorCode, text: impl Into<Arc<str>>) -> Self {
        Self { code, text: text.into(), retry_after_ms: None }
    }

    /// A refusal that says when to try again.
    #[must_use]
    pub fn after(mut self, retry_after_ms: u64) -> Self {
        self.retry_after_ms = Some(retry_after_ms);
        self
    }
}
