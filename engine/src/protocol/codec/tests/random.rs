//! Whatever is said means the same in both encodings.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::event::{Edit, Event, EventKind, Extra};
use crate::domain::ids::ReactionKey;
use crate::domain::profile::Change;
use crate::protocol::frame::ErrorFrame;

/// Any value that JSON can say and MessagePack, too.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-40_i64..300).prop_map(Value::from),
        any::<f64>()
            .prop_filter_map("finite", |number| { serde_json::Number::from_f64(number).map(Value::Number) }),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..20)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Any value of a field of a request, good or not.
fn field() -> impl Strategy<Value = Value> {
    let words =
        ["add", "remove", "join", "leave", "mute", "kick", "lobby", "5c73fc6510629c180000000000000001"];
    prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        value()
    ]
}

fn request() -> impl Strategy<Value = Value> {
    let names = [
        "g", "m", "ci", "re", "rp", "x", "b", "af", "l", "i", "k", "op", "rd", "rc", "to", "ep", "s", "u",
        "until", "unknown",
    ];
    let data = prop::collection::btree_map(prop::sample::select(names.to_vec()), field(), 0..8);
    (0_u64..32, prop_oneof![any::<u32>().prop_map(Value::from), value()], data)
        .prop_map(|(a, r, d)| json!({"a": a, "r": r, "d": d}))
}

/// What a frame says, read by others' readers.
fn read_back(frame: &Bytes) -> Value {
    match unframed(frame) {
        (true, text) => serde_json::from_slice(text).unwrap(),
        (false, bytes) => rmp_serde::from_slice(bytes).unwrap(),
    }
}

fn both(r: Option<u32>, frame: ServerFrame<'_>) -> (Value, Value) {
    let read = |dialect| read_back(&encode(dialect, r, frame).unwrap());
    (read(Dialect::V2Json), read(Dialect::V2Msgpack))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_request_means_the_same_in_both_encodings(frame in request()) {
        let (text, bytes) = (frame.to_string(), rmp_serde::to_vec_named(&frame).unwrap());
        prop_assert_eq!(decode(Dialect::V2Json, text.as_bytes()), decode(Dialect::V2Msgpack, &bytes));
    }

    #[test]
    fn custom_data_goes_through_as_it_is(value in value(), r: Option<u32>) {
        let Ok(custom) = Custom::from_value(&value) else { return Ok(()) };
        let id = group("lobby");
        let scope = Scope { id: &id, uid: GROUP };
        let (json, msgpack) = both(r, ServerFrame::Ephemeral(scope, None, &custom));
        prop_assert_eq!(&json["d"]["x"], &value);
        prop_assert_eq!(json, msgpack);
        let sent = json!({"a": 12, "d": {"x": value}});
        let bytes = rmp_serde::to_vec_named(&sent).unwrap();
        let request = decode(Dialect::V2Msgpack, &bytes).unwrap();
        prop_assert_eq!(request.ask, crate::protocol::frame::Ask::Ephemeral { custom, to: None });
    }

    #[test]
    fn a_server_frame_says_the_same_in_both_encodings(
        seq: u64, time_ms: u64, text: String, reply_to: Option<u64>, r: Option<u32>, deleted: bool,
        reactions in prop::collection::btree_map("[a-z]{1,8}", any::<u64>(), 0..20),
    ) {
        let id = group("lobby");
        let scope = Scope { id: &id, uid: GROUP };
        let extra = Extra { reply_to: reply_to.map(Seq), ..Extra::default() };
        let message = Message { deleted, ..Message::new(text.as_str(), extra) };
        let edit = Edit { of: Seq(seq), text: Some(text.as_str().into()), custom: Change::Clear };
        for kind in [EventKind::Message(message.clone()), EventKind::Edit(edit), EventKind::Delete { of: Seq(seq) }] {
            let event = Event { seq: Seq(seq), time_ms, by: Actor::Erased, kind };
            let (json, msgpack) = both(r, ServerFrame::Event(scope, &event));
            prop_assert_eq!(json, msgpack);
        }
        let reactions = reactions.iter().map(|(key, count)| (ReactionKey::parse(key).unwrap(), *count)).collect();
        let page = [Shown { reactions, ..shown(seq, time_ms, said_by("alice"), message) }];
        let (json, msgpack) = both(r, ServerFrame::History(scope, &page, true));
        prop_assert_eq!(json, msgpack);
        let refusal = Refusal::new(ErrorCode::INTERNAL, text.as_str()).after(time_ms);
        let error = ErrorFrame { refusal: &refusal, group: Some(&id), client_id: None };
        let (json, msgpack) = both(r, ServerFrame::Error(&error));
        prop_assert_eq!(json["d"]["m"].as_str(), Some(text.as_str()));
        prop_assert_eq!(json, msgpack);
    }
}
