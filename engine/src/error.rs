//! What can go wrong in the engine, as a closed list. Each has one [`ErrorCode`]; what a driver said stays here.

use crate::domain::group::Denied;
use crate::domain::profile::FieldError;
use crate::protocol::code::ErrorCode;
use crate::protocol::frame::Refusal;
use crate::store::StoreError;
use crate::tokens::TokenError;

/// Why the engine didn't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// This service has no such group.
    #[error("this service has no such group")]
    GroupNotFound,
    /// This service has no such user.
    #[error("this service has no such user")]
    UserNotFound,
    /// The user doesn't attend the group.
    #[error(
        "the user doesn't attend the group, or one of them doesn't exist: POST /api/groups/:id/attendees first"
    )]
    NotAttending,
    /// The group's id is taken.
    #[error("this service already has a group with this id: take another, or PATCH that one")]
    GroupExists,
    /// The group is of two users, and of no others.
    #[error(
        "this is the one group of two users: nobody can be added; POST /api/directs brings one of the two back"
    )]
    DirectGroup,
    /// The user's id is taken.
    #[error("this service already has a user with this id: take another, or PATCH that one")]
    UserExists,
    /// A field breaks a rule.
    #[error("{field} {rule}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// The rule.
        rule: FieldError,
    },
    /// Too many tokens wait to be used.
    #[error("too many tokens wait to be used: ask again in a minute, and for one only when a user connects")]
    TooManyTokens,
    /// The group's actor crashed and isn't back.
    #[error("the group is being started again: try again in {retry_after_ms} ms")]
    GroupUnavailable {
        /// When it may be back.
        retry_after_ms: u64,
    },
    /// The group's actor crashed with the request in hand.
    #[error(
        "the group is being started again: see in history whether the message is there, else send it again"
    )]
    Uncertain,
    /// The group's rules don't allow it.
    #[error("{0}")]
    Denied(Denied),
    /// The engine stops.
    #[error("this server is stopping: not done, try again in a moment")]
    Draining,
    /// The store can't serve.
    #[error("the store can't serve now: nothing was changed, try again in a moment")]
    Store(#[source] StoreError),
}

impl EngineError {
    /// The word for programs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::GroupNotFound => ErrorCode::GROUP_NOT_FOUND,
            Self::UserNotFound => ErrorCode::USER_NOT_FOUND,
            Self::NotAttending => ErrorCode::NOT_ATTENDING,
            Self::GroupExists => ErrorCode::GROUP_EXISTS,
            Self::DirectGroup => ErrorCode::DIRECT_GROUP,
            Self::UserExists => ErrorCode::USER_EXISTS,
            Self::Field { .. } => ErrorCode::INVALID_FIELD,
            Self::TooManyTokens => ErrorCode::TOO_MANY_TOKENS,
            Self::GroupUnavailable { .. } | Self::Uncertain => ErrorCode::GROUP_UNAVAILABLE,
            Self::Denied(denied) => code_of(*denied),
            Self::Draining => ErrorCode::DRAINING,
            Self::Store(_) => ErrorCode::STORE_UNAVAILABLE,
        }
    }

    /// What a client is told of it.
    pub fn refusal(&self) -> Refusal {
        Refusal { code: self.code(), text: self.to_string().into(), retry_after_ms: self.retry_after_ms() }
    }

    /// How long to wait before trying again, if that helps.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::GroupUnavailable { retry_after_ms } => Some(*retry_after_ms),
            Self::TooManyTokens => Some(60_000),
            other => other.code().retryable.then_some(1_000),
        }
    }
}

fn code_of(denied: Denied) -> ErrorCode {
    match denied {
        Denied::NotAttending => ErrorCode::NOT_ATTENDING,
        Denied::NotJoined => ErrorCode::NOT_JOINED,
        Denied::TooManySessions => ErrorCode::TOO_MANY_SESSIONS,
        Denied::Banned => ErrorCode::BANNED,
        Denied::Muted => ErrorCode::MUTED,
        Denied::NotAuthor | Denied::NotModerator | Denied::AgainstModerator => ErrorCode::FORBIDDEN,
        Denied::NoMessage => ErrorCode::MESSAGE_NOT_FOUND,
        Denied::MessageDeleted => ErrorCode::MESSAGE_DELETED,
        Denied::TooManyReactions => ErrorCode::TOO_MANY_REACTIONS,
        Denied::BeyondHead | Denied::Past => ErrorCode::INVALID_FIELD,
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotAttending => Self::NotAttending,
            StoreError::NoGroup => Self::GroupNotFound,
            StoreError::NoUser => Self::UserNotFound,
            StoreError::GroupExists => Self::GroupExists,
            StoreError::UserExists => Self::UserExists,
            other => Self::Store(other),
        }
    }
}

impl From<TokenError> for EngineError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Full => Self::TooManyTokens,
            TokenError::Unavailable(why) => Self::Store(StoreError::Unavailable(why)),
        }
    }
}
