//! Version 2: maps `{"a": action, "r": request, "d": data}` in JSON or MessagePack.
//!
//! Both encodings have one reader and one writer of frames. What came is first a [`tree::Tree`], whichever encoding it
//! came in, and [`request`] makes sense of that; [`server`] with its [`parts`] says what stands in a frame, and serde
//! writes it either way. [`custom`] takes custom data across, which is kept as JSON.
//!
//! What both encodings keep to:
//!
//! - A field that is `null` is as good as absent, except where `null` is a value: the `x` of an edit and of ephemeral
//!   words.
//! - Unknown fields are ignored. A field that is looked for must stand once, and so must every key in custom data.
//! - A whole number may be written as a float without a fraction.
//! - Maps and lists lie at most 64 deep in each other, the frame itself counted.

use bytes::Bytes;

use crate::protocol::frame::{Refusal, Request, ServerFrame, Unreadable};
use crate::protocol::ws;

mod custom;
mod parts;
mod request;
mod server;
mod tree;

/// How a frame's map is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Encoding {
    /// As JSON.
    Json,
    /// As MessagePack.
    Msgpack,
}

/// Reads what a client said.
pub(super) fn decode(encoding: Encoding, payload: &[u8]) -> Result<Request<'_>, Unreadable> {
    let tree = match encoding {
        Encoding::Json => tree::from_json(payload),
        Encoding::Msgpack => tree::from_msgpack(payload),
    };
    tree.map_err(unreadable).and_then(request::read)
}

/// Writes a server frame, ready for the socket.
pub(super) fn encode(encoding: Encoding, r: Option<u32>, frame: ServerFrame<'_>) -> Bytes {
    let frame = server::Frame::new(r, frame);
    let mut payload = Vec::with_capacity(256);
    match encoding {
        Encoding::Json => {
            serde_json::to_writer(&mut payload, &frame)
                .expect("frames have text keys, and memory takes them");
            ws::text(&payload)
        }
        Encoding::Msgpack => {
            rmp_serde::encode::write_named(&mut payload, &frame)
                .expect("frames say how long their lists are");
            ws::binary(&payload)
        }
    }
}

/// A frame of which nothing could be read.
fn unreadable(refusal: Refusal) -> Unreadable {
    Unreadable { r: None, group: None, client_id: None, refusal }
}
