//! The worker processes: this very program, started once for each with a hidden subcommand.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::link::{Order, Report};
use crate::worker::PortRange;

/// The hidden subcommand.
pub(crate) const WORKER: &str = "worker";
/// Descriptors of a process that aren't sockets of members.
const OWN_DESCRIPTORS: u64 = 150;
/// How long a worker may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// The workers.
pub(crate) struct Crew {
    workers: Vec<Worker>,
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
        Ok(Self { workers, news })
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
    pub(crate) fn listen(&self, time: Duration) -> News {
        match self.news.recv_timeout(time) {
            Ok(Some(report)) => News::Report(report),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => News::Ended,
            Err(RecvTimeoutError::Timeout) => News::Nothing,
        }
    }
}

impl Drop for Crew {
    /// Nothing of a run stays behind.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.orders = None;
        }
        let mut running = self.workers.len();
        while running > 0 {
            match self.news.recv_timeout(FAREWELL) {
                Ok(Some(_)) => {}
                Ok(None) => running -= 1,
                Err(_) => break,
            }
        }
        for worker in &mut self.workers {
            let _ = worker.process.kill();
            let _ = worker.process.wait();
        }
    }
}

/// Raises the limit of descriptors as far as it goes; the workers inherit it. Says how many sockets one may hold.
pub(crate) fn sockets_per_worker() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::from(u32::MAX));
    u32::try_from(descriptors.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(u32::MAX)
}

/// How many workers to start, one of them for the quiet members, or why that won't do.
pub(crate) fn size(members: u32, quiet: u32, asked: Option<u32>, per_worker: u32) -> Result<u32, String> {
    if per_worker == 0 {
        return Err(
            "this process may hold too few files to open a socket: raise the limit with `ulimit -n`."
                .to_owned(),
        );
    }
    let needed = (members - quiet).div_ceil(per_worker).max(1) + u32::from(quiet > 0);
    match asked {
        // Few may be played by one, at a price: the quiet ones are measured less well.
        Some(asked) if asked < needed && members > asked.saturating_mul(per_worker) => Err(format!(
            "--workers {asked} can't hold {members} sockets: a process may have {per_worker} of them (`ulimit -n`). Raise \
             that limit, or let it be --workers {needed}."
        )),
        Some(asked) => Ok(asked.min(members).max(1)),
        None => Ok(needed),
    }
}

/// From how many source addresses to connect so that so many sockets find ports, twice over, because those of closed
/// ones rest for a minute; 0 when the system's choice will do. Or why they can't be had.
pub(crate) fn sources(members: u32, loopback_v4: bool) -> Result<u32, String> {
    let ports = u32::from(PortRange::read().count);
    match loopback_v4 {
        true if members < ports / 3 => Ok(0),
        true => Ok((members.saturating_mul(2)).div_ceil(ports) + 1),
        false if members < ports => Ok(0),
        false => Err(format!(
            "{members} sockets to one address need more ports than this machine has for it ({ports}): widen \
             /proc/sys/net/ipv4/ip_local_port_range, or run the tool on several machines."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_workers_as_the_sockets_need() {
        assert_eq!(size(1_000, 0, None, 19_850), Ok(1));
        assert_eq!(size(20_000, 0, None, 19_850), Ok(2));
        assert_eq!(size(2, 0, Some(8), 19_850), Ok(2), "a worker without members has nothing to do");
        assert_eq!(size(1_000, 20, None, 19_850), Ok(2), "one for the quiet ones");
        let error = size(40_000, 0, Some(2), 19_850).unwrap_err();
        assert!(error.contains("--workers 3") && error.contains("ulimit -n"), "{error}");
    }
}
