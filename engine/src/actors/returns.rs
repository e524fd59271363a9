//! How fast a user may come back with tickets. Each connection is given a ticket for the next one, without the tenant's backend, and each use of one is
//! stored: so who comes back over and over waits for its turn.

use std::time::Duration;

use dashmap::DashMap;

use crate::clock::Clock;
use crate::config::RETURNS;
use crate::domain::ids::{ServiceId, UserLife};
use crate::domain::rate::Bucket;

/// Users that are kept in mind before those are forgotten who have been calm.
const USERS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Returns {
    users: DashMap<(ServiceId, UserLife), Bucket>,
}

impl Returns {
    /// Waits until the user may come back once more.
    pub(crate) async fn turn(&self, user: (ServiceId, UserLife), clock: &Clock) {
        let wait_ms = self.wait_ms(user, clock.mono_ms());
        if wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
    }

    fn wait_ms(&self, user: (ServiceId, UserLife), now_ms: u64) -> u64 {
        if self.users.len() > USERS_MAX {
            self.users.retain(|_, bucket| !bucket.is_full(RETURNS, now_ms));
        }
        let mut bucket = self.users.entry(user).or_insert_with(|| Bucket::full(RETURNS, now_ms));
        bucket.take_ahead(1, RETURNS, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{UserId, UserUid};

    #[test]
    fn who_comes_back_over_and_over_waits_and_others_dont() {
        let user = |id| {
            let life = UserLife { id: UserId::parse(id).unwrap(), uid: UserUid(1) };
            (ServiceId::parse("s").unwrap(), life)
        };
        let returns = Returns::default();
        for _ in 0..RETURNS.burst {
            assert_eq!(returns.wait_ms(user("alice"), 0), 0);
        }
        let turn_ms = 1_000 / u64::from(RETURNS.per_s);
        assert_eq!(returns.wait_ms(user("alice"), 0), turn_ms);
        assert_eq!(returns.wait_ms(user("alice"), 0), 2 * turn_ms, "one after the other");
        assert_eq!(returns.wait_ms(user("bob"), 0), 0);
        assert_eq!(returns.wait_ms(user("alice"), 2 * turn_ms), turn_ms);
    }
}
