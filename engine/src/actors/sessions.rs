//! The sessions that are open: counted, and closed when the engine drains. None is ever started again, since
//! the client does that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::domain::ids::SessionId;
use crate::protocol::code::CloseCode;
use crate::socket::outbound::Outbound;

/// Every session, by its id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: DashMap<SessionId, Arc<Outbound>>,
    last: AtomicU64,
    one_ended: Notify,
}

/// A session's entry, taken out when dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    sessions: Arc<Sessions>,
}

impl Sessions {
    /// Counts a session in.
    pub(crate) fn enter(self: &Arc<Self>, outbound: &Arc<Outbound>) -> Entry {
        let id = SessionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.open.insert(id, Arc::clone(outbound));
        Entry { id, sessions: Arc::clone(self) }
    }

    /// Ends every session with this code, once what waits for it is sent.
    pub(crate) fn close_all(&self, code: CloseCode) {
        for outbound in &self.open {
            outbound.close(Some(code));
        }
    }

    /// Ends every session at once.
    pub(crate) fn abort_all(&self) {
        for outbound in &self.open {
            outbound.abort();
        }
    }

    /// Waits until none is open.
    pub(crate) async fn none_left(&self) {
        loop {
            let one_ended = self.one_ended.notified();
            tokio::pin!(one_ended);
            one_ended.as_mut().enable();
            if self.open.is_empty() {
                return;
            }
            one_ended.await;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sessions.open.remove(&self.id);
        self.sessions.one_ended.notify_waiters();
    }
}
