//! Version 1.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::domain::event::{Event, EventKind};
use crate::domain::roster::RosterView;
use crate::protocol::code::CloseCode;
use crate::protocol::frame::{Ask, ErrorFrame, PageEdge, Post, RosterFrame};

fn read(payload: &[u8]) -> Result<Request<'_>, Unreadable> {
    decode(Dialect::V1, payload)
}

fn said(seq: u64, time_ms: u64, author: Actor, message: Message) -> Event {
    Event { seq: Seq(seq), time_ms, by: author, kind: EventKind::Message(message) }
}

fn post(text: &str) -> Request<'_> {
    Request { r: None, group: None, ask: Ask::Post(Post { text: text.into(), ..Post::default() }) }
}

#[test]
fn server_frames_are_the_golden_ones() {
    let golden: Value = serde_json::from_str(include_str!("../../../../tests/wire/v1/server.json")).unwrap();
    let id = group("lobby");
    let scope = Scope { id: &id, uid: GROUP };
    let member = Standing::default();
    let view = RosterView {
        on: vec![attendee("67157f9", "test", None, member)],
        off: vec![attendee("f806399", "test2", Some("https://example.com/2.png"), member)],
    };
    let markers = HashMap::from([(user("67157f9"), crate::domain::event::Marker::default())]);
    let roster = RosterFrame {
        scope,
        version: 3,
        online: 1,
        whole: true,
        view: &view,
        count_only: false,
        markers: &markers,
        unix_ms: 0,
    };
    let by = || said_by("67157f9");
    let spoken = said(1, TIME_MS, by(), Message::plain("test message"));
    let gone = said(1, TIME_MS, by(), Message { deleted: true, ..Message::plain("") });
    let erased = said(1, TIME_MS, Actor::Erased, Message::plain("test message"));
    let page = [
        shown(1, 1_551_104_000_000, by(), Message::plain("hello")),
        shown(2, TIME_MS, by(), Message::plain("wörld 🌍 \"quoted\"\n\u{0}")),
    ];
    let refusal = Refusal::new(ErrorCode::RATE_LIMITED, "too fast: try again in 50 ms").after(50);
    let error = ErrorFrame { refusal: &refusal, group: Some(&id), client_id: None };
    let text = |frame| payload(&encode(Dialect::V1, Some(7), frame).unwrap()).to_owned();
    for (name, frame) in [
        ("roster", ServerFrame::Roster(&roster)),
        ("roster", ServerFrame::RosterDelta(&roster)),
        ("message", ServerFrame::Event(scope, &spoken)),
        ("history", ServerFrame::History(scope, &page, true)),
        ("history_empty", ServerFrame::History(scope, &[], false)),
        ("error", ServerFrame::Error(&error)),
    ] {
        assert_eq!(text(frame), golden[name].as_str().unwrap(), "{name}");
    }
    assert_eq!(golden.as_object().unwrap().len(), 5, "a golden frame that no test writes");
    let message = golden["message"].as_str().unwrap();
    assert_eq!(text(ServerFrame::Event(scope, &gone)), message.replace("test message", ""));
    assert_eq!(text(ServerFrame::Event(scope, &erased)), message.replace("67157f9", ""));
}

#[test]
fn what_version_1_has_no_frame_for_is_not_told() {
    let id = group("lobby");
    let scope = Scope { id: &id, uid: GROUP };
    let alice = user("alice");
    let deletion =
        Event { seq: Seq(2), time_ms: 0, by: Actor::System, kind: EventKind::Delete { of: Seq(1) } };
    for frame in [
        ServerFrame::Event(scope, &deletion),
        ServerFrame::Typing(scope, &alice, true),
        ServerFrame::Left(scope, CloseCode::REMOVED),
        ServerFrame::Inbox(&[]),
        ServerFrame::Ticket("", 0),
        ServerFrame::Drain(0, ""),
    ] {
        assert_eq!(encode(Dialect::V1, None, frame), None);
    }
}

#[test]
fn client_frames_mean_what_the_golden_file_says() {
    let golden: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/wire/v1/client.json")).unwrap();
    assert!(golden.len() > 30);
    for case in golden {
        let text = case["frame"].as_str().unwrap();
        let meaning = match read(text.as_bytes()).map(|request| request.ask) {
            Ok(Ask::Post(Post { text, .. })) => format!("post {text}"),
            Ok(Ask::History { edge, limit }) => {
                let limit = limit.map_or("default".to_owned(), |limit| limit.to_string());
                match edge {
                    PageEdge::Newest => format!("history before now limit {limit}"),
                    PageEdge::BeforeTime(time) => format!("history before time {time} limit {limit}"),
                    PageEdge::BeforeId(id) if id.group == GROUP => {
                        format!("history before place {} limit {limit}", id.seq.0)
                    }
                    // Its session refuses a message of another group.
                    PageEdge::BeforeId(_) => ErrorCode::MESSAGE_NOT_FOUND.word.to_owned(),
                    other => panic!("version 1 has no {other:?}"),
                }
            }
            Ok(other) => panic!("version 1 has no {other:?}"),
            Err(unreadable) => unreadable.refusal.code.word.to_owned(),
        };
        assert_eq!(meaning, case["means"].as_str().unwrap(), "{text}");
    }
}

#[test]
fn the_seeds_own_frames_are_understood() {
    let frame = "{\n  \"a\":2,\n  \"d\": {\n    \"m\": \"test message\"\n  }\n}";
    assert_eq!(read(frame.as_bytes()), Ok(post("test message")));
}

#[test]
fn depth_is_no_danger() {
    for depth in [100, 10_000, 30_000] {
        let nested = format!("{{\"a\":2,\"d\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(nested.as_bytes()).unwrap_err().refusal.code, ErrorCode::INVALID_FIELD);
        let inside =
            format!("{{\"a\":2,\"d\":{{\"m\":\"x\",\"z\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        let _ = read(inside.as_bytes());
        let history = format!("{{\"a\":3,\"d\":{{\"b\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(history.as_bytes()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_json_makes_decoding_panic(
        a in prop_oneof!["-?[0-9]{1,25}", "[0-9]e[0-9]{1,3}", "\"[a-z]\"", "null", "\\[\\]"],
        field in prop_oneof!["m", "b", "l", "[a-z]"],
        value in prop_oneof!["-?[0-9]{1,25}(\\.[0-9]{1,3})?(e-?[0-9]{1,3})?", "\"\\PC{0,20}\"", "null", "\\[1\\]", "\\{\\}"],
    ) {
        let _ = read(format!("{{\"a\":{a},\"d\":{{\"{field}\":{value}}}}}").as_bytes());
    }

    #[test]
    fn any_text_arrives_as_it_was_sent(text in any::<String>()) {
        let frame = serde_json::json!({"a": 2, "d": {"m": text, "i": 1, "p": "forged", "t": []}}).to_string();
        prop_assert_eq!(read(frame.as_bytes()), Ok(post(&text)));
        let id = group("lobby");
        let spoken = said(1, 0, said_by("a"), Message::plain(text.as_str()));
        let encoded = encode(Dialect::V1, None, ServerFrame::Event(Scope { id: &id, uid: GROUP }, &spoken));
        let back: Value = serde_json::from_str(payload(&encoded.unwrap())).unwrap();
        prop_assert_eq!(back["d"]["m"].as_str(), Some(text.as_str()));
    }
}
