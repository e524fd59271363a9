//! Whatever one client sends, the process lives and the others talk.
#![allow(missing_docs)]

mod common;

use common::Process;
use common::raw::{Raw, frame};
use engine::testkit::World;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::sync::Mutex;

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

#[test]
fn no_bytes_whatever_harm_the_server() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (dir, logs) =
        (tempfile::tempdir().expect("a folder"), tempfile::NamedTempFile::new().expect("a file"));
    let mut process = Process::start_logging(dir.path(), &["--send-rate=0"], logs.reopen().expect("opened"));
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
    process.terminate();
    assert!(process.wait().success(), "it lived until it was asked to end");
    let logs = std::fs::read_to_string(logs.path()).expect("logs");
    assert!(!logs.contains("panicked") && !logs.contains("crashed"), "{logs}");
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
