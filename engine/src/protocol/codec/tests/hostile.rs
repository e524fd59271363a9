//! Bytes that no client of ours sends.

use proptest::prelude::*;

use super::*;
use crate::protocol::frame::Ask;

fn json(payload: &str) -> Result<Request<'_>, Unreadable> {
    decode(Dialect::V2Json, payload.as_bytes())
}

fn msgpack(payload: &[u8]) -> Result<Request<'_>, Unreadable> {
    decode(Dialect::V2Msgpack, payload)
}

fn code(result: Result<Request<'_>, Unreadable>) -> ErrorCode {
    result.unwrap_err().refusal.code
}

#[test]
fn what_is_no_frame_is_malformed() {
    for payload in
        ["", " ", "hello", "null", "[]", "2", "\"a\"", "{\"a\":1", "{\"a\":1} {}", "{\"a\":1}x", "{a:1}"]
    {
        assert_eq!(code(json(payload)), ErrorCode::MALFORMED, "{payload}");
    }
    assert_eq!(code(decode(Dialect::V2Json, b"{\"a\":1,\"z\":\"\xff\"}")), ErrorCode::MALFORMED);
    assert_eq!(code(json("{\"a\":2,\"d\":{\"m\":\"\\ud800\"}}")), ErrorCode::MALFORMED);
    assert_eq!(code(json("{\"a\":2,\"d\":{\"m\":\"x\",\"x\":1e999}}")), ErrorCode::MALFORMED);
    for payload in
        ["", "c0", "90", "02", "a161", "81", "81a1", "81a161", "82a16101", "c1", "810101", "81c4016101"]
    {
        assert_eq!(code(msgpack(&unhex(payload))), ErrorCode::MALFORMED, "{payload}");
    }
}

#[test]
fn nothing_stands_behind_a_frame() {
    let frame = unhex("81a16101");
    assert_eq!(msgpack(&frame).unwrap().ask, Ask::Roster);
    for byte in 0..=u8::MAX {
        let mut longer = frame.clone();
        longer.push(byte);
        assert_eq!(code(msgpack(&longer)), ErrorCode::MALFORMED, "{byte:02x}");
    }
}

#[test]
fn a_field_that_is_looked_for_stands_once() {
    let says_so = |result: Result<Request<'_>, Unreadable>, field: &str| {
        let refusal = result.unwrap_err().refusal;
        assert_eq!(refusal.code, ErrorCode::INVALID_FIELD);
        assert!(refusal.text.starts_with(field), "{}", refusal.text);
    };
    says_so(json("{\"a\":1,\"a\":1}"), "a ");
    says_so(msgpack(&unhex("82a16101a16101")), "a ");
    says_so(json("{\"a\":2,\"d\":{\"m\":\"x\",\"m\":\"y\"}}"), "d.m ");
    says_so(msgpack(&unhex("82a16102a16482a16da178a16da179")), "d.m ");
    says_so(json("{\"a\":2,\"d\":{\"m\":\"x\",\"x\":{\"k\":[{\"y\":1,\"y\":1}]}}}"), "d.x ");
    says_so(msgpack(&unhex("82a16102a16482a16da178a17882a16b01a16b02")), "d.x ");
    assert_eq!(json("{\"a\":1,\"z\":1,\"z\":2,\"d\":{\"m\":1,\"m\":2}}").unwrap().ask, Ask::Roster);
}

#[test]
fn custom_data_holds_what_json_can_say() {
    // {"a": 2, "r": 7, "d": {"m": "x", "x": …, "ci": "c"}}
    let with = |x: &str| unhex(&format!("83a16102a17207a16483a16da178a178{x}a26369a163"));
    for (x, rule) in [
        ("c40101", "binary"),
        ("c400", "binary"),
        ("91c40101", "binary"),
        ("a1ff", "binary"),
        ("d40101", "extension"),
        ("d6ff00000000", "extension"),
        ("c70000", "extension"),
        ("81a16b91d40101", "extension"),
        ("810101", "keys"),
        ("8191a17801", "keys"),
        ("81c0c0", "keys"),
        ("91820102a16b03", "keys"),
        ("81a1ff01", "keys"),
        ("cb7ff8000000000000", "NaN"),
        ("cb7ff0000000000000", "NaN"),
        ("91caff800000", "NaN"),
    ] {
        let unreadable = msgpack(&with(x)).unwrap_err();
        let Refusal { code, text, .. } = &unreadable.refusal;
        assert_eq!(*code, ErrorCode::INVALID_FIELD, "{x}");
        assert!(text.starts_with("d.x ") && text.contains(rule), "{x}: {text}");
        assert_eq!((unreadable.r, unreadable.client_id), (Some(7), Some(client_id("c"))), "{x}");
    }
    // Nobody looks at it where it isn't looked for.
    assert_eq!(msgpack(&unhex("82a16101a16481a178d40101")).unwrap().ask, Ask::Roster);
}

#[test]
fn depth_is_no_danger() {
    let lists = |depth: usize| format!("{{\"a\":1,\"z\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let maps = |depth: usize| format!("{{\"a\":1,\"z\":{}1{}}}", "{\"z\":".repeat(depth), "}".repeat(depth));
    for deep in [lists, maps] {
        assert_eq!(json(&deep(63)).unwrap().ask, Ask::Roster);
        for depth in [64, 127, 128, 1_000_000] {
            assert_eq!(code(json(&deep(depth))), ErrorCode::MALFORMED, "{depth}");
        }
    }
    let head = unhex("82a16101a17a");
    for level in ["91", "81a17a", "dc0001", "dd00000001", "de0001a17a"] {
        let deep = |depth: usize| [&head[..], &unhex(level).repeat(depth), &[0xC0]].concat();
        assert_eq!(msgpack(&deep(63)).unwrap().ask, Ask::Roster);
        for depth in [64, 1_024, 1_000_000] {
            assert_eq!(code(msgpack(&deep(depth))), ErrorCode::MALFORMED, "{level} {depth}");
        }
    }
    // As keys, and inside of what isn't looked at.
    for level in ["81", "81c081", "8191"] {
        assert_eq!(code(msgpack(&unhex(level).repeat(1_000_000))), ErrorCode::MALFORMED, "{level}");
    }
}

#[test]
fn lengths_that_lie_are_found_out() {
    for head in ["dbffffffff", "c6ffffffff", "c9ffffffff01", "ddffffffff", "dfffffffff"] {
        for before in ["", "81a161", "82a16102a16481a16d", "82a16102a16481a178"] {
            assert_eq!(
                code(msgpack(&unhex(&format!("{before}{head}")))),
                ErrorCode::MALFORMED,
                "{before}{head}"
            );
        }
    }
    let wide = [&unhex("82a16101a17add0000ffff")[..], &[0xC0; 0xFFFF]].concat();
    assert_eq!(msgpack(&wide).unwrap().ask, Ask::Roster);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for dialect in Dialect::ALL {
            if let Err(unreadable) = decode(dialect, &bytes) {
                prop_assert!(ErrorCode::ALL.contains(&unreadable.refusal.code));
            }
        }
    }

    /// Bytes that begin like a frame come farther than others do.
    #[test]
    fn no_end_of_a_frame_makes_decoding_panic(
        action in 0_u8..20,
        key in prop_oneof![Just("m"), Just("x"), Just("b"), Just("i"), Just("k"), Just("ci"), Just("g")],
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let key = format!("a{}{}", key.len(), hex(key.as_bytes()));
        let frame = unhex(&format!("82a161{action:02x}a16481{key}{}", hex(&bytes)));
        let _ = msgpack(&frame);
    }

    /// Neither does a good frame that is spoilt at one place.
    #[test]
    fn no_spoilt_frame_makes_decoding_panic(place: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let golden = include_str!("../../../../tests/wire/v2/client.json");
        let golden: Vec<Value> = serde_json::from_str(golden).unwrap();
        for case in golden {
            let (text, bytes) = (case["json"].to_string(), unhex(case["msgpack"].as_str().unwrap()));
            for (dialect, mut payload) in [(Dialect::V2Json, text.into_bytes()), (Dialect::V2Msgpack, bytes)] {
                prop_assert!(decode(dialect, &payload[..cut.index(payload.len())]).is_err());
                let place = place.index(payload.len());
                payload[place] = byte;
                let _ = decode(dialect, &payload);
            }
        }
    }
}
