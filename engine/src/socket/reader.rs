//! Reads what a client sends, a message at a time, and pings it when it is silent.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::outbound::{Outbound, Worth};
use crate::config::Limits;
use crate::protocol::code::CloseCode;
use crate::protocol::incoming::{Broken, Incoming, Received};
use crate::protocol::ws;

/// The most that a client may still send, unread, after a goodbye.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// What a client sent.
#[derive(Debug)]
pub enum Inbound {
    /// A text message. Its bytes are UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A text message whose bytes aren't UTF-8.
    NotUtf8,
    /// A ping: to be answered with [`ws::pong`] of the same bytes.
    Ping(Bytes),
    /// The answer to a ping, or one that nobody asked for.
    Pong,
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

impl From<Broken> for ReadEnd {
    fn from(broken: Broken) -> Self {
        Self::Refused(match broken {
            Broken::TooLarge => CloseCode::TOO_LARGE,
            Broken::Protocol => CloseCode::PROTOCOL_ERROR,
        })
    }
}

/// The reading half of a socket.
#[derive(Debug)]
pub struct Reader<'a> {
    stream: &'a TcpStream,
    incoming: Incoming,
    outbound: &'a Outbound,
    limits: &'a Limits,
}

impl<'a> Reader<'a> {
    /// Begins with what was read beyond the handshake. Pings go into `outbound`.
    pub fn new(stream: &'a TcpStream, read_ahead: &[u8], outbound: &'a Outbound, limits: &'a Limits) -> Self {
        Self { stream, incoming: Incoming::new(read_ahead, limits.frame_bytes_max), outbound, limits }
    }

    /// The next whole message or control frame.
    pub async fn next(&mut self) -> Result<Inbound, ReadEnd> {
        loop {
            match self.incoming.next()? {
                Some(Received::Text(text)) => return Ok(Inbound::Text(text)),
                Some(Received::Binary(bytes)) => return Ok(Inbound::Binary(bytes)),
                Some(Received::NotUtf8) => return Ok(Inbound::NotUtf8),
                Some(Received::Ping(payload)) => return Ok(Inbound::Ping(payload)),
                Some(Received::Pong) => return Ok(Inbound::Pong),
                Some(Received::Close) => return Err(ReadEnd::Closed),
                None => self.hear().await?,
            }
        }
    }

    /// Waits for more bytes. A silent client is pinged, and given up when it stays silent.
    async fn hear(&mut self) -> Result<(), ReadEnd> {
        let (interval, patience) = (self.limits.ping_interval_ms, self.limits.pong_timeout_ms);
        let heard = match tokio::time::timeout(Duration::from_millis(interval), self.read()).await {
            Ok(heard) => heard,
            Err(_) => {
                self.outbound.push(ws::ping(), Worth::Essential);
                tokio::time::timeout(Duration::from_millis(patience), self.read())
                    .await
                    .map_err(|_| ReadEnd::Refused(CloseCode::NO_PONG))?
            }
        };
        match heard {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(ReadEnd::Lost),
        }
    }

    /// Reads once. There is a buffer only while there is something to read.
    async fn read(&mut self) -> io::Result<usize> {
        loop {
            // Being ready counts nothing there, and a client that never pauses would keep the thread for itself.
            tokio::task::consume_budget().await;
            self.stream.readable().await?;
            let read = self.stream.try_read_buf(self.incoming.room());
            self.incoming.settle();
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

/// Reads and throws away until the client ends.
pub async fn discard(stream: &TcpStream) {
    let mut left = DISCARD_BYTES_MAX;
    while stream.readable().await.is_ok() {
        tokio::task::consume_budget().await;
        let mut scratch = [0; 1024];
        match stream.try_read(&mut scratch) {
            Ok(count @ 1..) if count < left => left -= count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => return,
        }
    }
}
