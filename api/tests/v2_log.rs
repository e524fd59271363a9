//! Version 2: one log. Acks, edits, deletions, reactions, replies, and resuming.
#![allow(missing_docs)]
// A frame without what it must have fails the test, wherever it is read.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Process, Server, limits};
use engine::config::Limits;
use engine::testkit::{Encoding, Peer, World};
use kijimuna_api::AppOptions;
use serde_json::{Value, json};

use Encoding::{Json, Msgpack};

async fn enters(world: &World, user: &str, encoding: Encoding) -> Peer {
    world.known(user).enters("lobby", encoding).await.0
}

fn id_of(ack: &Value) -> Value {
    ack["i"].clone()
}

#[tokio::test]
async fn both_encodings_hear_the_same() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, welcome) = world.known("alice").enters("lobby", Json).await;
    assert_eq!(
        (&welcome["v"], &welcome["u"], &welcome["g"], &welcome["s"]),
        (&json!(2), &json!("alice"), &json!("lobby"), &json!(0))
    );
    assert!(
        welcome["lim"]["message"].is_u64() && welcome["hb"].is_u64() && welcome["exp"].is_u64(),
        "{welcome}"
    );
    let mut bob = enters(&world, "bob", Msgpack).await;

    let said = json!({"m": "hi 🌍", "ci": "c1", "x": {"a": [1, null, "é"], "f": 1.5}});
    let ack = alice.does(2, said).await;
    assert_eq!(
        (&ack["g"], &ack["ci"], &ack["s"], &ack["dup"]),
        (&json!("lobby"), &json!("c1"), &json!(1), &Value::Null)
    );
    let (heard, echo) = (bob.next(2).await, alice.next(2).await);
    assert_eq!(heard, echo, "the sender hears it, too, and just the same");
    assert_eq!(
        (&heard["m"], &heard["p"], &heard["s"], &heard["i"]),
        (&json!("hi 🌍"), &json!("alice"), &json!(1), &ack["i"])
    );
    assert_eq!(heard["x"], json!({"a": [1, null, "é"], "f": 1.5}));
    assert_eq!(bob.reads(json!({})).await, alice.reads(json!({"l": 10})).await);
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path(), &[]);
    let mut world = World::at(&process.base).await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    let mut alice = enters(&world, "alice", Json).await;
    let first = alice.does(2, json!({"m": "once", "ci": "c1"})).await;
    let again = alice.does(2, json!({"m": "once", "ci": "c1", "re": true})).await;
    assert_eq!(
        (&again["i"], &again["s"], &again["t"], &again["dup"]),
        (&first["i"], &first["s"], &first["t"], &json!(true))
    );

    alice.vanishes();
    process.kill();
    process = Process::start(dir.path(), &[]);
    world = world.moved_to(&process.base);
    let mut alice = enters(&world, "alice", Msgpack).await;
    let after_a_crash = alice.does(2, json!({"m": "once", "ci": "c1", "re": true})).await;
    assert_eq!((&after_a_crash["i"], &after_a_crash["dup"]), (&first["i"], &json!(true)));
    assert_eq!(alice.does(2, json!({"m": "twice", "ci": "c2"})).await["s"], 2);
    assert_eq!(alice.reads(json!({})).await.len(), 2);
}

#[tokio::test]
async fn messages_change_and_everyone_sees_it_in_one_order() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (enters(&world, "alice", Json).await, enters(&world, "bob", Msgpack).await);
    let hi = id_of(&alice.says("hi").await);
    let reply = id_of(&bob.does(2, json!({"m": "ho", "rp": hi})).await);
    assert_eq!(alice.does(7, json!({"i": hi, "m": "hi!", "x": {"n": 1}})).await["s"], 3);
    assert_eq!(bob.does(9, json!({"i": hi, "k": "👍", "op": "add"})).await["s"], 4);
    assert_eq!(bob.does(9, json!({"i": hi, "k": "👍", "op": "add"})).await["dup"], true);
    alice.does(9, json!({"i": hi, "k": "👍", "op": "add"})).await;
    alice.does(7, json!({"i": hi, "x": null})).await;
    assert_eq!(bob.does(8, json!({"i": reply})).await["s"], 7);
    bob.is_refused(7, json!({"i": hi, "m": "mine"}), "forbidden").await;
    bob.is_refused(7, json!({"i": reply, "m": "back"}), "message_deleted").await;

    let mut orders = Vec::new();
    for peer in [&mut alice, &mut bob] {
        let mut order = Vec::new();
        for _ in 0..7 {
            order.push(peer.next_event().await);
        }
        orders.push(order);
    }
    assert_eq!(orders[0], orders[1]);
    let kinds: Vec<u64> = orders[0].iter().map(|(action, _)| *action).collect();
    assert_eq!(kinds, [2, 2, 7, 9, 9, 7, 8]);
    let (edit, reaction) = (&orders[0][2].1, &orders[0][3].1);
    assert_eq!(
        (&edit["i"], &edit["m"], &edit["x"], &edit["by"]),
        (&hi, &json!("hi!"), &json!({"n": 1}), &json!("alice"))
    );
    assert_eq!(
        (&reaction["i"], &reaction["k"], &reaction["op"], &reaction["u"]),
        (&hi, &json!("👍"), &json!("add"), &json!("bob"))
    );
    assert!(orders[0][5].1.as_object().unwrap().contains_key("x"), "x went");

    let page = bob.reads(json!({})).await;
    assert_eq!(
        (&page[0]["m"], &page[0]["k"], &page[0]["mk"], &page[0]["v"]),
        (&json!("hi!"), &json!({"👍": 2}), &json!(["👍"]), &json!(6))
    );
    assert!(page[0]["x"].is_null() && page[0]["ed"].is_u64());
    assert_eq!(
        (&page[1]["del"], &page[1]["m"], &page[1]["rp"]),
        (&json!(true), &Value::Null, &hi),
        "a tombstone keeps its place"
    );
}

#[tokio::test]
async fn a_version_1_client_lives_beside() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut old = world.known("alice").connects("lobby").await;
    old.is_given_history().await;
    let mut new = enters(&world, "bob", Msgpack).await;
    let id = id_of(&new.does(2, json!({"m": "from the new", "ci": "c", "x": 1})).await);
    let heard = old.hears("from the new").await;
    assert_eq!(heard.as_object().map(serde_json::Map::len), Some(4), "{heard}");
    old.says("from the old").await;
    assert_eq!(
        new.next_where(|frame| frame["d"]["p"] == "alice" && frame["a"] == 2, "it").await["d"]["m"],
        "from the old"
    );
    new.does(7, json!({"i": id, "m": "changed"})).await;
    let page = old.reads_history(json!({})).await;
    assert_eq!(page[0]["m"], "changed");
}

#[tokio::test]
async fn who_comes_back_misses_nothing_and_hears_nothing_twice() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    for encoding in [Json, Msgpack] {
        let mut bob = enters(&world, "bob", Json).await;
        let (mut alice, welcome) = world.known("alice").enters("lobby", encoding).await;
        let epoch = welcome["ep"].clone();
        let seen = bob.says("seen").await["s"].as_u64().unwrap();
        assert_eq!(alice.next_event().await.1["s"], seen);
        let ticket = alice.ticket.clone();
        alice.vanishes();
        let missed = id_of(&bob.says("missed").await);
        bob.does(9, json!({"i": missed, "k": "x", "op": "add"})).await;

        // Bob goes on talking while Alice comes back.
        let talking = tokio::spawn(async move {
            for number in 0..200 {
                bob.says(&format!("meanwhile {number}")).await;
            }
            bob
        });
        let mut alice = world.connect_v2(&ticket, encoding).await;
        let welcome = alice.is_welcomed().await;
        let resumed = alice.gets(13, json!({"ep": epoch, "s": seen}), 13).await;
        assert_eq!(
            (&resumed["ok"], &resumed["n"]),
            (&json!(true), &json!(welcome["s"].as_u64().unwrap() - seen))
        );
        assert_eq!(
            alice.gets(13, json!({"ep": epoch, "s": seen}), 13).await["why"],
            "late",
            "once is enough"
        );
        for expected in seen + 1..=seen + 202 {
            assert_eq!(alice.next_event().await.1["s"], expected);
        }
        talking.await.unwrap().vanishes();
    }
}

/// Else it would come back from behind a hole, of which nobody would know.
#[tokio::test]
async fn who_is_closed_before_it_has_caught_up_is_shown_nothing_behind_what_it_missed() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut alice = enters(&world, "alice", Json).await;
    for encoding in [Json, Msgpack] {
        let (bob, welcome) = world.known("bob").enters("lobby", encoding).await;
        let (ticket, seen) = (bob.ticket.clone(), welcome["s"].clone());
        bob.vanishes();
        alice.says("missed").await;
        let mut bob = world.connect_v2(&ticket, encoding).await;
        bob.is_welcomed().await;
        bob.next(1).await;
        alice.says("live").await;
        world.post("/api/users/bob/disconnect", json!({})).await.expect_success();
        bob.is_closed_with(4508).await;
        assert!(!bob.was_sent(2), "what is live stands behind what was missed");

        let (mut bob, _) = world.known("bob").enters("lobby", encoding).await;
        bob.gets(13, json!({"ep": welcome["ep"], "s": seen}), 13).await;
        assert_eq!(bob.next(2).await["m"], "missed");
        assert_eq!(bob.next(2).await["m"], "live");
        bob.vanishes();
    }
}

/// What waits for the first word is let go by whatever that is, or the answer would wait for what waits for it.
#[tokio::test]
async fn whatever_is_asked_first_is_answered_however_much_has_waited_for_it() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut alice = enters(&world, "alice", Json).await;
    let asks = [(15, json!({}), 15), (3, json!({}), 3), (1, json!({}), 1), (10, json!({"rd": 1}), 4)];
    for (action, data, answer) in asks {
        let bob = enters(&world, "bob", Json).await;
        let ticket = bob.ticket.clone();
        bob.vanishes();
        let mut bob = world.connect_v2(&ticket, Json).await;
        bob.is_welcomed().await;
        for _ in 0..30 {
            alice.says(&"x".repeat(15_000)).await;
        }
        bob.gets(action, data, answer).await;
    }
}

#[tokio::test]
async fn who_missed_too_much_is_told_why() {
    let limits = Limits { replay_events_max: 10, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, welcome) = world.known("alice").enters("lobby", Json).await;
    let epoch = welcome["ep"].clone();
    for _ in 0..11 {
        alice.says("hi").await;
    }
    for (point, why) in [
        (json!({"ep": epoch, "s": 0}), "too_far"),
        (json!({"ep": "another", "s": 5}), "epoch"),
        (json!({"ep": epoch, "s": 1_000}), "ahead"),
    ] {
        let mut again = enters(&world, "bob", Msgpack).await;
        let answer = again.gets(13, point, 13).await;
        assert_eq!((&answer["ok"], &answer["why"]), (&json!(false), &json!(why)));
        alice.says("live").await;
        assert_eq!(again.next_event().await.1["m"], "live", "and what is live comes");
    }
    let mut late = enters(&world, "bob", Json).await;
    late.reads(json!({})).await;
    alice.says("live").await;
    late.next_event().await;
    assert_eq!(late.gets(13, json!({"ep": epoch, "s": 13}), 13).await["why"], "late");
}

#[tokio::test]
async fn history_pages_both_ways() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut alice = enters(&world, "alice", Msgpack).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(id_of(&alice.says(&number.to_string()).await));
    }
    let texts = |page: &[Value]| {
        page.iter().map(|message| message["m"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let newest = alice.gets(3, json!({"l": 4}), 3).await;
    assert_eq!(
        (texts(newest["h"].as_array().unwrap()), &newest["more"]),
        (vec!["6".into(), "7".into(), "8".into(), "9".into()], &json!(true))
    );
    assert_eq!(texts(&alice.reads(json!({"b": ids[2], "l": 5})).await), ["0", "1"]);
    assert_eq!(texts(&alice.reads(json!({"b": 3, "l": 5})).await), ["0", "1"]);
    let forward = alice.gets(3, json!({"af": ids[6], "l": 2}), 3).await;
    assert_eq!(
        (texts(forward["h"].as_array().unwrap()), &forward["more"]),
        (vec!["7".into(), "8".into()], &json!(true))
    );
    let end = alice.gets(3, json!({"af": 8}), 3).await;
    assert_eq!(
        (texts(end["h"].as_array().unwrap()), &end["more"]),
        (vec!["8".into(), "9".into()], &json!(false))
    );
}

#[tokio::test]
async fn what_a_client_lies_about_changes_nothing() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    world.has_group("other").await;
    world.known("bob").attends("other").await;
    let mut bob = world.known("bob").enters("other", Json).await.0;
    let foreign = id_of(&bob.says("elsewhere").await);
    let mut alice = enters(&world, "alice", Msgpack).await;
    let forged = json!({"m": "hi", "p": "bob", "s": 99, "i": foreign, "t": 1, "g": "lobby"});
    alice.does(2, forged).await;
    let heard = alice.next(2).await;
    assert_eq!((&heard["p"], &heard["s"]), (&json!("alice"), &json!(1)));
    for (action, data, code) in [
        (7, json!({"i": foreign, "m": "x"}), "message_not_found"),
        (8, json!({"i": "0".repeat(32)}), "message_not_found"),
        (9, json!({"i": foreign, "k": "x", "op": "add"}), "message_not_found"),
        (2, json!({"m": "x", "rp": foreign}), "message_not_found"),
        (3, json!({"b": foreign}), "message_not_found"),
        (2, json!({"m": "x", "ci": "c".repeat(60_000)}), "invalid_field"),
        (2, json!({"m": ""}), "invalid_field"),
        (2, json!({"m": "x", "x": "y".repeat(5_000)}), "invalid_field"),
        (2, json!({"m": "x".repeat(20_000)}), "message_too_large"),
        (2, json!({"m": "x", "g": "other"}), "not_joined"),
        (9, json!({"i": heard["i"], "k": "", "op": "add"}), "invalid_field"),
        (9, json!({"i": heard["i"], "k": "x".repeat(33), "op": "add"}), "invalid_field"),
        (7, json!({"i": heard["i"]}), "invalid_field"),
        (10, json!({"rd": 2}), "invalid_field"),
        (14, json!({"g": "other", "op": "join"}), "already_joined"),
        (16, json!({"op": "ban", "u": "bob"}), "forbidden"),
        (12, json!({"x": 1, "to": "nobody"}), "not_attending"),
        (99, json!({}), "unknown_action"),
    ] {
        let error = alice.is_refused(action, data, code).await;
        assert_eq!(error["tmp"], false, "{error}");
    }
    assert_eq!(alice.reads(json!({})).await.len(), 1);
    assert_eq!(bob.reads(json!({})).await.len(), 1);
}

#[tokio::test]
async fn the_log_goes_on_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let state = |dir: &Path| Process::start(dir, &["--send-rate", "0"]);
    let mut process = state(dir.path());
    let world = World::at(&process.base).await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    let mut alice = enters(&world, "alice", Json).await;
    let hi = id_of(&alice.says("hi").await);
    alice.does(7, json!({"i": hi, "m": "changed"})).await;
    alice.does(9, json!({"i": hi, "k": "+", "op": "add"})).await;
    let before = alice.reads(json!({})).await;
    let (ticket, epoch) = (alice.ticket.clone(), world.known("alice"));
    drop(epoch);
    process.kill();
    process = state(dir.path());
    let world = world.moved_to(&process.base);
    let mut alice = world.connect_v2(&ticket, Json).await;
    let welcome = alice.is_welcomed().await;
    assert_eq!(welcome["s"], 3);
    assert_eq!(alice.gets(13, json!({"ep": welcome["ep"], "s": 1}), 13).await["n"], 2);
    assert_eq!((alice.next_event().await.0, alice.next_event().await.0), (7, 9));
    assert_eq!(alice.reads(json!({})).await, before);
    assert_eq!(alice.says("on").await["s"], 4);
}
