//! Runs our server and others, each on a core of its own, under the same load from this process, and writes one table.
//! `bench/compare` builds and installs what this needs.
//!
//! In reading order: `cores` says who runs where; `peers` starts a server, `dialect` and `kijimuna` speak its language; `lane` lets members in, the
//! `crowd` listens and speaks, the `ledger` accounts for every message; `measure` puts a server under a load, and
//! `results` writes it down.

mod cores;
mod crowd;
mod dialect;
mod frames;
mod kijimuna;
mod lane;
mod ledger;
mod measure;
mod peers;
mod process;
mod results;
mod stamp;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cores::Cores;
use crate::dialect::Layout;
use crate::measure::{Load, Pace, Talk};
use crate::peers::{Peer, Place, said};
use crate::results::Results;

const ABOUT: &str = "\
Puts our server and others under the same load and prints what each delivery costs, as a multiple of a floor that is \
measured in the same round. Begin with bench/compare, which builds and installs what this needs.";

fn main() -> ExitCode {
    let Err(error) = compare() else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "kijimuna-compare: {error}.");
    ExitCode::FAILURE
}

fn compare() -> io::Result<()> {
    let arguments = command().get_matches();
    raise_descriptors()?;
    let comparison = Comparison::new(&arguments)?;
    let (mut results, peers) = comparison.able();
    for round in 0..comparison.rounds {
        comparison.round(round, &peers, &mut results)?;
    }
    let names: Vec<_> = comparison.loads.iter().map(|load| load.name).collect();
    let table = results.table(&names);
    writeln!(io::stdout(), "{table}")?;
    if let Some(path) = arguments.get_one::<PathBuf>("results") {
        results::keep(path, &(comparison.heading(&peers) + &table))?;
    }
    Ok(())
}

fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("NUMBER")
            .default_value(default)
            .value_parser(value_parser!(u32))
            .help(help)
    };
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf)).help(help)
    };
    let names = Peer::ALL.map(Peer::key);
    Command::new("kijimuna-compare")
        .about(ABOUT)
        .args_override_self(true)
        .arg(number("rounds", "3", "How often everything is run; each figure is the median"))
        .arg(number("seconds", "5", "How long each run is measured, after a second of warming up"))
        .arg(number("window", "16", "Messages under way in each group when a server is saturated"))
        .arg(number("idle", "10000", "Sockets that join and stay silent, in groups of 100; 0 for none"))
        .arg(number("core", "0", "The core that servers run on"))
        .arg(
            Arg::new("generator-core")
                .long("generator-core")
                .value_name("NUMBER")
                .value_parser(value_parser!(u32))
                .help("The core that the load comes from [default: the first that isn't the servers']"),
        )
        .arg(
            Arg::new("only")
                .long("only")
                // Said twice, both are meant; of all else the last wins.
                .action(ArgAction::Append)
                .value_name("NAMES")
                .value_delimiter(',')
                .value_parser(names)
                .help("Servers to run, with commas between; the floor should be one of them"),
        )
        .arg(
            Arg::new("load")
                .long("load")
                .action(ArgAction::Append)
                .value_name("NAMES")
                .value_delimiter(',')
                .value_parser(loads(1).map(|load| load.key))
                .help("Loads to put on them, with commas between; all when absent"),
        )
        .arg(path("scratch", "Where the peers' packages, logs and data are").default_value("target/compare"))
        .arg(path("results", "The file whose table is replaced; the notes around it stay"))
}

/// What is to be done.
struct Comparison {
    place: Place,
    peers: Vec<Peer>,
    loads: Vec<Load>,
    rounds: u32,
    pace: Pace,
    window: u32,
    idle: Layout,
}

impl Comparison {
    fn new(arguments: &ArgMatches) -> io::Result<Self> {
        let number = |name: &str| *arguments.get_one::<u32>(name).expect("it has a default");
        let cores = Cores::take(number("core"), arguments.get_one::<u32>("generator-core").copied())?;
        let scratch = arguments.get_one::<PathBuf>("scratch").expect("it has a default");
        fs::create_dir_all(scratch)?;
        let own = env::current_exe()?;
        let binaries = own.parent().expect("a file is in a folder").to_owned();
        let chosen = |list: &str, key: &str| is_chosen(arguments, list, key);
        Ok(Self {
            place: Place { binaries, scratch: fs::canonicalize(scratch)?, cores },
            peers: Peer::ALL.into_iter().filter(|peer| chosen("only", peer.key())).collect(),
            loads: loads(number("window").max(1))
                .into_iter()
                .filter(|load| chosen("load", load.key))
                .collect(),
            rounds: number("rounds").max(1),
            pace: Pace {
                warmup: Duration::from_secs(1),
                measured: Duration::from_secs(u64::from(number("seconds").max(1))),
            },
            window: number("window").max(1),
            idle: Layout { groups: number("idle") / 100, members: 100 },
        })
    }

    /// Who can be run here. Who can't is named in the results.
    fn able(&self) -> (Results, Vec<(Peer, String)>) {
        let (mut results, mut able) = (Results::default(), Vec::new());
        for &peer in &self.peers {
            match peer.version(&self.place) {
                Ok(version) => able.push((peer, version)),
                Err(why) => results.troubles.push(format!("{} was not run: {why}.", peer.title())),
            }
        }
        (results, able)
    }

    /// Everything once. All peers take turns, so that a machine that drifts does so for all of them.
    fn round(&self, round: u32, peers: &[(Peer, String)], results: &mut Results) -> io::Result<()> {
        let mut out = io::stderr();
        for load in &self.loads {
            for &(peer, _) in peers {
                writeln!(out, "round {} of {}: {}, {}", round + 1, self.rounds, load.name, peer.key())?;
                match measure::deliver(peer, &self.place, *load, self.pace, round) {
                    Ok(delivered) => {
                        writeln!(out, "  {delivered:.3?}")?;
                        results.delivered.push((load.name, round, peer, delivered));
                    }
                    Err(error) => self.trouble(results, peer, load.name, &error)?,
                }
            }
        }
        for &(peer, _) in peers.iter().filter(|_| self.idle.groups > 0) {
            writeln!(out, "round {} of {}: idle, {}", round + 1, self.rounds, peer.key())?;
            match measure::idle(peer, &self.place, self.idle) {
                Ok(idled) => {
                    writeln!(out, "  {idled:.3?}")?;
                    results.idled.push((peer, idled));
                }
                Err(error) => self.trouble(results, peer, "idle", &error)?,
            }
        }
        Ok(())
    }

    fn trouble(&self, results: &mut Results, peer: Peer, load: &str, error: &io::Error) -> io::Result<()> {
        let trouble = format!("{} failed under {load}: {error}.", peer.title());
        writeln!(io::stderr(), "  {trouble}")?;
        results.troubles.push(trouble);
        Ok(())
    }

    /// What one has to know to read the table.
    fn heading(&self, peers: &[(Peer, String)]) -> String {
        let versions: Vec<_> = peers.iter().map(|(_, version)| version.as_str()).collect();
        let changed = said("git", &["diff", "--quiet", "HEAD", "--", "engine", "api", "bench/src"]).is_none();
        let commit = said("git", &["rev-parse", "--short", "HEAD"]).unwrap_or("unknown".to_owned());
        let date = said("date", &["-u", "+%F %H:%M UTC"]).unwrap_or_default();
        let arguments: Vec<_> = env::args().skip(1).collect();
        format!(
            "`bench/compare`, {date}, commit {commit}{}, on {}.\n\n\
             The server is pinned to core {}, the generator to core {}; a message is {} bytes of text. Kijimuna stores \
             everything durably, checks tokens and tells rosters; the others store nothing. Medians of {} rounds of {} s \
             each, multiples of the floor of the same round; `heard`, `lost` and `doubled` are sums. Saturated is a closed \
             loop with {} messages under way in each group. A join is token, upgrade, roster and history for Kijimuna, an \
             upgrade (and a subscription) for the others: {} sockets in groups of {}, group after group. Versions: {}. \
             Arguments: `{}`.\n\n",
            if changed { " with changes" } else { "" },
            machine(),
            self.place.cores.server,
            self.place.cores.generator,
            stamp::SIZE,
            self.rounds,
            self.pace.measured.as_secs(),
            self.window,
            self.idle.total(),
            self.idle.members,
            versions.join(", "),
            arguments.join(" "),
        )
    }
}

/// Whether a list that was given names it, or none was.
fn is_chosen(arguments: &ArgMatches, list: &str, key: &str) -> bool {
    arguments.get_many::<String>(list).is_none_or(|mut keys| keys.any(|chosen| chosen == key))
}

fn loads(window: u32) -> [Load; 3] {
    let (large, small) = (Layout { groups: 1, members: 1_000 }, Layout { groups: 10, members: 100 });
    [
        Load { key: "large", name: "1 × 1,000, saturated", layout: large, talk: Talk::Closed { window } },
        Load { key: "small", name: "10 × 100, saturated", layout: small, talk: Talk::Closed { window } },
        Load {
            key: "open",
            name: "10 × 100, 50,000/s open loop",
            layout: small,
            talk: Talk::Open { per_s: 500, speakers: 10 },
        },
    ]
}

/// Ten thousand sockets are ten thousand descriptors, here and in the servers that are started from here.
fn raise_descriptors() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Processor, cores, memory and kernel.
fn machine() -> String {
    let line = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = said("nproc", &["--all"]).unwrap_or_default();
    let kernel = said("uname", &["-sr"]).unwrap_or_default();
    let memory_kib: u64 =
        line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    format!("{cores} cores of {}, {} GiB, {kernel}", line("/proc/cpuinfo", "model name"), memory_kib >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_given_twice_is_one() {
        let words = ["compare", "--only", "floor,ws", "--rounds", "2", "--only", "kijimuna", "--rounds", "1"];
        let arguments = command().get_matches_from(words);
        let peers = Peer::ALL.into_iter().filter(|peer| is_chosen(&arguments, "only", peer.key()));
        assert_eq!(peers.collect::<Vec<_>>(), [Peer::Floor, Peer::Kijimuna, Peer::Ws]);
        assert_eq!(arguments.get_one::<u32>("rounds"), Some(&1));
        assert!(
            loads(1).iter().all(|load| is_chosen(&arguments, "load", load.key)),
            "without a list all are"
        );
    }
}
