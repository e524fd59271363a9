//! The golden frames in `engine/tests/wire` are the wire format: client frames with what they mean, server frames byte
//! for byte. Whoever changes one changes the protocol.
//!
//! The MessagePack of version 2's was written by another encoder than ours (npm's `@msgpack/msgpack`), and the tests of
//! the JavaScript client read the same files.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::domain::attendance::Standing;
use crate::domain::event::{Actor, Message};
use crate::domain::ids::{ClientId, GroupId, UserId, UserLife, UserUid, hex};
use crate::domain::profile::{Custom, Icon, Name};
use crate::domain::roster::Attendee;

mod client;
mod hostile;
mod random;
mod server;
mod v1;

const GROUP: GroupUid = GroupUid(0x5c73_fc65_1062_9c18);
const TIME_MS: u64 = 1_551_105_125_856;

fn group(id: &str) -> GroupId {
    GroupId::parse(id).unwrap()
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn client_id(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn said_by(id: &str) -> Actor {
    Actor::User(UserLife { id: user(id), uid: UserUid(u64::MAX) })
}

fn message_id(seq: u64) -> MessageId {
    MessageId { group: GROUP, seq: Seq(seq) }
}

fn custom(value: &Value) -> Custom {
    Custom::from_value(value).unwrap()
}

fn attendee(id: &str, name: &str, icon: Option<&str>, standing: Standing) -> Arc<Attendee> {
    Arc::new(Attendee {
        id: user(id),
        uid: UserUid(u64::MAX),
        name: Name::parse(name).unwrap(),
        icon: icon.map(|icon| Icon::parse(icon).unwrap()),
        revision: 0,
        standing,
    })
}

fn shown(seq: u64, time_ms: u64, author: Actor, message: Message) -> Shown {
    let seq = Seq(seq);
    Shown {
        seq,
        time_ms,
        author,
        message,
        number: seq.0,
        version: seq,
        edited_ms: None,
        reactions: std::collections::BTreeMap::new(),
        mine: Vec::new(),
    }
}

/// What a WebSocket frame carries, and whether that is text.
fn unframed(frame: &Bytes) -> (bool, &[u8]) {
    let start = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    (frame[0] == 0x81, &frame[start..])
}

fn payload(frame: &Bytes) -> &str {
    let (is_text, bytes) = unframed(frame);
    assert!(is_text);
    std::str::from_utf8(bytes).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| (digit(pair[0]) << 4) | digit(pair[1])).collect()
}

#[test]
fn a_page_that_escapes_make_too_long_leaves_out_what_is_farther_from_its_edge() {
    let id = group("lobby");
    let scope = Scope { id: &id, uid: GROUP };
    let text = "\u{1}".repeat(100);
    let messages: Vec<Shown> =
        (1..=8).map(|seq| shown(seq, seq, said_by("alice"), Message::plain(text.as_str()))).collect();
    for dialect in Dialect::ALL {
        let page =
            |messages, more| encode(dialect, Some(1), ServerFrame::History(scope, messages, more)).unwrap();
        let fit = |is_forward, bytes_max| {
            encode_page(dialect, Some(1), scope, &messages, false, is_forward, bytes_max)
        };
        let (all, three) = (page(&messages, false).len(), page(&messages[5..], false).len());
        for (bytes_max, left) in [(all, 8), (all - 1, 4), (three, 2), (0, 1)] {
            let more = left < 8;
            assert_eq!(fit(false, bytes_max), page(&messages[8 - left..], more));
            assert_eq!(fit(true, bytes_max), page(&messages[..left], more));
        }
        assert_eq!(encode_page(dialect, Some(1), scope, &[], false, false, 0), page(&[], false));
    }
}
