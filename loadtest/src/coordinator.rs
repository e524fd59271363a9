//! A run from beginning to end: makes members, starts workers, lets them go, and puts together what they tell.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::{MILLISECOND_NS, SECOND_NS, now_ns};
use crate::crew::{self, Crew, News};
use crate::link::{Order, Report, Said};
use crate::outcome::{Ended, Outcome, REST_RATE};
use crate::plan::{Assignment, Credentials, End, Plan, Target};
use crate::progress::{Progress, thousands};
use crate::provision::{self, Access};
use crate::schedule::scatter;
use crate::server::Watched;
use crate::settings::Settings;
use crate::target;

/// What keeps a run from beginning, as a sentence that says what to do.
pub(crate) type Trouble = String;

/// From the order to go until all workers have surely read it.
const RUN_UP_NS: u64 = 100 * MILLISECOND_NS;
/// How often to look at the server's process.
const LOOK_NS: u64 = 200 * MILLISECOND_NS;
/// After all are back from a storm.
const CALM_NS: u64 = SECOND_NS;
/// How long workers may take for their last words.
const LAST_WORDS_NS: u64 = 60 * SECOND_NS;

/// Does a run. `None` when it was interrupted before anybody joined.
pub(crate) fn run(
    plan: Plan,
    settings: &Settings,
    interrupted: &Arc<AtomicBool>,
) -> Result<Option<Outcome>, Trouble> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let target = target::read(settings.text("url").unwrap_or_default()).map_err(|error| text(&error))?;
    let asked = settings.count_if_set("workers").map_err(|error| text(&error))?;
    let join_timeout_ns = settings.time_ns("join-timeout").map_err(|error| text(&error))?;
    let pid = settings.count_if_set("pid").map_err(|error| text(&error))?;
    let processors = processors(settings.text("pin"))?;
    let quiet = plan.quiet_members();
    let workers = crew::size(plan.members(), quiet, asked, crew::sockets_per_worker())?;
    let loopback_v4 = target.address.is_ipv4() && target.address.ip().is_loopback();
    let sources = crew::sources(plan.members(), loopback_v4)?;
    let mut progress = Progress::new();
    let run = run_id();
    let credentials = provision::service(&target, access(settings)?).map_err(|error| text(&error))?;
    let server = Watched::find(pid, target.address)?;
    if !populate(&target, &credentials, run, &plan, &mut progress, interrupted)? {
        return Ok(None);
    }
    let mut crew = Crew::start(workers).map_err(|error| format!("the workers can't be started: {error}."))?;
    for worker in 0..workers {
        let processor = processors.get(worker as usize % processors.len().max(1)).copied();
        let (target, credentials, plan) = (target.clone(), credentials.clone(), plan.clone());
        let assignment = Assignment { plan, run, target, credentials, worker, workers, sources, processor };
        crew.order_one(worker as usize, &Order::Prepare(Box::new(assignment)));
    }
    let outcome = Outcome::new(plan, crew.count(), server);
    let conductor = Conductor::new(crew, outcome, progress, target, Arc::clone(interrupted), join_timeout_ns);
    Ok(Some(conductor.conduct()))
}

/// Another one for each run, so that runs can share a service.
fn run_id() -> u32 {
    let mixed = scatter(now_ns() ^ u64::from(std::process::id()) << 40);
    u32::try_from(mixed >> 32).expect("32 bits")
}

fn access(settings: &Settings) -> Result<Access, Trouble> {
    let own = |name| settings.text(name).map(str::to_owned);
    let credentials = match (own("client"), own("secret")) {
        (Some(client), Some(secret)) => Some(Credentials { client, secret }),
        (None, None) => None,
        _ => {
            return Err(
                "--client and --secret belong together: pass both, or neither for a new service.".to_owned()
            );
        }
    };
    Ok(Access { admin_key: own("admin-key"), credentials })
}

fn processors(pin: Option<&str>) -> Result<Vec<usize>, Trouble> {
    let Some(pin) = pin else { return Ok(Vec::new()) };
    let there = std::thread::available_parallelism().map_or(1, usize::from).max(1);
    let parsed: Option<Vec<usize>> = pin.split(',').map(|number| number.trim().parse().ok()).collect();
    parsed.filter(|numbers| numbers.iter().all(|&number| number < 1024)).ok_or_else(|| {
        format!("--pin is {pin:?}: it must be processors such as 1 or 0,1; this machine has {there}.")
    })
}

/// False when it was interrupted.
fn populate(
    target: &Target,
    credentials: &Credentials,
    run: u32,
    plan: &Plan,
    progress: &mut Progress,
    interrupted: &AtomicBool,
) -> Result<bool, Trouble> {
    let mut warned = false;
    let watch = |made: provision::Made| {
        progress.made(made);
        if made.held_back > 0 && !std::mem::replace(&mut warned, true) {
            progress.say(REST_RATE);
        }
        !interrupted.load(Ordering::Relaxed)
    };
    provision::populate(target, credentials, run, plan, watch).map_err(|error| error.to_string())?;
    progress.end();
    Ok(!interrupted.load(Ordering::Relaxed))
}

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

struct Conductor {
    crew: Crew,
    outcome: Outcome,
    progress: Progress,
    target: Target,
    interrupted: Arc<AtomicBool>,
    join_timeout_ns: u64,
    act: Act,
    ready: usize,
    returned: usize,
    said: Vec<Said>,
    said_by: usize,
    done: usize,
    /// Workers whose processes have ended.
    ended: usize,
    /// When the act ends if nothing else ends it.
    until_ns: u64,
    looked_ns: u64,
    /// How often in a row nobody answered at the target.
    unanswered: u32,
    shown: usize,
}

impl Conductor {
    fn new(
        crew: Crew,
        outcome: Outcome,
        progress: Progress,
        target: Target,
        interrupted: Arc<AtomicBool>,
        join_timeout_ns: u64,
    ) -> Self {
        Self {
            crew,
            outcome,
            progress,
            target,
            interrupted,
            join_timeout_ns,
            act: Act::Joining,
            ready: 0,
            returned: 0,
            said: Vec::new(),
            said_by: 0,
            done: 0,
            ended: 0,
            until_ns: u64::MAX,
            looked_ns: 0,
            unanswered: 0,
            shown: 0,
        }
    }

    fn conduct(mut self) -> Outcome {
        self.look();
        let base_ns = now_ns();
        self.outcome.began_ns = base_ns;
        self.until_ns = base_ns + self.join_timeout_ns;
        self.crew.order(&Order::Join { base_ns });
        while self.done < self.crew.count() {
            let now_ns = now_ns();
            let next_ns = self.until_ns.min(self.looked_ns + LOOK_NS).saturating_sub(now_ns);
            match self.crew.listen(Duration::from_nanos(next_ns)) {
                News::Report(report) => self.handle_report(report),
                // A worker that has said its last word ends.
                News::Ended if self.ended < self.done => self.ended += 1,
                News::Ended => {
                    self.fail(
                        "A worker process ended too early; its own words are above, if it had any."
                            .to_owned(),
                    );
                    break;
                }
                News::Nothing => {}
            }
            if !self.handle_time() {
                break;
            }
        }
        self.outcome.settle(u64::MAX);
        self.show();
        self.progress.end();
        if self.outcome.measured_ns.is_none() {
            self.outcome.measured_ns = Some((base_ns, now_ns()));
        }
        self.outcome
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
                let last_ns = self.outcome.returned_ns.unwrap_or(0).max(at_ns);
                self.outcome.returned_ns = Some(last_ns);
                if self.returned == self.crew.count() {
                    self.until_ns = now_ns() + CALM_NS;
                }
            }
            Report::Said(said) => {
                self.said.extend(said);
                self.said_by += 1;
                if self.said_by == self.crew.count() && self.act == Act::Summing {
                    self.act = Act::Draining;
                    let alive = self.outcome.ended != Ended::ServerGone;
                    self.crew.order(&Order::Expect { said: std::mem::take(&mut self.said), alive });
                }
            }
            Report::Done { lost } => {
                self.outcome.lost += lost;
                self.done += 1;
            }
            Report::Failed { text } => {
                self.done += 1;
                self.fail(text);
            }
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
        if running && self.interrupted.load(Ordering::Relaxed) {
            self.progress.say("Ending. Once more Ctrl-C ends it at once.");
            self.stop(Ended::Interrupted);
        } else if running && self.unanswered >= 3 {
            self.stop(Ended::ServerGone);
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
        self.outcome.ended = ended;
        if let Some((begin_ns, end_ns)) = self.outcome.measured_ns {
            self.outcome.measured_ns = Some((begin_ns.min(now_ns), end_ns.min(now_ns)));
        }
        self.act = Act::Summing;
        self.until_ns = now_ns + LAST_WORDS_NS;
        self.crew.order(&Order::Stop);
    }

    fn fail(&mut self, text: String) {
        if !matches!(self.outcome.ended, Ended::Failed(_)) {
            self.stop(Ended::Failed(text));
            // The others have nothing to wait for either.
            self.until_ns = now_ns() + SECOND_NS;
        }
    }

    /// Looks at the server: what it uses, and whether it answers at all.
    fn look(&mut self) {
        self.looked_ns = now_ns();
        if let Some(server) = &mut self.outcome.server {
            server.look();
        }
        // Only when sockets were closed or couldn't be opened: a knock is a connection, too.
        let totals = &self.outcome.totals;
        let trouble =
            !totals.closes.is_empty() || totals.errors.keys().any(|code| code.ends_with("_refused"));
        if trouble && matches!(self.act, Act::Joining | Act::Running) {
            let answers = TcpStream::connect_timeout(&self.target.address, Duration::from_secs(1)).is_ok();
            self.unanswered = if answers { 0 } else { self.unanswered + 1 };
        }
    }

    /// Shows the seconds that are new.
    fn show(&mut self) {
        let members = self.outcome.plan.members();
        for second in &self.outcome.seconds[self.shown..] {
            // Where a phase ends there are short ones, of which rates would say little.
            if second.length_s() >= 0.5 {
                self.progress.second(second, self.outcome.began_ns, members);
            }
        }
        self.shown = self.outcome.seconds.len();
    }
}

/// What is left to say when a run was interrupted before it began.
pub(crate) fn nothing_ran() -> String {
    format!("Ended before anybody joined: {} messages were sent.", thousands(0.0))
}
