//! One WebSocket: bytes in, bytes out, and nothing of what they mean.
//!
//! [`reader`] takes frames off the wire and hands whole messages to an inbox; [`outbound`] is the bounded queue
//! that anyone may fill; [`writer`] empties it. [`Socket::start`] sets the two tasks going.

pub mod outbound;
mod prefixed;
mod reader;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::config::Limits;
use crate::protocol::code::CloseCode;
use outbound::Outbound;
use prefixed::Prefixed;

/// A TCP stream after the WebSocket handshake.
#[derive(Debug)]
pub struct Socket {
    /// The stream.
    pub stream: TcpStream,
    /// What was read beyond the handshake: the beginning of the first frame.
    pub read_ahead: Bytes,
}

/// A whole message from the client.
#[derive(Debug)]
pub enum Inbound {
    /// A text message. Its bytes are UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary,
    /// A text message whose bytes aren't UTF-8.
    NotUtf8,
}

/// What a socket tells its session.
#[derive(Debug)]
pub enum SocketEvent {
    /// A message came. The permit bounds what a session has under way; it goes where the message goes.
    Received(Inbound, OwnedSemaphorePermit),
    /// Nothing more will be understood.
    ReadEnded(ReadEnd),
    /// Nothing more will even be read.
    ReaderDone,
    /// Nothing more can be sent.
    WriteEnded,
    /// A slow client has caught up, and roster frames were shed meanwhile.
    CaughtUp,
}

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// The client sent a close frame.
    Closed,
    /// The stream ended without one.
    Lost,
    /// The client did something that closes the socket.
    Refused(CloseCode),
}

/// Where a socket's events go. False when nobody listens any more.
pub trait Events: Send + Sync + 'static {
    /// Hands an event over without waiting.
    fn send(&self, event: SocketEvent) -> bool;
}

/// The two tasks of a socket that is served.
#[derive(Debug)]
pub struct SocketTasks {
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Socket {
    /// Serves the socket: what is put into `outbound` is sent, what comes goes to `events`.
    pub fn start(
        self,
        outbound: &Arc<Outbound>,
        events: &Arc<impl Events>,
        limits: &Arc<Limits>,
    ) -> SocketTasks {
        let (read, write) = self.stream.into_split();
        let read = Prefixed::new(self.read_ahead, read);
        let reader = reader::run(read, Arc::clone(outbound), Arc::clone(events), Arc::clone(limits));
        let writer = writer::run(write, Arc::clone(outbound), Arc::clone(events), Arc::clone(limits));
        SocketTasks { reader: tokio::spawn(reader), writer: tokio::spawn(writer) }
    }

    /// Closes a socket that was never served, saying why.
    pub async fn refuse(self, code: CloseCode, limits: &Limits) {
        let linger = std::time::Duration::from_millis(limits.close_linger_ms);
        let (mut read, mut write) = self.stream.into_split();
        let goodbye = async {
            writer::say_goodbye(&mut write, code).await;
            reader::discard(&mut read).await;
        };
        // Who doesn't take the goodbye in time goes without one.
        let _ = tokio::time::timeout(linger, goodbye).await;
    }
}

impl Drop for SocketTasks {
    fn drop(&mut self) {
        // A session that is gone, in whatever way, leaves no socket behind.
        self.reader.abort();
        self.writer.abort();
    }
}
