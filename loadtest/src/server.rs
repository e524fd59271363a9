//! The server's process, when it is on this machine: what it uses, read from /proc.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::Serialize;

use crate::clock::{cpu_of_ns, now_ns};

/// The server's processes, one for each node that is on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    processes: Vec<Process>,
}

#[derive(Debug, Clone)]
struct Process {
    pid: u32,
    samples: Vec<Sample>,
}

/// What one had used at a moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    pub(crate) at_ns: u64,
    pub(crate) cpu_us: u64,
    pub(crate) rss_kib: u64,
}

impl Watched {
    /// The processes that were named at a place, or those that listen there.
    pub(crate) fn find(pids: &[u32], place: &str, addresses: &[SocketAddr]) -> Result<Option<Self>, String> {
        if let Some(pid) = pids.iter().find(|pid| sample(**pid).is_none()) {
            return Err(format!(
                "{place} has {pid}: there is no such process on this machine that can be looked at."
            ));
        }
        let mut found = pids.to_vec();
        if pids.is_empty() {
            let here = addresses.iter().filter(|address| address.ip().is_loopback());
            found.extend(here.filter_map(|address| listener(*address)));
        }
        found.sort_unstable();
        found.dedup();
        let processes: Vec<_> = found.into_iter().map(|pid| Process { pid, samples: Vec::new() }).collect();
        Ok((!processes.is_empty()).then_some(Self { processes }))
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.pid).collect()
    }

    /// Looks at them now. Nothing is noted of one that is gone.
    pub(crate) fn look(&mut self) {
        for process in &mut self.processes {
            process.samples.extend(sample(process.pid));
        }
    }

    /// The processor time that they took between two moments, in microseconds.
    pub(crate) fn cpu_us(&self, begin_ns: u64, end_ns: u64) -> f64 {
        let each = self.processes.iter().map(|process| process.cpu_at(end_ns) - process.cpu_at(begin_ns));
        each.map(|cpu_us| cpu_us.max(0.0)).sum()
    }

    /// The memory they had at a moment, in KiB.
    pub(crate) fn rss_kib(&self, at_ns: u64) -> u64 {
        self.processes.iter().map(|process| process.rss_kib(at_ns)).sum()
    }
}

impl Process {
    /// Between two samples the use is taken for steady.
    fn cpu_at(&self, at_ns: u64) -> f64 {
        let after = self.samples.partition_point(|sample| sample.at_ns < at_ns);
        match (after.checked_sub(1).and_then(|before| self.samples.get(before)), self.samples.get(after)) {
            (Some(before), Some(after)) => {
                let part = (at_ns - before.at_ns) as f64 / (after.at_ns - before.at_ns) as f64;
                before.cpu_us as f64 + part * (after.cpu_us - before.cpu_us) as f64
            }
            (Some(only), None) | (None, Some(only)) => only.cpu_us as f64,
            (None, None) => 0.0,
        }
    }

    fn rss_kib(&self, at_ns: u64) -> u64 {
        let after = self.samples.partition_point(|sample| sample.at_ns <= at_ns);
        self.samples.get(after.saturating_sub(1)).map_or(0, |sample| sample.rss_kib)
    }
}

fn sample(pid: u32) -> Option<Sample> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, spaces and brackets too; what follows its last bracket is fixed.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let pages: u64 = fields.get(21)?.parse().ok()?;
    // A process that has ended and isn't reaped has no memory.
    let page_kib = rustix::param::page_size() as u64 / 1024;
    let cpu_ns = cpu_of_ns(pid)?;
    (pages > 0).then(|| Sample { at_ns: now_ns(), cpu_us: cpu_ns / 1_000, rss_kib: pages * page_kib })
}

/// The process that listens at an address: by the socket's inode, as `ss -lp` finds it.
fn listener(address: SocketAddr) -> Option<u32> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inode = listening_inode(&tables.concat(), address)?;
    let socket = format!("socket:[{inode}]");
    let holds = |fds: &Path| {
        let Ok(fds) = fs::read_dir(fds) else { return false };
        fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|process| Some((process.file_name().to_str()?.parse().ok()?, process.path())))
        .find(|(_, path)| holds(&path.join("fd")))
        .map(|(pid, _)| pid)
}

/// The socket that gets what is sent to an address: one that listens just there, or else at all addresses.
fn listening_inode(tables: &str, address: SocketAddr) -> Option<u64> {
    const LISTEN: &str = "0A";
    let listeners = tables.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (local, port) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == LISTEN && u16::from_str_radix(port, 16) == Ok(address.port());
        let inode = fields.get(9)?.parse().ok()?;
        listens.then_some((read_address(local)?, inode))
    });
    let listeners: Vec<(IpAddr, u64)> = listeners.collect();
    let at =
        |is: &dyn Fn(IpAddr) -> bool| listeners.iter().find(|(local, _)| is(*local)).map(|(_, inode)| *inode);
    // Who listens to all of version 6 mostly gets version 4, too.
    at(&|local| local.to_canonical() == address.ip().to_canonical())
        .or_else(|| at(&|local| local.is_unspecified() && local.is_ipv4() == address.is_ipv4()))
        .or_else(|| at(&|local| local.is_unspecified() && local.is_ipv6()))
}

/// An address as the kernel's tables have it: words of 32 bits in hexadecimal, each in the machine's own order.
fn read_address(hexadecimal: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for begin in (0..hexadecimal.len()).step_by(8) {
        let word = u32::from_str_radix(hexadecimal.get(begin..begin + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_port() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut found =
            Watched::find(&[], "--pid", &[listening.local_addr().unwrap()]).unwrap().expect("it listens");
        assert_eq!(found.pids(), [std::process::id()]);
        found.look();
        assert!(found.rss_kib(now_ns()) > 100);
    }

    /// A line of the kernel's table for one that listens, or for a connection.
    fn line(address: &str, port: u16, state: &str, inode: u64) -> String {
        format!(
            "  0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode}\n"
        )
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn who_listens_at_another_address_is_not_the_server() {
        let (one, two, all) = ("0100007F", "0200007F", "00000000");
        let (all_6, mapped) = ("00000000000000000000000000000000", "0000000000000000FFFF00000100007F");
        let found = |lines: &[String]| listening_inode(&lines.concat(), "127.0.0.1:3010".parse().unwrap());
        assert_eq!(
            found(&[line(two, 3010, "0A", 7), line(one, 3010, "01", 8), line(one, 3011, "0A", 9)]),
            None
        );
        assert_eq!(found(&[line(two, 3010, "0A", 7), line(one, 3010, "0A", 8)]), Some(8));
        assert_eq!(found(&[line(all, 3010, "0A", 7), line(one, 3010, "0A", 8)]), Some(8), "the nearest");
        assert_eq!(found(&[line(two, 3010, "0A", 7), line(all, 3010, "0A", 8)]), Some(8));
        assert_eq!(found(&[line(all_6, 3010, "0A", 8)]), Some(8));
        assert_eq!(found(&[line(mapped, 3010, "0A", 8)]), Some(8));
    }

    #[test]
    fn use_between_samples_is_taken_for_steady() {
        let at = |at_ns, cpu_us| Sample { at_ns, cpu_us, rss_kib: cpu_us };
        let process = Process { pid: 1, samples: vec![at(100, 0), at(200, 50), at(300, 50)] };
        let watched = Watched { processes: vec![process.clone()] };
        assert!((watched.cpu_us(100, 150) - 25.0).abs() < 0.001);
        let two = Watched { processes: vec![process.clone(), process] };
        assert!((two.cpu_us(100, 150) - 50.0).abs() < 0.001, "of all of them");
        assert!((watched.cpu_us(0, 1_000) - 50.0).abs() < 0.001);
        assert_eq!((watched.rss_kib(250), watched.rss_kib(50)), (50, 0));
    }
}
