//! The newest page of a group with a million messages, and pages anywhere in it.

use std::io;
use std::time::Instant;

use engine::domain::ids::{GroupUid, Seq};
use engine::domain::message::Before;
use engine::metrics::Metrics;
use engine::store::embedded::EmbeddedStore;
use engine::store::{Edge, History, Window};

use crate::rounds::Figure;
use crate::senders::message;

const MESSAGES: u64 = 1_000_000;
const PAGE: usize = 50;
const READS: u64 = 2_000;
const GROUP: GroupUid = GroupUid(7);

pub(crate) async fn figures() -> io::Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let (store, _) = EmbeddedStore::open(dir.path(), Metrics::new().store).map_err(io::Error::other)?;
    fill(&store).await?;
    let (mut newest, mut anywhere, mut by_time) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..7 {
        newest.push(p99_ms(&store, |_| Edge::Newest).await?);
        let place = |read: u64| (read * 7_919 + round * 104_729) % MESSAGES;
        anywhere.push(p99_ms(&store, |read| Edge::Before(Before::Seq(Seq(place(read))))).await?);
        by_time
            .push(p99_ms(&store, |read| Edge::Before(Before::Time(1_551_105_125_856 + place(read)))).await?);
    }
    store.close().await;
    Ok(vec![
        Figure::new("newest page (50) of a group with 1 M messages, p99", "< 1 ms", "ms", newest),
        Figure::new("a page anywhere in it by message id, p99", "–", "ms", anywhere),
        Figure::new("a page anywhere in it by time, p99", "–", "ms", by_time),
    ])
}

async fn fill(store: &EmbeddedStore) -> io::Result<()> {
    let mut waiting = Vec::new();
    for seq in 1..=MESSAGES {
        waiting.push(store.append(GROUP, message(seq)).await);
        if waiting.len() == 8_192 {
            for appending in waiting.drain(..) {
                appending.await.map_err(io::Error::other)?;
            }
        }
    }
    for appending in waiting {
        appending.await.map_err(io::Error::other)?;
    }
    Ok(())
}

async fn p99_ms(store: &EmbeddedStore, edge: impl Fn(u64) -> Edge) -> io::Result<f64> {
    let mut times = Vec::new();
    for read in 0..READS {
        let edge = edge(read);
        let window = Window { upto: Seq(MESSAGES), edge, limit: PAGE, bytes_max: 256 * 1024, reader: None };
        let started = Instant::now();
        store.page(GROUP, window).await.map_err(io::Error::other)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() * 99 / 100])
}
