//! What a process uses: memory as `/proc/PID/stat` has it, and time by its own clock.

use std::fs;
use std::io;

use kijimuna_loadtest::clock::cpu_of_ns;

/// A process on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Process(u32);

/// What it uses at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Of all its threads, user and system, in microseconds.
    pub(crate) cpu_us: u64,
    /// Resident memory.
    pub(crate) rss_kib: u64,
}

impl Process {
    pub(crate) fn of(pid: u32) -> Self {
        Self(pid)
    }

    pub(crate) fn own() -> Self {
        Self::of(std::process::id())
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let file = format!("/proc/{}/stat", self.0);
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, format!("{file} can't be understood"));
        let rss_kib = rss_kib(&fs::read_to_string(&file)?).ok_or_else(unreadable)?;
        let cpu_ns = cpu_of_ns(self.0).ok_or(io::ErrorKind::NotFound)?;
        Ok(Usage { cpu_us: cpu_ns / 1_000, rss_kib })
    }
}

fn rss_kib(stat: &str) -> Option<u64> {
    // The name may hold anything, spaces and brackets too; what follows its last bracket is fixed.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let pages: u64 = fields.get(21)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64 / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let own = Process::own().usage().unwrap();
        assert!(own.rss_kib > 100);
        let stat =
            "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 300 100 0 0 20 0 1 0 5 9000 25 18446744073709551615";
        assert_eq!(rss_kib(stat), Some(25 * rustix::param::page_size() as u64 / 1024));
    }
}
