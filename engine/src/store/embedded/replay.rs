//! A part of a log, for who has missed it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::log;
use super::messages::Stored;
use super::tables::Tables;
use crate::domain::event::{Edit, Event, EventKind};
use crate::domain::ids::{GroupUid, Seq};
use crate::domain::profile::{Change, Custom};
use crate::store::{Replay, ReplayBounds, StoreError};

/// Reads every event of a part of a log, or none.
pub(super) fn replay(
    tables: &Tables,
    group: GroupUid,
    after: Seq,
    upto: Seq,
    bounds: ReplayBounds,
) -> Result<Replay, StoreError> {
    let Some(missed) = upto.0.checked_sub(after.0) else { return Ok(Replay::Whole(Vec::new())) };
    let Ok(count) = usize::try_from(missed) else { return Ok(Replay::TooFar) };
    if count > bounds.events_max {
        return Ok(Replay::TooFar);
    }
    let (mut events, mut bytes, mut edited) = (Vec::with_capacity(count), 0, Edited::default());
    for row in log::rows(tables, group, Seq(after.0.saturating_add(1)), upto) {
        let event = match row?.decode()? {
            log::Entry::Message(message) => message.into_event(),
            log::Entry::Event(event) => {
                let message = event.edited().map(|of| edited.message(tables, group, of)).transpose()?;
                event.into_event(message.flatten())
            }
        };
        bytes += bytes_of(&event);
        if bytes > bounds.bytes_max {
            return Ok(Replay::TooFar);
        }
        events.push(event);
    }
    // A part of it may no longer be kept.
    Ok(if events.len() == count { Replay::Whole(events) } else { Replay::TooFar })
}

/// Messages that were read because they were edited: each is read once, however often that was.
#[derive(Default)]
struct Edited(HashMap<Seq, Option<Stored>>);

impl Edited {
    fn message(&mut self, tables: &Tables, group: GroupUid, of: Seq) -> Result<Option<&Stored>, StoreError> {
        let message = match self.0.entry(of) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => place.insert(log::message(tables, group, of)?),
        };
        Ok(message.as_ref())
    }
}

/// Bytes of texts and custom data.
fn bytes_of(event: &Event) -> usize {
    match &event.kind {
        EventKind::Message(message) => message.text.len() + message.custom().map_or(0, Custom::bytes),
        EventKind::Edit(Edit { text, custom, .. }) => {
            let custom = if let Change::Set(custom) = custom { custom.bytes() } else { 0 };
            text.as_ref().map_or(0, |text| text.len()) + custom
        }
        EventKind::Delete { .. } | EventKind::Reaction(_) | EventKind::Moderation(_) => 0,
    }
}
