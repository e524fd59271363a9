//! A group's log: its messages and its other events, which lie in two keyspaces, merged by their places.

use std::iter::Peekable;
use std::ops::Bound;

use fjall::{Guard, Iter, Keyspace, Slice};

use super::events::Noted;
use super::keys;
use super::messages::Stored;
use super::tables::{Tables, bad_key};
use crate::domain::event::Head;
use crate::domain::ids::{GroupUid, Seq};
use crate::store::StoreError;

/// A row of a log, as it was found.
pub(super) struct Row {
    pub(super) group: GroupUid,
    pub(super) seq: Seq,
    pub(super) is_message: bool,
    value: Slice,
}

/// An entry of a log.
pub(super) enum Entry {
    Message(Stored),
    Event(Noted),
}

impl Row {
    pub(super) fn read(guard: Guard, is_message: bool) -> Result<Self, StoreError> {
        let (key, value) = guard.into_inner()?;
        let (group, seq) = keys::place_of(&key).ok_or_else(bad_key)?;
        Ok(Self { group, seq, is_message, value })
    }

    pub(super) fn decode(&self) -> Result<Entry, StoreError> {
        if self.is_message {
            Stored::decode(self.seq, &self.value).map(Entry::Message)
        } else {
            Noted::decode(self.seq, &self.value).map(Entry::Event)
        }
    }
}

impl Entry {
    pub(super) fn time_ms(&self) -> u64 {
        match self {
            Self::Message(message) => message.time_ms,
            Self::Event(event) => event.time_ms,
        }
    }
}

/// Two walks as one, by group and place.
pub(super) struct Merged<I: Iterator<Item = Result<Row, StoreError>>> {
    messages: Peekable<I>,
    events: Peekable<I>,
}

impl<I: Iterator<Item = Result<Row, StoreError>>> Iterator for Merged<I> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = |row: &Row| (row.group, row.seq);
        let message_first = match (self.messages.peek(), self.events.peek()) {
            (None, _) | (Some(Ok(_)), Some(Err(_))) => false,
            (Some(Ok(message)), Some(Ok(event))) => place(message) <= place(event),
            (Some(_), _) => true,
        };
        if message_first { self.messages.next() } else { self.events.next() }
    }
}

fn merged(messages: Iter, events: Iter) -> Merged<impl Iterator<Item = Result<Row, StoreError>>> {
    let rows = |iter: Iter, is_message| iter.map(move |guard| Row::read(guard, is_message)).peekable();
    Merged { messages: rows(messages, true), events: rows(events, false) }
}

/// A part of a group's log, from one place up to another, both included.
pub(super) fn rows(
    tables: &Tables,
    group: GroupUid,
    from: Seq,
    upto: Seq,
) -> impl Iterator<Item = Result<Row, StoreError>> {
    let range = keys::place(group, from)..=keys::place(group, upto.max(from));
    merged(tables.messages.range(range.clone()), tables.events.range(range)).filter(move |_| from <= upto)
}

/// Every log, one after the other.
pub(super) fn all(tables: &Tables) -> impl Iterator<Item = Result<Row, StoreError>> {
    merged(tables.messages.iter(), tables.events.iter())
}

/// Keys that begin with a prefix, from one on.
pub(super) fn with_prefix(keyspace: &Keyspace, prefix: &[u8], after: Option<&[u8]>) -> Iter {
    let begin = after.map_or(Bound::Included(prefix), Bound::Excluded);
    let end = keys::end_of(prefix);
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    keyspace.range::<&[u8], _>((begin, end))
}

/// A message in its newest version, if that place is one and is still kept.
pub(super) fn message(tables: &Tables, group: GroupUid, seq: Seq) -> Result<Option<Stored>, StoreError> {
    let row = tables.messages.get(keys::place(group, seq))?;
    row.map(|row| Stored::decode(seq, &row)).transpose()
}

/// The newest message of a group at this place or before.
pub(super) fn message_upto(
    tables: &Tables,
    group: GroupUid,
    upto: Seq,
) -> Result<Option<Stored>, StoreError> {
    let range = keys::place(group, Seq(0))..=keys::place(group, upto);
    tables.messages.range(range).next_back().map(read_message).transpose()
}

/// The oldest message of a group that is still kept, from this place on.
pub(super) fn message_from(
    tables: &Tables,
    group: GroupUid,
    from: Seq,
) -> Result<Option<Stored>, StoreError> {
    let range = keys::place(group, from)..=keys::place(group, Seq(u64::MAX));
    tables.messages.range(range).next().map(read_message).transpose()
}

/// The place below which no message satisfies what all from there on do, by halving. At most the one behind `upto`.
pub(super) fn first_message(
    tables: &Tables,
    group: GroupUid,
    upto: Seq,
    satisfies: impl Fn(&Stored) -> bool,
) -> Result<Seq, StoreError> {
    // What was removed leaves marks, which are passed over here once and not at each step.
    let first = message_from(tables, group, Seq(0))?.map_or(Seq(1), |message| message.seq);
    let (mut low, mut high) = (first, Seq(upto.0.saturating_add(1)));
    while low < high {
        let middle = Seq(low.0 + (high.0 - low.0) / 2);
        let row = tables.messages.range(keys::place(group, middle)..keys::place(group, high)).next();
        match row.map(read_message).transpose()? {
            Some(message) if !satisfies(&message) => low = message.seq.next(),
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The newest message of a group.
pub(super) fn newest(tables: &Tables, group: GroupUid) -> Result<Option<Stored>, StoreError> {
    message_upto(tables, group, Seq(u64::MAX))
}

/// Where a group's log ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tail {
    /// The newest place.
    pub(super) head: Head,
    /// How many messages were said.
    pub(super) number: u64,
}

/// Where a group's log ends.
pub(super) fn tail(tables: &Tables, group: GroupUid) -> Result<Tail, StoreError> {
    let message = newest(tables, group)?;
    let mut tail = message.map_or(Tail::default(), |it| Tail {
        head: Head { seq: it.seq, time_ms: it.time_ms },
        number: it.number,
    });
    if let Some(guard) = tables.events.prefix(keys::of_group(group)).next_back() {
        let row = Row::read(guard, false)?;
        if row.seq > tail.head.seq {
            tail.head = Head { seq: row.seq, time_ms: row.decode()?.time_ms() };
        }
    }
    Ok(tail)
}

pub(super) fn read_message(guard: Guard) -> Result<Stored, StoreError> {
    let row = Row::read(guard, true)?;
    Stored::decode(row.seq, &row.value)
}
