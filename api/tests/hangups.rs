//! A backend that hangs up doesn't leave half a change behind: what is stored also shows.
#![allow(missing_docs)]

mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use common::{Server, limits};
use engine::config::Limits;
use engine::testkit::{Chatter, World, within};
use http::{Request, StatusCode};
use hyper::body::Frame;
use kijimuna_api::AppOptions;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower::ServiceExt;

/// Sends a request and is gone before any answer.
async fn asks_and_hangs_up(world: &World, method: &str, path: &str, body: &str) {
    let address = world.base().trim_start_matches("http://");
    let (client, secret) = world.credentials();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nclient: {client}\r\nsecret: {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
}

/// Asks until the change is stored. The one who asked has gone, so nobody else can tell.
async fn until_stored(world: &World, path: &str, is_stored: impl Fn(u16, &str) -> bool) {
    loop {
        let answer = world.get(path).await;
        if is_stored(answer.status, &answer.text) {
            return;
        }
    }
}

/// Makes Bob, with a session in each of four groups of the round.
async fn sessions_of_a_new_bob(world: &World, round: usize) -> Vec<Chatter> {
    let bob = world.person("bob").await;
    let mut sessions = Vec::new();
    for group in 0..4 {
        let group = format!("{round}-{group}");
        world.has_group(&group).await;
        sessions.push(bob.joins(&group).await);
    }
    sessions
}

#[tokio::test]
async fn a_user_whose_deletion_nobody_waits_for_is_closed_everywhere() {
    let server = Server::start().await;
    let world = server.world().await;
    for round in 0..10 {
        let mut sessions = sessions_of_a_new_bob(&world, round).await;
        asks_and_hangs_up(&world, "DELETE", "/api/users/bob", "").await;
        for session in &mut sessions {
            session.is_closed_with(4503).await;
        }
        until_stored(&world, "/api/users/bob", |status, _| status == 404).await;
    }
}

#[tokio::test]
async fn a_new_name_that_nobody_waits_for_shows_in_live_rosters() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    for round in 0..10 {
        let name = format!("Alice {round}");
        asks_and_hangs_up(&world, "PATCH", "/api/users/alice", &json!({"name": name}).to_string()).await;
        until_stored(&world, "/api/users/alice", |_, text| text.contains(&name)).await;
        while !alice.sees_roster().await.to_string().contains(&name) {}
    }
}

#[tokio::test]
async fn a_user_is_deleted_while_a_group_of_it_is() {
    let server = Server::start().await;
    let world = server.world().await;
    for round in 0..10 {
        let mut sessions = sessions_of_a_new_bob(&world, round).await;
        let first = format!("/api/groups/{round}-0");
        let (group, user) = tokio::join!(world.delete(&first), world.delete("/api/users/bob"));
        group.expect_success();
        user.expect_success();
        for session in &mut sessions {
            assert!(matches!(session.ends().await, Some(4503 | 4504)));
        }
    }
}

/// A body that never comes.
struct Silence;

impl HttpBody for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_handler_whose_body_never_comes_is_let_go() {
    let server = Server::with(Limits { request_timeout_ms: 100, ..limits() }, AppOptions::default()).await;
    let world = server.world().await;
    let (client, secret) = world.credentials();
    // What a connection lends to each of its requests, its place among the others for one.
    let lent = Arc::new(());
    let request = Request::post("/api/users")
        .header("client", client)
        .header("secret", secret)
        .header("content-type", "application/json")
        .extension(Arc::clone(&lent))
        .body(Body::new(Silence))
        .expect("a request");
    let answer = server.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(answer);
    let let_go = async {
        while Arc::strong_count(&lent) > 1 {
            tokio::task::yield_now().await;
        }
    };
    within("the end of the handler", let_go).await;
}
