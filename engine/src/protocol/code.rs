//! Every way to fail, in two tables: error codes (REST bodies and `a:5` frames share them) and close codes.

/// A word that a program can act on. It stands in REST's `code` and in an error frame's `c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode {
    /// The word, snake_case. Part of the protocol: it never changes its meaning.
    pub word: &'static str,
    /// The HTTP status that goes with it.
    pub status: u16,
    /// Whether the same request may succeed later without a change.
    pub retryable: bool,
    /// What it means, for the documentation.
    pub meaning: &'static str,
}

macro_rules! error_codes {
    ($($name:ident = $word:literal, $status:literal, $retryable:literal, $meaning:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = $meaning]
                pub const $name: Self =
                    Self { word: $word, status: $status, retryable: $retryable, meaning: $meaning };
            )*
            /// The whole table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

error_codes! {
    MALFORMED = "malformed", 400, false, "The body or frame isn't what it should be: not JSON, not an object, an illegal escape or encoding.";
    UNAUTHORIZED = "unauthorized", 401, false, "The headers client and secret (or HTTP Basic) are absent or wrong.";
    ADMIN_KEY_REQUIRED = "admin_key_required", 401, false, "This deployment makes services only for its operator.";
    FORBIDDEN = "forbidden", 403, false, "The user may not do this: it takes the author or a moderator, or somebody who isn't one.";
    MUTED = "muted", 403, false, "The user is muted in this group.";
    BANNED = "banned", 403, false, "The user is banned from this group.";
    NOT_ATTENDING = "not_attending", 404, false, "The user doesn't attend the group, or one of them doesn't exist.";
    GROUP_NOT_FOUND = "group_not_found", 404, false, "This service has no such group.";
    USER_NOT_FOUND = "user_not_found", 404, false, "This service has no such user.";
    MESSAGE_NOT_FOUND = "message_not_found", 404, false, "This group has no such message.";
    NOT_JOINED = "not_joined", 404, false, "The connection isn't in this group: join it first (14), or say which group with g.";
    ROUTE_NOT_FOUND = "route_not_found", 404, false, "There is nothing at this path.";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, false, "The path exists, but not with this method.";
    GROUP_EXISTS = "group_exists", 409, false, "This service already has a group with this id.";
    DIRECT_GROUP = "direct_group", 409, false, "The group is the one of two users: nobody is added to it.";
    USER_EXISTS = "user_exists", 409, false, "This service already has a user with this id.";
    ALREADY_JOINED = "already_joined", 409, false, "The connection is in this group already.";
    MESSAGE_DELETED = "message_deleted", 409, false, "The message was deleted.";
    TOO_MANY_REACTIONS = "too_many_reactions", 409, false, "The message has as many different reactions as one may have.";
    TOO_MANY_GROUPS = "too_many_groups", 409, false, "The connection is in as many groups as one may be in: leave one, or open another.";
    TOO_MANY_SESSIONS = "too_many_sessions", 409, false, "The user has as many sessions in the group as one may have.";
    BODY_TOO_LARGE = "body_too_large", 413, false, "The request body is larger than 64 KiB.";
    MESSAGE_TOO_LARGE = "message_too_large", 413, false, "The message's text is larger than 16 KiB.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, false, "The body isn't declared as application/json.";
    INVALID_FIELD = "invalid_field", 422, false, "A field breaks a rule; the text names it.";
    UNKNOWN_ACTION = "unknown_action", 422, false, "The frame's a is no action that a client may ask for.";
    BINARY_FRAME = "binary_frame", 415, false, "The frame is binary, and the encoding is JSON; or it is text, and the encoding is MessagePack.";
    UPGRADE_REQUIRED = "upgrade_required", 426, false, "This path is a WebSocket.";
    RATE_LIMITED = "rate_limited", 429, true, "More requests than the rate allows; the answer says when to try again.";
    TOO_MANY_TOKENS = "too_many_tokens", 429, true, "Too many tokens wait to be used.";
    INTERNAL = "internal", 500, true, "The server broke one of its own rules; its log says more.";
    DRAINING = "draining", 503, true, "This server is stopping; another one, or this one after its restart, will serve.";
    STORE_UNAVAILABLE = "store_unavailable", 503, true, "The store can't be written or read now. Nothing was stored.";
    GROUP_UNAVAILABLE = "group_unavailable", 503, true, "The group is being started again. Whether the message was stored is seen in history.";
    OVERLOADED = "overloaded", 503, true, "This server has as many connections as it may.";
    TIMEOUT = "timeout", 504, true, "The request took longer than a request may.";
}

/// How the server closes a WebSocket. Below 4500 a client comes back, from 4500 on it doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode {
    /// The number in the close frame.
    pub number: u16,
    /// The reason in the close frame.
    pub reason: &'static str,
    /// What it means for a client, for the documentation.
    pub meaning: &'static str,
}

impl CloseCode {
    /// Whether a client should connect again, with a new token.
    pub fn may_return(self) -> bool {
        self.number < 4500
    }
}

macro_rules! close_codes {
    ($($name:ident = $number:literal, $reason:literal, $meaning:literal;)*) => {
        impl CloseCode {
            $(
                #[doc = $meaning]
                pub const $name: Self = Self { number: $number, reason: $reason, meaning: $meaning };
            )*
            /// The whole table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

close_codes! {
    NORMAL = 1000, "bye", "The client closed; this is the answer.";
    DRAIN = 4000, "server is stopping", "The server stops or restarts. Come back after a random wait.";
    SLOW_CONSUMER = 4001, "slow consumer", "More waited for this client than may, or it took nothing for too long. Come back and page history.";
    NO_PONG = 4002, "no pong", "The client was silent and didn't answer a ping.";
    INTERNAL = 4003, "internal error", "The server couldn't go on with this session. Come back.";
    LEASE_LOST = 4004, "node lost its lease", "The node may no longer serve. Come back, to another one.";
    PROTOCOL_ERROR = 4500, "protocol error", "The bytes weren't WebSocket frames as RFC 6455 has them.";
    TOKEN_INVALID = 4501, "token invalid", "The token is unknown, used or expired. Ask the backend for a new one.";
    TOO_LARGE = 4502, "frame too large", "A frame or message was larger than 64 KiB.";
    REMOVED = 4503, "removed from the group", "The user no longer attends the group.";
    GROUP_DELETED = 4504, "group deleted", "The group is no more.";
    BANNED = 4505, "banned", "The user may not come back.";
    SUSPENDED = 4506, "service suspended", "The tenant is suspended.";
    TOO_MANY = 4507, "too many connections", "The user has as many sessions as one may have.";
    DISCONNECTED = 4508, "disconnected", "The tenant's backend ended the user's sessions. Come back when it gives a new token.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_and_numbers_stand_once() {
        let words: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.word).collect();
        assert_eq!(words.len(), ErrorCode::ALL.len());
        let numbers: HashSet<_> = CloseCode::ALL.iter().map(|code| code.number).collect();
        assert_eq!(numbers.len(), CloseCode::ALL.len());
    }

    #[test]
    fn the_number_tells_whether_to_come_back() {
        assert!(CloseCode::DRAIN.may_return() && CloseCode::LEASE_LOST.may_return());
        assert!(!CloseCode::PROTOCOL_ERROR.may_return() && !CloseCode::TOO_MANY.may_return());
    }

    #[test]
    fn what_may_be_retried_says_so_by_its_status() {
        for code in ErrorCode::ALL {
            assert_eq!(code.retryable, matches!(code.status, 429 | 500..), "{}", code.word);
        }
    }
}
