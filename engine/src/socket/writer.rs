//! Empties the queue into the socket, everything that waits in one call.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::WriteHalf;

use super::outbound::{Outbound, Taken};
use crate::config::Limits;
use crate::protocol::code::CloseCode;
use crate::protocol::ws;

/// Buffers that one system call takes (IOV_MAX is 1,024; more than these gain nothing).
const SLICES_MAX: usize = 64;

/// Serves until the queue ends or the client can't be reached. Calls `caught_up` when a slow client has caught up
/// and frames were shed meanwhile.
pub async fn run(stream: WriteHalf<'_>, outbound: &Outbound, limits: &Limits, caught_up: impl Fn()) {
    let mut writer = Writer { stream, outbound, limits, frames: VecDeque::new() };
    loop {
        match outbound.take(&mut writer.frames).await {
            Taken::Frames => {
                if writer.write().await.is_err() {
                    // Gone, or so slow that a goodbye would not arrive either.
                    outbound.abort();
                    return;
                }
            }
            Taken::CaughtUp => caught_up(),
            Taken::End(None) => return,
            Taken::End(Some(code)) => {
                let linger = Duration::from_millis(limits.close_linger_ms);
                let _ = tokio::time::timeout(linger, say_goodbye(&mut writer.stream, code)).await;
                return;
            }
        }
    }
}

struct Writer<'a> {
    stream: WriteHalf<'a>,
    outbound: &'a Outbound,
    limits: &'a Limits,
    /// What was taken and isn't sent yet. Its memory goes back and forth between here and the queue.
    frames: VecDeque<Bytes>,
}

impl Writer<'_> {
    async fn write(&mut self) -> io::Result<()> {
        while !self.frames.is_empty() {
            match self.try_write() {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.outbound.sent(written);
                    advance(&mut self.frames, written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn try_write(&self) -> io::Result<usize> {
        if let [frame] = self.frames.as_slices().0
            && self.frames.len() == 1
        {
            return self.stream.try_write(frame);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        self.stream.try_write_vectored(&slices[..count])
    }

    /// Waits until the kernel takes more: as long as a write may stall, and when the queue ends meanwhile, as
    /// long as a goodbye may take. A frame that is half sent must be finished before the close frame.
    async fn writable(&self) -> io::Result<()> {
        let stall = Duration::from_millis(self.limits.write_stall_ms);
        tokio::select! {
            ready = tokio::time::timeout(stall, self.stream.writable()) => return ready?,
            () = self.outbound.ended() => {}
        }
        match self.outbound.ending() {
            // A slow client may be slow to hear that it is.
            Some(Some(CloseCode::SLOW_CONSUMER)) => {
                tokio::time::timeout(stall, self.stream.writable()).await?
            }
            Some(Some(_)) => {
                let linger = Duration::from_millis(self.limits.close_linger_ms);
                tokio::time::timeout(linger, self.stream.writable()).await?
            }
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// Sends the close frame and then the end of the stream.
pub(super) async fn say_goodbye(stream: &mut WriteHalf<'_>, code: CloseCode) {
    // Who is gone doesn't need it.
    let _ = stream.write_all(&ws::close(code)).await;
    let _ = stream.shutdown().await;
}

/// Drops what was written from the front.
fn advance(frames: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = frames.front_mut() {
        if written < first.len() {
            first.advance(written);
            return;
        }
        written -= first.len();
        frames.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_write_goes_on_where_it_ended() {
        let left_after = |written| {
            let mut frames: VecDeque<Bytes> = [3, 1, 2].map(|size| Bytes::from(vec![0; size])).into();
            advance(&mut frames, written);
            frames.iter().map(Bytes::len).collect::<Vec<_>>()
        };
        assert_eq!(left_after(2), [1, 1, 2]);
        assert_eq!(left_after(3), [1, 2]);
        assert_eq!(left_after(5), [1]);
        assert_eq!(left_after(6), [0_usize; 0]);
    }
}
