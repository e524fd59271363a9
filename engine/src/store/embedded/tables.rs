//! The keyspaces of a data directory and how they are opened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tokio::sync::Notify;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::OpenError;
use super::mark::Mark;
use crate::store::StoreError;

/// Blocks of the store that are kept in memory, in bytes.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// The layout that this version writes.
const FORMAT: u32 = 2;
/// The layout from before logs held anything but messages. It is brought up to [`FORMAT`] at opening.
const FORMAT_OLD: u32 = 1;
/// Where fjall keeps everything, in the data directory.
const STORE: &str = "store";

/// Every keyspace, with what its keys and values are.
pub(super) struct Tables {
    path: PathBuf,
    db: Database,
    /// Small facts: the format, the check value of the hash secret, and under `groups`/`users` and a service how many it has.
    pub(super) facts: Keyspace,
    /// Service → service.
    pub(super) services: Keyspace,
    /// Service, id → group.
    pub(super) groups: Keyspace,
    /// Service, order → group id.
    pub(super) group_order: Keyspace,
    /// Service, id → user.
    pub(super) users: Keyspace,
    /// Service, order → user id.
    pub(super) user_order: Keyspace,
    /// Service and group id of each group whose log isn't kept for ever → nothing.
    pub(super) retained: Keyspace,
    /// Service and the lives of two users, in both orders → their own group.
    pub(super) pairs: Keyspace,
    /// Group uid, user id → the user's life and standing.
    pub(super) attendees: Keyspace,
    /// Service, user id, group id → the user's life and standing.
    pub(super) attendance: Keyspace,
    /// Group uid, seq → message in its newest version.
    pub(super) messages: Keyspace,
    /// Group uid, seq → event that is no message.
    pub(super) events: Keyspace,
    /// Group uid, seq, life of a user, reaction → nothing.
    pub(super) reactions: Keyspace,
    /// Group uid, life of a user → how far it has come.
    pub(super) markers: Keyspace,
    /// Life of a user, what it has left in logs, see [`traces`](super::traces).
    pub(super) traces: Keyspace,
    /// Group uid, end, trace of a client id whose message is gone → the message's place.
    pub(super) remembered: Keyspace,
    /// Uid of a deleted group whose log is still being removed, or key of a message whose reactions are → nothing.
    pub(super) trash: Keyspace,
    /// A user that is being erased → the user, and what was done so far.
    pub(super) erasing: Keyspace,
    /// What happened once and may not again → nothing.
    pub(super) used: Keyspace,
    /// When that can be forgotten, and what → nothing.
    pub(super) used_by_end: Keyspace,
    /// It is of [`FORMAT_OLD`] and must be upgraded.
    pub(super) is_old: bool,
    /// Whether the directory was closed cleanly and is as it was then, or is new.
    pub(super) was_clean: bool,
    /// Journals that aren't as they were when the directory was closed.
    pub(super) damaged: Vec<String>,
    /// Why nothing can be written any more.
    failure: OnceLock<String>,
    failed: Notify,
}

impl Tables {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let fail = |reason: String| OpenError::Io { path: path.display().to_string(), reason };
        if path.is_file() {
            return Err(fail("it is a file, not a folder".to_owned()));
        }
        std::fs::create_dir_all(path).map_err(|error| fail(error.to_string()))?;
        let store = path.join(STORE);
        let is_new = !store.exists();
        // Before fjall opens the journals, because it cuts damaged ones.
        let mark = Mark::left_in(path).map_err(|error| fail(error.to_string()))?;
        let damaged = mark.as_ref().map_or(Ok(Vec::new()), |mark| mark.damaged(&store));
        let damaged = damaged.map_err(|error| fail(error.to_string()))?;
        let db = open_database(path, &store, &damaged)?;
        let keyspace = |name: &str| {
            db.keyspace(name, KeyspaceCreateOptions::default).map_err(|error| fail(error.to_string()))
        };
        let facts = keyspace("facts")?;
        let tables = Self {
            is_old: is_old(path, &facts)?,
            path: path.to_owned(),
            facts,
            services: keyspace("services")?,
            groups: keyspace("groups")?,
            group_order: keyspace("group_order")?,
            users: keyspace("users")?,
            user_order: keyspace("user_order")?,
            retained: keyspace("retained")?,
            pairs: keyspace("pairs")?,
            attendees: keyspace("attendees")?,
            attendance: keyspace("attendance")?,
            messages: keyspace("messages")?,
            events: keyspace("events")?,
            reactions: keyspace("reactions")?,
            markers: keyspace("markers")?,
            traces: keyspace("traces")?,
            remembered: keyspace("remembered")?,
            trash: keyspace("trash")?,
            erasing: keyspace("erasing")?,
            used: keyspace("used")?,
            used_by_end: keyspace("used_by_end")?,
            was_clean: damaged.is_empty() && (is_new || mark.is_some()),
            damaged,
            failure: OnceLock::new(),
            failed: Notify::new(),
            db,
        };
        Mark::clear(path).map_err(|error| fail(error.to_string()))?;
        Ok(tables)
    }

    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.db.batch()
    }

    /// Makes everything that was written so far durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(self.db.persist(PersistMode::SyncData)?)
    }

    /// A write has failed, or the store was closed: nothing is written from here on.
    pub(super) fn fail(&self, error: &StoreError) {
        let reason = match error {
            StoreError::Unavailable(reason) => reason.clone(),
            other => other.to_string(),
        };
        // The first reason stays.
        let _ = self.failure.set(reason);
        self.failed.notify_waiters();
    }

    /// Waits until nothing can be written any more. Answers why.
    pub(super) async fn failed(&self) -> String {
        loop {
            let mut failed = std::pin::pin!(self.failed.notified());
            failed.as_mut().enable();
            if let Some(reason) = self.failure.get() {
                return reason.clone();
            }
            failed.await;
        }
    }

    pub(super) fn health(&self) -> Result<(), StoreError> {
        self.failure.get().map_or(Ok(()), |reason| Err(StoreError::Unavailable(reason.clone())))
    }

    /// Leaves what the next open compares instead of checking every log. Everything must have been synced.
    pub(super) fn set_clean_mark(&self) -> std::io::Result<()> {
        Mark::of(&self.path.join(STORE))?.leave_in(&self.path)
    }

    pub(super) fn open_error(&self, reason: &dyn std::fmt::Display) -> OpenError {
        OpenError::Io { path: self.path.display().to_string(), reason: reason.to_string() }
    }

    /// Says that everything is in the present layout.
    pub(super) fn set_format(&self) -> Result<(), StoreError> {
        self.sync()?;
        self.facts.insert("format", FORMAT.to_be_bytes())?;
        self.sync()
    }
}

/// Whether a directory has the old layout. A new one gets the present layout.
fn is_old(path: &Path, facts: &Keyspace) -> Result<bool, OpenError> {
    let path = || path.display().to_string();
    let fail = |error: fjall::Error| OpenError::Io { path: path(), reason: error.to_string() };
    let Some(found) = facts.get("format").map_err(fail)? else {
        facts.insert("format", FORMAT.to_be_bytes()).map_err(fail)?;
        return Ok(false);
    };
    match found.as_ref().try_into().map(u32::from_be_bytes) {
        Ok(FORMAT) => Ok(false),
        Ok(FORMAT_OLD) => Ok(true),
        _ => Err(OpenError::Format { path: path(), found: format!("{:?}", &*found), known: FORMAT }),
    }
}

fn open_database(path: &Path, store: &Path, damaged: &[String]) -> Result<Database, OpenError> {
    let path = path.display().to_string();
    let open = || Database::builder(store).cache_size(CACHE_BYTES).worker_threads(2).open();
    // Some damage in a journal breaks a rule of fjall's own, on which it panics.
    let opened = catch_unwind(AssertUnwindSafe(open)).unwrap_or(Err(fjall::Error::Unrecoverable));
    opened.map_err(|error| match error {
        fjall::Error::Locked => OpenError::Locked(path),
        error if !damaged.is_empty() => {
            OpenError::Damaged { path, journals: damaged.join(", "), reason: error.to_string() }
        }
        fjall::Error::Io(error) => OpenError::Io { path, reason: error.to_string() },
        error @ (fjall::Error::JournalRecovery(_) | fjall::Error::Unrecoverable) => OpenError::Damaged {
            journals: format!("a journal in {}", store.display()),
            path,
            reason: error.to_string(),
        },
        other => OpenError::Io { path, reason: other.to_string() },
    })
}

pub(super) fn bad_key() -> StoreError {
    StoreError::Corrupt("a key has the wrong length".to_owned())
}
