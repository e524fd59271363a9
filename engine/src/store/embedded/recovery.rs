//! What a crash or damage left. fjall cuts a torn end off its journal, which is right, and what follows a corrupted
//! middle, too, silently; so after a crash every log is walked and must be dense from where it begins. After a clean
//! stop it is enough that the journals are as they were, see [`mark`](super::mark).

use std::time::{Duration, Instant};

use super::tables::Tables;
use super::{keys, log};
use crate::domain::ids::{GroupUid, Seq};
use crate::store::StoreError;

/// Places of a log that are not in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// The group.
    pub group: GroupUid,
    /// The first place that is missing.
    pub from: Seq,
    /// The next place that is there.
    pub to: Seq,
}

/// What was found at opening.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// Whether the last process closed the directory and nothing has happened to it since, or it is new. If so
    /// no log was walked.
    pub clean: bool,
    /// Journals that aren't as they were when the last process closed the directory. What they held and the tables
    /// don't is lost, from the damage on; at the end of a log that leaves no hole.
    pub damaged: Vec<String>,
    /// Logs that were walked.
    pub groups: u64,
    /// Messages in them.
    pub messages: u64,
    /// Other events in them.
    pub events: u64,
    /// What is missing. Empty is as it should be.
    pub holes: Vec<Hole>,
    /// How long the walk took.
    pub took: Duration,
}

/// Walks every log unless the directory was closed cleanly and is as it was then.
pub(super) fn inspect(tables: &Tables) -> Result<OpenReport, StoreError> {
    let started = Instant::now();
    let (clean, damaged) = (tables.was_clean, tables.damaged.clone());
    let mut report = OpenReport { clean, damaged, ..OpenReport::default() };
    if tables.was_clean {
        return Ok(report);
    }
    let mut last: Option<(GroupUid, Seq)> = None;
    for row in log::all(tables) {
        let row = row?;
        let expected = match last {
            Some((same, before)) if same == row.group => before.next(),
            // What was kept long enough is gone, so a log may begin anywhere.
            _ => {
                report.groups += 1;
                row.seq
            }
        };
        // A group that is being removed loses its messages first, and then the rest.
        if row.seq != expected && !tables.trash.contains_key(keys::of_group(row.group))? {
            report.holes.push(Hole { group: row.group, from: expected, to: row.seq });
        }
        *(if row.is_message { &mut report.messages } else { &mut report.events }) += 1;
        last = Some((row.group, row.seq));
    }
    report.took = started.elapsed();
    Ok(report)
}
