//! Conformance: the requests and frames of the first readme, in its order, with the fields that it names.
#![allow(missing_docs)]

mod common;

use common::Server;
use engine::testkit::{Chatter, World, answered};
use reqwest::Method;
use serde_json::{Value, json};

const ICON: &str = "https://example.com/icon.png";

/// The text that a field must be.
fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("no text {field} in {of}"))
}

/// The one item of a listing.
fn only_item(listing: &Value) -> &Value {
    assert_eq!(listing["total"], 1, "{listing}");
    let items = listing["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{listing}");
    &items[0]
}

fn names(of: &Value) -> Vec<&str> {
    of.as_object().expect("a map").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn everything_in_the_first_readme_works_as_written_there() {
    let server = Server::start().await;

    // POST - /api/services
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let service = answered(http.post(format!("{}/api/services", server.base))).await.expect_success();
    let (client, secret) = (text(&service, "client").to_owned(), text(&service, "secret").to_owned());
    let asked = async |method: Method, path: &str, body: Option<Value>| {
        let request = http.request(method, format!("{}{path}", server.base));
        let request = request.header("client", &client).header("secret", &secret);
        answered(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
        .expect_success()
    };
    let get = async |path: &str| asked(Method::GET, path, None).await;
    let post = async |path: &str, body: Value| asked(Method::POST, path, Some(body)).await;

    // GET - /api/groups
    assert_eq!(get("/api/groups").await["total"], 0);

    // POST - /api/groups
    post("/api/groups", json!({"name": "a group", "icon": ICON})).await;
    let listing = get("/api/groups?offset=0&limit=10").await;
    let group = only_item(&listing);
    assert_eq!((text(group, "name"), text(group, "icon")), ("a group", ICON));
    let group_id = text(group, "id");
    let beyond = get("/api/groups?offset=1&limit=10").await;
    assert_eq!((&beyond["total"], &beyond["items"]), (&json!(1), &json!([])));

    // GET - /api/groups/:group-id
    let group = get(&format!("/api/groups/{group_id}")).await;
    assert_eq!((text(&group, "id"), text(&group, "name"), text(&group, "icon")), (group_id, "a group", ICON));
    assert_eq!(group["attendees"], json!([]));

    // POST - /api/users, and GET - /api/users, which tells the id
    post("/api/users", json!({"name": "test", "icon": ICON})).await;
    let listing = get("/api/users?offset=0&limit=10").await;
    let user = only_item(&listing);
    assert_eq!((text(user, "name"), text(user, "icon"), &user["groups"]), ("test", ICON, &json!([])));
    let user_id = text(user, "id");
    let other = post("/api/users", json!({"name": "test2"})).await;

    // POST - /api/groups/:group-id/attendees
    for user in [user_id, text(&other, "id")] {
        post(&format!("/api/groups/{group_id}/attendees"), json!({"user": user})).await;
    }
    let group = get(&format!("/api/groups/{group_id}")).await;
    let mut attendees: Vec<&str> = group["attendees"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|attendee| text(attendee, "name"))
        .collect();
    attendees.sort_unstable();
    assert_eq!(attendees, ["test", "test2"]);
    let listing = get("/api/users?limit=1").await;
    assert_eq!(text(&listing["items"][0]["groups"][0], "id"), group_id);

    // POST - /api/token
    let token = post("/api/token", json!({"group": group_id, "user": user_id})).await;

    // Websocket
    let chatter = World::at(&server.base).await.connect(text(&token, "token")).await;
    the_frames_of_the_readme(chatter, user_id, text(&other, "id")).await;
}

async fn the_frames_of_the_readme(mut chatter: Chatter, user_id: &str, other_id: &str) {
    // Get online members update example
    let roster = chatter.sees_roster().await;
    assert_eq!(names(&roster), ["off", "on"]);
    assert_eq!(roster["on"], json!([{"id": user_id, "name": "test", "icon": ICON}]));
    assert_eq!(roster["off"], json!([{"id": other_id, "name": "test2"}]));
    assert_eq!(chatter.is_given_history().await, Vec::<Value>::new());

    // Sending message example
    chatter.sends("{\n  \"a\":2,\n  \"d\": {\n    \"m\": \"test message\"\n  }\n}").await;

    // Get message example
    let heard = chatter.hears("test message").await;
    assert_eq!(names(&heard), ["i", "m", "p", "t"]);
    assert!((1..=36).contains(&text(&heard, "i").len()));
    assert_eq!(heard["p"], user_id);
    assert!(heard["t"].as_u64().is_some_and(|t| t > 1_551_105_125_856), "a number, in milliseconds: {heard}");

    // Fetch chat history example
    chatter.sends("{\"a\": 2, \"d\": {\"m\": \"world\"}}").await;
    let world = chatter.hears("world").await;
    assert_eq!(chatter.reads_history(json!({})).await, [heard, world], "oldest first");
    chatter.sends("{\"a\": 3}").await;
    assert_eq!(chatter.is_given_history().await.len(), 2, "the data may be absent");
}
