//! What a group can be told.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::audience::Seat;
use super::delivery::{Mutated, Mutation, Reply};
use super::receipt::Receipt;
use crate::domain::attendance::AttendeeRecord;
use crate::domain::event::{Actor, EventKind, Marker, Message, Moderation, ModerationOp};
use crate::domain::group::{Denied, Marked, Speaker};
use crate::domain::ids::{Seq, SessionId, UserId};
use crate::domain::profile::{Custom, UserRecord};
use crate::domain::roster::RosterView;
use crate::protocol::code::CloseCode;

/// What a session needs to begin.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Live events follow from here on; history ends here.
    pub(crate) cursor: Seq,
    /// The roster frame, as the session's dialect has it.
    pub(crate) roster: Bytes,
    /// The user's role.
    pub(crate) role: &'static str,
    /// Until when the user is muted, Unix milliseconds.
    pub(crate) muted_until_ms: Option<u64>,
}

/// Why a session can't begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinDenied {
    Denied(Denied),
    GroupDeleted,
    Draining,
}

/// Who is online, for a backend.
#[derive(Debug)]
pub(crate) struct Presence {
    /// How many.
    pub(crate) online: usize,
    /// The first of them, by id.
    pub(crate) view: RosterView,
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
        lingers: bool,
    },
    Say {
        speaker: Speaker,
        message: Message,
        /// Its author has read everything before it.
        marks: bool,
        receipt: Receipt,
    },
    /// An edit, a deletion or a reaction.
    Change {
        speaker: Speaker,
        kind: EventKind,
        receipt: Receipt,
    },
    Moderate {
        speaker: Speaker,
        op: ModerationOp,
        user: UserId,
        until_ms: Option<u64>,
        receipt: Receipt,
    },
    Mark {
        session: SessionId,
        marker: Marker,
        receipt: Receipt,
    },
    Type {
        session: SessionId,
        on: bool,
        receipt: Receipt,
    },
    /// Words that aren't stored.
    Whisper {
        session: SessionId,
        custom: Custom,
        to: Option<UserId>,
        receipt: Receipt,
    },
    /// A tenant's change, to be stored in order with everything else.
    Mutate(Mutation, Reply),
    /// The delivery has stored a change: now it shows.
    Mutated(Mutated, Reply),
    /// The delivery has stored how somebody stands after being moderated: now it takes its place in the log, and shows.
    Moderated {
        by: Actor,
        moderation: Moderation,
        /// None after a kick.
        attendee: Option<AttendeeRecord>,
        receipt: Receipt,
    },
    /// The delivery has stored markers and told of them.
    Marked(Vec<Marked>),
    /// A user of the service is shown differently.
    UserChanged(UserRecord),
    /// A session is to be given the roster: it asked for it, or was slow and missed some.
    Resync {
        session: SessionId,
        r: Option<u32>,
    },
    /// Who is online.
    Presence {
        limit: usize,
        reply: oneshot::Sender<Presence>,
    },
    /// Answered when everything that was taken before is delivered.
    Flush(oneshot::Sender<()>),
    /// The engine stops: nothing more is said here, and once all that was said is delivered the sessions end
    /// with this code.
    Drain(CloseCode, oneshot::Sender<()>),
}
