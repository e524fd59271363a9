//! A WebSocket client down at its bytes: for what a library refuses to send, and for who doesn't read.

use std::net::SocketAddr;

use engine::testkit::{World, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

/// The key and the answer of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame as a client sends it: masked, with the shortest length.
pub fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first_byte];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | u8::try_from(length).expect("at most 125")),
        length @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(length).expect("at most 65,535").to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A whole text message.
pub fn text(payload: &str) -> Vec<u8> {
    frame(FIN | TEXT, payload.as_bytes())
}

/// A frame that says something.
pub fn saying(words: &str) -> String {
    json!({"a": 2, "d": {"m": words}}).to_string()
}

/// The request of the handshake.
pub fn handshake(token: &str) -> String {
    format!(
        "GET /ws/connects/{token} HTTP/1.1\r\nHost: kijimuna\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// Opens a connection on which nothing has been said yet.
pub async fn dial(base: &str) -> TcpStream {
    within("a connection", TcpStream::connect(address(base))).await.expect("connected")
}

/// Sends a request as it is and answers everything that comes until the server ends the connection.
pub async fn asks(base: &str, request: &str) -> String {
    let mut stream = dial(base).await;
    within("a request", stream.write_all(request.as_bytes())).await.expect("sent");
    let mut answer = String::new();
    within("an answer and the end", stream.read_to_string(&mut answer)).await.expect("read");
    answer
}

/// What comes from the server.
#[derive(Debug, PartialEq)]
pub enum Event {
    Frame(Value),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame with its code, or the end without one.
    Closed(Option<u16>),
}

/// A WebSocket whose client writes bytes.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    /// Opens a WebSocket of a user in a group that it attends, and takes the roster and history of the beginning.
    pub async fn joins(world: &World, group: &str, user: &str) -> Self {
        let mut raw = Self::connects(world, &world.token(group, user).await).await;
        raw.next(3).await;
        raw
    }

    /// Opens a WebSocket with any token.
    pub async fn connects(world: &World, token: &str) -> Self {
        Self::connects_to(world.base(), token).await
    }

    /// Opens a WebSocket at a server whose tenant doesn't matter.
    pub async fn connects_to(base: &str, token: &str) -> Self {
        Self::over(dial(base).await, token, &[]).await
    }

    /// Opens a WebSocket, and says something before the handshake is answered.
    pub async fn connects_saying(world: &World, token: &str, bytes: &[u8]) -> Self {
        Self::over(dial(world.base()).await, token, bytes).await
    }

    /// Opens a WebSocket for which the client's kernel holds next to nothing.
    pub async fn connects_narrowly(world: &World, token: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("set");
        let stream = within("a connection", socket.connect(address(world.base()))).await.expect("connected");
        Self::over(stream, token, &[]).await
    }

    async fn over(stream: TcpStream, token: &str, and: &[u8]) -> Self {
        let mut raw = Self { stream, read: Vec::new() };
        raw.sends(&[handshake(token).as_bytes(), and].concat()).await;
        while !raw.read.windows(4).any(|end| end == b"\r\n\r\n") {
            assert!(raw.fills().await, "the handshake ended early: {}", String::from_utf8_lossy(&raw.read));
        }
        let end = raw.read.windows(4).position(|end| end == b"\r\n\r\n").expect("just seen") + 4;
        let head: Vec<u8> = raw.read.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is ASCII");
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT), "{head}");
        raw
    }

    /// Sends bytes.
    pub async fn sends(&mut self, bytes: &[u8]) {
        within("a send", self.stream.write_all(bytes)).await.expect("sent");
    }

    /// Sends bytes to a server that may close before it has read them all.
    pub async fn throws(&mut self, bytes: &[u8]) {
        // That it closes is what the caller looks at.
        let _ = within("a send", self.stream.write_all(bytes)).await;
    }

    /// Sends bytes over and over, as fast as they are taken, until the server closes.
    pub async fn floods(mut self, bytes: &[u8]) {
        while self.stream.write_all(bytes).await.is_ok() {}
    }

    /// Sends a message.
    pub async fn says(&mut self, words: &str) {
        self.sends(&text(&saying(words))).await;
    }

    /// The next thing that comes.
    pub async fn event(&mut self) -> Event {
        loop {
            if let Some((opcode, payload)) = self.take_frame() {
                return match opcode {
                    TEXT => Event::Frame(serde_json::from_slice(&payload).expect("frames are JSON")),
                    PING => Event::Ping(payload),
                    PONG => Event::Pong(payload),
                    CLOSE => {
                        Event::Closed(payload.first_chunk().map(|code: &[u8; 2]| u16::from_be_bytes(*code)))
                    }
                    other => panic!("the server sent a frame with opcode {other}"),
                };
            }
            if !self.fills().await {
                return Event::Closed(None);
            }
        }
    }

    /// The next thing that comes, apart from rosters.
    pub async fn event_but_rosters(&mut self) -> Event {
        loop {
            match self.event().await {
                Event::Frame(frame) if frame["a"] == 1 => {}
                event => return event,
            }
        }
    }

    /// The data of the next frame, which must have this action unless it is a roster.
    pub async fn next(&mut self, action: u64) -> Value {
        match self.event_but_rosters().await {
            Event::Frame(mut frame) if frame["a"] == action => frame["d"].take(),
            other => panic!("{other:?} instead of a frame with action {action}"),
        }
    }

    /// The next message, which must say this.
    pub async fn hears(&mut self, words: &str) -> Value {
        let message = self.next(2).await;
        assert_eq!(message["m"], words, "heard something else");
        message
    }

    /// The next answer, which must be an error with this word.
    pub async fn is_refused_with(&mut self, code: &str) {
        let error = self.next(5).await;
        assert_eq!(error["c"], code, "{error}");
        assert!(error["m"].as_str().is_some_and(|words| !words.is_empty()), "{error}");
    }

    /// The server says nothing more but goodbye with this code, and ends.
    pub async fn is_closed_with(&mut self, code: u16) {
        assert_eq!(self.event_but_rosters().await, Event::Closed(Some(code)));
        assert!(!self.fills().await, "something came after the goodbye");
    }

    /// Everything that is heard until the end, and the code of the end.
    pub async fn hears_until_the_end(&mut self) -> (Vec<Value>, Option<u16>) {
        let mut heard = Vec::new();
        loop {
            match self.event().await {
                Event::Frame(mut frame) if frame["a"] == 2 => heard.push(frame["d"].take()),
                Event::Closed(code) => return (heard, code),
                _ => {}
            }
        }
    }

    /// The opcode and payload of the first whole frame that has come.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, &second) = (self.read.first()?, self.read.get(1)?);
        assert!(first & 0xF0 == FIN && second & 0x80 == 0, "the server sends whole, unmasked frames");
        let (start, length) = match second {
            126 => (4, usize::from(u16::from_be_bytes(*self.read.get(2..)?.first_chunk()?))),
            127 => {
                let length = u64::from_be_bytes(*self.read.get(2..)?.first_chunk()?);
                (10, usize::try_from(length).expect("fits memory"))
            }
            length => (2, usize::from(length)),
        };
        let payload = self.read.get(start..start + length)?.to_vec();
        self.read.drain(..start + length);
        Some((first & 0xF, payload))
    }

    /// Reads what has come. False when nothing more will.
    async fn fills(&mut self) -> bool {
        // A reset ends a connection as much as an end of file does.
        within("the server", self.stream.read_buf(&mut self.read)).await.unwrap_or(0) > 0
    }
}

fn address(base: &str) -> SocketAddr {
    base.trim_start_matches("http://").parse().expect("an address")
}
