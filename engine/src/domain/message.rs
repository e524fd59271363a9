//! What users say.

use std::sync::Arc;

use super::ids::{GroupUid, MessageId, Seq};

/// Why a text can't be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// It has no characters.
    #[error("a message needs a text")]
    Empty,
    /// It has more bytes than a message may.
    #[error("a message has at most {bytes_max} bytes; split it")]
    TooLarge {
        /// The limit that it broke.
        bytes_max: usize,
    },
}

/// A text that may become a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft(Arc<str>);

impl Draft {
    /// Takes any non-empty text of at most `bytes_max` bytes.
    pub fn parse(text: &str, bytes_max: usize) -> Result<Self, DraftError> {
        if text.is_empty() {
            return Err(DraftError::Empty);
        }
        if text.len() > bytes_max {
            return Err(DraftError::TooLarge { bytes_max });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn into_text(self) -> Arc<str> {
        self.0
    }
}

/// Where a page of history ends: what is given isn't part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Messages older than this time, Unix milliseconds.
    Time(u64),
    /// Messages before this place.
    Seq(Seq),
}

impl Before {
    /// Reads a message id as a bound in this group's log. `None` for an id that isn't of this group.
    pub fn of_message(text: &str, group: GroupUid) -> Option<Self> {
        MessageId::parse(text).filter(|id| id.group == group).map(|id| Self::Seq(id.seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_anything_from_one_byte_to_the_limit() {
        assert_eq!(Draft::parse("", 16), Err(DraftError::Empty));
        assert!(Draft::parse("\0", 16).is_ok());
        assert!(Draft::parse(&"x".repeat(16), 16).is_ok());
        assert_eq!(Draft::parse(&"x".repeat(17), 16), Err(DraftError::TooLarge { bytes_max: 16 }));
        assert_eq!(Draft::parse("ééééééééé", 16), Err(DraftError::TooLarge { bytes_max: 16 }));
    }
}
