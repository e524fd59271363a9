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
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

use crate::traffic::{Answering, Traffic};

/// How long a client may take to send its first request's head, and to answer a ping over HTTP/2.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's head, in bytes, at most.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Connections that the kernel holds while all are being accepted.
const BACKLOG: u32 = 4_096;
/// Descriptors that aren't for clients: the store, logs, the runtime.
const DESCRIPTORS_RESERVED: usize = 256;
/// Requests that one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 100;
/// How long open requests may take to end when the server stops, or begin and end while an idle connection does.
const GRACE: Duration = Duration::from_secs(5);
/// The wait after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that are taken before all that is ready has had its turn.
const ACCEPTS_PER_TURN: usize = 8;
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

/// The bounds of all connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once.
    pub connections_max: usize,
    /// How long one without a request under way stays open.
    pub idle: Duration,
}

/// Serves until `stop` is done, then lets open requests end. WebSockets are not its concern.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let doorstep = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let stopping = watch::Sender::new(false);
    let mut stop = pin!(stop);
    for count in 1_usize.. {
        if count % ACCEPTS_PER_TURN == 0 {
            // In a storm of connections, whoever is connected has a turn, too.
            tokio::task::yield_now().await;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let ends = Ends { idle: bounds.idle, stopping: stopping.subscribe() };
                    start(stream, peer, place, router.clone(), ends);
                }
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
    stopping.send_replace(true);
    let _ = tokio::time::timeout(GRACE, stopping.closed()).await;
}

/// What ends a connection from this side.
struct Ends {
    idle: Duration,
    stopping: watch::Receiver<bool>,
}

fn start(stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit, router: Router, ends: Ends) {
    // A frame that waits for the kernel to gather more is latency for nothing. An error is a client that left.
    let _ = stream.set_nodelay(true);
    let permit = Arc::new(ConnectionPermit(place));
    let traffic = Arc::new(Traffic::default());
    let requests = Arc::clone(&traffic);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let under_way = requests.begin();
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&permit));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { answer.await.map(|answer| answer.map(|body| Answering::new(body, under_way))) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper counts the silence between two requests, too. The first head has a shorter bound below.
    let next_head = ends.idle.max(HEADER_TIMEOUT);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(next_head).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(HEADER_TIMEOUT)
        .keep_alive_timeout(HEADER_TIMEOUT);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    tokio::spawn(Box::pin(async move {
        if let Err(error) = attend(connection, &traffic, ends).await {
            tracing::debug!(error, "a connection ended early");
        }
    }));
}

/// Serves a connection until it ends, becomes a WebSocket, has had nothing to do for too long, or the server stops.
async fn attend<C: GracefulConnection>(connection: C, traffic: &Traffic, ends: Ends) -> Result<(), C::Error> {
    let Ends { idle, mut stopping } = ends;
    let mut connection = pin!(connection);
    // The builder waits for ever for the bytes that tell HTTP/2 from HTTP/1, so the first request has a bound of
    // its own.
    let never_asks = async {
        if tokio::time::timeout(HEADER_TIMEOUT, traffic.begins()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let stops = async {
        if stopping.wait_for(|stopping| *stopping).await.is_err() {
            // The server is gone without a word, and so is the runtime soon.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = never_asks => return Ok(()),
        // An HTTP/2 client that answers pings would keep its place for ever.
        () = traffic.rests(idle) => {}
        () = stops => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
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
