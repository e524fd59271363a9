//! Tokens are kept somewhere that may be away.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use common::Server;
use engine::domain::access::{ExpiringGrant, Grant};
use engine::tokens::memory::MemoryTokens;
use engine::tokens::{Token, TokenError, Tokens};
use serde_json::json;

/// The real ones, as long as they can be reached.
struct FarTokens {
    tokens: MemoryTokens,
    away: AtomicBool,
}

impl FarTokens {
    fn reach(&self) -> Result<&MemoryTokens, TokenError> {
        let away = self.away.load(Ordering::SeqCst);
        if away { Err(TokenError::Unavailable("at 10.0.0.7".to_owned())) } else { Ok(&self.tokens) }
    }
}

#[async_trait]
impl Tokens for FarTokens {
    async fn keep(&self, token: &Token, grant: ExpiringGrant, now_ms: u64) -> Result<(), TokenError> {
        self.reach()?.keep(token, grant, now_ms).await
    }

    async fn redeem(&self, token: &Token, now_ms: u64) -> Result<Option<Grant>, TokenError> {
        self.reach()?.redeem(token, now_ms).await
    }
}

#[tokio::test]
async fn a_store_of_tokens_that_is_away_is_said_so_and_used_again() {
    let far = Arc::new(FarTokens { tokens: MemoryTokens::new(10), away: AtomicBool::new(false) });
    let server = Server::with_tokens(far.clone()).await;
    let world = server.lobby(&["alice"]).await;
    let token = world.token("lobby", "alice").await;

    far.away.store(true, Ordering::SeqCst);
    let refused = world.post("/api/token", json!({"group": "lobby", "user": "alice"})).await;
    refused.expect_error(503, "store_unavailable");
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(!refused.text.contains("10.0.0.7"), "what a driver said stays here");
    world.connect(&token).await.is_closed_with(4003).await;

    far.away.store(false, Ordering::SeqCst);
    let mut alice = world.connect(&token).await;
    alice.sees_online(&["alice"]).await;
}
