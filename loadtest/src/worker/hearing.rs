//! What a member makes of what it receives. This is the hot path: no allocation, no JSON.

use std::io;

use super::desk::string_field;
use super::member::State;
use super::{Stage, Worker};
use crate::clock::now_ns;
use crate::frames::{self, Next};
use crate::plan::Role;
use crate::tally::Heard;
use crate::{message, upgrade};

/// Reads of one socket before others get their turn.
const READS_IN_A_ROW: usize = 8;
/// Messages of the page that greets a session. One with fewer holds all that was ever said.
const GREETING_ITEMS: usize = 50;

impl Worker {
    /// Reads what is there, within bounds.
    pub(super) fn handle_readable(&mut self, member: usize) {
        if self.members[member].is_slow() && !self.slow_may_read {
            return;
        }
        for _ in 0..READS_IN_A_ROW {
            if !self.read_once(member) {
                return;
            }
        }
        self.unread.push(member);
    }

    /// Reads once and looks at it; false when there is nothing more.
    fn read_once(&mut self, member: usize) -> bool {
        let Some(socket) = &mut self.members[member].socket else { return false };
        // Both are taken out so that what is read can be looked at while the rest changes.
        let mut feed = std::mem::take(&mut socket.feed);
        let mut buffer = std::mem::take(&mut self.buffer);
        let begin = feed.prepare(&mut buffer);
        let read = socket.read(&mut buffer[begin..]);
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
        let room = buffer.len() - begin;
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
        match upgrade::accepted(bytes) {
            Ok(Some(length)) => {
                let joins = &mut self.members[member];
                if !joins.is_slow() {
                    joins.state = State::Greeting { roster: false, history: false };
                }
                Some(length)
            }
            Ok(None) => None,
            Err(why) => {
                if self.members[member].is_live() {
                    self.let_go(member);
                } else {
                    self.join_fails(member, &why);
                }
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
            frames::TEXT => self.handle_text(member, payload, at_ns),
            frames::PING => self.send(member, frames::PONG, payload),
            frames::CLOSE => {
                self.send(member, frames::CLOSE, payload.get(..2).unwrap_or_default());
                self.is_cut_off(member, frames::close_code(payload));
            }
            _ => {}
        }
    }

    fn handle_text(&mut self, member: usize, payload: &[u8], at_ns: u64) {
        match payload {
            [b'{', b'"', b'a', b'"', b':', b'2', b',', ..] => self.handle_message(member, payload, at_ns),
            [b'{', b'"', b'a', b'"', b':', b'1', b',', ..] => self.handle_roster(member),
            [b'{', b'"', b'a', b'"', b':', b'3', b',', ..] => self.handle_page(member, payload, at_ns),
            [b'{', b'"', b'a', b'"', b':', b'5', b',', ..] => self.handle_error(member, payload, at_ns),
            _ => self.interval.error("unknown_frame"),
        }
    }

    fn handle_message(&mut self, member: usize, payload: &[u8], at_ns: u64) {
        let Some(stamp) = self.finder.find(payload) else {
            self.interval.counts.strays += 1;
            return;
        };
        let hearer = &mut self.members[member];
        if stamp.run != self.assignment.run || stamp.group != hearer.place.group {
            self.interval.counts.strays += 1;
            return;
        }
        let counts = &mut self.interval.counts;
        match hearer.tally.hear(stamp.slot, stamp.sequence) {
            Heard::InOrder | Heard::AfterAGap => {}
            Heard::OutOfOrder => counts.reordered += 1,
            Heard::Again => counts.duplicated += 1,
            Heard::Stray => counts.strays += 1,
        }
        counts.deliveries += 1;
        self.interval.latency.record_ns(at_ns.saturating_sub(stamp.intended_ns));
        if hearer.place.role == Role::Speaker(stamp.slot) {
            self.handle_echo(member);
        }
    }

    fn handle_roster(&mut self, member: usize) {
        if let State::Greeting { roster, .. } = &mut self.members[member].state {
            *roster = true;
            self.greeted(member);
        }
    }

    fn handle_page(&mut self, member: usize, payload: &[u8], at_ns: u64) {
        let reader = &mut self.members[member];
        if let State::Greeting { history, .. } = &mut reader.state {
            *history = true;
            let items = message::all(payload).count();
            let page = message::all(payload).map(|stamp| (stamp.slot, stamp.sequence));
            reader.tally.greet(page, items < GREETING_ITEMS);
            return self.greeted(member);
        }
        let Some(asked_ns) = reader.pages.pop_front() else { return };
        let items = message::all(payload).count();
        let full = items as u64 >= u64::from(self.assignment.plan.page_items);
        reader.oldest = if full { string_field(payload, b"\"i\":\"") } else { None };
        self.interval.counts.pages += 1;
        self.interval.counts.page_messages += items as u64;
        self.interval.page.record_ns(at_ns.saturating_sub(asked_ns));
        self.page_came(member, at_ns);
    }

    fn greeted(&mut self, member: usize) {
        if (self.members[member].state == State::Greeting { roster: true, history: true }) {
            self.is_in(member);
        }
    }

    fn handle_error(&mut self, member: usize, payload: &[u8], at_ns: u64) {
        let code = string_field(payload, b"\"c\":\"").unwrap_or_else(|| "without_code".to_owned());
        self.interval.error(&code);
        if self.stage == Stage::Running || self.stage == Stage::Filling {
            self.was_refused(member, at_ns);
        }
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
