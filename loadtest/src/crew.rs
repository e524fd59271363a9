//! The worker processes: this very program, started once for each with a hidden subcommand.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::link::{Order, Report};
use crate::plan::Target;
use crate::trouble::Trouble;

/// The hidden subcommand.
pub(crate) const WORKER: &str = "worker";
/// Descriptors of a worker that aren't sockets of members.
const OWN_DESCRIPTORS: u64 = 150;
/// Descriptors of the coordinator that aren't pipes to workers: before those are there it makes members, over so many
/// connections.
const COORDINATOR_DESCRIPTORS: u64 = 100;
/// Pipes to a worker: its orders and its reports.
const PIPES: u64 = 2;
/// Sockets of a worker, however many descriptors it may have.
const SOCKETS_MAX: u32 = 18_000;
/// Workers that may be asked for, if the sockets don't need more.
const WORKERS_MAX: u32 = 64;
/// How long the workers may take to end by themselves, all together.
const FAREWELL: Duration = Duration::from_secs(2);

/// The workers.
pub(crate) struct Crew {
    workers: Vec<Worker>,
    /// Those whose end hasn't been heard.
    running: usize,
    news: Receiver<Option<Report>>,
}

struct Worker {
    process: Child,
    /// Closed, it tells the worker to end.
    orders: Option<ChildStdin>,
}

/// What came from the workers.
pub(crate) enum News {
    Report(Report),
    /// One has ended.
    Ended,
    /// Nothing within the time.
    Nothing,
}

impl Crew {
    /// Starts so many.
    pub(crate) fn start(count: u32) -> io::Result<Self> {
        let (sender, news) = mpsc::channel();
        let mut workers = Vec::new();
        for _ in 0..count {
            let mut process = Command::new(std::env::current_exe()?)
                .arg(WORKER)
                // Whose death is its own.
                .arg(std::process::id().to_string())
                // What is sent to the tool's group, by a terminal or a supervisor, is the coordinator's to heed: a
                // worker that died of it would take what it has measured with it.
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (orders, reports) = (process.stdin.take(), process.stdout.take());
            workers.push(Worker { process, orders });
            let sender = sender.clone();
            let reports = reports.ok_or(io::ErrorKind::BrokenPipe)?;
            thread::spawn(move || {
                let lines = BufReader::new(reports).lines().map_while(Result::ok);
                for report in lines.map_while(|line| serde_json::from_str(&line).ok()) {
                    if sender.send(Some(report)).is_err() {
                        return;
                    }
                }
                let _ = sender.send(None);
            });
        }
        Ok(Self { running: workers.len(), workers, news })
    }

    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// Gives all the same order. Who has ended doesn't hear it; its end is news of its own.
    pub(crate) fn order(&mut self, order: &Order) {
        for worker in 0..self.workers.len() {
            self.order_one(worker, order);
        }
    }

    /// Gives one an order.
    pub(crate) fn order_one(&mut self, worker: usize, order: &Order) {
        let mut line = serde_json::to_string(order).expect("orders have string keys");
        line.push('\n');
        if let Some(orders) = &mut self.workers[worker].orders {
            let _ = orders.write_all(line.as_bytes());
        }
    }

    /// Waits for what comes next.
    pub(crate) fn listen(&mut self, time: Duration) -> News {
        match self.news.recv_timeout(time) {
            Ok(Some(report)) => News::Report(report),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => {
                self.running = self.running.saturating_sub(1);
                News::Ended
            }
            Err(RecvTimeoutError::Timeout) => News::Nothing,
        }
    }
}

impl Drop for Crew {
    /// Nothing of a run stays behind, and nothing waits for those who still have something to tell.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.orders = None;
        }
        let until = Instant::now() + FAREWELL;
        while self.running > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || matches!(self.listen(left), News::Nothing) {
                break;
            }
        }
        for worker in &mut self.workers {
            let _ = worker.process.kill();
            let _ = worker.process.wait();
        }
    }
}

/// Raises the limit of descriptors as far as it goes, and says how far that is; the workers inherit it.
pub(crate) fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::from(u32::MAX))
}

/// How many sockets a worker may hold with so many descriptors: more, or more than one event loop can serve in time,
/// are several workers' work.
fn sockets_of(descriptors: u64) -> u32 {
    u32::try_from(descriptors.saturating_sub(OWN_DESCRIPTORS))
        .map_or(SOCKETS_MAX, |sockets| sockets.min(SOCKETS_MAX))
}

/// How many workers to start, one of them for the quiet members, or why that won't do with so many descriptors.
pub(crate) fn size(members: u32, quiet: u32, asked: Option<u32>, descriptors: u64) -> Result<u32, Trouble> {
    let per_worker = sockets_of(descriptors);
    if per_worker == 0 {
        return Err(format!(
            "a process may hold {descriptors} files open here, which is too few for a socket: raise the limit with \
             `ulimit -Hn` to {} or more.",
            OWN_DESCRIPTORS + 1
        )
        .into());
    }
    let workers = workers(members, quiet, asked, per_worker)?;
    let held = COORDINATOR_DESCRIPTORS + PIPES * u64::from(workers);
    if held > descriptors {
        return Err(format!(
            "{members} sockets take {workers} workers here, since a process may hold only {descriptors} files open \
             (`ulimit -Hn`), and the pipes to so many are too many for that, too: raise the limit. With {} one worker has \
             room for {SOCKETS_MAX} sockets.",
            u64::from(SOCKETS_MAX) + OWN_DESCRIPTORS
        )
        .into());
    }
    Ok(workers)
}

fn workers(members: u32, quiet: u32, asked: Option<u32>, per_worker: u32) -> Result<u32, Trouble> {
    let needed = (members - quiet).div_ceil(per_worker).max(1) + u32::from(quiet > 0);
    match asked {
        Some(asked) if asked > WORKERS_MAX.max(needed) => Err(Trouble::Asked(format!(
            "--workers {asked} are too many: a worker is a process that wants a processor. At most {} make sense here.",
            WORKERS_MAX.max(needed)
        ))),
        // Few may be played by one, at a price: the quiet ones are measured less well.
        Some(asked)
            if asked < needed && per_worker == SOCKETS_MAX && members > asked.saturating_mul(per_worker) =>
        {
            Err(Trouble::Asked(format!(
                "--workers {asked} can't hold {members} sockets: one worker serves {SOCKETS_MAX} of them at most. Let it be \
                 --workers {needed}."
            )))
        }
        Some(asked) if asked < needed && members > asked.saturating_mul(per_worker) => {
            Err(Trouble::Asked(format!(
                "--workers {asked} can't hold {members} sockets: a process may have {per_worker} of them (`ulimit -Hn`). Raise \
             that limit, or let it be --workers {needed}."
            )))
        }
        Some(asked) => Ok(asked.min(members).max(1)),
        None => Ok(needed),
    }
}

/// So many workers that every node has one at least, beside the one of the quiet members.
pub(crate) fn at_each(
    targets: &[Target],
    workers: u32,
    quiet: u32,
    asked: Option<u32>,
) -> Result<u32, Trouble> {
    let needed = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    let loud = workers - u32::from(quiet > 0 && workers > 1);
    match asked {
        _ if loud >= needed => Ok(workers),
        Some(asked) => Err(Trouble::Asked(format!(
            "--workers {asked} are too few for {needed} nodes in --url: each worker is at one of them, beside the one for \
             the quiet group if there is one."
        ))),
        None => Ok(workers - loud + needed),
    }
}

/// The node that a worker is at. Who plays quiet members is at the first.
pub(crate) fn target(targets: &[Target], worker: u32, quiet: u32) -> &Target {
    let among_the_loud = worker.saturating_sub(u32::from(quiet > 0));
    &targets[among_the_loud as usize % targets.len()]
}

/// From how many source addresses to connect so that so many sockets find ports fast, twice over, because those of
/// closed ones rest for a minute; 0 when the system's choice will do. Or why they can't be had.
pub(crate) fn sources(members: u32, loopback_v4: bool) -> Result<u32, String> {
    let ports = local_ports();
    // The system's search for a free port is long once half of an address' ports are taken.
    let comfortable = (ports / 4).max(1);
    match loopback_v4 {
        true if members < comfortable => Ok(0),
        true => Ok((members.saturating_mul(2)).div_ceil(comfortable)),
        false if members < ports => Ok(0),
        false => Err(format!(
            "{members} sockets to one address need more ports than this machine has for it ({ports}): widen \
             /proc/sys/net/ipv4/ip_local_port_range, or run the tool on several machines."
        )),
    }
}

/// How many ports connections may start from; as Linux has it by default where that can't be read.
fn local_ports() -> u32 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().map_while(|end| end.parse::<u16>().ok());
    match (ends.next(), ends.next()) {
        (Some(first), Some(last)) if first < last => u32::from(last - first),
        _ => 28_231,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_goes_on_telling_is_waited_for_no_longer_than_a_silent_one() {
        let mut process = Command::new("sleep").arg("600").stdin(Stdio::piped()).spawn().unwrap();
        let orders = process.stdin.take();
        let (sender, news) = mpsc::sync_channel(0);
        thread::spawn(move || while sender.send(Some(Report::Ready)).is_ok() {});
        let crew = Crew { workers: vec![Worker { process, orders }], running: 1, news };
        let since = Instant::now();
        drop(crew);
        assert!(since.elapsed() < FAREWELL * 3, "{:?}", since.elapsed());
    }

    #[test]
    fn a_worker_holds_no_more_than_it_can_serve_whatever_the_limit_is() {
        assert_eq!(sockets_of(1_024), 874);
        assert_eq!(sockets_of(1_048_576), SOCKETS_MAX);
        assert_eq!(sockets_of(u64::MAX), SOCKETS_MAX);
        assert_eq!(size(30_000, 0, None, 1_048_576), Ok(2));
    }

    #[test]
    fn the_coordinator_must_hold_the_pipes_to_all_workers() {
        // 50 sockets a worker, and room for 50 workers.
        assert_eq!(size(2_500, 0, None, 200), Ok(50));
        let error = size(2_501, 0, None, 200).unwrap_err().to_string();
        assert!(error.contains("51 workers") && error.contains("ulimit -Hn"), "{error}");
        let error = size(100, 0, Some(60), 200).unwrap_err().to_string();
        assert!(error.contains("60 workers"), "{error}");
        let error = size(1, 0, None, 150).unwrap_err().to_string();
        assert!(error.contains("151 or more"), "{error}");
    }

    #[test]
    fn every_node_has_a_worker() {
        let targets =
            crate::target::read_all("http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:3", "--url")
                .unwrap();
        assert_eq!(at_each(&targets, 1, 0, None), Ok(3));
        assert_eq!(at_each(&targets, 2, 5, None), Ok(4), "and the quiet ones have theirs");
        assert_eq!(at_each(&targets, 7, 0, None), Ok(7));
        assert!(
            at_each(&targets, 2, 0, Some(2))
                .unwrap_err()
                .to_string()
                .contains("--workers 2 are too few for 3 nodes")
        );
        let ports =
            |quiet| (0..4).map(|worker| target(&targets, worker, quiet).address.port()).collect::<Vec<_>>();
        assert_eq!((ports(0), ports(5)), (vec![1, 2, 3, 1], vec![1, 1, 2, 3]));
    }

    #[test]
    fn many_sockets_come_from_addresses_of_their_own() {
        assert_eq!(sources(100, true), Ok(0));
        let addresses = sources(100_000, true).unwrap();
        assert!(100_000 / addresses < local_ports() / 4, "{addresses}");
        assert!(sources(100_000, false).unwrap_err().contains("ip_local_port_range"));
    }

    #[test]
    fn there_are_as_many_workers_as_the_sockets_need() {
        assert_eq!(size(1_000, 0, None, 20_000), Ok(1));
        assert_eq!(size(20_000, 0, None, 20_000), Ok(2));
        assert_eq!(size(2, 0, Some(8), 20_000), Ok(2), "a worker without members has nothing to do");
        assert_eq!(size(1_000, 20, None, 20_000), Ok(2), "one for the quiet ones");
        let error = size(1_000_000, 0, Some(5_000), 20_000).unwrap_err().to_string();
        assert!(error.contains("--workers 5000") && error.contains("At most 64"), "{error}");
        let error = size(4_000, 0, Some(2), 1_650).unwrap_err().to_string();
        assert!(error.contains("--workers 3") && error.contains("ulimit -Hn"), "{error}");
        let error = size(25_000, 0, Some(1), 20_000).unwrap_err().to_string();
        assert!(error.contains("--workers 2") && !error.contains("ulimit"), "no limit would help: {error}");
    }
}
