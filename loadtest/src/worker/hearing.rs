//! What a member makes of what it receives. This is the hot path: no allocation, no JSON.

use std::io;

use super::Worker;
use super::member::{Member, State};
use crate::clock::now_ns;
use crate::dialect::Dialect;
use crate::frames::{self, Next};
use crate::page::{Asked, Cursor, Flaw};
use crate::plan::Role;
use crate::tally::Heard;
use crate::told::{self, Item, Told};
use crate::upgrade;
use crate::witness::{Doubt, Testimony};

/// Reads of one socket before others get their turn.
const READS_IN_A_ROW: usize = 8;
/// What one who never reads takes at once to see the handshake's answer, in bytes: of what follows it as little as
/// may be.
const HANDSHAKE_READ: usize = 64;
/// Messages of the page that greets a session.
const GREETING_ITEMS: usize = 50;

impl Worker {
    /// Reads what is there, within bounds.
    pub(super) fn handle_readable(&mut self, member: usize) {
        if !self.reads(member) {
            self.read_handshake(member);
            return;
        }
        for _ in 0..READS_IN_A_ROW {
            if !self.read_once(member) {
                return;
            }
        }
        self.unread.push(member);
    }

    /// Who never reads does so at the end, its own or the run's, to see how the server ended with it.
    fn reads(&self, member: usize) -> bool {
        let Member { socket, place, .. } = &self.members[member];
        let hung_up = socket.as_ref().is_some_and(|socket| socket.hung_up);
        place.role != Role::Slow || self.slow_may_read || hung_up
    }

    /// Who never reads does so until it knows that it is in, and then no more.
    fn read_handshake(&mut self, member: usize) {
        while self.members[member].state == State::Upgrading && self.read_once(member) {}
    }

    /// Reads once and looks at it; false when there is nothing more.
    fn read_once(&mut self, member: usize) -> bool {
        let Some(socket) = &mut self.members[member].socket else { return false };
        // Both are taken out so that what is read can be looked at while the rest changes.
        let mut feed = std::mem::take(&mut socket.feed);
        let mut buffer = std::mem::take(&mut self.buffer);
        let begin = feed.prepare(&mut buffer);
        let room = if self.reads(member) { buffer.len() - begin } else { HANDSHAKE_READ };
        let Some(socket) = &mut self.members[member].socket else { return false };
        let read = socket.read(&mut buffer[begin..begin + room]);
        let end = begin + read.as_ref().map_or(0, |count| count.unwrap_or(0));
        self.interval.counts.bytes += (end - begin) as u64;
        let at_ns = now_ns();
        let (mut seen, mut upgraded) = (0, socket.upgraded);
        loop {
            if !upgraded {
                match self.handle_handshake(member, &buffer[seen..end]) {
                    Some(length) => {
                        upgraded = true;
                        seen += length;
                    }
                    None => {
                        feed.keep(&buffer[seen..end]);
                        break;
                    }
                }
            }
            match feed.next(&buffer[..end], &mut seen) {
                Next::Frame { opcode, payload } => self.handle_frame(member, opcode, payload, at_ns),
                Next::SkippedRoster => self.handle_roster(member),
                Next::Wait => break,
                Next::Nonsense(what) => {
                    self.fails(format!(
                        "The server sent {what}: it isn't a Kijimuna server, or a broken one."
                    ));
                    break;
                }
            }
        }
        self.buffer = buffer;
        if let Some(socket) = &mut self.members[member].socket {
            socket.feed = feed;
            socket.upgraded = upgraded;
        }
        match read {
            // A read that didn't fill the buffer took all there was; the next to come is a new event.
            Ok(Some(count)) if count > 0 => count == room && self.members[member].socket.is_some(),
            Ok(Some(_)) => {
                self.ends(member, &io::ErrorKind::UnexpectedEof.into());
                false
            }
            Ok(None) => false,
            Err(error) => {
                self.ends(member, &error);
                false
            }
        }
    }

    /// The length of the handshake's answer once it is whole.
    fn handle_handshake(&mut self, member: usize, bytes: &[u8]) -> Option<usize> {
        match upgrade::accepted_for(bytes, self.assignment.plan.dialect.subprotocol()) {
            Ok(Some(length)) => {
                let joins = &mut self.members[member];
                // Who never reads can't be greeted, and is in once the server has taken it.
                if joins.is_slow() {
                    self.is_in(member);
                } else {
                    joins.state = State::Greeting { roster: false, history: false };
                }
                Some(length)
            }
            Ok(None) => None,
            Err(why) => {
                self.join_fails(member, &why);
                None
            }
        }
    }

    fn handle_frame(&mut self, member: usize, opcode: u8, payload: &[u8], at_ns: u64) {
        if self.members[member].socket.is_none() || self.members[member].is_slow() && opcode != frames::CLOSE
        {
            // It left in the middle of what was read, or hears nothing by its role.
            return;
        }
        match opcode {
            spoken if spoken == self.assignment.plan.dialect.opcode() => {
                self.handle_words(member, payload, at_ns);
            }
            frames::PING => self.send(member, frames::PONG, payload),
            frames::PONG => self.handle_pong(member, payload),
            frames::CLOSE => {
                self.send(member, frames::CLOSE, payload.get(..2).unwrap_or_default());
                self.is_cut_off(member, frames::close_code(payload));
            }
            _ => self.handle_unknown(),
        }
    }

    fn handle_words(&mut self, member: usize, payload: &[u8], at_ns: u64) {
        match told::read(self.assignment.plan.dialect, payload) {
            Told::Message(item) => self.handle_message(member, &item, at_ns),
            Told::Roster => self.handle_roster(member),
            Told::Page(items) => self.handle_page(member, &items, payload.len(), at_ns),
            Told::Refusal(code) => self.handle_refusal(member, &code, at_ns),
            Told::Welcome { seq } => self.handle_welcome(member, seq),
            Told::Aside => {}
            Told::Unknown => self.handle_unknown(),
        }
    }

    fn handle_unknown(&mut self) {
        self.interval.counts.unknown += 1;
        self.interval.error("unknown_frame");
    }

    fn handle_message(&mut self, member: usize, item: &Item<'_>, at_ns: u64) {
        let group = self.members[member].place.group;
        let Testimony { stamp, place, altered } = match self.witness.hear(group, item) {
            Ok(testimony) => testimony,
            Err(Doubt::Stray) => return self.interval.counts.strays += 1,
            Err(Doubt::Garbled) => return self.interval.counts.altered += 1,
        };
        let said = self.said_by_own(stamp.group, stamp.slot);
        let hearer = &mut self.members[member];
        let counts = &mut self.interval.counts;
        let verdict = match said {
            // It is known what this worker's speakers have said; of the others it is seen at the end.
            Some(said) if stamp.sequence >= said => Heard::Impossible,
            _ => hearer.tally.hear(stamp.slot, stamp.sequence, place),
        };
        match verdict {
            Heard::InOrder | Heard::AfterAGap => {}
            Heard::OutOfOrder => counts.reordered += 1,
            Heard::Again => counts.duplicated += 1,
            Heard::Stray => counts.strays += 1,
            Heard::Impossible => {}
        }
        counts.altered += u64::from(altered || verdict == Heard::Impossible);
        counts.deliveries += 1;
        self.interval.latency(stamp.intended_ns, at_ns.saturating_sub(stamp.intended_ns));
        if hearer.place.role == Role::Speaker(stamp.slot) {
            self.handle_echo(member);
        }
    }

    /// How many messages a speaker has said, if this worker plays it.
    fn said_by_own(&self, group: u32, slot: u32) -> Option<u32> {
        let speaker = (*self.speakers.get(group as usize)?.get(slot as usize)?)?;
        Some(self.members[speaker].said)
    }

    /// What follows has sequences above this one; what was before is asked for, as a client does that shows it.
    fn handle_welcome(&mut self, member: usize, seq: u64) {
        let greeting = matches!(self.members[member].state, State::Greeting { .. });
        match self.assignment.plan.dialect.newest_page() {
            Some(request) if greeting => {
                self.members[member].tally.greet_after(seq);
                self.send(member, self.assignment.plan.dialect.opcode(), request);
            }
            _ => self.handle_unknown(),
        }
    }

    fn handle_roster(&mut self, member: usize) {
        if let State::Greeting { roster, .. } = &mut self.members[member].state {
            *roster = true;
            self.greeted(member);
        }
    }

    fn handle_page(&mut self, member: usize, items: &[Item<'_>], bytes: usize, at_ns: u64) {
        let group = self.members[member].place.group;
        let page: Result<Vec<_>, _> = items.iter().map(|item| self.witness.hear(group, item)).collect();
        let greeting = matches!(self.members[member].state, State::Greeting { .. });
        let flaw = match page {
            Err(Doubt::Stray) => Some("page_of_others"),
            Err(Doubt::Garbled) => Some("page_altered"),
            Ok(page) if greeting => self.handle_greeting(member, &page, bytes),
            Ok(page) => self.handle_answer_page(member, items, &page, bytes, at_ns),
        };
        if let Some(flaw) = flaw {
            self.interval.counts.wrong_pages += 1;
            self.interval.error(flaw);
        }
        if greeting {
            if let State::Greeting { history, .. } = &mut self.members[member].state {
                *history = true;
            }
            self.greeted(member);
        }
    }

    /// The page that greets a session: everything since what it heard before it left is in it, as far as it goes.
    fn handle_greeting(&mut self, member: usize, page: &[Testimony], bytes: usize) -> Option<Flaw> {
        let size = self.assignment.plan.size;
        let tally = &mut self.members[member].tally;
        let asked = Asked { at_ns: 0, before: None, reaches: tally.reached(), items: GREETING_ITEMS };
        let flaw = asked.check(page, bytes, size).err();
        if self.assignment.plan.dialect != Dialect::V1 {
            // What comes live follows the welcome, whatever of it is in this page already.
            return flaw;
        }
        let first = page.first().map_or(Some(1), |item| item.place);
        let messages =
            page.iter().filter_map(|item| Some((item.stamp.slot, item.stamp.sequence, item.place?)));
        tally.greet(messages, first == Some(1));
        flaw
    }

    /// The answer to what was asked for longest ago.
    fn handle_answer_page(
        &mut self,
        member: usize,
        items: &[Item<'_>],
        page: &[Testimony],
        bytes: usize,
        at_ns: u64,
    ) -> Option<Flaw> {
        let size = self.assignment.plan.size;
        let reader = &mut self.members[member];
        let Some(asked) = reader.pages.pop_front() else { return Some("page_not_asked_for") };
        let mut flaw = asked.check(page, bytes, size).err();
        let oldest = items.first().map_or("", |item| &*item.id);
        reader.cursor = match Cursor::advance(reader.cursor.take(), &asked, oldest, page) {
            Ok(cursor) => cursor,
            Err(gap) => {
                flaw = flaw.or(Some(gap));
                None
            }
        };
        self.interval.counts.pages += 1;
        self.interval.counts.page_messages += items.len() as u64;
        self.interval.page.record_ns(at_ns.saturating_sub(asked.at_ns));
        self.page_came(member, at_ns);
        flaw
    }

    fn greeted(&mut self, member: usize) {
        if (self.members[member].state == State::Greeting { roster: true, history: true }) {
            self.is_in(member);
        }
    }

    fn handle_refusal(&mut self, member: usize, code: &str, at_ns: u64) {
        self.interval.counts.refused += 1;
        self.interval.error(code);
        self.was_refused(member, at_ns);
    }

    /// Writes a frame to a member's socket.
    pub(super) fn send(&mut self, member: usize, opcode: u8, payload: &[u8]) {
        self.dice += 1;
        // Any number will do for a mask; this one changes.
        let mask = u32::try_from(self.dice & 0xffff_ffff).expect("32 bits").wrapping_mul(0x9e37_79b9);
        self.frame.clear();
        frames::write(opcode, payload, mask, &mut self.frame);
        let Some(socket) = &mut self.members[member].socket else { return };
        if let Err(error) = socket.write(&self.frame) {
            self.ends(member, &error);
        }
    }
}
