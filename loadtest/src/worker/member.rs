//! One member of a group and its socket.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::net::TcpStream;

use crate::frames::Feed;
use crate::page::{Asked, Cursor};
use crate::plan::{Assignment, Place, Role};
use crate::tally::Tally;

/// How far a member has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It isn't here, or waits for its turn to join.
    Out,
    /// It waits for a token.
    Token,
    /// It has a token and connects.
    Connecting { token: String },
    /// It has asked for the upgrade.
    Upgrading,
    /// It waits for the roster and the newest messages.
    Greeting { roster: bool, history: bool },
    /// It is in.
    Live,
}

/// A member that this worker plays.
pub(super) struct Member {
    pub(super) place: Place,
    pub(super) state: State,
    pub(super) socket: Option<Socket>,
    pub(super) tally: Tally,
    /// When this try to join began.
    pub(super) joining_since_ns: u64,
    /// When it was to join first, whatever failed or was put off since.
    pub(super) wanted_since_ns: Option<u64>,
    /// Joins that failed in a row.
    pub(super) failures: u32,
    /// Messages it has said in this run, which is also the next one's sequence.
    pub(super) said: u32,
    /// How many of them the server refused.
    pub(super) refused: u32,
    /// When the last of them were due, in an open loop: microseconds since the start.
    pub(super) due_us: VecDeque<u64>,
    /// The pages of history that were asked for and haven't come.
    pub(super) pages: VecDeque<Asked>,
    /// Where the next page ends; without it the next is the newest.
    pub(super) cursor: Option<Cursor>,
    /// It left because that is its role, or never reads and was cut off: it needn't be in.
    pub(super) away: bool,
    /// The storm dropped it, and it isn't back.
    pub(super) in_storm: bool,
}

impl Member {
    pub(super) fn new(place: Place, speakers: u32) -> Self {
        Self {
            place,
            state: State::Out,
            socket: None,
            // Who never reads hears nothing, so there is nothing to account for.
            tally: Tally::new(if place.role == Role::Slow { 0 } else { speakers }),
            joining_since_ns: 0,
            wanted_since_ns: None,
            failures: 0,
            said: 0,
            refused: 0,
            due_us: VecDeque::new(),
            pages: VecDeque::new(),
            cursor: None,
            away: false,
            in_storm: false,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    pub(super) fn is_slow(&self) -> bool {
        self.place.role == Role::Slow
    }
}

/// The members of this worker, and where its speakers are.
pub(super) fn cast(assignment: &Assignment) -> (Vec<Member>, Vec<Vec<Option<usize>>>) {
    let groups = &assignment.plan.groups;
    let mut speakers: Vec<_> = groups.iter().map(|group| vec![None; group.speakers as usize]).collect();
    let mut members = Vec::new();
    for place in assignment.plan.places() {
        if assignment.plan.owner(place.number, assignment.workers).0 != assignment.worker {
            continue;
        }
        if let Role::Speaker(slot) = place.role {
            speakers[place.group as usize][slot as usize] = Some(members.len());
        }
        members.push(Member::new(place, groups[place.group as usize].speakers));
    }
    (members, speakers)
}

/// A socket with what waits on its two sides.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) feed: Feed,
    /// The handshake's answer was read: what comes are frames.
    pub(super) upgraded: bool,
    /// The peer will send no more: who never reads may, since it holds up nobody any more.
    pub(super) hung_up: bool,
    /// What the kernel didn't take yet.
    unsent: Vec<u8>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, feed: Feed::default(), upgraded: false, hung_up: false, unsent: Vec::new() }
    }

    /// Writes, and keeps what the kernel doesn't take for [`Socket::flush`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let written = write_some(&mut self.stream, bytes)?;
        self.unsent.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Writes what waits; the socket may take more now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let written = write_some(&mut self.stream, &self.unsent)?;
        self.unsent.drain(..written);
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// Reads once. `None` means that there is nothing now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Writes until the kernel takes no more, and says how much it took.
pub(super) fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
