//! What every store promises, as tests. An adapter runs [`check`] on an empty store.

mod attendance;
mod changes;
mod directory;
mod log;
mod once;
mod people;
mod retention;

use super::{Directory, Edge, History, HistoryPage, Once, Page, Window};
use crate::domain::attendance::{Attendance, AttendeeRecord, Standing};
use crate::domain::event::{Actor, Event, EventKind, Message};
use crate::domain::ids::{GroupId, GroupUid, Seq, ServiceId, UserId, UserLife, UserUid};
use crate::domain::profile::{GroupRecord, Name, Profile, UserRecord};

/// Runs the whole suite against an adapter.
pub async fn check<S: Directory + History + Once>(store: &S) {
    directory::check(store).await;
    attendance::check(store).await;
    log::check(store).await;
    changes::check(store).await;
    retention::check(store).await;
    people::check(store).await;
    once::check(store).await;
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
        retention: None,
        direct: false,
    }
}

/// A user with its id as its name.
pub fn user(id: &str, uid: u64) -> UserRecord {
    let profile = Profile::named(Name::parse(id).expect("a valid name"));
    UserRecord { id: user_id(id), profile, created_ms: 1, revision: 0, uid: UserUid(uid), sign_outs: 0 }
}

/// A life of a user.
pub fn life(id: &str, uid: u64) -> UserLife {
    UserLife { id: user_id(id), uid: UserUid(uid) }
}

/// The first life of a person. Like all lives it is nobody else's: alice's is 1, bob's 2.
pub fn person(id: &str) -> UserLife {
    life(id, id.bytes().next().map_or(0, |letter| u64::from(letter - b'a') + 1))
}

/// An event of a user, ten milliseconds after the one before it.
pub fn event(seq: u64, by: &UserLife, kind: EventKind) -> Event {
    Event { seq: Seq(seq), time_ms: 1_000 + seq * 10, by: Actor::User(by.clone()), kind }
}

/// A message of the first "alice", ten milliseconds after the event before it.
pub fn message(seq: u64) -> Event {
    event(seq, &person("alice"), EventKind::Message(Message::plain(format!("message {seq}"))))
}

const ALL: Page = Page { offset: 0, limit: 1_000 };
/// When those attend who do in these tests.
const STINT: u64 = 7;

/// An attendee from the beginning of [`STINT`] on.
fn member(user: UserRecord) -> AttendeeRecord {
    AttendeeRecord { user, standing: Standing::member(STINT) }
}

/// That a user attends since [`STINT`].
fn attends(user: &UserRecord) -> Attendance {
    Attendance { user: user.life(), standing: Standing::member(STINT) }
}

fn window(upto: u64, edge: Edge, limit: usize) -> Window {
    Window { upto: Seq(upto), edge, limit, bytes_max: usize::MAX, reader: None }
}

/// The whole view of a group, as a user sees it.
async fn view<S: History>(store: &S, group: GroupUid, reader: &UserLife) -> HistoryPage {
    let window = Window { reader: Some(reader.clone()), ..window(u64::MAX - 1, Edge::Newest, 1_000) };
    store.page(group, window).await.expect("read")
}

fn places(page: &HistoryPage) -> Vec<u64> {
    page.messages.iter().map(|message| message.seq.0).collect()
}

/// Appends events so that they are taken at once, and waits until all are durable.
async fn append<S: History>(store: &S, group: GroupUid, events: impl IntoIterator<Item = Event>) {
    let mut appending = Vec::new();
    for event in events {
        appending.push(store.append(group, event).await);
    }
    for append in appending {
        append.await.expect("appended");
    }
}
