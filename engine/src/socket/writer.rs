//! Empties the queue into the socket, everything that waits in one call.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::net::TcpStream;

use super::outbound::{Outbound, Taken};
use crate::config::Limits;
use crate::protocol::code::CloseCode;
use crate::protocol::ws;

/// Buffers that one system call takes (IOV_MAX is 1,024; more than these gain nothing).
const SLICES_MAX: usize = 64;

/// Serves until the queue ends or the client can't be reached. Calls `caught_up` when a slow client has caught up
/// and frames were shed meanwhile.
pub async fn run(stream: &TcpStream, outbound: &Outbound, limits: &Limits, caught_up: impl Fn()) {
    let mut writer = Writer { stream, outbound, limits, frames: VecDeque::new(), begun: false };
    loop {
        match outbound.take(&mut writer.frames).await {
            Taken::Frames => {
                writer.begun = outbound.has_begun();
                if let Err(unsent) = writer.write().await {
                    return writer.give_up(unsent).await;
                }
            }
            Taken::CaughtUp => caught_up(),
            Taken::End(None) => return,
            Taken::End(Some(code)) => {
                let linger = Duration::from_millis(limits.close_linger_ms);
                let _ = tokio::time::timeout(linger, say_goodbye(writer.stream, code)).await;
                return;
            }
        }
    }
}

struct Writer<'a> {
    stream: &'a TcpStream,
    outbound: &'a Outbound,
    limits: &'a Limits,
    /// What was taken and isn't sent yet. Its memory goes back and forth between here and the queue.
    frames: VecDeque<Bytes>,
    /// Whether a part of the first of them is sent.
    begun: bool,
}

/// Why not everything was written.
enum Unsent {
    /// The client can't be reached.
    Gone,
    /// The kernel took nothing for as long as it may.
    Stalled,
}

impl From<io::Error> for Unsent {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Writer<'_> {
    async fn write(&mut self) -> Result<(), Unsent> {
        while !self.frames.is_empty() {
            match self.try_write() {
                Ok(0) => return Err(Unsent::Gone),
                Ok(written) => {
                    self.outbound.sent(written);
                    self.begun = advance(&mut self.frames, written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Ends a queue that can't be emptied.
    async fn give_up(mut self, unsent: Unsent) {
        match unsent {
            Unsent::Gone => self.outbound.abort(),
            // It had been told to end, and the client has had its time.
            Unsent::Stalled if self.outbound.ending().is_some() => {}
            Unsent::Stalled => {
                // The code is recorded, whether or not the client hears it.
                self.outbound.close(Some(CloseCode::SLOW_CONSUMER));
                let linger = Duration::from_millis(self.limits.close_linger_ms);
                // A client that reads again at last learns why it is closed.
                let _ = tokio::time::timeout(linger, self.say_slow()).await;
            }
        }
    }

    async fn say_slow(&mut self) {
        // A frame that is half sent must be finished, or the close frame would be taken for its payload.
        if let Some(rest) = self.frames.front().filter(|_| self.begun) {
            let _ = write_all(self.stream, rest).await;
        }
        say_goodbye(self.stream, CloseCode::SLOW_CONSUMER).await;
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
    async fn writable(&self) -> Result<(), Unsent> {
        let stall = Duration::from_millis(self.limits.write_stall_ms);
        tokio::select! {
            ready = self.writable_within(stall) => return ready,
            () = self.outbound.ended() => {}
        }
        match self.outbound.ending() {
            // A slow client may be slow to hear that it is.
            Some(Some(CloseCode::SLOW_CONSUMER)) => self.writable_within(stall).await,
            Some(Some(_)) => self.writable_within(Duration::from_millis(self.limits.close_linger_ms)).await,
            _ => Err(Unsent::Gone),
        }
    }

    async fn writable_within(&self, wait: Duration) -> Result<(), Unsent> {
        let writable = tokio::time::timeout(wait, self.stream.writable()).await;
        Ok(writable.map_err(|_| Unsent::Stalled)??)
    }
}

/// Sends the close frame and then the end of the stream.
pub(super) async fn say_goodbye(stream: &TcpStream, code: CloseCode) {
    // Who is gone doesn't need it.
    let _ = write_all(stream, &ws::close(code)).await;
    let _ = SockRef::from(stream).shutdown(Shutdown::Write);
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Drops what was written from the front. True when a part of the first that is left is among it.
fn advance(frames: &mut VecDeque<Bytes>, mut written: usize) -> bool {
    while let Some(first) = frames.front_mut() {
        if written < first.len() {
            first.advance(written);
            return written > 0;
        }
        written -= first.len();
        frames.pop_front();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_write_goes_on_where_it_ended() {
        let left_after = |written| {
            let mut frames: VecDeque<Bytes> = [3, 1, 2].map(|size| Bytes::from(vec![0; size])).into();
            let begun = advance(&mut frames, written);
            (begun, frames.iter().map(Bytes::len).collect::<Vec<_>>())
        };
        assert_eq!(left_after(2), (true, vec![1, 1, 2]));
        assert_eq!(left_after(3), (false, vec![1, 2]));
        assert_eq!(left_after(5), (true, vec![1]));
        assert_eq!(left_after(6), (false, vec![]));
    }
}
