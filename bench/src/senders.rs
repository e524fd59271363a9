//! Durable appends of many concurrent senders: each sends its next message when its last is durable.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::domain::event::{Actor, Event, EventKind, Message};
use engine::domain::ids::{GroupUid, Seq, UserId, UserLife, UserUid};
use engine::metrics::Metrics;
use engine::store::History;
use engine::store::embedded::EmbeddedStore;

use crate::rounds::Figure;

const SENDERS: u64 = 1_000;
const GROUPS: u64 = 100;
const ROUND: Duration = Duration::from_secs(3);

pub(crate) async fn figure() -> io::Result<Figure> {
    let mut rounds = Vec::new();
    for _ in 0..5 {
        rounds.push(round().await?);
    }
    Ok(Figure::new(
        "durable appends, 1,000 concurrent senders in 100 groups, 100-byte messages",
        "≥ 100,000 messages/s",
        "messages/s",
        rounds,
    ))
}

async fn round() -> io::Result<f64> {
    let dir = tempfile::tempdir()?;
    let (store, _) = EmbeddedStore::open(dir.path(), Metrics::new().store).map_err(io::Error::other)?;
    // A group has one writer, so its senders take turns at its log as they do in the engine.
    let logs: Vec<_> = (0..GROUPS).map(|_| Arc::new(tokio::sync::Mutex::new(0_u64))).collect();
    let stored = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (store, stored) = (store.clone(), Arc::clone(&stored));
            let group = sender % GROUPS;
            let log = Arc::clone(&logs[usize::try_from(group).expect("few groups")]);
            tokio::spawn(async move {
                while started.elapsed() < ROUND {
                    let appending = {
                        let mut last = log.lock().await;
                        *last += 1;
                        store.append(GroupUid(group), message(*last)).await
                    };
                    if appending.await.is_ok() {
                        stored.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.map_err(io::Error::other)?;
    }
    let rate = stored.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    store.close().await;
    Ok(rate)
}

pub(crate) fn message(seq: u64) -> Event {
    let author = UserLife { id: UserId::parse("67157f9").expect("a valid id"), uid: UserUid(7) };
    Event {
        seq: Seq(seq),
        time_ms: 1_551_105_125_856 + seq,
        by: Actor::User(author),
        kind: EventKind::Message(Message::plain("x".repeat(100))),
    }
}
