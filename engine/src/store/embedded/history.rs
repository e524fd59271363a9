//! [`History`] on the embedded store.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::committer::{Answer, Op};
use super::replay::replay;
use super::retention::Retain;
use super::{EmbeddedStore, stopped, view};
use crate::domain::event::{Event, Facts, Head, Marker};
use crate::domain::ids::{ClientId, GroupUid, Seq, UserLife};
use crate::domain::profile::Retention;
use crate::store::{
    Appending, Erased, History, HistoryPage, Replay, ReplayBounds, StoreError, Unread, Window,
};

#[async_trait]
impl History for EmbeddedStore {
    async fn append(&self, group: GroupUid, event: Event) -> Appending {
        let (done, appending) = Appending::pair();
        // A closed queue drops `done`, which answers.
        let _ = self.ops.send(Op::Append { group, event, done }).await;
        appending
    }

    async fn head(&self, group: GroupUid) -> Result<Head, StoreError> {
        self.ask(|done| Op::Head { group, done }).await
    }

    async fn page(&self, group: GroupUid, window: Window) -> Result<HistoryPage, StoreError> {
        self.read(move |tables| view::page(tables, group, &window)).await
    }

    async fn replay(
        &self,
        group: GroupUid,
        after: Seq,
        upto: Seq,
        bounds: ReplayBounds,
    ) -> Result<Replay, StoreError> {
        self.read(move |tables| replay(tables, group, after, upto, bounds)).await
    }

    async fn facts(
        &self,
        group: GroupUid,
        of: Seq,
        user: Option<&UserLife>,
    ) -> Result<Option<Facts>, StoreError> {
        self.look_up(|tables| view::facts(tables, group, of, user))
    }

    async fn sent(
        &self,
        group: GroupUid,
        user: &UserLife,
        client_id: &ClientId,
    ) -> Result<Option<Head>, StoreError> {
        self.look_up(|tables| view::sent(tables, group, user, client_id))
    }

    async fn markers(&self, group: GroupUid) -> Result<Vec<(UserLife, Marker)>, StoreError> {
        self.read(move |tables| view::markers(tables, group)).await
    }

    async fn mark(&self, group: GroupUid, markers: Vec<(UserLife, Marker)>) -> Result<(), StoreError> {
        self.ask(|done| Op::Mark { group, markers, done }).await
    }

    async fn latest(&self, groups: Vec<GroupUid>, limit: usize) -> Result<Vec<(GroupUid, Head)>, StoreError> {
        self.read(move |tables| view::latest(tables, &groups, limit)).await
    }

    async fn unread(&self, group: GroupUid, user: &UserLife) -> Result<Unread, StoreError> {
        let user = user.clone();
        self.read(move |tables| view::unread(tables, group, &user)).await
    }

    async fn erase(&self, user: &UserLife) -> Result<Erased, StoreError> {
        let user = user.clone();
        self.ask(|done| Op::Erase { user, done }).await
    }

    async fn retain(
        &self,
        group: GroupUid,
        retention: Retention,
        unix_ms: u64,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let retain = Retain { group, retention, unix_ms, limit };
        self.ask(|done| Op::Retain { retain, done }).await
    }
}

impl EmbeddedStore {
    /// Asks the committer, and waits for the answer.
    async fn ask<T>(&self, op: impl FnOnce(Answer<T>) -> Op) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        self.ops.send(op(done)).await.map_err(|error| stopped(&error))?;
        answer.await.unwrap_or_else(|error| Err(stopped(&error)))
    }
}
