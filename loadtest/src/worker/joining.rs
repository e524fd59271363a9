//! How a member gets in: token, connection, upgrade, roster and history; and how it gets out.

use std::cmp::Reverse;
use std::io;
use std::net::SocketAddr;

use mio::{Interest, Token};

use super::connect::{Opening, open};
use super::desk::{self, Answer};
use super::member::{Socket, State};
use super::{Due, Stage, Worker};
use crate::clock::{MILLISECOND_NS, SECOND_NS, now_ns};
use crate::plan::{Role, Target};
use crate::schedule::scatter;
use crate::{frames, upgrade};

/// What a client that leaves says: 1000.
const GOODBYE: [u8; 2] = 1000_u16.to_be_bytes();

impl Worker {
    /// Lets as many join as may at once.
    pub(super) fn start_joins(&mut self) {
        while self.joining < self.joining_max && (self.drain.finish || !self.stopped()) {
            let Some(member) = self.waiting.pop_front() else { return };
            self.joining += 1;
            let now_ns = now_ns();
            self.later.push(Reverse((now_ns + self.assignment.join_deadline_ns, member, Due::GiveUp)));
            let joins = &mut self.members[member];
            joins.joining_since_ns = now_ns;
            joins.wanted_since_ns.get_or_insert(now_ns);
            joins.state = State::Token;
            joins.tally.begin();
            let request = desk::request(&self.assignment, joins.place.number, joins.place.group);
            let answer = self.desk.ask(member, request, self.opening(None, false), self.poll.registry());
            if let Some(answer) = answer {
                self.handle_answer(answer);
            }
        }
    }

    fn opening(&self, source: Option<SocketAddr>, narrow: bool) -> Opening {
        Opening { to: self.assignment.target.address, source, narrow }
    }

    pub(super) fn handle_desk_event(&mut self, token: usize) {
        let mut answers = Vec::new();
        self.desk.handle_event(token, self.opening(None, false), self.poll.registry(), &mut answers);
        for answer in answers {
            self.handle_answer(answer);
        }
    }

    fn handle_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Token { member, token } => self.connect(member, token),
            Answer::Later { member, wait_s } => {
                self.interval.counts.held_back += 1;
                self.give_way(member, wait_s * SECOND_NS);
            }
            Answer::Failed { member, why } => self.join_fails(member, &why),
            Answer::Refused { text } => self.fails(text),
        }
    }

    fn connect(&mut self, member: usize, token: String) {
        let place = self.members[member].place;
        let source = self.sources.take();
        let opened = open(self.opening(source, place.role == Role::Slow)).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(member), interest)?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => {
                self.members[member].socket = Some(Socket::new(stream));
                self.members[member].state = State::Connecting { token };
            }
            Err(error) => self.join_fails(member, &desk::failure("connect", &error)),
        }
    }

    /// The socket can be written to: the connection stands, or there is room again.
    pub(super) fn handle_writable(&mut self, member: usize) {
        let joins = &mut self.members[member];
        let connecting = matches!(joins.state, State::Connecting { .. });
        let Some(socket) = &mut joins.socket else { return };
        let outcome = if connecting { connected(socket) } else { socket.flush().map(|()| true) };
        match outcome {
            Ok(true) if connecting => self.ask_for_upgrade(member),
            Ok(_) => {}
            Err(error) => self.ends(member, &error),
        }
    }

    fn ask_for_upgrade(&mut self, member: usize) {
        let joins = &mut self.members[member];
        let State::Connecting { token } = &joins.state else { return };
        let Target { host, base, .. } = &self.assignment.target;
        let subprotocol = self.assignment.plan.dialect.subprotocol();
        let request = upgrade::request_for(host, &format!("{base}/ws/connects/{token}"), subprotocol);
        let Some(socket) = &mut joins.socket else { return };
        let written = socket.write(request.as_bytes());
        joins.state = State::Upgrading;
        if let Err(error) = written {
            self.ends(member, &error);
        }
    }

    /// A join has had its time. Those who have begun anew since have a later one.
    pub(super) fn give_up(&mut self, member: usize, now_ns: u64) {
        let joins = &self.members[member];
        let due_ns = joins.joining_since_ns + self.assignment.join_deadline_ns;
        let doing = match joins.state {
            State::Out | State::Live => return,
            _ if due_ns > now_ns => return,
            State::Token => "token",
            State::Connecting { .. } => "connect",
            State::Upgrading => "handshake",
            State::Greeting { .. } => "greeting",
        };
        let mut answers = Vec::new();
        self.desk.forget(member, self.opening(None, false), self.poll.registry(), &mut answers);
        self.join_fails(member, &format!("{doing}_timed_out"));
        for answer in answers {
            self.handle_answer(answer);
        }
    }

    /// Roster and history are there; of who never reads, the handshake's answer.
    pub(super) fn is_in(&mut self, member: usize) {
        let joins = &mut self.members[member];
        joins.state = State::Live;
        joins.failures = 0;
        let now_ns = now_ns();
        self.interval.counts.joins += 1;
        let since_ns = joins.wanted_since_ns.take().unwrap_or(joins.joining_since_ns);
        if !joins.is_slow() {
            self.interval.join.record_ns(now_ns.saturating_sub(since_ns));
        }
        self.joining -= 1;
        self.live += 1;
        if std::mem::take(&mut joins.in_storm) {
            self.storm_returned(now_ns);
        }
        self.start_joins();
    }

    /// A join went wrong; it is tried again after a random wait that grows.
    pub(super) fn join_fails(&mut self, member: usize, why: &str) {
        self.interval.error(why);
        let failures = self.members[member].failures.min(6);
        self.members[member].failures += 1;
        let longest_ns = (100 * MILLISECOND_NS) << failures;
        let wait_ns = 10 * MILLISECOND_NS + self.random() % longest_ns;
        self.give_way(member, wait_ns);
    }

    /// Lets others join and comes back after a while.
    fn give_way(&mut self, member: usize, wait_ns: u64) {
        self.members[member].socket = None;
        self.members[member].state = State::Out;
        self.joining -= 1;
        self.later.push(Reverse((now_ns() + wait_ns, member, Due::Join)));
        // The loop lets the next one begin; it isn't done here because beginning may have brought us here.
    }

    /// A socket ended that we didn't end.
    pub(super) fn ends(&mut self, member: usize, error: &io::Error) {
        match self.members[member].state {
            State::Out | State::Token => {}
            State::Live => self.is_cut_off(member, 1006),
            State::Connecting { .. } => self.join_fails(member, &desk::failure("connect", error)),
            State::Upgrading => self.join_fails(member, &desk::failure("handshake", error)),
            State::Greeting { .. } => self.join_fails(member, &desk::failure("greeting", error)),
        }
    }

    /// The server closed, with a code or without a word.
    pub(super) fn is_cut_off(&mut self, member: usize, code: u16) {
        self.interval.close(code, self.members[member].is_slow());
        if !self.members[member].is_live() {
            return self.join_fails(member, &format!("closed_{code}"));
        }
        self.let_go(member);
        self.members[member].away = self.members[member].is_slow();
        // From 4500 on a client doesn't come back.
        let comes_back = self.assignment.plan.rejoin || self.stage == Stage::Joining;
        if comes_back && code < 4500 && !self.stopped() {
            let wait_ns = self.random() % SECOND_NS;
            self.later.push(Reverse((now_ns() + wait_ns, member, Due::Join)));
        }
    }

    /// A member leaves as a client does that means to.
    pub(super) fn leaves(&mut self, member: usize) {
        let mut goodbye = Vec::with_capacity(8);
        frames::write(frames::CLOSE, &GOODBYE, 0x5eed_5eed, &mut goodbye);
        if let Some(socket) = &mut self.members[member].socket {
            // It goes either way.
            let _ = socket.write(&goodbye);
        }
        self.interval.counts.leaves += 1;
        self.members[member].away = true;
        self.let_go(member);
        self.members[member].tally.begin();
    }

    /// Drops a live member's socket.
    pub(super) fn let_go(&mut self, member: usize) {
        let leaver = &mut self.members[member];
        leaver.socket = None;
        leaver.state = State::Out;
        leaver.pages.clear();
        leaver.cursor = None;
        self.live -= 1;
        self.pulse.forget(member);
    }

    pub(super) fn random(&mut self) -> u64 {
        self.dice += 1;
        scatter(self.dice ^ u64::from(self.assignment.run) << 32)
    }
}

/// Whether the connection stands by now.
fn connected(socket: &Socket) -> io::Result<bool> {
    if let Some(error) = socket.stream.take_error()? {
        return Err(error);
    }
    match socket.stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
