//! Reading and writing frames, in every version and encoding.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::domain::event::{Actor, Event, EventKind, Message, Shown};
use engine::domain::ids::{GroupId, GroupUid, Seq, UserId, UserLife, UserUid};
use engine::protocol::codec;
use engine::protocol::frame::{Dialect, Scope, ServerFrame};

const TIME_MS: u64 = 1_551_105_125_856;

fn author() -> Actor {
    Actor::User(UserLife { id: UserId::parse("67157f9").expect("a valid id"), uid: UserUid(1) })
}

fn message() -> Message {
    Message::plain("x".repeat(100))
}

fn shown(seq: u64) -> Shown {
    Shown {
        seq: Seq(seq),
        time_ms: TIME_MS,
        author: author(),
        message: message(),
        number: seq,
        version: Seq(seq),
        edited_ms: None,
        reactions: BTreeMap::new(),
        mine: Vec::new(),
    }
}

/// `{"a": 2, "d": {"m": …}}` with a text of 100 bytes.
fn sent(dialect: Dialect) -> Vec<u8> {
    let text = "x".repeat(100);
    match dialect {
        Dialect::V1 | Dialect::V2Json => format!("{{\"a\":2,\"d\":{{\"m\":\"{text}\"}}}}").into_bytes(),
        Dialect::V2Msgpack => [b"\x82\xa1a\x02\xa1d\x81\xa1m\xd9\x64", text.as_bytes()].concat(),
    }
}

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::V1 => "codec/version 1",
        Dialect::V2Json => "codec/version 2 in JSON",
        Dialect::V2Msgpack => "codec/version 2 in MessagePack",
    }
}

fn frames(criterion: &mut Criterion) {
    let id = GroupId::parse("lobby").expect("a valid id");
    let scope = Scope { id: &id, uid: GroupUid(0x5c73_fc65_1062_9c18) };
    let spoken = Event { seq: Seq(1), time_ms: TIME_MS, by: author(), kind: EventKind::Message(message()) };
    let page: Vec<Shown> = (1..=50).map(shown).collect();
    for dialect in Dialect::ALL {
        let sent = sent(dialect);
        assert!(codec::decode(dialect, &sent).is_ok());
        let decode = || codec::decode(dialect, black_box(&sent)).is_ok();
        let encode = || codec::encode(dialect, None, ServerFrame::Event(scope, black_box(&spoken)));
        let mut group = criterion.benchmark_group(name(dialect));
        group.throughput(Throughput::Elements(1));
        group.bench_function("decode a 100-byte message", |bencher| bencher.iter(decode));
        group.bench_function("encode a 100-byte message", |bencher| bencher.iter(encode));
        group.bench_function("decode and encode a 100-byte message", |bencher| {
            bencher.iter(|| (decode(), encode()));
        });
        group.bench_function("encode a page of 50 messages", |bencher| {
            bencher
                .iter(|| codec::encode(dialect, None, ServerFrame::History(scope, black_box(&page), true)));
        });
        group.finish();
    }
}

criterion_group!(benches, frames);
criterion_main!(benches);
