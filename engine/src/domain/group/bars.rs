//! When mutes and bans end by themselves, so that it shows.

use std::collections::BTreeSet;

use crate::domain::Now;
use crate::domain::attendance::Standing;
use crate::domain::ids::UserId;

/// Who is barred from something until some time, by that time on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Bars(BTreeSet<(u64, UserId)>);

impl Bars {
    /// Notes when what bars somebody ends, as far as that is known. What was noted before stays: looking once too often does no harm.
    pub(super) fn watch(&mut self, user: &UserId, standing: &Standing, now: Now) {
        let bars = [standing.muted, standing.banned];
        for until_ms in bars.into_iter().flatten().filter_map(|bar| bar.until_ms) {
            if let Some(left_ms) = until_ms.checked_sub(now.unix_ms).filter(|left_ms| *left_ms > 0) {
                self.0.insert((now.mono_ms.saturating_add(left_ms), user.clone()));
            }
        }
    }

    /// When the next one ends.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.0.first().map(|(due_ms, _)| *due_ms)
    }

    /// Takes out those that should be over by now.
    pub(super) fn ended(&mut self, mono_ms: u64) -> Vec<UserId> {
        let mut ended = Vec::new();
        while self.due_ms().is_some_and(|due_ms| due_ms <= mono_ms) {
            ended.extend(self.0.pop_first().map(|(_, user)| user));
        }
        ended
    }
}
