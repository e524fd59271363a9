//! The queue of each socket: one message into many of them, and what the writer takes out.
#![allow(missing_docs)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::socket::outbound::{Outbound, Pushed, Taken, Worth};

const BYTES_MAX: usize = 1 << 20;

/// A message of 100 bytes as it goes over the wire.
fn frame() -> Bytes {
    Bytes::from(vec![b'x'; 190])
}

/// Empties a queue as its writer does, and leaves it with the writer waiting.
fn drain(queue: &Outbound, taken: &mut VecDeque<Bytes>) -> usize {
    let mut frames = 0;
    while queue.try_take(taken) == Some(Taken::Frames) {
        frames += taken.len();
        queue.sent(taken.drain(..).map(|frame| frame.len()).sum());
    }
    frames
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out of one message into queues");
    for queues in [1_u64, 100, 1_000, 10_000] {
        let outbounds: Vec<_> = (0..queues).map(|_| Outbound::new(BYTES_MAX)).collect();
        let mut taken = VecDeque::new();
        outbounds.iter().for_each(|queue| assert_eq!(drain(queue, &mut taken), 0));
        let frame = frame();
        group.throughput(Throughput::Elements(queues));
        group.bench_function(BenchmarkId::from_parameter(queues), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut pushing = Duration::ZERO;
                for _ in 0..rounds {
                    let started = Instant::now();
                    for queue in &outbounds {
                        let pushed = queue.push(black_box(&frame).clone(), Worth::Essential);
                        debug_assert_eq!(pushed, Pushed::Queued);
                    }
                    pushing += started.elapsed();
                    // What the writers do is another benchmark's.
                    outbounds.iter().for_each(|queue| assert_eq!(drain(queue, &mut taken), 1));
                }
                pushing
            });
        });
    }
    group.finish();
}

fn drain_queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbound queue: push so many, take all");
    for frames in [1_usize, 16, 256] {
        let (queue, frame, mut taken) = (Outbound::new(BYTES_MAX), frame(), VecDeque::new());
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(BenchmarkId::from_parameter(frames), |bencher| {
            bencher.iter(|| {
                for _ in 0..frames {
                    queue.push(black_box(&frame).clone(), Worth::Essential);
                }
                assert_eq!(drain(&queue, &mut taken), frames);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fan_out, drain_queue);
criterion_main!(benches);
