//! A store in whose calls a test takes part: it sees them, holds them up, or spoils them. Everything that the test says nothing of goes
//! to the real one.

use std::sync::Arc;

use async_trait::async_trait;
use engine::domain::attendance::{Attendance, AttendeeRecord, Standing};
use engine::domain::event::{Event, Facts, Head, Marker};
use engine::domain::ids::{ClientId, GroupId, GroupUid, Seq, ServiceId, UserId, UserLife};
use engine::domain::profile::{GroupPatch, GroupRecord, ProfilePatch, Retention, UserRecord};
use engine::domain::service::Service;
use engine::store::embedded::EmbeddedStore;
use engine::store::{
    Appending, DeletedUser, Directory, Erased, History, HistoryPage, Listing, Page, Replay, ReplayBounds,
    StoreError, Unread, Window,
};

/// What a test does about some calls.
#[async_trait]
pub trait Spy: Send + Sync + 'static {
    async fn append(&self, store: &EmbeddedStore, group: GroupUid, event: Event) -> Appending {
        History::append(store, group, event).await
    }

    async fn page(
        &self,
        store: &EmbeddedStore,
        group: GroupUid,
        window: Window,
    ) -> Result<HistoryPage, StoreError> {
        store.page(group, window).await
    }

    async fn delete_user(
        &self,
        store: &EmbeddedStore,
        service: &ServiceId,
        id: &UserId,
    ) -> Result<DeletedUser, StoreError> {
        store.delete_user(service, id).await
    }
}

/// The store with its spy.
pub struct Spied<S> {
    pub store: EmbeddedStore,
    pub spy: Arc<S>,
}

#[async_trait]
impl<S: Spy> History for Spied<S> {
    async fn append(&self, group: GroupUid, event: Event) -> Appending {
        self.spy.append(&self.store, group, event).await
    }

    async fn head(&self, group: GroupUid) -> Result<Head, StoreError> {
        self.store.head(group).await
    }

    async fn page(&self, group: GroupUid, window: Window) -> Result<HistoryPage, StoreError> {
        self.spy.page(&self.store, group, window).await
    }

    async fn replay(
        &self,
        group: GroupUid,
        after: Seq,
        upto: Seq,
        bounds: ReplayBounds,
    ) -> Result<Replay, StoreError> {
        self.store.replay(group, after, upto, bounds).await
    }

    async fn facts(
        &self,
        group: GroupUid,
        of: Seq,
        user: Option<&UserLife>,
    ) -> Result<Option<Facts>, StoreError> {
        self.store.facts(group, of, user).await
    }

    async fn sent(
        &self,
        group: GroupUid,
        user: &UserLife,
        client_id: &ClientId,
    ) -> Result<Option<Head>, StoreError> {
        self.store.sent(group, user, client_id).await
    }

    async fn markers(&self, group: GroupUid) -> Result<Vec<(UserLife, Marker)>, StoreError> {
        self.store.markers(group).await
    }

    async fn mark(&self, group: GroupUid, markers: Vec<(UserLife, Marker)>) -> Result<(), StoreError> {
        self.store.mark(group, markers).await
    }

    async fn latest(&self, groups: Vec<GroupUid>, limit: usize) -> Result<Vec<(GroupUid, Head)>, StoreError> {
        self.store.latest(groups, limit).await
    }

    async fn unread(&self, group: GroupUid, user: &UserLife) -> Result<Unread, StoreError> {
        self.store.unread(group, user).await
    }

    async fn erase(&self, user: &UserLife) -> Result<Erased, StoreError> {
        self.store.erase(user).await
    }

    async fn retain(
        &self,
        group: GroupUid,
        retention: Retention,
        unix_ms: u64,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.store.retain(group, retention, unix_ms, limit).await
    }
}

#[async_trait]
impl<S: Spy> Directory for Spied<S> {
    async fn health(&self) -> Result<(), StoreError> {
        self.store.health().await
    }

    async fn create_service(&self, service: Service) -> Result<(), StoreError> {
        self.store.create_service(service).await
    }

    async fn service(&self, id: &ServiceId) -> Result<Option<Service>, StoreError> {
        self.store.service(id).await
    }

    async fn create_group(&self, group: GroupRecord) -> Result<(), StoreError> {
        self.store.create_group(group).await
    }

    async fn group(&self, service: &ServiceId, id: &GroupId) -> Result<Option<GroupRecord>, StoreError> {
        self.store.group(service, id).await
    }

    async fn groups(&self, service: &ServiceId, page: Page) -> Result<Listing<GroupRecord>, StoreError> {
        self.store.groups(service, page).await
    }

    async fn update_group(
        &self,
        service: &ServiceId,
        id: &GroupId,
        patch: GroupPatch,
    ) -> Result<GroupRecord, StoreError> {
        self.store.update_group(service, id, patch).await
    }

    async fn direct(
        &self,
        users: [UserId; 2],
        draft: GroupRecord,
        stints: [u64; 2],
    ) -> Result<(GroupRecord, bool), StoreError> {
        self.store.direct(users, draft, stints).await
    }

    async fn retained(&self) -> Result<Vec<GroupRecord>, StoreError> {
        self.store.retained().await
    }

    async fn delete_group(&self, group: &GroupRecord) -> Result<(), StoreError> {
        self.store.delete_group(group).await
    }

    async fn create_user(&self, service: &ServiceId, user: UserRecord) -> Result<(), StoreError> {
        self.store.create_user(service, user).await
    }

    async fn user(&self, service: &ServiceId, id: &UserId) -> Result<Option<UserRecord>, StoreError> {
        self.store.user(service, id).await
    }

    async fn users(&self, service: &ServiceId, page: Page) -> Result<Listing<UserRecord>, StoreError> {
        self.store.users(service, page).await
    }

    async fn update_user(
        &self,
        service: &ServiceId,
        id: &UserId,
        patch: ProfilePatch,
    ) -> Result<UserRecord, StoreError> {
        self.store.update_user(service, id, patch).await
    }

    async fn sign_out(&self, service: &ServiceId, id: &UserId) -> Result<UserRecord, StoreError> {
        self.store.sign_out(service, id).await
    }

    async fn delete_user(&self, service: &ServiceId, id: &UserId) -> Result<DeletedUser, StoreError> {
        self.spy.delete_user(&self.store, service, id).await
    }

    async fn add_attendee(
        &self,
        group: &GroupRecord,
        user: &UserId,
        stint: u64,
    ) -> Result<AttendeeRecord, StoreError> {
        self.store.add_attendee(group, user, stint).await
    }

    async fn set_standing(
        &self,
        group: &GroupRecord,
        user: &UserLife,
        standing: Standing,
    ) -> Result<AttendeeRecord, StoreError> {
        self.store.set_standing(group, user, standing).await
    }

    async fn remove_attendee(&self, group: &GroupRecord, user: &UserLife) -> Result<(), StoreError> {
        self.store.remove_attendee(group, user).await
    }

    async fn attendance(&self, group: &GroupRecord, user: &UserId) -> Result<Option<Attendance>, StoreError> {
        self.store.attendance(group, user).await
    }

    async fn attendees(&self, group: &GroupRecord) -> Result<Vec<AttendeeRecord>, StoreError> {
        self.store.attendees(group).await
    }

    async fn groups_of(&self, service: &ServiceId, user: &UserLife) -> Result<Vec<GroupRecord>, StoreError> {
        self.store.groups_of(service, user).await
    }
}
