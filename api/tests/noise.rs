//! Whatever one client sends, the process lives and the others talk.
#![allow(missing_docs)]

mod common;

use common::Process;
use common::raw::{Raw, frame};
use engine::testkit::{Encoding, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;

/// Any bytes, any frames, and bytes that look like frames.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let framed = prop::collection::vec((any::<u8>(), bytes()), 1..8)
        .prop_map(|frames| frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect());
    let legal = prop::collection::vec((any::<bool>(), 0_u8..3, bytes()), 1..8).prop_map(|frames| {
        frames.iter().flat_map(|(fin, op, payload)| frame(u8::from(*fin) << 7 | op, payload)).collect()
    });
    prop_oneof![bytes(), framed, legal]
}

/// Any value, and any of the fields that frames have.
fn value() -> impl Strategy<Value = Value> {
    let id = || "[0-9a-f]{32}".prop_map(Value::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..20).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["lobby", "alice", "mallory", "add", "remove", "join", "leave", "ban"])
            .prop_map(Value::from),
        id(),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        let field = prop_oneof![prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned), ".{0,3}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((field, inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 18] =
    ["g", "m", "ci", "re", "rp", "x", "b", "af", "l", "i", "k", "op", "rd", "rc", "to", "ep", "s", "u"];

/// A frame that may be meant: an action, and whatever fields.
fn meant() -> impl Strategy<Value = Value> {
    let fields = prop::collection::vec((prop::sample::select(FIELDS.to_vec()), value()), 0..6);
    (0_u64..34, any::<Option<u32>>(), fields).prop_map(|(a, r, fields)| {
        let data: serde_json::Map<_, _> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        json!({"a": a, "r": r, "d": data})
    })
}

/// What one connection of version 2 sends: frames that may be meant, and any bytes.
fn frames() -> impl Strategy<Value = Vec<Result<Value, Vec<u8>>>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..100);
    let frame = prop_oneof![4 => meant().prop_map(Ok), 1 => value().prop_map(Ok), 1 => bytes.prop_map(Err)];
    prop::collection::vec(frame, 1..12)
}

/// Ends the server, which must have lived until now and have nothing of a panic in its logs.
fn ends_well(mut process: Process, logs: &NamedTempFile) {
    process.terminate();
    assert!(process.wait().success(), "it lived until it was asked to end");
    let logs = std::fs::read_to_string(logs.path()).expect("logs");
    assert!(!logs.contains("panicked") && !logs.contains("crashed"), "{logs}");
}

#[test]
fn no_frames_whatever_harm_version_2() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (dir, logs) = (tempfile::tempdir().expect("a folder"), NamedTempFile::new().expect("a file"));
    let flags = ["--send-rate=0", "--history-rate=0", "--signal-rate=0"];
    let process = Process::start_logging(dir.path(), &flags, logs.reopen().expect("opened"));
    let (world, pair) = runtime.block_on(async {
        let world = World::at(&process.base).await;
        world.has_group("lobby").await;
        world.person("mallory").await.attends("lobby").await;
        let (alice, bob) = (world.person("alice").await, world.person("bob").await);
        alice.attends("lobby").await;
        bob.attends("lobby").await;
        let alice = alice.enters("lobby", Encoding::Json).await.0;
        (world, Mutex::new((alice, bob.enters("lobby", Encoding::Msgpack).await.0)))
    });
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let strategy = (any::<bool>(), any::<bool>(), frames());
    let outcome = TestRunner::new(config).run(&strategy, |(packed, scoped, frames)| {
        runtime.block_on(async {
            let encoding = if packed { Encoding::Msgpack } else { Encoding::Json };
            let token = if scoped {
                world.token("lobby", "mallory").await
            } else {
                world.user_token("mallory").await
            };
            let mut mallory = world.connect_v2(&token, encoding).await;
            for frame in frames {
                match frame {
                    Ok(frame) => mallory.throws(&frame).await,
                    Err(bytes) if packed => mallory.throws_message(Message::binary(bytes)).await,
                    Err(bytes) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        mallory.throws_message(Message::text(text)).await;
                    }
                }
            }
            let (alice, bob) = &mut *pair.lock().await;
            let said = alice.says("still here").await;
            bob.next_where(|frame| frame["a"] == 2 && frame["d"]["i"] == said["i"], "it").await;
        });
        Ok(())
    });
    ends_well(process, &logs);
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn no_bytes_whatever_harm_the_server() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (dir, logs) = (tempfile::tempdir().expect("a folder"), NamedTempFile::new().expect("a file"));
    let process = Process::start_logging(dir.path(), &["--send-rate=0"], logs.reopen().expect("opened"));
    let (world, pair) = runtime.block_on(async {
        let world = World::at(&process.base).await;
        world.has_group("lobby").await;
        world.person("mallory").await.attends("lobby").await;
        let (alice, bob) = (world.person("alice").await, world.person("bob").await);
        let (mut alice, mut bob) = (alice.joins("lobby").await, bob.joins("lobby").await);
        alice.is_given_history().await;
        bob.is_given_history().await;
        (world, Mutex::new((alice, bob)))
    });
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&noise(), |bytes| {
        runtime.block_on(async {
            let token = world.token("lobby", "mallory").await;
            // Once in the segment of the handshake, and once after it.
            Raw::connects_saying(&world, &token, &bytes).await.throws(&bytes).await;
            let (alice, bob) = &mut *pair.lock().await;
            alice.says("still here").await;
            alice.hears("still here").await;
            bob.hears("still here").await;
        });
        Ok(())
    });
    ends_well(process, &logs);
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
