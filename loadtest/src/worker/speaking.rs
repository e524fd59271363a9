//! What members do of their own accord: speak, page through history, leave and come back.

use std::cmp::Reverse;

use super::{Due, Stage, Worker};
use crate::clock::{MILLISECOND_NS, now_ns};
use crate::page::{Asked, Cursor};
use crate::plan::{Assignment, Paging, Plan, Role, Talk};
use crate::schedule::{Schedule, Turns, scatter, whole};
use crate::{frames, message};

/// Messages that are under way in a group while its history is filled.
const FILL_WINDOW: u32 = 32;
/// After a refusal, before the next try.
const REFUSED_WAIT_NS: u64 = 50 * MILLISECOND_NS;

/// What is said in a row before others get their turn, and how much of a schedule is looked through for it.
const SAID_IN_A_ROW: u32 = 256;
const LOOKED_IN_A_ROW: u32 = 4_096;
/// So much of what wasn't done is counted one by one; the rest goes by the share of these.
const COUNTED_MAX: u64 = 1 << 20;

/// The schedules of a run. All workers have the same and each does its own part, so a number may be another's.
#[derive(Default)]
pub(super) struct Agenda {
    talk: Option<(Schedule, Turns)>,
    /// When pages are asked for, and the numbers of those who ask: the ones who stay.
    pages: Option<(Schedule, Vec<u32>)>,
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
        let numbers = |is: fn(Role) -> bool| -> Vec<u32> {
            plan.places().filter(|place| is(place.role)).map(|place| place.number).collect()
        };
        let scheduled = |per_s: f64, numbers: Vec<u32>| {
            (per_s > 0.0 && !numbers.is_empty()).then(|| (Schedule::new(start_ns, per_s), numbers))
        };
        let pages = match plan.paging {
            Some(Paging::Open { per_s }) => {
                scheduled(per_s, numbers(|role| !matches!(role, Role::Churner | Role::Slow)))
            }
            _ => None,
        };
        let churn = scheduled(plan.churn_per_s, numbers(|role| role == Role::Churner));
        Self { talk, pages, churn, storm_ns }
    }

    /// When the next of all this is due.
    pub(super) fn due_ns(&self) -> u64 {
        let times = [
            self.talk.as_ref().map(|(schedule, _)| schedule.due_ns()),
            self.pages.as_ref().map(|(schedule, _)| schedule.due_ns()),
            self.churn.as_ref().map(|(schedule, _)| schedule.due_ns()),
            self.storm_ns,
        ];
        times.into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    fn next_turn(&mut self, now_ns: u64) -> Option<(u32, u32, u64)> {
        let (schedule, turns) = self.talk.as_mut()?;
        let (index, due_ns) = schedule.take(now_ns)?;
        let (group, slot) = turns.of(index);
        Some((group, slot, due_ns))
    }

    fn next_reader(&mut self, now_ns: u64) -> Option<(u32, u64)> {
        let (schedule, readers) = self.pages.as_mut()?;
        let (index, due_ns) = schedule.take(now_ns)?;
        Some((one_of(readers, index), due_ns))
    }

    fn next_leaver(&mut self, now_ns: u64) -> Option<u32> {
        let (schedule, churners) = self.churn.as_mut()?;
        let (index, _) = schedule.take(now_ns)?;
        Some(one_of(churners, index))
    }
}

fn one_of(numbers: &[u32], index: u64) -> u32 {
    numbers[usize::try_from(scatter(index) % numbers.len() as u64).expect("an index")]
}

impl Worker {
    /// Does what is due by now, each thing with the time at which it should have been done; of much that is due a
    /// part, because nothing is heard meanwhile.
    pub(super) fn follow_agenda(&mut self, now_ns: u64) {
        // What is due at the very end isn't part of the run any more.
        let now_ns = now_ns.min(self.end_ns - 1);
        self.speak_in_turn(now_ns);
        for _ in 0..LOOKED_IN_A_ROW {
            let Some((number, due_ns)) = self.agenda.next_reader(now_ns) else { break };
            match self.own(number) {
                Some(reader) if self.members[reader].is_live() => self.ask_for_page(reader, due_ns),
                Some(_) => self.interval.counts.unasked += 1,
                None => {}
            }
        }
        for _ in 0..LOOKED_IN_A_ROW {
            let Some(number) = self.agenda.next_leaver(now_ns) else { break };
            let Some(churner) = self.own(number) else { continue };
            match self.someone_to_leave(churner) {
                Some(leaver) => {
                    self.leaves(leaver);
                    let back_ns = now_ns + self.assignment.plan.away_ns;
                    self.later.push(Reverse((back_ns, leaver, Due::Join)));
                }
                None => self.interval.counts.unleft += 1,
            }
        }
        if self.agenda.storm_ns.is_some_and(|storm_ns| storm_ns <= now_ns) {
            self.agenda.storm_ns = None;
            self.drop_all();
        }
    }

    fn speak_in_turn(&mut self, now_ns: u64) {
        let mut said = 0;
        for _ in 0..LOOKED_IN_A_ROW {
            if said == SAID_IN_A_ROW {
                return;
            }
            let Some((group, slot, due_ns)) = self.agenda.next_turn(now_ns) else { return };
            if let Some(speaker) = self.speakers[group as usize][slot as usize] {
                self.say(speaker, due_ns);
                said += 1;
            }
        }
    }

    /// Who is to leave when it is a churner's turn: itself, or if it is away the next of this worker's who isn't.
    fn someone_to_leave(&self, churner: usize) -> Option<usize> {
        let can_leave = |&member: &usize| {
            self.members[member].place.role == Role::Churner && self.members[member].is_live()
        };
        (churner..self.members.len()).chain(0..churner).find(can_leave)
    }

    /// At the end: what was due and wasn't done, because there was no time for it.
    pub(super) fn count_what_was_not_done(&mut self) {
        let last_ns = self.end_ns - 1;
        let mut agenda = std::mem::take(&mut self.agenda);
        let behind = |schedule: &Schedule| schedule.behind(last_ns);
        let talk = agenda.talk.as_ref().map_or(0, |(schedule, _)| behind(schedule));
        self.interval.counts.unsaid += own_part(talk, || {
            let (group, slot, _) = agenda.next_turn(last_ns)?;
            Some(self.speakers[group as usize][slot as usize].is_some())
        });
        let pages = agenda.pages.as_ref().map_or(0, |(schedule, _)| behind(schedule));
        self.interval.counts.unasked +=
            own_part(pages, || agenda.next_reader(last_ns).map(|(number, _)| self.own(number).is_some()));
        let churn = agenda.churn.as_ref().map_or(0, |(schedule, _)| behind(schedule));
        self.interval.counts.unleft +=
            own_part(churn, || agenda.next_leaver(last_ns).map(|number| self.own(number).is_some()));
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
        self.note_due(speaker, intended_ns);
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        message::write(stamp, self.assignment.plan.size, &mut text);
        let (dialect, mut payload) = (self.assignment.plan.dialect, std::mem::take(&mut self.payload));
        payload.clear();
        dialect.say(&text, &mut payload);
        self.interval.counts.sent += 1;
        self.interval.late.record_ns(now_ns().saturating_sub(intended_ns));
        self.send(speaker, dialect.opcode(), &payload);
        (self.text, self.payload) = (text, payload);
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
        let items = self.assignment.plan.page_items;
        let (before, request) = match &reader.cursor {
            Some(Cursor { id, place, .. }) => {
                (Some(*place), format!(r#"{{"a":3,"d":{{"b":"{id}","l":{items}}}}}"#))
            }
            None => (None, format!(r#"{{"a":3,"d":{{"l":{items}}}}}"#)),
        };
        let (reaches, items) = (reader.tally.reached(), items as usize);
        reader.pages.push_back(Asked { at_ns: intended_ns, before, reaches, items });
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
        let goes_on = self.stage == Stage::Running || self.stage == Stage::Filling;
        let of_page = self.members[member].pages.pop_front().is_some();
        if !of_page {
            self.message_was_refused(member);
        }
        if !goes_on {
            // Nothing is tried again.
        } else if of_page {
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

    /// Nobody will hear it, and nobody shall wait for it.
    fn message_was_refused(&mut self, member: usize) {
        let speaker = &mut self.members[member];
        let Role::Speaker(slot) = speaker.place.role else { return };
        // Until it is in it says nothing, and not more can be refused than it said.
        if speaker.is_live() && speaker.refused < speaker.said {
            speaker.refused += 1;
            if self.drain.told {
                self.drain.refused_late.push((speaker.place.group, slot));
            }
        }
    }

    /// What was put off is due.
    pub(super) fn handle_later(&mut self, now_ns: u64) {
        while let Some(&Reverse((due_ns, member, what))) = self.later.peek()
            && due_ns <= now_ns
        {
            self.later.pop();
            match what {
                // Whoever is away when the run ends stays away.
                Due::Join if self.stopped() && (self.members[member].away || !self.drain.finish) => {}
                Due::Join => {
                    let joins = &mut self.members[member];
                    joins.away = false;
                    // However long others keep it from its turn.
                    joins.wanted_since_ns.get_or_insert(due_ns);
                    self.waiting.push_back(member);
                }
                Due::GiveUp => self.give_up(member, now_ns),
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
        let Assignment { plan, worker, workers, .. } = &self.assignment;
        self.joining_max = plan.joins_at_once(*worker, *workers, true) as usize;
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

/// How many of so many are this worker's, who is asked for one after the other.
fn own_part(behind: u64, mut next_is_own: impl FnMut() -> Option<bool>) -> u64 {
    let looked = behind.min(COUNTED_MAX);
    let own = (0..looked).filter(|_| next_is_own() == Some(true)).count() as u64;
    if behind > looked { whole(own as f64 / looked as f64 * behind as f64) } else { own }
}
