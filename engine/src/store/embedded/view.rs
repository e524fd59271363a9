//! The view of the logs that history shows: messages in their newest versions, and how far users have come.

use std::cmp::Reverse;

use fjall::Guard;

use super::log::{self, read_message};
use super::messages::Stored;
use super::tables::{Tables, bad_key};
use super::{keys, rows, traces};
use crate::domain::event::{Facts, Head, Marker, Shown};
use crate::domain::ids::{ClientId, GroupUid, ReactionKey, Seq, UserLife};
use crate::domain::message::Before;
use crate::store::{Edge, HistoryPage, StoreError, Unread, Window};

/// Reads a page of messages.
pub(super) fn page(tables: &Tables, group: GroupUid, window: &Window) -> Result<HistoryPage, StoreError> {
    let behind = Seq(window.upto.0.saturating_add(1));
    let end = match window.edge {
        Edge::Newest | Edge::After(_) => behind,
        Edge::Before(Before::Seq(seq)) => seq.min(behind),
        Edge::Before(Before::Time(time_ms)) => {
            log::first_message(tables, group, window.upto, |message| message.time_ms >= time_ms)?.min(behind)
        }
    };
    if let Edge::After(Seq(after)) = window.edge {
        let begin = Seq(after.saturating_add(1)).min(end);
        let rows = tables.messages.range(keys::place(group, begin)..keys::place(group, end));
        return cut(tables, group, window, rows);
    }
    let rows = tables.messages.range(keys::place(group, Seq(0))..keys::place(group, end));
    let mut page = cut(tables, group, window, rows.rev())?;
    page.messages.reverse();
    Ok(page)
}

/// Takes messages until the window is full, and reads one too many at most.
fn cut(
    tables: &Tables,
    group: GroupUid,
    window: &Window,
    mut rows: impl Iterator<Item = Guard>,
) -> Result<HistoryPage, StoreError> {
    let (mut page, mut bytes) = (HistoryPage::default(), 0);
    while page.messages.len() < window.limit {
        let Some(row) = rows.next() else { return Ok(page) };
        let message = shown(tables, group, read_message(row)?, window.reader.as_ref())?;
        bytes += message.page_bytes();
        if bytes > window.bytes_max && !page.messages.is_empty() {
            page.more = true;
            return Ok(page);
        }
        page.messages.push(message);
    }
    page.more = rows.next().is_some();
    Ok(page)
}

fn shown(
    tables: &Tables,
    group: GroupUid,
    message: Stored,
    reader: Option<&UserLife>,
) -> Result<Shown, StoreError> {
    let mine = mine(tables, group, &message, reader)?;
    Ok(message.into_shown(mine))
}

/// The reactions to a message that a user has set.
fn mine(
    tables: &Tables,
    group: GroupUid,
    message: &Stored,
    user: Option<&UserLife>,
) -> Result<Vec<ReactionKey>, StoreError> {
    let Some(user) = user.filter(|_| message.has_reactions()) else { return Ok(Vec::new()) };
    let prefix = traces::reactions(user, group, message.seq);
    let read = |row: Guard| {
        let key = row.key()?;
        let reaction = key.strip_prefix(prefix.as_slice()).and_then(|key| std::str::from_utf8(key).ok());
        reaction.and_then(ReactionKey::parse).ok_or_else(bad_key)
    };
    log::with_prefix(&tables.traces, &prefix, None).map(read).collect()
}

/// What deciding about a change of a message takes.
pub(super) fn facts(
    tables: &Tables,
    group: GroupUid,
    of: Seq,
    user: Option<&UserLife>,
) -> Result<Option<Facts>, StoreError> {
    let Some(message) = log::message(tables, group, of)? else { return Ok(None) };
    let mine = mine(tables, group, &message, user)?;
    Ok(Some(message.into_facts(mine)))
}

/// Where the newest message with this client id stands, and when it was said.
pub(super) fn sent(
    tables: &Tables,
    group: GroupUid,
    user: &UserLife,
    client_id: &ClientId,
) -> Result<Option<Head>, StoreError> {
    let trace = traces::client_id(user, group, client_id);
    let Some(said) = tables.traces.get(trace)? else { return Ok(None) };
    let (seq, time_ms) = traces::said_in(&said).ok_or_else(bad_key)?;
    if let Some(time_ms) = time_ms {
        return Ok(Some(Head { seq, time_ms }));
    }
    let message = log::message(tables, group, seq)?;
    Ok(message.map(|message| Head { seq: message.seq, time_ms: message.time_ms }))
}

/// Every marker of a group.
pub(super) fn markers(tables: &Tables, group: GroupUid) -> Result<Vec<(UserLife, Marker)>, StoreError> {
    let read = |row: Guard| {
        let (key, marker) = row.into_inner()?;
        let (_, user) = keys::marker_of(&key).ok_or_else(bad_key)?;
        Ok((user, rows::decode(&marker)?))
    };
    log::with_prefix(&tables.markers, &keys::of_group(group), None).map(read).collect()
}

/// The groups in which something happened last, the latest first.
pub(super) fn latest(
    tables: &Tables,
    groups: &[GroupUid],
    limit: usize,
) -> Result<Vec<(GroupUid, Head)>, StoreError> {
    let head = |group: &GroupUid| Ok((*group, log::tail(tables, *group)?.head));
    let mut heads = groups.iter().map(head).collect::<Result<Vec<_>, StoreError>>()?;
    heads.sort_by_key(|(_, head)| Reverse(head.time_ms));
    heads.truncate(limit);
    Ok(heads)
}

/// How far a user has come. Messages are numbered, so none is counted.
pub(super) fn unread(tables: &Tables, group: GroupUid, user: &UserLife) -> Result<Unread, StoreError> {
    let marker = tables.markers.get(keys::marker(group, user))?;
    let marker = marker.map(|row| rows::decode::<Marker>(&row)).transpose()?.unwrap_or_default();
    let said = last_words(tables, group, user)?;
    // Markers are stored some time after what moves them.
    let marker = marker.merged(Marker { read: said, received: said });
    let tail = log::tail(tables, group)?;
    let messages = if marker.read >= tail.head.seq {
        0
    } else {
        tail.number.saturating_sub(number_upto(tables, group, marker.read)?)
    };
    Ok(Unread { head: tail.head, marker, messages })
}

/// The newest message of a user in a group; 0 when there is none.
fn last_words(tables: &Tables, group: GroupUid, user: &UserLife) -> Result<Seq, StoreError> {
    let prefix = traces::messages(user, group);
    let Some(row) = tables.traces.prefix(&prefix).next_back() else { return Ok(Seq(0)) };
    let key = row.key()?;
    let seq = key.strip_prefix(prefix.as_slice()).and_then(|seq| seq.try_into().ok());
    seq.map(u64::from_be_bytes).map(Seq).ok_or_else(bad_key)
}

/// How many messages of a group were said up to a place, those that are no longer kept among them.
fn number_upto(tables: &Tables, group: GroupUid, upto: Seq) -> Result<u64, StoreError> {
    if upto > Seq(0)
        && let Some(message) = log::message_upto(tables, group, upto)?
    {
        return Ok(message.number);
    }
    let oldest = log::message_from(tables, group, Seq(0))?;
    Ok(oldest.map_or(0, |message| message.number.saturating_sub(1)))
}
