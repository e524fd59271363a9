//! One WebSocket: bytes in, bytes out, and nothing of what they mean.
//!
//! [`reader`] takes messages off the wire; [`outbound`] is the bounded queue that anyone may fill; [`writer`]
//! empties it. Both work on one stream in one task: a socket that is silent holds no buffer and wakes nobody.

pub mod outbound;
pub mod reader;
pub mod writer;

use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::config::Limits;
use crate::protocol::code::CloseCode;

/// A TCP stream after the WebSocket handshake.
#[derive(Debug)]
pub struct Socket {
    /// The stream.
    pub stream: TcpStream,
    /// What was read beyond the handshake: the beginning of the first frame.
    pub read_ahead: Bytes,
}

impl Socket {
    /// Closes a socket that was never served, saying why.
    pub async fn refuse(self, code: CloseCode, limits: &Limits) {
        let linger = Duration::from_millis(limits.close_linger_ms);
        let goodbye = async {
            writer::say_goodbye(&self.stream, code).await;
            reader::discard(&self.stream).await;
        };
        // Who doesn't take the goodbye in time goes without one.
        let _ = tokio::time::timeout(linger, goodbye).await;
    }
}
