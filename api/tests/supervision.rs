//! What dies is started again, and nobody who listens notices more than a short wait.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use common::spied::Spy;
use common::{Server, limits};
use engine::config::Limits;
use engine::domain::event::{Event, EventKind};
use engine::domain::ids::GroupUid;
use engine::store::embedded::EmbeddedStore;
use engine::store::{Appending, History, StoreError};
use engine::testkit::Encoding;
use kijimuna_api::AppOptions;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Makes the group which appends panic, or tells it that an append failed.
struct Spoiled {
    appends: AtomicU64,
    /// Every so manieth append panics, before or after it is handed to the store; 0 for never.
    panic_every: AtomicU64,
}

/// A message that is answered with an error and isn't stored.
const UNSTORABLE: &str = "unstorable";

#[async_trait]
impl Spy for Spoiled {
    async fn append(&self, store: &EmbeddedStore, group: GroupUid, event: Event) -> Appending {
        if matches!(&event.kind, EventKind::Message(message) if &*message.text == UNSTORABLE) {
            let (answer, appending) = Appending::pair();
            answer.send(Err(StoreError::Unavailable("spoiled".to_owned()))).expect("the pair is whole");
            return appending;
        }
        let count = self.appends.fetch_add(1, Ordering::Relaxed) + 1;
        let every = self.panic_every.load(Ordering::Relaxed);
        let spoil = every > 0 && count.is_multiple_of(every);
        assert!(!(spoil && count.is_multiple_of(2)), "spoiled before it was handed to the store");
        let appending = History::append(store, group, event).await;
        assert!(!spoil, "spoiled after it was handed to the store");
        appending
    }
}

/// The group's actor panics again and again while five people talk at once. Everyone stays connected and hears
/// the same, all of it is in history, and who said something that was lost is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_panics_under_load_keeps_its_sessions_and_its_log() {
    const SPEAKERS: usize = 5;
    const EACH: usize = 200;
    let limits = Limits { restarts_max: 1_000, ..limits() };
    let (server, spoiled) = spoiled_server(limits, 37).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut listener = world.person("listener").await.joins("lobby").await;
    listener.is_given_history().await;

    let speaking: Vec<_> = (0..SPEAKERS)
        .map(|number| {
            let (world, spoiled) = (world.clone(), Arc::clone(&spoiled));
            tokio::spawn(async move {
                let mut speaker = world.person(&format!("speaker {number}")).await.joins("lobby").await;
                for message in 0..EACH {
                    speaker.says(&format!("{number}/{message}")).await;
                }
                // Asked in order, so the server has taken all that was said before.
                speaker.is_given_history().await;
                speaker.reads_history(json!({"l": 1})).await;
                spoiled.panic_every.store(0, Ordering::Relaxed);
                speaker.says_until_heard(&format!("{number} has finished")).await
            })
        })
        .collect();
    let mut refusals = 0;
    for speaker in speaking {
        refusals += speaker.await.expect("no speaker was disconnected");
    }

    let mut heard = Vec::new();
    let mut finished = BTreeSet::new();
    while finished.len() < SPEAKERS {
        let message = listener.hears_something().await;
        if message["m"].as_str().unwrap().ends_with("has finished") {
            finished.insert(message["m"].to_string());
        }
        heard.push(message);
    }
    assert!(server.engine.metrics().group_crashes.get() >= 5, "the group did crash");
    let ids: Vec<&str> = heard.iter().map(|message| message["i"].as_str().unwrap()).collect();
    assert!(
        ids.is_sorted() && ids.iter().collect::<BTreeSet<_>>().len() == ids.len(),
        "in order, nothing twice"
    );
    let lost =
        SPEAKERS * EACH - heard.iter().filter(|message| message["m"].as_str().unwrap().contains('/')).count();
    assert!(lost <= refusals, "{lost} were lost and only {refusals} told");
    assert!(whole_history(&mut listener).await.starts_with(&heard), "what was heard is what is stored");
}

#[tokio::test]
async fn a_message_that_cant_be_stored_is_refused_and_leaves_no_hole() {
    let (server, _) = spoiled_server(limits(), 0).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    let mut bob = world.person("bob").await.joins("lobby").await;
    alice.says("before").await;
    let before = bob.hears("before").await;
    alice.says(UNSTORABLE).await;
    alice.is_refused_with("store_unavailable").await;
    alice.says_until_heard("after").await;
    let after = bob.hears("after").await;
    let place = |message: &Value| u64::from_str_radix(&message["i"].as_str().unwrap()[16..], 16).unwrap();
    assert_eq!(place(&after), place(&before) + 1);
}

#[tokio::test]
async fn a_group_that_crashes_over_and_over_is_quarantined_and_comes_back() {
    let limits = Limits { restarts_max: 2, quarantine_ms: 100, ..limits() };
    let (server, spoiled) = spoiled_server(limits, 1).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    for number in 0..3 {
        alice.says(&format!("crash {number}")).await;
        alice.is_refused_with("group_unavailable").await;
    }
    spoiled.panic_every.store(0, Ordering::Relaxed);
    alice.says_until_heard("back").await;
    let crashes = server.engine.metrics().group_crashes.get();
    assert!(crashes >= 3, "{crashes}");
}

/// A user is deleted while no actor of a large group is there. Whoever stays is told, whether the user's session is
/// still connected or has gone meanwhile, too.
#[tokio::test]
async fn who_is_removed_while_a_large_group_is_down_is_shown_as_gone() {
    for stays in [true, false] {
        let limits = Limits { roster_full_max: 1, restarts_max: 0, quarantine_ms: 500, ..limits() };
        let (server, spoiled) = spoiled_server(limits, 0).await;
        let world = server.world().await;
        world.has_group("lobby").await;
        world.person("carol").await.attends("lobby").await;
        let mut alice = world.person("alice").await.joins("lobby").await;
        let mut bob = world.person("bob").await.joins("lobby").await;
        while !shows(&alice.sees_roster().await["on"], "bob") {}

        spoiled.panic_every.store(1, Ordering::Relaxed);
        alice.says("crash").await;
        alice.is_refused_with("group_unavailable").await;
        spoiled.panic_every.store(0, Ordering::Relaxed);
        world.delete("/api/users/bob").await.expect_success();
        if stays {
            bob.is_closed_with(4503).await;
        } else {
            bob.leaves().await;
        }
        while !shows(&alice.sees_roster().await["off"], "bob") {}
    }
}

/// Whether a list of a roster has a user.
fn shows(list: &Value, user: &str) -> bool {
    list.as_array().expect("a list").iter().any(|shown| shown["id"] == user)
}

async fn spoiled_server(limits: Limits, panic_every: u64) -> (Server, Arc<Spoiled>) {
    let spoiled = Arc::new(Spoiled { appends: AtomicU64::new(0), panic_every: AtomicU64::new(panic_every) });
    (Server::spied(limits, AppOptions::default(), Arc::clone(&spoiled)).await, spoiled)
}

async fn whole_history(reader: &mut engine::testkit::Chatter) -> Vec<Value> {
    let mut history = Vec::new();
    let mut request = json!({"l": 100});
    loop {
        let page = reader.reads_history(request).await;
        let Some(oldest) = page.first() else { return history };
        request = json!({"l": 100, "b": oldest["i"]});
        history.splice(0..0, page);
    }
}

/// Holds every append up until it may go on, or fails it.
struct Held {
    taken: Semaphore,
    go_on: Semaphore,
    fails: AtomicBool,
}

#[async_trait]
impl Spy for Held {
    async fn append(&self, store: &EmbeddedStore, group: GroupUid, event: Event) -> Appending {
        let (answer, appending) = Appending::pair();
        self.taken.add_permits(1);
        self.go_on.acquire().await.expect("never closed").forget();
        if self.fails.load(Ordering::SeqCst) {
            answer.send(Err(StoreError::Unavailable("spoiled".to_owned()))).expect("the pair is whole");
            return appending;
        }
        History::append(store, group, event).await
    }
}

/// What is sent again while the first is under way is answered when that is on the disk, and not before.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_again_is_answered_when_it_is_stored() {
    for fails in [false, true] {
        let (taken, go_on) = (Semaphore::new(0), Semaphore::new(0));
        let held = Arc::new(Held { taken, go_on, fails: AtomicBool::new(fails) });
        let server = Server::spied(limits(), AppOptions::default(), Arc::clone(&held)).await;
        let world = server.world().await;
        world.has_group("lobby").await;
        let alice = world.person("alice").await;
        alice.attends("lobby").await;
        let (mut alice, _) = alice.enters("lobby", Encoding::Json).await;
        alice.sends(2, json!({"m": "hi", "ci": "c1"})).await;
        held.taken.acquire().await.expect("never closed").forget();
        alice.sends(2, json!({"m": "hi", "ci": "c1", "re": true})).await;
        held.go_on.add_permits(100);
        let answer = alice.next_where(|frame| frame["a"] == 4 || frame["a"] == 5, "an answer").await;
        if fails {
            assert_eq!(
                (&answer["a"], &answer["d"]["c"]),
                (&json!(5), &json!("store_unavailable")),
                "{answer}"
            );
            let again = alice.next_where(|frame| frame["d"]["ci"] == "c1", "another answer").await;
            assert_eq!((&again["a"], &again["d"]["tmp"]), (&json!(5), &json!(true)), "{again}");
        } else {
            assert_eq!((&answer["a"], &answer["d"]["dup"]), (&json!(4), &Value::Null), "the first one's ack");
            assert_eq!(alice.next(4).await["dup"], true);
        }
    }
}
