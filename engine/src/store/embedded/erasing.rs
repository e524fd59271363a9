//! Takes a person out of every log: what was said and done stays, with nobody as its author. The person's traces
//! lead to all of it.

use std::collections::VecDeque;

use fjall::{OwnedWriteBatch, Slice};

use super::chores::STEP_ROWS;
use super::committer::Answer;
use super::events::Noted;
use super::messages::Stored;
use super::tables::{Tables, bad_key};
use super::traces::{self, Trace};
use super::{keys, log, rows};
use crate::domain::ids::{UserId, UserLife, UserUid};
use crate::store::{Erased, StoreError};

/// Everyone who is being erased, one after the other.
#[derive(Default)]
pub(super) struct Eraser {
    left: VecDeque<Job>,
}

/// A person who is being erased.
struct Job {
    user: UserLife,
    done: Erased,
    /// The last trace that went.
    after: Option<Slice>,
    waiting: Vec<Answer<Erased>>,
}

/// What stands in the note of a person who is being erased: who, and how much was done.
type Note = (UserId, UserUid, [u64; 4]);

impl Eraser {
    /// Who was being erased when the last process ended.
    pub(super) fn left_in(tables: &Tables) -> Result<Self, StoreError> {
        let mut left = VecDeque::new();
        for row in tables.erasing.iter() {
            let (id, uid, done) = rows::decode::<Note>(&row.value()?)?;
            left.push_back(Job::new(UserLife { id, uid }, erased(done)));
        }
        Ok(Self { left })
    }

    pub(super) fn has_work(&self) -> bool {
        !self.left.is_empty()
    }

    /// Notes that a person is to be erased. Who asks again is answered with what is done from the beginning on.
    pub(super) fn take(&mut self, tables: &Tables, user: UserLife, done: Answer<Erased>) {
        if let Some(job) = self.left.iter_mut().find(|job| job.user == user) {
            // Something may have come since, in front of where the job has got to.
            job.after = None;
            job.waiting.push(done);
            return;
        }
        match noted(tables, &user) {
            Err(error) => _ = done.send(Err(error)),
            Ok(before) => {
                let mut job = Job::new(user, before);
                job.waiting.push(done);
                self.left.push_back(job);
            }
        }
    }

    /// Takes the person whose turn it is out of a few rows.
    pub(super) fn step(&mut self, tables: &Tables) {
        let Some(job) = self.left.front_mut() else { return };
        match job.step(tables) {
            Ok(false) => {}
            Ok(true) => self.end(&Ok(())),
            Err(error) => {
                tracing::warn!(%error, "a person can't be erased now; it is tried again at the next start");
                self.end(&Err(error));
            }
        }
    }

    fn end(&mut self, result: &Result<(), StoreError>) {
        let Some(job) = self.left.pop_front() else { return };
        for waiting in job.waiting {
            // Who asked may have gone.
            let _ = waiting.send(result.clone().map(|()| job.done));
        }
    }
}

/// Notes that a person is to be erased. Answers what was done before, if it was noted then.
fn noted(tables: &Tables, user: &UserLife) -> Result<Erased, StoreError> {
    let key = traces::of_user(user);
    if let Some(row) = tables.erasing.get(&key)? {
        let (_, _, done) = rows::decode::<Note>(&row)?;
        return Ok(erased(done));
    }
    tables.erasing.insert(key, note(user, Erased::default()))?;
    Ok(Erased::default())
}

/// Notes, with what else happens when a user is deleted, that it is to be erased; so many of its markers are gone already.
pub(super) fn note_deleted(tables: &Tables, batch: &mut OwnedWriteBatch, user: &UserLife, markers: u64) {
    let done = Erased { markers, ..Erased::default() };
    batch.insert(&tables.erasing, traces::of_user(user), note(user, done));
}

fn note(user: &UserLife, done: Erased) -> Vec<u8> {
    let Erased { messages, events, reactions, markers } = done;
    rows::encode::<Note>(&(user.id.clone(), user.uid, [messages, events, reactions, markers]))
}

fn erased([messages, events, reactions, markers]: [u64; 4]) -> Erased {
    Erased { messages, events, reactions, markers }
}

impl Job {
    fn new(user: UserLife, done: Erased) -> Self {
        Self { user, done, after: None, waiting: Vec::new() }
    }

    /// Follows a few traces. True when there were none any more, and all of it is durable.
    fn step(&mut self, tables: &Tables) -> Result<bool, StoreError> {
        let prefix = traces::of_user(&self.user);
        let mut batch = tables.batch();
        let (mut done, mut last) = (self.done, None);
        for row in log::with_prefix(&tables.traces, &prefix, self.after.as_deref()).take(STEP_ROWS) {
            let key = row.key()?;
            let rest = key.strip_prefix(prefix.as_slice()).ok_or_else(bad_key)?;
            let trace = traces::read(rest).ok_or_else(bad_key)?;
            self.follow(tables, &mut batch, trace, &mut done)?;
            batch.remove(&tables.traces, key.clone());
            last = Some(key);
        }
        if last.is_none() {
            tables.sync()?;
            tables.erasing.remove(prefix)?;
            return Ok(true);
        }
        batch.insert(&tables.erasing, prefix, note(&self.user, done));
        batch.commit()?;
        (self.done, self.after) = (done, last);
        Ok(false)
    }

    fn follow(
        &self,
        tables: &Tables,
        batch: &mut OwnedWriteBatch,
        trace: Trace<'_>,
        done: &mut Erased,
    ) -> Result<(), StoreError> {
        match trace {
            Trace::ClientId => {}
            Trace::Message(place) => done.messages += u64::from(self.leave_message(tables, batch, place)?),
            Trace::Event(place) => done.events += u64::from(self.leave_event(tables, batch, place)?),
            Trace::Reaction(of, reaction) => {
                let mut row = of.to_vec();
                keys::push_user(&mut row, &self.user);
                row.extend_from_slice(reaction);
                batch.remove(&tables.reactions, row);
                done.reactions += 1;
            }
            Trace::Marker(group) => {
                batch.remove(&tables.markers, keys::marker(group, &self.user));
                done.markers += 1;
            }
        }
        Ok(())
    }

    fn leave_message(
        &self,
        tables: &Tables,
        batch: &mut OwnedWriteBatch,
        place: &[u8; 16],
    ) -> Result<bool, StoreError> {
        let (_, seq) = keys::place_of(place).ok_or_else(bad_key)?;
        let Some(row) = tables.messages.get(place)? else { return Ok(false) };
        let mut message = Stored::decode(seq, &row)?;
        let found = message.is_by(&self.user);
        if found {
            message.erase();
            batch.insert(&tables.messages, *place, message.encode());
        }
        Ok(found)
    }

    fn leave_event(
        &self,
        tables: &Tables,
        batch: &mut OwnedWriteBatch,
        place: &[u8; 16],
    ) -> Result<bool, StoreError> {
        let (_, seq) = keys::place_of(place).ok_or_else(bad_key)?;
        let Some(row) = tables.events.get(place)? else { return Ok(false) };
        let mut event = Noted::decode(seq, &row)?;
        let found = event.erase(&self.user);
        if found {
            batch.insert(&tables.events, *place, event.encode());
        }
        Ok(found)
    }
}
