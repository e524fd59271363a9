//! Takes frames off the wire, puts fragments together and answers pings.
//!
//! fastwebsockets parses and unmasks; what it lets pass (a message of many fragments, a long pong or close, a
//! frame without a mask) is refused here. Its read is not cancel-safe, so one read is under way at a time and
//! is never dropped to start another.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocketError, WebSocketRead, after_handshake_split};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;

use super::outbound::{Outbound, Worth};
use super::prefixed::Prefixed;
use super::{Events, Inbound, ReadEnd, SocketEvent};
use crate::config::Limits;
use crate::protocol::code::CloseCode;
use crate::protocol::ws;

/// What a message costs beyond its bytes while it is under way.
const MESSAGE_OVERHEAD_BYTES: usize = 512;
/// What a control frame holds at most (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// The most that a client may still send, unread, after a goodbye.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// Serves until the client ends, breaks a rule or falls silent. Afterwards it reads on without listening, so
/// that the client gets the goodbye and not a reset.
pub(super) async fn run(
    mut stream: Prefixed<OwnedReadHalf>,
    outbound: Arc<Outbound>,
    events: Arc<impl Events>,
    limits: Arc<Limits>,
) {
    let end = read(&mut stream, &outbound, events.as_ref(), &limits).await;
    events.send(SocketEvent::ReadEnded(end));
    if end != ReadEnd::Lost {
        discard(&mut stream).await;
    }
    events.send(SocketEvent::ReaderDone);
}

async fn read(
    stream: &mut Prefixed<OwnedReadHalf>,
    outbound: &Outbound,
    events: &impl Events,
    limits: &Limits,
) -> ReadEnd {
    let mut reader = Reader::new(stream, outbound, limits);
    loop {
        match reader.next().await {
            Ok(message) => {
                let Some(permit) = reader.permit(&message).await else { return ReadEnd::Lost };
                if !events.send(SocketEvent::Received(message, permit)) {
                    return ReadEnd::Lost;
                }
            }
            Err(end) => return end,
        }
    }
}

/// Reads and throws away until the client ends.
pub(super) async fn discard(stream: &mut (impl AsyncRead + Unpin)) {
    let mut scratch = [0; 1024];
    let mut left = DISCARD_BYTES_MAX;
    while let Ok(count @ 1..) = stream.read(&mut scratch).await {
        left = left.saturating_sub(count);
        if left == 0 {
            return;
        }
    }
}

/// A frame that owns its bytes.
struct OwnedFrame {
    fin: bool,
    masked: bool,
    opcode: OpCode,
    payload: Bytes,
}

struct Reader<'a> {
    frames: WebSocketRead<&'a mut Prefixed<OwnedReadHalf>>,
    outbound: &'a Outbound,
    limits: &'a Limits,
    under_way: Arc<Semaphore>,
    /// The fragments of a message so far, and whether it is text.
    fragments: Option<(bool, BytesMut)>,
}

impl<'a> Reader<'a> {
    fn new(stream: &'a mut Prefixed<OwnedReadHalf>, outbound: &'a Outbound, limits: &'a Limits) -> Self {
        let (mut frames, _) = after_handshake_split(stream, tokio::io::sink(), Role::Server);
        frames.set_auto_close(false);
        frames.set_auto_pong(false);
        // Exclusive: a frame of the limit itself passes.
        frames.set_max_message_size(limits.frame_bytes_max + 1);
        let under_way = Arc::new(Semaphore::new(limits.inflight_bytes_max));
        Self { frames, outbound, limits, under_way, fragments: None }
    }

    /// The next whole message.
    async fn next(&mut self) -> Result<Inbound, ReadEnd> {
        loop {
            match self.frame().await? {
                Ok(frame) => {
                    if let Some(message) = self.take(frame)? {
                        return Ok(message);
                    }
                }
                // Within a fragmented message no other may begin, whatever its bytes.
                Err(WebSocketError::InvalidUTF8) if self.fragments.is_none() => return Ok(Inbound::NotUtf8),
                Err(WebSocketError::FrameTooLarge) => return Err(ReadEnd::Refused(CloseCode::TOO_LARGE)),
                Err(WebSocketError::UnexpectedEOF | WebSocketError::IoError(_)) => return Err(ReadEnd::Lost),
                Err(_) => return Err(ReadEnd::Refused(CloseCode::PROTOCOL_ERROR)),
            }
        }
    }

    /// One frame; a silent client is pinged, and given up when it stays silent.
    async fn frame(&mut self) -> Result<Result<OwnedFrame, WebSocketError>, ReadEnd> {
        let mut no_answer = |_: Frame<'_>| std::future::ready(Ok::<(), Infallible>(()));
        let mut read = pin!(self.frames.read_frame(&mut no_answer));
        if let Ok(frame) = tokio::time::timeout(millis(self.limits.ping_interval_ms), read.as_mut()).await {
            return Ok(frame.map(owned));
        }
        self.outbound.push(ws::ping(), Worth::Essential);
        match tokio::time::timeout(millis(self.limits.pong_timeout_ms), read).await {
            Ok(frame) => Ok(frame.map(owned)),
            Err(_) => Err(ReadEnd::Refused(CloseCode::NO_PONG)),
        }
    }

    /// What a frame completes, if anything.
    fn take(&mut self, frame: OwnedFrame) -> Result<Option<Inbound>, ReadEnd> {
        let is_control = matches!(frame.opcode, OpCode::Ping | OpCode::Pong | OpCode::Close);
        if !frame.masked || (is_control && frame.payload.len() > CONTROL_BYTES_MAX) {
            return Err(ReadEnd::Refused(CloseCode::PROTOCOL_ERROR));
        }
        match frame.opcode {
            OpCode::Ping => {
                self.outbound.push(ws::pong(&frame.payload), Worth::Essential);
                Ok(None)
            }
            OpCode::Pong => Ok(None),
            OpCode::Close => Err(ReadEnd::Closed),
            OpCode::Continuation => self.go_on(&frame),
            OpCode::Text | OpCode::Binary if self.fragments.is_some() => {
                Err(ReadEnd::Refused(CloseCode::PROTOCOL_ERROR))
            }
            OpCode::Text | OpCode::Binary => {
                let is_text = frame.opcode == OpCode::Text;
                if frame.fin {
                    return Ok(Some(message(is_text, frame.payload)));
                }
                self.fragments = Some((is_text, BytesMut::from(&frame.payload[..])));
                Ok(None)
            }
        }
    }

    fn go_on(&mut self, frame: &OwnedFrame) -> Result<Option<Inbound>, ReadEnd> {
        let Some((is_text, mut so_far)) = self.fragments.take() else {
            return Err(ReadEnd::Refused(CloseCode::PROTOCOL_ERROR));
        };
        if so_far.len() + frame.payload.len() > self.limits.frame_bytes_max {
            return Err(ReadEnd::Refused(CloseCode::TOO_LARGE));
        }
        so_far.extend_from_slice(&frame.payload);
        if frame.fin {
            return Ok(Some(message(is_text, so_far.freeze())));
        }
        self.fragments = Some((is_text, so_far));
        Ok(None)
    }

    /// A place among what the session has under way. Until there is one nothing is read, and the client's
    /// kernel holds the rest.
    async fn permit(&self, message: &Inbound) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let size = match message {
            Inbound::Text(text) => text.len(),
            Inbound::Binary | Inbound::NotUtf8 => 0,
        };
        let cost = (size + MESSAGE_OVERHEAD_BYTES).min(self.limits.inflight_bytes_max);
        let cost = u32::try_from(cost).expect("a frame is far below 4 GiB");
        Arc::clone(&self.under_way).acquire_many_owned(cost).await.ok()
    }
}

fn message(is_text: bool, payload: Bytes) -> Inbound {
    match (is_text, std::str::from_utf8(&payload)) {
        (false, _) => Inbound::Binary,
        (true, Ok(_)) => Inbound::Text(payload),
        (true, Err(_)) => Inbound::NotUtf8,
    }
}

fn owned(mut frame: Frame<'_>) -> OwnedFrame {
    // The mask itself is private; the head that the frame would be sent with tells whether there was one.
    let mut head = [0; 16];
    frame.fmt_head(&mut head);
    let masked = head[1] & 0x80 != 0;
    let payload = match frame.payload {
        Payload::Bytes(bytes) => bytes.freeze(),
        Payload::Owned(bytes) => bytes.into(),
        Payload::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        Payload::BorrowedMut(bytes) => Bytes::copy_from_slice(bytes),
    };
    OwnedFrame { fin: frame.fin, masked, opcode: frame.opcode, payload }
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
