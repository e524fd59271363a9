//! Takes away what a group keeps no longer: the beginning of its log, with all that belongs to it.

use fjall::OwnedWriteBatch;

use super::events::Noted;
use super::log::{self, Entry};
use super::messages::Stored;
use super::tables::{Tables, bad_key};
use super::{keys, traces};
use crate::config::CLIENT_ID_MS;
use crate::domain::event::{Actor, Head};
use crate::domain::ids::{GroupUid, Seq};
use crate::domain::profile::Retention;
use crate::store::StoreError;

/// No client id is remembered of what was said up to then: of a group that is gone none is.
pub(super) const NEVER_REMEMBERED_MS: u64 = u64::MAX;

/// What is to be taken away.
pub(super) struct Retain {
    pub(super) group: GroupUid,
    pub(super) retention: Retention,
    pub(super) unix_ms: u64,
    /// Events that may go at once.
    pub(super) limit: usize,
}

/// What was taken away.
pub(super) struct Cut {
    pub(super) events: usize,
    /// Nothing is left below this place, so that the next time begins here: what was removed leaves marks, and
    /// walking over them again and again would hold up everyone.
    pub(super) floor: Seq,
    /// Messages whose reactions must be swept away.
    pub(super) swept: Vec<[u8; 16]>,
}

/// Removes a part of what a group keeps no longer, the oldest first.
pub(super) fn retain(tables: &Tables, asked: &Retain, floor: Seq) -> Result<Cut, StoreError> {
    let group = asked.group;
    let mut cut = Cut { events: 0, floor, swept: Vec::new() };
    let bounds = Bounds::of(tables, asked)?;
    let mut batch = tables.batch();
    forget_client_ids(tables, &mut batch, asked)?;
    for row in log::rows(tables, group, floor, bounds.last).take(asked.limit) {
        let row = row?;
        let entry = row.decode()?;
        if row.seq >= bounds.first_kept && entry.time_ms() >= bounds.oldest_ms {
            break;
        }
        match entry {
            Entry::Message(message) => {
                if remove_message(tables, &mut batch, group, &message, bounds.forgotten_ms)? {
                    let place = keys::place(group, message.seq);
                    batch.insert(&tables.trash, place, []);
                    cut.swept.push(place);
                }
            }
            Entry::Event(event) => remove_event(tables, &mut batch, group, &event),
        }
        cut.events += 1;
        cut.floor = Seq(row.seq.0.saturating_add(1));
    }
    if let Some(newest) = bounds.newest.filter(|newest| newest.time_ms < bounds.oldest_ms) {
        hollow_out(tables, &mut batch, group, newest, bounds.forgotten_ms, &mut cut)?;
    }
    batch.commit()?;
    Ok(cut)
}

/// The newest message is too old itself. Its row stays, since the log's end and the count of messages are told from it, and is a tombstone of nobody.
fn hollow_out(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: GroupUid,
    mut newest: Stored,
    forgotten_ms: u64,
    cut: &mut Cut,
) -> Result<(), StoreError> {
    if newest.is_deleted() && newest.author == Actor::Erased {
        return Ok(());
    }
    let place = keys::place(group, newest.seq);
    remove_traces(tables, batch, group, &newest, forgotten_ms)?;
    if newest.has_reactions() {
        batch.insert(&tables.trash, place, []);
        cut.swept.push(place);
    }
    newest.hollow();
    batch.insert(&tables.messages, place, newest.encode());
    Ok(())
}

/// Removes a message with its traces, but for its client id if it was said after `forgotten_ms`: that is remembered for as long as any, so that who
/// says it again isn't heard twice. True when it has reactions, which are left to be swept away.
pub(super) fn remove_message(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: GroupUid,
    message: &Stored,
    forgotten_ms: u64,
) -> Result<bool, StoreError> {
    batch.remove(&tables.messages, keys::place(group, message.seq));
    remove_traces(tables, batch, group, message, forgotten_ms)?;
    Ok(message.has_reactions())
}

fn remove_traces(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: GroupUid,
    message: &Stored,
    forgotten_ms: u64,
) -> Result<(), StoreError> {
    if let Some(user) = message.author.user() {
        batch.remove(&tables.traces, traces::message(user, group, message.seq));
        if let Some(id) = message.client_id() {
            let trace = traces::client_id(user, group, id);
            if message.time_ms > forgotten_ms {
                let end_ms = message.time_ms.saturating_add(CLIENT_ID_MS);
                let said = traces::said(Head { seq: message.seq, time_ms: message.time_ms });
                batch.insert(&tables.remembered, keys::remembered(group, end_ms, &trace), said);
                // It may have been written before the message's time stood in it.
                if leads_to(tables, &trace, message.seq)? {
                    batch.insert(&tables.traces, trace, said);
                }
            } else if leads_to(tables, &trace, message.seq)? {
                batch.remove(&tables.traces, trace);
            }
        }
    }
    Ok(())
}

/// Whether the trace of a client id is of this message: a later one may have been sent with the same id.
fn leads_to(tables: &Tables, trace: &[u8], seq: Seq) -> Result<bool, StoreError> {
    let said = tables.traces.get(trace)?;
    Ok(said.and_then(|said| traces::said_in(&said)).is_some_and(|(newest, _)| newest == seq))
}

/// Removes client ids that are remembered no longer, of messages that are gone.
fn forget_client_ids(tables: &Tables, batch: &mut OwnedWriteBatch, asked: &Retain) -> Result<(), StoreError> {
    let ended = keys::remembered(asked.group, asked.unix_ms, &[]);
    // Twice as many as messages may go: these have a time, too, in which they must.
    for row in tables.remembered.range(keys::of_group(asked.group).to_vec()..ended).take(asked.limit * 2) {
        let (key, said) = row.into_inner()?;
        forget_client_id(tables, batch, &key, &said)?;
    }
    Ok(())
}

/// Removes a client id whose message is gone.
pub(super) fn forget_client_id(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    key: &[u8],
    said: &[u8],
) -> Result<(), StoreError> {
    let trace = keys::remembered_of(key).ok_or_else(bad_key)?;
    let (seq, _) = traces::said_in(said).ok_or_else(bad_key)?;
    if leads_to(tables, trace, seq)? {
        batch.remove(&tables.traces, trace);
    }
    batch.remove(&tables.remembered, key);
    Ok(())
}

/// Removes an event that is no message, with its traces.
pub(super) fn remove_event(tables: &Tables, batch: &mut OwnedWriteBatch, group: GroupUid, event: &Noted) {
    batch.remove(&tables.events, keys::place(group, event.seq));
    for user in event.users() {
        batch.remove(&tables.traces, traces::event(&user, group, event.seq));
    }
}

/// Which entries go: those up to `last` that are before `first_kept` or older than `oldest_ms`.
struct Bounds {
    last: Seq,
    first_kept: Seq,
    oldest_ms: u64,
    /// Client ids of messages up to this time go with them.
    forgotten_ms: u64,
    newest: Option<Stored>,
}

impl Bounds {
    fn of(tables: &Tables, asked: &Retain) -> Result<Self, StoreError> {
        let group = asked.group;
        let tail = log::tail(tables, group)?;
        let message = log::newest(tables, group)?;
        let newest = message.as_ref().map_or(tail.head.seq, |message| message.seq);
        // Numbers only grow within a log, and so do times.
        let surplus = asked.retention.messages.map_or(0, |kept| tail.number.saturating_sub(kept));
        let mut first_kept = Seq(0);
        if surplus > 0 {
            let behind = log::first_message(tables, group, newest, |message| message.number > surplus)?;
            // What lies between the last that goes and the first that stays goes, too.
            first_kept = log::message_from(tables, group, behind)?.map_or(behind, |message| message.seq);
        }
        let oldest_ms = asked.retention.age_ms.map_or(0, |age| asked.unix_ms.saturating_sub(age));
        // The newest message's place stays, and so does the log's end, from which the next place is told.
        let last = Seq(newest.0.saturating_sub(1));
        let forgotten_ms = asked.unix_ms.saturating_sub(CLIENT_ID_MS);
        Ok(Self { last, first_kept, oldest_ms, forgotten_ms, newest: message })
    }
}
