//! Joining, in lanes: a lane takes one member after the other through everything until it is in, and hands its socket
//! over to who reads them all.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;

use kijimuna_loadtest::frames::{CLOSE, TEXT, write};
use kijimuna_loadtest::upgrade;
use mio::Waker;

use crate::crowd::MASK;
use crate::dialect::{Dialect, Layout, Seat, Step};
use crate::frames;
use crate::kijimuna::{Rest, connect};

/// A member who is in.
pub(crate) struct Joined {
    pub(crate) seat: Seat,
    pub(crate) stream: TcpStream,
    /// What came after the last frame that was looked at.
    pub(crate) rest: Vec<u8>,
}

/// What the lanes of one crowd share.
pub(crate) struct Lanes<'a> {
    pub(crate) dialect: &'a dyn Dialect,
    pub(crate) address: SocketAddr,
    pub(crate) layout: Layout,
    pub(crate) next: AtomicU32,
    pub(crate) waker: &'a Waker,
}

impl Lanes<'_> {
    /// One lane: until nobody is left to join, or the first trouble.
    pub(crate) fn run(&self, arrivals: &Sender<io::Result<Joined>>) {
        let mut rest = Rest::new(self.address);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.layout.total() {
                return;
            }
            let joined = self.join(self.layout.seat(number), &mut rest);
            let failed = joined.is_err();
            if failed {
                self.next.store(self.layout.total(), Ordering::Relaxed);
            }
            if arrivals.send(joined).is_err() || self.waker.wake().is_err() || failed {
                return;
            }
        }
    }

    fn join(&self, seat: Seat, rest: &mut Rest) -> io::Result<Joined> {
        let path = self.dialect.path(seat, rest)?;
        let mut newcomer = Newcomer { stream: connect(self.address)?, received: Vec::new() };
        newcomer.upgrade(self.address, &path)?;
        let mut step = self.dialect.greet(seat, None);
        loop {
            match step {
                Step::Joined => break,
                Step::Send(payload) => newcomer.send(payload.as_bytes())?,
                Step::Wait => {}
            }
            step = newcomer.look(|payload| self.dialect.greet(seat, Some(payload)))?;
        }
        newcomer.stream.set_nonblocking(true)?;
        Ok(Joined { seat, stream: newcomer.stream, rest: newcomer.received })
    }
}

struct Newcomer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Newcomer {
    fn upgrade(&mut self, address: SocketAddr, path: &str) -> io::Result<()> {
        self.stream.write_all(upgrade::request(&address.to_string(), path).as_bytes())?;
        loop {
            self.receive()?;
            let accepted = upgrade::accepted(&self.received);
            let refused = |why| io::Error::other(format!("the upgrade was refused: {why}"));
            if let Some(length) = accepted.map_err(refused)? {
                self.received.drain(..length);
                return Ok(());
            }
        }
    }

    fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::new();
        write(TEXT, payload, MASK, &mut frame);
        self.stream.write_all(&frame)
    }

    /// Looks at the next frame.
    fn look(&mut self, look: impl FnOnce(&[u8]) -> Step) -> io::Result<Step> {
        loop {
            if let Some(frame) = frames::next(&self.received) {
                if frame.opcode == CLOSE {
                    let reason = String::from_utf8_lossy(frame.payload).into_owned();
                    return Err(io::Error::other(format!("a newcomer was closed: {reason}")));
                }
                let (step, length) = (look(frame.payload), frame.length);
                self.received.drain(..length);
                return Ok(step);
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}
