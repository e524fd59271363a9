//! What clients ask for in version 2: both encodings mean the same.

use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::domain::event::ModerationOp;
use crate::domain::ids::ReactionKey;
use crate::domain::profile::Change;
use crate::protocol::frame::{Ask, PageEdge, Post, ResumePoint};

const EPOCH: &str = "f3c1a9d20b7e4485";
const OTHER: &str = "部屋/1 🏠";

fn request(r: Option<u32>, in_group: Option<&str>, ask: Ask<'static>) -> Request<'static> {
    Request { r, group: in_group.map(group), ask }
}

fn some_custom() -> Custom {
    custom(&json!({
        "emoji": "🌺",
        "list": [1, -2, 300, 70000, 5_000_000_000_u64, -5_000_000_000_i64, 1.5, -0.25, null, true, "é"],
        "map": {"": {}, "a b": [[]]},
    }))
}

fn with_custom(value: &Value) -> Ask<'static> {
    Ask::Post(Post { text: "x".into(), custom: Some(custom(value)), ..Post::default() })
}

fn plain(text: &'static str) -> Ask<'static> {
    Ask::Post(Post { text: text.into(), ..Post::default() })
}

fn messages() -> Vec<(&'static str, Request<'static>)> {
    let everything = Post {
        text: "wörld 🌍 \"quoted\"\n\u{0}".into(),
        client_id: Some(client_id("c-1")),
        again: true,
        reply_to: Some(message_id(42)),
        custom: Some(some_custom()),
    };
    let first = Post {
        text: format!("{}…", "長い話 ".repeat(20)).into(),
        client_id: Some(client_id(&"é".repeat(64))),
        ..Post::default()
    };
    let free = Post { text: "order is free".into(), custom: Some(custom(&json!([]))), ..Post::default() };
    let fifth = |n: u64| (format!("k{n:02}"), Value::from(n.pow(5)));
    let many = Value::Object((0..17).map(fifth).collect());
    vec![
        ("message", request(None, None, plain("test message"))),
        ("message with everything", request(Some(8), Some("lobby"), Ask::Post(everything))),
        ("message for the first time", request(Some(0), None, Ask::Post(first))),
        ("message in another order", request(Some(u32::MAX), None, Ask::Post(free))),
        ("message with unknown fields", request(None, None, plain("x"))),
        ("message with a custom map of many", request(None, None, with_custom(&many))),
        ("message with a custom text", request(None, None, with_custom(&json!("🌺")))),
        ("message with a custom false", request(None, None, with_custom(&json!(false)))),
        ("message whose optional fields are null", request(None, None, plain("x"))),
    ]
}

fn pages() -> Vec<(&'static str, Request<'static>)> {
    let page = |edge, limit| Ask::History { edge, limit };
    let (before, after) = (PageEdge::BeforeSeq(Seq(70_000)), PageEdge::AfterId(message_id(1)));
    vec![
        ("history", request(None, None, page(PageEdge::Newest, None))),
        ("history without anything", request(Some(2), None, page(PageEdge::Newest, None))),
        ("history of so many", request(None, None, page(PageEdge::Newest, Some(100)))),
        ("history before a sequence", request(None, None, page(before, Some(10)))),
        ("history before a message", request(None, None, page(PageEdge::BeforeId(message_id(70_000)), None))),
        ("history after a sequence", request(None, None, page(PageEdge::AfterSeq(Seq(0)), None))),
        ("history after a message", request(Some(3), Some("lobby"), page(after, Some(1_000)))),
    ]
}

fn changes() -> Vec<(&'static str, Request<'static>)> {
    let edit = |text: Option<&'static str>, custom| Ask::Edit {
        id: message_id(42),
        text: text.map(Into::into),
        custom,
    };
    let delete = || Ask::Delete { id: message_id(42) };
    let react = |key, set| Ask::React { id: message_id(42), key: ReactionKey::parse(key).unwrap(), set };
    let zero = Change::Set(custom(&json!(0)));
    vec![
        ("edit of the text", request(None, None, edit(Some("mended 🌺"), Change::Keep))),
        ("edit of the custom data", request(Some(4), None, edit(None, Change::Set(some_custom())))),
        ("edit that takes the custom data away", request(None, Some("lobby"), edit(None, Change::Clear))),
        ("edit of both", request(None, None, edit(Some("x"), zero))),
        ("deletion", request(None, None, delete())),
        ("deletion in a group", request(Some(5), Some(OTHER), delete())),
        ("reaction", request(None, None, react("👍🏽", true))),
        ("reaction that is taken back", request(Some(6), Some("lobby"), react("ok", false))),
    ]
}

fn signals() -> Vec<(&'static str, Request<'static>)> {
    let mark = |read: Option<u64>, received: Option<u64>| Ask::Mark {
        read: read.map(Seq),
        received: received.map(Seq),
    };
    let ephemeral =
        |value: &Value, to: Option<&str>| Ask::Ephemeral { custom: custom(value), to: to.map(user) };
    let emoji = Ask::Ephemeral { custom: some_custom(), to: None };
    vec![
        ("marker of what was read", request(None, None, mark(Some(42), None))),
        ("marker of what was received", request(None, Some("lobby"), mark(None, Some(70_000)))),
        ("marker of both", request(Some(7), None, mark(Some(42), Some(57)))),
        ("typing", request(None, None, Ask::Typing { on: true })),
        ("typing that ends", request(Some(8), Some("lobby"), Ask::Typing { on: false })),
        ("ephemeral", request(None, None, emoji)),
        ("ephemeral to a user", request(Some(9), Some("lobby"), ephemeral(&json!(-33), Some("ユーザー")))),
        ("ephemeral null", request(None, None, ephemeral(&Value::Null, None))),
    ]
}

fn comings() -> Vec<(&'static str, Request<'static>)> {
    let point = |seq| ResumePoint { epoch: EPOCH.to_owned(), seq: Seq(seq) };
    let join = |resume| Ask::Join { resume };
    vec![
        ("roster", request(None, None, Ask::Roster)),
        ("roster of a group", request(Some(1), Some(OTHER), Ask::Roster)),
        ("resume", request(None, None, Ask::Resume(point(41)))),
        ("resume of a group", request(Some(10), Some("lobby"), Ask::Resume(point(0)))),
        ("join", request(Some(11), Some("lobby"), join(None))),
        ("join and resume", request(Some(12), Some(OTHER), join(Some(point(69_000))))),
        ("leave", request(None, None, Ask::Leave)),
        ("leave a group", request(Some(13), Some("lobby"), Ask::Leave)),
        ("inbox", request(None, None, Ask::Inbox { limit: None })),
        ("inbox of so many", request(Some(14), None, Ask::Inbox { limit: Some(20) })),
    ]
}

fn moderations() -> Vec<(&'static str, Request<'static>)> {
    let moderate = |op, until_ms| Ask::Moderate { op, user: user("dave"), until_ms };
    vec![
        ("mute", request(None, None, moderate(ModerationOp::Mute, Some(TIME_MS)))),
        ("mute until further notice", request(Some(15), Some("lobby"), moderate(ModerationOp::Mute, None))),
        ("unmute", request(None, None, moderate(ModerationOp::Unmute, None))),
        ("kick", request(None, None, moderate(ModerationOp::Kick, None))),
        ("ban", request(Some(16), None, moderate(ModerationOp::Ban, Some(TIME_MS)))),
        ("unban", request(None, None, moderate(ModerationOp::Unban, None))),
    ]
}

#[test]
fn golden_frames_mean_the_same_in_both_encodings() {
    let golden: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/wire/v2/client.json")).unwrap();
    let meanings = [messages(), pages(), changes(), signals(), comings(), moderations()];
    let mut meanings: HashMap<_, _> = meanings.into_iter().flatten().collect();
    for case in golden {
        let name = case["name"].as_str().unwrap();
        let meaning = meanings.remove(name).unwrap_or_else(|| panic!("nobody says what {name} means"));
        let json = case["json"].to_string();
        assert_eq!(decode(Dialect::V2Json, json.as_bytes()).as_ref(), Ok(&meaning), "{name}");
        let msgpack = unhex(case["msgpack"].as_str().unwrap());
        assert_eq!(decode(Dialect::V2Msgpack, &msgpack).as_ref(), Ok(&meaning), "{name}");
    }
    assert!(meanings.is_empty(), "{meanings:?} have no golden frame");
}

/// What both encodings say of a frame that isn't served.
fn refused(frame: &Value) -> Unreadable {
    let json = decode(Dialect::V2Json, frame.to_string().as_bytes()).unwrap_err();
    let msgpack = rmp_serde::to_vec_named(frame).unwrap();
    assert_eq!(decode(Dialect::V2Msgpack, &msgpack).unwrap_err(), json, "{frame}");
    json
}

#[test]
fn a_refusal_names_the_field() {
    let id = message_id(1).to_string();
    let large = "x".repeat(4_095);
    for (field, frame) in [
        ("a ", json!({"d": {"m": "x"}})),
        ("a ", json!({"a": "2"})),
        ("a ", json!({"a": -2})),
        ("a ", json!({"a": 2.5})),
        ("a ", json!({"a": null})),
        ("r ", json!({"a": 1, "r": 4_294_967_296_u64})),
        ("r ", json!({"a": 1, "r": -1})),
        ("r ", json!({"a": 1, "r": "7"})),
        ("d ", json!({"a": 1, "d": []})),
        ("d ", json!({"a": 2, "d": "m"})),
        ("d.g ", json!({"a": 1, "d": {"g": ""}})),
        ("d.g ", json!({"a": 1, "d": {"g": 5}})),
        ("d.g ", json!({"a": 1, "d": {"g": "x".repeat(129)}})),
        ("d.m ", json!({"a": 2})),
        ("d.m ", json!({"a": 2, "d": {"m": 5}})),
        ("d.ci ", json!({"a": 2, "d": {"m": "x", "ci": ""}})),
        ("d.ci ", json!({"a": 2, "d": {"m": "x", "ci": "x".repeat(65)}})),
        ("d.ci ", json!({"a": 2, "d": {"m": "x", "ci": 1}})),
        ("d.re ", json!({"a": 2, "d": {"m": "x", "re": 1}})),
        ("d.rp ", json!({"a": 2, "d": {"m": "x", "rp": 1}})),
        ("d.x ", json!({"a": 2, "d": {"m": "x", "x": large}})),
        ("d.b ", json!({"a": 3, "d": {"b": -1}})),
        ("d.b ", json!({"a": 3, "d": {"b": 1.5}})),
        ("d.b ", json!({"a": 3, "d": {"b": []}})),
        ("d.af ", json!({"a": 3, "d": {"af": true}})),
        ("d.b ", json!({"a": 3, "d": {"b": 1, "af": 2}})),
        ("d.l ", json!({"a": 3, "d": {"l": 0}})),
        ("d.l ", json!({"a": 3, "d": {"l": "10"}})),
        ("d.i ", json!({"a": 7, "d": {"m": "x"}})),
        ("d.m ", json!({"a": 7, "d": {"i": id}})),
        ("d.m ", json!({"a": 7, "d": {"i": id, "m": []}})),
        ("d.i ", json!({"a": 8, "d": {"i": 5}})),
        ("d.k ", json!({"a": 9, "d": {"i": id, "op": "add"}})),
        ("d.k ", json!({"a": 9, "d": {"i": id, "op": "add", "k": "x".repeat(33)}})),
        ("d.op ", json!({"a": 9, "d": {"i": id, "k": "ok"}})),
        ("d.op ", json!({"a": 9, "d": {"i": id, "k": "ok", "op": "join"}})),
        ("d.rd ", json!({"a": 10, "d": {}})),
        ("d.rd ", json!({"a": 10, "d": {"rd": "1"}})),
        ("d.k ", json!({"a": 11, "d": {}})),
        ("d.k ", json!({"a": 11, "d": {"k": 1}})),
        ("d.x ", json!({"a": 12, "d": {}})),
        ("d.to ", json!({"a": 12, "d": {"x": 1, "to": ""}})),
        ("d.ep ", json!({"a": 13})),
        ("d.ep ", json!({"a": 13, "d": {"s": 1}})),
        ("d.s ", json!({"a": 13, "d": {"ep": "x"}})),
        ("d.op ", json!({"a": 14, "d": {}})),
        ("d.s ", json!({"a": 14, "d": {"op": "join", "ep": "x"}})),
        ("d.l ", json!({"a": 15, "d": {"l": 1.5}})),
        ("d.op ", json!({"a": 16, "d": {"op": "remove", "u": "dave"}})),
        ("d.u ", json!({"a": 16, "d": {"op": "kick"}})),
        ("d.until ", json!({"a": 16, "d": {"op": "mute", "u": "dave", "until": "soon"}})),
        ("d.until ", json!({"a": 16, "d": {"op": "kick", "u": "dave", "until": 5}})),
    ] {
        let Refusal { code, text, .. } = refused(&frame).refusal;
        assert_eq!(code, ErrorCode::INVALID_FIELD, "{frame}");
        assert!(text.starts_with(field), "{frame}: {text}");
    }
}

#[test]
fn an_id_that_is_none_is_of_no_message() {
    for frame in [
        json!({"a": 2, "d": {"m": "x", "rp": "nonsense"}}),
        json!({"a": 3, "d": {"b": "nonsense"}}),
        json!({"a": 3, "d": {"af": ""}}),
        json!({"a": 7, "d": {"i": "nonsense", "m": "x"}}),
        json!({"a": 8, "d": {"i": "5C73FC6510629C180000000000000001"}}),
    ] {
        assert_eq!(refused(&frame).refusal.code, ErrorCode::MESSAGE_NOT_FOUND, "{frame}");
    }
}

#[test]
fn what_only_the_server_says_is_no_action_of_a_client() {
    for action in [0, 4, 5, 6, 17, 30, 31, 99, u64::MAX] {
        let frame = json!({"a": action, "d": {"m": "x"}});
        assert_eq!(refused(&frame).refusal.code, ErrorCode::UNKNOWN_ACTION, "{action}");
    }
}

#[test]
fn a_refusal_carries_what_could_be_read() {
    let of = |r, in_group: Option<&str>, ci: Option<&str>| (r, in_group.map(group), ci.map(client_id));
    for (known, frame) in [
        (of(Some(7), Some("lobby"), Some("c-1")), json!({"a": 2, "r": 7, "d": {"g": "lobby", "ci": "c-1"}})),
        (of(None, Some("lobby"), Some("c-1")), json!({"r": -7, "d": {"g": "lobby", "ci": "c-1"}})),
        (of(Some(7), None, Some("c-1")), json!({"a": 2, "r": 7, "d": {"g": "", "ci": "c-1", "m": "x"}})),
        (of(Some(7), Some("lobby"), None), json!({"a": 2, "r": 7, "d": {"g": "lobby", "ci": "", "m": "x"}})),
        (of(Some(7), None, None), json!({"a": 2, "r": 7, "d": [1]})),
        (of(Some(7), Some("lobby"), None), json!({"a": 99, "r": 7, "d": {"g": "lobby"}})),
    ] {
        let Unreadable { r, group, client_id, .. } = refused(&frame);
        assert_eq!((r, group, client_id), known, "{frame}");
    }
}

#[test]
fn whole_numbers_may_be_floats() {
    let frame = json!({"a": 3.0, "r": 7.0, "d": {"b": 7e4, "l": 10.0}});
    let edge = PageEdge::BeforeSeq(Seq(70_000));
    let meaning = request(Some(7), None, Ask::History { edge, limit: Some(10) });
    assert_eq!(decode(Dialect::V2Json, frame.to_string().as_bytes()).as_ref(), Ok(&meaning));
    let doubles = rmp_serde::to_vec_named(&frame).unwrap();
    assert_eq!(decode(Dialect::V2Msgpack, &doubles).as_ref(), Ok(&meaning));
    // The same once more in singles: `{"a": 3f, "r": 7f, "d": {"b": 70000f, "l": 10f}}`.
    let singles = unhex("83a161ca40400000a172ca40e00000a16482a162ca4788b800a16cca41200000");
    assert_eq!(decode(Dialect::V2Msgpack, &singles).as_ref(), Ok(&meaning));
}

#[test]
fn integers_may_be_of_any_width() {
    for seven in ["07", "cc07", "cd0007", "ce00000007", "cf0000000000000007", "d007", "d10007", "d200000007"]
    {
        let frame = unhex(&format!("83a16103a172{seven}a16481a16c{seven}"));
        let meaning = request(Some(7), None, Ask::History { edge: PageEdge::Newest, limit: Some(7) });
        assert_eq!(decode(Dialect::V2Msgpack, &frame).as_ref(), Ok(&meaning), "{seven}");
    }
}

#[test]
fn texts_are_borrowed() {
    let is_borrowed = |request: Request<'_>| {
        matches!(request.ask, Ask::Post(Post { text: std::borrow::Cow::Borrowed(_), .. }))
    };
    let frame = json!({"a": 2, "d": {"m": "wörld 🌍"}});
    assert!(is_borrowed(decode(Dialect::V1, frame.to_string().as_bytes()).unwrap()));
    assert!(is_borrowed(decode(Dialect::V2Json, frame.to_string().as_bytes()).unwrap()));
    assert!(is_borrowed(decode(Dialect::V2Msgpack, &rmp_serde::to_vec_named(&frame).unwrap()).unwrap()));
}
