//! The one thread that writes. It takes all that waits, writes it, syncs once, and answers.
//!
//! Messages go into one batch that becomes visible only when it is durable. A directory write must see the one
//! before it, so each is its own batch, visible at once and answered after the round's sync.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use fjall::PersistMode;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::tables::{Tables, bad_key};
use super::{keys, rows};
use crate::domain::group::Head;
use crate::domain::ids::{GroupUid, Seq};
use crate::domain::message::Message;
use crate::metrics::StoreMetrics;
use crate::store::StoreError;

/// Operations of one round at most, so that the first of them doesn't wait for ever.
const ROUND_OPS_MAX: usize = 8_192;
/// Heads that are kept in memory; beyond it they are read again.
const HEADS_MAX: usize = 100_000;
/// Messages of a deleted group that are removed in one step.
const PURGE_ROWS_MAX: usize = 2_000;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
/// Tells who asked, once it is known whether the write is durable.
pub(super) type Told = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What the committer is asked.
pub(super) enum Op {
    Append { group: GroupUid, message: Message, done: Answer<()> },
    Head { group: GroupUid, done: Answer<Head> },
    Write(Box<dyn FnOnce(&Tables) -> Told + Send>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Committer {
    tables: Arc<Tables>,
    queue: mpsc::Receiver<Op>,
    metrics: StoreMetrics,
    /// The newest place of each group written to lately: what an append must follow.
    heads: HashMap<GroupUid, Seq>,
    purging: bool,
    /// How far the messages of the group that is being removed are gone.
    purged: Option<(GroupUid, Seq)>,
}

/// What one round has to answer.
#[derive(Default)]
struct Round {
    appends: Vec<Answer<()>>,
    heads: Vec<(GroupUid, Answer<Head>)>,
    writes: Vec<Told>,
    closes: Vec<oneshot::Sender<()>>,
}

impl Committer {
    pub(super) fn new(tables: Arc<Tables>, queue: mpsc::Receiver<Op>, metrics: StoreMetrics) -> Self {
        Self { tables, queue, metrics, heads: HashMap::new(), purging: true, purged: None }
    }

    /// Serves until the store is closed or nobody can ask any more.
    pub(super) fn run(mut self) {
        while let Some(first) = self.next() {
            if self.round(first) {
                break;
            }
        }
        self.queue.close();
        let healthy = self.tables.health();
        self.tables.fail(&StoreError::Unavailable("the store is closed".to_owned()));
        let closed = healthy
            .and_then(|()| self.tables.sync())
            .map_err(|error| error.to_string())
            .and_then(|()| self.tables.set_clean_mark().map_err(|error| error.to_string()));
        if let Err(error) = closed {
            tracing::error!(error, "the store wasn't closed cleanly; it will be checked at the next start");
        }
    }

    /// The next operation; while none waits, deleted groups are removed.
    fn next(&mut self) -> Option<Op> {
        loop {
            match self.queue.try_recv() {
                Ok(op) => return Some(op),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if self.purging => self.purging = self.purge_some(),
                Err(TryRecvError::Empty) => return self.queue.blocking_recv(),
            }
        }
    }

    /// Writes, syncs and answers everything that waits. True when the store is to be closed.
    fn round(&mut self, first: Op) -> bool {
        let mut round = Round::default();
        let mut batch = self.tables.batch().durability(Some(PersistMode::SyncData));
        let mut next = Some(first);
        for _ in 0..ROUND_OPS_MAX {
            let Some(op) = next.take().or_else(|| self.queue.try_recv().ok()) else { break };
            self.take(op, &mut batch, &mut round);
        }
        let started = Instant::now();
        let result = if batch.is_empty() && round.writes.is_empty() {
            Ok(())
        } else if batch.is_empty() {
            self.tables.sync()
        } else {
            batch.commit().map_err(StoreError::from)
        };
        self.metrics.committed(round.appends.len() + round.writes.len(), started.elapsed());
        if let Err(error) = &result {
            // fjall refuses all writes from here on, since nobody knows what is on the disk.
            tracing::error!(%error, "the store failed to write; nothing is acknowledged until a restart");
            self.metrics.failed();
            self.tables.fail(error);
            self.heads.clear();
        }
        self.answer(round, &result)
    }

    fn take(&mut self, op: Op, batch: &mut fjall::OwnedWriteBatch, round: &mut Round) {
        match op {
            Op::Append { group, message, done } => match self.follow(group, message.seq) {
                Ok(()) => {
                    batch.insert(
                        &self.tables.messages,
                        keys::message(group, message.seq),
                        rows::encode_message(&message),
                    );
                    round.appends.push(done);
                }
                Err(error) => _ = done.send(Err(error)),
            },
            Op::Head { group, done } => round.heads.push((group, done)),
            Op::Write(write) => {
                round.writes.push(write(&self.tables));
                self.purging = true;
            }
            Op::Close(done) => round.closes.push(done),
        }
    }

    /// Moves a group's head to this place, which must be the next one.
    fn follow(&mut self, group: GroupUid, given: Seq) -> Result<(), StoreError> {
        let head = match self.heads.get(&group) {
            Some(head) => *head,
            None => self.tables.head_seq(group)?,
        };
        if given != head.next() {
            self.heads.insert(group, head);
            return Err(StoreError::NotNext { given: given.0, head: head.0 });
        }
        self.heads.insert(group, given);
        Ok(())
    }

    fn answer(&mut self, round: Round, result: &Result<(), StoreError>) -> bool {
        // Who asked may have gone, which is no concern of the store.
        for done in round.appends {
            let _ = done.send(result.clone());
        }
        for told in round.writes {
            told(result.clone());
        }
        for (group, done) in round.heads {
            let _ = done.send(self.tables.head(group));
        }
        // Between rounds only: what this round wrote isn't in the tables before its commit.
        if self.heads.len() > HEADS_MAX {
            self.heads.clear();
        }
        let closing = !round.closes.is_empty();
        for done in round.closes {
            let _ = done.send(());
        }
        closing
    }

    /// Removes some messages of a deleted group. False when there is nothing left to remove.
    fn purge_some(&mut self) -> bool {
        self.purge_step().unwrap_or_else(|error| {
            tracing::warn!(%error, "a deleted group's messages can't be removed now");
            false
        })
    }

    fn purge_step(&mut self) -> Result<bool, StoreError> {
        let Some(row) = self.tables.trash.first_key_value() else { return Ok(false) };
        let trash = row.key()?;
        let group = keys::group_of(&trash).ok_or_else(bad_key)?;
        // What was removed before lies in front until the tables are tidied; walking it again at each step would
        // hold up everyone's messages longer and longer.
        let from = self.purged.filter(|(purged, _)| *purged == group).map_or(Seq(0), |(_, from)| from);
        let mut batch = self.tables.batch();
        let mut last = None;
        let rows = keys::message(group, from)..=keys::message(group, Seq(u64::MAX));
        for row in self.tables.messages.range(rows).take(PURGE_ROWS_MAX) {
            let key = row.key()?;
            last = keys::message_of(&key).map(|(_, seq)| seq);
            batch.remove(&self.tables.messages, key);
        }
        self.purged = last.map(|last| (group, last.next()));
        if batch.is_empty() {
            batch.remove(&self.tables.trash, trash);
        }
        batch.commit()?;
        Ok(true)
    }
}
