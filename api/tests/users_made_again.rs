//! A user that is deleted and made again under its id is another one, even while groups are still being told.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::spied::Spy;
use common::{Server, limits};
use engine::domain::ids::{ServiceId, UserId};
use engine::store::embedded::EmbeddedStore;
use engine::store::{DeletedUser, Directory, StoreError};
use engine::testkit::{Chatter, World, within};
use kijimuna_api::AppOptions;
use serde_json::json;
use tokio::sync::Semaphore;

/// Holds the deletion of a user when it is stored and no group has been told.
struct Held {
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
impl Spy for Held {
    async fn delete_user(
        &self,
        store: &EmbeddedStore,
        service: &ServiceId,
        id: &UserId,
    ) -> Result<DeletedUser, StoreError> {
        let deleted = store.delete_user(service, id).await;
        self.stored.add_permits(1);
        self.may_go_on.acquire().await.expect("never closed").forget();
        deleted
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
    assert_eq!(shown["attendees"][0], json!({"id": "alice", "name": "alice", "role": "member"}));
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
    let held = Arc::new(Held { stored: Semaphore::new(0), may_go_on: Semaphore::new(0) });
    (Server::spied(limits(), AppOptions::default(), Arc::clone(&held)).await, held)
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
