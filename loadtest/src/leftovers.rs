//! What a run leaves behind: groups and users, with all that was said. They are deleted at its end unless they are to be
//! kept, as far as that goes in a bounded time; reports are there before.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::errand::unless;
use crate::progress::{Progress, thousands};
use crate::provision::{Ground, Made};

/// How long all of it may take.
const TIME_MAX: Duration = Duration::from_secs(60);
/// How long nothing may be deleted before the server is left alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Deletes what a run left behind. A signal ends it, whether or not one has ended the run.
pub(crate) fn delete(ground: Ground, interrupted: &AtomicBool) {
    interrupted.store(false, Ordering::Relaxed);
    let mut progress = Progress::new();
    let of = ground.plan.groups.len() + ground.plan.members() as usize;
    let (begun, done, moved) = (Instant::now(), Cell::new(0), Cell::new(Instant::now()));
    let enough = || {
        let stuck = moved.get().elapsed() >= PATIENCE || begun.elapsed() >= TIME_MAX;
        stuck || interrupted.load(Ordering::Relaxed)
    };
    let ended = unless(
        enough,
        move |messenger| ground.forget(|made| messenger.tell(made)).map_err(|error| error.to_string()),
        |made: Made| {
            if made.done > done.replace(made.done) {
                moved.set(Instant::now());
            }
            progress.forgotten(made);
        },
    );
    progress.end();
    if let Some(why) = why_some_stay(ended) {
        let left = thousands(of.saturating_sub(done.get() as usize) as f64);
        let _ =
            writeln!(io::stderr(), "Some {left} groups and users of the run stay in the deployment: {why}");
    }
}

fn why_some_stay(ended: Option<Result<(), String>>) -> Option<String> {
    match ended {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error),
        None => Some("deleting them took too long, or a signal ended it.".to_owned()),
    }
}
