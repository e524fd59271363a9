//! What an attendee may in a group.

use serde::{Deserialize, Serialize};

use super::event::ModerationOp;
use super::ids::UserLife;
use super::profile::UserRecord;

/// What an attendee is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads and writes.
    #[default]
    Member,
    /// Changes what others said, mutes, kicks and bans.
    Moderator,
}

/// Something that an attendee may not, for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Until when, Unix milliseconds; absent until it is lifted.
    pub until_ms: Option<u64>,
}

impl Bar {
    /// Whether it still holds.
    pub fn holds(self, unix_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| unix_ms < until)
    }
}

/// How an attendee stands in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// This time of attending. It is another after a removal, a kick or a ban, so that tokens and tickets from before
    /// open nothing. Zero in rows from before there were such times.
    pub stint: u64,
    /// What the attendee is there for.
    pub role: Role,
    /// Says nothing.
    pub muted: Option<Bar>,
    /// Can't come in.
    pub banned: Option<Bar>,
}

impl Standing {
    /// A member's.
    pub fn member(stint: u64) -> Self {
        Self { stint, ..Self::default() }
    }

    /// Whether the attendee may not say anything now.
    pub fn is_muted(&self, unix_ms: u64) -> bool {
        self.muted.is_some_and(|bar| bar.holds(unix_ms))
    }

    /// Whether the attendee may not come in now.
    pub fn is_banned(&self, unix_ms: u64) -> bool {
        self.banned.is_some_and(|bar| bar.holds(unix_ms))
    }

    /// How somebody stands after being moderated; none for whom is kicked. A ban begins another stint, which ends the
    /// tokens and tickets of before.
    pub fn moderated(self, op: ModerationOp, until_ms: Option<u64>) -> Option<Self> {
        let bar = Some(Bar { until_ms });
        match op {
            ModerationOp::Mute => Some(Self { muted: bar, ..self }),
            ModerationOp::Unmute => Some(Self { muted: None, ..self }),
            ModerationOp::Ban => Some(Self { banned: bar, stint: self.stint.wrapping_add(1), ..self }),
            ModerationOp::Unban => Some(Self { banned: None, ..self }),
            ModerationOp::Kick => None,
        }
    }

    /// The word on the wire: `muted` as long as that holds, else the role.
    pub fn word(&self, unix_ms: u64) -> &'static str {
        match self.role {
            _ if self.is_muted(unix_ms) => "muted",
            Role::Member => "member",
            Role::Moderator => "moderator",
        }
    }
}

/// That a user attends a group, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendance {
    /// Which life of the user.
    pub user: UserLife,
    /// How it stands.
    pub standing: Standing,
}

/// An attendee with what is shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttendeeRecord {
    /// The user.
    pub user: UserRecord,
    /// How it stands.
    pub standing: Standing,
}
