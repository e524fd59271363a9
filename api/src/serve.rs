//! The accept loop: bounds that a framework's own doesn't have.
//!
//! A connection that doesn't finish its request head is dropped, small frames leave at once, and there are never
//! more sockets than the process may have descriptors for.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use engine::protocol::code::ErrorCode;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

/// How long a client may take to send a request's head, and to send the next one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's head, in bytes, at most.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Connections that the kernel holds while all are being accepted.
const BACKLOG: u32 = 4_096;
/// Descriptors that aren't for clients: the store, logs, the runtime.
const DESCRIPTORS_RESERVED: usize = 256;
/// Requests that one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 100;
/// How long open requests may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// The wait after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection without a place may take to hear so.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_millis(500);
/// Connections that are being turned away at once; a further one is just closed. Fewer than the descriptors
/// that are reserved, which the store needs.
const TURNED_AWAY_MAX: usize = 64;

/// Who is at the other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// A connection's place among those that may be open. A WebSocket keeps it until it ends.
#[derive(Debug)]
pub struct ConnectionPermit(#[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// Opens the listening socket.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the kernel to forget the connections of the last process.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// As many connections as the process may have descriptors for, or fewer if asked.
pub fn connections_max(wanted: Option<usize>) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let descriptors = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let possible = descriptors.saturating_sub(DESCRIPTORS_RESERVED).clamp(1, Semaphore::MAX_PERMITS);
    wanted.map_or(possible, |wanted| wanted.min(possible))
}

/// Serves until `stop` is done, then lets open requests end. WebSockets are not its concern.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let doorstep = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => start(stream, peer, place, router.clone(), &graceful),
                Err(_) => {
                    if let Ok(step) = Arc::clone(&doorstep).try_acquire_owned() {
                        tokio::spawn(turn_away(stream, step));
                    }
                }
            },
            // Out of descriptors or memory, or a client that left at once: neither ends the server.
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // What is still open after that is cut by the end of the process.
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

fn start(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
) {
    // A frame that waits for the kernel to gather more is latency for nothing. An error is a client that left.
    let _ = stream.set_nodelay(true);
    let permit = Arc::new(ConnectionPermit(place));
    let asked = Arc::new(Notify::new());
    let first_request = Arc::clone(&asked);
    let service = service_fn(move |mut request: Request<Incoming>| {
        asked.notify_one();
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&permit));
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(HEADER_TIMEOUT)
        .keep_alive_timeout(HEADER_TIMEOUT);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(Box::pin(async move {
        let mut connection = pin!(connection);
        // The builder waits for ever for the bytes that tell HTTP/2 from HTTP/1, so the first request has a
        // bound of its own.
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = first_request.notified() => connection.await,
            () = tokio::time::sleep(HEADER_TIMEOUT) => return,
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
    }));
}

/// Answers a connection for which there is no place, whatever it asks.
async fn turn_away(mut stream: TcpStream, _step: OwnedSemaphorePermit) {
    let code = ErrorCode::OVERLOADED;
    let body = format!(
        "{{\"error\":\"this server has as many connections as it may: try another, or again in a moment\",\"code\":\"{}\"}}",
        code.word
    );
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answered = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // A socket that is closed with something unread resets the connection, and the answer may be lost.
        let mut scratch = [0; 1024];
        while stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // Who doesn't take the answer at once goes without one.
    let _ = tokio::time::timeout(TURN_AWAY_TIMEOUT, answered).await;
}
