//! Users.

use std::sync::Arc;

use super::{Draft, Engine, mutate, random_id};
use crate::actors::Shared;
use crate::actors::delivery::Mutation;
use crate::actors::told::GroupMessage;
use crate::chance;
use crate::domain::ids::{ServiceId, UserId, UserLife, UserUid};
use crate::domain::profile::{GroupRecord, ProfilePatch, UserRecord};
use crate::error::EngineError;
use crate::protocol::code::CloseCode;
use crate::store::{self, Erased, Listing, Page, StoreError};

/// A user with the groups that it attends.
#[derive(Debug, Clone)]
pub struct UserDetail {
    /// The user.
    pub user: UserRecord,
    /// What it attends, by id.
    pub groups: Vec<GroupRecord>,
}

/// What became of a user that was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedUser {
    /// How many groups it attended.
    pub groups: usize,
    /// What was erased of it.
    pub erased: Erased,
}

impl Engine {
    /// Makes a user.
    pub async fn create_user(
        &self,
        service: &ServiceId,
        draft: Draft<UserId>,
    ) -> Result<UserDetail, EngineError> {
        self.check_open()?;
        let id = match draft.id {
            Some(id) => id,
            None => UserId::parse(&random_id()?).expect("hexadecimal digits are a valid id"),
        };
        let user = UserRecord {
            id,
            uid: UserUid(chance::number()?),
            profile: draft.profile,
            created_ms: self.shared.clock.now().unix_ms,
            revision: 0,
            sign_outs: 0,
        };
        self.shared.directory.create_user(service, user.clone()).await?;
        Ok(UserDetail { user, groups: Vec::new() })
    }

    /// Lists users in the order of their making, each with its groups: fewer than asked for when those are very many.
    pub async fn users(&self, service: &ServiceId, page: Page) -> Result<Listing<UserDetail>, EngineError> {
        let Listing { total, items } = self.shared.directory.users(service, page).await?;
        let mut details = Vec::with_capacity(items.len());
        let mut bytes = 0;
        for user in items {
            let detail = self.with_groups(service, user).await?;
            bytes += detail.groups.iter().map(|group| group.profile.bytes()).sum::<usize>();
            if bytes > self.shared.limits.listing_bytes_max && !details.is_empty() {
                // The next page begins with this one; the total says that there is one.
                break;
            }
            details.push(detail);
        }
        Ok(Listing { total, items: details })
    }

    /// A user with the groups that it attends.
    pub async fn user(&self, service: &ServiceId, id: &UserId) -> Result<UserDetail, EngineError> {
        let user = self.shared.directory.user(service, id).await?.ok_or(EngineError::UserNotFound)?;
        self.with_groups(service, user).await
    }

    /// Changes how a user is shown, in live rosters, too.
    pub async fn update_user(
        &self,
        service: &ServiceId,
        id: &UserId,
        patch: ProfilePatch,
    ) -> Result<UserDetail, EngineError> {
        self.check_open()?;
        let user = self.shared.directory.update_user(service, id, patch).await?;
        let detail = self.with_groups(service, user).await?;
        for group in &detail.groups {
            if let Some(slot) = self.shared.groups.get(group.uid) {
                // A group that falls asleep at this moment reads the change when it wakes.
                let _ = slot.tell(GroupMessage::UserChanged(detail.user.clone()));
            }
        }
        Ok(detail)
    }

    /// Ends a user's sessions with 4508, and what its tickets open. Answers how many sessions there were.
    pub async fn disconnect_user(&self, service: &ServiceId, id: &UserId) -> Result<usize, EngineError> {
        self.check_open()?;
        let user = self.shared.directory.sign_out(service, id).await?;
        Ok(self.shared.sessions.close_user(&(service.clone(), user.life()), CloseCode::DISCONNECTED))
    }

    /// Deletes a user and its attendance, closes its sessions with 4503, and erases it from what was said. The id is free before all groups
    /// are told, so they are told which life of the user has ended: one that was made again meanwhile stays.
    pub async fn delete_user(&self, service: &ServiceId, id: &UserId) -> Result<DeletedUser, EngineError> {
        self.check_open()?;
        let store::DeletedUser { user, groups } = self.shared.directory.delete_user(service, id).await?;
        let attended = groups.len();
        // On its own, so that it is done to the end even if who asked waits no longer.
        let farewell = tokio::spawn(farewell(Arc::clone(&self.shared), service.clone(), user.life(), groups));
        let erased = farewell.await.unwrap_or(Err(StoreError::Unavailable("the engine stops".to_owned())))?;
        Ok(DeletedUser { groups: attended, erased })
    }

    async fn with_groups(&self, service: &ServiceId, user: UserRecord) -> Result<UserDetail, EngineError> {
        let groups = self.shared.directory.groups_of(service, &user.life()).await?;
        Ok(UserDetail { user, groups })
    }
}

/// What follows the deletion of a user: its groups are told, its sessions end, and it is erased from what was said.
async fn farewell(
    shared: Arc<Shared>,
    service: ServiceId,
    user: UserLife,
    groups: Vec<GroupRecord>,
) -> Result<Erased, StoreError> {
    for group in &groups {
        // Groups that sleep have no sessions, and read who attends when they wake.
        if shared.groups.get(group.uid).is_some()
            && let Err(error) = mutate(&shared, group, Mutation::RemoveAttendee(user.clone())).await
        {
            // It is being deleted, or started again and reads who attends then. The others must be told.
            tracing::debug!(group = group.uid.0, %error, "a group wasn't told that a user is deleted");
        }
    }
    shared.sessions.close_user(&(service, user.clone()), CloseCode::REMOVED);
    // Everything that the user said is stored by now, since the groups were told after it.
    let erased = shared.history.erase(&user).await;
    // It has spoken in groups that it didn't attend any more, too.
    shared.greetings.forget_all();
    erased
}
