//! The end of a run: what was due is caught up with, what is under way is heard out, and accounts are settled.

use std::io;

use super::member::Member;
use super::pulse::NO_PONG;
use super::unheard::DueTimes;
use super::{Stage, Worker};
use crate::clock::{MILLISECOND_NS, SECOND_NS};
use crate::link::{Report, Said};
use crate::tally::Speech;

/// How long after the end what was due before may still be said.
const CATCH_UP_NS: u64 = 2 * SECOND_NS;
/// How long nothing may come before what is missing is taken for lost.
const PATIENCE_NS: u64 = 5 * SECOND_NS;
/// How often to look whether all has come.
const LOOK_NS: u64 = 20 * MILLISECOND_NS;
/// How long a refusal that would explain what is missing is waited for.
const REFUSAL_PATIENCE_NS: u64 = SECOND_NS;
/// How long the ends of those who never read are waited for.
const SLOW_PATIENCE_NS: u64 = SECOND_NS;

/// What all have said, by group.
type ByGroup = Vec<Vec<Speech>>;

/// What is left to be done, and until when.
pub(super) struct Drain {
    /// What was due is caught up with, and who is to be in comes in. Not so when the run is cut short.
    pub(super) finish: bool,
    /// The coordinator wants to know what was said.
    pub(super) asked: bool,
    /// It has been told. What is refused since is told apart.
    pub(super) told: bool,
    pub(super) refused_late: Vec<(u32, u32)>,
    pub(super) said: ByGroup,
    pub(super) due: DueTimes,
    /// Somebody is there who may still send something.
    alive: bool,
    /// What hadn't come when somebody last looked.
    outstanding: u64,
    since_ns: u64,
    patience_until_ns: u64,
    pub(super) next_look_ns: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            finish: true,
            asked: false,
            told: false,
            refused_late: Vec::new(),
            said: ByGroup::new(),
            due: DueTimes::default(),
            alive: true,
            outstanding: u64::MAX,
            since_ns: u64::MAX,
            patience_until_ns: u64::MAX,
            next_look_ns: u64::MAX,
        }
    }
}

impl Worker {
    /// The coordinator ends the run. With `finish` what was due until now is done before.
    pub(super) fn handle_stop(&mut self, finish: bool, now_ns: u64) {
        self.drain.finish = finish;
        self.drain.asked = true;
        self.end_ns = self.end_ns.min(now_ns);
        if self.stage < Stage::Running {
            self.tick(now_ns);
            self.stage = Stage::Stopped;
        }
        if !finish {
            self.waiting.clear();
        }
        self.look_whether_over(now_ns);
    }

    /// Stops once the end has come and everything that was due before it is done, or can't be done in time.
    pub(super) fn look_whether_over(&mut self, now_ns: u64) {
        if self.stage == Stage::Running && now_ns >= self.end_ns {
            let behind = self.agenda.due_ns() < self.end_ns;
            if behind && self.drain.finish && now_ns < self.end_ns.saturating_add(CATCH_UP_NS) {
                return;
            }
            if self.drain.finish {
                self.count_what_was_not_done();
            }
            self.tick(now_ns);
            self.stage = Stage::Stopped;
        }
        if self.stage == Stage::Stopped && std::mem::take(&mut self.drain.asked) {
            self.report(&Report::Said(self.said()));
            self.drain.told = true;
        }
    }

    /// This is what all have said; with `alive` false nothing of it will come any more.
    pub(super) fn handle_expect(&mut self, mut said: Vec<Said>, alive: bool, now_ns: u64) -> io::Result<()> {
        self.drain.due = DueTimes::of(&mut said);
        let mut by_group = vec![Vec::new(); self.assignment.plan.groups.len()];
        for Said { group, slot, count, refused, .. } in said {
            let of_group = by_group.get_mut(group as usize).ok_or(io::ErrorKind::InvalidData)?;
            of_group.push(Speech { slot, count, refused });
        }
        self.stage = Stage::Draining;
        self.drain.said = by_group;
        self.drain.since_ns = now_ns;
        self.drain.alive = alive;
        self.drain.patience_until_ns = now_ns + PATIENCE_NS;
        self.drain.next_look_ns = now_ns;
        self.let_slow_ones_read();
        if alive {
            self.call_the_roll(now_ns);
        }
        Ok(())
    }

    /// Less is to be heard than was said at first.
    pub(super) fn handle_late_refusals(&mut self, speakers: &[(u32, u32)], now_ns: u64) {
        for &(group, slot) in speakers {
            let of_group = self.drain.said.get_mut(group as usize);
            let speech = of_group.and_then(|said| said.iter_mut().find(|speech| speech.slot == slot));
            if let Some(speech) = speech {
                speech.refused += 1;
            }
        }
        self.drain.next_look_ns = self.drain.next_look_ns.min(now_ns);
    }

    /// Nothing more will come.
    pub(super) fn handle_gone(&mut self, now_ns: u64) {
        self.drain.alive = false;
        self.drain.next_look_ns = now_ns;
    }

    /// At the end those who never read do, to see how the server ended with them.
    fn let_slow_ones_read(&mut self) {
        self.slow_may_read = true;
        let slow = 0..self.members.len();
        for member in slow.filter(|&member| self.members[member].is_slow()).collect::<Vec<_>>() {
            self.handle_readable(member);
        }
    }

    pub(super) fn look_whether_drained(&mut self, now_ns: u64) {
        self.drain.next_look_ns = now_ns + LOOK_NS;
        if !self.drain.refused_late.is_empty() {
            let late = std::mem::take(&mut self.drain.refused_late);
            self.report(&Report::Refused(late));
        }
        let outstanding = self.outstanding();
        if outstanding < self.drain.outstanding {
            self.drain.outstanding = outstanding;
            self.drain.patience_until_ns = now_ns + PATIENCE_NS;
        }
        let slow_ended = now_ns >= self.drain.since_ns + SLOW_PATIENCE_NS
            || !self.members.iter().any(|member| member.is_slow() && member.is_live());
        // What seems to be lost may have been refused, of which word may still come.
        let explained = || now_ns >= self.drain.since_ns + REFUSAL_PATIENCE_NS || self.lost() == 0;
        if outstanding == 0 && slow_ended && explained()
            || !self.drain.alive
            || now_ns >= self.drain.patience_until_ns
        {
            self.settle(now_ns);
        }
    }

    /// Messages, pages, members and pongs that are still to come.
    fn outstanding(&self) -> u64 {
        let of_members = self.members.iter().map(|member| {
            member.tally.outstanding(&self.drain.said[member.place.group as usize])
                + member.pages.len() as u64
        });
        let joins = if self.drain.finish { self.joining + self.waiting.len() } else { 0 };
        of_members.sum::<u64>() + (joins + self.pulse.outstanding()) as u64
    }

    /// Messages that members of this worker should have heard and didn't, or not yet.
    fn lost(&self) -> u64 {
        let of_member = |member: &Member| member.tally.lost(&self.drain.said[member.place.group as usize]);
        self.members.iter().map(of_member).sum()
    }

    /// The last word.
    fn settle(&mut self, now_ns: u64) {
        self.count_the_unheard(now_ns);
        let lost = self.lost();
        let silent = if self.drain.alive { self.pulse.outstanding() as u64 } else { 0 };
        let counts = &mut self.interval.counts;
        for member in &self.members {
            let said = &self.drain.said[member.place.group as usize];
            counts.altered += member.tally.invented(said);
            if self.drain.finish {
                counts.unanswered += member.pages.len() as u64;
                counts.absent += u64::from(!member.is_live() && !member.away);
            }
        }
        if !self.drain.alive {
            // A socket whose end couldn't come through, because nobody read it, is none all the same.
            self.live = 0;
        }
        counts.silent += silent;
        if silent > 0 {
            counts.error(NO_PONG, silent);
        }
        self.tick(now_ns);
        self.report(&Report::Done { worker: self.assignment.worker, lost });
        self.stage = Stage::Done;
    }
}
