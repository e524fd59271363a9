//! The export of a group: everything, a line each, as fast as it is read, and never cut without a sign of it.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use common::rest::Refusal;
use common::spied::Spy;
use common::{Server, limits};
use engine::config::Limits;
use engine::domain::ids::GroupUid;
use engine::store::embedded::EmbeddedStore;
use engine::store::{History, HistoryPage, StoreError, Window};
use engine::testkit::{World, encoded, within};
use http::Request;
use http_body_util::BodyExt;
use kijimuna_api::AppOptions;
use serde_json::{Value, json};
use tower::ServiceExt;

const LOBBY: &str = "/api/groups/lobby";

/// Says so many messages of so many bytes, each with its number in front.
async fn says(world: &World, count: usize, bytes: usize) {
    for number in 0..count {
        let text = format!("{number} {}", "x".repeat(bytes));
        world.post(&format!("{LOBBY}/messages"), json!({"text": text})).await.expect_success();
    }
}

async fn exported(world: &World, path: &str) -> Vec<Value> {
    let answer = world.get(path).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (200, &"application/x-ndjson".parse().expect("a header"))
    );
    assert!(answer.text.ends_with('\n'), "the last line is whole");
    answer.text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[tokio::test]
async fn an_export_has_the_group_every_message_and_the_end() {
    let server = Server::start().await;
    let world = server.world().await;
    let group = json!({"id": "a/b", "name": "AB", "custom": [1], "retention": {"days": 30}});
    world.post("/api/groups", group.clone()).await.expect_success();
    let path = format!("/api/groups/{}", encoded("a/b"));
    let export = format!("{path}/export");
    let end = |messages: usize| json!({"end": true, "messages": messages});
    assert_eq!(exported(&world, &export).await, [json!({"group": group}), end(0)]);

    world.person("alice").await.attends("a/b").await;
    let mut ids = Vec::new();
    for text in ["one", "a line\nbreak\u{2028}", "three"] {
        let said = json!({"text": text, "user": "alice", "custom": {"n": null}});
        let posted = world.post(&format!("{path}/messages"), said).await.expect_success();
        ids.push(posted["id"].as_str().unwrap().to_owned());
    }
    world.patch(&format!("{path}/messages/{}", ids[0]), json!({"text": "uno"})).await.expect_success();
    world.delete(&format!("{path}/messages/{}", ids[2])).await.expect_success();
    let lines = exported(&world, &export).await;
    let page = world.get(&format!("{path}/messages")).await.expect_success();
    assert_eq!(lines[1..4], page["items"].as_array().unwrap()[..], "as a page shows them");
    assert_eq!((&lines[1]["text"], &lines[3]["deleted"]), (&json!("uno"), &json!(true)));
    assert_eq!((&lines[0], lines.last(), lines.len()), (&json!({"group": group}), Some(&end(3)), 5));
}

#[tokio::test]
async fn an_export_of_many_pages_leaves_nothing_out() {
    let limits = Limits { history_bytes_max: 20_000, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    says(&world, 150, 2_000).await;
    let lines = exported(&world, &format!("{LOBBY}/export")).await;
    assert_eq!(lines.len(), 152);
    for (number, line) in lines[1..151].iter().enumerate() {
        assert_eq!(line["seq"], number + 1);
        assert!(line["text"].as_str().unwrap().starts_with(&format!("{number} ")), "{line}");
    }
    assert_eq!(lines[151], json!({"end": true, "messages": 150}));
}

/// Counts the pages that are read, and says something or fails at one of them.
#[derive(Default)]
struct Pages {
    read: AtomicUsize,
    fails_at: AtomicUsize,
}

#[async_trait]
impl Spy for Pages {
    async fn page(
        &self,
        store: &EmbeddedStore,
        group: GroupUid,
        window: Window,
    ) -> Result<HistoryPage, StoreError> {
        let read = self.read.fetch_add(1, Ordering::SeqCst) + 1;
        if read == self.fails_at.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("spoiled".to_owned()));
        }
        History::page(store, group, window).await
    }
}

/// A server with pages of a few messages, and a tenant with a group of many.
async fn spied() -> (Server, World, Arc<Pages>) {
    let limits = Limits { history_bytes_max: 20_000, ..limits() };
    let pages = Arc::new(Pages::default());
    let server = Server::spied(limits, AppOptions::default(), Arc::clone(&pages)).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    says(&world, 100, 4_000).await;
    pages.read.store(0, Ordering::SeqCst);
    (server, world, pages)
}

/// The answer's body, whose frames the test takes one by one.
async fn asked(server: &Server, world: &World) -> Body {
    let (client, secret) = world.credentials();
    let request = Request::get(format!("{LOBBY}/export")).header("client", client).header("secret", secret);
    let request = request.body(Body::empty()).expect("a request");
    let response = within("an answer", server.router.clone().oneshot(request)).await.expect("an answer");
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// The next part of a body; none at the end or when it was cut.
async fn next(body: &mut Body) -> Option<Result<String, String>> {
    let frame = within("a frame", body.frame()).await?;
    Some(
        frame
            .map_err(|error| error.to_string())
            .map(|frame| String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text")),
    )
}

#[tokio::test]
async fn no_page_is_read_before_the_last_one_is_taken() {
    let (server, world, pages) = spied().await;
    let mut body = asked(&server, &world).await;
    // The first that is read says where it ends, and the first line needs none.
    for read in [1, 1, 2, 3, 4] {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(pages.read.load(Ordering::SeqCst), read);
        let part = next(&mut body).await.expect("more").expect("whole");
        assert!(part.len() < 30_000, "a page at once, not {} bytes", part.len());
    }
    drop(body);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(pages.read.load(Ordering::SeqCst), 5, "nobody reads it any more");
}

#[tokio::test]
async fn an_export_ends_with_what_there_was_when_it_began() {
    let (server, world, _) = spied().await;
    let mut body = asked(&server, &world).await;
    let mut text = String::new();
    while let Some(part) = next(&mut body).await {
        text.push_str(&part.expect("whole"));
        says(&world, 3, 0).await;
    }
    let end = text.lines().last().expect("a line");
    assert_eq!(serde_json::from_str::<Value>(end).expect("JSON"), json!({"end": true, "messages": 100}));
}

#[tokio::test]
async fn a_cut_export_has_no_last_line() {
    let (server, world, pages) = spied().await;
    pages.fails_at.store(5, Ordering::SeqCst);
    let mut body = asked(&server, &world).await;
    let cut = async |body: &mut Body| loop {
        match next(body).await.expect("no clean end") {
            Ok(part) => assert!(!part.contains("\"end\""), "{part}"),
            Err(error) => return error,
        }
    };
    let told = cut(&mut body).await;
    assert!(!told.contains("x x"), "{told}");
    let failed = world.request(reqwest::Method::GET, &format!("{LOBBY}/export"));
    pages.read.store(0, Ordering::SeqCst);
    let response = failed.send().await.expect("a head");
    assert!(response.text().await.is_err(), "the connection ends before its answer");

    pages.fails_at.store(0, Ordering::SeqCst);
    let mut body = asked(&server, &world).await;
    next(&mut body).await.expect("more").expect("whole");
    world.delete(LOBBY).await.expect_success();
    cut(&mut body).await;

    world.has_group("lobby").await;
    says(&world, 100, 4_000).await;
    let mut body = asked(&server, &world).await;
    next(&mut body).await.expect("more").expect("whole");
    world.delete(LOBBY).await.expect_success();
    world.has_group("lobby").await;
    says(&world, 100, 4_000).await;
    cut(&mut body).await;
}

#[tokio::test]
async fn a_service_has_four_exports_at_once() {
    let (server, world, _) = spied().await;
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(asked(&server, &world).await);
    }
    let refused = world.get(&format!("{LOBBY}/export")).await;
    refused.refuses_with(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "1");
    let another = server.world().await;
    another.has_group("lobby").await;
    assert_eq!(
        exported(&another, &format!("{LOBBY}/export")).await.len(),
        2,
        "another tenant isn't held back"
    );
    world.get("/api/groups/nowhere/export").await.refuses_with(429, "rate_limited");
    running.pop();
    world.get("/api/groups/nowhere/export").await.refuses_with(404, "group_not_found");
    assert_eq!(exported(&world, &format!("{LOBBY}/export")).await.len(), 102);
}

#[tokio::test]
async fn an_export_that_is_read_lasts_longer_than_a_connection_may_rest() {
    let limits = Limits { history_bytes_max: 20_000, connection_idle_ms: 150, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    says(&world, 100, 15_000).await;
    let request = world.request(reqwest::Method::GET, &format!("{LOBBY}/export"));
    let mut response = request.send().await.expect("a head");
    let mut text = Vec::new();
    while let Some(chunk) = within("a chunk", response.chunk()).await.expect("not cut") {
        text.extend_from_slice(&chunk);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(String::from_utf8(text).expect("text").ends_with("{\"end\":true,\"messages\":100}\n"));
}
