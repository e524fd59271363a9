//! Everyone who listens to one server: one thread, one epoll, and a cheap look at each frame.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use kijimuna_loadtest::clock::{SECOND_NS, Timer, now_ns};
use kijimuna_loadtest::frames::{PING, PONG, TEXT, write};
use kijimuna_loadtest::message;
use kijimuna_loadtest::tally::Tally;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::dialect::{Dialect, Layout};
use crate::frames;
use crate::lane::{Joined, Lanes};
use crate::ledger::Ledger;
use crate::stamp::{SIZE, Scan};

/// Members who join at once.
const LANES: usize = 128;
/// Events of one poll. Few enough that what is due isn't kept waiting by a long list.
const EVENTS: usize = 256;
/// What one read takes at most, in bytes; all sockets share the one buffer.
const BUFFER: usize = 256 << 10;
const ARRIVALS: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
/// What hides a text from caches; one mask for all, because the server has to undo it all the same.
pub(crate) const MASK: u32 = 0x5aa5_3cc3;

struct Member {
    stream: TcpStream,
    group: u32,
    /// Which of the group's speakers this is, if one.
    slot: Option<u32>,
    heard: Tally,
    /// The beginning of a frame whose end hasn't come.
    rest: Vec<u8>,
    /// What the kernel had no room for.
    unsent: Vec<u8>,
}

/// The members of one server.
pub(crate) struct Crowd<'a> {
    dialect: &'a dyn Dialect,
    poll: Poll,
    timer: Timer,
    members: Vec<Member>,
    /// By group and slot.
    speakers: Vec<Vec<usize>>,
    pub(crate) ledger: Ledger,
    scan: Scan,
    buffer: Vec<u8>,
    text: String,
    payload: Vec<u8>,
    /// Sockets that the server closed.
    pub(crate) closed: u64,
    /// A speaker who hears its own message says the next.
    pub(crate) echo: bool,
}

impl<'a> Crowd<'a> {
    /// All join, as fast as the server takes them.
    pub(crate) fn join(
        dialect: &'a dyn Dialect,
        address: SocketAddr,
        layout: Layout,
        speakers: u32,
        run: u32,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), ARRIVALS)?;
        let timer = Timer::new()?;
        let descriptor = timer.descriptor().as_raw_fd();
        poll.registry().register(&mut SourceFd(&descriptor), TIMER, Interest::READABLE)?;
        let speakers = speakers.min(layout.members);
        let mut crowd = Self {
            dialect,
            poll,
            timer,
            members: Vec::with_capacity(layout.total() as usize),
            speakers: vec![vec![usize::MAX; speakers as usize]; layout.groups as usize],
            ledger: Ledger::new(run, layout.groups, speakers, layout.members),
            scan: Scan::new(),
            buffer: vec![0; BUFFER],
            text: String::new(),
            payload: Vec::new(),
            closed: 0,
            echo: false,
        };
        let lanes = Lanes { dialect, address, layout, next: AtomicU32::new(0), waker: &waker };
        let (sender, arrivals) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..LANES {
                let (lanes, sender) = (&lanes, sender.clone());
                scope.spawn(move || lanes.run(&sender));
            }
            drop(sender);
            crowd.take_in(&arrivals, layout.total() as usize)
        })?;
        Ok(crowd)
    }

    /// Reads what comes to those who are in while the others join.
    fn take_in(&mut self, arrivals: &Receiver<io::Result<Joined>>, total: usize) -> io::Result<()> {
        while self.members.len() < total {
            self.turn(now_ns() + SECOND_NS)?;
            for joined in arrivals.try_iter() {
                self.admit(joined?)?;
            }
        }
        Ok(())
    }

    fn admit(&mut self, joined: Joined) -> io::Result<()> {
        let Joined { seat, stream, rest } = joined;
        let index = self.members.len();
        let slot = self.speakers[seat.group as usize].get_mut(seat.place as usize).map(|speaker| {
            *speaker = index;
            seat.place
        });
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        let heard = self.ledger.newcomer();
        self.members.push(Member { stream, group: seat.group, slot, heard, rest, unsent: Vec::new() });
        Ok(())
    }

    /// Waits for events until a time at most, and hears what has come. A poll's own timeout has whole milliseconds: with
    /// it, what is due would be late, or its last millisecond spent looking at the clock, at the price of the server's.
    pub(crate) fn turn(&mut self, until_ns: u64) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        self.timer.wake_at(until_ns)?;
        match self.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &events {
            match event.token() {
                ARRIVALS => {}
                TIMER => self.timer.fired(),
                Token(member) => self.serve(member),
            }
        }
        Ok(())
    }

    /// Speaker `slot` of a group says its next message, which should have been sent at a time.
    pub(crate) fn say(&mut self, group: u32, slot: u32, intended_ns: u64) {
        let speaker = self.speakers[group as usize][slot as usize];
        self.text.clear();
        message::write(self.ledger.say(group, slot, intended_ns), SIZE, &mut self.text);
        self.payload.clear();
        self.dialect.say(group, self.text.as_bytes(), &mut self.payload);
        self.members[speaker].send(TEXT, &self.payload);
    }

    /// Every speaker says its first message: from here on each says the next when it hears its own.
    pub(crate) fn open_windows(&mut self) {
        self.echo = true;
        for group in 0..self.speakers.len() {
            for slot in 0..self.speakers[group].len() {
                let (group, slot) = (index(group), index(slot));
                self.say(group, slot, now_ns());
            }
        }
    }

    fn serve(&mut self, member: usize) {
        loop {
            self.members[member].flush();
            let Some(read) = self.read(member) else { return };
            let now_ns = now_ns();
            let own = self.hear(member, read.filled, now_ns);
            if self.echo {
                let Member { group, slot, .. } = self.members[member];
                for _ in 0..own {
                    self.say(group, slot.expect("only speakers hear themselves"), now_ns);
                }
            }
            if !read.more {
                return;
            }
        }
    }

    /// Reads once, behind what was left of the read before.
    fn read(&mut self, member: usize) -> Option<Filled> {
        let Self { members, buffer, .. } = self;
        let member = &mut members[member];
        let waiting = member.rest.len();
        if buffer.len() < waiting * 2 {
            buffer.resize(waiting * 2, 0);
        }
        match member.stream.read(&mut buffer[waiting..]) {
            Ok(0) => {
                self.closed += 1;
                None
            }
            Ok(count) => {
                buffer[..waiting].copy_from_slice(&member.rest);
                member.rest.clear();
                let filled = waiting + count;
                // A read that isn't filled has emptied the socket; the next bytes are a new event.
                Some(Filled { filled, more: filled == buffer.len() })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => {
                self.closed += 1;
                None
            }
        }
    }

    /// Goes through the frames that were read, and counts how often the member heard itself.
    fn hear(&mut self, member: usize, filled: usize, now_ns: u64) -> u32 {
        let Self { members, buffer, ledger, scan, dialect, .. } = self;
        let Member { group, slot, heard, .. } = &mut members[member];
        let (mut at, mut own, mut answers) = (0, 0, Vec::new());
        while let Some(frame) = frames::next(&buffer[at..filled]) {
            at += frame.length;
            if frame.opcode == PING {
                answers.push((PONG, frame.payload.to_vec()));
            }
            let mut stamped = false;
            for stamp in scan.stamps(frame.payload) {
                stamped = true;
                let new = ledger.hear(*group, heard, stamp, now_ns);
                own += u32::from(new && *slot == Some(stamp.slot));
            }
            if !stamped && let Some(pong) = dialect.pong(frame.payload) {
                answers.push((TEXT, pong.to_vec()));
            }
        }
        members[member].rest.extend_from_slice(&buffer[at..filled]);
        for (opcode, payload) in answers {
            members[member].send(opcode, &payload);
        }
        own
    }
}

struct Filled {
    filled: usize,
    /// The kernel may hold more.
    more: bool,
}

impl Member {
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        write(opcode, payload, MASK, &mut self.unsent);
        self.flush();
    }

    fn flush(&mut self) {
        if !self.unsent.is_empty()
            && let Ok(sent) = self.stream.write(&self.unsent)
        {
            // A socket that fails is noticed when it is read.
            self.unsent.drain(..sent);
        }
    }
}

fn index(number: usize) -> u32 {
    u32::try_from(number).expect("groups and slots come from 32-bit settings")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Raw;

    #[test]
    fn a_turn_sleeps_until_its_time_and_does_not_watch_the_clock() {
        let layout = Layout { groups: 0, members: 0 };
        let mut crowd = Crowd::join(&Raw, SocketAddr::from(([127, 0, 0, 1], 1)), layout, 0, 0).unwrap();
        for _ in 0..20 {
            let (until_ns, mut turns) = (now_ns() + 300_000, 0);
            while now_ns() < until_ns {
                crowd.turn(until_ns).unwrap();
                turns += 1;
            }
            assert!(turns <= 2, "{turns} turns within 0.3 ms");
        }
    }
}
