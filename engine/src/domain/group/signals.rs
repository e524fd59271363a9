//! Markers and typing: state that is told, but takes no place in the log.

use std::collections::{BTreeMap, HashMap};

use super::{Denied, Effect, Group, Marked};
use crate::domain::Now;
use crate::domain::event::Marker;
use crate::domain::ids::{SessionId, UserId, UserLife};

/// How far everyone has come. What moves is gathered, stored, and told then.
#[derive(Debug, Default)]
pub(super) struct Markers {
    stored: HashMap<UserId, Marker>,
    /// What has moved since the last time, and whether others are to be told.
    moving: BTreeMap<UserId, Marked>,
    /// Those of who attended while the group is awake, and may come back.
    gone: HashMap<UserLife, Marker>,
    told_ms: Option<u64>,
}

impl Markers {
    pub(super) fn new(stored: impl Iterator<Item = (UserLife, Marker)>) -> Self {
        Self { stored: stored.map(|(user, marker)| (user.id, marker)).collect(), ..Self::default() }
    }

    pub(super) fn stored(&self) -> &HashMap<UserId, Marker> {
        &self.stored
    }

    /// Moves a marker forward. One that is there already, or further, is left as it is.
    fn advance(&mut self, user: &UserLife, marker: Marker, told: bool) {
        let stored = self.stored.get(&user.id).copied().unwrap_or_default();
        let before = self.moving.get(&user.id).map_or(stored, |marked| marked.marker);
        let after = before.merged(marker);
        if after == before {
            return;
        }
        let marked = self.moving.entry(user.id.clone()).or_insert_with(|| Marked {
            user: user.clone(),
            marker: after,
            told: false,
        });
        marked.marker = after;
        marked.told |= told;
    }

    pub(super) fn moved(&mut self, marked: impl Iterator<Item = Marked>) {
        for Marked { user, marker, .. } in marked {
            let stored = self.stored.entry(user.id).or_default();
            *stored = stored.merged(marker);
        }
    }

    /// Who goes is shown with no marker; where it stood is remembered, as the store does.
    pub(super) fn leave(&mut self, user: &UserLife) {
        self.moving.remove(&user.id);
        if let Some(marker) = self.stored.remove(&user.id) {
            self.gone.insert(user.clone(), marker);
        }
    }

    /// Who comes back stands where it stood.
    pub(super) fn come_back(&mut self, user: &UserLife) {
        if let Some(marker) = self.gone.remove(user) {
            let stored = self.stored.entry(user.id.clone()).or_default();
            *stored = stored.merged(marker);
        }
    }

    pub(super) fn due_ms(&self, interval_ms: u64) -> Option<u64> {
        (!self.moving.is_empty()).then(|| self.told_ms.map_or(0, |told| told + interval_ms))
    }

    /// What is to be stored now, if anything.
    pub(super) fn poll(&mut self, mono_ms: u64, interval_ms: u64) -> Option<Effect> {
        if self.due_ms(interval_ms)? > mono_ms {
            return None;
        }
        self.told_ms = Some(mono_ms);
        Some(Effect::Mark(std::mem::take(&mut self.moving).into_values().collect()))
    }
}

/// Who types, each until when, on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Typing {
    until_ms: BTreeMap<UserId, u64>,
    /// In a large group: the number that was told, and when.
    count_told: usize,
    count_told_ms: Option<u64>,
}

impl Typing {
    pub(super) fn due_ms(&self, interval_ms: u64) -> Option<u64> {
        let ends = self.until_ms.values().min().copied();
        let count = self.count_due_ms(interval_ms);
        ends.into_iter().chain(count).min()
    }

    fn count_due_ms(&self, interval_ms: u64) -> Option<u64> {
        let told_ms = self.count_told_ms?;
        (self.until_ms.len() != self.count_told).then(|| told_ms + interval_ms)
    }

    /// How many type, when that is to be told.
    fn poll_count(&mut self, mono_ms: u64, interval_ms: u64) -> Option<Effect> {
        let since_ms = self.count_told_ms.map_or(0, |told_ms| told_ms + interval_ms);
        if self.until_ms.len() == self.count_told || since_ms > mono_ms {
            return None;
        }
        self.count_told = self.until_ms.len();
        self.count_told_ms = Some(mono_ms);
        Some(Effect::TypingCount(self.count_told))
    }

    fn ended(&mut self, mono_ms: u64) -> Vec<UserId> {
        let over = |(user, until_ms): (&UserId, &u64)| (*until_ms <= mono_ms).then(|| user.clone());
        let ended: Vec<UserId> = self.until_ms.iter().filter_map(over).collect();
        self.until_ms.retain(|_, until_ms| *until_ms > mono_ms);
        ended
    }
}

impl Group {
    pub(super) fn mark(&mut self, session: SessionId, marker: Marker) -> Result<(), Denied> {
        let user = self.sessions.get(&session).ok_or(Denied::NotJoined)?;
        if marker.read.max(marker.received) > self.head.seq {
            return Err(Denied::BeyondHead);
        }
        self.markers.advance(user, marker, true);
        Ok(())
    }

    /// Who says something has read what it answers to. Nobody needs to be told what follows from the message.
    pub(super) fn mark_own_words(&mut self, user: &UserLife) {
        let marker = Marker { read: self.head.seq, received: self.head.seq };
        self.markers.advance(user, marker, false);
    }

    pub(super) fn set_typing(
        &mut self,
        session: SessionId,
        on: bool,
        now: Now,
    ) -> Result<Option<Effect>, Denied> {
        let user = self.sessions.get(&session).ok_or(Denied::NotJoined)?.clone();
        if !on {
            return Ok(self.stop_typing(&user.id, now));
        }
        if self.roster.standing(&user).is_some_and(|standing| standing.is_muted(now.unix_ms)) {
            return Err(Denied::Muted);
        }
        let until_ms = now.mono_ms + self.rules.typing_ms;
        let is_new = self.typing.until_ms.insert(user.id.clone(), until_ms).is_none();
        if self.roster.is_large() {
            return Ok(self.typing.poll_count(now.mono_ms, self.rules.signal_interval_ms));
        }
        Ok(is_new.then_some(Effect::Typing(user.id, true)))
    }

    pub(super) fn stop_typing(&mut self, user: &UserId, now: Now) -> Option<Effect> {
        self.typing.until_ms.remove(user)?;
        if self.roster.is_large() {
            return self.typing.poll_count(now.mono_ms, self.rules.signal_interval_ms);
        }
        Some(Effect::Typing(user.clone(), false))
    }

    pub(super) fn tick_signals(&mut self, now: Now) -> Vec<Effect> {
        let interval_ms = self.rules.signal_interval_ms;
        let mut effects: Vec<Effect> = self.markers.poll(now.mono_ms, interval_ms).into_iter().collect();
        let ended = self.typing.ended(now.mono_ms);
        if self.roster.is_large() {
            effects.extend(self.typing.poll_count(now.mono_ms, interval_ms));
        } else {
            effects.extend(ended.into_iter().map(|user| Effect::Typing(user, false)));
        }
        effects
    }
}
