//! The embedded store: a thousand appends that wait for the same sync, and the newest page.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::domain::event::{Actor, Event, EventKind, Message};
use engine::domain::ids::{GroupUid, Seq, UserId, UserLife, UserUid};
use engine::metrics::Metrics;
use engine::store::embedded::EmbeddedStore;
use engine::store::{Edge, History, Window};
use tokio::runtime::Runtime;

const GROUPS: u64 = 100;
const APPENDS: u64 = 1_000;

fn message(seq: u64) -> Event {
    let author = UserLife { id: UserId::parse("67157f9").expect("a valid id"), uid: UserUid(7) };
    Event {
        seq: Seq(seq),
        time_ms: 1_551_105_125_856 + seq,
        by: Actor::User(author),
        kind: EventKind::Message(Message::plain("x".repeat(100))),
    }
}

/// Appends the next ten messages of each of a hundred groups, and waits until all are durable.
async fn append(store: &EmbeddedStore, head: &mut u64) {
    let mut waiting = Vec::new();
    for seq in *head + 1..=*head + APPENDS / GROUPS {
        for group in 0..GROUPS {
            waiting.push(store.append(GroupUid(group), message(seq)).await);
        }
    }
    *head += APPENDS / GROUPS;
    for appending in waiting {
        appending.await.expect("stored");
    }
}

fn store(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = EmbeddedStore::open(dir.path(), Metrics::new().store).expect("a store");
    let mut head = 0;
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(APPENDS));
    group.bench_function("1,000 durable appends in 100 groups", |bencher| {
        bencher.iter(|| runtime.block_on(append(&store, &mut head)));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("newest page of 50", |bencher| {
        let window =
            Window { upto: Seq(head), edge: Edge::Newest, limit: 50, bytes_max: 256 * 1024, reader: None };
        bencher.iter(|| runtime.block_on(store.page(GroupUid(7), window.clone())).expect("read"));
    });
    group.finish();
    runtime.block_on(store.close());
}

criterion_group!(benches, store);
criterion_main!(benches);
