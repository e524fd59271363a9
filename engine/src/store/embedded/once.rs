//! [`Once`] on the embedded store: what has happened is kept until it can't happen again anyway.

use async_trait::async_trait;

use super::EmbeddedStore;
use super::tables::bad_key;
use crate::store::{Once, StoreError};

/// What is over and forgotten with each that is new: more than one, so that they become fewer.
const FORGOTTEN_MAX: usize = 8;

#[async_trait]
impl Once for EmbeddedStore {
    async fn first(&self, nonce: [u8; 16], unix_ms: u64, expires_ms: u64) -> Result<bool, StoreError> {
        self.write(move |tables, batch| {
            if tables.used.contains_key(nonce)? {
                return Ok(false);
            }
            batch.insert(&tables.used, nonce, []);
            batch.insert(&tables.used_by_end, by_end(expires_ms, nonce), []);
            for row in tables.used_by_end.range(..by_end(unix_ms, [0; 16])).take(FORGOTTEN_MAX) {
                let key = row.key()?;
                let (_, over) = key.split_first_chunk::<8>().ok_or_else(bad_key)?;
                batch.remove(&tables.used, over);
                batch.remove(&tables.used_by_end, &*key);
            }
            Ok(true)
        })
        .await
    }
}

/// The key by which it is found when it is over: in the order of time.
fn by_end(expires_ms: u64, nonce: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&expires_ms.to_be_bytes());
    key[8..].copy_from_slice(&nonce);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn what_is_over_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = EmbeddedStore::open(dir.path(), Metrics::new().store).unwrap();
        for nonce in 0..20 {
            assert_eq!(store.first([nonce; 16], 0, 100).await, Ok(true));
        }
        for nonce in 100..105 {
            assert_eq!(store.first([nonce; 16], 101, 1_000).await, Ok(true));
        }
        assert_eq!(store.tables.used.iter().count(), 5);
        assert_eq!(store.tables.used_by_end.iter().count(), 5);
        store.close().await;
    }
}
