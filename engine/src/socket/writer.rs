//! Empties the queue into the socket, everything that waits in one call.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

use super::outbound::{Outbound, Taken};
use super::{Events, SocketEvent};
use crate::config::Limits;
use crate::protocol::code::CloseCode;
use crate::protocol::ws;

/// Buffers that one system call takes (IOV_MAX is 1,024; more than these gain nothing).
const SLICES_MAX: usize = 64;

/// Serves until the queue ends or the client can't be reached.
pub(super) async fn run(
    mut stream: OwnedWriteHalf,
    outbound: Arc<Outbound>,
    events: Arc<impl Events>,
    limits: Arc<Limits>,
) {
    let linger = Duration::from_millis(limits.close_linger_ms);
    loop {
        match outbound.take().await {
            Taken::Frames(frames) => {
                if write(&stream, &frames, &outbound, &limits).await.is_err() {
                    // Gone, or so slow that a goodbye would not arrive either.
                    outbound.abort();
                    break;
                }
            }
            Taken::CaughtUp => _ = events.send(SocketEvent::CaughtUp),
            Taken::End(None) => break,
            Taken::End(Some(code)) => {
                let _ = tokio::time::timeout(linger, say_goodbye(&mut stream, code)).await;
                break;
            }
        }
    }
    events.send(SocketEvent::WriteEnded);
}

/// Sends the close frame and then the end of the stream.
pub(super) async fn say_goodbye(stream: &mut OwnedWriteHalf, code: CloseCode) {
    // Who is gone doesn't need it.
    let _ = stream.write_all(&ws::close(code)).await;
    let _ = stream.shutdown().await;
}

async fn write(
    stream: &OwnedWriteHalf,
    frames: &[Bytes],
    outbound: &Outbound,
    limits: &Limits,
) -> io::Result<()> {
    let (mut first, mut offset) = (0, 0);
    while first < frames.len() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&frames[first..]) {
            *slice = IoSlice::new(if count == 0 { &frame[offset..] } else { frame });
            count += 1;
        }
        match stream.try_write_vectored(&slices[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                outbound.sent(written);
                (first, offset) = advance(frames, first, offset + written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                writable(stream, outbound, limits).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until the kernel takes more: as long as a write may stall, and when the queue ends meanwhile, as long
/// as a goodbye may take. A frame that is half sent must be finished before the close frame.
async fn writable(stream: &OwnedWriteHalf, outbound: &Outbound, limits: &Limits) -> io::Result<()> {
    let stall = Duration::from_millis(limits.write_stall_ms);
    tokio::select! {
        ready = tokio::time::timeout(stall, stream.writable()) => return ready?,
        () = outbound.ended() => {}
    }
    match outbound.ending() {
        // A slow client may be slow to hear that it is.
        Some(Some(CloseCode::SLOW_CONSUMER)) => tokio::time::timeout(stall, stream.writable()).await?,
        Some(Some(_)) => {
            let linger = Duration::from_millis(limits.close_linger_ms);
            tokio::time::timeout(linger, stream.writable()).await?
        }
        _ => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// The frame and the byte in it that come next.
fn advance(frames: &[Bytes], mut first: usize, mut offset: usize) -> (usize, usize) {
    while first < frames.len() && offset >= frames[first].len() {
        offset -= frames[first].len();
        first += 1;
    }
    (first, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_write_goes_on_where_it_ended() {
        let frames: Vec<Bytes> = [3, 1, 2].map(|size| Bytes::from(vec![0; size])).into();
        assert_eq!(advance(&frames, 0, 2), (0, 2));
        assert_eq!(advance(&frames, 0, 3), (1, 0));
        assert_eq!(advance(&frames, 0, 5), (2, 1));
        assert_eq!(advance(&frames, 1, 3), (3, 0));
    }
}
