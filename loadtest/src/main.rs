//! Drives thousands of sockets against a running deployment over its public API, and says how it did.
//!
//! In reading order: `scenario/` makes a [`plan`] of [`settings`]; the [`coordinator`] makes members over REST
//! ([`provision`]), starts worker processes ([`crew`]) and conducts them over a [`link`]; a [`worker`] plays its share
//! of the members in one event loop, with its own WebSocket ([`upgrade`], [`frames`]) and accounts ([`tally`]);
//! the [`outcome`] puts together what they tell, and `report/` writes it down.
//!
//! It knows the server by its protocol alone, and nothing of the engine.

mod clock;
mod coordinator;
mod crew;
mod frames;
mod histogram;
mod http;
mod link;
mod message;
mod outcome;
mod plan;
mod progress;
mod provision;
mod report;
mod rest;
mod scenario;
mod schedule;
mod server;
mod settings;
mod tally;
mod target;
mod upgrade;
mod worker;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use clap::{Arg, ArgMatches, Command, value_parser};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::crew::WORKER;
use crate::outcome::Outcome;
use crate::report::{Heading, html, json, table};
use crate::scenario::{SCENARIOS, Scenario};
use crate::settings::{COMMON, ScenarioFile, Settings, SettingsError, flags};

const ABOUT: &str = "\
Drives thousands of sockets against a running Kijimuna deployment over its public API (REST to make members, WebSockets \
to chat), and says how it did. Every message is accounted for: if one is lost, comes twice or out of order, the exit \
status is 1.";

const MORE: &str = "\
Begin like this; the first line starts a server that holds nobody back:
  kijimuna --listen 127.0.0.1:3010 --send-rate 0 --rest-rate 0
  kijimuna-loadtest fanout --groups 10 --members 100 --rate 500 --html fanout.html
  kijimuna-loadtest run loadtest/scenarios/mixed.toml --url http://chat.example:3010 --admin-key …

Each scenario explains itself: kijimuna-loadtest help join-storm. To measure a server on the same machine, give each \
a processor of its own: taskset -c 0 kijimuna …, and here --pin 1.

Exit status: 0 when all was well, 1 when something was lost, broke or couldn't begin, 2 for a wrong command line.";

fn main() -> ExitCode {
    let arguments = command().get_matches();
    let Some((name, flags)) = arguments.subcommand() else { return ExitCode::from(2) };
    let outcome = match name {
        WORKER => {
            worker::work().map(|()| ExitCode::SUCCESS).map_err(|error| format!("a worker ended: {error}."))
        }
        "run" => run_file(flags),
        name => run_scenario(name, flags, &BTreeMap::new()),
    };
    outcome.unwrap_or_else(|trouble| {
        let _ = writeln!(io::stderr(), "kijimuna-loadtest: {trouble}");
        ExitCode::FAILURE
    })
}

fn command() -> Command {
    let scenarios = SCENARIOS.iter().map(|scenario| {
        Command::new(scenario.name)
            .about(scenario.about)
            .after_help(scenario.more)
            .args(flags(scenario.keys))
            .next_help_heading("Common to all scenarios")
            .args(flags(COMMON))
    });
    let run = Command::new("run")
        .about("Run a scenario from a TOML file; flags win over its keys")
        .after_help(
            "The file has scenario = \"NAME\" and any of that scenario's flags as keys, such as churn-rate = 50 or\n\
             duration = \"30s\". Examples are in loadtest/scenarios.",
        )
        .arg(Arg::new("file").value_name("FILE.toml").required(true).value_parser(value_parser!(PathBuf)))
        .args(flags(COMMON));
    Command::new("kijimuna-loadtest")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(MORE)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(scenarios)
        .subcommand(run)
        .subcommand(Command::new(WORKER).hide(true))
}

fn run_file(flags: &ArgMatches) -> Result<ExitCode, String> {
    let path = flags.get_one::<PathBuf>("file").expect("clap requires it");
    let read = || -> Result<ScenarioFile, SettingsError> {
        let file = ScenarioFile::read(path)?;
        let scenario = Scenario::named(&file.scenario).ok_or_else(|| unknown(path, &file.scenario))?;
        file.check(path, &scenario.all_keys())?;
        Ok(file)
    };
    let file = read().map_err(|error| error.to_string())?;
    run_scenario(&file.scenario, flags, &file.keys)
}

fn unknown(path: &Path, name: &str) -> SettingsError {
    let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    SettingsError::UnknownScenario {
        path: path.display().to_string(),
        name: name.to_owned(),
        known: known.join(", "),
    }
}

fn run_scenario(name: &str, flags: &ArgMatches, file: &BTreeMap<String, String>) -> Result<ExitCode, String> {
    let scenario = Scenario::named(name).expect("clap and the file's reader let no other through");
    let settings = Settings::new(&scenario.all_keys(), flags, file);
    let plan = scenario.plan(&settings).map_err(|error| error.to_string())?;
    let interrupted = end_by_signals().map_err(|error| format!("signals can't be caught: {error}."))?;
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let heading = Heading {
        scenario: scenario.name,
        about: scenario.about,
        settings: settings.shown(),
        began_unix_s: since_1970.as_secs(),
    };
    match coordinator::run(plan, &settings, &interrupted)? {
        Some(outcome) => tell(&heading, &outcome, &settings),
        None => Err(coordinator::nothing_ran()),
    }
}

/// The first Ctrl-C ends the run with its report, the second at once.
fn end_by_signals() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the one sees what earlier signals have set, the other sets it.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted))?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}

fn tell(heading: &Heading, outcome: &Outcome, settings: &Settings) -> Result<ExitCode, String> {
    let written = |path: &Path, result: io::Result<()>| {
        result.map_err(|error| format!("{} can't be written: {error}.", path.display()))
    };
    table::write(heading, outcome, io::stdout().lock()).map_err(|error| error.to_string())?;
    if let Some(path) = settings.path("json") {
        let value = json::value(heading, outcome);
        written(&path, std::fs::write(&path, format!("{value:#}\n")))?;
    }
    if let Some(path) = settings.path("html") {
        written(&path, std::fs::write(&path, html::page(heading, outcome)))?;
    }
    Ok(if outcome.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
