//! A blocking REST client over one connection that is kept, for provisioning.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::http;
use crate::plan::{Credentials, Target};
use crate::printable::printable;
use crate::worker::end_by_reset;

/// How long a request may take, from its first byte to the last one of its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may put off one and the same request.
const HELD_BACK_MAX: Duration = Duration::from_secs(300);
/// Characters of a server's words that are shown.
const TEXT_CHARS_MAX: usize = 500;

/// What a deployment refuses. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    #[error("nothing answers at {address}: {source}. Is the server running, and is --url right?")]
    Unreachable { address: String, source: io::Error },
    #[error(
        "this machine has no local port left for a connection to {address}. Those of connections that ended are free again \
         after a minute: wait for it, or widen /proc/sys/net/ipv4/ip_local_port_range."
    )]
    NoPort { address: String },
    #[error(
        "{address} closed the connection or took more than 30 s for an answer ({source}). Is it a Kijimuna server, and is it well? \
         Its log may say more."
    )]
    Broken { address: String, source: io::Error },
    #[error("what answers at {address} is no Kijimuna server: {what}. Check --url.")]
    NotHttp { address: String, what: &'static str },
    #[error(
        "this deployment makes services only for its operator: pass --admin-key (the server's KIJIMUNA_ADMIN_KEY), \
         or --client and --secret of a service that exists."
    )]
    AdminKey,
    #[error("the server doesn't know this client with this secret: check --client and --secret.")]
    Unauthorized,
    #[error(
        "the server has put off {method} {path} for five minutes (429). Raise KIJIMUNA_REST_RATE there, 0 for no bound; if it is \
         at rest, its log may say more."
    )]
    HeldBack { method: &'static str, path: String },
    #[error("the node {address}: {source} Are all nodes in --url of one deployment, with one store?")]
    Node { address: String, source: Box<RestError> },
    #[error("{method} {path} was answered with {status}: {text}")]
    Refused { method: &'static str, path: String, status: u16, text: String },
}

impl RestError {
    /// The same of one of several nodes. One that doesn't know what was made at another may have a store of its own.
    pub(crate) fn at_node(self, address: SocketAddr) -> Self {
        match self {
            Self::Unauthorized | Self::Refused { .. } => {
                Self::Node { address: address.to_string(), source: Box::new(self) }
            }
            other => other,
        }
    }
}

/// How a failure's body looks.
#[derive(Debug, Default, Deserialize)]
struct Failure {
    #[serde(default)]
    error: String,
    #[serde(default)]
    code: String,
}

/// One connection to the REST side.
pub(crate) struct Rest<'a> {
    target: &'a Target,
    credentials: Option<&'a Credentials>,
    /// Counts how often the server said to wait.
    held_back: &'a AtomicU64,
    connection: Option<TcpStream>,
    received: Vec<u8>,
}

impl<'a> Rest<'a> {
    pub(crate) fn new(
        target: &'a Target,
        credentials: Option<&'a Credentials>,
        held_back: &'a AtomicU64,
    ) -> Self {
        Self { target, credentials, held_back, connection: None, received: Vec::new() }
    }

    /// Posts until the answer isn't "later". A 2xx has this body.
    pub(crate) fn post(&mut self, path: &str, body: &str) -> Result<Vec<u8>, RestError> {
        let request = http::post(self.target, self.credentials, path, body);
        self.send("POST", path, &request)
    }

    /// Deletes what may be gone already.
    pub(crate) fn delete(&mut self, path: &str) -> Result<(), RestError> {
        let request = http::delete(self.target, self.credentials, path);
        match self.send("DELETE", path, &request) {
            Ok(_) | Err(RestError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a service, with the operator's key if the deployment wants one.
    pub(crate) fn make_service(&mut self, admin_key: Option<&str>) -> Result<Vec<u8>, RestError> {
        let mut request = http::post(self.target, None, "/api/services", "");
        if let Some(key) = admin_key {
            let end = request.len() - 2;
            request.insert_str(end, &format!("Authorization: Bearer {key}\r\n"));
        }
        self.send("POST", "/api/services", &request)
    }

    fn send(&mut self, method: &'static str, path: &str, request: &str) -> Result<Vec<u8>, RestError> {
        let since = Instant::now();
        loop {
            let (status, wait_s, body) = self.exchange(request)?;
            match status {
                200..=299 => return Ok(body),
                429 if since.elapsed() > HELD_BACK_MAX => {
                    return Err(RestError::HeldBack { method, path: path.to_owned() });
                }
                429 => {
                    self.held_back.fetch_add(1, Ordering::Relaxed);
                    pause(Duration::from_secs(wait_s.unwrap_or(1)));
                }
                _ => return Err(refused(method, path, status, &body)),
            }
        }
    }

    fn exchange(&mut self, request: &str) -> Result<(u16, Option<u64>, Vec<u8>), RestError> {
        let kept = self.connection.is_some();
        match self.try_exchange(request) {
            // A server may close a kept connection at any time; only a fresh one tells.
            Err(RestError::Broken { .. }) if kept => self.try_exchange(request),
            outcome => outcome,
        }
    }

    fn try_exchange(&mut self, request: &str) -> Result<(u16, Option<u64>, Vec<u8>), RestError> {
        let address = self.target.address.to_string();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.target).map_err(|error| unreachable(address.clone(), error))?,
        };
        self.received.clear();
        let broken = |source| RestError::Broken { address: address.clone(), source };
        connection.write_all(request.as_bytes()).map_err(broken)?;
        let (mut chunk, until) = ([0; 4096], Instant::now() + TIMEOUT);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(broken(io::ErrorKind::TimedOut.into()));
            }
            connection.set_read_timeout(Some(left)).map_err(broken)?;
            let count = connection.read(&mut chunk).map_err(broken)?;
            if count == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
            self.received.extend_from_slice(&chunk[..count]);
            let whole = http::answer(&self.received);
            match whole.map_err(|what| RestError::NotHttp { address: address.clone(), what })? {
                None => {}
                Some((answer, _)) => {
                    if !answer.closes {
                        self.connection = Some(connection);
                    }
                    return Ok((answer.status, answer.retry_after_s, answer.body.to_vec()));
                }
            }
        }
    }
}

fn connect(target: &Target) -> io::Result<TcpStream> {
    let connection = TcpStream::connect_timeout(&target.address, TIMEOUT)?;
    connection.set_nodelay(true)?;
    // Answers are read whole, so there is nothing that a reset at the end could cut off.
    end_by_reset(&connection);
    connection.set_write_timeout(Some(TIMEOUT))?;
    Ok(connection)
}

fn unreachable(address: String, source: io::Error) -> RestError {
    match source.kind() {
        io::ErrorKind::AddrNotAvailable => RestError::NoPort { address },
        _ => RestError::Unreachable { address, source },
    }
}

fn refused(method: &'static str, path: &str, status: u16, body: &[u8]) -> RestError {
    let failure: Failure = serde_json::from_slice(body).unwrap_or_default();
    match failure.code.as_str() {
        "admin_key_required" => RestError::AdminKey,
        "unauthorized" => RestError::Unauthorized,
        _ => RestError::Refused {
            method,
            path: path.to_owned(),
            status,
            text: printable(&failure.error, TEXT_CHARS_MAX),
        },
    }
}

/// Waits on a channel that nobody writes to.
fn pause(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_free_port_is_told_what_to_do() {
        let error = unreachable("127.0.0.1:3010".to_owned(), io::ErrorKind::AddrNotAvailable.into());
        let told = error.to_string();
        assert!(told.contains("no local port") && told.contains("ip_local_port_range"), "{told}");
    }
}
