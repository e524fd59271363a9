//! What one client does wrong, and that nobody else notices.
#![allow(missing_docs)]

mod common;

use common::raw::{BINARY, CLOSE, CONTINUATION, Event, FIN, PING, PONG, Raw, TEXT, frame, saying, text};
use common::{Server, limits};
use engine::config::Limits;
use engine::testkit::{Chatter, World};
use kijimuna_api::AppOptions;
use serde_json::json;

const KIB: usize = 1024;

/// A group in which mallory misbehaves, bob listens and carol talks.
struct Scene {
    server: Server,
    world: World,
    mallory: Raw,
    bob: Chatter,
    carol: Chatter,
}

impl Scene {
    async fn begins() -> Self {
        Self::begins_with(limits()).await
    }

    async fn begins_with(limits: Limits) -> Self {
        let server = Server::with(limits, AppOptions::default()).await;
        let world = server.world().await;
        world.has_group("lobby").await;
        world.person("mallory").await.attends("lobby").await;
        let mallory = Raw::joins(&world, "lobby", "mallory").await;
        let mut bob = world.person("bob").await.joins("lobby").await;
        bob.is_given_history().await;
        let mut carol = world.person("carol").await.joins("lobby").await;
        carol.is_given_history().await;
        Self { server, world, mallory, bob, carol }
    }

    /// What carol says is the next that bob hears.
    async fn harmed_nobody(&mut self) {
        self.carol.says("still here").await;
        self.carol.hears("still here").await;
        self.bob.hears("still here").await;
        assert_eq!(self.server.engine.metrics().group_crashes.get(), 0);
    }

    /// The same, and mallory's connection stays.
    async fn harmed_nobody_and_goes_on(&mut self) {
        self.harmed_nobody().await;
        self.mallory.hears("still here").await;
        self.mallory.says("sorry").await;
        self.mallory.hears("sorry").await;
        self.bob.hears("sorry").await;
        self.carol.hears("sorry").await;
    }

    async fn refuses(&mut self, bytes: &[u8], code: &str) {
        self.mallory.sends(bytes).await;
        self.mallory.is_refused_with(code).await;
    }

    async fn hears_from_mallory(&mut self, words: &str) {
        self.mallory.hears(words).await;
        self.bob.hears(words).await;
        self.carol.hears(words).await;
    }
}

/// Each of these, from a client of its own, is answered by a close.
async fn each_closes(code: u16, wrongs: &[(&str, Vec<u8>)]) {
    let mut scene = Scene::begins().await;
    for (what, bytes) in wrongs {
        let mut mallory = Raw::joins(&scene.world, "lobby", "mallory").await;
        mallory.throws(bytes).await;
        assert_eq!(mallory.event_but_rosters().await, Event::Closed(Some(code)), "{what}");
        scene.harmed_nobody().await;
        scene.mallory.hears("still here").await;
    }
}

/// Each of these is answered by an error, nothing is stored, and the connection stays.
async fn each_is_refused(code: &str, wrongs: &[&str]) {
    let mut scene = Scene::begins().await;
    for wrong in wrongs {
        scene.mallory.sends(&text(wrong)).await;
        match scene.mallory.event_but_rosters().await {
            Event::Frame(frame) => assert_eq!(frame["d"]["c"], code, "{wrong} was answered with {frame}"),
            other => panic!("{wrong} was answered with {other:?}"),
        }
    }
    scene.harmed_nobody_and_goes_on().await;
    assert_eq!(scene.bob.reads_history(json!({})).await.len(), 2, "nothing else was stored");
}

#[tokio::test]
async fn what_is_no_json_map_is_malformed() {
    let wrongs = [
        "",
        " ",
        "hello",
        "{",
        "}",
        "{}}",
        "[]",
        "[2,{\"m\":\"hi\"}]",
        "null",
        "2",
        "\"{}\"",
        "\u{0}",
        "{'a':2}",
        "{\"a\":2,\"d\":{\"m\":\"hi\"}",
        "{\"a\":2,\"d\":{\"m\":\"hi\"}}{}",
        "{\"a\":2,\"d\":{\"m\":\"hi}}",
        "{\"a\":02}",
        "{\"a\":2,}",
        "{\"a\":NaN}",
        "\u{feff}{\"a\":2,\"d\":{\"m\":\"hi\"}}",
    ];
    each_is_refused("malformed", &wrongs).await;
}

#[tokio::test]
async fn what_has_a_wrong_type_is_an_invalid_field() {
    let wrongs = [
        "{}",
        r#"{"d":{"m":"hi"}}"#,
        r#"{"a":null,"d":{"m":"hi"}}"#,
        r#"{"a":"2","d":{"m":"hi"}}"#,
        r#"{"a":true}"#,
        r#"{"a":[2]}"#,
        r#"{"a":-2}"#,
        r#"{"a":2.5}"#,
        r#"{"a":2}"#,
        r#"{"a":2,"d":null}"#,
        r#"{"a":2,"d":"hi"}"#,
        r#"{"a":2,"d":["hi"]}"#,
        r#"{"a":2,"d":{}}"#,
        r#"{"a":2,"d":{"m":null}}"#,
        r#"{"a":2,"d":{"m":7}}"#,
        r#"{"a":2,"d":{"m":["hi"]}}"#,
        r#"{"a":2,"d":{"m":{"m":"hi"}}}"#,
        r#"{"a":2,"d":{"M":"hi"}}"#,
        r#"{"a":3,"d":[]}"#,
        r#"{"a":3,"d":7}"#,
        r#"{"a":3,"d":{"b":true}}"#,
        r#"{"a":3,"d":{"b":-1}}"#,
        r#"{"a":3,"d":{"b":{}}}"#,
        r#"{"a":3,"d":{"l":"10"}}"#,
        r#"{"a":3,"d":{"l":0}}"#,
        r#"{"a":3,"d":{"l":-1}}"#,
        r#"{"a":3,"d":{"l":1.5}}"#,
    ];
    each_is_refused("invalid_field", &wrongs).await;
}

#[tokio::test]
async fn an_empty_text_is_an_invalid_field() {
    each_is_refused("invalid_field", &[r#"{"a":2,"d":{"m":""}}"#]).await;
}

#[tokio::test]
async fn what_a_client_cant_ask_for_is_an_unknown_action() {
    let wrongs = [
        r#"{"a":0}"#,
        r#"{"a":1,"d":{"on":[],"off":[]}}"#,
        r#"{"a":4}"#,
        r#"{"a":5,"d":{"c":"internal","m":"x"}}"#,
        r#"{"a":99,"d":{"m":"hi"}}"#,
        r#"{"a":18446744073709551615}"#,
    ];
    each_is_refused("unknown_action", &wrongs).await;
}

#[tokio::test]
async fn an_id_of_no_message_of_the_group_is_not_found() {
    let wrongs = [
        r#"{"a":3,"d":{"b":""}}"#,
        r#"{"a":3,"d":{"b":"nonsense"}}"#,
        r#"{"a":3,"d":{"b":"5c73fc6510629c189f94e04c"}}"#,
    ];
    each_is_refused("message_not_found", &wrongs).await;
}

#[tokio::test]
async fn depth_costs_nothing() {
    let mut scene = Scene::begins().await;
    let (open, close) = ("[".repeat(30_000), "]".repeat(30_000));
    scene.refuses(&text(&open), "malformed").await;
    scene.refuses(&text(&format!("{open}{close}")), "malformed").await;
    scene.refuses(&text(&"{\"a\":".repeat(10_000)), "malformed").await;
    scene.refuses(&text(&format!("{{\"a\":{open}{close}}}")), "invalid_field").await;
    scene.refuses(&text(&format!("{{\"a\":2,\"d\":{open}{close}}}")), "invalid_field").await;
    scene.refuses(&text(&format!("{{\"a\":2,\"d\":{{\"m\":{open}{close}}}}}")), "invalid_field").await;
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn a_binary_frame_is_refused() {
    let mut scene = Scene::begins().await;
    scene.refuses(&frame(FIN | BINARY, saying("hi").as_bytes()), "binary_frame").await;
    scene.refuses(&frame(FIN | BINARY, b""), "binary_frame").await;
    scene.mallory.sends(&frame(BINARY, &[0xFF; 100])).await;
    scene.refuses(&frame(FIN | CONTINUATION, &[0xFE; 100]), "binary_frame").await;
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn what_isnt_utf8_is_malformed() {
    let mut scene = Scene::begins().await;
    for wrong in [&b"{\"a\":2,\"d\":{\"m\":\"\xFF\"}}"[..], b"\xC0\xAF", b"\xED\xA0\x80", b"{\"\xF0\x9F\x8F"]
    {
        scene.refuses(&frame(FIN | TEXT, wrong), "malformed").await;
    }
    scene.mallory.sends(&frame(TEXT, b"{\"a\":2,\"d\":{\"m\":\"\xE6\x97")).await;
    scene.refuses(&frame(FIN | CONTINUATION, b"\"}}"), "malformed").await;
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn a_text_of_16_kib_is_heard_and_a_byte_more_is_too_large() {
    let mut scene = Scene::begins().await;
    let longest = "x".repeat(16 * KIB);
    scene.mallory.says(&longest).await;
    scene.hears_from_mallory(&longest).await;
    scene.refuses(&text(&saying(&"x".repeat(16 * KIB + 1))), "message_too_large").await;
    // It is the bytes of the text that count, neither its characters nor the escapes on the wire.
    scene.refuses(&text(&saying(&"é".repeat(8 * KIB + 1))), "message_too_large").await;
    let escaped = format!("{{\"a\":2,\"d\":{{\"m\":\"{}\"}}}}", "\\n".repeat(16 * KIB));
    scene.mallory.sends(&text(&escaped)).await;
    scene.hears_from_mallory(&"\n".repeat(16 * KIB)).await;
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn a_frame_of_64_kib_is_answered() {
    let mut scene = Scene::begins().await;
    scene.refuses(&text(&saying_in_bytes(64 * KIB)), "message_too_large").await;
    scene
        .mallory
        .sends(&text(&format!("{}{}", saying("padded"), " ".repeat(64 * KIB - saying("padded").len()))))
        .await;
    scene.hears_from_mallory("padded").await;
    let (start, end) = ("x".repeat(32 * KIB), "y".repeat(32 * KIB));
    scene.mallory.sends(&frame(TEXT, start.as_bytes())).await;
    scene.refuses(&frame(FIN | CONTINUATION, end.as_bytes()), "malformed").await;
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn what_is_over_64_kib_closes() {
    let million = format!("[{}0]", "0,".repeat(999_999));
    let third = vec![b' '; 22 * KIB];
    let thirds =
        [frame(TEXT, &third), frame(CONTINUATION, &third), frame(FIN | CONTINUATION, &third)].concat();
    let endless = [frame(TEXT, b"{"), frame(CONTINUATION, b" ").repeat(64 * KIB)].concat();
    let wrongs = [
        ("a byte more", text(&saying_in_bytes(64 * KIB + 1))),
        ("an array of a million", text(&million)),
        ("binary", frame(FIN | BINARY, &vec![0; 64 * KIB + 1])),
        ("fragments that together are more", thirds),
        ("fragments without end", endless),
        (
            "only the head of 2^63 bytes",
            vec![FIN | TEXT, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4],
        ),
    ];
    each_closes(4502, &wrongs).await;
}

#[tokio::test]
async fn fragments_are_put_together() {
    let mut scene = Scene::begins().await;
    let words = "naïve 日本語 👩‍👩‍👧‍👦 \u{202e}";
    let whole = saying(words).into_bytes();
    scene.mallory.sends(&frame(TEXT, b"")).await;
    for byte in &whole {
        scene.mallory.sends(&frame(CONTINUATION, &[*byte])).await;
    }
    scene.mallory.sends(&frame(FIN | CONTINUATION, b"")).await;
    scene.hears_from_mallory(words).await;

    // A frame may also come in as many segments as it likes.
    for byte in text(&saying(words)) {
        scene.mallory.sends(&[byte]).await;
    }
    scene.hears_from_mallory(words).await;
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn pings_between_fragments_are_answered_with_the_same_payload() {
    let mut scene = Scene::begins().await;
    let whole = saying("between pings");
    let (start, end) = whole.as_bytes().split_at(9);
    scene.mallory.sends(&frame(TEXT, start)).await;
    for payload in [&b""[..], b"\x00\xFF", &[b'p'; 125]] {
        scene.mallory.sends(&frame(FIN | PING, payload)).await;
        assert_eq!(scene.mallory.event_but_rosters().await, Event::Pong(payload.to_vec()));
    }
    // Nobody asked for this one, and nobody minds.
    scene.mallory.sends(&frame(FIN | PONG, b"unasked")).await;
    scene.mallory.sends(&frame(FIN | CONTINUATION, end)).await;
    scene.hears_from_mallory("between pings").await;
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn what_is_no_websocket_frame_closes() {
    let mut unmasked = vec![FIN | TEXT, u8::try_from(saying("hi").len()).expect("short")];
    unmasked.extend(saying("hi").into_bytes());
    let mut wrongs = vec![
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"x")),
        ("a text within a text", [frame(TEXT, b"x"), text(&saying("hi"))].concat()),
        ("a text that isn't UTF-8 within a text", [frame(TEXT, b"x"), frame(FIN | TEXT, b"\xFF")].concat()),
        ("a binary frame within a text", [frame(TEXT, b"x"), frame(FIN | BINARY, b"x")].concat()),
        ("a frame without a mask", unmasked),
        ("bytes of another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ];
    for (what, bit) in [("the first reserved bit", 0x40), ("the second", 0x20), ("the third", 0x10)] {
        wrongs.push((what, frame(FIN | TEXT | bit, saying("hi").as_bytes())));
    }
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        wrongs.push(("a reserved opcode", frame(FIN | opcode, b"x")));
    }
    for opcode in [CLOSE, PING, PONG] {
        wrongs.push(("a control frame in fragments", frame(opcode, b"")));
        wrongs.push(("a control frame of 126 bytes", frame(FIN | opcode, &[b'x'; 126])));
    }
    each_closes(4500, &wrongs).await;
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_answered() {
    let mut scene = Scene::begins().await;
    scene.mallory.sends(&frame(FIN | CLOSE, b"\x03\xE8bye")).await;
    scene.mallory.is_closed_with(1000).await;
    scene.bob.sees_online(&["bob", "carol"]).await;
    scene.harmed_nobody().await;
}

#[tokio::test]
async fn a_client_that_goes_without_a_word_is_offline() {
    let Scene { server, world, mallory, mut bob, carol } = Scene::begins().await;
    bob.sees_online(&["bob", "carol", "mallory"]).await;
    drop(mallory);
    bob.sees_online(&["bob", "carol"]).await;
    // What is left unread makes the kernel reset the connection.
    let unread = Raw::connects(&world, &world.token("lobby", "mallory").await).await;
    bob.sees_online(&["bob", "carol", "mallory"]).await;
    drop(unread);
    bob.sees_online(&["bob", "carol"]).await;
    // And this one goes in the middle of a frame.
    let mut torn = Raw::joins(&world, "lobby", "mallory").await;
    torn.sends(&text(&saying("never finished"))[..20]).await;
    bob.sees_online(&["bob", "carol", "mallory"]).await;
    drop(torn);
    bob.sees_online(&["bob", "carol"]).await;
    let mallory = Raw::joins(&world, "lobby", "mallory").await;
    Scene { server, world, mallory, bob, carol }.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn half_a_frame_and_then_silence_is_silence() {
    let limits = Limits { ping_interval_ms: 100, pong_timeout_ms: 2_000, ..limits() };
    let Scene { world, mut mallory, mut bob, carol, server: _server } = Scene::begins_with(limits).await;
    carol.leaves().await;
    mallory.sends(&text(&saying("never finished"))[..20]).await;
    let then_carol = async {
        assert_eq!(mallory.event_but_rosters().await, Event::Ping(Vec::new()));
        mallory.is_closed_with(4002).await;
        world.connect(&world.token("lobby", "carol").await).await.says("still here").await;
    };
    // Bob listens all the while, as a client does that answers pings.
    tokio::join!(then_carol, bob.hears("still here"));
}

#[tokio::test]
async fn what_a_client_says_of_id_author_and_time_is_ignored() {
    let mut scene = Scene::begins().await;
    let forged = r#"{"a":2,"i":"x","p":"bob","t":1,"d":{"m":"I am bob","i":"forged","p":"bob","t":1,"s":1}}"#;
    scene.mallory.sends(&text(forged)).await;
    let heard = scene.bob.hears("I am bob").await;
    assert_eq!(heard["p"], "mallory");
    assert!(heard["i"] != "forged" && heard["t"].as_u64().is_some_and(|t| t > 1_600_000_000_000), "{heard}");
    scene.carol.hears("I am bob").await;
    scene.mallory.hears("I am bob").await;
    assert_eq!(scene.carol.reads_history(json!({})).await, [heard]);
    scene.harmed_nobody_and_goes_on().await;
}

#[tokio::test]
async fn who_says_too_much_is_refused_and_nothing_of_it_is_stored() {
    let limits = Limits { send_rate_per_s: 1, send_burst: 3, ..limits() };
    let mut scene = Scene::begins_with(limits).await;
    for number in 0..30 {
        scene.mallory.says(&number.to_string()).await;
    }
    let (mut heard, mut refused) = (Vec::new(), 0);
    while heard.len() + refused < 30 {
        match scene.mallory.event_but_rosters().await {
            Event::Frame(frame) if frame["a"] == 2 => heard.push(frame["d"].clone()),
            Event::Frame(frame) if frame["d"]["c"] == "rate_limited" => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(heard.len() >= 3 && refused >= 1, "a burst passes, and not everything does");
    assert_eq!(scene.bob.reads_history(json!({})).await, heard, "what was refused isn't stored");
    for message in &heard {
        assert_eq!(scene.bob.hears_something().await, *message);
        scene.carol.hears_something().await;
    }
    scene.harmed_nobody().await;
    scene.mallory.hears("still here").await;
    scene.mallory.sends(&text(r#"{"a":3,"d":{"l":1}}"#)).await;
    assert_eq!(scene.mallory.next(3).await["h"][0]["m"], "still here", "the connection stays");
}

#[tokio::test]
async fn who_asks_for_too_many_pages_is_refused() {
    let limits = Limits { request_rate_per_s: 1, request_burst: 3, ..limits() };
    let mut scene = Scene::begins_with(limits).await;
    for _ in 0..30 {
        scene.mallory.sends(&text(r#"{"a":3}"#)).await;
    }
    let (mut pages, mut refused) = (0, 0);
    while pages + refused < 30 {
        match scene.mallory.event_but_rosters().await {
            Event::Frame(frame) if frame["a"] == 3 => pages += 1,
            Event::Frame(frame) if frame["d"]["c"] == "rate_limited" => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(pages >= 3 && refused >= 1, "a burst passes, and not everything does");
    scene.harmed_nobody_and_goes_on().await;
}

/// A frame that says something and has this size.
fn saying_in_bytes(bytes: usize) -> String {
    saying(&"x".repeat(bytes - saying("").len()))
}
