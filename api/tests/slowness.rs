//! Who doesn't read costs the server little, delays nobody, and is told what became of it.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use common::raw::{CONTINUATION, Event, FIN, PING, PONG, Raw, TEXT, frame, text};
use common::spied::Spy;
use common::{Server, limits};
use engine::config::Limits;
use engine::domain::ids::GroupUid;
use engine::store::embedded::EmbeddedStore;
use engine::store::{History, HistoryPage, StoreError, Window};
use engine::testkit::{Chatter, Encoding, World, within};
use kijimuna_api::AppOptions;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const KIB: usize = 1024;

/// A server with a group in which Alice has said so many things of 15 KiB.
async fn lobby_full_of_words(limits: Limits, count: usize) -> (Server, World, Chatter) {
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    alice.is_given_history().await;
    for number in 0..count {
        say_much(&mut alice, number).await;
    }
    (server, world, alice)
}

async fn say_much(alice: &mut Chatter, number: usize) -> String {
    let words = format!("{number} {}", "x".repeat(15 * KIB));
    alice.says(&words).await;
    alice.hears(&words).await;
    words
}

/// Opens a WebSocket of a client that takes next to nothing unless it reads.
async fn snail(world: &World) -> Raw {
    world.person("snail").await.attends("lobby").await;
    Raw::connects_narrowly(world, &world.token("lobby", "snail").await).await
}

/// Waits until the server has counted so many.
async fn until_counted(server: &Server, series: &str, enough: u64) {
    let count = || -> Option<u64> {
        let metrics = server.engine.metrics().render();
        metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    };
    let counted = async {
        while count().is_none_or(|count| count < enough) {
            tokio::task::yield_now().await;
        }
    };
    within(series, counted).await;
}

fn numbers(page: &[Value]) -> Vec<usize> {
    let number = |message: &Value| message["m"].as_str()?.split(' ').next()?.parse().ok();
    page.iter().map(|message| number(message).expect("words with a number")).collect()
}

#[tokio::test]
async fn pages_of_large_messages_are_short_and_lead_to_the_end() {
    let limits = Limits { history_bytes_max: 50 * KIB, ..limits() };
    let (_server, world, _alice) = lobby_full_of_words(limits, 10).await;
    let mut bob = world.person("bob").await.joins("lobby").await;
    let mut page = bob.is_given_history().await;
    let mut pages = Vec::new();
    while let Some(oldest) = page.first() {
        let before = oldest["i"].clone();
        pages.push(numbers(&page));
        page = bob.reads_history(json!({"b": before, "l": 100})).await;
    }
    assert_eq!(pages, [vec![7, 8, 9], vec![4, 5, 6], vec![1, 2, 3], vec![0]]);
}

#[tokio::test]
async fn a_text_full_of_escapes_makes_no_larger_page() {
    let limits = Limits { history_bytes_max: 50 * KIB, ..limits() };
    let (_server, world, mut alice) = lobby_full_of_words(limits, 0).await;
    for _ in 0..10 {
        alice.says(&"\u{1}".repeat(4 * KIB)).await;
        alice.hears_something().await;
    }
    let page = world.person("bob").await.joins("lobby").await.is_given_history().await;
    assert!((1..=2).contains(&page.len()), "{} messages of 24 KiB", page.len());
}

/// Counts the pages that are read.
#[derive(Default)]
struct Counted {
    pages: AtomicU64,
}

#[async_trait]
impl Spy for Counted {
    async fn page(
        &self,
        store: &EmbeddedStore,
        group: GroupUid,
        window: Window,
    ) -> Result<HistoryPage, StoreError> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        store.page(group, window).await
    }
}

/// Many join at once. Answers what they were given.
async fn storm(world: &World, round: usize) -> Vec<Vec<Value>> {
    let mut joining = JoinSet::new();
    for number in 0..30 {
        let world = world.clone();
        joining.spawn(async move {
            world
                .person(&format!("guest {round}/{number}"))
                .await
                .joins("lobby")
                .await
                .is_given_history()
                .await
        });
    }
    joining.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_newcomers_reads_the_page_once() {
    let counted = Arc::<Counted>::default();
    let server = Server::spied(limits(), AppOptions::default(), Arc::clone(&counted)).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    for said in 1..=3 {
        alice.says("come in").await;
        alice.hears("come in").await;
        for given in storm(&world, said).await {
            assert_eq!(given.len(), said);
        }
        assert_eq!(counted.pages.load(Ordering::Relaxed), 1 + said as u64, "the first was Alice's own");
    }
}

#[tokio::test]
async fn who_takes_nothing_for_too_long_is_closed_as_slow() {
    let limits = Limits {
        outbound_bytes_max: 256 * KIB * KIB,
        write_stall_ms: 200,
        close_linger_ms: 20_000,
        ..limits()
    };
    let (server, world, mut alice) = lobby_full_of_words(limits, 0).await;
    let mut snail = snail(&world).await;
    snail.next(3).await;
    let before = server.engine.metrics().deliveries.get();
    let mut said = Vec::new();
    // Until a message, of those that Alice has heard, didn't get as far as the snail's queue.
    while server.engine.metrics().deliveries.get() - before >= 2 * said.len() as u64 {
        said.push(say_much(&mut alice, said.len()).await);
    }
    let (heard, end) = snail.hears_until_the_end().await;
    assert_eq!(end, Some(4001), "it reads again just in time to learn why");
    assert!(heard.len() < said.len());
    assert!(heard.iter().zip(&said).all(|(heard, said)| heard["m"] == said.as_str()));
    until_counted(&server, "kijimuna_closes_total{code=\"4001\"}", 1).await;
}

#[tokio::test]
async fn who_never_reads_again_is_counted_as_slow() {
    let limits =
        Limits { outbound_bytes_max: 256 * KIB * KIB, write_stall_ms: 100, close_linger_ms: 100, ..limits() };
    let (server, world, mut alice) = lobby_full_of_words(limits, 0).await;
    let mut snail = snail(&world).await;
    snail.next(3).await;
    // More than any kernel holds for a socket by default.
    for number in 0..800 {
        say_much(&mut alice, number).await;
    }
    until_counted(&server, "kijimuna_closes_total{code=\"4001\"}", 1).await;
    let (_, end) = snail.hears_until_the_end().await;
    assert_eq!(end, None, "a frame is half sent, so no close frame can follow it");
}

#[tokio::test]
async fn a_drain_doesnt_wait_for_who_asks_and_doesnt_read() {
    const ASKS: usize = 150;
    let limits = Limits {
        close_linger_ms: 100,
        drain_ms: 600_000,
        write_stall_ms: 600_000,
        ping_interval_ms: 600_000,
        ..limits()
    };
    let (server, world, _alice) = lobby_full_of_words(limits, 20).await;
    let mut snail = snail(&world).await;
    snail.sends(&text(&json!({"a": 3, "d": {"l": 100}}).to_string()).repeat(ASKS)).await;
    until_counted(&server, "kijimuna_frames_received_total{action=\"history\"}", 5).await;
    within("the end of a drain", server.engine.drain()).await;
}

#[tokio::test]
async fn a_flood_of_frames_that_say_nothing_slows_nobody_else() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    let mut bob = world.person("bob").await.joins("lobby").await;
    world.person("mallory").await.attends("lobby").await;
    let mut floods = JoinSet::new();
    let nothings = [frame(FIN | PING, b""), frame(FIN | PONG, b""), frame(FIN | TEXT, b"{}")];
    for nothing in &nothings {
        let mallory = Raw::joins(&world, "lobby", "mallory").await;
        let flood = nothing.repeat(2_000);
        floods.spawn(async move { mallory.floods(&flood).await });
    }
    for round in 0..50 {
        let words = format!("words {round}");
        alice.says(&words).await;
        bob.hears(&words).await;
    }
    assert_eq!(floods.try_join_next().map(|_| ()), None, "who is slowed down isn't closed");
    server.engine.drain().await;
    while floods.join_next().await.is_some() {}
}

#[tokio::test]
async fn fragments_of_nothing_come_to_an_end() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    world.person("mallory").await.attends("lobby").await;
    let mut mallory = Raw::joins(&world, "lobby", "mallory").await;
    mallory.sends(&frame(TEXT, b"")).await;
    mallory.throws(&frame(CONTINUATION, b"").repeat(2_000)).await;
    assert_eq!(mallory.event_but_rosters().await, Event::Closed(Some(4502)));
}

/// A join may be answered with a whole replay, so who joins again and again without reading would fill the server's memory.
#[tokio::test]
async fn who_joins_over_and_over_must_read_what_it_is_given() {
    // Replays are of the newest ones, too, that are said while it joins.
    let limits = Limits { replay_bytes_max: 16 * KIB * KIB, ..limits() };
    let (server, world, mut alice) = lobby_full_of_words(limits, 60).await;
    let bob = world.person("bob").await;
    bob.attends("lobby").await;
    let mut bob = bob.arrives(Encoding::Json).await;
    let epoch = bob.gets(14, json!({"g": "lobby", "op": "join"}), 0).await["ep"].clone();
    bob.does(14, json!({"g": "lobby", "op": "leave"})).await;
    let joined = || {
        let metrics = server.engine.metrics().render();
        let series = "kijimuna_frames_received_total{action=\"join\"}";
        let count = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok());
        count.expect("it has joined")
    };
    for _ in 0..30 {
        bob.sends(14, json!({"g": "lobby", "op": "join", "ep": epoch, "s": 0})).await;
        bob.sends(14, json!({"g": "lobby", "op": "leave"})).await;
    }
    until_counted(&server, "kijimuna_frames_received_total{action=\"join\"}", 3).await;
    for number in 0..100 {
        say_much(&mut alice, number).await;
    }
    assert!(joined() < 25, "{} joins are under way for one who reads nothing", joined());
    // And who reads is given all.
    for _ in 0..30 {
        let resumed = bob.next(13).await;
        assert_eq!(resumed["ok"], true, "{resumed}");
    }
}
