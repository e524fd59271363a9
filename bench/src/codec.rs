//! Decode and encode of a frame, in every version and encoding.

use std::hint::black_box;
use std::time::Instant;

use engine::domain::event::{Actor, Event, EventKind, Message};
use engine::domain::ids::{GroupId, GroupUid, Seq, UserId, UserLife, UserUid};
use engine::protocol::codec;
use engine::protocol::frame::{Dialect, Scope, ServerFrame};

use crate::rounds::Figure;

const FRAMES: u32 = 300_000;

pub(crate) fn figures() -> [Figure; 3] {
    [
        figure(Dialect::V1, "decode and encode a version 1 frame of 100 bytes", "< 1 µs"),
        figure(Dialect::V2Json, "the same in version 2, JSON", "–"),
        figure(Dialect::V2Msgpack, "the same in version 2, MessagePack", "–"),
    ]
}

fn figure(dialect: Dialect, what: &'static str, goal: &'static str) -> Figure {
    let id = GroupId::parse("lobby").expect("a valid id");
    let scope = Scope { id: &id, uid: GroupUid(0x5c73_fc65_1062_9c18) };
    let author = UserLife { id: UserId::parse("67157f9").expect("a valid id"), uid: UserUid(1) };
    let said = Event {
        seq: Seq(1),
        time_ms: 1_551_105_125_856,
        by: Actor::User(author),
        kind: EventKind::Message(Message::plain("x".repeat(100))),
    };
    let sent = sent(dialect);
    let rounds = (0..7).map(|_| {
        let started = Instant::now();
        for _ in 0..FRAMES {
            black_box(codec::decode(dialect, black_box(&sent)).is_ok());
            black_box(codec::encode(dialect, None, ServerFrame::Event(scope, black_box(&said))));
        }
        started.elapsed().as_secs_f64() * 1e6 / f64::from(FRAMES)
    });
    Figure::new(what, goal, "µs", rounds.collect())
}

/// `{"a": 2, "d": {"m": …}}` with a text of 100 bytes.
fn sent(dialect: Dialect) -> Vec<u8> {
    let text = "x".repeat(100);
    match dialect {
        Dialect::V1 | Dialect::V2Json => format!("{{\"a\":2,\"d\":{{\"m\":\"{text}\"}}}}").into_bytes(),
        Dialect::V2Msgpack => [b"\x82\xa1a\x02\xa1d\x81\xa1m\xd9\x64", text.as_bytes()].concat(),
    }
}
