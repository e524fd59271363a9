//! The sessions that are open: counted, found by their user, and closed when the engine drains. None is ever
//! started again, since the client does that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::Notify;

use crate::domain::ids::{ServiceId, SessionId, UserLife};
use crate::protocol::code::CloseCode;
use crate::socket::outbound::{Outbound, Worth};

/// Makes the last frame before a close, for the clients that have one.
pub(crate) type Farewell = Box<dyn Fn() -> Option<Bytes> + Send + Sync>;

/// Every session, by its id.
#[derive(Default)]
pub(crate) struct Sessions {
    open: DashMap<SessionId, Open>,
    by_user: DashMap<(ServiceId, UserLife), Vec<SessionId>>,
    last: AtomicU64,
    /// How often a user's sessions were closed.
    goodbyes: AtomicU64,
    one_ended: Notify,
}

struct Open {
    outbound: Arc<Outbound>,
    /// What a session of version 2 is told before a drain closes it.
    farewell: Option<Farewell>,
}

impl Open {
    fn say_farewell(&self) {
        if let Some(frame) = self.farewell.as_ref().and_then(|farewell| farewell()) {
            self.outbound.push(frame, Worth::Essential);
        }
    }
}

/// A session's entry, taken out when dropped.
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    /// Whether its user may have one more.
    pub(crate) fits: bool,
    user: (ServiceId, UserLife),
    sessions: Arc<Sessions>,
}

impl Sessions {
    /// Counts a session in, of a user who may have so many. One too many is counted, too, until it is closed.
    pub(crate) fn enter(
        self: &Arc<Self>,
        user: (ServiceId, UserLife),
        user_max: usize,
        outbound: &Arc<Outbound>,
        farewell: Option<Farewell>,
    ) -> Entry {
        let id = SessionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.open.insert(id, Open { outbound: Arc::clone(outbound), farewell });
        let fits = {
            let mut of_user = self.by_user.entry(user.clone()).or_default();
            of_user.push(id);
            of_user.len() <= user_max
        };
        Entry { id, fits, user, sessions: Arc::clone(self) }
    }

    /// Tells a session how to come back, before it is closed by a drain.
    pub(crate) fn say_farewell(&self, session: SessionId) {
        if let Some(open) = self.open.get(&session) {
            open.say_farewell();
        }
    }

    /// Ends every session with this code, once what waits for it is sent.
    pub(crate) fn close_all(&self, code: CloseCode) {
        for open in &self.open {
            if open.outbound.ending().is_none() {
                open.say_farewell();
                open.outbound.close(Some(code));
            }
        }
    }

    /// Ends every session of a user with this code. Answers how many.
    pub(crate) fn close_user(&self, user: &(ServiceId, UserLife), code: CloseCode) -> usize {
        self.goodbyes.fetch_add(1, Ordering::SeqCst);
        let sessions = self.by_user.get(user).map(|sessions| sessions.clone()).unwrap_or_default();
        let open = sessions.iter().filter_map(|session| self.open.get(session));
        open.map(|open| open.outbound.close(Some(code))).count()
    }

    /// How often a user's sessions were closed. Who was looked up before the last time, and entered after it, must be looked up again.
    pub(crate) fn goodbyes(&self) -> u64 {
        self.goodbyes.load(Ordering::SeqCst)
    }

    /// Ends every session at once.
    pub(crate) fn abort_all(&self) {
        for open in &self.open {
            open.outbound.abort();
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
        self.sessions.by_user.remove_if_mut(&self.user, |_, sessions| {
            sessions.retain(|session| *session != self.id);
            sessions.is_empty()
        });
        self.sessions.one_ended.notify_waiters();
    }
}
