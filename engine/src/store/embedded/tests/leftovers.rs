//! What is deleted leaves the disk, also when the store is stopped meanwhile.

use fjall::Keyspace;

use super::*;
use crate::domain::event::{Actor, Extra, Marker, Message, Moderation, ModerationOp, Reaction};
use crate::domain::ids::{ClientId, ReactionKey};
use crate::store::Erased;

/// A log of everything that leaves anything behind.
async fn fill(store: &EmbeddedStore, group: u64, messages: u64) {
    let (eve, bob) = (person("eve"), person("bob"));
    let said = |seq| {
        let client_id = (seq % 2 == 0).then(|| ClientId::parse(&format!("c{seq}")).unwrap());
        let message = Message::new("secret", Extra { client_id, ..Extra::default() });
        event(seq, &eve, EventKind::Message(message))
    };
    append(store, group, (1..=messages).map(said)).await;
    let react = |seq, by, of| {
        let key = ReactionKey::parse("👋").unwrap();
        event(seq, by, EventKind::Reaction(Reaction { of: Seq(of), key, set: true }))
    };
    append(store, group, (1..=messages).map(|of| react(messages + of, &bob, of))).await;
    let muted = Moderation { op: ModerationOp::Mute, user: Some(bob.clone()), until_ms: None };
    append(store, group, [event(messages * 2 + 1, &eve, EventKind::Moderation(muted))]).await;
    let marker = Marker { read: Seq(1), received: Seq(1) };
    store.mark(GroupUid(group), vec![(eve, marker), (bob, marker)]).await.unwrap();
}

/// How many rows each keyspace has that anything of a log is in.
fn rows(store: &EmbeddedStore) -> [usize; 7] {
    let count = |keyspace: &Keyspace| keyspace.iter().count();
    let Tables { messages, events, reactions, markers, traces, remembered, trash, .. } = &*store.tables;
    [messages, events, reactions, markers, traces, remembered, trash].map(count)
}

async fn until_swept(store: &EmbeddedStore) {
    // The committer sweeps before it closes only what it gets to; ask until it has got to the end.
    while store.tables.trash.first_key_value().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_deleted_group_leaves_nothing_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let lobby = group("s", "lobby", 1);
    store.create_group(lobby.clone()).await.unwrap();
    fill(&store, 1, 1_000).await;
    // Of another group with the same people everything stays.
    fill(&store, 2, 10).await;
    // Traces are of messages, every other client id, reactions and their events, markers, and the mute's two.
    assert_eq!(rows(&store), [1_010, 1_012, 1_010, 4, 1_010 + 505 + 1_010 + 1_010 + 4 + 4, 0, 0]);
    store.delete_group(&lobby).await.unwrap();
    let late = store.append(lobby.uid, message(2_002)).await.await;
    assert_eq!(late, Err(StoreError::NoGroup), "what comes too late isn't left behind");
    until_swept(&store).await;
    assert_eq!(rows(&store), [10, 11, 10, 2, 10 + 5 + 10 + 10 + 2 + 2, 0, 0]);
}

#[tokio::test]
async fn a_group_that_is_half_swept_is_swept_after_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 1, 20).await;
    // As it is when a process ends after noting it.
    store.tables.trash.insert(keys::of_group(GroupUid(1)), []).unwrap();
    store.tables.messages.remove(keys::place(GroupUid(1), Seq(3))).unwrap();
    store.tables.sync().unwrap();
    let (store, report) = open(copied(dir.path()).path());
    assert_eq!(report.holes, [], "what is being removed has holes");
    until_swept(&store).await;
    // The trace of the message that was removed by hand leads nowhere.
    assert_eq!(rows(&store), [0, 0, 0, 0, 1, 0, 0]);
}

#[tokio::test]
async fn what_is_retained_no_longer_leaves_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 1, 20).await;
    let one = Retention { age_ms: None, messages: Some(1) };
    assert_eq!(store.retain(GroupUid(1), one, 0, 100).await, Ok(19));
    until_swept(&store).await;
    // One message with its client id and reaction, and the events behind it; and for a day the client ids of the others.
    assert_eq!(rows(&store), [1, 21, 1, 2, 2 + 20 + 2 + 1 + 2 + 9, 9, 0]);
    assert_eq!(store.retain(GroupUid(1), one, u64::MAX, 100).await, Ok(0));
    assert_eq!(rows(&store), [1, 21, 1, 2, 2 + 20 + 2 + 1 + 2, 0, 0]);
}

#[tokio::test]
async fn client_ids_that_outlive_their_messages_go_with_the_group() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let lobby = group("s", "lobby", 1);
    store.create_group(lobby.clone()).await.unwrap();
    fill(&store, 1, 20).await;
    let one = Retention { age_ms: None, messages: Some(1) };
    store.retain(GroupUid(1), one, 0, 100).await.unwrap();
    store.delete_group(&lobby).await.unwrap();
    until_swept(&store).await;
    assert_eq!(rows(&store), [0; 7]);
}

#[tokio::test]
async fn a_deleted_message_leaves_nothing_that_was_said_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 1, 1).await;
    append(&store, 1, [delete(4, 1)]).await;
    until_swept(&store).await;
    let found = |keyspace: &Keyspace| {
        let rows = keyspace.iter().map(|row| row.value().unwrap());
        rows.filter(|row| String::from_utf8_lossy(row).contains("secret")).count()
    };
    assert_eq!((found(&store.tables.messages), found(&store.tables.events)), (0, 0));
    assert_eq!(rows(&store)[2], 0, "its reactions are gone");
}

#[tokio::test]
async fn an_erasure_goes_on_after_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 1, 600).await;
    let eve = person("eve");
    // As it is when a process ends after noting it, with a part of it done.
    let note = rows::encode(&(eve.id.clone(), eve.uid, [7_u64, 0, 0, 0]));
    store.tables.erasing.insert(traces::of_user(&eve), note).unwrap();
    store.tables.sync().unwrap();
    let (store, _) = open(copied(dir.path()).path());
    let erased = store.erase(&eve).await.unwrap();
    assert!(erased.messages == 607 || erased == Erased::default(), "{erased:?}");
    assert!(store.tables.erasing.first_key_value().is_none());
    for seq in [1, 300, 600] {
        let facts = store.facts(GroupUid(1), Seq(seq), None).await.unwrap().unwrap();
        assert_eq!(facts.author, Actor::Erased);
    }
    assert_eq!(store.tables.traces.prefix(traces::of_user(&eve)).count(), 0);
}

#[tokio::test]
async fn a_user_who_was_deleted_before_a_crash_is_erased_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let s = contract::service("s");
    let eve = contract::user("eve", person("eve").uid.0);
    store.create_user(&s, eve.clone()).await.unwrap();
    fill(&store, 1, 20).await;
    store.delete_user(&s, &eve.id).await.unwrap();
    let (store, _) = open(copied(dir.path()).path());
    while store.tables.erasing.first_key_value().is_some() {
        tokio::task::yield_now().await;
    }
    let facts = store.facts(GroupUid(1), Seq(1), None).await.unwrap().unwrap();
    assert_eq!(facts.author, Actor::Erased);
}

#[tokio::test]
async fn chores_go_on_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    fill(&store, 1, 600).await;
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for seq in 1.. {
                if store.append(GroupUid(2), message(seq)).await.await.is_err() {
                    return seq;
                }
            }
            0
        }
    });
    assert_eq!(store.erase(&person("eve")).await.unwrap().messages, 600);
    store.close().await;
    assert!(writing.await.unwrap() > 1);
}
