//! WebSocket frames from the client's side (RFC 6455): a cheap look at what comes, and the mask on what goes.

/// The payload is text.
pub(crate) const TEXT: u8 = 1;
/// The peer closes.
pub(crate) const CLOSE: u8 = 8;
/// The peer wants a pong with the same payload.
pub(crate) const PING: u8 = 9;
/// The answer to a ping.
pub(crate) const PONG: u8 = 10;

/// A server's frame, where it was received.
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
    /// Of head and payload.
    pub(crate) length: usize,
}

/// The frame that the bytes begin with, once it is whole.
#[inline]
pub(crate) fn next(bytes: &[u8]) -> Option<Frame<'_>> {
    let &[first, second, ..] = bytes else { return None };
    let (head, payload) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    let length = head + payload;
    let payload = bytes.get(head..length)?;
    Some(Frame { opcode: first & 0x0f, payload, length })
}

/// Appends a client's frame.
pub(crate) fn write(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    /// A client that isn't a browser has nothing to hide with it, but the server has to undo it all the same.
    const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];
    out.push(0x80 | opcode);
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => out.push(0x80 | short),
        _ => {
            let medium = u16::try_from(payload.len()).expect("what is said here is short");
            out.push(0x80 | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_seen_once_it_is_whole() {
        for (head, payload) in [
            (vec![0x81, 5], 5),
            (vec![0x82, 126, 1, 0], 256),
            (vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
        ] {
            let mut bytes = [head.clone(), vec![7; payload]].concat();
            assert!(next(&bytes[..bytes.len() - 1]).is_none());
            assert!(next(&bytes[..head.len() - 1]).is_none());
            bytes.push(0x81);
            let frame = next(&bytes).unwrap();
            assert_eq!((frame.opcode, frame.payload.len()), (head[0] & 0x0f, payload));
            assert_eq!(frame.length, bytes.len() - 1);
        }
    }
}
