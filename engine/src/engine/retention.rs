//! Removes what groups keep no longer, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use crate::actors::Shared;
use crate::domain::ids::GroupUid;
use crate::domain::profile::Retention;
use crate::store::StoreError;

/// Events that are removed in one step, so that nobody waits long behind it.
const STEP_EVENTS: usize = 1_000;

/// Goes through the groups again and again, until it is aborted.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_millis(shared.limits.retention_interval_ms)).await;
        if let Err(error) = keep_once(&shared).await {
            tracing::warn!(%error, "what is kept no longer can't be removed now");
        }
    }
}

async fn keep_once(shared: &Shared) -> Result<(), StoreError> {
    for group in shared.directory.retained().await? {
        let Some(retention) = group.retention else { continue };
        if let Err(error) = keep_in(shared, group.uid, retention).await {
            // The others have theirs all the same.
            tracing::warn!(group = group.uid.0, %error, "what a group keeps no longer can't be removed now");
        }
        shared.greetings.forget(group.uid);
    }
    Ok(())
}

async fn keep_in(shared: &Shared, group: GroupUid, retention: Retention) -> Result<(), StoreError> {
    loop {
        let unix_ms = shared.clock.now().unix_ms;
        if shared.history.retain(group, retention, unix_ms, STEP_EVENTS).await? < STEP_EVENTS {
            return Ok(());
        }
    }
}
