//! Groups and who attends them.

use super::{Draft, Engine, random_id};
use crate::actors::delivery::Mutation;
use crate::chance;
use crate::domain::attendance::AttendeeRecord;
use crate::domain::ids::{GroupId, GroupUid, ServiceId, UserId};
use crate::domain::profile::{GroupPatch, GroupRecord, Name, Profile, Retention};
use crate::error::EngineError;
use crate::store::{Listing, Page};

/// A group with who attends it.
#[derive(Debug, Clone)]
pub struct GroupDetail {
    /// The group.
    pub group: GroupRecord,
    /// Who attends it, by id.
    pub attendees: Vec<AttendeeRecord>,
}

impl Engine {
    /// Makes a group.
    pub async fn create_group(
        &self,
        service: &ServiceId,
        draft: Draft<GroupId>,
        retention: Option<Retention>,
    ) -> Result<GroupRecord, EngineError> {
        self.check_open()?;
        let group = self.new_group(service, draft, retention)?;
        self.shared.directory.create_group(group.clone()).await?;
        Ok(group)
    }

    /// The one group of two users, made when there is none. `true` when it was.
    pub async fn direct(
        &self,
        service: &ServiceId,
        users: [UserId; 2],
    ) -> Result<(GroupDetail, bool), EngineError> {
        self.check_open()?;
        let name = Name::parse("Direct").expect("a valid name");
        let draft = Draft { id: None, profile: Profile::named(name) };
        let group = GroupRecord { direct: true, ..self.new_group(service, draft, None)? };
        let stints = [chance::number()?, chance::number()?];
        let (group, made) = self.shared.directory.direct(users.clone(), group, stints).await?;
        let mut attendees = self.shared.directory.attendees(&group).await?;
        if made {
            for attendee in &attendees {
                self.shared.inboxes.attends(&(service.clone(), attendee.user.life()), &group);
            }
        } else if users.iter().any(|user| !attendees.iter().any(|attendee| attendee.user.id == *user)) {
            // One was removed since. Adding somebody who attends changes nothing.
            for user in users {
                self.mutate(&group, Mutation::AddAttendee(user, chance::number()?)).await?;
            }
            attendees = self.shared.directory.attendees(&group).await?;
        }
        Ok((GroupDetail { group, attendees }, made))
    }

    fn new_group(
        &self,
        service: &ServiceId,
        draft: Draft<GroupId>,
        retention: Option<Retention>,
    ) -> Result<GroupRecord, EngineError> {
        let id = match draft.id {
            Some(id) => id,
            None => GroupId::parse(&random_id()?).expect("hexadecimal digits are a valid id"),
        };
        Ok(GroupRecord {
            service: service.clone(),
            id,
            uid: GroupUid(chance::number()?),
            profile: draft.profile,
            created_ms: self.shared.clock.now().unix_ms,
            retention,
            direct: false,
        })
    }

    /// Lists groups in the order of their making.
    pub async fn groups(&self, service: &ServiceId, page: Page) -> Result<Listing<GroupRecord>, EngineError> {
        Ok(self.shared.directory.groups(service, page).await?)
    }

    /// A group with who attends it.
    pub async fn group(&self, service: &ServiceId, id: &GroupId) -> Result<GroupDetail, EngineError> {
        let group = self.find_group(service, id).await?;
        let attendees = self.shared.directory.attendees(&group).await?;
        Ok(GroupDetail { group, attendees })
    }

    /// Changes how a group is shown, and how long what is said is kept.
    pub async fn update_group(
        &self,
        service: &ServiceId,
        id: &GroupId,
        patch: GroupPatch,
    ) -> Result<GroupRecord, EngineError> {
        self.check_open()?;
        Ok(self.shared.directory.update_group(service, id, patch).await?)
    }

    /// Deletes a group: its sessions are closed with 4504, its history goes.
    pub async fn delete_group(&self, service: &ServiceId, id: &GroupId) -> Result<(), EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        self.mutate(&group, Mutation::Delete).await
    }

    /// Lets a user attend a group; the roster shows it at once.
    pub async fn add_attendee(
        &self,
        service: &ServiceId,
        id: &GroupId,
        user: UserId,
    ) -> Result<(), EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        if group.direct {
            // Who attends it already changes nothing; and one of the two who was removed comes back by POST /api/directs.
            let attendance = self.shared.directory.attendance(&group, &user).await?;
            return attendance.map(|_| ()).ok_or(EngineError::DirectGroup);
        }
        self.mutate(&group, Mutation::AddAttendee(user, chance::number()?)).await
    }

    /// Ends a user's attendance; its sessions in the group are closed with 4503.
    pub async fn remove_attendee(
        &self,
        service: &ServiceId,
        id: &GroupId,
        user: UserId,
    ) -> Result<(), EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        let user = self.shared.directory.user(service, &user).await?.ok_or(EngineError::UserNotFound)?;
        self.mutate(&group, Mutation::RemoveAttendee(user.life())).await
    }

    pub(super) async fn find_group(
        &self,
        service: &ServiceId,
        id: &GroupId,
    ) -> Result<GroupRecord, EngineError> {
        self.shared.directory.group(service, id).await?.ok_or(EngineError::GroupNotFound)
    }
}
