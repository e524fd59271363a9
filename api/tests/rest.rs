//! What tenants' backends do: make services, groups and users, list them, let users attend, ask for tokens.
//! The rules of each field are in `rest_fields.rs`, what HTTP itself can do wrong in `rest_http.rs`.
#![allow(missing_docs)]

mod common;

use common::rest::{KINDS, PEER, Refusal, Row, anyone, exists, ids, keys, member, not_found, rows, shown};
use common::{Server, limits};
use engine::config::Limits;
use engine::testkit::{answered, encoded};
use kijimuna_api::AppOptions;
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_service_is_made_for_anyone_and_is_new_each_time() {
    let server = Server::start().await;
    let http = anyone();
    let mut made = Vec::new();
    for _ in 0..2 {
        let answer = answered(http.post(format!("{}/api/services", server.base))).await;
        assert_eq!((answer.status, keys(&answer.json())), (201, vec!["client", "secret"]));
        made.push(answer.json());
    }
    assert_ne!(made[0]["client"], made[1]["client"]);
    assert_ne!(made[0]["secret"], made[1]["secret"]);
    for service in made {
        let text = |field: &str| service[field].as_str().unwrap().to_owned();
        let listing = http.get(format!("{}/api/groups", server.base));
        let listing =
            answered(listing.header("client", text("client")).header("secret", text("secret"))).await;
        assert_eq!(listing.expect_success()["total"], 0);
    }
}

#[tokio::test]
async fn a_group_has_exactly_the_fields_that_were_given() {
    let server = Server::start().await;
    let world = server.world().await;
    let made = world.post("/api/groups", json!({"id": "lobby"})).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json(), json!({"id": "lobby", "name": "lobby"}), "the name is the id");

    let whole =
        json!({"id": "hall", "name": "The hall", "icon": "https://a/b.png", "custom": {"deep": [1, null]}});
    assert_eq!(world.post("/api/groups", whole.clone()).await.expect_success(), whole);
    let mut with_attendees = whole.clone();
    with_attendees["attendees"] = json!([]);
    assert_eq!(world.get("/api/groups/hall").await.expect_success(), with_attendees);
    let listing = world.get("/api/groups").await.expect_success();
    assert_eq!(listing["items"], json!([{"id": "lobby", "name": "lobby"}, whole]));
}

#[tokio::test]
async fn a_user_has_exactly_the_fields_that_were_given_and_its_groups() {
    let server = Server::start().await;
    let world = server.world().await;
    let made = world.post("/api/users", json!({"id": "alice"})).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json(), json!({"id": "alice", "name": "alice", "groups": []}));

    let mut whole = json!({"id": "bob", "name": "Bob", "icon": "https://a/b.png", "custom": 0});
    world.post("/api/users", whole.clone()).await.expect_success();
    world.post("/api/groups", json!({"id": "lobby", "custom": "c"})).await.expect_success();
    world.post("/api/groups/lobby/attendees", json!({"user": "bob"})).await.expect_success();
    let group = world.get("/api/groups/lobby").await.expect_success();
    let mut attendee = whole.clone();
    attendee["role"] = json!("member");
    assert_eq!(group, json!({"id": "lobby", "name": "lobby", "custom": "c", "attendees": [attendee]}));
    whole["groups"] = json!([{"id": "lobby", "name": "lobby", "custom": "c"}]);
    assert_eq!(world.get("/api/users/bob").await.expect_success(), whole);
    assert_eq!(world.get("/api/users?offset=1").await.expect_success()["items"], json!([whole]));
    assert_eq!(world.patch("/api/users/bob", json!({})).await.expect_success(), whole);
}

#[tokio::test]
async fn an_id_is_made_for_whoever_gives_none() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        let mut made = Vec::new();
        for body in [json!({"name": "same"}), json!({"name": "same", "id": null})] {
            let thing = world.post(kind, body).await.expect_success();
            assert_eq!(thing["name"], "same");
            made.push(thing["id"].as_str().unwrap().to_owned());
        }
        assert_ne!(made[0], made[1]);
        assert_eq!(shown(&world, kind, &made[0]).await, json!({"id": made[0], "name": "same"}));
        for nothing in [json!({}), json!({"name": null}), json!({"icon": "https://a"})] {
            world.post(kind, nothing).await.refuses_field("name");
        }
    }
}

#[tokio::test]
async fn an_id_is_taken_once_and_free_again_after_a_delete() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        world.post(kind, json!({"id": "x", "name": "first"})).await.expect_success();
        world.post(kind, json!({"id": "x", "name": "second"})).await.refuses_with(409, exists(kind));
        assert_eq!(shown(&world, kind, "x").await["name"], "first");
        assert_eq!(world.get(kind).await.json()["total"], 1);
        let path = format!("{kind}/x");
        let nothing_said = json!({"groups": 0, "messages": 0, "events": 0, "reactions": 0, "markers": 0});
        let did = if kind == KINDS[0] { json!({}) } else { nothing_said };
        assert_eq!(world.delete(&path).await.expect_success(), did);
        for gone in [world.delete(&path).await, world.get(&path).await, world.patch(&path, json!({})).await] {
            gone.refuses_with(404, not_found(kind));
        }
        world.post(kind, json!({"id": "x", "name": "second"})).await.expect_success();
        assert_eq!(shown(&world, kind, "x").await["name"], "second");
    }
}

#[tokio::test]
async fn of_many_who_want_an_id_at_once_one_gets_it() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        let mut wanting = JoinSet::new();
        for number in 0..20 {
            let world = world.clone();
            wanting.spawn(
                async move { world.post(kind, json!({"id": "x", "name": format!("{number}")})).await },
            );
        }
        let (got, refused): (Vec<_>, Vec<_>) =
            wanting.join_all().await.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((got.len(), refused.len()), (1, 19));
        assert!(refused.iter().all(|answer| !answer.refuses_with(409, exists(kind)).is_empty()));
        assert_eq!(shown(&world, kind, "x").await["name"], got[0].json()["name"]);
        assert_eq!(world.get(kind).await.json()["total"], 1);
    }
}

#[tokio::test]
async fn a_listing_is_in_the_order_of_making() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        assert_eq!(
            world.get(kind).await.expect_success(),
            json!({"total": 0, "offset": 0, "limit": 20, "items": []})
        );
        let made: Vec<String> = (0..25).map(|number| format!("{}", (number * 7) % 25)).collect();
        for id in &made {
            world.post(kind, json!({"id": id})).await.expect_success();
        }
        let parts = [
            ("", 0, 20, &made[..20]),
            ("?offset=20", 20, 20, &made[20..]),
            ("?limit=1000", 0, 1_000, &made[..]),
            ("?offset=3&limit=1", 3, 1, &made[3..4]),
            ("?limit=2&offset=24&other=x", 24, 2, &made[24..]),
            ("?limit=%35", 0, 5, &made[..5]),
            ("?offset=25", 25, 20, &[]),
            ("?offset=18446744073709551615", usize::MAX, 20, &[]),
        ];
        for (query, offset, limit, items) in parts {
            let part = world.get(&format!("{kind}{query}")).await.expect_success();
            assert_eq!(keys(&part), ["items", "limit", "offset", "total"]);
            assert_eq!(
                (&part["total"], &part["offset"], &part["limit"]),
                (&json!(25), &json!(offset), &json!(limit))
            );
            assert_eq!(ids(&part["items"]), items, "{kind}{query}");
        }
        world.delete(&format!("{kind}/{}", made[0])).await.expect_success();
        let rest = world.get(&format!("{kind}?limit=3")).await.expect_success();
        assert_eq!((&rest["total"], ids(&rest["items"])), (&json!(24), vec!["7", "14", "21"]));
    }
}

#[tokio::test]
async fn a_listing_asked_for_badly_says_what_is_wrong() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        for bad in
            ["0", "1001", "-1", "+1", "1.5", "ten", "0x5", "1e1", "%20", "5%20", "99999999999999999999"]
        {
            world.get(&format!("{kind}?limit={bad}")).await.refuses_field("limit");
        }
        for bad in ["-1", "+1", "1.5", "ten", "18446744073709551616"] {
            world.get(&format!("{kind}?offset={bad}&limit=5")).await.refuses_field("offset");
        }
    }
}

#[tokio::test]
async fn attending_twice_is_attending_once_and_shows_on_both_sides() {
    let server = Server::start().await;
    let world = server.world().await;
    for id in ["b", "a", "c"] {
        world.has_group(id).await;
        world.person(id).await;
    }
    for (group, user) in [("b", "b"), ("b", "a"), ("b", "b"), ("a", "b")] {
        let answer = world.post(&format!("/api/groups/{group}/attendees"), json!({"user": user})).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
    }
    assert_eq!(ids(&world.get("/api/groups/b").await.json()["attendees"]), ["a", "b"]);
    assert_eq!(ids(&world.get("/api/users/b").await.json()["groups"]), ["a", "b"]);
    let users = world.get("/api/users").await.expect_success();
    assert_eq!(users["items"][0], world.get("/api/users/b").await.json(), "a listing shows groups, too");

    for _ in 0..2 {
        let answer = world.delete("/api/groups/b/attendees/b").await;
        assert_eq!((answer.status, answer.json()), (200, json!({})), "leaving twice is leaving once");
    }
    assert_eq!(ids(&world.get("/api/groups/b").await.json()["attendees"]), ["a"]);
    assert_eq!(ids(&world.get("/api/users/b").await.json()["groups"]), ["a"]);
}

#[tokio::test]
async fn what_is_deleted_leaves_no_attendance_behind() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    world.person("bob").await.attends("lobby").await;
    world.delete("/api/users/bob").await.expect_success();
    world.person("bob").await;
    assert_eq!(ids(&world.get("/api/groups/lobby").await.json()["attendees"]), ["alice"]);
    assert_eq!(world.get("/api/users/bob").await.json()["groups"], json!([]));

    world.delete("/api/groups/lobby").await.expect_success();
    world.has_group("lobby").await;
    assert_eq!(world.get("/api/groups/lobby").await.json()["attendees"], json!([]));
    assert_eq!(world.get("/api/users/alice").await.json()["groups"], json!([]));
    world
        .post("/api/token", json!({"group": "lobby", "user": "alice"}))
        .await
        .refuses_with(404, "not_attending");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_in_every_row() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    world.person("alice").await;
    world.person(PEER).await;
    for (group, user) in [("nowhere", "alice"), ("lobby", "nobody"), ("nowhere", "nobody")] {
        let missed =
            |row: &Row| (group == "nowhere" && row.finds_group()) || (user == "nobody" && row.finds_user());
        for row in rows().into_iter().filter(missed) {
            let code = row.word_of_missing(group == "lobby");
            row.asked(&world, group, user).await.refuses_with(404, code);
        }
    }
    world
        .post("/api/token", json!({"group": "lobby", "user": "alice"}))
        .await
        .refuses_with(404, "not_attending");
}

#[tokio::test]
async fn any_id_can_be_asked_for_by_its_encoded_path() {
    let server = Server::start().await;
    let world = server.world().await;
    let odd = [
        "a/b", "/", " ", "a b", "+", "🏠", "%", "%2F", "%zz", "?a=b&c#d", "A", "a", "é", "e\u{301}", "null",
        "{id}",
    ];
    for id in odd {
        world.has_group(id).await;
        world.person(id).await.attends(id).await;
    }
    for id in odd {
        let path = encoded(id);
        let group = world.get(&format!("/api/groups/{path}")).await.expect_success();
        assert_eq!(group, json!({"id": id, "name": id, "attendees": [member(id)]}));
        world.patch(&format!("/api/users/{path}"), json!({"custom": id})).await.expect_success();
        assert_eq!(shown(&world, "/api/users", id).await["custom"], id);
        world.delete(&format!("/api/groups/{path}/attendees/{path}")).await.expect_success();
        world.delete(&format!("/api/users/{path}")).await.expect_success();
        world.delete(&format!("/api/groups/{path}")).await.expect_success();
    }
    assert_eq!(world.get("/api/groups").await.json()["total"], 0);
}

#[tokio::test]
async fn a_token_opens_one_session_once() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    let issued = world.post("/api/token", json!({"group": "lobby", "user": "alice"})).await;
    assert_eq!((issued.status, keys(&issued.json())), (201, vec!["expires", "token"]));
    assert_eq!(issued.json()["expires"], 60);
    let token = issued.json()["token"].as_str().unwrap().to_owned();
    assert_ne!(world.token("lobby", "alice").await, token);

    world.connect(&token).await.sees_online(&["alice"]).await;
    world.connect(&token).await.is_closed_with(4501).await;
    for never_issued in ["x", "null", &token[1..], &token.to_lowercase()] {
        world.connect(never_issued).await.is_closed_with(4501).await;
    }
}

#[tokio::test]
async fn a_token_does_not_outlive_its_time() {
    let server = Server::with(Limits { token_ttl_ms: 0, ..limits() }, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let alice = world.person("alice").await;
    alice.attends("lobby").await;
    world.connect(&world.token("lobby", "alice").await).await.is_closed_with(4501).await;
}

#[tokio::test]
async fn only_so_many_tokens_wait() {
    let server = Server::with(Limits { tokens_outstanding_max: 2, ..limits() }, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    let first = world.token("lobby", "alice").await;
    world.token("lobby", "alice").await;
    let refused = world.post("/api/token", json!({"group": "lobby", "user": "alice"})).await;
    refused.refuses_with(429, "too_many_tokens");
    assert_eq!(refused.headers["retry-after"], "60");
    world.connect(&first).await.sees_online(&["alice"]).await;
}

#[tokio::test]
async fn a_listing_of_users_with_very_many_groups_goes_on_at_its_next_offset() {
    let server = Server::with(Limits { listing_bytes_max: 20, ..limits() }, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("a group of many words").await;
    for user in ["alice", "bob", "carol"] {
        world.person(user).await.attends("a group of many words").await;
    }
    let mut listed = Vec::new();
    while listed.len() < 3 {
        let page = world.get(&format!("/api/users?offset={}", listed.len())).await.expect_success();
        assert_eq!(page["total"], 3);
        let items = page["items"].as_array().expect("a list");
        assert_eq!(items.len(), 1, "{page}");
        listed.extend(items.iter().map(|user| user["id"].clone()));
    }
    assert_eq!(listed, ["alice", "bob", "carol"]);
}
