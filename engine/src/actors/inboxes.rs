//! Who is told of groups that it isn't in: user-scoped connections, whose inbox is bumped by what is said in the
//! groups that their user attends.
//!
//! A bell is rung and nothing computed where messages are delivered; the session looks at its own pace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::ids::{GroupUid, ServiceId, SessionId, UserLife};
use crate::domain::profile::GroupRecord;

/// What has happened elsewhere since a session looked last.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    news: Mutex<HashMap<GroupUid, GroupRecord>>,
    rung: Notify,
}

impl Bell {
    fn ring(&self, group: &GroupRecord) {
        self.news.lock().entry(group.uid).or_insert_with(|| group.clone());
        self.rung.notify_one();
    }

    /// Waits until something has happened.
    pub(crate) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Whether something has happened that nobody has taken yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.lock().is_empty()
    }

    /// What was taken and couldn't be told. It is news still, for whoever looks next.
    pub(crate) fn put_back(&self, groups: Vec<GroupRecord>) {
        let mut news = self.news.lock();
        for group in groups {
            news.entry(group.uid).or_insert(group);
        }
    }

    /// The groups in which something has happened.
    pub(crate) fn take(&self) -> Vec<GroupRecord> {
        self.news.lock().drain().map(|(_, group)| group).collect()
    }
}

/// Who listens for what.
#[derive(Debug, Default)]
pub(crate) struct Inboxes {
    /// How many listen at all, so that nobody pays for what isn't used.
    listeners: AtomicUsize,
    by_group: DashMap<GroupUid, Vec<(SessionId, Arc<Bell>)>>,
    by_user: DashMap<(ServiceId, UserLife), Vec<Listener>>,
}

/// One session that listens, and where.
#[derive(Debug, Clone)]
struct Listener {
    session: SessionId,
    bell: Arc<Bell>,
    groups: Arc<Mutex<HashSet<GroupUid>>>,
}

/// A session's listening, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    user: (ServiceId, UserLife),
    listener: Listener,
    inboxes: Arc<Inboxes>,
}

impl Listening {
    /// Rings when something has happened.
    pub(crate) fn bell(&self) -> &Bell {
        &self.listener.bell
    }

    /// Listens for these groups, too.
    pub(crate) fn add(&self, groups: &[GroupRecord]) {
        groups.iter().for_each(|group| self.inboxes.add(&self.listener, group.uid));
    }
}

impl Inboxes {
    /// Lets a session listen for what its user attends from now on, and for the groups that it [adds](Listening::add).
    pub(crate) fn listen(self: &Arc<Self>, session: SessionId, user: (ServiceId, UserLife)) -> Listening {
        let bell = Arc::<Bell>::default();
        self.listeners.fetch_add(1, Ordering::Relaxed);
        let listener = Listener { session, bell, groups: Arc::default() };
        self.by_user.entry(user.clone()).or_default().push(listener.clone());
        Listening { user, listener, inboxes: Arc::clone(self) }
    }

    /// Something was said in a group.
    pub(crate) fn bump(&self, group: &GroupRecord) {
        if self.listeners.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(listeners) = self.by_group.get(&group.uid) {
            listeners.iter().for_each(|(_, bell)| bell.ring(group));
        }
    }

    /// A user attends a group from now on: its sessions are told, and listen there, too.
    pub(crate) fn attends(&self, user: &(ServiceId, UserLife), group: &GroupRecord) {
        // Held meanwhile, so that no listener goes before it is in the group's list: it takes itself out of there when it goes.
        let Some(sessions) = self.by_user.get(user) else { return };
        for listener in sessions.iter() {
            self.add(listener, group.uid);
            listener.bell.ring(group);
        }
    }

    /// A user attends a group no more.
    pub(crate) fn left(&self, user: &(ServiceId, UserLife), group: GroupUid) {
        let Some(sessions) = self.by_user.get(user) else { return };
        for listener in sessions.iter() {
            listener.groups.lock().remove(&group);
            self.forget(group, listener.session);
        }
    }

    /// A group is no more.
    pub(crate) fn ended(&self, group: GroupUid) {
        self.by_group.remove(&group);
    }

    fn add(&self, listener: &Listener, group: GroupUid) {
        if listener.groups.lock().insert(group) {
            let bell = Arc::clone(&listener.bell);
            self.by_group.entry(group).or_default().push((listener.session, bell));
        }
    }

    fn forget(&self, group: GroupUid, session: SessionId) {
        self.by_group.remove_if_mut(&group, |_, listeners| {
            listeners.retain(|(known, _)| *known != session);
            listeners.is_empty()
        });
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let session = self.listener.session;
        // Out of the users first, so that nothing is added any more.
        self.inboxes.by_user.remove_if_mut(&self.user, |_, sessions| {
            sessions.retain(|listener| listener.session != session);
            sessions.is_empty()
        });
        for group in self.listener.groups.lock().drain() {
            self.inboxes.forget(group, session);
        }
        self.inboxes.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}
