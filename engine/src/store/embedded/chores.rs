//! What is done between the committer's rounds, in small steps that hold nobody up: sweeping away what was deleted
//! and erasing persons. Both are noted in the store, so that what a crash interrupts goes on at the next opening.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::{Keyspace, OwnedWriteBatch, Slice};

use super::committer::Answer;
use super::erasing::Eraser;
use super::events::Noted;
use super::messages::Stored;
use super::retention::{NEVER_REMEMBERED_MS, forget_client_id, remove_event, remove_message};
use super::tables::{Tables, bad_key};
use super::{keys, log, traces};
use crate::domain::ids::{GroupUid, UserLife};
use crate::store::{Erased, StoreError};

/// Rows of one step.
pub(super) const STEP_ROWS: usize = 256;
/// How often a step is taken while others wait.
const STEP_INTERVAL: Duration = Duration::from_millis(10);

pub(super) struct Chores {
    tables: Arc<Tables>,
    sweeper: Sweeper,
    eraser: Eraser,
    /// When the last step ended.
    last: Option<Instant>,
}

impl Chores {
    /// What the last process left to do.
    pub(super) fn left_in(tables: Arc<Tables>) -> Self {
        let tell = |error: StoreError| tracing::warn!(%error, "what is left to remove can't be told");
        let sweeper = Sweeper::left_in(&tables).inspect_err(|error| tell(error.clone())).unwrap_or_default();
        let eraser = Eraser::left_in(&tables).inspect_err(|error| tell(error.clone())).unwrap_or_default();
        Self { tables, sweeper, eraser, last: None }
    }

    /// Whether there is anything to do.
    pub(super) fn are_left(&self) -> bool {
        !self.sweeper.left.is_empty() || self.eraser.has_work()
    }

    /// Whether a step must be taken even if others wait.
    pub(super) fn are_due(&self) -> bool {
        self.are_left() && self.last.is_none_or(|last| last.elapsed() >= STEP_INTERVAL)
    }

    /// A small part of what there is to do. Who waits to be erased goes first.
    pub(super) fn step(&mut self) {
        if self.eraser.has_work() {
            self.eraser.step(&self.tables);
        } else if let Err(error) = self.sweeper.step(&self.tables) {
            tracing::warn!(%error, "what was deleted can't be removed now; it is tried again at the next start");
            self.sweeper = Sweeper::default();
        }
        self.last = Some(Instant::now());
    }

    /// Messages are gone, and their reactions must follow. That is noted.
    pub(super) fn sweep(&mut self, messages: Vec<[u8; 16]>) {
        self.sweeper.left.extend(messages.into_iter().map(Slice::from));
    }

    /// A group is gone, and its log must follow. That is noted.
    pub(super) fn sweep_group(&mut self, group: GroupUid) {
        self.sweeper.left.push_back(keys::of_group(group).into());
    }

    /// A person is to be erased.
    pub(super) fn erase(&mut self, user: UserLife, done: Answer<Erased>) {
        self.eraser.take(&self.tables, user, done);
    }
}

/// Removes all keys of deleted groups, and the reactions of messages that are gone.
#[derive(Default)]
struct Sweeper {
    /// The beginnings of the keys that go.
    left: VecDeque<Slice>,
    /// Which of the keyspaces has its turn.
    part: usize,
    /// The last key that went. What was removed leaves marks until the tables are tidied; walking over them at each step
    /// would hold up everyone longer and longer.
    after: Option<Slice>,
}

impl Sweeper {
    fn left_in(tables: &Tables) -> Result<Self, StoreError> {
        let left = tables.trash.iter().map(|row| Ok(row.key()?)).collect::<Result<_, StoreError>>()?;
        Ok(Self { left, ..Self::default() })
    }

    fn step(&mut self, tables: &Tables) -> Result<(), StoreError> {
        let Some(prefix) = self.left.front().cloned() else { return Ok(()) };
        let mut batch = tables.batch();
        match part(tables, &prefix, self.part) {
            Some((keyspace, remove)) => {
                let rows = log::with_prefix(keyspace, &prefix, self.after.as_deref());
                let mut last = None;
                for row in rows.take(STEP_ROWS) {
                    let (key, value) = row.into_inner()?;
                    remove(tables, &mut batch, &key, &value)?;
                    last = Some(key);
                }
                if last.is_none() {
                    self.part += 1;
                }
                self.after = last;
            }
            None => {
                batch.remove(&tables.trash, prefix);
                self.left.pop_front();
                (self.part, self.after) = (0, None);
            }
        }
        Ok(batch.commit()?)
    }
}

/// Removes a row and what leads to it.
type Remove = fn(&Tables, &mut OwnedWriteBatch, &[u8], &[u8]) -> Result<(), StoreError>;

/// The keyspaces that hold anything of a group, or of a message that is gone, one after the other.
fn part<'a>(tables: &'a Tables, prefix: &[u8], part: usize) -> Option<(&'a Keyspace, Remove)> {
    let is_group = keys::group_of(prefix).is_some();
    let parts: [(&Keyspace, Remove); 5] = [
        (&tables.reactions, sweep_reaction),
        (&tables.messages, sweep_message),
        (&tables.events, sweep_event),
        (&tables.markers, sweep_marker),
        (&tables.remembered, forget_client_id),
    ];
    parts.get(part).filter(|_| is_group || part == 0).copied()
}

fn sweep_reaction(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    key: &[u8],
    _: &[u8],
) -> Result<(), StoreError> {
    batch.remove(&tables.reactions, key);
    batch.remove(&tables.traces, traces::of_reaction(key).ok_or_else(bad_key)?);
    Ok(())
}

fn sweep_message(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    key: &[u8],
    row: &[u8],
) -> Result<(), StoreError> {
    let (group, seq) = keys::place_of(key).ok_or_else(bad_key)?;
    // A row that can't be read goes all the same. A trace that leads nowhere does no harm.
    match Stored::decode(seq, row) {
        Ok(message) => _ = remove_message(tables, batch, group, &message, NEVER_REMEMBERED_MS)?,
        Err(_) => batch.remove(&tables.messages, key),
    }
    Ok(())
}

fn sweep_event(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    key: &[u8],
    row: &[u8],
) -> Result<(), StoreError> {
    let (group, seq) = keys::place_of(key).ok_or_else(bad_key)?;
    match Noted::decode(seq, row) {
        Ok(event) => remove_event(tables, batch, group, &event),
        Err(_) => batch.remove(&tables.events, key),
    }
    Ok(())
}

fn sweep_marker(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    key: &[u8],
    _: &[u8],
) -> Result<(), StoreError> {
    batch.remove(&tables.markers, key);
    let (group, user) = keys::marker_of(key).ok_or_else(bad_key)?;
    batch.remove(&tables.traces, traces::marker(&user, group));
    Ok(())
}
