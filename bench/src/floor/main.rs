//! The least that a WebSocket chat server can do: what others cost is told in multiples of this.
//!
//! `kijimuna-floor PORT` serves `/GROUP` on 127.0.0.1, and says where once it does; port 0 is any that is free. One thread, one epoll: each message that comes is built into one
//! frame, and that frame is written once to each member of the group, with one system call each. Nothing is stored,
//! nothing is gathered into larger writes, nobody is asked who they are. Only what the kernel has no room for waits here.

mod connection;
mod wire;

use std::collections::HashMap;
use std::env;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::connection::{Connection, Input};

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1_024;
/// What one read takes at most, in bytes; all sockets share the one buffer.
const BUFFER: usize = 64 << 10;

fn main() -> io::Result<()> {
    let usage = || io::Error::new(io::ErrorKind::InvalidInput, "say it like this: kijimuna-floor PORT");
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).ok_or_else(usage)?;
    let mut floor = Floor::listen(port)?;
    writeln!(io::stdout(), "{}", floor.listener.local_addr()?)?;
    floor.run()
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    /// By token. Who has left leaves a hole: a benchmark's members come once.
    connections: Vec<Option<Connection>>,
    groups: HashMap<String, Vec<usize>>,
}

impl Floor {
    fn listen(port: u16) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, connections: Vec::new(), groups: HashMap::new() })
    }

    fn run(&mut self) -> io::Result<()> {
        let (mut events, mut buffer) = (Events::with_capacity(EVENTS), vec![0; BUFFER]);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(member) => self.serve(member, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let token = Token(self.connections.len());
            self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            self.connections.push(Some(Connection::new(stream)));
        }
    }

    fn serve(&mut self, member: usize, buffer: &mut [u8]) {
        loop {
            let Some(connection) = self.connections[member].as_mut() else { return };
            if connection.flush().is_err() {
                return self.leave(member);
            }
            match connection.read(buffer) {
                Ok(Input::Bytes { more }) => {
                    if !self.understand(member) {
                        return self.leave(member);
                    }
                    if !more {
                        return;
                    }
                }
                Ok(Input::Nothing) => return,
                Ok(Input::End) | Err(_) => return self.leave(member),
            }
        }
    }

    /// Goes through what has come from a member. False when it can't stay.
    fn understand(&mut self, member: usize) -> bool {
        let Some(connection) = self.connections[member].as_mut() else { return true };
        if connection.group.is_none() {
            match connection.shake_hands() {
                Ok(Some(group)) => self.groups.entry(group).or_default().push(member),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        loop {
            let Some(connection) = self.connections[member].as_mut() else { return true };
            match connection.next_message() {
                Ok(Some(frame)) => self.tell(member, &frame),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Writes a frame to each member of the speaker's group.
    fn tell(&mut self, speaker: usize, frame: &[u8]) {
        let group = self.connections[speaker].as_ref().and_then(|connection| connection.group.as_ref());
        let Some(members) = group.and_then(|group| self.groups.get(group)) else { return };
        for &member in members {
            if let Some(connection) = self.connections[member].as_mut() {
                // A socket that can't be written to says so again when it is read.
                let _ = connection.send(frame);
            }
        }
    }

    fn leave(&mut self, member: usize) {
        let Some(connection) = self.connections[member].take() else { return };
        if let Some(members) = connection.group.and_then(|group| self.groups.get_mut(&group)) {
            members.retain(|&other| other != member);
        }
    }
}
