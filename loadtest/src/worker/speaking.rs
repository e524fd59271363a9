//! What members do of their own accord: speak, page through history, leave and come back.

use std::cmp::Reverse;

use super::{Due, Stage, Worker};
use crate::clock::{MILLISECOND_NS, now_ns};
use crate::plan::{Paging, Place, Plan, Role, Talk};
use crate::schedule::{Schedule, Turns, scatter};
use crate::{frames, message};

/// Messages that are under way in a group while its history is filled.
const FILL_WINDOW: u32 = 32;
/// After a refusal, before the next try.
const REFUSED_WAIT_NS: u64 = 50 * MILLISECOND_NS;

/// The schedules of a run.
#[derive(Default)]
pub(super) struct Agenda {
    talk: Option<(Schedule, Turns)>,
    pages: Option<Schedule>,
    churn: Option<(Schedule, Vec<u32>)>,
    storm_ns: Option<u64>,
}

impl Agenda {
    /// What there is to do from a start on.
    pub(super) fn new(plan: &Plan, start_ns: u64, storm_ns: Option<u64>) -> Self {
        let talk = match plan.talk {
            Some(Talk::Open { per_s, zipf }) => {
                Some((Schedule::new(start_ns, per_s), Turns::new(&plan.groups, zipf)))
            }
            _ => None,
        };
        let pages = match plan.paging {
            Some(Paging::Open { per_s }) => Some(Schedule::new(start_ns, per_s)),
            _ => None,
        };
        let is_churner = |place: &Place| place.role == Role::Churner;
        let churners: Vec<_> = plan.places().filter(is_churner).map(|place| place.number).collect();
        let churns = plan.churn_per_s > 0.0 && !churners.is_empty();
        let churn = churns.then(|| (Schedule::new(start_ns, plan.churn_per_s), churners));
        Self { talk, pages, churn, storm_ns }
    }

    /// When the next of all this is due.
    pub(super) fn due_ns(&self) -> u64 {
        let times = [
            self.talk.as_ref().map(|(schedule, _)| schedule.due_ns()),
            self.pages.as_ref().map(Schedule::due_ns),
            self.churn.as_ref().map(|(schedule, _)| schedule.due_ns()),
            self.storm_ns,
        ];
        times.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

impl Worker {
    /// Does what is due by now, each thing with the time at which it should have been done.
    pub(super) fn follow_agenda(&mut self, now_ns: u64) {
        // What is due at the very end isn't part of the run any more.
        let now_ns = now_ns.min(self.end_ns - 1);
        while let Some((group, slot, due_ns)) = self.next_turn(now_ns) {
            if let Some(speaker) = self.speakers[group as usize][slot as usize] {
                self.say(speaker, due_ns);
            }
        }
        while let Some((index, due_ns)) = self.agenda.pages.as_mut().and_then(|pages| pages.take(now_ns)) {
            let member = scatter(index) % u64::from(self.assignment.plan.members());
            if let Some(member) = u32::try_from(member).ok().and_then(|number| self.own(number)) {
                self.ask_for_page(member, due_ns);
            }
        }
        while let Some(number) = self.next_leaver(now_ns) {
            if let Some(member) = self.own(number)
                && self.members[member].is_live()
            {
                self.leaves(member);
                let back_ns = now_ns + self.assignment.plan.away_ns;
                self.later.push(Reverse((back_ns, member, Due::Join)));
            }
        }
        if self.agenda.storm_ns.is_some_and(|storm_ns| storm_ns <= now_ns) {
            self.agenda.storm_ns = None;
            self.drop_all();
        }
    }

    fn next_turn(&mut self, now_ns: u64) -> Option<(u32, u32, u64)> {
        let (schedule, turns) = self.agenda.talk.as_mut()?;
        let (index, due_ns) = schedule.take(now_ns)?;
        let (group, slot) = turns.of(index);
        Some((group, slot, due_ns))
    }

    fn next_leaver(&mut self, now_ns: u64) -> Option<u32> {
        let (schedule, churners) = self.agenda.churn.as_mut()?;
        let (index, _) = schedule.take(now_ns)?;
        let which = usize::try_from(scatter(index) % churners.len() as u64).expect("an index");
        Some(churners[which])
    }

    /// The place among this worker's members of a member, if this worker plays it.
    fn own(&self, number: u32) -> Option<usize> {
        let (worker, place) = self.assignment.plan.owner(number, self.assignment.workers);
        (worker == self.assignment.worker).then_some(place)
    }

    /// A speaker says its next message, which should have been sent at a time.
    pub(super) fn say(&mut self, speaker: usize, intended_ns: u64) {
        let member = &mut self.members[speaker];
        let Role::Speaker(slot) = member.place.role else { return };
        if !member.is_live() {
            self.interval.counts.unsaid += 1;
            return;
        }
        let run = self.assignment.run;
        let stamp =
            message::Stamp { run, group: member.place.group, slot, sequence: member.said, intended_ns };
        member.said += 1;
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.push_str(r#"{"a":2,"d":{"m":""#);
        message::write(stamp, self.assignment.plan.size, &mut text);
        text.push_str("\"}}");
        self.interval.counts.sent += 1;
        self.interval.late.record_ns(now_ns().saturating_sub(intended_ns));
        self.send(speaker, frames::TEXT, text.as_bytes());
        self.text = text;
    }

    /// A speaker heard its own message.
    pub(super) fn handle_echo(&mut self, speaker: usize) {
        match (self.stage, self.assignment.plan.talk) {
            (Stage::Filling, _) => {
                self.fill_left = self.fill_left.saturating_sub(1);
                if self.members[speaker].said < self.assignment.plan.fill {
                    self.say(speaker, now_ns());
                }
            }
            (Stage::Running, Some(Talk::Closed { .. })) => {
                let now_ns = now_ns();
                if now_ns < self.end_ns {
                    self.say(speaker, now_ns);
                }
            }
            _ => {}
        }
    }

    /// The first speaker of each group says what the history shall hold.
    pub(super) fn begin_fill(&mut self) {
        let fill = self.assignment.plan.fill;
        let firsts: Vec<_> =
            self.speakers.iter().filter_map(|group| group.first().copied().flatten()).collect();
        self.fill_left = u64::from(fill) * firsts.len() as u64;
        for speaker in firsts {
            (0..fill.min(FILL_WINDOW)).for_each(|_| self.say(speaker, now_ns()));
        }
    }

    /// Opens the windows of a closed loop, and lets those ask who ask all the time.
    pub(super) fn open_windows(&mut self, start_ns: u64) {
        let plan = &self.assignment.plan;
        let closed_paging = matches!(plan.paging, Some(Paging::Closed));
        let window = if let Some(Talk::Closed { window }) = plan.talk { window } else { 0 };
        for member in 0..self.members.len() {
            let place = self.members[member].place;
            if let Role::Speaker(slot) = place.role {
                let speakers = self.assignment.plan.groups[place.group as usize].speakers;
                let share = window / speakers + u32::from(slot < window % speakers);
                (0..share).for_each(|_| self.say(member, start_ns.max(now_ns())));
            }
            if closed_paging {
                self.ask_for_page(member, now_ns());
            }
        }
    }

    /// Asks for the page before the last one, or the newest after the oldest.
    pub(super) fn ask_for_page(&mut self, member: usize, intended_ns: u64) {
        let reader = &mut self.members[member];
        if !reader.is_live() || reader.is_slow() {
            return;
        }
        reader.pages.push_back(intended_ns);
        let items = self.assignment.plan.page_items;
        let request = match &reader.oldest {
            Some(oldest) => format!(r#"{{"a":3,"d":{{"b":"{oldest}","l":{items}}}}}"#),
            None => format!(r#"{{"a":3,"d":{{"l":{items}}}}}"#),
        };
        self.send(member, frames::TEXT, request.as_bytes());
    }

    pub(super) fn page_came(&mut self, member: usize, at_ns: u64) {
        let goes_on = matches!(self.assignment.plan.paging, Some(Paging::Closed)) && at_ns < self.end_ns;
        if goes_on && self.stage == Stage::Running {
            self.ask_for_page(member, at_ns);
        }
    }

    /// The server answered with an error. It doesn't say to what, but who waits for a page asked for one last.
    pub(super) fn was_refused(&mut self, member: usize, at_ns: u64) {
        let again_ns = at_ns + REFUSED_WAIT_NS;
        let closed_talk = matches!(self.assignment.plan.talk, Some(Talk::Closed { .. }));
        if self.members[member].pages.pop_front().is_some() {
            if matches!(self.assignment.plan.paging, Some(Paging::Closed)) {
                self.later.push(Reverse((again_ns, member, Due::Page)));
            }
        } else if self.stage == Stage::Filling {
            self.fill_left = self.fill_left.saturating_sub(1);
            self.later.push(Reverse((again_ns, member, Due::Say)));
        } else if closed_talk {
            self.later.push(Reverse((again_ns, member, Due::Say)));
        }
    }

    /// What was put off is due.
    pub(super) fn handle_later(&mut self, now_ns: u64) {
        while let Some(&Reverse((due_ns, member, what))) = self.later.peek()
            && due_ns <= now_ns
        {
            self.later.pop();
            match what {
                Due::Join => self.waiting.push_back(member),
                Due::Page if self.stage == Stage::Running => self.ask_for_page(member, now_ns),
                Due::Say if self.stage == Stage::Running => self.say(member, now_ns),
                Due::Say if self.stage == Stage::Filling => {
                    if self.members[member].said < self.assignment.plan.fill {
                        self.say(member, now_ns);
                    }
                }
                Due::Page | Due::Say => {}
            }
        }
    }

    /// The storm: all sockets but those of quiet groups are gone at once, and all come back.
    fn drop_all(&mut self) {
        for member in 0..self.members.len() {
            let place = self.members[member].place;
            let quiet = self.assignment.plan.groups[place.group as usize].quiet;
            if quiet || !self.members[member].is_live() {
                continue;
            }
            self.let_go(member);
            self.members[member].tally.begin();
            self.members[member].in_storm = true;
            self.storm_away += 1;
            self.waiting.push_back(member);
        }
        if self.storm_away == 0 {
            self.report_returned(now_ns());
        }
    }

    /// One of those whom the storm dropped is back.
    pub(super) fn storm_returned(&mut self, at_ns: u64) {
        self.storm_away -= 1;
        if self.storm_away == 0 {
            self.report_returned(at_ns);
        }
    }
}
