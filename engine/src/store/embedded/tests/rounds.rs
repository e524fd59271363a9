//! What comes in one round sees what came before it in the same round.

use std::sync::mpsc;

use super::*;
use crate::domain::event::{Edit, Marker, Message, Reaction};
use crate::domain::ids::{ReactionKey, UserLife};
use crate::domain::profile::Change;

/// Holds the committer, so that all that is asked until the answer is dropped comes in one round.
async fn hold(store: &EmbeddedStore) -> mpsc::Sender<()> {
    let (holding, held) = mpsc::channel();
    let (begun, begins) = oneshot::channel();
    let write = move |_: &Tables| {
        begun.send(()).unwrap();
        let _ = held.recv();
        Box::new(|_| {}) as committer::Told
    };
    assert!(store.ops.send(Op::Write(Box::new(write))).await.is_ok());
    begins.await.unwrap();
    holding
}

fn react(seq: u64, by: &UserLife, of: u64, set: bool) -> Event {
    let key = ReactionKey::parse("👋").unwrap();
    event(seq, by, EventKind::Reaction(Reaction { of: Seq(of), key, set }))
}

fn edit(seq: u64, of: u64, text: &str) -> Event {
    let edit = Edit { of: Seq(of), text: Some(text.into()), custom: Change::Keep };
    event(seq, &person("alice"), EventKind::Edit(edit))
}

#[tokio::test]
async fn changes_of_one_round_are_made_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let (bob, carol) = (person("bob"), person("carol"));
    append(&store, 1, [message(1)]).await;
    let held = hold(&store).await;
    let events = [
        react(2, &bob, 1, true),
        edit(3, 5, "too early"),
        react(4, &bob, 1, false),
        message(5),
        react(6, &bob, 5, true),
        react(7, &carol, 5, true),
        edit(8, 5, "b"),
        edit(9, 1, "a"),
        react(10, &carol, 1, true),
        message(11),
        react(12, &bob, 11, true),
        delete(13, 11),
        edit(14, 11, "too late"),
    ];
    let mut appending = Vec::new();
    for event in events {
        appending.push(store.append(GroupUid(1), event).await);
    }
    drop(held);
    for append in appending {
        append.await.unwrap();
    }
    let window =
        Window { upto: Seq(14), edge: Edge::Newest, limit: 9, bytes_max: 9_999, reader: Some(bob.clone()) };
    let page = store.page(GroupUid(1), window).await.unwrap();
    let [first, second, third] = &page.messages[..] else { panic!("{page:?}") };
    let seen = |at: usize| {
        let it = &page.messages[at];
        (&*it.message.text, it.version.0, it.number, it.reactions.values().sum::<u64>(), it.mine.len())
    };
    assert_eq!((seen(0), seen(1), seen(2)), (("a", 10, 1, 1, 0), ("b", 8, 2, 2, 1), ("", 13, 3, 0, 0)));
    assert_eq!((first.edited_ms, second.edited_ms), (Some(1_090), Some(1_080)));
    assert_eq!(third.message, Message { deleted: true, ..Message::plain("") });
    while store.tables.trash.first_key_value().is_some() {
        tokio::task::yield_now().await;
    }
    let reactions = store.tables.reactions.iter().count();
    assert_eq!(reactions, 3, "of the deleted message there is none");
}

#[tokio::test]
async fn markers_of_one_round_move_forward() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let bob = person("bob");
    let held = hold(&store).await;
    let marks = [(3, 3), (1, 7), (2, 2)].map(|(read, received)| {
        let (store, bob) = (store.clone(), bob.clone());
        let marker = Marker { read: Seq(read), received: Seq(received) };
        tokio::spawn(async move { store.mark(GroupUid(1), vec![(bob, marker)]).await })
    });
    tokio::task::yield_now().await;
    drop(held);
    for mark in marks {
        mark.await.unwrap().unwrap();
    }
    let marker = Marker { read: Seq(3), received: Seq(7) };
    assert_eq!(store.markers(GroupUid(1)).await, Ok(vec![(bob, marker)]));
}

#[tokio::test]
async fn a_message_that_goes_in_the_round_of_its_change_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    append(&store, 1, [message(1), message(2)]).await;
    let held = hold(&store).await;
    let changed = store.append(GroupUid(1), react(3, &person("bob"), 1, true)).await;
    let one = Retention { age_ms: None, messages: Some(1) };
    let retaining = tokio::spawn({
        let store = store.clone();
        async move { store.retain(GroupUid(1), one, 0, 9).await }
    });
    tokio::task::yield_now().await;
    drop(held);
    changed.await.unwrap();
    assert_eq!(retaining.await.unwrap(), Ok(1));
    assert_eq!(store.facts(GroupUid(1), Seq(1), None).await, Ok(None));
}
