//! A cheap look at a server's WebSocket frames (RFC 6455), whatever the server.

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
