//! Bytes in, bytes out: the handshake and the frames of RFC 6455, as far as one benchmark needs them.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use sha1::{Digest, Sha1};

/// From RFC 6455, section 1.3.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT: u8 = 1;
/// The longest message. Its length always fits the frame's short or medium form.
const MESSAGE_MAX: usize = 60_000;

/// The answer to a handshake, the group that it asks for and how long its head was; none until the head is whole.
pub(crate) fn handshake(received: &[u8]) -> io::Result<Option<(String, String, usize)>> {
    let Some(end) = memmem::find(received, b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&received[..end]).map_err(|_| unusable("the head is no text"))?;
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.strip_prefix("GET /")?.split(' ').next());
    let fields = lines.filter_map(|line| line.split_once(':'));
    let key = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, value)| value.trim())
        .next();
    let (Some(group), Some(key)) = (path, key) else { return Err(unusable("this is no handshake")) };
    let accept = BASE64_STANDARD.encode(Sha1::digest(format!("{key}{MAGIC}")));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(Some((answer, group.to_owned(), end + 4)))
}

/// A client's message turned into the frame that everyone gets, and how long the client's was; none until it is whole.
/// Anything but a short text message in one frame ends the connection.
pub(crate) fn relay(received: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let &[first, second, ..] = received else { return Ok(None) };
    if first != 0x80 | TEXT || second & 0x80 == 0 {
        return Err(unusable("only masked text frames are served"));
    }
    let (head, length) = match second & 0x7f {
        127 => return Err(unusable("the frame is too large")),
        126 => match received.get(2..4) {
            Some(&[high, low]) => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    if length > MESSAGE_MAX {
        return Err(unusable("the frame is too large"));
    }
    let Some(masked) = received.get(head..head + 4 + length) else { return Ok(None) };
    let (mask, payload) = masked.split_at(4);
    // A server's frame has the same head, but for the bit that says that there is a mask.
    let mut frame = Vec::with_capacity(head + length);
    frame.extend_from_slice(&[first, second & 0x7f]);
    frame.extend_from_slice(&received[2..head]);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Ok(Some((frame, head + 4 + length)))
}

fn unusable(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_of_the_rfc_gets_its_answer() {
        let head = "GET /lobby HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        for cut in 0..head.len() {
            assert!(handshake(&head.as_bytes()[..cut]).unwrap().is_none(), "cut at {cut}");
        }
        let (answer, group, length) = handshake((head.to_owned() + "frames").as_bytes()).unwrap().unwrap();
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!((group.as_str(), length), ("lobby", head.len()));
        assert!(handshake(b"SMTP\r\n\r\n").is_err());
    }

    #[test]
    fn a_message_loses_its_mask_and_nothing_else() {
        for (head, length) in [(vec![125], 125), (vec![126, 0, 126], 126), (vec![126, 0xea, 0x60], 60_000)] {
            let mut frame = vec![0x81];
            frame.extend(&head);
            let expected: Vec<u8> = [frame.clone(), vec![b'a'; length]].concat();
            frame[1] |= 0x80;
            frame.extend([1, 2, 3, 4]);
            frame.extend((0..length).map(|at| b'a' ^ [1, 2, 3, 4][at % 4]));
            for cut in [0, 1, 2, 5, frame.len() - 1] {
                assert!(relay(&frame[..cut]).unwrap().is_none(), "cut at {cut}");
            }
            let whole = frame.len();
            frame.push(0x81);
            assert_eq!(relay(&frame).unwrap().unwrap(), (expected, whole));
        }
        assert!(relay(&[0x81, 5]).is_err(), "a client masks");
    }
}
