//! Tokens in the memory of one process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dashmap::DashMap;
use parking_lot::Mutex;

use super::{Fingerprint, Token, TokenError, Tokens, fingerprint};
use crate::domain::access::{ExpiringGrant, Grant};

/// Keeps grants in a concurrent map and forgets the ended ones as new ones come.
pub struct MemoryTokens {
    grants: DashMap<Fingerprint, ExpiringGrant>,
    /// In order of their making, which is the order of their ending, unless the clock was set back: then some are forgotten later.
    by_end: Mutex<VecDeque<(u64, Fingerprint)>>,
    outstanding: AtomicUsize,
    outstanding_max: usize,
}

impl MemoryTokens {
    /// A store of at most so many tokens.
    pub fn new(outstanding_max: usize) -> Self {
        Self {
            grants: DashMap::new(),
            by_end: Mutex::new(VecDeque::new()),
            outstanding: AtomicUsize::new(0),
            outstanding_max,
        }
    }

    fn forget_ended(&self, now_ms: u64) {
        let mut by_end = self.by_end.lock();
        while let Some((end, fingerprint)) = by_end.front().copied()
            && end <= now_ms
        {
            by_end.pop_front();
            self.grants.remove(&fingerprint);
        }
        self.outstanding.store(by_end.len(), Ordering::Relaxed);
    }
}

#[async_trait]
impl Tokens for MemoryTokens {
    async fn keep(&self, token: &Token, grant: ExpiringGrant, now_ms: u64) -> Result<(), TokenError> {
        self.forget_ended(now_ms);
        // Redeemed tokens count until their minute is over, too: the queue is what takes memory.
        if self.outstanding.load(Ordering::Relaxed) >= self.outstanding_max {
            return Err(TokenError::Full);
        }
        let fingerprint = fingerprint(token);
        self.by_end.lock().push_back((grant.expires_ms(), fingerprint));
        self.grants.insert(fingerprint, grant);
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn redeem(&self, token: &Token, now_ms: u64) -> Result<Option<Grant>, TokenError> {
        let found = self.grants.remove(&fingerprint(token));
        Ok(found.and_then(|(_, grant)| grant.redeem(now_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract() {
        contract::check(&MemoryTokens::new(10_000)).await;
    }

    #[tokio::test]
    async fn holds_so_many_and_forgets_what_ended() {
        let tokens = MemoryTokens::new(2);
        let keep = |byte: u8, now: u64| {
            let grant = ExpiringGrant::new(contract::grant("alice"), now, 60_000);
            let token = Token::from_random([byte; 32]);
            let tokens = &tokens;
            async move { tokens.keep(&token, grant, now).await }
        };
        assert_eq!(keep(1, 0).await, Ok(()));
        assert_eq!(keep(2, 1).await, Ok(()));
        assert_eq!(keep(3, 2).await, Err(TokenError::Full));
        assert_eq!(keep(3, 60_000).await, Ok(()));
        assert_eq!(tokens.grants.len(), 2);
    }
}
