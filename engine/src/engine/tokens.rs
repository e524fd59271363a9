//! Connection tokens.

use super::{Engine, random};
use crate::domain::access::{ExpiringGrant, Grant};
use crate::domain::ids::{GroupId, ServiceId, UserId};
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
    /// Issues a token that opens one session of a user in a group that it attends.
    pub async fn issue_token(
        &self,
        service: &ServiceId,
        group: &GroupId,
        user: &UserId,
    ) -> Result<IssuedToken, EngineError> {
        self.check_open()?;
        let record = self.find_group(service, group).await?;
        let attending = self.shared.directory.attending(&record, user).await?;
        let user = attending.ok_or(EngineError::NotAttending)?;
        let token = Token::from_random(random()?);
        let grant = Grant { service: service.clone(), group: group.clone(), uid: record.uid, user };
        let (now_ms, ttl_ms) = (self.shared.clock.mono_ms(), self.shared.limits.token_ttl_ms);
        self.tokens.keep(&token, ExpiringGrant::new(grant, now_ms, ttl_ms), now_ms).await?;
        Ok(IssuedToken { token, expires_s: ttl_ms / 1_000 })
    }
}
