//! Every rule of a field: what it may be, what is said when it isn't, and how a change changes it.
#![allow(missing_docs)]

mod common;

use std::collections::HashMap;

use common::Server;
use common::rest::{KINDS, Refusal, not_found, shown};
use engine::testkit::answered;
use reqwest::Method;
use serde_json::json;
use serde_json::value::RawValue;

#[tokio::test]
async fn ids_and_names_have_1_to_128_characters_and_no_controls() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        world.post(kind, json!({"id": "known"})).await.expect_success();
        for longest in ["x".repeat(128), "é".repeat(128), "🏠".repeat(128)] {
            assert_eq!(world.post(kind, json!({"id": longest})).await.status, 201);
            assert_eq!(shown(&world, kind, &longest).await, json!({"id": longest, "name": longest}));
            let renamed = world.patch(&format!("{kind}/known"), json!({"name": longest})).await;
            assert_eq!(renamed.expect_success()["name"], longest.as_str());
        }
        let bad = ["", &"x".repeat(129), &"é".repeat(129), "a\nb", "\0", "\u{7f}", "\u{85}", "tab\t"];
        for text in bad {
            world.post(kind, json!({"id": text})).await.refuses_field("id");
            world.post(kind, json!({"id": "fine", "name": text})).await.refuses_field("name");
            world.patch(&format!("{kind}/known"), json!({"name": text})).await.refuses_field("name");
        }
        world.get(&format!("{kind}/fine")).await.refuses_with(404, not_found(kind));
        assert_eq!(world.get(kind).await.json()["total"], 4, "what was refused isn't there");
    }
}

#[tokio::test]
async fn an_icon_begins_with_https() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        let path = format!("{kind}/x");
        world.post(kind, json!({"id": "x", "icon": "https://a/é?b#c"})).await.expect_success();
        for bad in [
            "",
            "http://a/b",
            "//a/b",
            "HTTPS://a/b",
            " https://a",
            "javascript:alert(1)",
            "data:,x",
            "https",
        ] {
            world.post(kind, json!({"id": "y", "icon": bad})).await.refuses_field("icon");
            world.patch(&path, json!({"icon": bad})).await.refuses_field("icon");
        }
        assert_eq!(shown(&world, kind, "x").await["icon"], "https://a/é?b#c");
    }
}

#[tokio::test]
async fn custom_is_any_json_value_and_null_is_none() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        let path = format!("{kind}/x");
        world.post(kind, json!({"id": "x"})).await.expect_success();
        let nested = json!({"": {"a": [1, null, "é \u{0} 🏠"]}});
        for value in [json!(false), json!(0), json!(""), json!([]), json!({}), json!([null]), nested] {
            assert_eq!(world.patch(&path, json!({"custom": value})).await.expect_success()["custom"], value);
            assert_eq!(shown(&world, kind, "x").await["custom"], value);
        }
        let made = world.post(kind, json!({"id": "y", "icon": null, "custom": null})).await.expect_success();
        assert!(made.get("custom").is_none() && made.get("icon").is_none(), "null is nothing: {made}");
    }
}

#[tokio::test]
async fn numbers_in_custom_keep_every_bit() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("x").await;
    let numbers =
        ["18446744073709551615", "-9223372036854775808", "0.1", "1e300", "31.245270191439438", "5e-324"];
    for number in numbers {
        let body = format!(r#"{{"custom": {number}}}"#);
        let request =
            world.request(Method::PATCH, "/api/groups/x").header("content-type", "application/json");
        assert_eq!(answered(request.body(body)).await.status, 200);
        let shown = world.get("/api/groups/x").await;
        let fields: HashMap<String, Box<RawValue>> = serde_json::from_str(&shown.text).unwrap();
        let kept = fields["custom"].get();
        assert!(kept == number || kept.parse::<f64>() == number.parse::<f64>(), "{number} became {kept}");
    }
}

#[tokio::test]
async fn custom_has_at_most_4096_bytes() {
    let server = Server::start().await;
    let world = server.world().await;
    let fits = [json!("x".repeat(4_094)), json!("é".repeat(2_047)), json!(vec![0; 2_047])];
    let too_large = [json!("x".repeat(4_095)), json!("é".repeat(2_048)), json!(vec![0; 2_048])];
    for kind in KINDS {
        let path = format!("{kind}/x");
        world.post(kind, json!({"id": "x"})).await.expect_success();
        for value in &fits {
            assert!(value.to_string().len() <= 4_096);
            world.patch(&path, json!({"custom": value})).await.expect_success();
            assert_eq!(shown(&world, kind, "x").await["custom"], *value);
        }
        for value in &too_large {
            assert!(value.to_string().len() > 4_096);
            world.post(kind, json!({"id": "y", "custom": value})).await.refuses_field("custom");
            world.patch(&path, json!({"custom": value})).await.refuses_field("custom");
        }
        assert_eq!(shown(&world, kind, "x").await["custom"], fits[2]);
    }
}

#[tokio::test]
async fn a_field_of_another_type_is_named() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    for wrong in [json!(5), json!(true), json!(["x"]), json!({"x": "y"})] {
        for kind in KINDS {
            for field in ["id", "name", "icon"] {
                let mut body = json!({"id": "x", "name": "x", "icon": "https://a"});
                body[field] = wrong.clone();
                world.post(kind, body).await.refuses_field(field);
            }
        }
        for field in ["name", "icon"] {
            world.patch("/api/groups/lobby", json!({field: wrong})).await.refuses_field(field);
        }
        world.post("/api/token", json!({"group": "lobby"})).await.refuses_field("user");
        for (field, mut body) in [("group", json!({"user": "x"})), ("user", json!({"group": "lobby"}))] {
            body[field] = wrong.clone();
            world.post("/api/token", body).await.refuses_field(field);
        }
        world.post("/api/groups/lobby/attendees", json!({"user": wrong})).await.refuses_field("user");
    }
    for absent in [json!({}), json!({"user": null}), json!({"user": ""}), json!({"user": "a\nb"})] {
        world.post("/api/groups/lobby/attendees", absent).await.refuses_field("user");
    }
}

#[tokio::test]
async fn fields_that_nobody_asked_for_are_ignored() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        let odd = json!({"id": "x", "uid": 1, "created_ms": 0, "attendees": ["y"], "": null, "Name": 7, "client": "z"});
        world.post(kind, odd).await.expect_success();
        world.patch(&format!("{kind}/x"), json!({"id": "y", "service": "z"})).await.expect_success();
        assert_eq!(shown(&world, kind, "x").await, json!({"id": "x", "name": "x"}));
        world.get(&format!("{kind}/y")).await.refuses_with(404, not_found(kind));
    }
    world.post("/api/groups/x/attendees", json!({"user": "x", "more": []})).await.expect_success();
    world.post("/api/token", json!({"group": "x", "user": "x", "ttl": 1})).await.expect_success();
}

#[tokio::test]
async fn a_patch_keeps_what_is_absent_and_takes_away_what_is_null() {
    let server = Server::start().await;
    let world = server.world().await;
    for kind in KINDS {
        let path = format!("{kind}/x");
        let whole = json!({"id": "x", "name": "X", "icon": "https://a", "custom": [1]});
        world.post(kind, whole.clone()).await.expect_success();
        let steps = [
            (json!({}), whole),
            (json!({"name": "Y"}), json!({"id": "x", "name": "Y", "icon": "https://a", "custom": [1]})),
            (json!({"icon": null}), json!({"id": "x", "name": "Y", "custom": [1]})),
            (json!({"custom": {"n": null}}), json!({"id": "x", "name": "Y", "custom": {"n": null}})),
            (
                json!({"icon": "https://b", "custom": null}),
                json!({"id": "x", "name": "Y", "icon": "https://b"}),
            ),
        ];
        for (change, after) in steps {
            let mut answer = world.patch(&path, change).await.expect_success();
            answer.as_object_mut().unwrap().remove("groups");
            assert_eq!(answer, after);
            assert_eq!(shown(&world, kind, "x").await, after);
        }
        world.patch(&path, json!({"name": null})).await.refuses_field("name");
        world.patch(&path, json!({"name": "Z", "icon": "ftp://c"})).await.refuses_field("icon");
        assert_eq!(shown(&world, kind, "x").await["name"], "Y", "a patch is taken as a whole or not at all");
    }
}
