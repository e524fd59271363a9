//! Names of things. Each is its own type, checked once where it enters.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{CLIENT_ID_CHARS_MAX, NAME_CHARS_MAX, REACTION_KEY_BYTES_MAX};

/// Why a text can't be an id or a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It has no characters.
    #[error("must not be empty")]
    Empty,
    /// It has more than [`NAME_CHARS_MAX`] characters.
    #[error("must have at most 128 characters")]
    TooLong,
    /// It has a control character, such as a line break.
    #[error("must not contain control characters")]
    Control,
}

/// Holds for every id and name: 1 to 128 characters, none of them a control character.
pub fn check_text(text: &str) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    // Bytes bound characters from above, so most texts need no count.
    if text.len() > NAME_CHARS_MAX && text.chars().count() > NAME_CHARS_MAX {
        return Err(TextError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::Control);
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text that keeps the rules of [`check_text`].
            pub fn parse(text: &str) -> Result<Self, TextError> {
                check_text(text)?;
                Ok(Self(text.into()))
            }

            /// The id as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

text_id!(
    /// A tenant: the public half of its credentials, sent in the header `client`.
    ServiceId
);
text_id!(
    /// A group, as its tenant names it. Unique within the service.
    GroupId
);
text_id!(
    /// A user, as its tenant names it. Unique within the service.
    UserId
);

/// A client's own id of a message: 1 to 64 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes a text that keeps the rules.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= CLIENT_ID_CHARS_MAX || text.chars().count() <= CLIENT_ID_CHARS_MAX;
        (fits && check_text(text).is_ok()).then(|| Self(text.into()))
    }

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which reaction: 1 to 32 bytes, such as an emoji or a word, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReactionKey(Arc<str>);

impl ReactionKey {
    /// Takes a text that keeps the rules.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= REACTION_KEY_BYTES_MAX && check_text(text).is_ok()).then(|| Self(text.into()))
    }

    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A group's life. A group that is deleted and made again under its old id has another one, so nothing of the
/// old group (history, tokens, message ids) can leak into the new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupUid(pub u64);

/// A user's life. A user that is deleted and made again under its old id has another one, so what ends with the
/// old user (attendance, tokens, sessions) neither comes back with the new nor takes anything from it.
///
/// Rows from before users had lives are of the default one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserUid(pub u64);

/// Which user, in which of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UserLife {
    /// The tenant's name for the user.
    pub id: UserId,
    /// That life of it.
    pub uid: UserUid,
}

/// A place in a group's log: the first event is 1 and each next is one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One WebSocket, for as long as it lives. Unique within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A message, everywhere: where its group's log holds it. 32 hexadecimal digits on the wire, opaque to clients.
///
/// Because the place is in the id, finding a message needs no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// The group whose log holds it.
    pub group: GroupUid,
    /// Its place in that log.
    pub seq: Seq,
}

impl MessageId {
    /// Reads an id that [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let (group, seq) = text.split_at_checked(16)?;
        Some(Self {
            group: GroupUid(u64::from_str_radix(group, 16).ok()?),
            seq: Seq(u64::from_str_radix(seq, 16).ok()?),
        })
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.group.0, self.seq.0)
    }
}

/// Bytes as hexadecimal digits, two each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_may_hold_any_script_slashes_and_spaces() {
        for text in ["lobby", "a/b c", "部屋", "🏠", "\"quoted\"", &"é".repeat(128)] {
            assert_eq!(GroupId::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn an_id_may_not_be_empty_long_or_hold_controls() {
        assert_eq!(GroupId::parse("").unwrap_err(), TextError::Empty);
        assert_eq!(GroupId::parse(&"x".repeat(129)).unwrap_err(), TextError::TooLong);
        assert_eq!(GroupId::parse("a\nb").unwrap_err(), TextError::Control);
        assert_eq!(GroupId::parse("a\u{7f}").unwrap_err(), TextError::Control);
    }

    proptest! {
        #[test]
        fn a_message_id_comes_back_from_its_text(group: u64, seq: u64) {
            let id = MessageId { group: GroupUid(group), seq: Seq(seq) };
            prop_assert!(id.to_string().len() <= 36);
            prop_assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn no_text_makes_message_id_parsing_panic(text in any::<String>()) {
            let _ = MessageId::parse(&text);
        }
    }
}
