//! How connections begin, stay and end: handshakes, tokens, silence, slowness and places.
#![allow(missing_docs)]

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::raw::{Event, FIN, PONG, Raw, asks, dial, frame, handshake, saying, text};
use common::{Process, Server, limits};
use engine::config::Limits;
use engine::testkit::{Answer, Encoding, World, answered, within};
use kijimuna_api::AppOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KIB: usize = 1024;

async fn server_with(limits: Limits) -> (Server, World) {
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    (server, world)
}

/// A server, a tenant, a group and an attendee of it.
async fn lobby_of_alice(limits: Limits) -> (Server, World) {
    let (server, world) = server_with(limits).await;
    world.person("alice").await.attends("lobby").await;
    (server, world)
}

// Silence.

#[tokio::test]
async fn who_is_silent_is_pinged_and_then_closed() {
    let limits = Limits { ping_interval_ms: 100, pong_timeout_ms: 300, ..limits() };
    let (server, world) = lobby_of_alice(limits).await;
    let mut alice = Raw::joins(&world, "lobby", "alice").await;
    assert_eq!(alice.event_but_rosters().await, Event::Ping(Vec::new()));
    alice.is_closed_with(4002).await;
    assert!(server.engine.metrics().render().contains("kijimuna_closes_total{code=\"4002\"} 1"));
}

#[tokio::test]
async fn who_answers_pings_stays() {
    let limits = Limits { ping_interval_ms: 50, pong_timeout_ms: 5_000, ..limits() };
    let (_server, world) = lobby_of_alice(limits).await;
    let mut alice = Raw::joins(&world, "lobby", "alice").await;
    for _ in 0..10 {
        assert_eq!(alice.event_but_rosters().await, Event::Ping(Vec::new()));
        alice.sends(&frame(FIN | PONG, b"")).await;
    }
    alice.says("still here").await;
    while alice.event_but_rosters().await == Event::Ping(Vec::new()) {
        alice.sends(&frame(FIN | PONG, b"")).await;
    }
}

#[tokio::test]
async fn whatever_is_said_answers_a_ping() {
    let limits = Limits { ping_interval_ms: 50, pong_timeout_ms: 5_000, ..limits() };
    let (_server, world) = lobby_of_alice(limits).await;
    let mut alice = Raw::joins(&world, "lobby", "alice").await;
    for _ in 0..5 {
        while alice.event_but_rosters().await != Event::Ping(Vec::new()) {}
        alice.says("still here").await;
    }
    while alice.event_but_rosters().await == Event::Ping(Vec::new()) {}
}

// Slowness.

#[tokio::test]
async fn a_slow_reader_is_closed_and_the_others_hear_everything() {
    let limits = Limits { outbound_bytes_max: 128 * KIB, ..limits() };
    let (server, world) = server_with(limits).await;
    world.person("snail").await.attends("lobby").await;
    let mut snail = Raw::connects_narrowly(&world, &world.token("lobby", "snail").await).await;
    snail.next(3).await;
    let mut bob = world.person("bob").await.joins("lobby").await;
    bob.is_given_history().await;
    let mut alice = world.person("alice").await.joins("lobby").await;

    let before = server.engine.metrics().deliveries.get();
    let mut said = Vec::new();
    // Until a message, of those that alice has heard, didn't get as far as the snail's queue.
    while server.engine.metrics().deliveries.get() - before + 1 >= 3 * said.len() as u64 {
        let words = format!("{} {}", said.len(), "x".repeat(15 * KIB));
        alice.says(&words).await;
        alice.hears(&words).await;
        bob.hears(&words).await;
        said.push(words);
    }
    for words in ["one more", "and another"] {
        alice.says(words).await;
        bob.hears(words).await;
    }

    let (heard, end) = snail.hears_until_the_end().await;
    assert_eq!(end, Some(4001));
    assert!(heard.len() < said.len());
    let in_order = heard.iter().zip(&said).all(|(heard, said)| heard["m"] == said.as_str());
    assert!(in_order, "what a slow reader did get is the beginning, with nothing left out");
    bob.sees_online(&["alice", "bob"]).await;
}

#[tokio::test]
async fn a_slow_reader_misses_rosters_first_and_is_told_when_it_has_caught_up() {
    let limits = Limits { outbound_bytes_max: 1024 * KIB, roster_interval_ms: 0, ..limits() };
    let (server, world) = server_with(limits).await;
    world.person("snail").await.attends("lobby").await;
    let mut snail = Raw::connects_narrowly(&world, &world.token("lobby", "snail").await).await;
    snail.next(3).await;
    let mut alice = world.person("alice").await.joins("lobby").await;

    let (mut said, mut rounds) = (Vec::new(), 0);
    while server.engine.metrics().roster_frames_shed.get() == 0 {
        for _ in 0..8 {
            let words = format!("{} {}", said.len(), "x".repeat(15 * KIB));
            alice.says(&words).await;
            alice.hears(&words).await;
            said.push(words);
        }
        rounds += 1;
        world.patch("/api/users/alice", json!({"name": format!("Alice {rounds}")})).await.expect_success();
    }
    for words in &said {
        snail.hears(words).await;
    }
    let newest = json!(format!("Alice {rounds}"));
    loop {
        match snail.event().await {
            Event::Frame(frame) if frame["a"] == 1 => {
                if frame["d"]["on"][0]["name"] == newest {
                    break;
                }
            }
            other => panic!("{other:?} instead of a roster"),
        }
    }
    alice.says("welcome back").await;
    snail.hears("welcome back").await;
}

// Tokens.

#[tokio::test]
async fn a_token_opens_one_connection() {
    let (_server, world) = lobby_of_alice(limits()).await;
    let token = world.token("lobby", "alice").await;
    let mut first = world.connect(&token).await;
    world.connect(&token).await.is_closed_with(4501).await;
    first.says("still here").await;
    first.hears("still here").await;
}

#[tokio::test]
async fn of_many_who_try_a_token_at_once_one_gets_in() {
    let (_server, world) = lobby_of_alice(limits()).await;
    let token = world.token("lobby", "alice").await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (world, token) = (world.clone(), token.clone());
        tries.spawn(async move { Raw::connects(&world, &token).await.event().await });
    }
    let firsts = tries.join_all().await;
    let refused = firsts.iter().filter(|event| **event == Event::Closed(Some(4501))).count();
    assert_eq!(refused, 15, "{firsts:?}");
}

#[tokio::test]
async fn a_token_that_was_never_issued_is_refused_after_the_handshake() {
    let (_server, world) = server_with(limits()).await;
    let unknown = "A".repeat(43);
    let long = "x".repeat(4_000);
    for garbage in [unknown.as_str(), "x", "%00", "%F0%9F%8F%A0", "..%2F..%2Fetc", "a%20b", "null", &long] {
        Raw::connects(&world, garbage).await.is_closed_with(4501).await;
    }
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let limits = Limits { token_ttl_ms: 20, ..limits() };
    let (_server, world) = lobby_of_alice(limits).await;
    let token = world.token("lobby", "alice").await;
    // Time is what this is about: the token is to be older than it may get.
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.connect(&token).await.is_closed_with(4501).await;
}

#[tokio::test]
async fn a_user_has_only_so_many_sessions_in_a_group() {
    let limits = Limits { sessions_per_user_max: 2, ..limits() };
    let (_server, world) = lobby_of_alice(limits).await;
    let bob = world.person("bob").await;
    let (mut phone, mut laptop) = (bob.joins("lobby").await, bob.connects("lobby").await);
    phone.is_given_history().await;
    laptop.is_given_history().await;
    world.connect(&world.token("lobby", "bob").await).await.is_closed_with(4507).await;
    Raw::joins(&world, "lobby", "alice").await.says("hello, both").await;
    phone.hears("hello, both").await;
    laptop.hears("hello, both").await;
    phone.leaves().await;
    // The place of the phone is free when its connection has ended.
    bob.connects("lobby").await.is_given_history().await;
}

#[tokio::test]
async fn a_user_has_only_so_many_connections_whatever_they_are_for() {
    let limits = Limits { sessions_per_user_max: 2, ..limits() };
    let (_server, world) = lobby_of_alice(limits).await;
    let bob = world.person("bob").await;
    let phone = bob.arrives(Encoding::Json).await;
    let mut laptop = bob.arrives(Encoding::Json).await;
    // Nor does a ticket open one more: else one token would be as many connections as a server may have.
    world.connect_v2(&laptop.ticket.clone(), Encoding::Json).await.is_closed_with(4507).await;
    assert_eq!(laptop.gets(15, json!({}), 15).await, json!([]), "the others go on");
    phone.leaves().await;
    bob.arrives(Encoding::Json).await;
}

// Handshakes.

/// The status and JSON of an answer as it came over the wire.
fn parsed(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer:?}"));
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body:?}")))
}

fn says_upgrade_required(answer: &str) {
    let (status, body) = parsed(answer);
    assert_eq!((status, &body["code"]), (426, &json!("upgrade_required")), "{answer}");
    let head = answer.to_lowercase();
    assert!(head.contains("upgrade: websocket") && head.contains("sec-websocket-version: 13"), "{answer}");
}

#[tokio::test]
async fn who_doesnt_ask_for_a_websocket_is_told_to() {
    let (_server, world) = lobby_of_alice(limits()).await;
    let token = world.token("lobby", "alice").await;
    let path = format!("/ws/connects/{token}");
    let answer: Answer = answered(world.request(reqwest::Method::GET, &path)).await;
    answer.expect_error(426, "upgrade_required");

    let whole = handshake(&token).replace("Connection: Upgrade", "Connection: close, Upgrade");
    for (part, instead) in [
        ("HTTP/1.1", "HTTP/1.0"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"),
        ("Sec-WebSocket-Version: 13\r\n", ""),
        ("Connection: close, Upgrade", "Connection: close"),
        ("Upgrade: websocket", "Upgrade: h2c"),
    ] {
        says_upgrade_required(&asks(world.base(), &whole.replace(part, instead)).await);
    }
    let keyless = whole.replace("Sec-WebSocket-Key", "Sec-WebSocket-Kay");
    let (status, body) = parsed(&asks(world.base(), &keyless).await);
    assert_eq!((status, &body["code"]), (400, &json!("malformed")));

    // None of them has used the token.
    Raw::connects(&world, &token).await.next(3).await;
}

#[tokio::test]
async fn what_comes_together_with_the_handshake_is_served() {
    let (_server, world) = lobby_of_alice(limits()).await;
    let token = world.token("lobby", "alice").await;
    let both = [text(&saying("first")), text(&saying("second"))].concat();
    let mut alice = Raw::connects_saying(&world, &token, &both).await;
    assert_eq!(alice.next(3).await, json!({"h": []}));
    alice.hears("first").await;
    alice.hears("second").await;
}

/// Begins a connection with a text, and goes on with another, a byte at a time, until the server has had enough.
async fn is_dropped(base: &str, beginning: &str, trickle: &str) {
    let mut stream = dial(base).await;
    stream.write_all(beginning.as_bytes()).await.expect("sent");
    let (mut trickle, mut answer) = (trickle.bytes(), Vec::new());
    let ends = async {
        loop {
            match tokio::time::timeout(Duration::from_millis(500), stream.read_buf(&mut answer)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return,
                // The server may end in this moment; then the next read says so.
                Err(_) => _ = stream.write_all(trickle.next().as_slice()).await,
            }
        }
    };
    within(&format!("the end of a connection that began with {beginning:?}"), ends).await;
}

#[tokio::test]
async fn who_doesnt_finish_a_request_is_dropped() {
    let limits = Limits { connection_idle_ms: 5_000, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let (base, header) = (server.base.as_str(), "A: b\r\n".repeat(50));
    tokio::join!(
        is_dropped(base, "", ""),
        is_dropped(base, "G", ""),
        is_dropped(base, "GET /healthz HTTP/1.1\r\nHost: x\r\n", ""),
        is_dropped(base, "GET /healthz HTTP/1.1\r\nHost: x\r\n", &header),
        // The beginnings of HTTP/2, which the server tells from HTTP/1 by its first bytes.
        is_dropped(base, "P", "RI * HTTP/2.0"),
        is_dropped(base, "PRI * HTTP/2.0\r\n\r\nSM\r\n", ""),
        is_dropped(base, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        // One request was finished, and the next isn't.
        is_dropped(base, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", ""),
        is_dropped(base, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /", &header),
    );
    server.world().await;
}

/// A frame of HTTP/2.
fn h2_frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Follows an HTTP/2 connection to its end, answering whatever must be answered. Whether the server said goodbye.
async fn h2_ends(stream: &mut TcpStream) -> bool {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    const ACK: u8 = 1;
    let mut said_goodbye = false;
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let [_, high, low, kind, flags, ..] = head;
        let mut payload = vec![0; usize::from(high) * 256 + usize::from(low)];
        stream.read_exact(&mut payload).await.expect("a whole frame");
        said_goodbye |= kind == GOAWAY;
        let answer = match (kind, flags & ACK) {
            (SETTINGS, 0) => h2_frame(SETTINGS, ACK, 0, b""),
            (PING, 0) => h2_frame(PING, ACK, 0, &payload),
            _ => continue,
        };
        // The server may have closed meanwhile, which the next read tells.
        let _ = stream.write_all(&answer).await;
    }
    said_goodbye
}

#[tokio::test]
async fn who_asks_nothing_more_makes_place_unless_it_is_a_websocket() {
    let (_server, world) = lobby_of_alice(Limits { connection_idle_ms: 1_000, ..limits() }).await;
    let token = world.token("lobby", "alice").await;
    let mut alice = world.connect(&token).await;
    let mut stream = dial(world.base()).await;
    // GET / of the host x, whole.
    let get = h2_frame(1, 5, 1, b"\x82\x86\x84\x41\x01x");
    let request = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &h2_frame(4, 0, 0, b""), &get].concat();
    stream.write_all(&request).await.expect("sent");
    assert!(within("the end of the connection", h2_ends(&mut stream)).await, "it was told");
    alice.says("still here").await;
    alice.hears("still here").await;
}

// Places.

#[tokio::test]
async fn who_finds_no_place_is_told_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let process = Process::start(dir.path(), &["--max-connections=3"]);
    // The world keeps one connection for its requests, alice is the second, and a stranger the third.
    let world = World::at(&process.base).await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    let _stranger = dial(&process.base).await;

    let health = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let turned_away = asks(&process.base, health).await;
    let (status, body) = parsed(&turned_away);
    assert_eq!((status, &body["code"]), (503, &json!("overloaded")));
    assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()));
    assert!(turned_away.to_lowercase().contains("retry-after: "), "{turned_away}");
    alice.says("still here").await;
    alice.hears("still here").await;

    alice.leaves().await;
    // A WebSocket's place is free once its session has ended, which no answer tells.
    within("a place", async { while !asks(&process.base, health).await.starts_with("HTTP/1.1 200") {} })
        .await;
}

// Strangers.

const NODE_CLIENT: &str = r#"
const socket = new WebSocket(process.argv[1]);
const heard = [];
socket.onmessage = ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.a === 3) socket.send(JSON.stringify({ a: 2, d: { m: "I am node: é日本👩‍👩‍👧" } }));
  if (frame.a !== 2) return;
  heard.push(frame.d.m);
  if (frame.d.p === "bob") socket.close(1000, "bye");
};
socket.onerror = (event) => { console.error(event.message ?? event.error); process.exit(1); };
socket.onclose = ({ code, wasClean }) => {
  console.log(JSON.stringify({ heard, code, wasClean, protocol: socket.protocol, extensions: socket.extensions }));
};
"#;

#[tokio::test]
async fn a_client_that_others_wrote_is_served() {
    let (_server, world) = lobby_of_alice(limits()).await;
    let mut bob = world.person("bob").await.joins("lobby").await;
    bob.is_given_history().await;
    let token = world.token("lobby", "alice").await;
    let url = format!("{}/ws/connects/{token}", world.base().replacen("http", "ws", 1));
    let node = Command::new("node")
        .args(["--experimental-websocket", "--no-warnings", "--eval", NODE_CLIENT, &url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node is installed");
    bob.hears("I am node: é日本👩‍👩‍👧").await;
    bob.says("I am bob").await;
    let ended = tokio::task::spawn_blocking(move || node.wait_with_output().expect("node ends"));
    let output = within("node", ended).await.expect("waited");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["heard"], json!(["I am node: é日本👩‍👩‍👧", "I am bob"]));
    assert_eq!((&told["wasClean"], &told["code"]), (&json!(true), &json!(1000)));
    assert_eq!((&told["protocol"], &told["extensions"]), (&json!(""), &json!("")), "neither was agreed on");
}
