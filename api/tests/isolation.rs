//! Two tenants on one server: what belongs to the one is, for the other, exactly what doesn't exist.
#![allow(missing_docs)]

mod common;

use common::Server;
use common::rest::{PEER, Row, ids, tenant_rows};
use engine::testkit::{Answer, World, answered, encoded};
use serde_json::{Value, json};

/// Ids of the same length, so that nothing about an answer may differ.
const THEIR_GROUP: &str = "their group";
const NO_GROUP: &str = "no group at";
const THEIR_USER: &str = "their user";
const NO_USER: &str = "no user at";

/// A tenant with a group, a user in it, and one who is in none.
async fn victim(server: &Server) -> World {
    let victim = server.world().await;
    let custom = json!({"secret": true});
    let group = json!({"id": THEIR_GROUP, "name": "Hidden", "icon": "https://a/b.png", "custom": custom});
    victim.post("/api/groups", group).await.expect_success();
    victim.post("/api/users", json!({"id": THEIR_USER, "custom": custom})).await.expect_success();
    victim.post("/api/users", json!({"id": "another"})).await.expect_success();
    let group = format!("/api/groups/{}", encoded(THEIR_GROUP));
    victim.post(&format!("{group}/attendees"), json!({"user": THEIR_USER})).await.expect_success();
    let said = json!({"text": "hidden", "user": THEIR_USER});
    victim.post(&format!("{group}/messages"), said).await.expect_success();
    victim
}

/// Another tenant, with a group and a user of its own.
async fn stranger(server: &Server) -> World {
    let stranger = server.world().await;
    stranger.has_group("lobby").await;
    stranger.person("alice").await.attends("lobby").await;
    stranger.person(PEER).await;
    stranger
}

/// Everything that a tenant can read of its own.
async fn everything(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for kind in ["/api/groups", "/api/users"] {
        let listing = world.get(kind).await;
        for id in ids(&listing.json()["items"]) {
            let path = format!("{kind}/{}", encoded(id));
            all.push(world.get(&path).await.text);
            if kind == "/api/groups" {
                for part in ["messages", "export"] {
                    all.push(world.get(&format!("{path}/{part}")).await.text);
                }
            }
        }
        all.push(listing.text);
    }
    all
}

/// All that an answer tells: its status, its headers but for the time, its bytes.
fn told(answer: Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| (name.to_string(), value.to_str().expect("a text").to_owned()))
        .collect();
    headers.sort();
    (answer.status, headers, answer.text)
}

/// The ids that a stranger may try, beside those that tell as much: of nothing at all.
fn attempts(row: &Row) -> Vec<[(&'static str, &'static str); 2]> {
    let mut attempts = Vec::new();
    if row.finds_group() {
        attempts.push([(THEIR_GROUP, "alice"), (NO_GROUP, "alice")]);
    }
    if row.finds_user() {
        attempts.push([("lobby", THEIR_USER), ("lobby", NO_USER)]);
    }
    if row.finds_group() && row.finds_user() {
        attempts.push([(THEIR_GROUP, THEIR_USER), (NO_GROUP, NO_USER)]);
    }
    attempts
}

#[tokio::test]
async fn anothers_ids_answer_exactly_as_ids_of_nothing() {
    let server = Server::start().await;
    let (victim, stranger) = (victim(&server).await, stranger(&server).await);
    let (theirs, mine) = (everything(&victim).await, everything(&stranger).await);
    let mut tried = 0;
    for row in tenant_rows() {
        for [(group, user), (no_group, no_user)] in attempts(&row) {
            let foreign = told(row.asked(&stranger, group, user).await);
            let unknown = told(row.asked(&stranger, no_group, no_user).await);
            assert_eq!(foreign, unknown, "{} {}", row.method, row.pattern);
            assert_eq!(foreign.0, 404, "{} {}", row.method, row.pattern);
            tried += 1;
        }
    }
    assert_eq!(tried, 31, "rows that find something, by each id that they find it by");
    assert_eq!(everything(&victim).await, theirs, "nothing has changed at the victim's");
    assert_eq!(everything(&stranger).await, mine, "nor came to the stranger");
}

#[tokio::test]
async fn bad_bodies_tell_no_more_than_good_ones() {
    let server = Server::start().await;
    let (victim, stranger) = (victim(&server).await, stranger(&server).await);
    let theirs = everything(&victim).await;
    let bodies = [
        Value::Null,
        json!({}),
        json!({"name": 5, "user": 5, "group": 5}),
        json!({"name": null, "user": null}),
        json!({"icon": "http://a", "user": "a\nb"}),
        json!({"custom": "x".repeat(5_000), "user": "x".repeat(129)}),
        json!({"text": "", "op": "sing", "role": 1, "users": [THEIR_USER], "retention": {}}),
    ];
    for row in tenant_rows().into_iter().filter(|row| row.body("", "").is_some()) {
        for [(group, user), (no_group, no_user)] in attempts(&row) {
            for body in &bodies {
                let foreign = told(answered(row.bare(&stranger, group, user).json(body)).await);
                let unknown = told(answered(row.bare(&stranger, no_group, no_user).json(body)).await);
                assert_eq!(foreign, unknown, "{} {} with {body}", row.method, row.pattern);
            }
        }
    }
    assert_eq!(everything(&victim).await, theirs);
}

#[tokio::test]
async fn anothers_things_are_in_no_listing() {
    let server = Server::start().await;
    let (victim, stranger) = (victim(&server).await, stranger(&server).await);
    for (kind, mine, theirs) in [
        ("/api/groups", vec!["lobby"], vec![THEIR_GROUP]),
        ("/api/users", vec!["alice", PEER], vec![THEIR_USER, "another"]),
    ] {
        for (world, own) in [(&stranger, mine), (&victim, theirs)] {
            let listing = world.get(&format!("{kind}?limit=1000")).await.expect_success();
            assert_eq!((&listing["total"], ids(&listing["items"])), (&json!(own.len()), own.clone()));
            let beyond = world.get(&format!("{kind}?offset={}", own.len())).await.expect_success();
            assert_eq!(beyond["items"], json!([]), "nobody else's come after one's own");
        }
    }
}

#[tokio::test]
async fn anothers_user_and_message_are_nobody_and_nothing_in_ones_own_group() {
    let server = Server::start().await;
    let (victim, stranger) = (victim(&server).await, stranger(&server).await);
    let theirs = everything(&victim).await;
    let page = victim.get(&format!("/api/groups/{}/messages", encoded(THEIR_GROUP))).await.expect_success();
    let their_message = page["items"][0]["id"].as_str().expect("an id").to_owned();
    let said = stranger.post("/api/groups/lobby/messages", json!({"text": "mine"})).await.expect_success();
    let mine = everything(&stranger).await;

    let ask = async |message: &str, user: &str| {
        let path = format!("/api/groups/lobby/messages/{message}");
        let own = format!("/api/groups/lobby/messages/{}", said["id"].as_str().expect("an id"));
        [
            stranger.patch(&path, json!({"text": "x"})).await,
            stranger.delete(&path).await,
            stranger.get(&format!("/api/groups/lobby/messages?before={message}")).await,
            stranger.get(&format!("/api/groups/lobby/messages?after={message}")).await,
            stranger.post("/api/groups/lobby/messages", json!({"text": "x", "reply_to": message})).await,
            stranger.post("/api/groups/lobby/messages", json!({"text": "x", "user": user})).await,
            stranger.patch(&own, json!({"text": "x", "user": user})).await,
            stranger.delete(&format!("{own}?user={}", encoded(user))).await,
            stranger.post("/api/groups/lobby/moderation", json!({"op": "ban", "user": user})).await,
            stranger
                .post("/api/groups/lobby/moderation", json!({"op": "ban", "user": "alice", "by": user}))
                .await,
            stranger.post("/api/directs", json!({"users": ["alice", user]})).await,
            stranger.post("/api/token", json!({"user": user})).await,
        ]
        .map(told)
    };
    let foreign = ask(&their_message, THEIR_USER).await;
    let unknown = ask("0123456789abcdef0000000000000001", NO_USER).await;
    for (foreign, unknown) in foreign.into_iter().zip(unknown) {
        assert_eq!(foreign, unknown);
        assert_eq!(foreign.0, 404, "{}", foreign.2);
    }
    assert_eq!(everything(&victim).await, theirs);
    assert_eq!(everything(&stranger).await, mine);
}

#[tokio::test]
async fn the_same_ids_are_free_for_everyone_and_stay_apart() {
    let server = Server::start().await;
    let (victim, stranger) = (victim(&server).await, stranger(&server).await);
    let theirs = everything(&victim).await;
    stranger.has_group(THEIR_GROUP).await;
    let double = stranger.person(THEIR_USER).await;
    let group = format!("/api/groups/{}", encoded(THEIR_GROUP));
    assert_eq!(stranger.get(&group).await.json()["attendees"], json!([]), "an id brings nothing with it");
    double.attends(THEIR_GROUP).await;
    stranger.patch(&group, json!({"name": "Mine", "icon": null})).await.expect_success();
    assert_eq!(everything(&victim).await, theirs);

    stranger.delete(&group).await.expect_success();
    stranger.delete(&format!("/api/users/{}", encoded(THEIR_USER))).await.expect_success();
    assert_eq!(everything(&victim).await, theirs, "what a tenant deletes is its own");
}

#[tokio::test]
async fn a_session_hears_nothing_of_another_tenants_group_with_the_same_id() {
    let server = Server::start().await;
    let (ours, others) = (server.world().await, server.world().await);
    ours.has_group("lobby").await;
    others.has_group("lobby").await;
    let alice = ours.person("alice").await;
    let mut heard = alice.joins("lobby").await;
    let mut apart = others.person("alice").await.joins("lobby").await;
    heard.says("ours").await;
    let said = heard.hears("ours").await;
    apart.says("theirs").await;
    assert_ne!(apart.hears("theirs").await["i"], said["i"]);
    assert_eq!(
        apart.reads_history(json!({"b": said["i"]})).await,
        Vec::<Value>::new(),
        "nor by a message's id"
    );

    others.person("bob").await.attends("lobby").await;
    others.delete("/api/users/alice").await.expect_success();
    apart.is_closed_with(4503).await;
    others.delete("/api/groups/lobby").await.expect_success();
    heard.says("still ours").await;
    heard.hears("still ours").await;
    let mut second = alice.connects("lobby").await;
    second.sees_online(&["alice"]).await;
    let history = second.is_given_history().await;
    let texts: Vec<&Value> = history.iter().map(|message| &message["m"]).collect();
    assert_eq!(texts, ["ours", "still ours"]);
}

#[tokio::test]
async fn one_ids_beginning_is_not_another_id() {
    let server = Server::start().await;
    let world = server.world().await;
    let alike = ["a", "ab", "a/b", "a b", "b", "/", "a/"];
    for id in alike {
        world.has_group(id).await;
        world.person(id).await.attends(id).await;
    }
    for id in alike {
        let path = encoded(id);
        assert_eq!(ids(&world.get(&format!("/api/groups/{path}")).await.json()["attendees"]), [id]);
        assert_eq!(ids(&world.get(&format!("/api/users/{path}")).await.json()["groups"]), [id]);
        world.delete(&format!("/api/users/{path}")).await.expect_success();
        world.delete(&format!("/api/groups/{path}")).await.expect_success();
    }
}
