//! Directories of the format from before logs held anything but messages.

use super::*;
use crate::domain::attendance::{Attendance, Standing};
use crate::domain::event::{Actor, Message};
use crate::domain::ids::{UserId, UserUid};
use crate::domain::profile::{GroupRecord, Profile};
use crate::store::{Replay, ReplayBounds};

/// A group as it was written then.
fn put_group(store: &EmbeddedStore, group: &GroupRecord, order: u64) {
    let GroupRecord { service, id, uid, profile, created_ms, .. } = group;
    let row = rows::encode(&((service, id, uid, profile, created_ms), order));
    store.tables.groups.insert(keys::group(service, id), row).unwrap();
    store.tables.group_order.insert(keys::order(service, order), id.as_str()).unwrap();
}

/// A user as it was written then, without or with a life.
fn put_user(store: &EmbeddedStore, service: &str, id: &str, created_ms: u64, uid: Option<u64>) {
    let (service, id) = (contract::service(service), contract::user_id(id));
    let profile: Profile = contract::user("name", 1).profile;
    let row = match uid {
        None => rows::encode(&((&id, &profile, created_ms, 0_u64), 0_u64)),
        Some(uid) => rows::encode(&((&id, &profile, created_ms, 0_u64, uid), 0_u64)),
    };
    store.tables.users.insert(keys::user(&service, &id), row).unwrap();
}

/// Attendance as it was written then, without or with a life.
fn put_attendance(store: &EmbeddedStore, group: &GroupRecord, id: &UserId, uid: Option<u64>) {
    let row = uid.map_or(Vec::new(), |uid| rows::encode(&UserUid(uid)));
    store.tables.attendees.insert(keys::attendee(group.uid, id), row.clone()).unwrap();
    store.tables.attendance.insert(keys::attendance(&group.service, id, &group.id), row).unwrap();
}

fn put_message(store: &EmbeddedStore, group: u64, seq: u64, author: &str) {
    let row = rows::encode(&(1_000 + seq * 10, author, format!("old {seq}")));
    store.tables.messages.insert(keys::place(GroupUid(group), Seq(seq)), row).unwrap();
}

/// Two services with a group each, in which an alice without a life and a bob with one have said something, and a
/// carol that is gone. The second bob was made anew at 1030.
async fn old_directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for (service, uid) in [("s", 1), ("t", 2)] {
        let lobby = group(service, "lobby", uid);
        put_group(&store, &lobby, 0);
        put_user(&store, service, "alice", 5, None);
        put_user(&store, service, "bob", if uid == 1 { 5 } else { 1_030 }, Some(uid));
        put_attendance(&store, &lobby, &contract::user_id("alice"), None);
        put_attendance(&store, &lobby, &contract::user_id("bob"), Some(uid));
        for (seq, author) in (1..).zip(["alice", "bob", "bob", "carol", "alice"]) {
            put_message(&store, uid, seq, author);
        }
    }
    store.tables.facts.insert("format", 1_u32.to_be_bytes()).unwrap();
    store.close().await;
    drop(store);
    dir
}

async fn authors(store: &EmbeddedStore, group: u64) -> Vec<(String, u64)> {
    let window = Window { upto: Seq(99), edge: Edge::Newest, limit: 99, bytes_max: usize::MAX, reader: None };
    let page = store.page(GroupUid(group), window).await.unwrap();
    let author = |actor: &Actor| (actor.id().to_owned(), actor.user().map_or(0, |user| user.uid.0));
    page.messages.iter().map(|shown| author(&shown.author)).collect()
}

#[tokio::test]
async fn what_was_said_reads_as_before() {
    let dir = old_directory().await;
    let (store, report) = open(dir.path());
    assert!(report.clean);
    let bounds = ReplayBounds { events_max: 9, bytes_max: 999 };
    let Replay::Whole(events) = store.replay(GroupUid(1), Seq(0), Seq(5), bounds).await.unwrap() else {
        panic!("too far")
    };
    for (seq, event) in (1..).zip(events) {
        assert_eq!((event.seq, event.time_ms), (Seq(seq), 1_000 + seq * 10));
        assert_eq!(event.kind, EventKind::Message(Message::plain(format!("old {seq}"))));
    }
    append(&store, 1, [message(6)]).await;
    let unread = store.unread(GroupUid(1), &contract::life("bob", 77)).await.unwrap();
    assert_eq!(unread.messages, 6, "every event was a message, so the count goes on");
    let groups = store.groups(&contract::service("s"), crate::store::Page { offset: 0, limit: 9 }).await;
    assert_eq!(groups.unwrap().items, [group("s", "lobby", 1)]);
}

#[tokio::test]
async fn everyone_has_a_life_and_what_was_said_in_it() {
    let dir = old_directory().await;
    let (store, _) = open(dir.path());
    let mut lives = Vec::new();
    for (service, uid) in [("s", 1), ("t", 2)] {
        let (lobby, s) = (group(service, "lobby", uid), contract::service(service));
        let alice = store.user(&s, &contract::user_id("alice")).await.unwrap().unwrap();
        assert_ne!(alice.uid, UserUid::default());
        let attends = Attendance { user: alice.life(), standing: Standing::default() };
        assert_eq!(store.attendance(&lobby, &alice.id).await, Ok(Some(attends)));
        assert_eq!(store.groups_of(&s, &alice.life()).await, Ok(vec![lobby.clone()]));
        let attendees = store.attendees(&lobby).await.unwrap();
        assert_eq!(attendees.iter().map(|it| it.user.uid.0).collect::<Vec<_>>(), [alice.uid.0, uid]);
        let is = |id: &str, uid| (id.to_owned(), uid);
        // What the second bob's predecessor said is not the second one's.
        let early = if uid == 1 { 1 } else { 0 };
        let said = [
            is("alice", alice.uid.0),
            is("bob", early),
            is("bob", uid),
            is("carol", 0),
            is("alice", alice.uid.0),
        ];
        assert_eq!(authors(&store, uid).await, said);
        lives.push(alice.life());
    }
    assert_ne!(lives[0], lives[1], "of two services' users neither is the other");

    let erased = store.erase(&lives[0]).await.unwrap();
    assert_eq!(erased.messages, 2);
    assert_eq!(authors(&store, 1).await[0].0, "");
    assert_eq!(authors(&store, 2).await[0], ("alice".to_owned(), lives[1].uid.0));
}

#[tokio::test]
async fn an_upgrade_that_was_interrupted_is_finished() {
    let dir = old_directory().await;
    let (store, _) = open(dir.path());
    let before = (authors(&store, 1).await, authors(&store, 2).await);
    // As it is when a process ends in the middle of it.
    put_message(&store, 2, 5, "alice");
    store.tables.facts.insert("format", 1_u32.to_be_bytes()).unwrap();
    store.close().await;
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!((authors(&store, 1).await, authors(&store, 2).await), before);
    store.close().await;
    drop(store);
    let (store, _) = open(dir.path());
    assert!(!store.tables.is_old, "it is done once");
}
