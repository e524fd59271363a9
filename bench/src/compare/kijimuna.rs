//! Our own server: version 1 of its protocol, and as much of its REST side as members need to exist.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use kijimuna_loadtest::http;
use serde_json::{Value, json};

use crate::dialect::{Dialect, Layout, Seat, Step};

/// Connections that provision side by side: the store puts what comes together into one sync.
const PROVISIONERS: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Version 1 of the protocol.
pub(crate) struct Kijimuna {
    address: SocketAddr,
    /// Header lines.
    credentials: String,
}

impl Kijimuna {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, credentials: String::new() }
    }

    /// Does something for each number below a count, on several connections.
    fn for_each(
        &self,
        count: u32,
        make: impl Fn(&mut Rest, u32) -> io::Result<Value> + Sync,
    ) -> io::Result<()> {
        let next = AtomicU32::new(0);
        let provision = || -> io::Result<()> {
            let mut rest = Rest::new(self.address);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                make(&mut rest, number)?;
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..PROVISIONERS).map(|_| scope.spawn(provision)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("provisioning doesn't panic"))
        })
    }
}

impl Dialect for Kijimuna {
    fn provision(&mut self, layout: Layout) -> io::Result<()> {
        let service = Rest::new(self.address).post("/api/services", "", "")?;
        let field = |name: &str| service[name].as_str().unwrap_or_default();
        self.credentials = format!("client: {}\r\nsecret: {}\r\n", field("client"), field("secret"));
        let post =
            |rest: &mut Rest, path: &str, body: Value| rest.post(path, &self.credentials, &body.to_string());
        self.for_each(layout.groups, |rest, group| {
            post(rest, "/api/groups", json!({ "id": format!("g{group}"), "name": format!("Group {group}") }))
        })?;
        self.for_each(layout.total(), |rest, number| {
            post(
                rest,
                "/api/users",
                json!({ "id": format!("u{number}"), "name": format!("User {number}") }),
            )?;
            let group = layout.seat(number).group;
            post(rest, &format!("/api/groups/g{group}/attendees"), json!({ "user": format!("u{number}") }))
        })
    }

    fn path(&self, seat: Seat, rest: &mut Rest) -> io::Result<String> {
        let body = format!(r#"{{"group":"g{}","user":"u{}"}}"#, seat.group, seat.number);
        let answer = rest.post("/api/token", &self.credentials, &body)?;
        Ok(format!("/ws/connects/{}", answer["token"].as_str().unwrap_or_default()))
    }

    fn greet(&self, _: Seat, payload: Option<&[u8]>) -> Step {
        // The roster comes first, then the newest messages, and then one is in.
        match payload {
            Some(page) if page.starts_with(br#"{"a":3,"#) => Step::Joined,
            _ => Step::Wait,
        }
    }

    fn say(&self, _: u32, text: &[u8], payload: &mut Vec<u8>) {
        payload.extend_from_slice(br#"{"a":2,"d":{"m":""#);
        payload.extend_from_slice(text);
        payload.extend_from_slice(br#""}}"#);
    }
}

/// One kept connection to a REST side, opened when it is first needed.
pub(crate) struct Rest {
    address: SocketAddr,
    connection: Option<TcpStream>,
    received: Vec<u8>,
}

impl Rest {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None, received: Vec::new() }
    }

    /// Posts JSON. Anything but a 2xx is an error with the server's own words.
    fn post(&mut self, path: &str, headers: &str, body: &str) -> io::Result<Value> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(connect(self.address)?),
        };
        connection.write_all(request.as_bytes())?;
        self.received.clear();
        let mut chunk = [0; 4096];
        loop {
            let count = connection.read(&mut chunk)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received.extend_from_slice(&chunk[..count]);
            if let Some(answer) = answer(&self.received)? {
                return match answer {
                    (200..=299, body) => Ok(body),
                    (status, body) => {
                        Err(io::Error::other(format!("POST {path} was answered with {status}: {body}")))
                    }
                };
            }
        }
    }
}

/// A connection that blocks, for what happens in turns.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect_timeout(&address, TIMEOUT)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    Ok(connection)
}

/// Status and body, once the answer is whole.
fn answer(received: &[u8]) -> io::Result<Option<(u16, Value)>> {
    let unusable = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let Some((answer, _)) = http::answer(received).map_err(unusable)? else { return Ok(None) };
    Ok(Some((answer.status, serde_json::from_slice(answer.body).unwrap_or_default())))
}
