//! Who stands how in a group, who is online, direct groups, disconnecting and erasing; and how long things are kept.
#![allow(missing_docs)]

mod common;

use common::rest::{Refusal, ids, keys, member};
use common::{Server, limits};
use engine::config::Limits;
use engine::testkit::{Encoding, World, within};
use kijimuna_api::AppOptions;
use serde_json::{Value, json};

const LOBBY: &str = "/api/groups/lobby";
const LATER: u64 = 9_000_000_000_000;

/// The lobby's attendees.
async fn attendees(world: &World) -> Value {
    world.get(LOBBY).await.expect_success()["attendees"].take()
}

async fn moderates(world: &World, order: Value) -> Value {
    let answer = world.post(&format!("{LOBBY}/moderation"), order).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_role_is_given_and_taken() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let (mut bob, _) = world.known("bob").enters("lobby", Encoding::Json).await;
    let path = format!("{LOBBY}/attendees/alice");
    for role in ["moderator", "moderator", "member"] {
        let answer = world.patch(&path, json!({"role": role})).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
        assert_eq!(attendees(&world).await[0]["role"], role);
    }
    world.patch(&path, json!({"role": "moderator"})).await.expect_success();
    bob.next_where(|frame| frame["d"]["off"][0]["ro"] == "moderator", "a roster with the role").await;
    for wrong in [json!({}), json!({"role": null}), json!({"role": 1}), json!({"role": ["member"]})] {
        world.patch(&path, wrong).await.refuses_field("role");
    }
    for wrong in ["", "muted", "Member", "admin", "moderator "] {
        world.patch(&path, json!({"role": wrong})).await.refuses_field("role");
    }
    world.person("away").await;
    for user in ["away", "nobody"] {
        let missed = world.patch(&format!("{LOBBY}/attendees/{user}"), json!({"role": "member"})).await;
        missed.refuses_with(404, "not_attending");
    }
    let moderator = json!({"id": "alice", "name": "alice", "role": "moderator"});
    assert_eq!(attendees(&world).await, json!([moderator, member("bob")]));
}

#[tokio::test]
async fn moderation_is_an_event_and_shows_in_the_group() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "mo"]).await;
    world.patch(&format!("{LOBBY}/attendees/mo"), json!({"role": "moderator"})).await.expect_success();
    let muted = moderates(&world, json!({"op": "mute", "user": "alice", "until": LATER, "by": "mo"})).await;
    assert_eq!(keys(&muted), ["by", "op", "seq", "time", "until", "user"]);
    assert_eq!(
        (&muted["op"], &muted["user"], &muted["by"], &muted["until"], &muted["seq"]),
        (&json!("mute"), &json!("alice"), &json!("mo"), &json!(LATER), &json!(1))
    );
    let mut shown = member("alice");
    shown["role"] = json!("muted");
    shown["muted_until"] = json!(LATER);
    assert_eq!(attendees(&world).await[0], shown);

    let muted = moderates(&world, json!({"op": "mute", "user": "alice", "until": null, "by": null})).await;
    assert_eq!((keys(&muted), &muted["seq"]), (vec!["op", "seq", "time", "user"], &json!(2)));
    assert_eq!(attendees(&world).await[0], json!({"id": "alice", "name": "alice", "role": "muted"}));
    moderates(&world, json!({"op": "unmute", "user": "alice"})).await;
    assert_eq!(attendees(&world).await[0], member("alice"));
    let over = json!({"op": "mute", "user": "alice", "until": 1});
    world.post(&format!("{LOBBY}/moderation"), over).await.refuses_with(422, "invalid_field");
    assert_eq!(attendees(&world).await[0], member("alice"), "a mute that is over is none");

    moderates(&world, json!({"op": "ban", "user": "alice"})).await;
    let mut shown = member("alice");
    shown["banned"] = json!(true);
    assert_eq!(attendees(&world).await[0], shown);
    moderates(&world, json!({"op": "ban", "user": "alice", "until": LATER})).await;
    shown["banned_until"] = json!(LATER);
    assert_eq!(attendees(&world).await[0], shown);
    moderates(&world, json!({"op": "unban", "user": "alice"})).await;
    assert_eq!(attendees(&world).await[0], member("alice"));
    let kicked = moderates(&world, json!({"op": "kick", "user": "alice"})).await;
    assert_eq!(kicked["seq"], 7);
    assert_eq!(ids(&attendees(&world).await), ["mo"]);
    let again = world.post(&format!("{LOBBY}/moderation"), json!({"op": "kick", "user": "alice"})).await;
    again.refuses_with(404, "not_attending");
}

#[tokio::test]
async fn a_backend_moderates_as_a_moderator_or_as_itself() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob", "mo", "mia"]).await;
    for user in ["mo", "mia"] {
        let path = format!("{LOBBY}/attendees/{user}");
        world.patch(&path, json!({"role": "moderator"})).await.expect_success();
    }
    let path = format!("{LOBBY}/moderation");
    for (by, user) in [("bob", "alice"), ("bob", "mo"), ("mo", "mia")] {
        let refused = world.post(&path, json!({"op": "ban", "user": user, "by": by})).await;
        refused.refuses_with(403, "forbidden");
    }
    moderates(&world, json!({"op": "ban", "user": "alice", "by": "mo"})).await;
    moderates(&world, json!({"op": "kick", "user": "mo"})).await;
    world.person("away").await;
    for (by, user) in [("away", "bob"), ("nobody", "bob"), ("mia", "away"), ("mia", "nobody")] {
        let refused = world.post(&path, json!({"op": "mute", "user": user, "by": by})).await;
        refused.refuses_with(404, "not_attending");
    }
}

#[tokio::test]
async fn an_order_to_moderate_is_checked_field_by_field() {
    let server = Server::start().await;
    let world = server.lobby(&["alice"]).await;
    let path = format!("{LOBBY}/moderation");
    let order = json!({"op": "mute", "user": "alice", "until": LATER});
    for wrong in
        [json!([]), json!(true), json!({"x": "y"}), json!(1.5), json!(""), json!("a\nb"), json!("shout")]
    {
        for field in ["op", "user", "by"] {
            if wrong != "shout" || field == "op" {
                let mut body = order.clone();
                body[field] = wrong.clone();
                world.post(&path, body).await.refuses_field(field);
            }
        }
        let mut body = order.clone();
        body["until"] = wrong;
        world.post(&path, body).await.refuses_field("until");
    }
    for field in ["op", "user"] {
        let mut body = order.clone();
        body[field] = Value::Null;
        world.post(&path, body.clone()).await.refuses_field(field);
        body.as_object_mut().unwrap().remove(field);
        world.post(&path, body).await.refuses_field(field);
    }
    for wrong in [json!(-1), json!(9_007_199_254_740_992_u64), json!("9000000000000")] {
        world.post(&path, json!({"op": "ban", "user": "alice", "until": wrong})).await.refuses_field("until");
    }
    for op in ["unmute", "kick", "unban"] {
        world.post(&path, json!({"op": op, "user": "alice", "until": LATER})).await.refuses_field("until");
    }
    assert_eq!(attendees(&world).await, json!([member("alice")]), "what was refused isn't done");
}

#[tokio::test]
async fn presence_shows_who_is_online() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob", "carol"]).await;
    let path = format!("{LOBBY}/presence");
    assert_eq!(world.get(&path).await.expect_success(), json!({"online": 0, "users": []}));
    let (_bob, _) = world.known("bob").enters("lobby", Encoding::Json).await;
    let (_again, _) = world.known("bob").enters("lobby", Encoding::Msgpack).await;
    let _carol = world.known("carol").connects("lobby").await;
    world.patch("/api/users/carol", json!({"icon": "https://a", "custom": 1})).await.expect_success();
    world.patch(&format!("{LOBBY}/attendees/carol"), json!({"role": "moderator"})).await.expect_success();
    let carol = json!({"id": "carol", "name": "carol", "icon": "https://a", "role": "moderator"});
    let everyone = json!({"online": 2, "users": [member("bob"), carol]});
    assert_eq!(world.get(&path).await.expect_success(), everyone);
    assert_eq!(world.get(&format!("{path}?limit=1000")).await.expect_success(), everyone);
    let one = world.get(&format!("{path}?limit=1")).await.expect_success();
    assert_eq!(one, json!({"online": 2, "users": [member("bob")]}));
    for bad in ["0", "1001", "-1", "x"] {
        world.get(&format!("{path}?limit={bad}")).await.refuses_field("limit");
    }
}

#[tokio::test]
async fn two_users_have_one_direct_group() {
    let server = Server::start().await;
    let world = server.world().await;
    for id in ["alice", "bob", "carol"] {
        world.person(id).await;
    }
    let made = world.post("/api/directs", json!({"users": ["bob", "alice"]})).await;
    let group = made.json();
    assert_eq!((made.status, keys(&group)), (201, vec!["attendees", "direct", "id", "name"]));
    assert_eq!(
        (&group["direct"], &group["attendees"]),
        (&json!(true), &json!([member("alice"), member("bob")]))
    );
    for users in [["alice", "bob"], ["bob", "alice"]] {
        let same = world.post("/api/directs", json!({"users": users})).await;
        assert_eq!((same.status, same.json()), (200, group.clone()));
    }
    let id = group["id"].as_str().unwrap();
    world.delete(&format!("/api/groups/{id}/attendees/bob")).await.expect_success();
    let again = world.post("/api/directs", json!({"users": ["alice", "bob"]})).await;
    assert_eq!((again.status, again.json()), (200, group.clone()), "who was removed is back");
    let attendees = format!("/api/groups/{id}/attendees");
    world.post(&attendees, json!({"user": "carol"})).await.refuses_with(409, "direct_group");
    world.post(&attendees, json!({"user": "bob"})).await.expect_success();
    let another = world.post("/api/directs", json!({"users": ["alice", "carol"]})).await;
    assert_eq!(another.status, 201);
    assert_ne!(another.json()["id"], group["id"]);
    assert_eq!(world.get(&format!("/api/groups/{id}")).await.expect_success(), group);
    assert_eq!(world.get("/api/groups").await.json()["items"][0]["direct"], true);
    assert_eq!(world.get("/api/users/bob").await.json()["groups"][0]["id"], id);
    world.delete(&format!("/api/groups/{id}")).await.expect_success();
    assert_eq!(world.post("/api/directs", json!({"users": ["alice", "bob"]})).await.status, 201);
}

#[tokio::test]
async fn a_direct_group_is_of_two_users_who_are_there() {
    let server = Server::start().await;
    let world = server.world().await;
    world.person("alice").await;
    world.person("bob").await;
    for wrong in [
        json!({}),
        json!({"users": null}),
        json!({"users": "alice"}),
        json!({"users": {"0": "alice", "1": "bob"}}),
        json!({"users": []}),
        json!({"users": ["alice"]}),
        json!({"users": ["alice", "bob", "alice"]}),
        json!({"users": ["alice", "alice"]}),
        json!({"users": ["alice", 5]}),
        json!({"users": ["alice", null]}),
        json!({"users": ["alice", ""]}),
        json!({"users": ["a\nb", "bob"]}),
        json!({"users": ["alice", "x".repeat(129)]}),
    ] {
        world.post("/api/directs", wrong).await.refuses_field("users");
    }
    let missed = world.post("/api/directs", json!({"users": ["alice", "nobody"]})).await;
    missed.refuses_with(404, "user_not_found");
    assert_eq!(world.get("/api/groups").await.json()["total"], 0);
}

#[tokio::test]
async fn retention_is_set_shown_and_taken_away() {
    let server = Server::start().await;
    let world = server.world().await;
    let kept = json!({"days": 30, "messages": 1_000});
    let made = world.post("/api/groups", json!({"id": "lobby", "retention": kept})).await.expect_success();
    assert_eq!(made, json!({"id": "lobby", "name": "lobby", "retention": kept}));
    for (change, shown) in [
        (json!({"name": "L"}), kept.clone()),
        (json!({"retention": {"days": 1}}), json!({"days": 1})),
        (json!({"retention": {"messages": 1, "days": null}}), json!({"messages": 1})),
        (
            json!({"retention": {"days": 36_500, "messages": 9_007_199_254_740_991_u64}}),
            json!({"days": 36_500, "messages": 9_007_199_254_740_991_u64}),
        ),
        (json!({"retention": null}), Value::Null),
    ] {
        let group = world.patch(LOBBY, change).await.expect_success();
        assert_eq!(group["retention"], shown);
        assert_eq!(world.get(LOBBY).await.json()["retention"], shown);
        assert_eq!(world.get("/api/groups").await.json()["items"][0]["retention"], shown);
    }
    let made = world.post("/api/groups", json!({"id": "hall", "retention": null})).await.expect_success();
    assert!(made.get("retention").is_none());
    for (wrong, field) in [
        (json!({}), "retention"),
        (json!({"days": null}), "retention"),
        (json!({"weeks": 1}), "retention"),
        (json!([30]), "retention"),
        (json!(30), "retention"),
        (json!("30"), "retention"),
        (json!(false), "retention"),
        (json!({"days": 0}), "retention.days"),
        (json!({"days": 36_501}), "retention.days"),
        (json!({"days": 1.5}), "retention.days"),
        (json!({"days": "1"}), "retention.days"),
        (json!({"days": 1, "messages": 0}), "retention.messages"),
        (json!({"messages": -1}), "retention.messages"),
        (json!({"messages": 9_007_199_254_740_992_u64}), "retention.messages"),
        (json!({"messages": [1]}), "retention.messages"),
    ] {
        world.patch(LOBBY, json!({"retention": wrong})).await.refuses_field(field);
        world.post("/api/groups", json!({"id": "x", "retention": wrong})).await.refuses_field(field);
    }
    assert_eq!(world.get("/api/groups").await.json()["total"], 2);
}

#[tokio::test]
async fn what_is_over_its_retention_goes() {
    let limits = Limits { retention_interval_ms: 10, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.lobby(&[]).await;
    let path = format!("{LOBBY}/messages");
    for text in ["1", "2", "3"] {
        world.post(&path, json!({"text": text})).await.expect_success();
    }
    world.patch(LOBBY, json!({"retention": {"messages": 2}})).await.expect_success();
    within("the oldest message's end", async {
        loop {
            let page = world.get(&path).await.expect_success();
            if page["items"].as_array().unwrap().len() == 2 {
                assert_eq!((&page["items"][0]["text"], &page["items"][0]["seq"]), (&json!("2"), &json!(2)));
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_is_disconnected_everywhere() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut old = world.known("alice").connects("lobby").await;
    let (mut here, _) = world.known("alice").enters("lobby", Encoding::Json).await;
    let mut anywhere = world.known("alice").arrives(Encoding::Msgpack).await;
    let (mut bob, _) = world.known("bob").enters("lobby", Encoding::Json).await;
    let unused = world.token("lobby", "alice").await;
    let disconnected = world.post("/api/users/alice/disconnect", json!({"ignored": []})).await;
    assert_eq!((disconnected.status, disconnected.json()), (200, json!({"sessions": 3})));
    old.is_closed_with(4508).await;
    here.is_closed_with(4508).await;
    anywhere.is_closed_with(4508).await;
    for ticket in [&here.ticket, &anywhere.ticket, &unused] {
        world.connect_v2(ticket, Encoding::Json).await.is_closed_with(4508).await;
    }
    bob.says("still here").await;
    world.known("alice").enters("lobby", Encoding::Json).await;
    world.post("/api/users/nobody/disconnect", json!({})).await.refuses_with(404, "user_not_found");
}

#[tokio::test]
async fn a_deleted_user_is_erased_from_what_was_said() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    world.has_group("hall").await;
    world.known("alice").attends("hall").await;
    let path = format!("{LOBBY}/messages");
    let mine = world.post(&path, json!({"text": "mine", "user": "alice"})).await.expect_success();
    let bobs = world.post(&path, json!({"text": "bob's", "user": "bob"})).await.expect_success();
    let (mut alice, _) = world.known("alice").enters("lobby", Encoding::Json).await;
    alice.does(9, json!({"i": bobs["id"], "k": "+1", "op": "add"})).await;
    let did = world.delete("/api/users/alice").await.expect_success();
    assert_eq!(keys(&did), ["events", "groups", "markers", "messages", "reactions"]);
    assert_eq!(
        (&did["groups"], &did["messages"], &did["reactions"], &did["events"]),
        (&json!(2), &json!(1), &json!(1), &json!(1))
    );
    let page = world.get(&path).await.expect_success();
    let first = &page["items"][0];
    assert_eq!((&first["id"], &first["text"], &first["erased"]), (&mine["id"], &json!("mine"), &json!(true)));
    assert!(first.get("user").is_none(), "{first}");
    assert_eq!(page["items"][1]["reactions"], json!({"+1": 1}), "it still counts");
}

#[tokio::test]
async fn a_token_without_a_group_is_for_all_of_them() {
    let server = Server::start().await;
    let world = server.lobby(&["alice"]).await;
    for body in [json!({"user": "alice"}), json!({"user": "alice", "group": null})] {
        let issued = world.post("/api/token", body).await;
        assert_eq!((issued.status, keys(&issued.json())), (201, vec!["expires", "token"]));
    }
    world.post("/api/token", json!({"user": "nobody"})).await.refuses_with(404, "user_not_found");
    let mut peer = world.known("alice").arrives(Encoding::Json).await;
    peer.gets(14, json!({"g": "lobby", "op": "join"}), 0).await;
    // Version 1 knows no joining.
    let token = world.user_token("alice").await;
    assert!(world.connect(&token).await.ends().await.is_some_and(|code| code >= 4000));
}
