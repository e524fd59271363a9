//! WebSocket frames as a client reads and writes them (RFC 6455), without a library: what is received is looked at
//! where the read put it, and only what is cut off at the end of a read is copied.

/// The payload is text.
pub const TEXT: u8 = 1;
/// The payload is bytes.
pub const BINARY: u8 = 2;
/// The peer closes; the payload begins with a code.
pub const CLOSE: u8 = 8;
/// The peer wants a pong with the same payload.
pub const PING: u8 = 9;
/// The answer to a ping.
pub const PONG: u8 = 10;

/// How a roster frame begins. A large one is counted and skipped, never kept: in a storm of joins rosters are
/// most of what is received.
const ROSTER: &[u8] = br#"{"a":1,"#;
/// A roster larger than this is taken for nonsense, in bytes; it is skipped, not kept.
const ROSTER_MAX: usize = 64 << 20;
/// Any other frame larger than this. A page of history has a quarter of it.
const FRAME_MAX: usize = 1 << 20;

/// What comes next of what was received.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A whole frame.
    Frame {
        /// What kind of frame.
        opcode: u8,
        /// What it carries.
        payload: &'a [u8],
    },
    /// The end of a large roster whose bytes were skipped.
    SkippedRoster,
    /// All was seen; the next read brings more.
    Wait,
    /// This can't have come from a server that speaks the protocol.
    Nonsense(&'static str),
}

/// The receiving side of one socket, between two reads.
#[derive(Debug, Default)]
pub struct Feed {
    /// The beginning of a frame whose end hasn't come.
    rest: Vec<u8>,
    /// Bytes of a large roster that are still to come.
    skip: usize,
}

impl Feed {
    /// Puts what waits to the front of the shared buffer, which grows if little room would be left, and says
    /// from where on to read into it.
    pub fn prepare(&mut self, shared: &mut Vec<u8>) -> usize {
        let waiting = self.rest.len();
        if waiting == 0 {
            return 0;
        }
        if shared.len() < waiting * 2 {
            shared.resize(waiting * 2, 0);
        }
        shared[..waiting].copy_from_slice(&self.rest);
        // A socket that waits for nothing holds no memory.
        self.rest = Vec::new();
        waiting
    }

    /// The next of `bytes` from `at` on. The bytes are the shared buffer's, as far as it was filled.
    pub fn next<'a>(&mut self, bytes: &'a [u8], at: &mut usize) -> Next<'a> {
        if self.skip > 0 {
            let skipped = self.skip.min(bytes.len() - *at);
            self.skip -= skipped;
            *at += skipped;
            return if self.skip == 0 { Next::SkippedRoster } else { Next::Wait };
        }
        let frame = &bytes[*at..];
        let Some(header) = Header::read(frame) else { return self.wait(bytes, at) };
        if let Some(what) = header.nonsense() {
            return Next::Nonsense(what);
        }
        let end = header.length + header.payload;
        if let Some(payload) = frame.get(header.length..end) {
            *at += end;
            return Next::Frame { opcode: header.opcode, payload };
        }
        let begin = &frame[header.length..];
        if header.opcode == TEXT && begin.starts_with(ROSTER) {
            self.skip = end - frame.len();
            *at = bytes.len();
            return Next::Wait;
        }
        if header.payload > FRAME_MAX && begin.len() >= ROSTER.len() {
            return Next::Nonsense("a frame of more than 1 MiB that is no roster");
        }
        self.wait(bytes, at)
    }

    /// Keeps bytes that can't be looked at yet.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    fn wait<'a>(&mut self, bytes: &[u8], at: &mut usize) -> Next<'a> {
        self.keep(&bytes[*at..]);
        *at = bytes.len();
        Next::Wait
    }
}

struct Header {
    whole: bool,
    opcode: u8,
    masked: bool,
    length: usize,
    payload: usize,
}

impl Header {
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[first, second, ..] = bytes else { return None };
        let (length, payload) = match second & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
            short => (2, usize::from(short)),
        };
        Some(Self {
            whole: first & 0x80 != 0,
            opcode: first & 0x0f,
            masked: second & 0x80 != 0,
            length,
            payload,
        })
    }

    fn nonsense(&self) -> Option<&'static str> {
        if self.masked {
            Some("a server's frame is masked")
        } else if !self.whole || self.opcode == 0 {
            Some("a message in fragments, which this engine never sends")
        } else if self.payload > ROSTER_MAX {
            Some("a frame of more than 64 MiB")
        } else {
            None
        }
    }
}

/// Appends a client's frame. The mask is the caller's: a client that isn't a browser has nothing to hide with it,
/// but a server has to undo it all the same.
pub fn write(opcode: u8, payload: &[u8], mask: u32, out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => out.push(0x80 | short),
        (_, Ok(medium)) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let mask = mask.to_be_bytes();
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// The code of a close frame's payload; 1005 when it has none.
pub fn close_code(payload: &[u8]) -> u16 {
    payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's frame.
    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(u8::try_from(length).unwrap()),
            length @ 126..=0xffff => {
                frame.push(126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    /// What a feed makes of reads, each frame as its opcode and its length.
    fn seen(reads: &[&[u8]]) -> Vec<(u8, usize)> {
        let (mut feed, mut shared, mut seen) = (Feed::default(), vec![0; 16], Vec::new());
        for read in reads {
            let begin = feed.prepare(&mut shared);
            let end = begin + read.len();
            if shared.len() < end {
                shared.resize(end, 0);
            }
            shared[begin..end].copy_from_slice(read);
            let mut at = 0;
            loop {
                match feed.next(&shared[..end], &mut at) {
                    Next::Frame { opcode, payload } => {
                        assert!(
                            payload.iter().all(|&byte| byte == payload[0]) || payload.starts_with(ROSTER)
                        );
                        seen.push((opcode, payload.len()));
                    }
                    Next::SkippedRoster => seen.push((TEXT, usize::MAX)),
                    Next::Wait => break,
                    Next::Nonsense(what) => panic!("{what}"),
                }
            }
        }
        seen
    }

    #[test]
    fn frames_are_the_same_wherever_a_read_ends() {
        let stream = [
            frame(TEXT, b""),
            frame(TEXT, &[b'a'; 125]),
            frame(PING, b"p"),
            frame(TEXT, &[b'b'; 126]),
            frame(TEXT, &vec![b'c'; 70_000]),
            frame(CLOSE, &[3, 3]),
        ]
        .concat();
        let expected = [(TEXT, 0), (TEXT, 125), (PING, 1), (TEXT, 126), (TEXT, 70_000), (CLOSE, 2)];
        for cut in (0..500).chain(69_900..stream.len()) {
            assert_eq!(seen(&[&stream[..cut], &stream[cut..]]), expected, "cut at {cut}");
        }
        let bytes: Vec<_> = stream[..300].chunks(1).collect();
        assert_eq!(seen(&bytes), expected[..4], "byte by byte");
    }

    #[test]
    fn a_large_roster_is_skipped_and_a_small_one_read() {
        let roster = |members| [ROSTER, &vec![b'r'; members]].concat();
        let stream = [frame(TEXT, &roster(10)), frame(TEXT, &roster(1_000)), frame(TEXT, b"hhh")].concat();
        assert_eq!(seen(&[&stream]), [(TEXT, 17), (TEXT, 1_007), (TEXT, 3)]);
        let (middle, end) = (600, stream.len() - 2);
        let reads = [&stream[..middle], &stream[middle..end], &stream[end..]];
        assert_eq!(seen(&reads), [(TEXT, 17), (TEXT, usize::MAX), (TEXT, 3)]);
    }

    #[test]
    fn what_no_server_sends_is_nonsense() {
        for bytes in [&[0x81, 0x80, 0, 0, 0, 0][..], &[0x01, 0x01, b'a'], &[0x80, 0x01, b'a']] {
            let mut at = 0;
            assert!(matches!(Feed::default().next(bytes, &mut at), Next::Nonsense(_)), "{bytes:?}");
        }
    }

    #[test]
    fn a_huge_frame_is_not_waited_for_unless_it_is_a_roster() {
        let head = [0x81, 127, 0, 0, 0, 0, 3, 0, 0, 0];
        let next = |begin: &[u8]| {
            let (bytes, mut at) = ([&head[..], begin].concat(), 0);
            matches!(Feed::default().next(&bytes, &mut at), Next::Nonsense(_))
        };
        assert!(next(br#"{"a":3,"d""#) && !next(br#"{"a":1,"d""#) && !next(br#"{"a""#));
    }

    #[test]
    fn what_a_client_writes_is_masked() {
        let mut out = Vec::new();
        write(TEXT, b"hello", 0x0102_0304, &mut out);
        assert_eq!(out[..6], [0x81, 0x85, 1, 2, 3, 4]);
        assert_eq!(out[6], b'h' ^ 1);
        for (length, header) in [(125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            out.clear();
            write(TEXT, &vec![0; length], 1, &mut out);
            assert_eq!(out.len(), header + length);
        }
        assert_eq!(close_code(&[0x0f, 0xa1]), 4001);
        assert_eq!(close_code(b""), 1005);
    }
}
