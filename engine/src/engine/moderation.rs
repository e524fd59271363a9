//! What the tenant's backend says of how attendees stand.

use std::sync::Arc;

use super::Engine;
use crate::actors::delivery::Mutation;
use crate::actors::receipt::{Outcome, Receipt};
use crate::actors::told::GroupMessage;
use crate::domain::attendance::Role;
use crate::domain::event::{Actor, Event, ModerationOp};
use crate::domain::group::Speaker;
use crate::domain::ids::{GroupId, ServiceId, UserId};
use crate::domain::profile::GroupRecord;
use crate::error::EngineError;

/// Something to be done to an attendee.
#[derive(Debug, Clone)]
pub struct ModerationOrder {
    /// What.
    pub op: ModerationOp,
    /// To whom.
    pub user: UserId,
    /// Until when, Unix milliseconds; absent until further notice.
    pub until_ms: Option<u64>,
    /// Which attendee does it; absent for the backend itself.
    pub by: Option<UserId>,
}

impl Engine {
    /// Mutes, kicks, bans, or lifts that. Answers the event.
    pub async fn moderate(
        &self,
        service: &ServiceId,
        id: &GroupId,
        order: ModerationOrder,
    ) -> Result<Event, EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        let by = self.acting(&group, order.by.as_ref()).await?;
        let (receipt, answered) = Receipt::of_backend(Arc::clone(&self.shared));
        let ModerationOrder { op, user, until_ms, .. } = order;
        let speaker = Speaker::Backend(by);
        let message = GroupMessage::Moderate { speaker, op, user, until_ms, receipt };
        self.shared.groups.tell(&group, message).await?;
        let outcome = answered.await.unwrap_or(Err(EngineError::Uncertain))?;
        match outcome {
            Outcome::Happened(event) => Ok(event),
            Outcome::Duplicate(_) | Outcome::Done => {
                unreachable!("moderation always takes a place in the log")
            }
        }
    }

    /// Makes an attendee a moderator or a member.
    pub async fn set_role(
        &self,
        service: &ServiceId,
        id: &GroupId,
        user: &UserId,
        role: Role,
    ) -> Result<(), EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        self.mutate(&group, Mutation::SetRole(user.clone(), role)).await
    }

    /// Who acts: an attendee whom the backend names, or the backend itself.
    pub(super) async fn acting(
        &self,
        group: &GroupRecord,
        user: Option<&UserId>,
    ) -> Result<Actor, EngineError> {
        let Some(user) = user else { return Ok(Actor::System) };
        let attendance = self.shared.directory.attendance(group, user).await?;
        attendance.map(|attendance| Actor::User(attendance.user)).ok_or(EngineError::NotAttending)
    }
}
