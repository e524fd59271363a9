//! A node of the model: the two machines, and a log that appends and acks as an actor would.

use std::collections::VecDeque;

use super::super::ownership::{self, Epoch, Ownership};
use super::super::{Command, Effect, LeaseRules, Membership, NodeId, Written};
use super::store::{Reply, Request, counted};
use super::{CLIENTS, GROUPS, Word};
use crate::domain::ids::{GroupUid, Seq};

/// Appends of a group under way at most.
const IN_FLIGHT_MAX: usize = 4;

/// What a node sends out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Out {
    /// To the store; the answer comes back with the incarnation that asked.
    Ask(NodeId, Request),
    /// To another node, about a group.
    Tell(NodeId, usize, ownership::Command),
    /// To a client: so many of its words are shown.
    Ack(usize, u64),
    /// To the one who checks: this owner shows this word at this place.
    Show(usize, NodeId, Epoch, Seq, Word),
    /// The process ends.
    Exit,
}

/// A group's log while this node owns the group.
struct Log {
    epoch: Epoch,
    /// Everything that is stored or under way.
    words: Vec<Word>,
    /// Of those under way, the oldest first: whether it is stored.
    in_flight: VecDeque<bool>,
    shown: usize,
    /// How far each client has come in what is stored or under way, and in what is shown.
    said: [u64; CLIENTS],
    shown_of: [u64; CLIENTS],
    draining: bool,
}

impl Log {
    fn stored(&self) -> usize {
        self.words.len() - self.in_flight.len()
    }
}

struct Seat {
    ownership: Ownership,
    /// What the last reading of the log said.
    read: Vec<Word>,
    log: Option<Log>,
}

pub(super) struct Node {
    pub(super) membership: Membership,
    rules: LeaseRules,
    seats: Vec<Seat>,
    leaves: bool,
    serving: bool,
    pub(super) out: Vec<Out>,
}

impl Node {
    pub(super) fn start(process: u64, rules: LeaseRules, now_ms: u64) -> Self {
        let membership = Membership::new(process, rules, now_ms);
        let mut node =
            Self { membership, rules, seats: Vec::new(), leaves: false, serving: false, out: Vec::new() };
        node.seat();
        node
    }

    fn seat(&mut self) {
        let (me, retry_ms) = (self.membership.me(), self.rules.bump_interval_ms);
        let seat = || Seat { ownership: Ownership::new(me, retry_ms), read: Vec::new(), log: None };
        self.seats = (0..GROUPS).map(|_| seat()).collect();
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        let seats = self.seats.iter().filter_map(|seat| seat.ownership.due_ms());
        seats.chain(self.membership.due_ms()).min()
    }

    pub(super) fn tick(&mut self, now_ms: u64) {
        self.member(Command::Tick, now_ms);
        for group in 0..GROUPS {
            self.own(group, ownership::Command::Tick, now_ms);
        }
        self.finish(now_ms);
    }

    pub(super) fn leave(&mut self, now_ms: u64) {
        self.leaves = true;
        self.member(Command::Leave, now_ms);
        self.finish(now_ms);
    }

    pub(super) fn told(&mut self, group: usize, command: ownership::Command, now_ms: u64) {
        self.own(group, command, now_ms);
        self.finish(now_ms);
    }

    /// A client sends its next words, again and again until it hears that they are shown.
    pub(super) fn hear(&mut self, group: usize, words: &[Word], now_ms: u64) {
        let may_ack = self.membership.may_ack(now_ms);
        let me = self.membership.me();
        let Some(log) = self.seats[group].log.as_mut().filter(|log| !log.draining) else { return };
        if may_ack && let Some((client, _)) = words.first() {
            self.out.push(Out::Ack(*client, log.shown_of[*client]));
        }
        for word in words {
            if log.in_flight.len() < IN_FLIGHT_MAX && word.1 == log.said[word.0] + 1 {
                log.said[word.0] = word.1;
                log.words.push(*word);
                log.in_flight.push_back(false);
                let seq = Seq(log.words.len() as u64);
                self.out.push(Out::Ask(me, Request::Append(group, seq, log.epoch, *word)));
            }
        }
        self.finish(now_ms);
    }

    /// What the store answered to this incarnation; `None` when no answer came.
    pub(super) fn answered(&mut self, by: NodeId, request: Request, reply: Option<Reply>, now_ms: u64) {
        let written = if let Some(Reply::Written(written)) = reply { written } else { Written::Unknown };
        match (request, reply) {
            (Request::Join(node), _) => self.member(Command::Joined(node, written), now_ms),
            (Request::Bump(row), _) => self.member(Command::Bumped(row.id, written), now_ms),
            (Request::Leave(_), _) => self.member(Command::Left(written), now_ms),
            (Request::List, Some(Reply::Rows(rows))) => self.member(Command::Listed(Some(rows)), now_ms),
            (Request::List, _) => self.member(Command::Listed(None), now_ms),
            (Request::DeclareDead(..), _) => {}
            // The machines of a fenced incarnation are gone.
            _ if by != self.membership.me() => {}
            (request, reply) => self.group_answered(request, reply, written, now_ms),
        }
        self.finish(now_ms);
    }

    fn group_answered(&mut self, request: Request, reply: Option<Reply>, written: Written, now_ms: u64) {
        use ownership::Command::{Claimed, Found, HeadRead, Looked, Released};
        match (request, reply) {
            (Request::ReadOwner(group), Some(Reply::Owner(row))) => self.own(group, Found(Some(row)), now_ms),
            (Request::ReadOwner(group), _) => self.own(group, Found(None), now_ms),
            (Request::ReadLog(group), Some(Reply::Log(words))) => {
                let head = Seq(words.len() as u64);
                self.seats[group].read = words;
                self.own(group, HeadRead(Some(head)), now_ms);
            }
            (Request::ReadLog(group), _) => self.own(group, HeadRead(None), now_ms),
            (Request::Claim(group, ..), _) => self.own(group, Claimed(written), now_ms),
            (Request::Release(group, ..), _) => self.own(group, Released(written), now_ms),
            (Request::Append(group, seq, epoch, _), _) => self.appended(group, seq, epoch, written, now_ms),
            (Request::Look(node), reply) => {
                let alive = if let Some(Reply::There(there)) = reply { Some(there) } else { None };
                for group in 0..GROUPS {
                    self.own(group, Looked(node, alive), now_ms);
                }
            }
            _ => unreachable!("answered by the membership"),
        }
    }

    fn appended(&mut self, group: usize, seq: Seq, epoch: Epoch, written: Written, now_ms: u64) {
        let Some(log) = self.seats[group].log.as_mut().filter(|log| log.epoch == epoch) else { return };
        if written == Written::Applied {
            let index = usize::try_from(seq.0).unwrap() - 1 - log.stored();
            log.in_flight[index] = true;
            while log.in_flight.front() == Some(&true) {
                log.in_flight.pop_front();
            }
            return;
        }
        // It fails, and all that came after it.
        let draining = log.draining;
        self.seats[group].log = None;
        let command = if draining { ownership::Command::Drained } else { ownership::Command::AppendFailed };
        self.own(group, command, now_ms);
    }

    fn member(&mut self, command: Command, now_ms: u64) {
        for effect in self.membership.handle(command, now_ms) {
            let me = self.membership.me();
            match effect {
                Effect::Join(id) => self.out.push(Out::Ask(me, Request::Join(id))),
                Effect::Bump(row) => self.out.push(Out::Ask(me, Request::Bump(row))),
                Effect::List => self.out.push(Out::Ask(me, Request::List)),
                Effect::DeclareDead(id, beat) => self.out.push(Out::Ask(me, Request::DeclareDead(id, beat))),
                Effect::Leave(id) => self.out.push(Out::Ask(me, Request::Leave(id))),
                Effect::Serve | Effect::StopServing => {
                    self.serving = !self.serving;
                    assert_eq!(self.serving, effect == Effect::Serve, "it is said once");
                }
                Effect::Fenced(_) => self.seat(),
                Effect::Placed => self.place(now_ms),
                Effect::Gone(_) => self.hint(now_ms),
                Effect::Left => self.out.push(Out::Exit),
            }
        }
    }

    fn place(&mut self, now_ms: u64) {
        for group in 0..GROUPS {
            let here = self.membership.place(uid(group)) == Some(self.membership.me());
            let command = if here { ownership::Command::Want } else { ownership::Command::LetGo };
            self.own(group, command, now_ms);
        }
    }

    fn hint(&mut self, now_ms: u64) {
        for group in 0..GROUPS {
            self.own(group, ownership::Command::Hint, now_ms);
        }
    }

    fn own(&mut self, group: usize, command: ownership::Command, now_ms: u64) {
        let Some(effect) = self.seats[group].ownership.handle(command, now_ms) else { return };
        let me = self.membership.me();
        let request = match effect {
            ownership::Effect::Read => Request::ReadOwner(group),
            ownership::Effect::ReadHead(_) => Request::ReadLog(group),
            ownership::Effect::Claim { expected, row } => Request::Claim(group, expected, row),
            ownership::Effect::Look(node) if self.membership.is_gone(node) => {
                return self.own(group, ownership::Command::Looked(node, Some(false)), now_ms);
            }
            ownership::Effect::Look(node) => Request::Look(node),
            ownership::Effect::Release(epoch) => {
                self.seats[group].log = None;
                Request::Release(group, epoch, me)
            }
            ownership::Effect::Begin { epoch, begins } => return self.begin(group, epoch, begins),
            ownership::Effect::Drain => {
                return self.seats[group].log.iter_mut().for_each(|log| log.draining = true);
            }
            ownership::Effect::Freed => {
                let next = self.membership.place(uid(group)).filter(|next| *next != me);
                return self.out.extend(next.map(|next| Out::Tell(next, group, ownership::Command::Hint)));
            }
            ownership::Effect::Relay(owner) => {
                return self.out.push(Out::Tell(owner, group, ownership::Command::Asked));
            }
        };
        self.out.push(Out::Ask(me, request));
    }

    fn begin(&mut self, group: usize, epoch: Epoch, begins: Seq) {
        let seat = &mut self.seats[group];
        let words = std::mem::take(&mut seat.read);
        assert_eq!(begins, Seq(words.len() as u64 + 1), "it begins where the log ended");
        let said = counted(&words);
        let (shown, shown_of) = (0, [0; CLIENTS]);
        seat.log =
            Some(Log { epoch, words, in_flight: VecDeque::new(), shown, said, shown_of, draining: false });
    }

    /// After everything else: what is stored is shown, what is drained is let go.
    fn finish(&mut self, now_ms: u64) {
        for group in 0..GROUPS {
            self.show(group, now_ms);
            let drained = |log: &Log| log.draining && log.in_flight.is_empty();
            if self.seats[group].log.as_ref().is_some_and(drained) {
                self.own(group, ownership::Command::Drained, now_ms);
            }
        }
        if self.leaves && self.seats.iter().all(|seat| seat.ownership.is_away()) {
            self.member(Command::LetGo, now_ms);
        }
    }

    fn show(&mut self, group: usize, now_ms: u64) {
        if !self.membership.may_ack(now_ms) {
            return;
        }
        let me = self.membership.me();
        let Some(log) = &mut self.seats[group].log else { return };
        let stored = log.stored();
        for index in log.shown..stored {
            let word = log.words[index];
            self.out.push(Out::Show(group, me, log.epoch, Seq(index as u64 + 1), word));
            log.shown_of[word.0] = word.1;
            self.out.push(Out::Ack(word.0, word.1));
        }
        log.shown = stored;
    }
}

pub(super) fn uid(group: usize) -> GroupUid {
    GroupUid(group as u64 + 1)
}
