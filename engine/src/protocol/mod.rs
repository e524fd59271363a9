//! What goes over the wire. PURE: bytes in, frames out, and back.
//!
//! In reading order: [`action`] numbers what a frame means, [`frame`] is what can be said, [`codec`] turns it to
//! bytes and back, [`code`] lists every way it can fail, [`ws`] puts bytes into WebSocket frames and [`incoming`]
//! takes them out.
//!
//! The page for users is `api/docs/protocol.md`.

pub mod action;
pub mod code;
pub mod codec;
pub mod frame;
pub mod incoming;
pub mod ws;
