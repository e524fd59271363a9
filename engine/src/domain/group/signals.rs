//! Markers and typing: state that is told, but takes no place in the log.

use std::collections::{BTreeMap, HashMap};

use super::{Denied, Effect, Group, Marked};
use crate::domain::Now;
use crate::domain::event::Marker;
use crate::domain::ids::{Seq, SessionId, UserId, UserLife};

/// How far everyone has come. What moves is gathered, stored, and told then.
#[derive(Debug, Default)]
pub(super) struct Markers {
    stored: HashMap<UserId, Marker>,
    /// Where those stand who said something since what is stored: told of nobody, since it follows from the message.
    own_words: HashMap<UserId, Seq>,
    /// What has moved since the last time, and whether others are to be told.
    moving: BTreeMap<UserId, Marked>,
    /// Those of who attended while the group is awake, and may come back.
    gone: HashMap<UserLife, Marker>,
    told_ms: Option<u64>,
}

impl Markers {
    pub(super) fn new(
        stored: impl IntoIterator<Item = (UserLife, Marker)>,
        attends: impl Fn(&UserLife) -> bool,
    ) -> Self {
        let mut markers = Self::default();
        for (user, marker) in stored {
            if attends(&user) {
                markers.stored.insert(user.id, marker);
            } else {
                markers.gone.insert(user, marker);
            }
        }
        markers
    }

    /// How far everyone has come, as who has the log up to a place knows it.
    pub(super) fn shown(&self, upto: Seq) -> HashMap<UserId, Marker> {
        let mut shown = self.stored.clone();
        for (user, seq) in self.own_words.iter().filter(|(_, seq)| **seq <= upto) {
            let known = shown.entry(user.clone()).or_default();
            *known = known.merged(Marker { read: *seq, received: *seq });
        }
        shown
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
            if self.own_words.get(&user.id).is_some_and(|seq| *seq <= marker.read) {
                self.own_words.remove(&user.id);
            }
            let stored = self.stored.entry(user.id).or_default();
            *stored = stored.merged(marker);
        }
    }

    /// Who goes is shown with no marker; where it stood is remembered, as the store does.
    pub(super) fn leave(&mut self, user: &UserLife) {
        self.moving.remove(&user.id);
        self.own_words.remove(&user.id);
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

    fn gathers(&self) -> bool {
        !self.moving.is_empty()
    }

    pub(super) fn due_ms(&self, interval_ms: u64) -> Option<u64> {
        self.gathers().then(|| self.told_ms.map_or(0, |told| told + interval_ms))
    }

    /// What is to be stored now, if anything.
    pub(super) fn poll(&mut self, mono_ms: u64, interval_ms: u64) -> Option<Effect> {
        if self.due_ms(interval_ms)? > mono_ms {
            return None;
        }
        self.told_ms = Some(mono_ms);
        self.hand_out()
    }

    /// All that is gathered, to be stored now.
    fn hand_out(&mut self) -> Option<Effect> {
        let moving = std::mem::take(&mut self.moving);
        (!moving.is_empty()).then(|| Effect::Mark(moving.into_values().collect()))
    }
}

/// Who types. What changes is told at most once an interval for each user, and of a large group only how many they are.
/// What lasts is told again, so that whoever lost or never heard the end may end it alone, and who came later sees it.
#[derive(Debug)]
pub(super) struct Typing {
    /// How long it lasts when it isn't said again, in milliseconds.
    lasts_ms: u64,
    /// Each until when, on the monotonic clock.
    until_ms: BTreeMap<UserId, u64>,
    /// What was told of each, and when; forgotten when it is of no meaning any more.
    told: BTreeMap<UserId, Told>,
    /// In a large group: the number that was told, and when.
    count_told: usize,
    count_told_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    on: bool,
    at_ms: u64,
}

impl Typing {
    pub(super) fn new(lasts_ms: u64) -> Self {
        Self {
            lasts_ms,
            until_ms: BTreeMap::new(),
            told: BTreeMap::new(),
            count_told: 0,
            count_told_ms: None,
        }
    }

    fn start(&mut self, user: UserId, mono_ms: u64) {
        self.until_ms.insert(user, mono_ms + self.lasts_ms);
    }

    pub(super) fn stop(&mut self, user: &UserId) {
        self.until_ms.remove(user);
    }

    pub(super) fn due_ms(&self, is_large: bool, interval_ms: u64) -> Option<u64> {
        let ends = self.until_ms.values().min().copied();
        let told = if is_large { self.count_due_ms(interval_ms) } else { self.names_due_ms(interval_ms) };
        ends.into_iter().chain(told).min()
    }

    fn count_due_ms(&self, interval_ms: u64) -> Option<u64> {
        let told_ms = self.count_told_ms?;
        (self.until_ms.len() != self.count_told).then(|| told_ms + interval_ms)
    }

    fn names_due_ms(&self, interval_ms: u64) -> Option<u64> {
        self.told.iter().filter_map(|(user, told)| self.name_due_ms(user, *told, interval_ms)).min()
    }

    /// When a user of whom something was told is to be told of next, as things stand.
    fn name_due_ms(&self, user: &UserId, told: Told, interval_ms: u64) -> Option<u64> {
        let until_ms = self.until_ms.get(user).copied();
        if told.on != until_ms.is_some() {
            return Some(told.at_ms + interval_ms);
        }
        let lasts_on = until_ms.is_some_and(|until_ms| until_ms > told.at_ms + self.lasts_ms);
        lasts_on.then(|| told.at_ms + interval_ms.max(self.lasts_ms / 2))
    }

    /// What is to be told now.
    fn poll(&mut self, is_large: bool, mono_ms: u64, interval_ms: u64) -> Vec<Effect> {
        self.until_ms.retain(|_, until_ms| *until_ms > mono_ms);
        if is_large { self.poll_count(mono_ms, interval_ms) } else { self.poll_names(mono_ms, interval_ms) }
    }

    /// How many type. Whoever was told by name, before the group was large, is told to have stopped.
    fn poll_count(&mut self, mono_ms: u64, interval_ms: u64) -> Vec<Effect> {
        let named = std::mem::take(&mut self.told).into_iter().filter(|(_, told)| told.on);
        let mut effects: Vec<Effect> = named.map(|(user, _)| Effect::Typing(user, false)).collect();
        let since_ms = self.count_told_ms.map_or(0, |told_ms| told_ms + interval_ms);
        if self.until_ms.len() != self.count_told && since_ms <= mono_ms {
            self.count_told = self.until_ms.len();
            self.count_told_ms = Some(mono_ms);
            effects.push(Effect::TypingCount(self.count_told));
        }
        effects
    }

    fn poll_names(&mut self, mono_ms: u64, interval_ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if std::mem::take(&mut self.count_told) > 0 {
            effects.push(Effect::TypingCount(0));
        }
        let is_due = |(user, told): (&UserId, &Told)| {
            let due_ms = self.name_due_ms(user, *told, interval_ms);
            due_ms.is_some_and(|due_ms| due_ms <= mono_ms).then(|| user.clone())
        };
        let untold = self.until_ms.keys().filter(|user| !self.told.contains_key(*user)).cloned();
        let due: Vec<UserId> = self.told.iter().filter_map(is_due).chain(untold).collect();
        for user in due {
            let on = self.until_ms.contains_key(&user);
            self.told.insert(user.clone(), Told { on, at_ms: mono_ms });
            effects.push(Effect::Typing(user, on));
        }
        // What was told long ago paces nothing any more.
        self.told.retain(|_, told| told.on || told.at_ms + interval_ms > mono_ms);
        effects
    }
}

impl Group {
    /// The markers that are being gathered, before their time: nothing more is gathered.
    pub fn hand_out_markers(&mut self) -> Option<Effect> {
        self.markers.hand_out()
    }

    /// Whether markers have moved that aren't handed out to be stored yet.
    pub fn gathers_markers(&self) -> bool {
        self.markers.gathers()
    }

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
        self.markers.own_words.insert(user.id.clone(), self.head.seq);
    }

    pub(super) fn set_typing(&mut self, session: SessionId, on: bool, now: Now) -> Result<(), Denied> {
        let user = self.sessions.get(&session).ok_or(Denied::NotJoined)?;
        if !on {
            self.typing.stop(&user.id);
            return Ok(());
        }
        if self.roster.standing(user).is_some_and(|standing| standing.is_muted(now.unix_ms)) {
            return Err(Denied::Muted);
        }
        self.typing.start(user.id.clone(), now.mono_ms);
        Ok(())
    }

    pub(super) fn poll_typing(&mut self, now: Now) -> Vec<Effect> {
        self.typing.poll(self.roster.is_large(), now.mono_ms, self.rules.signal_interval_ms)
    }

    pub(super) fn poll_markers(&mut self, now: Now) -> Vec<Effect> {
        self.markers.poll(now.mono_ms, self.rules.signal_interval_ms).into_iter().collect()
    }
}
