//! Version 2: who is there. Rosters, markers, typing, ephemeral words, moderation, tickets and user-scoped connections.
#![allow(missing_docs)]
// A frame without what it must have fails the test, wherever it is read.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Process, Server, limits};
use engine::config::Limits;
use engine::testkit::{Encoding, Peer, World};
use kijimuna_api::AppOptions;
use serde_json::{Value, json};

use Encoding::{Json, Msgpack};

async fn enters(world: &World, user: &str, encoding: Encoding) -> Peer {
    world.known(user).enters("lobby", encoding).await.0
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect()
}

/// Waits for the roster in which so many are online.
async fn sees_online(peer: &mut Peer, online: u64) -> Value {
    peer.next_where(
        |frame| matches!(frame["a"].as_u64(), Some(1 | 6)) && frame["d"]["n"] == online,
        "a roster",
    )
    .await["d"]
        .take()
}

#[tokio::test]
async fn a_small_group_is_told_whole_rosters() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut alice = enters(&world, "alice", Json).await;
    let first = sees_online(&mut alice, 1).await;
    assert_eq!(
        (ids(&first["on"]), ids(&first["off"]), &first["w"]),
        (vec!["alice"], vec!["bob"], &json!(true))
    );
    let _bob = enters(&world, "bob", Msgpack).await;
    let second = sees_online(&mut alice, 2).await;
    assert_eq!(ids(&second["on"]), ["alice", "bob"]);
    assert!(second["rv"].as_u64() > first["rv"].as_u64());
}

#[tokio::test]
async fn a_large_group_is_told_who_changed_and_a_huge_one_how_many() {
    for (delta_max, names_changes) in [(5, true), (3, false)] {
        let limits =
            Limits { roster_full_max: 2, roster_shown_max: 2, roster_delta_max: delta_max, ..limits() };
        let server = Server::with(limits, AppOptions::default()).await;
        let world = server.lobby(&["a", "b", "c", "d"]).await;
        let mut a = enters(&world, "a", Msgpack).await;
        let first = a.next(1).await;
        assert_eq!((&first["w"], &first["n"]), (&json!(false), &json!(1)));
        let mut others = Vec::new();
        for user in ["b", "c", "d"] {
            others.push(enters(&world, user, Json).await);
        }
        let delta = sees_online(&mut a, 4).await;
        assert_eq!(delta["j"].is_array(), names_changes, "{delta}");
        let roster = a.gets(1, json!({}), 1).await;
        assert_eq!((ids(&roster["on"]), &roster["n"]), (vec!["a", "b"], &json!(4)), "the first of them");
        others.pop().unwrap().sends(14, json!({"op": "leave"})).await;
        let later = |frame: &Value| frame["a"] == 6 && frame["d"]["rv"].as_u64() > delta["rv"].as_u64();
        let delta = a.next_where(later, "a delta").await["d"].take();
        assert_eq!(delta["l"].is_array().then(|| delta["l"].clone()), names_changes.then(|| json!(["d"])));
    }
}

#[tokio::test]
async fn who_comes_back_at_once_never_went() {
    let limits = Limits { leave_grace_ms: 700, roster_interval_ms: 10, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut alice = enters(&world, "alice", Json).await;
    sees_online(&mut alice, 1).await;
    let bob = enters(&world, "bob", Json).await;
    sees_online(&mut alice, 2).await;
    bob.vanishes();
    let bob = enters(&world, "bob", Json).await;
    bob.vanishes();
    let gone = alice.next_where(|frame| frame["a"] == 1, "a roster").await;
    assert_eq!(gone["d"]["n"], 1, "no flicker came before");
    let mut bob = enters(&world, "bob", Json).await;
    sees_online(&mut alice, 2).await;
    bob.does(14, json!({"op": "leave"})).await;
    bob.is_closed_with(1000).await;
    sees_online(&mut alice, 1).await;
}

#[tokio::test]
async fn markers_are_told_and_kept() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (enters(&world, "alice", Json).await, enters(&world, "bob", Msgpack).await);
    for _ in 0..3 {
        alice.says("hi").await;
    }
    bob.does(10, json!({"rd": 2, "rc": 3})).await;
    let told = alice.next_where(|frame| frame["a"] == 10 && frame["d"]["u"] == "bob", "a marker").await;
    assert_eq!(told["d"], json!({"g": "lobby", "u": "bob", "rd": 2, "rc": 3}));
    bob.does(10, json!({"rd": 1})).await;
    bob.is_refused(10, json!({"rd": 4}), "invalid_field").await;
    let roster = alice.gets(1, json!({}), 1).await;
    let shown = roster["on"].as_array().unwrap().iter().find(|user| user["id"] == "bob").unwrap().clone();
    assert_eq!((&shown["rd"], &shown["rc"]), (&json!(2), &json!(3)), "{roster}");
}

#[tokio::test]
async fn who_comes_back_after_a_ban_stands_where_it_stood() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (enters(&world, "alice", Json).await, enters(&world, "bob", Json).await);
    for _ in 0..3 {
        alice.says("hi").await;
    }
    bob.does(10, json!({"rd": 3})).await;
    alice.next_where(|frame| frame["a"] == 10 && frame["d"]["u"] == "bob", "a marker").await;
    for op in ["ban", "unban"] {
        world.post("/api/groups/lobby/moderation", json!({"op": op, "user": "bob"})).await.expect_success();
    }
    let mut bob = enters(&world, "bob", Msgpack).await;
    bob.does(10, json!({"rd": 1})).await;
    let roster = alice.gets(1, json!({}), 1).await;
    let shown = roster["on"].as_array().unwrap().iter().find(|user| user["id"] == "bob").unwrap().clone();
    assert_eq!(shown["rd"], 3, "{roster}");
    assert!(!alice.everything().await.iter().any(|frame| frame["a"] == 10), "nothing went back");
}

#[tokio::test]
async fn typing_begins_ends_and_ends_by_itself() {
    let limits = Limits { typing_ms: 300, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (enters(&world, "alice", Json).await, enters(&world, "bob", Msgpack).await);
    for ends in ["by itself", "with a message", "when it is said"] {
        bob.does(11, json!({"k": true})).await;
        assert_eq!(alice.next(11).await, json!({"g": "lobby", "u": "bob", "k": true}));
        match ends {
            "with a message" => _ = bob.says("there").await,
            "when it is said" => _ = bob.does(11, json!({"k": false})).await,
            _ => {}
        }
        assert_eq!(alice.next(11).await, json!({"g": "lobby", "u": "bob", "k": false}), "{ends}");
    }
    assert!(!bob.everything().await.iter().any(|frame| frame["a"] == 11), "nobody is told of oneself");
}

#[tokio::test]
async fn ephemeral_words_go_to_all_or_to_one_and_are_not_kept() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob", "carol"]).await;
    let mut alice = enters(&world, "alice", Json).await;
    let (mut bob, mut carol) = (enters(&world, "bob", Msgpack).await, enters(&world, "carol", Json).await);
    alice.does(12, json!({"x": {"wave": true}})).await;
    alice.does(12, json!({"x": "psst", "to": "carol"})).await;
    assert_eq!(bob.next(12).await, json!({"g": "lobby", "p": "alice", "x": {"wave": true}}));
    assert_eq!(carol.next(12).await["x"], json!({"wave": true}));
    assert_eq!(carol.next(12).await["x"], "psst");
    assert!(!bob.everything().await.iter().any(|frame| frame["a"] == 12));
    assert!(alice.reads(json!({})).await.is_empty());
}

#[tokio::test]
async fn moderators_mute_kick_and_ban() {
    let server = Server::start().await;
    let world = server.lobby(&["mo", "bob", "carol"]).await;
    world.patch("/api/groups/lobby/attendees/mo", json!({"role": "moderator"})).await.expect_success();
    let (mut mo, welcome) = world.known("mo").enters("lobby", Json).await;
    assert_eq!(welcome["ro"], "moderator");
    let (mut bob, mut carol) = (enters(&world, "bob", Msgpack).await, enters(&world, "carol", Json).await);
    bob.is_refused(16, json!({"op": "mute", "u": "carol"}), "forbidden").await;
    bob.is_refused(16, json!({"op": "mute", "u": "mo"}), "forbidden").await;

    assert_eq!(mo.does(16, json!({"op": "mute", "u": "bob"})).await["s"], 1);
    let told = bob.next(16).await;
    assert_eq!(
        (&told["op"], &told["u"], &told["by"], &told["s"]),
        (&json!("mute"), &json!("bob"), &json!("mo"), &json!(1))
    );
    bob.is_refused(2, json!({"m": "mmh"}), "muted").await;
    mo.does(16, json!({"op": "unmute", "u": "bob"})).await;
    bob.says("at last").await;

    let ticket = bob.ticket.clone();
    let token = world.token("lobby", "bob").await;
    mo.does(16, json!({"op": "ban", "u": "bob"})).await;
    bob.is_closed_with(4505).await;
    for pass in [&ticket, &token] {
        world.connect_v2(pass, Json).await.is_closed_with(4505).await;
    }
    world.post("/api/token", json!({"group": "lobby", "user": "bob"})).await.expect_error(403, "banned");
    mo.does(16, json!({"op": "unban", "u": "bob"})).await;
    mo.is_refused(16, json!({"op": "ban", "u": "bob", "until": 1_000}), "invalid_field").await;
    enters(&world, "bob", Json).await.says("back").await;

    mo.does(16, json!({"op": "kick", "u": "carol"})).await;
    carol.is_closed_with(4503).await;
    world
        .post("/api/token", json!({"group": "lobby", "user": "carol"}))
        .await
        .expect_error(404, "not_attending");
    world.known("carol").attends("lobby").await;
    let carol_ticket = carol.ticket.clone();
    world.connect_v2(&carol_ticket, Json).await.is_closed_with(4503).await;
}

#[tokio::test]
async fn a_ticket_works_once_and_not_after_its_user_is_gone() {
    let server = Server::start().await;
    let world = server.lobby(&["alice"]).await;
    let alice = enters(&world, "alice", Json).await;
    let first = alice.ticket.clone();
    let mut again = world.connect_v2(&first, Msgpack).await;
    again.is_welcomed().await;
    world.connect_v2(&first, Json).await.is_closed_with(4501).await;
    for nonsense in ["x", &"A".repeat(43), &format!("{first}A"), &first[..first.len() - 2]] {
        world.connect_v2(nonsense, Json).await.is_closed_with(4501).await;
    }
    let answer = world.post("/api/users/alice/disconnect", json!({})).await.expect_success();
    assert_eq!(answer["sessions"], 2);
    again.is_closed_with(4508).await;
    world.connect_v2(&again.ticket, Json).await.is_closed_with(4508).await;
    let anew = enters(&world, "alice", Json).await;
    world.known("alice").is_removed_from("lobby").await;
    world.known("alice").attends("lobby").await;
    world.connect_v2(&anew.ticket, Json).await.is_closed_with(4503).await;
}

#[tokio::test]
async fn a_fresh_ticket_comes_before_the_old_one_ends_and_with_a_drain() {
    let limits = Limits { ticket_ttl_ms: 600, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.lobby(&["alice"]).await;
    let mut alice = enters(&world, "alice", Json).await;
    let fresh = alice.next(30).await;
    assert!(fresh["tk"].is_string() && fresh["exp"].is_u64());
    let draining = tokio::spawn({
        let engine = std::sync::Arc::clone(&server.engine);
        async move { engine.drain().await }
    });
    let drain = alice.next(31).await;
    assert!(drain["w"].as_u64().is_some_and(|wait| wait < 5_000) && drain["tk"].is_string(), "{drain}");
    alice.is_closed_with(4000).await;
    tokio::time::timeout(Duration::from_secs(20), draining).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_connection_joins_and_leaves_groups() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    world.has_group("attic").await;
    world.has_group("closed").await;
    world.known("alice").attends("attic").await;
    let mut bob = enters(&world, "bob", Json).await;
    let mut alice = world.known("alice").arrives(Msgpack).await;
    alice.is_refused(2, json!({"m": "where?"}), "invalid_field").await;
    alice.is_refused(2, json!({"m": "there", "g": "lobby"}), "not_joined").await;
    let closed = alice.is_refused(14, json!({"g": "closed", "op": "join"}), "not_attending").await;
    let nowhere = alice.is_refused(14, json!({"g": "nowhere", "op": "join"}), "not_attending").await;
    assert_eq!(closed["m"], nowhere["m"], "nobody finds out which groups there are");

    let welcome = alice.gets(14, json!({"g": "lobby", "op": "join"}), 0).await;
    assert_eq!((&welcome["g"], &welcome["tk"]), (&json!("lobby"), &Value::Null));
    assert_eq!(alice.next(1).await["g"], "lobby");
    alice.is_refused(14, json!({"g": "lobby", "op": "join"}), "already_joined").await;
    alice.gets(14, json!({"g": "attic", "op": "join"}), 0).await;
    alice.does(2, json!({"m": "up here", "g": "attic"})).await;
    alice.does(2, json!({"m": "down here", "g": "lobby"})).await;
    assert_eq!(bob.next_event().await.1["m"], "down here");
    assert_eq!(
        (alice.next(2).await["g"].clone(), alice.next(2).await["g"].clone()),
        (json!("attic"), json!("lobby"))
    );

    alice.does(14, json!({"g": "lobby", "op": "leave"})).await;
    alice.is_refused(2, json!({"m": "gone", "g": "lobby"}), "not_joined").await;
    bob.says("missed").await;
    let joined = json!({"g": "lobby", "op": "join", "ep": welcome["ep"], "s": 1});
    assert_eq!(alice.gets(14, joined, 0).await["s"], 2);
    assert_eq!(alice.next(13).await, json!({"g": "lobby", "ok": true, "n": 1}));
    assert_eq!(alice.next(2).await["m"], "missed");

    world.known("alice").is_removed_from("lobby").await;
    assert_eq!(alice.next(14).await, json!({"g": "lobby", "op": "leave", "c": 4503}));
    for (action, data) in [
        (2, json!({"m": "gone", "g": "lobby"})),
        (3, json!({"g": "lobby"})),
        (13, json!({"g": "lobby", "ep": welcome["ep"], "s": 0})),
        (1, json!({"g": "lobby"})),
    ] {
        alice.is_refused(action, data, "not_joined").await;
    }
    alice.does(2, json!({"m": "still here", "g": "attic"})).await;
}

#[tokio::test]
async fn the_inbox_counts_what_is_unread_and_is_bumped() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    world.has_group("attic").await;
    world.known("alice").attends("attic").await;
    let mut bob = enters(&world, "bob", Json).await;
    let hi = bob.says("one").await["i"].clone();
    bob.says("two").await;
    bob.does(9, json!({"i": hi, "k": "+", "op": "add"})).await;
    let mut alice = world.known("alice").arrives(Msgpack).await;
    let inbox = alice.gets(15, json!({}), 15).await;
    assert_eq!(
        inbox,
        json!([{"g": "lobby", "s": 3, "rd": 0, "n": 2}, {"g": "attic", "s": 0, "rd": 0, "n": 0}]),
        "messages, not events"
    );
    bob.says("three").await;
    let bumped = alice.next(15).await;
    assert_eq!((&bumped[0]["g"], &bumped[0]["n"]), (&json!("lobby"), &json!(3)));

    alice.gets(14, json!({"g": "lobby", "op": "join"}), 0).await;
    // Acknowledged is stored.
    alice.does(10, json!({"g": "lobby", "rd": 2})).await;
    assert_eq!(alice.gets(15, json!({"l": 1}), 15).await, json!([{"g": "lobby", "s": 4, "rd": 2, "n": 1}]));

    world.has_group("cellar").await;
    world.known("alice").attends("cellar").await;
    let added =
        alice.next_where(|frame| frame["a"] == 15 && frame["d"][0]["g"] == "cellar", "a new group").await;
    assert_eq!(added["d"][0]["n"], 0);
}

#[tokio::test]
async fn a_banned_user_is_out_of_the_group_on_every_connection() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut bob = enters(&world, "bob", Json).await;
    let mut alice = world.known("alice").arrives(Msgpack).await;
    alice.gets(14, json!({"g": "lobby", "op": "join"}), 0).await;
    world.post("/api/groups/lobby/moderation", json!({"op": "ban", "user": "alice"})).await.expect_success();
    assert_eq!(alice.next(14).await["c"], 4505);
    alice.is_refused(3, json!({"g": "lobby"}), "not_joined").await;
    alice.is_refused(14, json!({"g": "lobby", "op": "join"}), "banned").await;
    bob.says("are they gone?").await;
    assert_eq!(alice.gets(15, json!({}), 15).await, json!([]), "it is told of nothing there");
    world
        .post("/api/groups/lobby/moderation", json!({"op": "unban", "user": "alice"}))
        .await
        .expect_success();
    assert_eq!(alice.next(15).await[0]["g"], "lobby");
    alice.gets(14, json!({"g": "lobby", "op": "join"}), 0).await;
}

#[tokio::test]
async fn a_marker_that_does_not_move_is_acknowledged_whoever_goes() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (enters(&world, "alice", Json).await, enters(&world, "bob", Msgpack).await);
    alice.says("hi").await;
    bob.does(10, json!({"rd": 1})).await;
    // Told a moment ago, so the next ones are gathered for a while.
    alice.says("ho").await;
    alice.sends(10, json!({"rd": 2})).await;
    bob.sends_frame(&json!({"a": 10, "r": 7_777, "d": {"rd": 1}})).await;
    world.known("alice").is_removed_from("lobby").await;
    let ack = bob.next_where(|frame| frame["r"] == 7_777, "an answer").await;
    assert_eq!(ack["a"], 4);
}

#[tokio::test]
async fn a_marker_that_is_being_gathered_is_stored_by_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path(), &[]);
    let world = World::at(&process.base).await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    let mut alice = enters(&world, "alice", Json).await;
    alice.says("hi").await;
    alice.says("ho").await;
    world.person("bob").await.attends("lobby").await;
    let mut bob = enters(&world, "bob", Json).await;
    bob.does(10, json!({"rd": 1})).await;
    bob.sends_frame(&json!({"a": 10, "r": 7_777, "d": {"rd": 2}})).await;
    // Answered after what was asked before it, so the marker is there.
    bob.reads(json!({})).await;
    process.terminate();
    let ack = bob.next_where(|frame| frame["r"] == 7_777, "an answer").await;
    assert_eq!(ack["a"], 4);
    process.wait();
    process = Process::start(dir.path(), &[]);
    let world = world.moved_to(&process.base);
    let roster = enters(&world, "alice", Json).await.gets(1, json!({}), 1).await;
    let off = roster["off"].as_array().unwrap();
    assert_eq!(off.iter().find(|user| user["id"] == "bob").unwrap()["rd"], 2);
}

#[tokio::test]
async fn who_is_renamed_while_it_is_banned_comes_back_by_its_new_name() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut alice = enters(&world, "alice", Json).await;
    let moderation = "/api/groups/lobby/moderation";
    world.post(moderation, json!({"op": "ban", "user": "bob"})).await.expect_success();
    world.patch("/api/users/bob", json!({"name": "Robert"})).await.expect_success();
    world.post(moderation, json!({"op": "unban", "user": "bob"})).await.expect_success();
    let roster = alice.gets(1, json!({}), 1).await;
    let off = roster["off"].as_array().unwrap();
    assert_eq!(off.iter().find(|user| user["id"] == "bob").unwrap()["name"], "Robert");
}

#[tokio::test]
async fn who_has_no_business_in_a_group_does_not_wake_it() {
    let server = Server::start().await;
    let world = server.lobby(&["alice"]).await;
    world.has_group("closed").await;
    let mut alice = world.known("alice").arrives(Json).await;
    let awake = server.engine.metrics().groups_awake.get();
    alice.is_refused(14, json!({"g": "closed", "op": "join"}), "not_attending").await;
    assert_eq!(server.engine.metrics().groups_awake.get(), awake);
}

#[tokio::test]
async fn whoever_joins_after_an_erasure_is_greeted_without_the_erased() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob", "carol"]).await;
    enters(&world, "alice", Json).await.says("hi").await;
    // What it said it leaves behind, and a greeting with it is kept for the next one.
    world.known("alice").is_removed_from("lobby").await;
    let greeted = async |who: &str| world.known(who).connects("lobby").await.is_given_history().await;
    assert_eq!(greeted("bob").await[0]["p"], "alice");
    world.delete("/api/users/alice").await.expect_success();
    assert_eq!(greeted("carol").await[0]["p"], "");
}

#[tokio::test]
async fn a_deleted_person_is_erased_from_what_it_said() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (enters(&world, "alice", Json).await, enters(&world, "bob", Msgpack).await);
    let hi = alice.says("hi").await["i"].clone();
    let ho = bob.says("ho").await["i"].clone();
    alice.does(9, json!({"i": ho, "k": "+", "op": "add"})).await;
    let did = world.delete("/api/users/alice").await.expect_success();
    assert_eq!(
        (&did["groups"], &did["messages"], &did["reactions"]),
        (&json!(1), &json!(1), &json!(1)),
        "{did}"
    );
    alice.is_closed_with(4503).await;
    let page = bob.reads(json!({})).await;
    assert_eq!(
        (&page[0]["i"], &page[0]["p"], &page[0]["er"], &page[0]["m"]),
        (&hi, &json!(""), &json!(true), &json!("hi"))
    );
    assert_eq!(page[1]["k"], json!({"+": 1}), "it still counts");

    world.person("alice").await.attends("lobby").await;
    let mut other = enters(&world, "alice", Json).await;
    other.is_refused(7, json!({"i": hi, "m": "mine?"}), "forbidden").await;
}
