//! How often a tenant, or a stranger, may ask.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Instant;

use dashmap::DashMap;
use engine::domain::ids::ServiceId;
use engine::domain::rate::{Bucket, Rate};

use crate::error::ApiError;

/// Buckets that are kept; beyond it the full ones, which say nothing, are forgotten.
const BUCKETS_MAX: usize = 10_000;

/// The buckets of everyone who asked lately.
#[derive(Debug)]
pub struct Rates {
    rate: Rate,
    started: Instant,
    services: DashMap<ServiceId, Bucket>,
    peers: DashMap<IpAddr, Bucket>,
}

impl Rates {
    /// The same rate for everyone.
    pub fn new(rate: Rate) -> Self {
        Self { rate, started: Instant::now(), services: DashMap::new(), peers: DashMap::new() }
    }

    /// Counts a request of a service.
    pub fn of_service(&self, service: &ServiceId) -> Result<(), ApiError> {
        self.take(&self.services, service)
    }

    /// Counts a request of somebody who hasn't proved who they are.
    pub fn of_peer(&self, peer: IpAddr) -> Result<(), ApiError> {
        self.take(&self.peers, &peer)
    }

    fn take<K: Eq + Hash + Clone>(&self, buckets: &DashMap<K, Bucket>, key: &K) -> Result<(), ApiError> {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if buckets.len() > BUCKETS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(self.rate, now_ms));
        }
        let mut bucket = buckets.entry(key.clone()).or_insert_with(|| Bucket::full(self.rate, now_ms));
        bucket.take(self.rate, now_ms).map_err(ApiError::too_fast)
    }
}
