//! What came out of a run: the workers' ticks, put together.

use std::collections::BTreeMap;

use crate::by_due::ByDue;
use crate::clock::SECOND_NS;
use crate::histogram::Times;
use crate::link::{Counts, Phase, Tick};
use crate::plan::{End, Plan};
use crate::server::Watched;

/// How long the others' words are kept back for a worker that says nothing.
const SILENCE_NS: u64 = 2 * SECOND_NS;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was over.
    Complete,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// Nobody answers at the target any more.
    ServerGone,
    /// Not all came (back) in the time that they had.
    TooSlow,
    /// A worker gave up. The text says what to do.
    Failed(String),
}

/// A second of a run, or a part of one where a phase ends.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    pub(crate) begin_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) phase: Phase,
    pub(crate) sent: u64,
    pub(crate) deliveries: u64,
    pub(crate) joins: u64,
    pub(crate) pages: u64,
    pub(crate) errors: u64,
    pub(crate) connected: u64,
    /// How many times the next three are of.
    pub(crate) heard: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Second {
    pub(crate) fn length_s(&self) -> f64 {
        (self.end_ns - self.begin_ns) as f64 / SECOND_NS as f64
    }
}

/// Everything that was seen.
pub(crate) struct Outcome {
    pub(crate) plan: Plan,
    pub(crate) workers: usize,
    pub(crate) ended: Ended,
    pub(crate) seconds: Vec<Second>,
    /// Of the whole run.
    pub(crate) totals: Counts,
    /// Of what the scenario is about: the joins of a join storm, else from the end of the warm-up to the end.
    pub(crate) measured: Counts,
    /// Of what was heard while it was measured and after its end, and of what an open loop never heard. So the last messages of the warm-up are in it if they
    /// were heard when that was over.
    pub(crate) latency: Times,
    /// Of what was due before the storm, where there is one, whenever it was heard.
    pub(crate) calm: Times,
    /// The same of what was due since.
    storm: ByDue,
    pub(crate) late: Times,
    pub(crate) join: Times,
    pub(crate) page: Times,
    pub(crate) generator_cpu_ns: u64,
    /// Messages that somebody should have heard and didn't. `None` when that can't be known, because the server is gone
    /// or a worker.
    pub(crate) lost: Option<u64>,
    pub(crate) began_ns: u64,
    /// When all had joined.
    pub(crate) joined_ns: Option<u64>,
    /// What was measured, from and to.
    pub(crate) measured_ns: Option<(u64, u64)>,
    pub(crate) storm_ns: Option<u64>,
    /// When all were back from the storm.
    pub(crate) returned_ns: Option<u64>,
    pub(crate) server: Option<Watched>,
    /// How many sockets each worker had last.
    connected: Vec<u64>,
    /// The end of the last tick of each.
    told_ns: Vec<u64>,
    /// Workers that said nothing any more.
    silent: Vec<usize>,
    pending: BTreeMap<u64, Vec<Tick>>,
}

impl Outcome {
    pub(crate) fn new(plan: Plan, workers: usize, server: Option<Watched>) -> Self {
        Self {
            plan,
            workers,
            ended: Ended::Complete,
            seconds: Vec::new(),
            totals: Counts::default(),
            measured: Counts::default(),
            latency: Times::default(),
            calm: Times::default(),
            storm: ByDue::default(),
            late: Times::default(),
            join: Times::default(),
            page: Times::default(),
            generator_cpu_ns: 0,
            lost: None,
            began_ns: 0,
            joined_ns: None,
            measured_ns: None,
            storm_ns: None,
            returned_ns: None,
            server,
            connected: vec![0; workers],
            told_ns: vec![0; workers],
            silent: Vec::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Takes a worker's tick. Once all workers have told of a time it becomes a second, with what was before; who is late
    /// isn't waited for.
    pub(crate) fn add(&mut self, tick: Tick) {
        let end_ns = tick.end_ns;
        self.told_ns[tick.worker as usize] = end_ns;
        if self.seconds.iter().rev().any(|second| second.end_ns == end_ns) {
            return self.add_late(&tick);
        }
        let ticks = self.pending.entry(end_ns).or_default();
        ticks.push(tick);
        if ticks.len() >= self.workers {
            self.settle(end_ns);
        } else {
            self.settle(end_ns.saturating_sub(SILENCE_NS));
        }
    }

    /// A tick of a second that others have told of already. Its percentiles stay those of the others.
    fn add_late(&mut self, tick: &Tick) {
        self.count(tick);
        self.connected[tick.worker as usize] = tick.connected;
        let late = self.seconds.iter_mut().rev().find(|second| second.end_ns == tick.end_ns);
        if let Some(second) = late {
            let counts = &tick.counts;
            second.sent += counts.sent;
            second.deliveries += counts.deliveries;
            second.joins += counts.joins;
            second.pages += counts.pages;
            second.errors += counts.errors.values().sum::<u64>();
        }
    }

    /// Notes which workers have told nothing for long, of those who still had something to tell.
    pub(crate) fn note_silent(&mut self, now_ns: u64, done: &[bool]) {
        let silent =
            |&worker: &usize| !done[worker] && self.told_ns[worker].saturating_add(SILENCE_NS) < now_ns;
        self.silent = (0..self.workers).filter(silent).collect();
    }

    /// Makes seconds of what is there up to a time, whoever is missing.
    pub(crate) fn settle(&mut self, until_ns: u64) {
        let later = self.pending.split_off(&until_ns.saturating_add(1));
        for (_, ticks) in std::mem::replace(&mut self.pending, later) {
            self.put_together(&ticks);
        }
    }

    fn put_together(&mut self, ticks: &[Tick]) {
        let mut latency = Times::default();
        let mut counts = Counts::default();
        for tick in ticks {
            latency.add(&tick.latency);
            counts.add(&tick.counts);
            self.count(tick);
            self.connected[tick.worker as usize] = tick.connected;
        }
        let all = latency.summary();
        let (Some(begin_ns), Some(last)) = (ticks.iter().map(|tick| tick.begin_ns).min(), ticks.last())
        else {
            return;
        };
        self.seconds.push(Second {
            begin_ns,
            end_ns: last.end_ns,
            phase: ticks.iter().map(|tick| tick.phase).min().unwrap_or_default(),
            sent: counts.sent,
            deliveries: counts.deliveries,
            joins: counts.joins,
            pages: counts.pages,
            errors: counts.errors.values().sum(),
            connected: self.connected.iter().sum(),
            heard: all.count,
            p50_us: all.p50_us,
            p99_us: all.p99_us,
            max_us: all.max_us,
        });
    }

    /// Whether a phase is what the scenario is about.
    fn is_main(&self, phase: Phase) -> bool {
        match self.plan.end {
            End::Joined => phase == Phase::Join,
            _ => matches!(phase, Phase::Measure | Phase::Storm),
        }
    }

    /// When the workers' last words are missing, nothing was counted at the end: a rate is of the time before.
    pub(crate) fn cut_to_what_was_told(&mut self) {
        let main = self.seconds.iter().filter(|second| self.is_main(second.phase));
        let told_ns = main.map(|second| second.end_ns).max().unwrap_or(0);
        self.measured_ns =
            self.measured_ns.map(|(begin_ns, end_ns)| (begin_ns, end_ns.min(told_ns).max(begin_ns)));
    }

    fn count(&mut self, tick: &Tick) {
        self.totals.add(&tick.counts);
        self.join.add(&tick.join);
        let is_main = self.is_main(tick.phase);
        if is_main {
            self.measured.add(&tick.counts);
            self.generator_cpu_ns += tick.cpu_ns;
            self.late.add(&tick.late);
        }
        if is_main || tick.phase == Phase::Drain {
            self.page.add(&tick.page);
            self.latency.add(&tick.latency);
        }
        self.calm.add(&tick.calm);
        self.storm.add(&tick.storm);
    }

    /// The latency of what was due from the storm until all were back, since what is due after that isn't the storm's
    /// doing; or until the run was cut short, if that was before.
    pub(crate) fn meanwhile(&self) -> Times {
        let until_ns = self.returned_ns.or(self.measured_ns.map(|(_, end_ns)| end_ns)).unwrap_or(0);
        self.storm.before(until_ns.saturating_sub(self.storm_ns.unwrap_or(u64::MAX)))
    }

    /// There was a storm: the run got as far as that.
    pub(crate) fn stormed(&self) -> bool {
        let reached = |storm_ns| self.measured_ns.is_some_and(|(_, end_ns)| end_ns > storm_ns);
        self.storm_ns.is_some_and(reached)
    }

    /// From the storm until all were back, if they ever were.
    pub(crate) fn storm_length_ns(&self) -> Option<u64> {
        Some(self.returned_ns?.saturating_sub(self.storm_ns?))
    }

    /// How long the measuring took, in seconds.
    pub(crate) fn measured_s(&self) -> f64 {
        self.measured_ns.map_or(0.0, |(begin_ns, end_ns)| (end_ns - begin_ns) as f64 / SECOND_NS as f64)
    }

    /// So many a second of what was measured.
    pub(crate) fn per_s(&self, count: u64) -> f64 {
        let seconds = self.measured_s();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }

    /// Closes that are no part of the scenario: of who never reads only such as don't come of that. Who takes nothing for
    /// long may be closed without a word, which it wouldn't take either.
    fn unexpected_closes(&self) -> u64 {
        let of_slow = self.totals.slow_closes.iter().filter(|(code, _)| ![4001, 1006].contains(code));
        self.totals.closes.iter().chain(of_slow).map(|(_, count)| count).sum()
    }

    /// Sockets that the server closed, whoever's they were.
    pub(crate) fn all_closes(&self) -> u64 {
        self.totals.closes.values().chain(self.totals.slow_closes.values()).sum()
    }

    /// Nobody who never reads was closed for it, so the run says nothing of what it is about.
    fn nobody_was_slow(&self) -> bool {
        let complete = self.ended == Ended::Complete;
        complete && self.plan.slow_members() > 0 && self.totals.slow_closes.values().sum::<u64>() == 0
    }

    /// What speaks against the run, each a sentence. Without any the exit status is 0.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match &self.ended {
            Ended::Complete | Ended::Interrupted => {}
            Ended::ServerGone => faults.push(
                "The server is gone: nobody answers there any more. What was seen until then stands above; its log may say why."
                    .to_owned(),
            ),
            Ended::TooSlow => faults.push(
                "Not all came in within --join-timeout. Give them longer, or look at the errors above.".to_owned(),
            ),
            Ended::Failed(text) => faults.push(text.clone()),
        }
        if self.lost.is_none() && matches!(self.ended, Ended::Complete | Ended::Interrupted | Ended::TooSlow)
        {
            let silent: Vec<_> = self.silent.iter().map(|worker| (worker + 1).to_string()).collect();
            faults.push(match silent.as_slice() {
                [] => "What was lost isn't known: not every worker could say it in time.".to_owned(),
                [one] => format!(
                    "What was lost isn't known: worker {one} of {} stood still and told nothing more.",
                    self.workers
                ),
                several => format!(
                    "What was lost isn't known: the workers {} of {} stood still and told nothing more.",
                    several.join(", "),
                    self.workers
                ),
            });
        }
        let sentences = self.counted_faults().into_iter().filter(|(count, _)| *count > 0);
        faults.extend(sentences.map(|(count, what)| format!("{count} {what}.")));
        let closes = self.unexpected_closes();
        if closes > 0 {
            faults.push(format!("{closes} sockets were closed by the server or broke."));
        }
        if self.nobody_was_slow() {
            faults.push(TOO_LITTLE.to_owned());
        }
        faults
    }

    /// What may never happen, however seldom.
    fn counted_faults(&self) -> [(u64, &'static str); 13] {
        let totals = &self.totals;
        [
            (self.lost.unwrap_or(0), "messages were lost: said, and not heard by somebody in the group"),
            (totals.duplicated, "messages were duplicated"),
            (totals.reordered, "messages were reordered"),
            (totals.strays, "messages were of another group, another run or nobody"),
            (
                totals.altered,
                "messages weren't what was said: their text, id, time or author is another, or nobody said them",
            ),
            (
                totals.wrong_pages,
                "pages of history were wrong, each with an error that says what it was (page_…)",
            ),
            (totals.unanswered, "pages of history were asked for and never came"),
            (totals.refused, "messages or requests for history were refused: see the errors"),
            (totals.unknown, "frames were none that the protocol knows"),
            (
                totals.unsaid,
                "messages were not sent when they were due: their speakers weren't connected, or this tool had no time",
            ),
            (
                totals.unasked,
                "pages of history were not asked for when they were due, because their readers weren't connected or this \
                 tool had no time",
            ),
            (totals.absent, "members who should have been in at the end weren't: see the errors"),
            (
                totals.silent,
                "pings weren't answered within --pong-deadline or at the end: the server stood still or was far behind",
            ),
        ]
    }

    /// What to do about what slowed the run.
    pub(crate) fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if self.totals.errors.contains_key("rate_limited") {
            hints.push(if self.plan.paging.is_some() { PAGE_RATE } else { SEND_RATE }.to_owned());
        }
        if self.totals.unleft > 0 {
            let unleft = self.totals.unleft;
            hints.push(format!(
                "{unleft} times a member was to leave when all who may were away: lower --churn-rate or --away."
            ));
        }
        if self.totals.held_back > 0 {
            hints.push(REST_RATE.to_owned());
        }
        if self.totals.errors.keys().any(|error| error.ends_with(NO_PORT_LEFT)) {
            hints.push(PORTS.to_owned());
        }
        if !self.late.is_empty() && self.late.summary().p99_us > 5_000 {
            hints.push(
                "Messages left this tool late (see \"sent late\"): it hadn't enough processor. Give it more --workers, a \
                 processor of its own (--pin), or less to do."
                    .to_owned(),
            );
        }
        hints
    }
}

const TOO_LITTLE: &str = "No member who never reads was closed: less came for each of them than the server lets wait \
    (about a MiB, and 4 MiB or so that the kernel holds), so nothing was seen of what this is about. Raise --rate, --size or --duration.";

/// What to do when REST requests are held back.
pub(crate) const REST_RATE: &str = "The server holds REST requests back (429), so making members and joining take \
    longer: raise KIJIMUNA_REST_RATE there, 0 for no bound.";

/// How the name of an error ends when no local port was free.
pub(crate) const NO_PORT_LEFT: &str = "no_port_left";

const PORTS: &str = "This machine had no local port left for some connections. Those of connections that ended are free \
    again after a minute: wait for it, widen /proc/sys/net/ipv4/ip_local_port_range, or run the tool on several machines.";

const SEND_RATE: &str = "The server refused messages for their rate. Start it with KIJIMUNA_SEND_RATE=0 \
    (--send-rate 0), or let more members speak (--speakers).";

const PAGE_RATE: &str = "The server refused messages or pages for their rate. Start it with KIJIMUNA_SEND_RATE=0 \
    and KIJIMUNA_HISTORY_RATE=0 (--send-rate 0 --history-rate 0).";

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(worker: u32, end_s: u64) -> Tick {
        let counts = Counts { deliveries: 10, ..Counts::default() };
        let (begin_ns, end_ns) = ((end_s - 1) * SECOND_NS, end_s * SECOND_NS);
        Tick { worker, begin_ns, end_ns, counts, connected: 1, ..Tick::default() }
    }

    #[test]
    fn a_worker_that_stands_still_does_not_silence_the_others_and_is_named() {
        let mut outcome = Outcome::new(Plan::default(), 3, None);
        let told = |outcome: &Outcome| {
            outcome
                .seconds
                .iter()
                .map(|second| (second.end_ns / SECOND_NS, second.deliveries))
                .collect::<Vec<_>>()
        };
        (0..3).for_each(|worker| outcome.add(tick(worker, 1)));
        assert_eq!(told(&outcome), [(1, 30)]);
        for end_s in 2..=5 {
            (0..2).for_each(|worker| outcome.add(tick(worker, end_s)));
        }
        assert_eq!(told(&outcome), [(1, 30), (2, 20), (3, 20)], "two seconds are waited for it");
        outcome.note_silent(6 * SECOND_NS, &[true, false, false]);
        let faults = outcome.faults();
        assert!(faults.iter().any(|fault| fault.contains("worker 3 of 3 stood still")), "{faults:?}");
        // It goes on after all.
        (2..=6).for_each(|end_s| outcome.add(tick(2, end_s)));
        outcome.settle(u64::MAX);
        assert_eq!(told(&outcome), [(1, 30), (2, 30), (3, 30), (4, 30), (5, 30), (6, 10)]);
        assert_eq!(outcome.totals.deliveries, 160);
    }
}
