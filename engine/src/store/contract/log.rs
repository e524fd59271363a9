//! One log of a group, and the pages of its messages.

use super::{append, event, life, message, person, places, view, window};
use crate::domain::event::{Event, EventKind, Extra, Head, Message, Moderation, ModerationOp};
use crate::domain::ids::{ClientId, GroupUid, Seq};
use crate::domain::message::Before;
use crate::domain::profile::Custom;
use crate::store::{Edge, History, HistoryPage, Replay, ReplayBounds, Window};

pub(super) async fn check<S: History>(store: &S) {
    messages_come_back_in_order(store).await;
    what_is_said_comes_back_whole(store).await;
    an_append_that_is_not_next_is_refused(store).await;
    events_of_all_kinds_share_one_log(store).await;
    history_is_paged_by_place_and_time(store).await;
    a_page_of_large_messages_is_cut(store).await;
    a_replay_is_whole_or_nothing(store).await;
    a_message_is_found_by_its_client_id(store).await;
}

/// A mute of "bob", which is no message.
fn mute(seq: u64) -> Event {
    let muted = Moderation { op: ModerationOp::Mute, user: Some(person("bob")), until_ms: Some(9) };
    event(seq, &person("alice"), EventKind::Moderation(muted))
}

const UNBOUNDED: ReplayBounds = ReplayBounds { events_max: usize::MAX, bytes_max: usize::MAX };

async fn replayed<S: History>(store: &S, group: GroupUid, after: u64, upto: u64) -> Vec<Event> {
    match store.replay(group, Seq(after), Seq(upto), UNBOUNDED).await.expect("read") {
        Replay::Whole(events) => events,
        Replay::TooFar => panic!("{after} to {upto} is too far"),
    }
}

async fn messages_come_back_in_order<S: History>(store: &S) {
    let (group, neighbour) = (GroupUid(61), GroupUid(62));
    assert_eq!(store.head(group).await, Ok(Head::default()));
    assert_eq!(store.page(group, window(0, Edge::Newest, 10)).await, Ok(HistoryPage::default()));
    append(store, group, (1..=5).map(message)).await;
    append(store, neighbour, (1..=2).map(message)).await;
    assert_eq!(store.head(group).await, Ok(Head { seq: Seq(5), time_ms: 1_050 }));
    let page = store.page(group, window(5, Edge::Newest, 10)).await.expect("read");
    assert_eq!((places(&page), page.more), (vec![1, 2, 3, 4, 5], false));
    for (shown, said) in page.messages.iter().zip((1..).map(message)) {
        assert_eq!((&shown.author, shown.time_ms), (&said.by, said.time_ms));
        assert_eq!(EventKind::Message(shown.message.clone()), said.kind);
        assert_eq!((shown.number, shown.version, shown.edited_ms), (shown.seq.0, shown.seq, None));
        assert!(shown.reactions.is_empty() && shown.mine.is_empty());
    }
    assert_eq!(replayed(store, group, 0, 5).await, (1..=5).map(message).collect::<Vec<_>>());
}

async fn what_is_said_comes_back_whole<S: History>(store: &S) {
    let group = GroupUid(63);
    let custom = Custom::from_value(&serde_json::json!({"a": [1, null]})).expect("small");
    let all = Extra { client_id: ClientId::parse("c1"), reply_to: Some(Seq(1)), custom: Some(custom) };
    let extras = [
        Extra::default(),
        Extra { client_id: all.client_id.clone(), ..Extra::default() },
        Extra { reply_to: all.reply_to, ..Extra::default() },
        Extra { custom: all.custom.clone(), ..Extra::default() },
        all,
    ];
    let said = extras.map(|extra| Message::new("a \0 🏠 text", extra));
    let events: Vec<_> = (1..)
        .zip(&said)
        .map(|(seq, said)| event(seq, &person("alice"), EventKind::Message(said.clone())))
        .collect();
    append(store, group, events.clone()).await;
    assert_eq!(replayed(store, group, 0, 5).await, events);
    let page = view(store, group, &person("alice")).await;
    assert_eq!(page.messages.into_iter().map(|shown| shown.message).collect::<Vec<_>>(), said);
}

async fn an_append_that_is_not_next_is_refused<S: History>(store: &S) {
    let group = GroupUid(71);
    append(store, group, (1..=2).map(message)).await;
    let skipped = store.append(group, message(4)).await;
    let behind_it = store.append(group, mute(5)).await;
    let again = store.append(group, message(2)).await;
    assert!(skipped.await.is_err());
    assert!(behind_it.await.is_err(), "what comes after a failed append fails, too");
    assert!(again.await.is_err(), "a place is written once");
    assert_eq!(store.head(group).await.expect("read").seq, Seq(2));
    append(store, group, [message(3)]).await;
    let page = store.page(group, window(9, Edge::Newest, 10)).await.expect("read");
    assert_eq!(places(&page), [1, 2, 3]);
}

async fn events_of_all_kinds_share_one_log<S: History>(store: &S) {
    let group = GroupUid(72);
    let events = [mute(1), message(2), mute(3), mute(4), message(5), mute(6)];
    append(store, group, events.clone()).await;
    assert_eq!(store.head(group).await, Ok(Head { seq: Seq(6), time_ms: 1_060 }), "whatever came last");
    assert!(store.append(group, message(6)).await.await.is_err(), "its place is taken");
    assert_eq!(store.head(group).await.expect("read").seq, Seq(6));
    assert_eq!(replayed(store, group, 0, 6).await, events);
    assert_eq!(replayed(store, group, 2, 4).await, events[2..4]);
    let page = view(store, group, &person("bob")).await;
    let numbers: Vec<_> = page.messages.iter().map(|shown| (shown.seq.0, shown.number)).collect();
    assert_eq!(numbers, [(2, 1), (5, 2)], "a page holds messages, which have numbers of their own");
    append(store, group, [message(7)]).await;
    let page = store.page(group, window(7, Edge::Newest, 1)).await.expect("read");
    assert_eq!((page.messages[0].number, page.more), (3, true));
}

async fn history_is_paged_by_place_and_time<S: History>(store: &S) {
    let group = GroupUid(81);
    append(store, group, (1..=50).map(message)).await;
    let read = async |upto, edge, limit| {
        let page = store.page(group, window(upto, edge, limit)).await.expect("read");
        (places(&page), page.more)
    };
    let before = |seq| Edge::Before(Before::Seq(Seq(seq)));
    let until = |time_ms| Edge::Before(Before::Time(time_ms));
    assert_eq!(read(50, Edge::Newest, 3).await, (vec![48, 49, 50], true));
    assert_eq!(read(40, Edge::Newest, 2).await, (vec![39, 40], true), "what isn't shown yet isn't read");
    assert_eq!(read(50, before(10), 3).await, (vec![7, 8, 9], true));
    assert_eq!(read(50, before(4), 3).await, (vec![1, 2, 3], false));
    assert_eq!(read(50, before(2), 3).await, (vec![1], false));
    assert_eq!(read(50, before(0), 3).await, (vec![], false));
    assert_eq!(read(5, before(99), 3).await, (vec![3, 4, 5], true));
    assert_eq!(read(50, until(1_100), 2).await, (vec![8, 9], true));
    assert_eq!(read(50, until(1_101), 2).await, (vec![9, 10], true));
    assert_eq!(read(50, until(0), 2).await, (vec![], false));
    assert_eq!(read(50, until(u64::MAX), 2).await, (vec![49, 50], true));
    assert_eq!(read(50, Edge::After(Seq(0)), 2).await, (vec![1, 2], true));
    assert_eq!(read(50, Edge::After(Seq(47)), 3).await, (vec![48, 49, 50], false));
    assert_eq!(read(48, Edge::After(Seq(46)), 3).await, (vec![47, 48], false));
    assert_eq!(read(50, Edge::After(Seq(50)), 3).await, (vec![], false));
    assert_eq!(read(50, Edge::After(Seq(u64::MAX)), 3).await, (vec![], false));
}

async fn a_page_of_large_messages_is_cut<S: History>(store: &S) {
    let group = GroupUid(82);
    let large = |seq| {
        let text = "x".repeat(if seq == 10 { 5_000 } else { 1_000 });
        Event { kind: EventKind::Message(Message::plain(text)), ..message(seq) }
    };
    append(store, group, (1..=20).map(large)).await;
    let one = store.page(group, window(1, Edge::Newest, 1)).await.expect("read").messages[0].page_bytes();
    let four = 4 * one;
    let read = async |edge, limit, bytes_max| {
        let page = store.page(group, Window { bytes_max, ..window(20, edge, limit) }).await.expect("read");
        (places(&page), page.more)
    };
    let before = |seq| Edge::Before(Before::Seq(Seq(seq)));
    assert_eq!(read(Edge::Newest, 10, four).await, (vec![17, 18, 19, 20], true));
    assert_eq!(read(Edge::Newest, 10, four - 1).await, (vec![18, 19, 20], true));
    assert_eq!(read(Edge::Newest, 2, four).await, (vec![19, 20], true));
    let passed = "what is larger than the rest isn't passed over";
    assert_eq!(read(before(13), 10, four).await, (vec![11, 12], true), "{passed}");
    assert_eq!(read(Edge::After(Seq(7)), 10, four).await, (vec![8, 9], true), "{passed}");
    assert_eq!(read(before(11), 10, four).await, (vec![10], true), "one is always read");
    assert_eq!(read(Edge::After(Seq(9)), 10, 0).await, (vec![10], true), "one is always read");
    assert_eq!(read(before(1), 10, four).await, (vec![], false));
}

async fn a_replay_is_whole_or_nothing<S: History>(store: &S) {
    let group = GroupUid(83);
    append(store, group, (1..=9).map(|seq| if seq % 3 == 0 { mute(seq) } else { message(seq) })).await;
    let read = async |after, upto, events_max, bytes_max| {
        let bounds = ReplayBounds { events_max, bytes_max };
        match store.replay(group, Seq(after), Seq(upto), bounds).await.expect("read") {
            Replay::Whole(events) => Some(events.iter().map(|event| event.seq.0).collect::<Vec<_>>()),
            Replay::TooFar => None,
        }
    };
    let text = "message 1".len();
    assert_eq!(read(2, 6, 4, 2 * text).await, Some(vec![3, 4, 5, 6]));
    assert_eq!(read(2, 6, 3, 2 * text).await, None, "too many events");
    assert_eq!(read(2, 6, 4, 2 * text - 1).await, None, "too many bytes");
    assert_eq!(read(9, 9, 0, 0).await, Some(vec![]));
    assert_eq!(read(9, 5, 0, 0).await, Some(vec![]));
    assert_eq!(read(8, 10, 9, 99).await, None, "what isn't there isn't left out");
}

async fn a_message_is_found_by_its_client_id<S: History>(store: &S) {
    let (group, other) = (GroupUid(84), GroupUid(85));
    let ci = |text| ClientId::parse(text).expect("a valid id");
    let said = |seq, by, id| {
        let extra = Extra { client_id: Some(ci(id)), ..Extra::default() };
        event(seq, &by, EventKind::Message(Message::new("hi", extra)))
    };
    let (alice, later, bob) = (person("alice"), life("alice", 1_001), person("bob"));
    append(store, group, [said(1, alice.clone(), "a"), said(2, alice.clone(), "ab"), message(3)]).await;
    append(store, other, [said(1, bob.clone(), "a")]).await;
    let head = |seq: u64| Some(Head { seq: Seq(seq), time_ms: 1_000 + seq * 10 });
    assert_eq!(store.sent(group, &alice, &ci("a")).await, Ok(head(1)));
    assert_eq!(store.sent(group, &alice, &ci("ab")).await, Ok(head(2)));
    assert_eq!(store.sent(group, &alice, &ci("b")).await, Ok(None));
    assert_eq!(store.sent(other, &alice, &ci("a")).await, Ok(None), "in that group only");
    assert_eq!(store.sent(group, &later, &ci("a")).await, Ok(None), "of that life only");
    append(store, group, [said(4, alice.clone(), "a"), said(5, alice.clone(), "a")]).await;
    assert_eq!(store.sent(group, &alice, &ci("a")).await, Ok(head(5)), "the newest of them");
    append(store, group, [event(6, &alice, EventKind::Delete { of: Seq(5) })]).await;
    assert_eq!(store.sent(group, &alice, &ci("a")).await, Ok(head(5)), "its place stays");
}
