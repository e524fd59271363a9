use std::path::Path;

use super::*;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::{GroupUid, Seq};
use crate::domain::profile::Retention;
use crate::metrics::Metrics;
use crate::store::contract::{event, group, message, person};
use crate::store::{Directory, Edge, History, Window, contract};

mod leftovers;
mod old;
mod rounds;

fn open(path: &Path) -> (EmbeddedStore, OpenReport) {
    EmbeddedStore::open(path, Metrics::new().store).expect("opened")
}

async fn append(store: &EmbeddedStore, group: u64, events: impl IntoIterator<Item = Event>) {
    let mut appending = Vec::new();
    for event in events {
        appending.push(store.append(GroupUid(group), event).await);
    }
    for append in appending {
        append.await.unwrap();
    }
}

fn delete(seq: u64, of: u64) -> Event {
    event(seq, &person("alice"), EventKind::Delete { of: Seq(of) })
}

#[tokio::test]
async fn keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract::check(&open(dir.path()).0).await;
}

#[tokio::test]
async fn everything_is_there_after_a_clean_close() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = open(dir.path());
    assert!(report.clean);
    store.create_group(group("s", "lobby", 1)).await.unwrap();
    for seq in 1..=100 {
        store.append(GroupUid(1), message(seq)).await.await.unwrap();
    }
    store.close().await;
    assert!(store.append(GroupUid(1), message(101)).await.await.is_err(), "closed is closed");
    drop(store);

    let (store, report) = open(dir.path());
    assert!(report.clean && report.messages == 0, "nothing to check: {report:?}");
    assert_eq!(store.head(GroupUid(1)).await.unwrap().seq, Seq(100));
    assert!(store.group(&contract::service("s"), &group("s", "lobby", 1).id).await.unwrap().is_some());
}

#[tokio::test]
async fn after_a_crash_every_log_is_walked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for group in 1..=3 {
        for seq in 1..=10 {
            store.append(GroupUid(group), message(seq)).await.await.unwrap();
        }
    }
    let copy = copied(dir.path());
    let (_, report) = open(copy.path());
    assert_eq!((report.clean, report.groups, report.messages), (false, 3, 30));
    assert_eq!(report.holes, []);
}

#[tokio::test]
async fn a_log_is_walked_with_all_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    append(&store, 7, [message(1), delete(2, 1), message(3), delete(4, 3), delete(5, 3)]).await;
    append(&store, 8, (1..=4).map(message)).await;
    let two = Retention { age_ms: None, messages: Some(2) };
    assert_eq!(store.retain(GroupUid(8), two, 0, 9).await, Ok(2));
    store.tables.sync().unwrap();
    let (_, report) = open(copied(dir.path()).path());
    assert_eq!((report.groups, report.messages, report.events), (2, 4, 3));
    assert_eq!(report.holes, [], "a log may begin where what is kept begins");

    store.tables.events.remove(keys::place(GroupUid(7), Seq(4))).unwrap();
    store.tables.sync().unwrap();
    let (_, report) = open(copied(dir.path()).path());
    assert_eq!(report.holes, [Hole { group: GroupUid(7), from: Seq(4), to: Seq(5) }]);
}

#[tokio::test]
async fn a_hole_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for seq in 1..=9 {
        store.append(GroupUid(7), message(seq)).await.await.unwrap();
    }
    for seq in [4, 5] {
        store.tables.messages.remove(keys::place(GroupUid(7), Seq(seq))).unwrap();
    }
    store.tables.sync().unwrap();
    let copy = copied(dir.path());
    let (store, report) = open(copy.path());
    assert_eq!(report.holes, [Hole { group: GroupUid(7), from: Seq(4), to: Seq(6) }]);
    let window = Window { upto: Seq(9), edge: Edge::Newest, limit: 3, bytes_max: usize::MAX, reader: None };
    let page = store.page(GroupUid(7), window).await.unwrap();
    assert_eq!(page.messages.len(), 3, "what is there is served");
}

#[tokio::test]
async fn damage_anywhere_in_the_journal_after_a_clean_stop_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for seq in 1..=30 {
        store.append(GroupUid(seq % 2), message(seq.div_ceil(2))).await.await.unwrap();
    }
    store.close().await;
    drop(store);
    // Opening takes what was allocated ahead off the journal.
    open(dir.path()).0.close().await;
    let journal = |dir: &Path| dir.join("store/0.jnl");
    let bytes = std::fs::read(journal(dir.path())).unwrap();
    assert!((1_000..100_000).contains(&bytes.len()), "{}", bytes.len());

    for place in (0..bytes.len()).step_by(bytes.len() / 20) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0x10;
        for damaged in [&flipped[..], &bytes[..place]] {
            let copy = copied(dir.path());
            std::fs::write(journal(copy.path()), damaged).unwrap();
            match EmbeddedStore::open(copy.path(), Metrics::new().store) {
                Ok((_, report)) => {
                    assert_eq!((report.clean, &report.damaged[..]), (false, &["0.jnl".to_owned()][..]));
                }
                Err(error) => assert!(error.to_string().contains("0.jnl"), "{error}"),
            }
        }
    }
    assert!(open(copied(dir.path()).path()).1.clean, "what isn't damaged is clean");
}

#[tokio::test]
async fn a_lost_end_is_told_once_and_what_is_there_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for seq in 1..=9 {
        store.append(GroupUid(7), message(seq)).await.await.unwrap();
    }
    let journal = dir.path().join("store/0.jnl");
    store.close().await;
    drop(store);
    open(dir.path()).0.close().await;
    let length = std::fs::metadata(&journal).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&journal).unwrap().set_len(length - 1).unwrap();

    let (store, report) = open(dir.path());
    assert_eq!((report.damaged, report.holes, report.messages), (vec!["0.jnl".to_owned()], vec![], 8));
    store.append(GroupUid(7), message(9)).await.await.unwrap();
    store.close().await;
    drop(store);
    assert!(open(dir.path()).1.clean);
}

#[tokio::test]
async fn a_second_process_is_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path());
    let error = EmbeddedStore::open(dir.path(), Metrics::new().store).err().expect("locked");
    assert!(matches!(error, OpenError::Locked(_)));
    assert!(error.to_string().contains("KIJIMUNA_DATA_DIR"), "{error}");
}

#[tokio::test]
async fn an_unknown_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.tables.facts.insert("format", 99_u32.to_be_bytes()).unwrap();
    store.close().await;
    drop(store);
    let error = EmbeddedStore::open(dir.path(), Metrics::new().store).err().expect("refused");
    assert!(matches!(error, OpenError::Format { .. }), "{error}");
}

/// A copy of a directory as a crash would have left it: whoever has it open goes on with the original.
fn copied(from: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(from, to.path());
    to
}
