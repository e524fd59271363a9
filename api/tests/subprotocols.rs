//! Which dialect a WebSocket speaks: the first that a client offers of those that there are.
#![allow(missing_docs)]

mod common;

use common::Server;
use common::raw::{dial, handshake};
use engine::testkit::{Encoding, World, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const JSON: &str = "kijimuna.v2.json";
const MSGPACK: &str = "kijimuna.v2.msgpack";

/// The head of the answer to a handshake with these headers in it, and the first byte of what comes next.
async fn answered(world: &World, token: &str, headers: &str) -> (String, u8) {
    let request = handshake(token).replace("\r\n\r\n", &format!("\r\n{headers}\r\n"));
    let mut stream = dial(world.base()).await;
    within("a handshake", stream.write_all(request.as_bytes())).await.expect("sent");
    let mut read = Vec::new();
    loop {
        read.push(within("a head", stream.read_u8()).await.expect("a byte"));
        if read.ends_with(b"\r\n\r\n") {
            let first = within("a frame", stream.read_u8()).await.expect("a byte");
            return (String::from_utf8(read).expect("ASCII").to_lowercase(), first);
        }
    }
}

#[tokio::test]
async fn the_first_offer_that_is_known_is_taken() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    world.person("alice").await.attends("lobby").await;
    for (offers, taken) in [
        (vec![], None),
        (vec!["chat, superchat"], None),
        (vec![""], None),
        (vec!["KIJIMUNA.V2.JSON"], None),
        (vec!["kijimuna.v3.json, kijimuna.v2"], None),
        (vec![JSON], Some(JSON)),
        (vec![MSGPACK], Some(MSGPACK)),
        (vec!["kijimuna.v2.json,kijimuna.v2.msgpack"], Some(JSON)),
        (vec!["chat , kijimuna.v2.msgpack, kijimuna.v2.json"], Some(MSGPACK)),
        (vec![MSGPACK, JSON], Some(MSGPACK)),
        (vec!["chat", JSON], Some(JSON)),
        (vec!["é", JSON], Some(JSON)),
    ] {
        let headers: String =
            offers.iter().map(|offer| format!("Sec-WebSocket-Protocol: {offer}\r\n")).collect();
        let (head, first) = answered(&world, &world.token("lobby", "alice").await, &headers).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let chosen = head.lines().filter_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(chosen.collect::<Vec<_>>(), taken.into_iter().collect::<Vec<_>>(), "{offers:?}");
        let is_binary = first == 0x82;
        assert_eq!(is_binary, taken == Some(MSGPACK), "{offers:?}: {first:x}");
    }
}

#[tokio::test]
async fn a_ticket_opens_one_connection_as_a_token_does() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let alice = world.person("alice").await;
    alice.attends("lobby").await;
    let (peer, _) = alice.enters("lobby", Encoding::Msgpack).await;
    let ticket = peer.ticket.clone();
    assert!(ticket.len() > 43, "longer than a token: {}", ticket.len());
    peer.vanishes();
    let mut back = world.connect_v2(&ticket, Encoding::Json).await;
    assert_eq!(back.is_welcomed().await["g"], "lobby");
    back.does(2, json!({"m": "back"})).await;
    world.connect_v2(&ticket, Encoding::Json).await.is_closed_with(4501).await;
    for bad in [&ticket[1..], &ticket[..ticket.len() - 1], &"x".repeat(5_000), &back.ticket.to_uppercase()] {
        world.connect_v2(bad, Encoding::Json).await.is_closed_with(4501).await;
        world.connect(bad).await.is_closed_with(4501).await;
    }
}
