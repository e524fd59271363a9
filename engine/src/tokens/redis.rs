//! Tokens in Redis: what one node issued, any other redeems.
//!
//! A token's key is its fingerprint, never the token; its value is the grant with its end, so that neither a late expiry nor a clock of Redis revives it. `GETDEL`
//! gives it to one of all who try. Redis 6.2 or later, one server, no TLS.
//!
//! How many tokens wait is bounded by the rate at which services may ask and by the minute that each lives, not here: `maxmemory` is the operator's, some 300 bytes
//! a token. With a policy that evicts, tokens may be lost; with `noeviction` a full Redis refuses new ones, which is answered as unavailable.

use async_trait::async_trait;
use redis::cmd;

use super::{Token, TokenError, Tokens, fingerprint};
use crate::domain::access::{ExpiringGrant, Grant};
use crate::domain::ids::hex;
use crate::redis_link::SharedCommands;

/// More is no time to live that Redis takes: some 34 years.
const TTL_MS_MAX: u64 = 1 << 40;

/// Keeps grants in a Redis that several nodes share.
pub struct RedisTokens {
    server: SharedCommands,
}

impl RedisTokens {
    /// Connects to a server such as `redis://127.0.0.1:6379`, which must be there. One that goes away later is connected to again when a token comes.
    pub async fn connect(uri: &str) -> Result<Self, TokenError> {
        let server = SharedCommands::connect(uri).await.map_err(TokenError::Unavailable)?;
        Ok(Self { server })
    }
}

/// The braces are a cluster's hash tag.
fn key(token: &Token) -> String {
    format!("kijimuna:{{{}}}:token", hex(&fingerprint(token)))
}

#[async_trait]
impl Tokens for RedisTokens {
    async fn keep(&self, token: &Token, grant: ExpiringGrant, now_ms: u64) -> Result<(), TokenError> {
        let ttl_ms = grant.expires_ms().saturating_sub(now_ms).min(TTL_MS_MAX);
        if ttl_ms == 0 {
            return Ok(());
        }
        let value = rmp_serde::to_vec(&grant).expect("a grant is plain data");
        let mut set = cmd("SET");
        set.arg(key(token)).arg(value).arg("PX").arg(ttl_ms);
        let mut kept = self.server.run::<()>(&set).await;
        if kept.is_err() {
            // Nobody has the token yet, so it can be kept twice: a connection that broke since the last token costs nothing.
            kept = self.server.run::<()>(&set).await;
        }
        kept.map_err(TokenError::Unavailable)
    }

    async fn redeem(&self, token: &Token, now_ms: u64) -> Result<Option<Grant>, TokenError> {
        let mut take = cmd("GETDEL");
        take.arg(key(token));
        // Once: whether it was taken isn't known after an error, and nobody may get it twice.
        let value: Option<Vec<u8>> = self.server.run(&take).await.map_err(TokenError::Unavailable)?;
        let Some(value) = value else { return Ok(None) };
        match rmp_serde::from_slice::<ExpiringGrant>(&value) {
            Ok(grant) => Ok(grant.redeem(now_ms)),
            Err(error) => {
                tracing::error!(%error, "a token in Redis isn't what this version writes");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_nothing_of_the_token() {
        let key = key(&Token::from_random([0; 32]));
        assert_eq!(
            key, "kijimuna:{66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925}:token",
            "the SHA-256 of 32 zeros"
        );
    }
}
