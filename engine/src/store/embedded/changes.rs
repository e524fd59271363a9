//! What one round of the [`committer`](super::committer) writes into logs and their view, in one batch. What comes
//! later in a round sees what came before, though none of it is in the tables yet.

use std::collections::HashMap;

use fjall::{OwnedWriteBatch, PersistMode};

use super::events::Noted;
use super::messages::{self, Stored};
use super::tables::Tables;
use super::{keys, rows, traces};
use crate::domain::event::{Actor, Event, EventKind, Head, Marker, Message, Reaction};
use crate::domain::ids::{GroupUid, Seq, UserLife};
use crate::store::StoreError;

/// The key of a message.
type Place = [u8; 16];

pub(super) struct Changes {
    batch: OwnedWriteBatch,
    /// The messages that were said in this round, as their rows.
    said: Vec<(Place, Vec<u8>)>,
    /// Where in [`Changes::said`] a message stands: of as many of them as it has entries, because only a change of
    /// a message asks.
    said_at: HashMap<Place, usize>,
    /// Messages that changed in this round, whether they were said in it or before.
    changed: HashMap<Place, Stored>,
    /// Reactions, by the keys of their rows, and whether they are set.
    reactions: HashMap<Vec<u8>, bool>,
    markers: HashMap<Vec<u8>, Marker>,
    /// Messages that were deleted and whose reactions must be swept away.
    swept: Vec<Place>,
}

impl Changes {
    pub(super) fn new(tables: &Tables) -> Self {
        Self {
            batch: tables.batch().durability(Some(PersistMode::SyncData)),
            said: Vec::new(),
            said_at: HashMap::new(),
            changed: HashMap::new(),
            reactions: HashMap::new(),
            markers: HashMap::new(),
            swept: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.said.is_empty() && self.markers.is_empty()
    }

    /// Makes everything durable and then visible. Answers which messages' reactions must be swept away.
    pub(super) fn commit(mut self, tables: &Tables) -> Result<Vec<Place>, StoreError> {
        for (place, row) in self.said {
            if self.changed.is_empty() || !self.changed.contains_key(&place) {
                self.batch.insert(&tables.messages, place, row);
            }
        }
        for (place, message) in self.changed {
            self.batch.insert(&tables.messages, place, message.encode());
        }
        for (row, set) in self.reactions {
            let trace = traces::of_reaction(&row);
            if set {
                trace.into_iter().for_each(|trace| self.batch.insert(&tables.traces, trace, []));
                self.batch.insert(&tables.reactions, row, []);
            } else {
                trace.into_iter().for_each(|trace| self.batch.remove(&tables.traces, trace));
                self.batch.remove(&tables.reactions, row);
            }
        }
        for (key, marker) in self.markers {
            self.batch.insert(&tables.markers, key, rows::encode(&marker));
        }
        for place in &self.swept {
            self.batch.insert(&tables.trash, *place, []);
        }
        self.batch.commit()?;
        Ok(self.swept)
    }

    /// Takes an event. When it fails nothing of it is written.
    pub(super) fn append(
        &mut self,
        tables: &Tables,
        group: GroupUid,
        event: &Event,
        number: u64,
    ) -> Result<(), StoreError> {
        match &event.kind {
            EventKind::Message(message) => {
                let row = messages::encode(event.time_ms, &event.by, number, message);
                self.said.push((keys::place(group, event.seq), row));
                self.trace_message(tables, group, event, message);
                return Ok(());
            }
            EventKind::Edit(edit) => {
                if let Some(message) = self.message(tables, group, edit.of)? {
                    message.edit(edit, event.seq, event.time_ms);
                }
            }
            EventKind::Delete { of } => self.delete(tables, group, *of, event.seq)?,
            EventKind::Reaction(reaction) => self.react(tables, group, event, reaction)?,
            EventKind::Moderation(_) => {}
        }
        if let Some(noted) = Noted::of(event) {
            self.batch.insert(&tables.events, keys::place(group, event.seq), noted.encode());
            for user in noted.users() {
                self.batch.insert(&tables.traces, traces::event(&user, group, event.seq), []);
            }
        }
        Ok(())
    }

    /// Moves markers of a group forward.
    pub(super) fn mark(
        &mut self,
        tables: &Tables,
        group: GroupUid,
        markers: &[(UserLife, Marker)],
    ) -> Result<(), StoreError> {
        let mut moved = Vec::new();
        for (user, marker) in markers {
            let key = keys::marker(group, user);
            let known = match self.markers.get(&key) {
                Some(marker) => Some(*marker),
                None => tables.markers.get(&key)?.map(|row| rows::decode(&row)).transpose()?,
            };
            let marker = known.unwrap_or_default().merged(*marker);
            if marker != known.unwrap_or_default() {
                moved.push((key, marker, known.is_none().then(|| traces::marker(user, group))));
            }
        }
        for (key, marker, trace) in moved {
            // One user may stand in the list twice.
            let known = self.markers.entry(key).or_default();
            *known = known.merged(marker);
            trace.into_iter().for_each(|trace| self.batch.insert(&tables.traces, trace, []));
        }
        Ok(())
    }

    fn trace_message(&mut self, tables: &Tables, group: GroupUid, event: &Event, message: &Message) {
        let Actor::User(user) = &event.by else { return };
        self.batch.insert(&tables.traces, traces::message(user, group, event.seq), []);
        if let Some(id) = message.client_id() {
            let said = traces::said(Head { seq: event.seq, time_ms: event.time_ms });
            self.batch.insert(&tables.traces, traces::client_id(user, group, id), said);
        }
    }

    fn delete(&mut self, tables: &Tables, group: GroupUid, of: Seq, seq: Seq) -> Result<(), StoreError> {
        if let Some(message) = self.message(tables, group, of)? {
            let had_reactions = message.has_reactions();
            message.delete(seq);
            if had_reactions {
                self.swept.push(keys::place(group, of));
            }
        }
        Ok(())
    }

    fn react(
        &mut self,
        tables: &Tables,
        group: GroupUid,
        event: &Event,
        reaction: &Reaction,
    ) -> Result<(), StoreError> {
        let Actor::User(user) = &event.by else { return Ok(()) };
        let row = keys::reaction(group, reaction.of, user, &reaction.key);
        let was_set = match self.reactions.get(&row) {
            Some(set) => *set,
            None => tables.reactions.contains_key(&row)?,
        };
        if was_set != reaction.set
            && let Some(message) = self.message(tables, group, reaction.of)?
        {
            message.react(&reaction.key, reaction.set, event.seq);
            self.reactions.insert(row, reaction.set);
        }
        Ok(())
    }

    /// A message as it is now, to be changed, unless there is none there or it is deleted.
    fn message(
        &mut self,
        tables: &Tables,
        group: GroupUid,
        seq: Seq,
    ) -> Result<Option<&mut Stored>, StoreError> {
        let place = keys::place(group, seq);
        if !self.changed.contains_key(&place)
            && let Some(message) = self.unchanged(tables, &place, seq)?
        {
            self.changed.insert(place, message);
        }
        Ok(self.changed.get_mut(&place).filter(|message| !message.is_deleted()))
    }

    /// A message that hasn't changed in this round.
    fn unchanged(&mut self, tables: &Tables, place: &Place, seq: Seq) -> Result<Option<Stored>, StoreError> {
        for (at, (place, _)) in self.said.iter().enumerate().skip(self.said_at.len()) {
            self.said_at.insert(*place, at);
        }
        match self.said_at.get(place).and_then(|at| self.said.get(*at)) {
            Some((_, row)) => Stored::decode(seq, row).map(Some),
            None => tables.messages.get(place)?.map(|row| Stored::decode(seq, &row)).transpose(),
        }
    }
}
