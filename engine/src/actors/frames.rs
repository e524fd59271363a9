//! A frame for many: encoded at most once in each dialect that somebody speaks, and its bytes shared.

use std::cell::OnceCell;

use bytes::Bytes;

use crate::protocol::codec;
use crate::protocol::frame::{Dialect, ServerFrame};

/// A server frame with what it was encoded to so far.
pub(crate) struct Frames<'a> {
    frame: ServerFrame<'a>,
    encoded: [OnceCell<Option<Bytes>>; Dialect::ALL.len()],
}

impl<'a> Frames<'a> {
    pub(crate) fn new(frame: ServerFrame<'a>) -> Self {
        Self { frame, encoded: Default::default() }
    }

    /// The frame in a dialect; none when that one can't say it.
    pub(crate) fn get(&self, dialect: Dialect) -> Option<&Bytes> {
        self.encoded[dialect as usize].get_or_init(|| codec::encode(dialect, None, self.frame)).as_ref()
    }
}
