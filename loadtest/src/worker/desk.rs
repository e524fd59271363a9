//! Where tokens are asked for: kept HTTP connections within the event loop, one request on each at a time.

use std::collections::VecDeque;
use std::io::{self, Read};

use memchr::memmem;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::connect::{Opening, end_by_reset, open};
use super::member::write_some;
use crate::http;
use crate::outcome::NO_PORT_LEFT;
use crate::plan::{Assignment, group_id, user_id};
use crate::printable::printable;

/// Reads of one connection before others get their turn: an answer may have no end.
const READS_IN_A_ROW: u32 = 16;
/// Characters of a server's words that are shown.
const TEXT_CHARS_MAX: usize = 500;

/// An answer for a member, by its place among this worker's.
pub(super) enum Answer {
    Token {
        member: usize,
        token: String,
    },
    /// Not now; again in so many seconds.
    Later {
        member: usize,
        wait_s: u64,
    },
    /// The server is busy or gone.
    Failed {
        member: usize,
        why: String,
    },
    /// Trying again won't help. The text says what to do.
    Refused {
        text: String,
    },
}

/// The connections, and who waits for one.
pub(super) struct Desk {
    /// Their events have tokens from here on.
    first_token: usize,
    windows: Vec<Window>,
    free: Vec<usize>,
    waiting: VecDeque<(usize, String)>,
}

#[derive(Default)]
struct Window {
    stream: Option<TcpStream>,
    /// Whose request is under way, its bytes, and how many of them are written.
    request: Option<(usize, String)>,
    written: usize,
    received: Vec<u8>,
    /// The request under way was put on a connection that had served before.
    kept: bool,
}

/// The request for a member's token.
pub(super) fn request(assignment: &Assignment, number: u32, group: u32) -> String {
    let (group, user) = (group_id(assignment.run, group), user_id(assignment.run, number));
    let body = format!(r#"{{"group":"{group}","user":"{user}"}}"#);
    http::post(&assignment.target, Some(&assignment.credentials), "/api/token", &body)
}

impl Desk {
    pub(super) fn new(first_token: usize, windows: usize) -> Self {
        Self {
            first_token,
            windows: (0..windows).map(|_| Window::default()).collect(),
            free: (0..windows).rev().collect(),
            waiting: VecDeque::new(),
        }
    }

    /// Asks as soon as a connection is free.
    pub(super) fn ask(
        &mut self,
        member: usize,
        request: String,
        opening: Opening,
        registry: &Registry,
    ) -> Option<Answer> {
        match self.free.pop() {
            Some(window) => self.begin(window, member, request, opening, registry),
            None => {
                self.waiting.push_back((member, request));
                None
            }
        }
    }

    /// The run is over: nothing shall be left of the connections.
    pub(super) fn end_by_reset(&self) {
        self.windows.iter().filter_map(|window| window.stream.as_ref()).for_each(end_by_reset);
    }

    /// A connection has news.
    pub(super) fn handle_event(
        &mut self,
        token: usize,
        opening: Opening,
        registry: &Registry,
        answers: &mut Vec<Answer>,
    ) {
        let window = token - self.first_token;
        let outcome = self.windows[window].advance(Token(token), registry);
        let Some(outcome) = outcome.transpose() else { return };
        answers.extend(self.finish(window, outcome, opening, registry));
        self.serve_waiting(opening, registry, answers);
    }

    /// A member wants no answer any more.
    pub(super) fn forget(
        &mut self,
        member: usize,
        opening: Opening,
        registry: &Registry,
        answers: &mut Vec<Answer>,
    ) {
        self.waiting.retain(|(waiting, _)| *waiting != member);
        let asks = |window: &Window| window.request.as_ref().is_some_and(|(asking, _)| *asking == member);
        let Some(at) = self.windows.iter().position(asks) else { return };
        self.windows[at] = Window::default();
        self.free.push(at);
        self.serve_waiting(opening, registry, answers);
    }

    fn serve_waiting(&mut self, opening: Opening, registry: &Registry, answers: &mut Vec<Answer>) {
        while let Some((member, request)) = self.waiting.pop_front() {
            let Some(window) = self.free.pop() else {
                self.waiting.push_front((member, request));
                return;
            };
            answers.extend(self.begin(window, member, request, opening, registry));
        }
    }

    fn begin(
        &mut self,
        at: usize,
        member: usize,
        request: String,
        opening: Opening,
        registry: &Registry,
    ) -> Option<Answer> {
        let token = Token(self.first_token + at);
        let window = &mut self.windows[at];
        window.kept = window.stream.is_some();
        window.request = Some((member, request));
        window.written = 0;
        let outcome = window.open(token, opening, registry).and_then(|()| window.advance(token, registry));
        match outcome.transpose() {
            None => None,
            Some(outcome) => self.finish(at, outcome, opening, registry),
        }
    }

    fn finish(
        &mut self,
        at: usize,
        outcome: io::Result<Reply>,
        opening: Opening,
        registry: &Registry,
    ) -> Option<Answer> {
        let window = &mut self.windows[at];
        let (member, request) = window.request.take()?;
        match outcome {
            Ok(reply) => {
                self.free.push(at);
                Some(reply.into_answer(member))
            }
            Err(_) if window.kept => {
                // A server may close a kept connection at any time; only a fresh one tells.
                window.stream = None;
                self.begin(at, member, request, opening, registry)
            }
            Err(error) => {
                window.stream = None;
                self.free.push(at);
                Some(Answer::Failed { member, why: failure("token", &error) })
            }
        }
    }
}

impl Window {
    fn open(&mut self, token: Token, opening: Opening, registry: &Registry) -> io::Result<()> {
        if self.stream.is_none() {
            let mut stream = open(opening)?;
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            self.stream = Some(stream);
            self.received.clear();
        }
        Ok(())
    }

    /// Writes and reads what it can; `None` while the answer isn't whole.
    fn advance(&mut self, token: Token, registry: &Registry) -> io::Result<Option<Reply>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let Some((_, request)) = &self.request else {
            // Whatever comes unasked is the end of the connection; that there is room to write is nothing that comes.
            let nothing = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
            if !stream.read(&mut [0]).is_err_and(nothing) {
                end_by_reset(stream);
                self.stream = None;
            }
            return Ok(None);
        };
        match write_some(stream, &request.as_bytes()[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut chunk = [0; 2048];
        for _ in 0..READS_IN_A_ROW {
            match stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let Some((answer, length)) = http::answer(&self.received).map_err(io::Error::other)? else {
                continue;
            };
            let reply = Reply::new(&answer);
            // What follows an answer belongs to no request.
            if answer.closes || self.received.len() > length {
                self.stream = None;
            }
            self.received.clear();
            return Ok(Some(reply));
        }
        // There is more, which will be an event again.
        registry.reregister(stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(None)
    }
}

/// What a token request was answered with.
enum Reply {
    Token(String),
    Later { wait_s: u64 },
    Failed(u16),
    Refused(String),
}

impl Reply {
    fn new(answer: &http::Answer<'_>) -> Self {
        let text = String::from_utf8_lossy(answer.body);
        match answer.status {
            200..=299 => match string_field(answer.body, b"\"token\":\"") {
                Some(token) => Self::Token(token),
                None => Self::Refused(format!("POST /api/token was answered without a token: {text}")),
            },
            429 => Self::Later { wait_s: answer.retry_after_s.unwrap_or(1) },
            status @ 500.. => Self::Failed(status),
            status => Self::Refused(format!("POST /api/token was answered with {status}: {text}")),
        }
    }

    fn into_answer(self, member: usize) -> Answer {
        match self {
            Self::Token(token) => Answer::Token { member, token },
            Self::Later { wait_s } => Answer::Later { member, wait_s },
            Self::Failed(status) => Answer::Failed { member, why: format!("token_{status}") },
            Self::Refused(text) => Answer::Refused { text: printable(&text, TEXT_CHARS_MAX) },
        }
    }
}

/// A text without escapes that stands after a key.
pub(super) fn string_field(json: &[u8], key: &[u8]) -> Option<String> {
    let begin = memmem::find(json, key)? + key.len();
    let length = memchr::memchr(b'"', &json[begin..])?;
    String::from_utf8(json[begin..begin + length].to_vec()).ok()
}

/// A short name for what went wrong, to count by.
pub(super) fn failure(doing: &str, error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset",
        io::ErrorKind::UnexpectedEof => "ended",
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => NO_PORT_LEFT,
        io::ErrorKind::TimedOut => "timed_out",
        _ => "failed",
    };
    format!("{doing}_{what}")
}
