//! A user that is deleted and made again under its id is another one, even while groups are still being told.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::{Server, limits};
use engine::domain::ids::{GroupId, ServiceId, UserId, UserLife};
use engine::domain::profile::{GroupRecord, ProfilePatch, UserRecord};
use engine::domain::service::Service;
use engine::store::embedded::EmbeddedStore;
use engine::store::{DeletedUser, Directory, Listing, Page, StoreError};
use engine::testkit::{Chatter, World, within};
use kijimuna_api::AppOptions;
use serde_json::json;
use tokio::sync::Semaphore;

/// A directory that holds the deletion of a user when it is stored and no group has been told.
struct Held {
    inner: EmbeddedStore,
    stored: Semaphore,
    may_go_on: Semaphore,
}

impl Held {
    async fn until_deletion_is_stored(&self) {
        within("a stored deletion", self.stored.acquire()).await.expect("never closed").forget();
    }

    fn let_deletion_go_on(&self) {
        self.may_go_on.add_permits(1);
    }
}

#[async_trait]
impl Directory for Held {
    async fn delete_user(&self, service: &ServiceId, id: &UserId) -> Result<DeletedUser, StoreError> {
        let deleted = self.inner.delete_user(service, id).await;
        self.stored.add_permits(1);
        self.may_go_on.acquire().await.expect("never closed").forget();
        deleted
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.inner.health().await
    }

    async fn create_service(&self, service: Service) -> Result<(), StoreError> {
        self.inner.create_service(service).await
    }

    async fn service(&self, id: &ServiceId) -> Result<Option<Service>, StoreError> {
        self.inner.service(id).await
    }

    async fn create_group(&self, group: GroupRecord) -> Result<(), StoreError> {
        self.inner.create_group(group).await
    }

    async fn group(&self, service: &ServiceId, id: &GroupId) -> Result<Option<GroupRecord>, StoreError> {
        self.inner.group(service, id).await
    }

    async fn groups(&self, service: &ServiceId, page: Page) -> Result<Listing<GroupRecord>, StoreError> {
        self.inner.groups(service, page).await
    }

    async fn update_group(
        &self,
        service: &ServiceId,
        id: &GroupId,
        patch: ProfilePatch,
    ) -> Result<GroupRecord, StoreError> {
        self.inner.update_group(service, id, patch).await
    }

    async fn delete_group(&self, group: &GroupRecord) -> Result<(), StoreError> {
        self.inner.delete_group(group).await
    }

    async fn create_user(&self, service: &ServiceId, user: UserRecord) -> Result<(), StoreError> {
        self.inner.create_user(service, user).await
    }

    async fn user(&self, service: &ServiceId, id: &UserId) -> Result<Option<UserRecord>, StoreError> {
        self.inner.user(service, id).await
    }

    async fn users(&self, service: &ServiceId, page: Page) -> Result<Listing<UserRecord>, StoreError> {
        self.inner.users(service, page).await
    }

    async fn update_user(
        &self,
        service: &ServiceId,
        id: &UserId,
        patch: ProfilePatch,
    ) -> Result<UserRecord, StoreError> {
        self.inner.update_user(service, id, patch).await
    }

    async fn add_attendee(&self, group: &GroupRecord, user: &UserId) -> Result<UserRecord, StoreError> {
        self.inner.add_attendee(group, user).await
    }

    async fn remove_attendee(&self, group: &GroupRecord, user: &UserLife) -> Result<(), StoreError> {
        self.inner.remove_attendee(group, user).await
    }

    async fn attending(&self, group: &GroupRecord, user: &UserId) -> Result<Option<UserLife>, StoreError> {
        self.inner.attending(group, user).await
    }

    async fn attendees(&self, group: &GroupRecord) -> Result<Vec<UserRecord>, StoreError> {
        self.inner.attendees(group).await
    }

    async fn groups_of(&self, service: &ServiceId, user: &UserLife) -> Result<Vec<GroupRecord>, StoreError> {
        self.inner.groups_of(service, user).await
    }
}

#[tokio::test]
async fn a_user_made_again_while_its_deletion_is_told_stays() {
    let (server, held) = held_server().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut bob = world.person("bob").await.joins("lobby").await;
    let mut old = world.person("alice").await.joins("lobby").await;
    for name in ["Alice A.", "Alice B."] {
        world.patch("/api/users/alice", json!({"name": name})).await.expect_success();
        sees(&mut bob, "on", "alice", name).await;
    }
    let old_tokens = [world.token("lobby", "alice").await, world.token("lobby", "alice").await];
    let deleting = begins_to_delete(&world, &held).await;
    is_refused(&world, &old_tokens[0]).await;

    let alice = world.person("alice").await;
    assert_eq!(world.get("/api/users/alice").await.json()["groups"], json!([]), "it begins anew");
    alice.attends("lobby").await;
    old.is_closed_with(4503).await;
    sees(&mut bob, "off", "alice", "alice").await;
    is_refused(&world, &old_tokens[1]).await;
    let mut new = alice.connects("lobby").await;
    sees(&mut bob, "on", "alice", "alice").await;

    held.let_deletion_go_on();
    assert_eq!(deleting.await.expect("answered"), 200);
    new.says("still here").await;
    bob.hears("still here").await;
    let shown = world.get("/api/groups/lobby").await.expect_success();
    assert_eq!(shown["attendees"][0], json!({"id": "alice", "name": "alice"}));
    assert_eq!(world.get("/api/users/alice").await.json()["groups"][0]["id"], "lobby");
    sees(&mut alice.connects("lobby").await, "on", "alice", "alice").await;
    // The second change of the old life had a higher revision than the first of the new.
    world.patch("/api/users/alice", json!({"name": "Alice II"})).await.expect_success();
    sees(&mut bob, "on", "alice", "Alice II").await;
}

#[tokio::test]
async fn a_deleted_users_token_opens_nothing_before_the_group_is_told() {
    let (server, held) = held_server().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut session = world.person("alice").await.joins("lobby").await;
    let token = world.token("lobby", "alice").await;
    let deleting = begins_to_delete(&world, &held).await;
    is_refused(&world, &token).await;
    held.let_deletion_go_on();
    assert_eq!(deleting.await.expect("answered"), 200);
    session.is_closed_with(4503).await;
}

async fn held_server() -> (Server, Arc<Held>) {
    let mut held = None;
    let server = Server::with_stores(limits(), AppOptions::default(), |inner| {
        let directory =
            Held { inner: inner.clone(), stored: Semaphore::new(0), may_go_on: Semaphore::new(0) };
        (Arc::clone(held.insert(Arc::new(directory))) as Arc<dyn Directory>, Arc::new(inner))
    });
    let server = server.await;
    (server, held.expect("the server wraps its stores once"))
}

/// Deletes Alice up to where she is gone from the store and no group knows. Gives the status that comes later.
async fn begins_to_delete(world: &World, held: &Held) -> tokio::task::JoinHandle<u16> {
    let world = world.clone();
    let deleting = tokio::spawn(async move { world.delete("/api/users/alice").await.status });
    held.until_deletion_is_stored().await;
    deleting
}

/// The first and last that the token's holder hears is that the user is gone.
async fn is_refused(world: &World, token: &str) {
    world.connect(token).await.is_closed_with(4503).await;
}

/// Waits until a roster shows a user so.
async fn sees(chatter: &mut Chatter, list: &str, id: &str, name: &str) {
    loop {
        let roster = chatter.sees_roster().await;
        if roster[list].as_array().expect("a list").contains(&json!({"id": id, "name": name})) {
            return;
        }
    }
}
