//! Reading and writing version 1 frames.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::domain::ids::{GroupUid, Seq, UserId};
use engine::domain::message::Message;
use engine::protocol::codec;
use engine::protocol::frame::ServerFrame;

const GROUP: GroupUid = GroupUid(0x5c73_fc65_1062_9c18);

fn message(seq: u64) -> Message {
    let author = UserId::parse("67157f9").expect("a valid id");
    Message { seq: Seq(seq), time_ms: 1_551_105_125_856, author, text: "x".repeat(100).into() }
}

fn frames(criterion: &mut Criterion) {
    let sent = format!("{{\"a\":2,\"d\":{{\"m\":\"{}\"}}}}", "x".repeat(100));
    let spoken = message(1);
    let page: Vec<Message> = (1..=50).map(message).collect();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode a 100-byte message", |bencher| {
        bencher.iter(|| codec::decode(black_box(sent.as_bytes()), GROUP));
    });
    group.bench_function("encode a 100-byte message", |bencher| {
        bencher.iter(|| codec::encode(ServerFrame::Message(GROUP, black_box(&spoken))));
    });
    group.bench_function("decode and encode a 100-byte message", |bencher| {
        bencher.iter(|| {
            (
                codec::decode(black_box(sent.as_bytes()), GROUP),
                codec::encode(ServerFrame::Message(GROUP, black_box(&spoken))),
            )
        });
    });
    group.bench_function("encode a page of 50 messages", |bencher| {
        bencher.iter(|| codec::encode(ServerFrame::History(GROUP, black_box(&page))));
    });
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
