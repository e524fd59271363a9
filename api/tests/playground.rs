//! The playground's demo tenants, and the pages around them.
#![allow(missing_docs)]

mod common;

use common::rest::Refusal;
use common::{Server, limits};
use engine::testkit::answered;
use kijimuna_api::AppOptions;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

async fn server(playground: bool) -> Server {
    let options = AppOptions {
        playground,
        admin_key: Some("an admin key for tests".to_owned()),
        ..AppOptions::default()
    };
    Server::with(limits(), options).await
}

fn asking(server: &Server) -> RequestBuilder {
    Client::new().post(format!("{}/playground/tenant", server.base))
}

#[tokio::test]
async fn a_demo_tenant_is_whole_and_anyones_own() {
    let server = server(true).await;
    let made = answered(asking(&server).json(&json!({}))).await.expect_success();
    let ids = |list: &Value| {
        let of = |item: &Value| item["id"].as_str().expect("an id").to_owned();
        list.as_array().expect("a list").iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(ids(&made["users"]), ["alice", "bob", "carol"]);
    let text = |key: &str| made[key].as_str().expect("a text").to_owned();
    let get = async |path: &str| {
        let request = Client::new().get(format!("{}{path}", server.base));
        answered(request.header("client", text("client")).header("secret", text("secret")))
            .await
            .expect_success()
    };
    for group in made["groups"].as_array().expect("groups") {
        let path = format!("/api/groups/{}", group["id"].as_str().expect("an id"));
        assert_eq!(json!(ids(&get(&path).await["attendees"])), group["attendees"], "{path}");
        let said = get(&format!("{path}/messages")).await;
        assert!(!said["items"].as_array().expect("messages").is_empty(), "{path}");
    }
    let counted = get("/api/groups/counting/messages?limit=1").await;
    assert_eq!(counted["items"][0]["text"], "180");
    let another = answered(asking(&server).json(&json!({}))).await.expect_success();
    assert_ne!(another["client"], made["client"]);
}

#[tokio::test]
async fn it_is_asked_for_as_json_so_that_no_other_page_can() {
    let server = server(true).await;
    answered(asking(&server)).await.refuses_with(415, "unsupported_media_type");
}

#[tokio::test]
async fn it_is_nothing_where_it_is_off() {
    let server = server(false).await;
    answered(asking(&server).json(&json!({}))).await.refuses_with(404, "route_not_found");
    let get = |path: &str| Client::new().get(format!("{}{path}", server.base));
    answered(get("/playground/app.js")).await.refuses_with(404, "route_not_found");
    let page = answered(get("/")).await;
    assert!(page.text.contains("curl") && !page.text.contains("/playground/"));
}
