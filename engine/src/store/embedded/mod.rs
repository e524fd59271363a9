//! The embedded store: fjall, an LSM tree, in one directory that one process may open.
//!
//! All writes go through one thread, the [`committer`], which takes everything that waits, writes it as one
//! batch and syncs once. Why fjall and why so: `ops/adr/0001-embedded-store.md`.
//!
//! In reading order: [`keys`], [`traces`], [`rows`], [`messages`] and [`events`] are the layout on disk; [`mark`] tells
//! whether it was closed and is as it was then, [`tables`] opens it, [`recovery`] looks at what a crash left and
//! [`upgrade`] at what an older version did. [`committer`] writes, in rounds of [`changes`]; between rounds it does its
//! [`chores`], which are sweeping, [`erasing`] and [`retention`]. [`log`] reads logs, [`view`] and [`replay`] what
//! they show; [`directory`], [`history`] and [`once`] are the traits.

mod attendance;
mod changes;
mod chores;
mod committer;
mod directory;
mod erasing;
mod events;
mod history;
mod keys;
mod log;
mod mark;
mod messages;
mod once;
mod pairs;
mod recovery;
mod replay;
mod retention;
mod rows;
mod tables;
mod traces;
mod upgrade;
mod view;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use crate::metrics::StoreMetrics;
use committer::{Committer, Op};
pub use recovery::{Hole, OpenReport};
use tables::Tables;

/// Writes that wait for the committer at most; a further one waits for a place.
const QUEUE_OPS_MAX: usize = 16_384;

/// The fact by which a store knows its hash secret.
const HASH_CHECK: &str = "hash_check";

/// Why a data directory can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data directory {0} is in use by another process: stop that one, or choose another directory with KIJIMUNA_DATA_DIR"
    )]
    Locked(String),
    /// It was written by a version that this one doesn't know.
    #[error(
        "the data directory {path} has format {found}, and this version reads format {known}: use the version that wrote it"
    )]
    Format {
        /// The directory.
        path: String,
        /// What it says of itself.
        found: String,
        /// What this version writes.
        known: u32,
    },
    /// A journal was damaged, and so badly that the rest can't be read.
    #[error(
        "the data directory {path} can't be opened: {journals} isn't as it was written ({reason}); keep a copy of the directory and restore a backup"
    )]
    Damaged {
        /// The directory.
        path: String,
        /// The names of its journals that have changed, or where they are.
        journals: String,
        /// What the store said.
        reason: String,
    },
    /// It can't be read or made.
    #[error("the data directory {path} can't be opened: {reason}")]
    Io {
        /// The directory.
        path: String,
        /// What the system or the store said.
        reason: String,
    },
}

/// The embedded store. Clones share it.
#[derive(Clone)]
pub struct EmbeddedStore {
    tables: Arc<Tables>,
    ops: mpsc::Sender<Op>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl EmbeddedStore {
    /// Opens a directory, or makes it. After a crash, or when a journal isn't as the last process
    /// left it, every group's log is checked.
    pub fn open(path: &Path, metrics: StoreMetrics) -> Result<(Self, OpenReport), OpenError> {
        let tables = Arc::new(Tables::open(path)?);
        let report = recovery::inspect(&tables).map_err(|error| tables.open_error(&error))?;
        upgrade::run(&tables).map_err(|error| tables.open_error(&error))?;
        let (ops, queue) = mpsc::channel(QUEUE_OPS_MAX);
        let committer = Committer::new(Arc::clone(&tables), queue, metrics);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || committer.run())
            .map_err(|error| tables.open_error(&error))?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok((Self { tables, ops, thread }, report))
    }

    /// Writes what waits, marks the directory as closed cleanly and lets go of it. Later calls are refused.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.ops.send(Op::Close(done)).await.is_ok() {
            // An error means that the committer is gone, which is what was wanted.
            let _ = closed.await;
        }
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Whether there is any service.
    pub async fn has_services(&self) -> Result<bool, StoreError> {
        self.read(|tables| Ok(tables.services.first_key_value().is_some())).await
    }

    /// The check value of the hash secret that keys the services' secrets, if one was ever kept.
    pub async fn hash_check(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let wrong =
            |_| StoreError::Corrupt("the check value of the hash secret has the wrong length".to_owned());
        self.read(move |tables| {
            tables.facts.get(HASH_CHECK)?.map(|check| check.as_ref().try_into().map_err(wrong)).transpose()
        })
        .await
    }

    /// Keeps the check value of the hash secret.
    pub async fn keep_hash_check(&self, check: [u8; 32]) -> Result<(), StoreError> {
        self.write(move |tables, batch| {
            batch.insert(&tables.facts, HASH_CHECK, check);
            Ok(())
        })
        .await
    }

    /// Waits until nothing can be written any more, because a write failed or the store was closed. Answers why.
    /// Nobody knows then what is on the disk, and only opening it again tells.
    pub async fn failed(&self) -> String {
        self.tables.failed().await
    }

    /// Looks one row up, where it is asked: in memory that takes some microseconds, and handing it to another thread
    /// and back takes longer than the look itself. A cold row is one read of the disk.
    fn look_up<T>(&self, job: impl FnOnce(&Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        job(&self.tables)
    }

    /// Runs a read where it may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Tables) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tables = Arc::clone(&self.tables);
        tokio::task::spawn_blocking(move || job(&tables)).await.unwrap_or_else(|error| Err(stopped(&error)))
    }

    /// Runs a read-and-write that nothing else comes between, and answers when it is durable.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Tables, &mut fjall::OwnedWriteBatch) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let op = Op::Write(Box::new(move |tables| {
            let mut batch = tables.batch();
            let result = job(tables, &mut batch).and_then(|value| {
                let committed = batch.commit().map_err(StoreError::from);
                committed.inspect_err(|error| tables.fail(error)).map(|()| value)
            });
            Box::new(move |durable: Result<(), StoreError>| {
                // Who asked may have gone; the write stands all the same.
                let _ = answer.send(durable.and(result));
            })
        }));
        self.ops.send(op).await.map_err(|error| stopped(&error))?;
        answered.await.unwrap_or_else(|error| Err(stopped(&error)))
    }
}

fn stopped(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("the store has stopped: {error}"))
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        Self::Unavailable(match error {
            fjall::Error::Io(error) => error.to_string(),
            fjall::Error::Poisoned => "an earlier write failed".to_owned(),
            other => other.to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
