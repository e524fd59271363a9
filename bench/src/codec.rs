//! Decode and encode of a version 1 frame.

use std::hint::black_box;
use std::time::Instant;

use engine::domain::ids::{GroupUid, Seq, UserId};
use engine::domain::message::Message;
use engine::protocol::codec;
use engine::protocol::frame::ServerFrame;

use crate::rounds::Figure;

const FRAMES: u32 = 300_000;

pub(crate) fn figure() -> Figure {
    let group = GroupUid(0x5c73_fc65_1062_9c18);
    let sent = format!("{{\"a\":2,\"d\":{{\"m\":\"{}\"}}}}", "x".repeat(100));
    let author = UserId::parse("67157f9").expect("a valid id");
    let message = Message { seq: Seq(1), time_ms: 1_551_105_125_856, author, text: "x".repeat(100).into() };
    let rounds = (0..7).map(|_| {
        let started = Instant::now();
        for _ in 0..FRAMES {
            black_box(codec::decode(black_box(sent.as_bytes()), group).is_ok());
            black_box(codec::encode(ServerFrame::Message(group, black_box(&message))));
        }
        started.elapsed().as_secs_f64() * 1e6 / f64::from(FRAMES)
    });
    Figure::new("decode and encode a version 1 frame of 100 bytes", "< 1 µs", "µs", rounds.collect())
}
