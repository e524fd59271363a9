//! What a process uses, as `/proc/PID/stat` has it.

use std::fs;
use std::io;

/// A process on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Process(String);

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
        Self(format!("/proc/{pid}/stat"))
    }

    pub(crate) fn own() -> Self {
        Self::of(std::process::id())
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let unreadable =
            || io::Error::new(io::ErrorKind::InvalidData, format!("{} can't be understood", self.0));
        parse(&fs::read_to_string(&self.0)?).ok_or_else(unreadable)
    }
}

fn parse(stat: &str) -> Option<Usage> {
    // The name may hold anything, spaces and brackets too; what follows its last bracket is fixed.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)?;
    let page_kib = rustix::param::page_size() as u64 / 1024;
    Some(Usage {
        cpu_us: ticks * 1_000_000 / rustix::param::clock_ticks_per_second(),
        rss_kib: number(21)? * page_kib,
    })
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
        let usage = parse(stat).unwrap();
        assert_eq!(usage.cpu_us, 400 * 1_000_000 / rustix::param::clock_ticks_per_second());
        assert_eq!(usage.rss_kib, 25 * rustix::param::page_size() as u64 / 1024);
    }
}
