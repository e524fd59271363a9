//! What HTTP itself can do wrong in front of every resource: credentials, methods, paths, bodies, versions,
//! too many requests, and a server that stops.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::rest::{Refusal, Row, anyone, rows, tenant_rows};
use common::{Server, limits};
use engine::testkit::{Answer, World, answered, encoded, within};
use kijimuna_api::AppOptions;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest body that is taken.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request to a path of a server, without credentials.
fn anyone_asks(server: &Server, method: Method, path: &str) -> RequestBuilder {
    anyone().request(method, format!("{}{path}", server.base))
}

/// Writes the bytes of a request that a client wouldn't make, and reads the status and the body of the answer.
async fn answered_raw(server: &Server, request: &[u8]) -> (u16, Value) {
    let address = server.base.strip_prefix("http://").expect("an address");
    let mut stream = within("a connection", TcpStream::connect(address)).await.expect("connected");
    within("a request", stream.write_all(request)).await.expect("written");
    let mut answer = String::new();
    within("an answer", stream.read_to_string(&mut answer)).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("not JSON ({error}): {answer}")))
}

/// The head of a tenant's request that the test finishes by itself.
fn head(world: &World, line: &str) -> String {
    let (client, secret) = world.credentials();
    format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nclient: {client}\r\nsecret: {secret}\r\n")
}

/// A group's making in exactly so many bytes, most of which are a field that nobody reads.
fn body_of(bytes: usize) -> String {
    let frame = r#"{"name":"padded","padding":""}"#;
    format!(r#"{{"name":"padded","padding":"{}"}}"#, "x".repeat(bytes - frame.len()))
}

fn json_body(world: &World, row: &Row, body: impl Into<reqwest::Body>) -> RequestBuilder {
    row.bare(world, "lobby", "alice").header("content-type", "application/json").body(body)
}

fn rows_with_bodies() -> impl Iterator<Item = Row> {
    rows().into_iter().filter(|row| row.body("lobby", "alice").is_some())
}

#[tokio::test]
async fn either_way_to_show_credentials_is_good() {
    let server = Server::start().await;
    let world = server.world().await;
    let (client, secret) = world.credentials();
    let ask = || anyone_asks(&server, Method::GET, "/api/groups");
    for request in [
        ask().header("client", client).header("secret", secret),
        ask().header("Client", client).header("SECRET", secret),
        ask().basic_auth(client, Some(secret)),
        ask().basic_auth(client, Some(secret)).header("client", client),
    ] {
        assert_eq!(answered(request).await.status, 200);
    }
}

#[tokio::test]
async fn without_its_credentials_nothing_is_served() {
    let server = Server::start().await;
    let (world, other) = (server.world().await, server.world().await);
    let ((client, secret), (_, anothers)) = (world.credentials(), other.credentials());
    let wrong: [&dyn Fn(RequestBuilder) -> RequestBuilder; 11] = [
        &|ask| ask,
        &|ask| ask.header("client", client),
        &|ask| ask.header("secret", secret),
        &|ask| ask.header("client", client).header("secret", ""),
        &|ask| ask.header("client", client).header("secret", anothers),
        &|ask| ask.header("client", secret).header("secret", client),
        &|ask| ask.header("client", "0123456789abcdef01234567").header("secret", secret),
        &|ask| ask.header("client", "é").header("secret", "é"),
        &|ask| ask.basic_auth(client, Some(anothers)),
        &|ask| ask.header("authorization", "Basic not-base-64!"),
        &|ask| ask.bearer_auth(secret),
    ];
    let mut said = BTreeSet::new();
    for row in tenant_rows() {
        for show in wrong {
            let request = anyone_asks(&server, row.method.clone(), &row.path("lobby", "alice"));
            let answer = answered(show(request)).await;
            said.insert(answer.refuses_with(401, "unauthorized"));
            assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"kijimuna\"");
        }
    }
    assert_eq!(said.len(), 1, "which half was wrong isn't told: {said:?}");
}

#[tokio::test]
async fn only_the_operator_makes_services_when_there_is_an_admin_key() {
    let options = AppOptions { admin_key: Some("the key".to_owned()), ..AppOptions::default() };
    let server = Server::with(limits(), options).await;
    let ask = || anyone_asks(&server, Method::POST, "/api/services");
    for request in [
        ask(),
        ask().bearer_auth("the ke"),
        ask().bearer_auth("the key!"),
        ask().bearer_auth(""),
        ask().basic_auth("the key", Some("the key")),
        ask().header("authorization", "the key"),
    ] {
        let answer = answered(request).await;
        answer.refuses_with(401, "admin_key_required");
        assert_eq!(
            answer.headers["www-authenticate"], "Bearer realm=\"kijimuna\"",
            "the way in that there is"
        );
    }
    assert_eq!(answered(ask().bearer_auth("the key")).await.status, 201);
    assert_eq!(answered(ask().header("authorization", "bearer the key")).await.status, 201);
}

#[tokio::test]
async fn a_path_takes_only_the_methods_of_its_rows() {
    let server = Server::start().await;
    let world = server.world().await;
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"];
    let patterns: BTreeSet<&str> = rows().into_iter().map(|row| row.pattern).collect();
    for pattern in patterns {
        let of_pattern: Vec<Row> = rows().into_iter().filter(|row| row.pattern == pattern).collect();
        let taken: BTreeSet<&str> = of_pattern.iter().map(|row| row.method.as_str()).collect();
        for method in methods.into_iter().filter(|method| !taken.contains(method)) {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let path = of_pattern[0].path("lobby", "alice");
            let answer = answered(world.request(method, &path)).await;
            answer.refuses_with(405, "method_not_allowed");
            let allowed: BTreeSet<&str> = answer.headers["allow"].to_str().unwrap().split(',').collect();
            assert!(allowed.is_superset(&taken), "{pattern}: {allowed:?} isn't {taken:?}");
        }
    }
}

#[tokio::test]
async fn there_is_nothing_at_any_other_path() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    for path in [
        "/api",
        "/api/",
        "/api/group",
        "/API/groups",
        "/api/groups/",
        "/api/groups/lobby/",
        "/api//groups",
        "/api/groups/lobby/attendees/",
        "/api/groups/lobby/attendees/a/b",
        "/api/groups/lobby/message",
        "/api/groups/lobby/messages/",
        "/api/groups/lobby/messages/x/y",
        "/api/groups/lobby/export/",
        "/api/direct",
        "/api/directs/x",
        "/api/users/alice/disconnects",
        "/api/services/x",
        "/api/token/",
        "/api/token/x",
        "/api/users/",
        "/ws",
        "/ws/connects",
        "/.env",
        "/%00",
        "/api%2Fgroups",
        "/apis/groups",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            answered(world.request(method, path)).await.refuses_with(404, "route_not_found");
        }
    }
}

#[tokio::test]
async fn a_path_that_is_not_percent_encoded_utf_8_is_malformed() {
    let server = Server::start().await;
    let world = server.world().await;
    world.person("alice").await;
    world.has_group("%zz").await;
    let with_ids: Vec<Row> = rows().into_iter().filter(|row| row.pattern.contains('{')).collect();
    for bad in ["%FF", "a%C3", "%ED%A0%80", "%zz", "100%", "%2", "%%41"] {
        for row in &with_ids {
            let path = row.pattern.replace("{id}", bad).replace("{user}", "alice").replace("{message}", "x");
            let request = world.request(row.method.clone(), &path).json(&row.body("lobby", "alice"));
            answered(request).await.refuses_with(400, "malformed");
        }
        let path = format!("/api/groups/lobby/attendees/{bad}");
        world.delete(&path).await.refuses_with(400, "malformed");
        let path = format!("/api/groups/lobby/messages/{bad}");
        world.delete(&path).await.refuses_with(400, "malformed");
    }
    assert_eq!(world.get("/api/groups").await.json()["total"], 1, "nothing was deleted by another spelling");
}

#[tokio::test]
async fn a_path_to_an_id_that_none_can_have_is_a_path_to_nothing() {
    let server = Server::start().await;
    let world = server.world().await;
    for id in ["a\nb", "\0", "\u{7f}", &"x".repeat(129), &"🏠".repeat(129)] {
        world.get(&format!("/api/groups/{}", encoded(id))).await.refuses_with(404, "group_not_found");
        world.get(&format!("/api/users/{}", encoded(id))).await.refuses_with(404, "user_not_found");
    }
}

#[tokio::test]
async fn dots_are_ids_like_any_other() {
    let server = Server::start().await;
    let world = server.world().await;
    for id in [".", ".."] {
        world.has_group(id).await;
        // A browser's kind of URL takes dots out of a path, so this one is written by hand.
        for path in [id.to_owned(), id.replace('.', "%2e")] {
            let request = format!("{}\r\n", head(&world, &format!("GET /api/groups/{path}")));
            let shown = json!({"id": id, "name": id, "attendees": []});
            assert_eq!(answered_raw(&server, request.as_bytes()).await, (200, shown));
        }
    }
}

#[tokio::test]
async fn a_body_says_that_it_is_json() {
    let server = Server::start().await;
    let world = server.world().await;
    for row in rows_with_bodies() {
        let ask = || row.bare(&world, "lobby", "alice").body(row.body("lobby", "alice").unwrap().to_string());
        answered(row.bare(&world, "lobby", "alice")).await.refuses_with(415, "unsupported_media_type");
        answered(ask()).await.refuses_with(415, "unsupported_media_type");
        for kind in ["text/plain", "application/jsonp", "application/x-www-form-urlencoded", "json", "", "é"]
        {
            answered(ask().header("content-type", kind)).await.refuses_with(415, "unsupported_media_type");
        }
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"] {
        let request = world.request(Method::POST, "/api/groups").header("content-type", kind);
        assert_eq!(answered(request.body(r#"{"name":"x"}"#)).await.status, 201);
    }
}

#[tokio::test]
async fn a_body_is_a_json_object() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let deep = format!(r#"{{"custom":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let broken: [&[u8]; 16] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{\"name\"}",
        b"{\"name\":}",
        b"{'name':'x'}",
        b"{\"name\":\"x\"} x",
        b"{\"name\":\"x\",}",
        b"{\"name\":\"\xff\"}",
        br#"{"name":"\ud800"}"#,
        br#"{"name":"\x"}"#,
        br#"{"custom":1e999}"#,
        br#"{"custom":NaN}"#,
        b"\xef\xbb\xbf{}",
        deep.as_bytes(),
    ];
    let no_object: [&[u8]; 6] = [b"null", b"true", b"5", b"\"name\"", b"[]", b"[{\"name\":\"x\"}]"];
    for row in rows_with_bodies() {
        for body in broken.iter().chain(&no_object) {
            answered(json_body(&world, &row, body.to_vec())).await.refuses_with(400, "malformed");
        }
    }
    assert_eq!(world.get("/api/groups").await.json()["total"], 1);
}

#[tokio::test]
async fn a_body_has_at_most_64_kib() {
    let server = Server::start().await;
    let world = server.world().await;
    for row in rows_with_bodies() {
        for bytes in [BODY_BYTES_MAX + 1, 1024 * 1024] {
            let answer = answered(json_body(&world, &row, body_of(bytes))).await;
            answer.refuses_with(413, "body_too_large");
        }
    }
    let making = Row { method: Method::POST, pattern: "/api/groups" };
    assert_eq!(answered(json_body(&world, &making, body_of(BODY_BYTES_MAX))).await.status, 201);
    assert_eq!(world.get("/api/groups").await.json()["total"], 1);
}

/// On threads of their own, so that the client writes while the server answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_still_writes_far_too_much_is_answered_too() {
    let server = Server::start().await;
    let world = server.world().await;
    let body = body_of(8 * 1024 * 1024);
    let ask = |method, path| {
        world.request(method, path).header("content-type", "application/json").body(body.clone())
    };
    for _ in 0..10 {
        answered(ask(Method::POST, "/api/groups")).await.refuses_with(413, "body_too_large");
        answered(ask(Method::POST, "/api/nothing")).await.refuses_with(404, "route_not_found");
        answered(ask(Method::PUT, "/api/groups")).await.refuses_with(405, "method_not_allowed");
        let stranger = anyone_asks(&server, Method::POST, "/api/groups").body(body.clone());
        answered(stranger).await.refuses_with(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_body_in_chunks_has_at_most_64_kib_too() {
    let server = Server::start().await;
    let world = server.world().await;
    for (bytes, status) in [(BODY_BYTES_MAX, 201), (BODY_BYTES_MAX + 1, 413)] {
        let mut request = head(&world, "POST /api/groups");
        request.push_str("content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
        for chunk in body_of(bytes).as_bytes().chunks(10_000) {
            let text = str::from_utf8(chunk).unwrap();
            request.push_str(&format!("{:x}\r\n{text}\r\n", chunk.len()));
        }
        request.push_str("0\r\n\r\n");
        let (answered, body) = answered_raw(&server, request.as_bytes()).await;
        assert_eq!(answered, status, "{body}");
        assert_eq!(body.get("code"), (status == 413).then(|| json!("body_too_large")).as_ref());
    }
    let broken = head(&world, "POST /api/groups")
        + "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n";
    let (status, body) = answered_raw(&server, broken.as_bytes()).await;
    assert_eq!((status, &body["code"]), (400, &json!("malformed")));
}

#[tokio::test]
async fn http_2_is_served_on_the_same_port() {
    let server = Server::start().await;
    let world = server.world().await;
    let (client, secret) = world.credentials();
    let http = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let ask = |method, path: &str| {
        http.request(method, format!("{}{path}", server.base))
            .header("client", client)
            .header("secret", secret)
    };
    let made = ask(Method::POST, "/api/groups").json(&json!({"id": "a/b 🏠"})).send().await.unwrap();
    assert_eq!((made.version(), made.status().as_u16()), (reqwest::Version::HTTP_2, 201));
    let shown = answered(ask(Method::GET, "/api/groups/a%2Fb%20%F0%9F%8F%A0")).await;
    assert_eq!(shown.expect_success()["name"], "a/b 🏠");
    answered(ask(Method::GET, "/api/users/nobody")).await.refuses_with(404, "user_not_found");
    let too_large = ask(Method::POST, "/api/groups").header("content-type", "application/json");
    answered(too_large.body(body_of(BODY_BYTES_MAX + 1))).await.refuses_with(413, "body_too_large");
    answered(ask(Method::GET, "/ws/connects/x")).await.refuses_with(426, "upgrade_required");
}

#[tokio::test]
async fn a_socket_s_path_wants_a_handshake() {
    let server = Server::start().await;
    let world = server.world().await;
    let answer = world.get("/ws/connects/x").await;
    answer.refuses_with(426, "upgrade_required");
    assert_eq!(answer.headers["upgrade"], "websocket");
    let ask = || {
        world
            .request(Method::GET, "/ws/connects/x")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
    };
    answered(ask().header("sec-websocket-version", "12")).await.refuses_with(426, "upgrade_required");
    answered(ask().header("sec-websocket-version", "13")).await.refuses_with(400, "malformed");
    answered(world.request(Method::POST, "/ws/connects/x")).await.refuses_with(405, "method_not_allowed");
    world.get("/ws/connects/%FF").await.refuses_with(400, "malformed");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let options = AppOptions { rest_rate_per_s: 2, ..AppOptions::default() };
    let server = Server::with(limits(), options).await;
    let (hasty, calm) = (server.world().await, server.world().await);
    for row in rows() {
        let refused = until_refused(|| row.asked(&hasty, "lobby", "alice")).await;
        refused.refuses_with(429, "rate_limited");
        assert_eq!(refused.headers["retry-after"], "1");
    }
    assert_eq!(calm.get("/api/groups").await.status, 200, "another tenant isn't held back");
}

/// Asks without a pause, which is faster than any small rate, until the answer is 429.
async fn until_refused(ask: impl AsyncFn() -> Answer) -> Answer {
    within("a 429", async {
        loop {
            let answer = ask().await;
            if answer.status == 429 {
                return answer;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_stops_takes_nothing_new() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    let before = (world.get("/api/groups/lobby").await.text, world.get("/api/users").await.text);
    assert_eq!(world.get("/readyz").await.status, 200);
    server.engine.drain().await;
    for row in rows().into_iter().filter(Row::changes) {
        let refused = row.asked(&world, "lobby", "alice").await;
        refused.refuses_with(503, "draining");
        assert_eq!(refused.headers["retry-after"], "1");
    }
    world.get("/readyz").await.refuses_with(503, "draining");
    assert_eq!(world.get("/healthz").await.status, 200, "it is alive until it ends");
    let after = (world.get("/api/groups/lobby").await.text, world.get("/api/users").await.text);
    assert_eq!(after, before, "what is asked for is still shown, and nothing has changed");
}
