//! What can be said, apart from how it is written.

use std::borrow::Cow;
use std::sync::Arc;

use super::code::ErrorCode;
use crate::domain::ids::GroupUid;
use crate::domain::message::{Before, Message};
use crate::domain::roster::RosterView;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// Say something to the group.
    Post {
        /// The text, unchecked.
        text: Cow<'a, str>,
    },
    /// Page history.
    History {
        /// Where the page ends; absent for the newest.
        before: Option<Before>,
        /// How many messages at most; absent for the default.
        limit: Option<usize>,
    },
}

/// What the server says.
#[derive(Debug, Clone, Copy)]
pub enum ServerFrame<'a> {
    /// Who is online, everyone or who changed.
    Roster(&'a RosterView),
    /// A message of the group.
    Message(GroupUid, &'a Message),
    /// A page of history, oldest first.
    History(GroupUid, &'a [Message]),
    /// Why the client's frame wasn't served.
    Error(&'a Refusal),
}

/// Why a frame can't be served, with words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word for programs.
    pub code: ErrorCode,
    /// What is wrong and what to do.
    pub text: Arc<str>,
}

impl Refusal {
    /// A refusal with its words.
    pub fn new(code: ErrorCode, text: impl Into<Arc<str>>) -> Self {
        Self { code, text: text.into() }
    }
}
