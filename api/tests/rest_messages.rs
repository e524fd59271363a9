//! What a tenant's backend says, reads, changes and deletes in a group, as itself or as one of its users.
#![allow(missing_docs)]

mod common;

use common::Server;
use common::rest::{NO_MESSAGE, Refusal, keys};
use engine::testkit::{Answer, Encoding, World};
use serde_json::{Value, json};

const LOBBY: &str = "/api/groups/lobby/messages";

/// Says something in the lobby. Answers its id.
async fn says(world: &World, body: Value) -> String {
    let posted = world.post(LOBBY, body).await;
    assert_eq!(posted.status, 201, "{}", posted.text);
    posted.json()["id"].as_str().expect("an id").to_owned()
}

/// The texts of a page, and whether there is more.
fn page(answer: Answer) -> (Vec<String>, bool) {
    let page = answer.expect_success();
    assert_eq!(keys(&page), ["items", "more"]);
    let texts = page["items"].as_array().expect("a list").iter();
    let texts = texts.map(|message| message["text"].as_str().unwrap_or("†").to_owned());
    (texts.collect(), page["more"].as_bool().expect("a bool"))
}

#[tokio::test]
async fn what_a_backend_says_is_heard_and_kept() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let mut bob = world.known("bob").connects("lobby").await;
    let posted = world.post(LOBBY, json!({"text": "as myself"})).await;
    assert_eq!((posted.status, keys(&posted.json())), (201, vec!["id", "seq", "time"]));
    let heard = bob.hears("as myself").await;
    assert_eq!(
        (&heard["i"], &heard["t"], &heard["p"]),
        (&posted.json()["id"], &posted.json()["time"], &json!(""))
    );

    let custom = json!({"deep": [1, null]});
    let reply = json!({"text": "as alice", "user": "alice", "client_id": "c", "reply_to": posted.json()["id"], "custom": custom});
    let reply = world.post(LOBBY, reply).await.expect_success();
    assert_eq!(bob.hears("as alice").await["p"], "alice");
    bob.says("as bob").await;
    let third = bob.hears("as bob").await;

    let listed = world.get(LOBBY).await.expect_success();
    let (first, second) = (posted.json(), reply);
    assert_eq!(
        listed,
        json!({"more": false, "items": [
            {"id": first["id"], "seq": 1, "time": first["time"], "text": "as myself"},
            {"id": second["id"], "seq": 2, "time": second["time"], "user": "alice", "text": "as alice",
             "client_id": "c", "reply_to": first["id"], "custom": custom},
            {"id": third["i"], "seq": 3, "time": third["t"], "user": "bob", "text": "as bob"},
        ]})
    );
}

#[tokio::test]
async fn a_message_that_is_sent_again_with_its_client_id_is_said_once() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let said = json!({"text": "once", "user": "alice", "client_id": "1"});
    let first = world.post(LOBBY, said.clone()).await;
    assert_eq!(first.status, 201);
    for _ in 0..2 {
        let again = world.post(LOBBY, said.clone()).await;
        let mut same = first.json();
        same["duplicate"] = json!(true);
        assert_eq!((again.status, again.json()), (200, same));
    }
    says(&world, json!({"text": "another's", "user": "bob", "client_id": "1"})).await;
    says(&world, json!({"text": "another", "user": "alice", "client_id": "2"})).await;
    assert_eq!(page(world.get(LOBBY).await).0, ["once", "another's", "another"]);
    world.post(LOBBY, json!({"text": "x", "client_id": "3"})).await.refuses_field("client_id");
}

#[tokio::test]
async fn pages_lie_before_and_after_ids_and_sequences() {
    let server = Server::start().await;
    let world = server.lobby(&[]).await;
    let mut made = Vec::new();
    for number in 1..=60 {
        made.push(says(&world, json!({"text": format!("{number}")})).await);
    }
    let numbers = |from: usize, to: usize| (from..=to).map(|number| number.to_string()).collect::<Vec<_>>();
    let (tenth, last) = (&made[9], &made[59]);
    for (query, from, to, more) in [
        (String::new(), 11, 60, true),
        ("?limit=100".to_owned(), 1, 60, false),
        ("?limit=1".to_owned(), 60, 60, true),
        ("?before=&after=&limit=".to_owned(), 11, 60, true),
        ("?before=10".to_owned(), 1, 9, false),
        (format!("?before={tenth}"), 1, 9, false),
        (format!("?before={tenth}&limit=3"), 7, 9, true),
        ("?before=1000".to_owned(), 11, 60, true),
        ("?after=10&limit=5".to_owned(), 11, 15, true),
        (format!("?after={tenth}&limit=50"), 11, 60, false),
        ("?after=0&limit=2".to_owned(), 1, 2, true),
        ("?after=58".to_owned(), 59, 60, false),
    ] {
        assert_eq!(page(world.get(&format!("{LOBBY}{query}")).await), (numbers(from, to), more), "{query}");
    }
    for nothing in [
        "?before=0".to_owned(),
        "?before=1".to_owned(),
        format!("?after={last}"),
        "?after=60".to_owned(),
        "?after=9007199254740991".to_owned(),
    ] {
        assert_eq!(page(world.get(&format!("{LOBBY}{nothing}")).await), (vec![], false), "{nothing}");
    }
    // Beyond every place, but of this group.
    let beyond = format!("{}ffffffffffffffff", &tenth[..16]);
    assert_eq!(page(world.get(&format!("{LOBBY}?after={beyond}")).await), (vec![], false));
    assert_eq!(page(world.get(&format!("{LOBBY}?before={beyond}&limit=1")).await).0, ["60"]);
}

#[tokio::test]
async fn a_page_asked_for_badly_says_what_is_wrong() {
    let server = Server::start().await;
    let world = server.lobby(&[]).await;
    for bad in ["0", "101", "-1", "+1", "1.5", "ten", "99999999999999999999"] {
        world.get(&format!("{LOBBY}?limit={bad}")).await.refuses_field("limit");
    }
    for field in ["before", "after"] {
        for bad in
            ["-1", "+1", "1.5", "x", "9007199254740992", &NO_MESSAGE[1..], &NO_MESSAGE.replace('1', "F")]
        {
            world.get(&format!("{LOBBY}?{field}={bad}")).await.refuses_field(field);
        }
        let missed = world.get(&format!("{LOBBY}?{field}={NO_MESSAGE}")).await;
        missed.refuses_with(404, "message_not_found");
    }
    world.get(&format!("{LOBBY}?before=1&after=1")).await.refuses_field("after");
}

#[tokio::test]
async fn a_message_is_checked_field_by_field() {
    let server = Server::start().await;
    let world = server.lobby(&["alice"]).await;
    let id = says(&world, json!({"text": "x"})).await;
    let path = format!("{LOBBY}/{id}");
    for wrong in [json!(5), json!(true), json!(["x"]), json!({"x": "y"})] {
        for field in ["text", "user", "client_id", "reply_to"] {
            let mut body = json!({"text": "y", "user": "alice"});
            body[field] = wrong.clone();
            world.post(LOBBY, body).await.refuses_field(field);
        }
        for field in ["text", "user"] {
            let mut body = json!({"text": "y"});
            body[field] = wrong.clone();
            world.patch(&path, body).await.refuses_field(field);
        }
    }
    for (field, bad) in [
        ("text", json!("")),
        ("text", Value::Null),
        ("user", json!("")),
        ("user", json!("a\nb")),
        ("user", json!("x".repeat(129))),
        ("client_id", json!("")),
        ("client_id", json!("a\tb")),
        ("client_id", json!("é".repeat(65))),
        ("reply_to", json!("")),
        ("reply_to", json!("x")),
        ("reply_to", json!(NO_MESSAGE.to_uppercase().replace('1', "F"))),
        ("custom", json!("x".repeat(4_095))),
    ] {
        let mut body = json!({"text": "y", "user": "alice"});
        body[field] = bad.clone();
        world.post(LOBBY, body.clone()).await.refuses_field(field);
        if matches!(field, "text" | "custom") || (field == "user" && !bad.is_null()) {
            world.patch(&path, body).await.refuses_field(field);
        }
    }
    world.post(LOBBY, json!({"user": "alice"})).await.refuses_field("text");
    world.patch(&path, json!({})).await.refuses_field("text");
    world.patch(&path, json!({"user": "alice"})).await.refuses_field("text");
    for bad in ["%00", "a%0Ab", &"x".repeat(129)] {
        world.delete(&format!("{path}?user={bad}")).await.refuses_field("user");
    }
    let longest = json!({"text": "é".repeat(8 * 1024), "user": "alice", "client_id": "é".repeat(64)});
    says(&world, longest).await;
    let too_large = json!({"text": "x".repeat(16 * 1024 + 1)});
    world.post(LOBBY, too_large.clone()).await.refuses_with(413, "message_too_large");
    world.patch(&path, too_large).await.refuses_with(413, "message_too_large");
    assert_eq!(page(world.get(LOBBY).await).0.len(), 2, "what was refused isn't there");
}

#[tokio::test]
async fn what_is_named_must_be_there() {
    let server = Server::start().await;
    let world = server.lobby(&["alice"]).await;
    world.person("away").await;
    let id = says(&world, json!({"text": "x", "user": "alice"})).await;
    let elsewhere = format!("{}{}", "0123456789abcdef", &id[16..]);
    let nowhere = format!("{}{:016x}", &id[..16], 7);
    for missing in [NO_MESSAGE, &elsewhere, &nowhere, "x", "%20"] {
        let path = format!("{LOBBY}/{missing}");
        world.patch(&path, json!({"text": "y"})).await.refuses_with(404, "message_not_found");
        world.delete(&path).await.refuses_with(404, "message_not_found");
        if missing.len() == 32 {
            let reply = json!({"text": "y", "reply_to": missing});
            world.post(LOBBY, reply).await.refuses_with(404, "message_not_found");
        }
    }
    for user in ["away", "nobody"] {
        world.post(LOBBY, json!({"text": "y", "user": user})).await.refuses_with(404, "not_attending");
        let path = format!("{LOBBY}/{id}");
        world.patch(&path, json!({"text": "y", "user": user})).await.refuses_with(404, "not_attending");
        world.delete(&format!("{path}?user={user}")).await.refuses_with(404, "not_attending");
    }
    assert_eq!(page(world.get(LOBBY).await).0, ["x"]);
}

#[tokio::test]
async fn a_message_is_changed_by_who_may() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob", "mo"]).await;
    world.patch("/api/groups/lobby/attendees/mo", json!({"role": "moderator"})).await.expect_success();
    let (mut bob, _) = world.known("bob").enters("lobby", Encoding::Json).await;
    let said = json!({"text": "v0", "user": "alice", "custom": [1]});
    let id = says(&world, said).await;
    let path = format!("{LOBBY}/{id}");
    for (change, text, custom) in [
        (json!({"text": "v1", "user": "alice"}), "v1", json!([1])),
        (json!({"text": "v2", "user": "mo", "custom": {"a": 1}}), "v2", json!({"a": 1})),
        (json!({"custom": null}), "v2", Value::Null),
        (json!({"text": "v3", "user": null}), "v3", Value::Null),
    ] {
        let changed = world.patch(&path, change.clone()).await.expect_success();
        assert_eq!(
            (&changed["id"], &changed["text"], &changed["custom"]),
            (&json!(id), &json!(text), &custom)
        );
        assert_eq!((&changed["user"], &changed["seq"]), (&json!("alice"), &json!(1)), "it is still Alice's");
        assert!(changed["edited"].as_u64() >= changed["time"].as_u64(), "{changed}");
        let heard = bob.next(7).await;
        assert_eq!(
            (&heard["i"], &heard["by"]),
            (&json!(id), change.get("user").filter(|by| !by.is_null()).unwrap_or(&json!("")))
        );
        let page = world.get(LOBBY).await.expect_success();
        assert_eq!(page["items"], json!([changed]), "a page shows the same");
    }
    world.patch(&path, json!({"text": "v4", "user": "bob"})).await.refuses_with(403, "forbidden");
    world.delete(&format!("{path}?user=bob")).await.refuses_with(403, "forbidden");
    assert_eq!(world.get(LOBBY).await.json()["items"][0]["text"], "v3");
}

#[tokio::test]
async fn a_deleted_message_leaves_its_place() {
    let server = Server::start().await;
    let world = server.lobby(&["alice", "bob"]).await;
    let said = json!({"text": "secret", "user": "alice", "custom": "secret"});
    let id = says(&world, said).await;
    let (mut bob, _) = world.known("bob").enters("lobby", Encoding::Json).await;
    bob.does(9, json!({"i": id, "k": "👍", "op": "add"})).await;
    let shown = world.get(LOBBY).await.expect_success();
    assert_eq!(shown["items"][0]["reactions"], json!({"👍": 1}));
    let path = format!("{LOBBY}/{id}");
    for _ in 0..2 {
        let deleted = world.delete(&format!("{path}?user=alice")).await;
        assert_eq!((deleted.status, deleted.json()), (200, json!({})), "deleting twice is deleting once");
    }
    let time = &shown["items"][0]["time"];
    let page = world.get(LOBBY).await;
    assert!(!page.text.contains("secret"));
    assert_eq!(
        page.json()["items"],
        json!([{"id": id, "seq": 1, "time": time, "user": "alice", "deleted": true}])
    );
    world.patch(&path, json!({"text": "again"})).await.refuses_with(409, "message_deleted");
    says(&world, json!({"text": "a reply", "reply_to": id})).await;
}

#[tokio::test]
async fn who_is_muted_speaks_by_the_backend_and_who_is_banned_does_not() {
    let server = Server::start().await;
    let world = server.lobby(&["alice"]).await;
    let moderates = async |op: &str| {
        world.post("/api/groups/lobby/moderation", json!({"op": op, "user": "alice"})).await.expect_success()
    };
    moderates("mute").await;
    let id = says(&world, json!({"text": "the backend may", "user": "alice"})).await;
    moderates("ban").await;
    world.post(LOBBY, json!({"text": "x", "user": "alice"})).await.refuses_with(404, "not_attending");
    world.delete(&format!("{LOBBY}/{id}")).await.expect_success();
}
