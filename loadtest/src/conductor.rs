//! Conducts the workers through a run: lets them join, go and stop, looks whether the server is still there, and puts
//! together what they tell.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::{MILLISECOND_NS, SECOND_NS, now_ns};
use crate::crew::{Crew, News};
use crate::link::{Order, Report, Said};
use crate::outcome::{Ended, Outcome};
use crate::plan::End;
use crate::progress::Progress;

/// From the order to go until all workers have surely read it.
const RUN_UP_NS: u64 = 100 * MILLISECOND_NS;
/// How often to look at the server's process.
const LOOK_NS: u64 = 200 * MILLISECOND_NS;
/// How often in a row nobody may answer before the server is taken for gone.
const UNANSWERED_MAX: u32 = 3;
/// After all are back from a storm.
const CALM_NS: u64 = SECOND_NS;
/// How long workers may take for their last words.
const LAST_WORDS_NS: u64 = 60 * SECOND_NS;
/// The same after Ctrl-C, and when it comes while they are at it.
const HURRIED_WORDS_NS: u64 = 15 * SECOND_NS;
const CUT_OFF_WORDS_NS: u64 = 2 * SECOND_NS;

/// Where a run is, as the coordinator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Joining,
    Running,
    /// Stopped; the workers tell what was said.
    Summing,
    /// The workers hear out what is under way.
    Draining,
}

/// Everything that a run consists of while it goes on.
pub(crate) struct Conductor {
    crew: Crew,
    outcome: Outcome,
    progress: Progress,
    nodes: Vec<SocketAddr>,
    interrupted: Arc<AtomicBool>,
    join_timeout_ns: u64,
    act: Act,
    ready: usize,
    returned: usize,
    /// When the last of those was back who are.
    returned_ns: u64,
    said: Vec<Said>,
    said_by: usize,
    done: usize,
    /// Who has said its last word.
    done_by: Vec<bool>,
    /// Messages that somebody should have heard and didn't, as the workers tell.
    lost: u64,
    /// Somebody knows what was said and heard it out.
    lost_is_known: bool,
    /// Ctrl-C has been seen to.
    hurried: bool,
    /// Workers whose processes have ended.
    ended: usize,
    /// Workers that gave up or ended too early. They are done, too.
    gone: usize,
    /// When the act ends if nothing else ends it.
    until_ns: u64,
    looked_ns: u64,
    /// How often in a row no node answered.
    unanswered: u32,
    shown: usize,
}

impl Conductor {
    pub(crate) fn new(
        crew: Crew,
        outcome: Outcome,
        progress: Progress,
        nodes: Vec<SocketAddr>,
        interrupted: Arc<AtomicBool>,
        join_timeout_ns: u64,
    ) -> Self {
        Self {
            done_by: vec![false; crew.count()],
            crew,
            outcome,
            progress,
            nodes,
            interrupted,
            join_timeout_ns,
            act: Act::Joining,
            ready: 0,
            returned: 0,
            returned_ns: 0,
            said: Vec::new(),
            said_by: 0,
            done: 0,
            lost: 0,
            lost_is_known: false,
            hurried: false,
            ended: 0,
            gone: 0,
            until_ns: u64::MAX,
            looked_ns: 0,
            unanswered: 0,
            shown: 0,
        }
    }

    /// From the first join to the last word.
    pub(crate) fn conduct(mut self) -> Outcome {
        self.look();
        let base_ns = now_ns();
        self.outcome.began_ns = base_ns;
        self.until_ns = base_ns + self.join_timeout_ns;
        self.crew.order(&Order::Join { base_ns });
        while !self.is_all_told() {
            let now_ns = now_ns();
            let next_ns = self.until_ns.min(self.looked_ns + LOOK_NS).saturating_sub(now_ns);
            match self.crew.listen(Duration::from_nanos(next_ns)) {
                News::Report(report) => self.handle_report(report),
                // A worker that has said its last word ends.
                News::Ended if self.ended < self.done => self.ended += 1,
                News::Ended => {
                    self.ended += 1;
                    self.lose_one(
                        "A worker process ended too early; its own words are above, if it had any."
                            .to_owned(),
                    );
                }
                News::Nothing => {}
            }
            if !self.handle_time() {
                break;
            }
        }
        self.outcome.settle(u64::MAX);
        self.look_a_last_time();
        let known = self.lost_is_known && self.outcome.ended != Ended::ServerGone;
        if known && self.done == self.crew.count() {
            self.outcome.lost = Some(self.lost);
        }
        self.outcome.note_silent(now_ns(), &self.done_by);
        self.show();
        // What a worker tells late comes after what others told of later.
        self.outcome.seconds.sort_by_key(|second| second.end_ns);
        self.progress.end();
        match self.outcome.measured_ns {
            None => self.outcome.measured_ns = Some((base_ns, now_ns())),
            Some(_) => self.outcome.cut_to_what_was_told(),
        }
        self.outcome
    }

    /// Nobody is left who has something to say. Once a worker is gone nobody can know what was lost, so the others have
    /// said all when they have said what was said.
    fn is_all_told(&self) -> bool {
        let of_others =
            self.gone > 0 && self.act == Act::Summing && self.said_by + self.gone >= self.crew.count();
        of_others || self.done >= self.crew.count()
    }

    fn handle_report(&mut self, report: Report) {
        match report {
            Report::Tick(tick) => {
                self.outcome.add(*tick);
                self.show();
            }
            Report::Ready => {
                self.ready += 1;
                if self.ready == self.crew.count() && self.act == Act::Joining {
                    self.all_are_in();
                }
            }
            Report::Returned { at_ns } => {
                self.returned += 1;
                self.returned_ns = self.returned_ns.max(at_ns);
                if self.returned == self.crew.count() {
                    self.outcome.returned_ns = Some(self.returned_ns);
                    self.until_ns = now_ns() + CALM_NS;
                }
            }
            Report::Said(said) => {
                self.said.extend(said);
                self.said_by += 1;
                if self.said_by == self.crew.count() && self.gone == 0 && self.act == Act::Summing {
                    self.act = Act::Draining;
                    let alive = self.outcome.ended != Ended::ServerGone;
                    self.lost_is_known = alive;
                    self.crew.order(&Order::Expect { said: std::mem::take(&mut self.said), alive });
                }
            }
            Report::Refused(speakers) => self.crew.order(&Order::Refused(speakers)),
            Report::Done { worker, lost } => {
                self.done_by[worker as usize] = true;
                self.lost += lost;
                self.done += 1;
            }
            Report::Failed { text } => self.lose_one(text),
        }
    }

    fn all_are_in(&mut self) {
        let now_ns = now_ns();
        self.look();
        self.outcome.joined_ns = Some(now_ns);
        if self.outcome.plan.end == End::Joined {
            self.outcome.measured_ns = Some((self.outcome.began_ns, now_ns));
            return self.stop(Ended::Complete);
        }
        let start_ns = now_ns + RUN_UP_NS;
        let measure_ns = start_ns + self.outcome.plan.warmup_ns;
        let end_ns = self.outcome.plan.duration_ns().map(|duration_ns| start_ns + duration_ns);
        self.act = Act::Running;
        self.outcome.measured_ns = Some((measure_ns, end_ns.unwrap_or(u64::MAX)));
        self.outcome.storm_ns = self.outcome.plan.storm_after_ns.map(|after_ns| measure_ns + after_ns);
        self.until_ns =
            end_ns.unwrap_or_else(|| self.outcome.storm_ns.unwrap_or(measure_ns) + self.join_timeout_ns);
        self.crew.order(&Order::Go { start_ns, measure_ns, end_ns });
    }

    /// False when there is nothing more to wait for.
    fn handle_time(&mut self) -> bool {
        let now_ns = now_ns();
        if now_ns >= self.looked_ns + LOOK_NS {
            self.look();
        }
        let running = matches!(self.act, Act::Joining | Act::Running);
        if self.interrupted.load(Ordering::Relaxed) && !std::mem::replace(&mut self.hurried, true) {
            self.progress.say("Ending. Once more Ctrl-C ends it at once.");
            if running {
                self.stop(Ended::Interrupted);
            } else {
                self.until_ns = self.until_ns.min(now_ns + CUT_OFF_WORDS_NS);
            }
        } else if running && self.unanswered >= UNANSWERED_MAX {
            self.stop(Ended::ServerGone);
        } else if self.unanswered >= UNANSWERED_MAX && self.may_go() {
            self.outcome.ended = Ended::ServerGone;
            // Whoever is still at it waits for what won't come. The others hear of it when they are told what was said.
            if self.act == Act::Draining {
                self.crew.order(&Order::Gone);
            }
        } else if now_ns >= self.until_ns {
            match self.act {
                Act::Joining => self.stop(Ended::TooSlow),
                Act::Running
                    if self.outcome.plan.end == End::Returned && self.returned < self.crew.count() =>
                {
                    self.stop(Ended::TooSlow);
                }
                Act::Running => self.stop(Ended::Complete),
                Act::Summing | Act::Draining => return false,
            }
        }
        true
    }

    /// Ends the run; what is under way is heard out.
    fn stop(&mut self, ended: Ended) {
        let now_ns = now_ns();
        self.look();
        // Whoever hadn't joined yet when it was cut short isn't waited for.
        let finish = match ended {
            Ended::Complete => true,
            Ended::Interrupted | Ended::TooSlow => self.act == Act::Running,
            Ended::ServerGone | Ended::Failed(_) => false,
        };
        let words_ns = if ended == Ended::Complete { LAST_WORDS_NS } else { HURRIED_WORDS_NS };
        self.outcome.ended = ended;
        if let Some((begin_ns, end_ns)) = self.outcome.measured_ns {
            self.outcome.measured_ns = Some((begin_ns.min(now_ns), end_ns.min(now_ns)));
        }
        self.act = Act::Summing;
        self.until_ns = now_ns + words_ns;
        self.crew.order(&Order::Stop { finish });
    }

    /// A worker says nothing more, and of the others what they have until now is wanted.
    fn lose_one(&mut self, text: String) {
        self.done += 1;
        self.gone += 1;
        self.lost_is_known = false;
        if matches!(self.outcome.ended, Ended::Failed(_)) {
            return;
        }
        match self.act {
            Act::Joining | Act::Running => self.stop(Ended::Failed(text)),
            Act::Summing | Act::Draining => self.outcome.ended = Ended::Failed(text),
        }
        // They have nothing to wait for either.
        self.until_ns = now_ns() + SECOND_NS;
    }

    /// Looks at the server: what it uses, and whether it answers at all.
    fn look(&mut self) {
        self.looked_ns = now_ns();
        if let Some(server) = &mut self.outcome.server {
            server.look();
        }
        if self.is_trouble() && self.may_go() {
            let knock = |node| TcpStream::connect_timeout(node, Duration::from_secs(1)).is_ok();
            let answers = self.nodes.iter().any(knock);
            self.unanswered = if answers { 0 } else { self.unanswered + 1 };
        }
    }

    /// Sockets were closed or couldn't be opened. Only then is it asked whether anybody is there: a knock is a
    /// connection, too.
    fn is_trouble(&self) -> bool {
        let refused = |code: &String| code.ends_with("_refused");
        self.outcome.all_closes() > 0 || self.outcome.totals.errors.keys().any(refused)
    }

    /// That the server is gone would be news, and no worker's fault.
    fn may_go(&self) -> bool {
        matches!(self.outcome.ended, Ended::Complete | Ended::Interrupted | Ended::TooSlow)
    }

    /// All is told, and the server may have gone in the last moment.
    fn look_a_last_time(&mut self) {
        while self.is_trouble() && self.may_go() {
            self.look();
            match self.unanswered {
                0 => return,
                UNANSWERED_MAX.. => self.outcome.ended = Ended::ServerGone,
                _ => thread::park_timeout(Duration::from_nanos(LOOK_NS)),
            }
        }
    }

    /// Shows the seconds that are new.
    fn show(&mut self) {
        let members = self.outcome.plan.members();
        let cut_short = self.outcome.ended != Ended::Complete;
        for second in &self.outcome.seconds[self.shown..] {
            // Where a phase ends there are short ones, of which rates would say little.
            if second.length_s() >= 0.5 {
                self.progress.second(second, self.outcome.began_ns, members, cut_short);
            }
        }
        self.shown = self.outcome.seconds.len();
    }
}
