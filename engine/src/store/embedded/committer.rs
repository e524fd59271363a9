//! The one thread that writes. It takes all that waits, writes it, syncs once, and answers.
//!
//! What goes into logs is one batch that becomes visible only when it is durable, see [`changes`](super::changes).
//! A directory write must see the one before it, so each is its own batch, visible at once and answered after the
//! round's sync. What may take long is done between rounds, bit by bit, see [`chores`](super::chores).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::changes::Changes;
use super::chores::Chores;
use super::log::{self, Tail};
use super::retention::{Retain, retain};
use super::tables::Tables;
use crate::domain::event::{Event, EventKind, Head, Marker};
use crate::domain::ids::{GroupUid, Seq, UserLife};
use crate::metrics::StoreMetrics;
use crate::store::{Erased, StoreError};

/// Operations of one round at most, so that the first of them doesn't wait for ever.
const ROUND_OPS_MAX: usize = 8_192;
/// Groups whose ends and beginnings are kept in memory; beyond it they are read again.
const GROUPS_MAX: usize = 100_000;

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
/// Tells who asked, once it is known whether the write is durable.
pub(super) type Told = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What the committer is asked.
pub(super) enum Op {
    Append {
        group: GroupUid,
        event: Event,
        done: Answer<()>,
    },
    Mark {
        group: GroupUid,
        markers: Vec<(UserLife, Marker)>,
        done: Answer<()>,
    },
    Head {
        group: GroupUid,
        done: Answer<Head>,
    },
    Write(Box<dyn FnOnce(&Tables) -> Told + Send>),
    Retain {
        retain: Retain,
        done: Answer<usize>,
    },
    Erase {
        user: UserLife,
        done: Answer<Erased>,
    },
    /// A group was deleted, and its log must go.
    Sweep(GroupUid),
    Close(oneshot::Sender<()>),
}

pub(super) struct Committer {
    tables: Arc<Tables>,
    queue: mpsc::Receiver<Op>,
    metrics: StoreMetrics,
    /// Where the log of each group written to lately ends: what an append must follow.
    tails: HashMap<GroupUid, Tail>,
    /// Groups that were deleted. What still comes for them would never be swept away.
    gone: HashSet<GroupUid>,
    /// Places below which nothing is left of the logs that were cut lately.
    floors: HashMap<GroupUid, Seq>,
    chores: Chores,
}

/// What one round has to answer.
#[derive(Default)]
struct Round {
    durable: Vec<Answer<()>>,
    heads: Vec<(GroupUid, Answer<Head>)>,
    writes: Vec<Told>,
    retains: Vec<(Retain, Answer<usize>)>,
    closes: Vec<oneshot::Sender<()>>,
}

impl Committer {
    pub(super) fn new(tables: Arc<Tables>, queue: mpsc::Receiver<Op>, metrics: StoreMetrics) -> Self {
        let chores = Chores::left_in(Arc::clone(&tables));
        let (tails, floors) = (HashMap::new(), HashMap::new());
        Self { tables, queue, metrics, tails, gone: HashSet::new(), floors, chores }
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

    /// The next operation; while none waits, and from time to time when some do, the chores go on.
    fn next(&mut self) -> Option<Op> {
        if self.chores.are_due() {
            self.chores.step();
        }
        loop {
            match self.queue.try_recv() {
                Ok(op) => return Some(op),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if self.chores.are_left() => self.chores.step(),
                Err(TryRecvError::Empty) => return self.queue.blocking_recv(),
            }
        }
    }

    /// Writes, syncs and answers everything that waits. True when the store is to be closed.
    fn round(&mut self, first: Op) -> bool {
        let mut round = Round::default();
        let mut changes = Changes::new(&self.tables);
        let mut next = Some(first);
        for _ in 0..ROUND_OPS_MAX {
            let Some(op) = next.take().or_else(|| self.queue.try_recv().ok()) else { break };
            self.take(op, &mut changes, &mut round);
        }
        let started = Instant::now();
        let result = if changes.is_empty() && round.writes.is_empty() {
            Ok(())
        } else if changes.is_empty() {
            self.tables.sync()
        } else {
            changes.commit(&self.tables).map(|swept| self.chores.sweep(swept))
        };
        self.metrics.committed(round.durable.len() + round.writes.len(), started.elapsed());
        if let Err(error) = &result {
            // fjall refuses all writes from here on, since nobody knows what is on the disk.
            tracing::error!(%error, "the store failed to write; nothing is acknowledged until a restart");
            self.metrics.failed();
            self.tables.fail(error);
            self.tails.clear();
        }
        self.answer(round, &result)
    }

    fn take(&mut self, op: Op, changes: &mut Changes, round: &mut Round) {
        match op {
            Op::Append { group, event, done } => match self.append(group, &event, changes) {
                Ok(()) => round.durable.push(done),
                Err(error) => _ = done.send(Err(error)),
            },
            Op::Mark { group, markers, done } => match self.mark(group, &markers, changes) {
                Ok(()) => round.durable.push(done),
                Err(error) => _ = done.send(Err(error)),
            },
            Op::Head { group, done } => round.heads.push((group, done)),
            Op::Write(write) => round.writes.push(write(&self.tables)),
            Op::Retain { retain, done } => round.retains.push((retain, done)),
            Op::Erase { user, done } => self.chores.erase(user, done),
            Op::Sweep(group) => {
                self.gone.insert(group);
                self.chores.sweep_group(group);
            }
            Op::Close(done) => round.closes.push(done),
        }
    }

    /// Takes an event, which must be the next one of its group.
    fn append(&mut self, group: GroupUid, event: &Event, changes: &mut Changes) -> Result<(), StoreError> {
        self.is_there(group)?;
        let mut tail = match self.tails.get(&group) {
            Some(tail) => *tail,
            None => log::tail(&self.tables, group)?,
        };
        if event.seq.0 != tail.head.seq.0.saturating_add(1) {
            self.tails.insert(group, tail);
            return Err(StoreError::NotNext { given: event.seq.0, head: tail.head.seq.0 });
        }
        if matches!(event.kind, EventKind::Message(_)) {
            tail.number = tail.number.saturating_add(1);
        }
        tail.head = Head { seq: event.seq, time_ms: event.time_ms };
        changes.append(&self.tables, group, event, tail.number)?;
        self.tails.insert(group, tail);
        Ok(())
    }

    fn mark(
        &mut self,
        group: GroupUid,
        markers: &[(UserLife, Marker)],
        changes: &mut Changes,
    ) -> Result<(), StoreError> {
        self.is_there(group)?;
        changes.mark(&self.tables, group, markers)
    }

    fn is_there(&self, group: GroupUid) -> Result<(), StoreError> {
        let is_gone = !self.gone.is_empty() && self.gone.contains(&group);
        if is_gone { Err(StoreError::NoGroup) } else { Ok(()) }
    }

    fn answer(&mut self, round: Round, result: &Result<(), StoreError>) -> bool {
        // Who asked may have gone, which is no concern of the store.
        for done in round.durable {
            let _ = done.send(result.clone());
        }
        for told in round.writes {
            told(result.clone());
        }
        for (group, done) in round.heads {
            let _ = done.send(log::tail(&self.tables, group).map(|tail| tail.head));
        }
        for (retain, done) in round.retains {
            let _ = done.send(result.clone().and_then(|()| self.retain(&retain)));
        }
        // Between rounds only: what this round wrote isn't in the tables before its commit.
        if self.tails.len() > GROUPS_MAX {
            self.tails.clear();
        }
        let closing = !round.closes.is_empty();
        for done in round.closes {
            let _ = done.send(());
        }
        closing
    }

    /// Removes the beginning of a log. After the round, whose changes may be of what goes.
    fn retain(&mut self, asked: &Retain) -> Result<usize, StoreError> {
        if self.floors.len() > GROUPS_MAX {
            self.floors.clear();
        }
        let floor = self.floors.entry(asked.group).or_default();
        let cut = retain(&self.tables, asked, *floor)?;
        *floor = cut.floor;
        self.chores.sweep(cut.swept);
        Ok(cut.events)
    }
}
