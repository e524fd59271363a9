//! Who may do what: what a connection token stands for, and what takes an author or a moderator.

use serde::{Deserialize, Serialize};

use super::attendance::Role;
use super::ids::{GroupId, GroupUid, ServiceId, UserLife};

/// Whether somebody may edit or delete a message: its author, a moderator, or the tenant's backend, which has no role.
pub fn may_change(role: Option<Role>, is_author: bool) -> bool {
    is_author || role != Some(Role::Member)
}

/// Whether somebody may mute, kick and ban: a moderator, or the tenant's backend, which has no role.
pub fn may_moderate(role: Option<Role>) -> bool {
    role != Some(Role::Member)
}

/// Whether only the tenant's backend may act against somebody of this role.
pub fn is_above(role: Role) -> bool {
    role == Role::Moderator
}

/// What a token opens: a user's session, in one group or in any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The tenant that asked for the token.
    pub service: ServiceId,
    /// Who enters, in that life: a user made again under the same id isn't who an old token is for.
    pub user: UserLife,
    /// The group that it is for; without one the user joins and leaves its groups.
    pub place: Option<Place>,
    /// [`UserRecord::sign_outs`](super::profile::UserRecord::sign_outs) when it was given: who was signed out since doesn't come in with it.
    pub sign_outs: u64,
}

/// A group that a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The group to enter.
    pub group: GroupId,
    /// That life of the group: a group made again under the same id isn't entered with an old token.
    pub uid: GroupUid,
    /// The user's stint there: who was removed or banned since doesn't come in with an old token.
    pub stint: u64,
}

/// A grant that ends. The end is inside it, so that a store which keeps it too long can't revive it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiringGrant {
    grant: Grant,
    expires_ms: u64,
}

impl ExpiringGrant {
    /// A grant that can be used for `ttl_ms` from `now_ms` on, in Unix milliseconds.
    pub fn new(grant: Grant, now_ms: u64, ttl_ms: u64) -> Self {
        Self { grant, expires_ms: now_ms.saturating_add(ttl_ms) }
    }

    /// When it ends, in Unix milliseconds.
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// The grant, unless it has ended.
    pub fn redeem(self, now_ms: u64) -> Option<Grant> {
        (now_ms < self.expires_ms).then_some(self.grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{UserId, UserUid};

    #[test]
    fn a_grant_ends_when_its_time_is_over() {
        let grant = Grant {
            service: ServiceId::parse("s").unwrap(),
            user: UserLife { id: UserId::parse("u").unwrap(), uid: UserUid(2) },
            place: Some(Place { group: GroupId::parse("g").unwrap(), uid: GroupUid(1), stint: 3 }),
            sign_outs: 4,
        };
        let expiring = ExpiringGrant::new(grant.clone(), 1_000, 60_000);
        assert_eq!(expiring.clone().redeem(60_999), Some(grant));
        assert_eq!(expiring.redeem(61_000), None);
    }
}
