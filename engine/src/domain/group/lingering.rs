//! Who lost the last connection a moment ago and still counts as online, so that a reconnect is no flicker.

use std::collections::HashMap;

use crate::domain::ids::UserLife;

/// Users, each with when its time is over, on the monotonic clock. Each holds one session's place on the roster.
#[derive(Debug, Default)]
pub(super) struct Lingering(HashMap<UserLife, u64>);

impl Lingering {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, user: &UserLife) -> bool {
        self.0.contains_key(user)
    }

    pub(super) fn insert(&mut self, user: UserLife, until_ms: u64) {
        self.0.insert(user, until_ms);
    }

    /// Whether the user was there.
    pub(super) fn remove(&mut self, user: &UserLife) -> bool {
        self.0.remove(user).is_some()
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        self.0.values().min().copied()
    }

    /// Takes out those whose time is over.
    pub(super) fn ended(&mut self, mono_ms: u64) -> Vec<UserLife> {
        self.0.extract_if(|_, until_ms| *until_ms <= mono_ms).map(|(user, _)| user).collect()
    }
}
