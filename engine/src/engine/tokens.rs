//! Connection tokens.

use super::Engine;
use crate::chance;
use crate::domain::access::{ExpiringGrant, Grant, Place};
use crate::domain::group::Denied;
use crate::domain::ids::{GroupId, ServiceId, UserId};
use crate::domain::profile::UserRecord;
use crate::error::EngineError;
use crate::tokens::Token;

/// A token that was issued.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Token,
    /// How long it can be used, in seconds.
    pub expires_s: u64,
}

impl Engine {
    /// Issues a token that opens one session of a user: in a group that it attends, or without one for all of its groups.
    pub async fn issue_token(
        &self,
        service: &ServiceId,
        group: Option<&GroupId>,
        user: &UserId,
    ) -> Result<IssuedToken, EngineError> {
        self.check_open()?;
        let user = self.shared.directory.user(service, user).await?;
        let grant = match group {
            Some(group) => self.grant_in(service, group, user).await?,
            None => grant(service, &user.ok_or(EngineError::UserNotFound)?, None),
        };
        let token = Token::from_random(chance::bytes()?);
        let (now_ms, ttl_ms) = (self.shared.clock.now().unix_ms, self.shared.limits.token_ttl_ms);
        self.tokens.keep(&token, ExpiringGrant::new(grant, now_ms, ttl_ms), now_ms).await?;
        Ok(IssuedToken { token, expires_s: ttl_ms / 1_000 })
    }

    async fn grant_in(
        &self,
        service: &ServiceId,
        group: &GroupId,
        user: Option<UserRecord>,
    ) -> Result<Grant, EngineError> {
        let record = self.find_group(service, group).await?;
        let user = user.ok_or(EngineError::NotAttending)?;
        let attendance = self.shared.directory.attendance(&record, &user.id).await?;
        let attendance = attendance.filter(|it| it.user == user.life()).ok_or(EngineError::NotAttending)?;
        if attendance.standing.is_banned(self.shared.clock.now().unix_ms) {
            return Err(EngineError::Denied(Denied::Banned));
        }
        let place = Place { group: record.id, uid: record.uid, stint: attendance.standing.stint };
        Ok(grant(service, &user, Some(place)))
    }
}

fn grant(service: &ServiceId, user: &UserRecord, place: Option<Place>) -> Grant {
    Grant { service: service.clone(), user: user.life(), place, sign_outs: user.sign_outs }
}
