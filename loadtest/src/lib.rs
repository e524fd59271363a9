//! Drives thousands of sockets against a running deployment over its public API, and says how it did.
//!
//! In reading order: `scenario/` makes a [`plan`] of [`settings`]; the [`coordinator`] makes members over REST
//! ([`provision`]) and starts worker processes ([`crew`]), which the [`conductor`] conducts over a [`link`]; a [`worker`]
//! plays its share of the members in one event loop, with its own WebSocket ([`upgrade`], [`frames`]), speaks a [`dialect`],
//! reads what it is [`told`], looks whether that can be true ([`witness`], [`chronicle`], [`page`]) and keeps accounts ([`tally`]); the [`outcome`] puts together what they tell, `report/` writes it
//! down, and [`leftovers`] are deleted.
//!
//! It knows the server by its protocol alone, and nothing of the engine. What is public here is what a load generator for
//! other servers needs as well: `bench/compare` is one.

mod by_due;
mod chronicle;
pub mod clock;
mod conductor;
mod coordinator;
mod crew;
mod dialect;
mod errand;
pub mod frames;
mod gaps;
mod histogram;
pub mod http;
mod leftovers;
mod link;
pub mod message;
mod outcome;
mod page;
mod plan;
mod printable;
mod progress;
mod provision;
mod report;
mod rest;
mod scenario;
mod scenario_file;
mod schedule;
mod server;
mod settings;
pub mod tally;
mod target;
mod told;
mod trouble;
pub mod upgrade;
mod witness;
mod worker;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use clap::{Arg, ArgMatches, Command, value_parser};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::crew::WORKER;
use crate::outcome::Ended;
use crate::printable::printable_lines;
use crate::report::{Heading, files};
use crate::scenario::{SCENARIOS, Scenario, of_all_scenarios};
use crate::scenario_file::ScenarioFile;
use crate::settings::{Settings, SettingsError, flags};
use crate::trouble::Trouble;

const ABOUT: &str = "\
Drives thousands of sockets against a running Kijimuna deployment over its public API (REST to make members, WebSockets \
to chat), and says how it did. Every message is accounted for, live and in history: if one is lost, altered, comes twice \
or out of order, wasn't sent when it was due, or somebody isn't in at the end, the exit status is 1.";

const MORE: &str = "\
Build it with `cargo build --release -p kijimuna-loadtest`, which puts it beside the server into target/release. Begin like \
this; the first line starts a server that holds nobody back:
  kijimuna --listen 127.0.0.1:3010 --send-rate 0 --history-rate 0 --rest-rate 0
  kijimuna-loadtest fanout --groups 10 --members 100 --rate 500 --html fanout.html
  kijimuna-loadtest run loadtest/scenarios/mixed.toml --url http://chat.example:3010 --admin-key …

A message is altered when its text isn't what was said, of which a checksum is part, or its author, group or place isn't \
its own; and when its id or time isn't what others heard, or what was heard before in a page or live. Of that the last \
messages of each group are compared, in each worker by itself; whether the time is right nobody can know here.

Each scenario explains itself: kijimuna-loadtest help join-storm. To measure a server on the same machine, give each \
a processor of its own: taskset -c 0 kijimuna …, and here --pin 1.

A run makes a service (unless it is given one with --client and --secret), groups and users, and at its end deletes the \
groups with their messages and the users, for a minute at most; --keep leaves them. The service stays, since none can be \
deleted; so does everything if the run is ended before anybody has joined.

Against several nodes give all their URLs, with commas between. Each worker is at one of them; the members of a group are \
spread over all.

Sockets speak version 1 of the protocol, in which all goals are stated. With --protocol v2-json or v2-msgpack those of \
fanout, idle, join-storm and reconnect-storm speak version 2: each asks for the newest page when it is welcomed, says its \
messages without an id of its own, so without acks, and comes back with a new token and a page instead of a ticket.

Ctrl-C ends a run with the report of what was seen until then, and so do SIGTERM and SIGHUP; Ctrl-C twice ends it at once.

Exit status: 0 when all was well, 1 when something was lost, broke or couldn't begin, \
2 for a wrong command line or scenario file.";

/// The program, from its command line to its exit status.
pub fn main() -> ExitCode {
    let arguments = command().get_matches();
    let Some((name, flags)) = arguments.subcommand() else { return ExitCode::from(2) };
    let outcome = match name {
        WORKER => worker::work(flags.get_one::<i32>("coordinator").copied())
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| format!("a worker ended: {error}.").into()),
        "run" => run_file(flags),
        name => run_scenario(name, flags, None),
    };
    outcome.unwrap_or_else(|trouble: Trouble| {
        let _ = writeln!(io::stderr(), "kijimuna-loadtest: {}", printable_lines(&trouble.to_string()));
        trouble.exit_code()
    })
}

fn command() -> Command {
    let scenarios = SCENARIOS.iter().map(|scenario| {
        Command::new(scenario.name)
            .about(scenario.about)
            .after_help(scenario.more)
            .args(flags(scenario.keys))
            .next_help_heading("Common to all scenarios")
            .args(flags(&scenario.common_keys().collect::<Vec<_>>()))
    });
    let run = Command::new("run")
        .about("Run a scenario from a TOML file; flags win over its keys")
        .after_help(
            "The file has scenario = \"NAME\" and any of that scenario's flags as keys, such as churn-rate = 50 or\n\
             duration = \"30s\". The same flags may be given here, and win. Examples are in loadtest/scenarios.\n\
             kijimuna-loadtest run loadtest/scenarios/fanout.toml --rate 1000 --html fanout.html",
        )
        .arg(Arg::new("file").value_name("FILE.toml").required(true).value_parser(value_parser!(PathBuf)))
        .next_help_heading("Of the scenarios; a file takes those that its scenario has")
        .args(flags(&of_all_scenarios()));
    Command::new("kijimuna-loadtest")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(MORE)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(scenarios)
        .subcommand(run)
        .subcommand(
            Command::new(WORKER).hide(true).arg(Arg::new("coordinator").value_parser(value_parser!(i32))),
        )
}

fn run_file(flags: &ArgMatches) -> Result<ExitCode, Trouble> {
    let path = flags.get_one::<PathBuf>("file").expect("clap requires it");
    let file = ScenarioFile::read(path)?;
    let scenario = Scenario::named(&file.scenario).ok_or_else(|| unknown(path, &file.scenario))?;
    file.check(&scenario.all_keys())?;
    file.check_flags(&scenario.all_keys(), flags)?;
    run_scenario(&file.scenario, flags, Some(&file))
}

fn unknown(path: &Path, name: &str) -> SettingsError {
    let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    SettingsError::UnknownScenario {
        path: path.display().to_string(),
        name: name.to_owned(),
        known: known.join(", "),
    }
}

fn run_scenario(name: &str, flags: &ArgMatches, file: Option<&ScenarioFile>) -> Result<ExitCode, Trouble> {
    let scenario = Scenario::named(name).expect("clap and the file's reader let no other through");
    let settings = Settings::new(&scenario.all_keys(), flags, file);
    let plan = scenario.plan(&settings)?;
    let keep = settings.switch("keep")?;
    files::check(&settings).map_err(Trouble::Asked)?;
    let interrupted = end_by_signals().map_err(|error| format!("signals can't be caught: {error}."))?;
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let heading = Heading {
        scenario: scenario.name,
        about: scenario.about,
        settings: settings.shown(),
        began_unix_s: since_1970.as_secs(),
    };
    match coordinator::run(plan, &settings, &interrupted)? {
        Some((outcome, ground)) => {
            let told = files::write(&heading, &outcome, &settings, io::stdout().lock());
            // Nobody deletes anything at a server that is gone.
            if !keep && outcome.ended != Ended::ServerGone {
                leftovers::delete(ground, &interrupted);
            }
            told?;
            Ok(if outcome.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        None => Err(coordinator::nothing_ran().into()),
    }
}

/// The first Ctrl-C ends the run with its report, the second at once. What others send ends it with its report however
/// often it comes: a terminal that goes away, and a supervisor after it, mean no hurry.
fn end_by_signals() -> io::Result<Arc<AtomicBool>> {
    let (interrupted, again) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    // In this order: the one sees what an earlier Ctrl-C has set, the other sets it.
    signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&again))?;
    signal_hook::flag::register(SIGINT, again)?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}
