//! Takes WebSocket frames out of what a client sent (RFC 6455 §5), whole messages at a time.
//!
//! Bytes in, messages out: it neither reads nor waits. Between two frames it holds no memory, so that a
//! connection that says nothing costs nothing.

use bytes::{Buf, Bytes, BytesMut};

/// What a control frame holds at most (§5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// The smallest room that is made for a read, in bytes: most frames fit.
const ROOM_BYTES_MIN: usize = 4 * 1024;
/// What a fragment counts at least, in bytes.
const FRAGMENT_BYTES_MIN: usize = 64;
/// The largest: a header alone, whatever size it claims, gets no more.
const ROOM_BYTES_MAX: usize = 16 * 1024;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;

/// A whole message, or a control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text message. Its bytes are UTF-8.
    Text(Bytes),
    /// A text message whose bytes aren't UTF-8.
    NotUtf8,
    /// A binary message.
    Binary(Bytes),
    /// To be answered with a pong of the same bytes.
    Ping(Bytes),
    /// An answer to a ping.
    Pong,
    /// The client says goodbye.
    Close,
}

/// Why nothing more can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A frame or message is larger than may be.
    #[error("a frame or message is too large")]
    TooLarge,
    /// The client broke a rule of RFC 6455.
    #[error("the client broke a rule of the WebSocket protocol")]
    Protocol,
}

/// The bytes of one client that aren't understood yet.
#[derive(Debug)]
pub struct Incoming {
    bytes: BytesMut,
    fragments: Option<Fragments>,
    bytes_max: usize,
}

/// The beginning of a message that comes in several frames.
#[derive(Debug)]
struct Fragments {
    is_text: bool,
    so_far: BytesMut,
    /// What they count against the bound of a message: empty ones aren't free.
    cost: usize,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Bytes of the head itself, and of what follows it.
    head_bytes: usize,
    payload_bytes: usize,
}

impl Incoming {
    /// Begins with what was read already. Neither frame nor message may be larger than `bytes_max`.
    pub fn new(read_ahead: &[u8], bytes_max: usize) -> Self {
        Self { bytes: BytesMut::from(read_ahead), fragments: None, bytes_max }
    }

    /// Where the next bytes are to be put: there is always room.
    pub fn room(&mut self) -> &mut BytesMut {
        let missing = self.head().ok().flatten().map_or(0, |head| {
            (head.head_bytes + head.payload_bytes.min(self.bytes_max)).saturating_sub(self.bytes.len())
        });
        self.bytes.reserve(missing.clamp(ROOM_BYTES_MIN, ROOM_BYTES_MAX));
        &mut self.bytes
    }

    /// Gives back the memory of room that wasn't used.
    pub fn settle(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }

    /// The next message that is whole. After an error nothing more comes.
    #[allow(clippy::should_implement_trait, reason = "`None` isn't the end, only the end of what is here")]
    pub fn next(&mut self) -> Result<Option<Received>, Broken> {
        while let Some(head) = self.head()? {
            self.check(head)?;
            if self.bytes.len() < head.head_bytes + head.payload_bytes {
                return Ok(None);
            }
            self.bytes.advance(head.head_bytes);
            let mut payload = self.bytes.split_to(head.payload_bytes);
            self.settle();
            unmask(&mut payload, head.mask);
            if let Some(received) = self.complete(head, payload)? {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }

    /// The head at the front, once it is there whole.
    fn head(&self) -> Result<Option<Head>, Broken> {
        let [first, second, rest @ ..] = &self.bytes[..] else { return Ok(None) };
        // A server must not take a frame without a mask (§5.1), and nobody agreed on an extension.
        if second & MASKED == 0 || first & RESERVED != 0 {
            return Err(Broken::Protocol);
        }
        let (payload_bytes, length_bytes) = match (second & !MASKED, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8),
            (126 | 127, _) => return Ok(None),
            (short, _) => (u64::from(short), 0),
        };
        // A length beyond the address space is beyond every bound, too.
        let payload_bytes = usize::try_from(payload_bytes).map_err(|_| Broken::TooLarge)?;
        let Some(&[a, b, c, d]) = rest.get(length_bytes..length_bytes + 4) else { return Ok(None) };
        let head_bytes = 2 + length_bytes + 4;
        let (fin, opcode) = (first & FIN != 0, first & OPCODE);
        Ok(Some(Head { fin, opcode, mask: [a, b, c, d], head_bytes, payload_bytes }))
    }

    /// Refuses on the head alone what can't become right.
    fn check(&self, head: Head) -> Result<(), Broken> {
        let is_right = match head.opcode {
            0 => self.fragments.is_some(),
            1 | 2 => self.fragments.is_none(),
            8..=10 => head.fin && head.payload_bytes <= CONTROL_BYTES_MAX,
            _ => false,
        };
        let cost = self.fragments.as_ref().map_or(0, |fragments| fragments.cost);
        match head.opcode {
            _ if !is_right => Err(Broken::Protocol),
            0..=2 if head.payload_bytes > self.bytes_max.saturating_sub(cost) => Err(Broken::TooLarge),
            _ => Ok(()),
        }
    }

    /// What a frame completes, if anything.
    fn complete(&mut self, head: Head, payload: BytesMut) -> Result<Option<Received>, Broken> {
        match head.opcode {
            8 if payload.len() == 1 => return Err(Broken::Protocol),
            8 => return Ok(Some(Received::Close)),
            9 => return Ok(Some(Received::Ping(payload.freeze()))),
            10 => return Ok(Some(Received::Pong)),
            _ => {}
        }
        let before = self.fragments.take();
        let cost = before.as_ref().map_or(0, |before| before.cost) + payload.len().max(FRAGMENT_BYTES_MIN);
        let (is_text, whole) = match before {
            None => (head.opcode == 1, payload),
            Some(Fragments { is_text, mut so_far, .. }) => {
                so_far.extend_from_slice(&payload);
                (is_text, so_far)
            }
        };
        if !head.fin {
            self.fragments = Some(Fragments { is_text, so_far: whole, cost });
            return if cost > self.bytes_max { Err(Broken::TooLarge) } else { Ok(None) };
        }
        Ok(Some(match (is_text, std::str::from_utf8(&whole)) {
            (false, _) => Received::Binary(whole.freeze()),
            (true, Ok(_)) => Received::Text(whole.freeze()),
            (true, Err(_)) => Received::NotUtf8,
        }))
    }
}

/// Takes the mask off, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
