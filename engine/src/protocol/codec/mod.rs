//! Frames as bytes: what a client sent becomes a [`Request`], and a [`ServerFrame`] a WebSocket frame.
//!
//! This is the door. `v1` writes version 1, JSON; `v2` writes version 2, JSON or MessagePack. Nobody behind the
//! door knows a version's fields, and nobody before it needs to.

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::code::ErrorCode;
use super::frame::{Dialect, Refusal, Request, Scope, ServerFrame, Unreadable};
use crate::domain::event::Shown;
use crate::domain::ids::{GroupUid, MessageId, Seq};
use v2::Encoding;

mod v1;
mod v2;

/// Reads what a client said. The payload is that of a text frame for JSON, of a binary frame for MessagePack.
pub fn decode(dialect: Dialect, payload: &[u8]) -> Result<Request<'_>, Unreadable> {
    match dialect {
        Dialect::V1 => v1::decode(payload),
        Dialect::V2Json => v2::decode(Encoding::Json, payload),
        Dialect::V2Msgpack => v2::decode(Encoding::Msgpack, payload),
    }
}

/// Writes a server frame, ready for the socket: a text frame for JSON, a binary frame for MessagePack. `r` comes from
/// the request that it answers. `None`: that version has no such frame, and its sessions aren't told.
pub fn encode(dialect: Dialect, r: Option<u32>, frame: ServerFrame<'_>) -> Option<Bytes> {
    match dialect {
        Dialect::V1 => v1::encode(frame),
        Dialect::V2Json => Some(v2::encode(Encoding::Json, r, frame)),
        Dialect::V2Msgpack => Some(v2::encode(Encoding::Msgpack, r, frame)),
    }
}

/// Writes a page of history, oldest first, of at most so many bytes. Texts whose escapes make them longer than the
/// page may be leave out the half that is farther from the page's edge, again and again, and then there is more; one
/// message is always written. A page that goes forward has its edge before its oldest message, any other after its
/// newest.
pub fn encode_page(
    dialect: Dialect,
    r: Option<u32>,
    scope: Scope<'_>,
    mut messages: &[Shown],
    mut more: bool,
    is_forward: bool,
    bytes_max: usize,
) -> Bytes {
    loop {
        let frame = encode(dialect, r, ServerFrame::History(scope, messages, more))
            .expect("every version has pages of history");
        let half = messages.len() / 2;
        if frame.len() <= bytes_max || half == 0 {
            return frame;
        }
        messages = if is_forward { &messages[..half] } else { &messages[messages.len() - half..] };
        more = true;
    }
}

/// A message's id, as both versions write it.
#[derive(Debug, Clone, Copy)]
struct WireId(MessageId);

impl WireId {
    fn new(group: GroupUid, seq: Seq) -> Self {
        Self(MessageId { group, seq })
    }
}

impl Serialize for WireId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A number that is whole and not negative, however it is written: JavaScript writes large ones as 1.5e12.
fn whole(number: f64) -> Option<u64> {
    // Every whole f64 in this range is exact, so the conversion loses nothing.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    ((0.0..=9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A field breaks a rule.
fn invalid(field: &str, rule: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_FIELD, format!("{field} {rule}"))
}

/// A text that is no message's id.
fn no_message(field: &str) -> Refusal {
    Refusal::new(
        ErrorCode::MESSAGE_NOT_FOUND,
        format!("{field} is no message of this group: use a message's i"),
    )
}

#[cfg(test)]
mod tests;
