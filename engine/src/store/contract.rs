//! What every store promises, as tests. An adapter runs [`check`] on an empty store.

use super::{DeletedUser, Directory, History, Page, StoreError, Window};
use crate::domain::group::Head;
use crate::domain::ids::{GroupId, GroupUid, Seq, ServiceId, UserId, UserUid};
use crate::domain::message::{Before, Message};
use crate::domain::profile::{Change, GroupRecord, Icon, Name, Profile, ProfilePatch, UserRecord};
use crate::domain::service::Service;

/// Runs the whole suite against an adapter.
pub async fn check<S: Directory + History>(store: &S) {
    services_are_found(store).await;
    groups_are_made_listed_changed_and_deleted(store).await;
    users_are_made_listed_changed_and_deleted(store).await;
    attendance_is_idempotent_and_seen_from_both_sides(store).await;
    one_service_never_sees_another(store).await;
    of_many_creators_one_wins(store).await;
    a_group_made_again_is_another(store).await;
    a_user_made_again_is_another(store).await;
    messages_come_back_in_order(store).await;
    an_append_that_is_not_next_is_refused(store).await;
    history_is_paged_by_place_and_time(store).await;
    a_page_of_large_messages_is_cut(store).await;
    ids_of_any_kind_work(store).await;
}

/// A service id.
pub fn service(id: &str) -> ServiceId {
    ServiceId::parse(id).expect("a valid id")
}

/// A user id.
pub fn user_id(id: &str) -> UserId {
    UserId::parse(id).expect("a valid id")
}

/// A group with its id as its name.
pub fn group(service_id: &str, id: &str, uid: u64) -> GroupRecord {
    GroupRecord {
        service: service(service_id),
        id: GroupId::parse(id).expect("a valid id"),
        uid: GroupUid(uid),
        profile: Profile::named(Name::parse(id).expect("a valid name")),
        created_ms: 1,
    }
}

/// A user with its id as its name.
pub fn user(id: &str, uid: u64) -> UserRecord {
    let profile = Profile::named(Name::parse(id).expect("a valid name"));
    UserRecord { id: user_id(id), profile, created_ms: 1, revision: 0, uid: UserUid(uid) }
}

/// A message of "alice", ten milliseconds after the one before it.
pub fn message(seq: u64) -> Message {
    Message {
        seq: Seq(seq),
        time_ms: 1_000 + seq * 10,
        author: user_id("alice"),
        text: format!("message {seq}").into(),
    }
}

const ALL: Page = Page { offset: 0, limit: 1_000 };

fn page(upto: u64, before: Option<Before>, limit: usize) -> Window {
    Window { upto: Seq(upto), before, limit, bytes_max: usize::MAX }
}

fn places(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.seq.0).collect()
}

async fn append<S: History>(store: &S, group: GroupUid, seqs: impl IntoIterator<Item = u64>) {
    let mut appending = Vec::new();
    for seq in seqs {
        appending.push(store.append(group, message(seq)).await);
    }
    for append in appending {
        append.await.expect("appended");
    }
}

async fn services_are_found<S: Directory>(store: &S) {
    let made = Service { id: service("found"), secret_hash: [7; 32], created_ms: 1 };
    assert_eq!(store.service(&made.id).await, Ok(None));
    store.create_service(made.clone()).await.expect("created");
    assert_eq!(store.service(&made.id).await, Ok(Some(made)));
    assert_eq!(store.health().await, Ok(()));
}

async fn groups_are_made_listed_changed_and_deleted<S: Directory>(store: &S) {
    let s = service("groups");
    let empty = store.groups(&s, ALL).await.expect("listed");
    assert_eq!((empty.total, empty.items.len()), (0, 0));
    for (uid, id) in [(11, "zoo"), (12, "attic"), (13, "lobby")] {
        store.create_group(group("groups", id, uid)).await.expect("created");
    }
    assert_eq!(store.create_group(group("groups", "zoo", 14)).await, Err(StoreError::GroupExists));
    let listing = store.groups(&s, Page { offset: 1, limit: 1 }).await.expect("listed");
    assert_eq!(listing.total, 3);
    assert_eq!(listing.items, [group("groups", "attic", 12)], "in the order of making");

    let icon = Icon::parse("https://example.com/zoo.png").expect("valid");
    let patch = ProfilePatch { icon: Change::Set(icon.clone()), ..ProfilePatch::default() };
    let zoo = group("groups", "zoo", 11);
    let patched = store.update_group(&s, &zoo.id, patch).await.expect("updated");
    assert_eq!((&patched.profile.name, &patched.profile.icon), (&zoo.profile.name, &Some(icon)));
    assert_eq!(store.group(&s, &zoo.id).await, Ok(Some(patched)));

    store.delete_group(&zoo).await.expect("deleted");
    assert_eq!(store.group(&s, &zoo.id).await, Ok(None));
    assert_eq!(store.delete_group(&zoo).await, Err(StoreError::NoGroup));
    assert_eq!(store.update_group(&s, &zoo.id, ProfilePatch::default()).await, Err(StoreError::NoGroup));
    assert_eq!(store.groups(&s, ALL).await.expect("listed").total, 2);
}

async fn users_are_made_listed_changed_and_deleted<S: Directory>(store: &S) {
    let s = service("users");
    for id in ["zoe", "adam"] {
        store.create_user(&s, user(id, 1)).await.expect("created");
    }
    assert_eq!(store.create_user(&s, user("zoe", 1)).await, Err(StoreError::UserExists));
    let listing = store.users(&s, ALL).await.expect("listed");
    assert_eq!((listing.total, listing.items), (2, vec![user("zoe", 1), user("adam", 1)]));

    let patch = ProfilePatch { name: Some(Name::parse("Zoë").expect("valid")), ..ProfilePatch::default() };
    let patched = store.update_user(&s, &user_id("zoe"), patch).await.expect("updated");
    assert_eq!((patched.profile.name.as_str(), patched.revision), ("Zoë", 1));
    assert_eq!(store.user(&s, &user_id("zoe")).await, Ok(Some(patched)));

    store.delete_user(&s, &user_id("zoe")).await.expect("deleted");
    assert_eq!(store.user(&s, &user_id("zoe")).await, Ok(None));
    assert_eq!(store.delete_user(&s, &user_id("zoe")).await, Err(StoreError::NoUser));
    assert_eq!(store.users(&s, ALL).await.expect("listed").total, 1);
}

async fn attendance_is_idempotent_and_seen_from_both_sides<S: Directory>(store: &S) {
    let s = service("attendance");
    let lobby = group("attendance", "lobby", 21);
    let other = group("attendance", "other", 22);
    store.create_group(lobby.clone()).await.expect("created");
    store.create_group(other.clone()).await.expect("created");
    for id in ["alice", "alice2", "bob"] {
        store.create_user(&s, user(id, 1)).await.expect("created");
    }
    assert_eq!(store.add_attendee(&lobby, &user_id("nobody")).await, Err(StoreError::NoUser));
    for _ in 0..2 {
        assert_eq!(store.add_attendee(&lobby, &user_id("alice")).await, Ok(user("alice", 1)));
    }
    store.add_attendee(&lobby, &user_id("bob")).await.expect("added");
    store.add_attendee(&other, &user_id("alice")).await.expect("added");
    assert_eq!(store.attendees(&lobby).await, Ok(vec![user("alice", 1), user("bob", 1)]));
    assert_eq!(store.groups_of(&s, &user("alice", 1).life()).await, Ok(vec![lobby.clone(), other.clone()]));
    assert_eq!(store.groups_of(&s, &user("alice2", 1).life()).await, Ok(vec![]));
    assert_eq!(store.attending(&lobby, &user_id("bob")).await, Ok(Some(user("bob", 1).life())));

    for _ in 0..2 {
        assert_eq!(store.remove_attendee(&lobby, &user("bob", 1).life()).await, Ok(()));
    }
    assert_eq!(store.attending(&lobby, &user_id("bob")).await, Ok(None));
    let deleted = DeletedUser { user: user("alice", 1), groups: vec![lobby.clone(), other.clone()] };
    assert_eq!(store.delete_user(&s, &user_id("alice")).await, Ok(deleted));
    assert_eq!(store.attendees(&lobby).await, Ok(vec![]));
    store.add_attendee(&other, &user_id("bob")).await.expect("added");
    store.delete_group(&other).await.expect("deleted");
    assert_eq!(store.groups_of(&s, &user("bob", 1).life()).await, Ok(vec![]));
    assert_eq!(store.add_attendee(&other, &user_id("bob")).await, Err(StoreError::NoGroup));
}

async fn one_service_never_sees_another<S: Directory>(store: &S) {
    let (mine, theirs) = (service("iso"), service("iso2"));
    store.create_group(group("iso", "lobby", 31)).await.expect("created");
    store.create_user(&mine, user("alice", 1)).await.expect("created");
    let lobby = group("iso", "lobby", 31);
    assert_eq!(store.group(&theirs, &lobby.id).await, Ok(None));
    assert_eq!(store.user(&theirs, &user_id("alice")).await, Ok(None));
    assert_eq!(store.groups(&theirs, ALL).await.expect("listed").total, 0);
    assert_eq!(store.users(&theirs, ALL).await.expect("listed").items, []);
    assert_eq!(store.create_group(group("iso2", "lobby", 32)).await, Ok(()));
}

async fn of_many_creators_one_wins<S: Directory>(store: &S) {
    let make = |uid| store.create_group(group("race", "lobby", uid));
    let (a, b, c) = tokio::join!(make(41), make(42), make(43));
    let won = [a, b, c].into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
    assert_eq!(store.groups(&service("race"), ALL).await.expect("listed").total, 1);
}

async fn a_group_made_again_is_another<S: Directory + History>(store: &S) {
    let (old, new) = (group("again", "lobby", 51), group("again", "lobby", 52));
    let s = service("again");
    store.create_user(&s, user("alice", 1)).await.expect("created");
    store.create_group(old.clone()).await.expect("created");
    store.add_attendee(&old, &user_id("alice")).await.expect("added");
    append(store, old.uid, 1..=3).await;
    store.delete_group(&old).await.expect("deleted");
    store.create_group(new.clone()).await.expect("created");
    assert_eq!(store.attendees(&new).await, Ok(vec![]));
    assert_eq!(store.head(new.uid).await, Ok(Head::default()));
    store.add_attendee(&new, &user_id("alice")).await.expect("added");
    store.remove_attendee(&old, &user("alice", 1).life()).await.expect("no error");
    assert_eq!(store.groups_of(&s, &user("alice", 1).life()).await, Ok(vec![new]));
}

async fn a_user_made_again_is_another<S: Directory>(store: &S) {
    let s = service("reborn");
    let (lobby, other) = (group("reborn", "lobby", 101), group("reborn", "other", 102));
    let (alice, old, new) = (user_id("alice"), user("alice", 1).life(), user("alice", 2).life());
    for group in [&lobby, &other] {
        store.create_group(group.clone()).await.expect("created");
    }
    store.create_user(&s, user("alice", 1)).await.expect("created");
    store.add_attendee(&lobby, &alice).await.expect("added");
    let patched = store.update_user(&s, &alice, ProfilePatch::default()).await.expect("updated");
    assert_eq!((patched.life(), patched.revision), (old.clone(), 1), "a change is no new life");
    let deleted = DeletedUser { user: patched, groups: vec![lobby.clone()] };
    assert_eq!(store.delete_user(&s, &alice).await, Ok(deleted), "it tells which life has ended");
    assert_eq!(store.attending(&lobby, &alice).await, Ok(None));
    assert_eq!(store.add_attendee(&lobby, &alice).await, Err(StoreError::NoUser));

    store.create_user(&s, user("alice", 2)).await.expect("created");
    assert_eq!(store.attending(&lobby, &alice).await, Ok(None));
    assert_eq!(store.attendees(&lobby).await, Ok(vec![]));
    for life in [&old, &new] {
        assert_eq!(store.groups_of(&s, life).await, Ok(vec![]));
    }
    for group in [&lobby, &other] {
        assert_eq!(store.add_attendee(group, &alice).await, Ok(user("alice", 2)));
        assert_eq!(store.remove_attendee(group, &old).await, Ok(()), "what comes late is no error");
        assert_eq!(store.attending(group, &alice).await, Ok(Some(new.clone())), "and takes nothing away");
        assert_eq!(store.attendees(group).await, Ok(vec![user("alice", 2)]));
    }
    assert_eq!(store.groups_of(&s, &new).await, Ok(vec![lobby.clone(), other.clone()]));
    assert_eq!(store.groups_of(&s, &old).await, Ok(vec![]));
    store.remove_attendee(&lobby, &new).await.expect("removed");
    assert_eq!(store.attending(&lobby, &alice).await, Ok(None));
    assert_eq!(store.groups_of(&s, &new).await, Ok(vec![other]));
}

async fn messages_come_back_in_order<S: History>(store: &S) {
    let (group, neighbour) = (GroupUid(61), GroupUid(62));
    assert_eq!(store.head(group).await, Ok(Head::default()));
    assert_eq!(store.page(group, page(0, None, 10)).await, Ok(vec![]));
    append(store, group, 1..=5).await;
    append(store, neighbour, 1..=2).await;
    assert_eq!(store.head(group).await, Ok(Head { seq: Seq(5), time_ms: 1_050 }));
    let all: Vec<Message> = (1..=5).map(message).collect();
    assert_eq!(store.page(group, page(5, None, 10)).await, Ok(all.clone()));
    assert_eq!(store.after(group, Seq(0), Seq(5), 10).await, Ok(all));
    assert_eq!(places(&store.after(group, Seq(2), Seq(4), 10).await.expect("read")), [3, 4]);
    assert_eq!(places(&store.after(group, Seq(2), Seq(5), 1).await.expect("read")), [3]);
    assert_eq!(store.after(group, Seq(5), Seq(5), 10).await, Ok(vec![]));
}

async fn an_append_that_is_not_next_is_refused<S: History>(store: &S) {
    let group = GroupUid(71);
    append(store, group, 1..=2).await;
    let skipped = store.append(group, message(4)).await;
    let behind_it = store.append(group, message(5)).await;
    let again = store.append(group, message(2)).await;
    assert!(skipped.await.is_err());
    assert!(behind_it.await.is_err(), "what comes after a failed append fails, too");
    assert!(again.await.is_err(), "a place is written once");
    assert_eq!(store.head(group).await.expect("read").seq, Seq(2));
    append(store, group, 3..=3).await;
    assert_eq!(places(&store.page(group, page(9, None, 10)).await.expect("read")), [1, 2, 3]);
}

async fn history_is_paged_by_place_and_time<S: History>(store: &S) {
    let group = GroupUid(81);
    append(store, group, 1..=50).await;
    let read = async |upto, before, limit| {
        places(&store.page(group, page(upto, before, limit)).await.expect("read"))
    };
    assert_eq!(read(50, None, 3).await, [48, 49, 50]);
    assert_eq!(read(40, None, 2).await, [39, 40], "what isn't shown yet isn't read");
    assert_eq!(read(50, Some(Before::Seq(Seq(10))), 3).await, [7, 8, 9]);
    assert_eq!(read(50, Some(Before::Seq(Seq(2))), 3).await, [1]);
    assert_eq!(read(50, Some(Before::Seq(Seq(0))), 3).await, [0; 0]);
    assert_eq!(read(5, Some(Before::Seq(Seq(99))), 3).await, [3, 4, 5]);
    assert_eq!(read(50, Some(Before::Time(1_100)), 2).await, [8, 9]);
    assert_eq!(read(50, Some(Before::Time(1_101)), 2).await, [9, 10]);
    assert_eq!(read(50, Some(Before::Time(0)), 2).await, [0; 0]);
    assert_eq!(read(50, Some(Before::Time(u64::MAX)), 2).await, [49, 50]);
}

async fn a_page_of_large_messages_is_cut<S: History>(store: &S) {
    let group = GroupUid(82);
    for seq in 1..=20 {
        let text = "x".repeat(if seq == 10 { 5_000 } else { 1_000 }).into();
        store.append(group, Message { text, ..message(seq) }).await.await.expect("appended");
    }
    let four = 4 * Message { text: "x".repeat(1_000).into(), ..message(1) }.page_bytes();
    let read = async |before: Option<u64>, limit, bytes_max| {
        let before = before.map(|seq| Before::Seq(Seq(seq)));
        let window = Window { upto: Seq(20), before, limit, bytes_max };
        places(&store.page(group, window).await.expect("read"))
    };
    assert_eq!(read(None, 10, four).await, [17, 18, 19, 20]);
    assert_eq!(read(None, 10, four - 1).await, [18, 19, 20]);
    assert_eq!(read(None, 2, four).await, [19, 20]);
    assert_eq!(read(Some(13), 10, four).await, [11, 12], "what is larger than the rest isn't passed over");
    assert_eq!(read(Some(11), 10, four).await, [10], "one is always read");
    assert_eq!(read(Some(11), 10, 0).await, [10]);
    assert_eq!(read(Some(1), 10, four).await, [0; 0]);
}

async fn ids_of_any_kind_work<S: Directory>(store: &S) {
    let s = service("kinds");
    for (uid, id) in [(91, "a/b c"), (92, "部屋"), (93, "🏠"), (94, "'\"\\%00"), (95, &"é".repeat(128))]
    {
        store.create_group(group("kinds", id, uid)).await.expect("created");
        store.create_user(&s, user(id, 1)).await.expect("created");
        let made = group("kinds", id, uid);
        store.add_attendee(&made, &user_id(id)).await.expect("added");
        assert_eq!(store.attendees(&made).await, Ok(vec![user(id, 1)]));
        assert_eq!(store.groups_of(&s, &user(id, 1).life()).await, Ok(vec![made]));
    }
}
