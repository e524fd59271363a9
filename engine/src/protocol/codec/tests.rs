//! The golden frames in `engine/tests/wire/v1` are the wire format: client frames with what they mean, server
//! frames byte for byte. Whoever changes one changes the protocol.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::ids::{Seq, UserId, UserUid};
use crate::domain::profile::{Icon, Name};

const GROUP: GroupUid = GroupUid(0x5c73_fc65_1062_9c18);

fn message(seq: u64, time_ms: u64, author: &str, text: &str) -> Message {
    Message { seq: Seq(seq), time_ms, author: UserId::parse(author).unwrap(), text: text.into() }
}

fn attendee(id: &str, name: &str, icon: Option<&str>) -> Arc<Attendee> {
    Arc::new(Attendee {
        id: UserId::parse(id).unwrap(),
        uid: UserUid(u64::MAX),
        name: Name::parse(name).unwrap(),
        icon: icon.map(|icon| Icon::parse(icon).unwrap()),
        revision: 0,
    })
}

fn payload(frame: &Bytes) -> &str {
    let start = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    std::str::from_utf8(&frame[start..]).unwrap()
}

#[test]
fn server_frames_are_the_golden_ones() {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/wire/v1/server.json")).unwrap();
    let view = RosterView {
        on: vec![attendee("67157f9", "test", None)],
        off: vec![attendee("f806399", "test2", Some("https://example.com/2.png"))],
    };
    let spoken = message(1, 1_551_105_125_856, "67157f9", "test message");
    let page = [
        message(1, 1_551_104_000_000, "67157f9", "hello"),
        message(2, 1_551_105_125_856, "67157f9", "wörld 🌍 \"quoted\"\n\u{0}"),
    ];
    let refusal = Refusal::new(ErrorCode::RATE_LIMITED, "too fast: try again in 50 ms");
    for (name, frame) in [
        ("roster", ServerFrame::Roster(&view)),
        ("message", ServerFrame::Message(GROUP, &spoken)),
        ("history", ServerFrame::History(GROUP, &page)),
        ("history_empty", ServerFrame::History(GROUP, &[])),
        ("error", ServerFrame::Error(&refusal)),
    ] {
        let encoded = encode(frame);
        assert_eq!(payload(&encoded), golden[name].as_str().unwrap(), "{name}");
    }
    assert_eq!(golden.as_object().unwrap().len(), 5, "a golden frame that no test writes");
}

#[test]
fn client_frames_mean_what_the_golden_file_says() {
    let golden: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/wire/v1/client.json")).unwrap();
    assert!(golden.len() > 30);
    for case in golden {
        let text = case["frame"].as_str().unwrap();
        let meaning = match decode(text.as_bytes(), GROUP) {
            Ok(ClientFrame::Post { text }) => format!("post {text}"),
            Ok(ClientFrame::History { before, limit }) => format!(
                "history before {} limit {}",
                match before {
                    None => "now".to_owned(),
                    Some(Before::Time(time)) => format!("time {time}"),
                    Some(Before::Seq(seq)) => format!("place {}", seq.0),
                },
                limit.map_or("default".to_owned(), |limit| limit.to_string()),
            ),
            Err(refusal) => refusal.code.word.to_owned(),
        };
        assert_eq!(meaning, case["means"].as_str().unwrap(), "{text}");
    }
}

#[test]
fn the_seeds_own_frames_are_understood() {
    let frame = "{\n  \"a\":2,\n  \"d\": {\n    \"m\": \"test message\"\n  }\n}";
    assert_eq!(decode(frame.as_bytes(), GROUP), Ok(ClientFrame::Post { text: "test message".into() }));
}

#[test]
fn a_page_that_escapes_make_too_long_leaves_out_the_oldest() {
    let messages: Vec<Message> =
        (1..=8).map(|seq| message(seq, seq, "alice", &"\u{1}".repeat(100))).collect();
    let newest = |count: usize| encode(ServerFrame::History(GroupUid(1), &messages[8 - count..]));
    for (bytes_max, left) in [(newest(8).len(), 8), (newest(8).len() - 1, 4), (newest(3).len(), 2), (0, 1)] {
        assert_eq!(encode_page(GroupUid(1), &messages, bytes_max), newest(left));
    }
    assert_eq!(encode_page(GroupUid(1), &[], 0), newest(0));
}

#[test]
fn depth_is_no_danger() {
    for depth in [100, 10_000, 30_000] {
        let nested = format!("{{\"a\":2,\"d\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(decode(nested.as_bytes(), GROUP).unwrap_err().code, ErrorCode::INVALID_FIELD);
        let inside =
            format!("{{\"a\":2,\"d\":{{\"m\":\"x\",\"z\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        let _ = decode(inside.as_bytes(), GROUP);
        let history = format!("{{\"a\":3,\"d\":{{\"b\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(decode(history.as_bytes(), GROUP).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, GROUP);
    }

    #[test]
    fn no_json_makes_decoding_panic(
        a in prop_oneof!["-?[0-9]{1,25}", "[0-9]e[0-9]{1,3}", "\"[a-z]\"", "null", "\\[\\]"],
        field in prop_oneof!["m", "b", "l", "[a-z]"],
        value in prop_oneof!["-?[0-9]{1,25}(\\.[0-9]{1,3})?(e-?[0-9]{1,3})?", "\"\\PC{0,20}\"", "null", "\\[1\\]", "\\{\\}"],
    ) {
        let _ = decode(format!("{{\"a\":{a},\"d\":{{\"{field}\":{value}}}}}").as_bytes(), GROUP);
    }

    #[test]
    fn any_text_arrives_as_it_was_sent(text in any::<String>()) {
        let frame = serde_json::json!({"a": 2, "d": {"m": text, "i": 1, "p": "forged", "t": []}}).to_string();
        prop_assert_eq!(decode(frame.as_bytes(), GROUP), Ok(ClientFrame::Post { text: text.clone().into() }));
        let spoken = message(1, 0, "a", &text);
        let encoded = encode(ServerFrame::Message(GROUP, &spoken));
        let back: Value = serde_json::from_str(payload(&encoded)).unwrap();
        prop_assert_eq!(back["d"]["m"].as_str(), Some(text.as_str()));
    }
}
