//! How long logs are kept.

use super::{append, event, message, person, places, view, window};
use crate::domain::event::{Actor, Event, EventKind, Extra, Marker, Message, Reaction};
use crate::domain::ids::{ClientId, GroupUid, ReactionKey, Seq};
use crate::domain::message::Before;
use crate::domain::profile::Retention;
use crate::store::{Edge, History, Replay, ReplayBounds};

pub(super) async fn check<S: History>(store: &S) {
    what_is_too_much_goes(store).await;
    what_is_too_old_goes(store).await;
    the_newest_message_keeps_its_place(store).await;
    what_went_is_found_no_more(store).await;
    a_client_id_outlives_its_message(store).await;
    a_log_without_messages_keeps_its_end(store).await;
}

/// A reaction to a message, which takes a place of the log.
fn wave(seq: u64, of: u64) -> Event {
    let key = ReactionKey::parse("👋").expect("a valid key");
    let reaction = Reaction { of: Seq(of), key, set: true };
    event(seq, &person("bob"), EventKind::Reaction(reaction))
}

/// Asks until nothing goes any more, some at a time. Answers how many went each time.
async fn retain<S: History>(store: &S, group: GroupUid, kept: Retention, now_ms: u64) -> Vec<usize> {
    let mut went = Vec::new();
    loop {
        went.push(store.retain(group, kept, now_ms, 3).await.expect("retained"));
        if went.last().is_none_or(|count| *count < 3) {
            return went;
        }
    }
}

async fn kept<S: History>(store: &S, group: GroupUid) -> Vec<u64> {
    places(&view(store, group, &person("bob")).await)
}

async fn what_is_too_much_goes<S: History>(store: &S) {
    let group = GroupUid(301);
    let four = Retention { age_ms: None, messages: Some(4) };
    append(store, group, [message(1), message(2), wave(3, 1), wave(4, 2), message(5)]).await;
    append(store, group, [message(6)]).await;
    assert_eq!(retain(store, group, four, u64::MAX).await, [0], "four are kept");
    append(store, group, [message(7), message(8), wave(9, 5)]).await;
    assert_eq!(retain(store, group, four, u64::MAX).await, [3, 1], "with what is between them");
    assert_eq!(kept(store, group).await, [5, 6, 7, 8]);
    append(store, group, [message(10)]).await;
    assert_eq!(retain(store, group, four, u64::MAX).await, [1]);
    let page = view(store, group, &person("bob")).await;
    let numbers: Vec<_> = page.messages.iter().map(|shown| (shown.seq.0, shown.number)).collect();
    assert_eq!(numbers, [(6, 4), (7, 5), (8, 6), (10, 7)], "what is kept keeps its number");
    assert_eq!(store.head(group).await.expect("read").seq, Seq(10));
}

async fn what_is_too_old_goes<S: History>(store: &S) {
    let group = GroupUid(302);
    append(store, group, [message(1), wave(2, 1), message(3), wave(4, 3), message(5)]).await;
    let brief = Retention { age_ms: Some(100), messages: None };
    assert_eq!(retain(store, group, brief, 1_110).await, [0], "the first is just a hundred old");
    assert_eq!(retain(store, group, brief, 1_111).await, [1]);
    assert_eq!(retain(store, group, brief, 1_131).await, [2]);
    assert_eq!(kept(store, group).await, [5]);
    let either = Retention { messages: Some(1), ..brief };
    append(store, group, [message(6), message(7)]).await;
    assert_eq!(retain(store, group, either, 0).await, [3, 0], "either of the two");
    assert_eq!(kept(store, group).await, [7]);
    let both = Retention { age_ms: None, messages: None };
    assert_eq!(retain(store, group, both, u64::MAX).await, [0], "without a bound nothing goes");
}

async fn the_newest_message_keeps_its_place<S: History>(store: &S) {
    let group = GroupUid(303);
    append(store, group, [message(1), message(2), wave(3, 2), wave(4, 1)]).await;
    for kept in [Some(0), Some(1), None] {
        let nothing = Retention { age_ms: Some(0), messages: kept };
        retain(store, group, nothing, u64::MAX).await;
    }
    let left = view(store, group, &person("bob")).await.messages;
    let [left] = &left[..] else { panic!("{left:?}") };
    assert_eq!((left.seq, &*left.message.text, left.message.deleted), (Seq(2), "", true), "and nothing else");
    assert_eq!((&left.author, left.reactions.len(), left.mine.len()), (&Actor::Erased, 0, 0));
    assert_eq!(store.head(group).await.expect("read").seq, Seq(4));
    append(store, group, [message(5)]).await;
    assert_eq!(view(store, group, &person("bob")).await.messages[1].number, 3, "the count goes on");
    assert_eq!(
        store.retain(GroupUid(399), Retention { age_ms: Some(0), messages: Some(0) }, 9, 9).await,
        Ok(0)
    );
}

async fn what_went_is_found_no_more<S: History>(store: &S) {
    let (group, bob) = (GroupUid(304), person("bob"));
    let id = ClientId::parse("c").expect("a valid id");
    let said = |seq| {
        let extra = Extra { client_id: Some(id.clone()), ..Extra::default() };
        event(seq, &bob, EventKind::Message(Message::new("hi", extra)))
    };
    append(store, group, [said(1), wave(2, 1), said(3), message(4), wave(5, 1), wave(6, 4)]).await;
    let two = Retention { age_ms: None, messages: Some(2) };
    assert_eq!(retain(store, group, two, 0).await, [2]);
    assert_eq!(store.facts(group, Seq(1), Some(&bob)).await, Ok(None));
    let found = store.sent(group, &bob, &id).await.expect("read").map(|head| head.seq);
    assert_eq!(found, Some(Seq(3)), "the later one is still there");
    let one = Retention { age_ms: None, messages: Some(1) };
    assert_eq!(retain(store, group, one, 0).await, [1]);
    assert_eq!(store.facts(group, Seq(3), Some(&bob)).await, Ok(None));

    let bounds = ReplayBounds { events_max: 100, bytes_max: 1_000 };
    let replay = async |after| store.replay(group, Seq(after), Seq(6), bounds).await.expect("read");
    assert_eq!(replay(0).await, Replay::TooFar);
    assert_eq!(replay(2).await, Replay::TooFar);
    assert_eq!(replay(3).await, Replay::Whole(vec![message(4), wave(5, 1), wave(6, 4)]));
    for edge in [Edge::Before(Before::Time(1_045)), Edge::Newest, Edge::After(Seq(0))] {
        let page = store.page(group, window(6, edge, 9)).await.expect("read");
        assert_eq!((places(&page), page.more), (vec![4], false), "{edge:?}");
    }
    assert_eq!(store.unread(group, &bob).await.expect("read").messages, 1, "of those that are kept");
    let marker = Marker { read: Seq(2), received: Seq(2) };
    store.mark(group, vec![(bob.clone(), marker)]).await.expect("marked");
    assert_eq!(store.unread(group, &bob).await.expect("read").messages, 1);
}

/// Else who sends again what wasn't acknowledged would be heard twice.
async fn a_client_id_outlives_its_message<S: History>(store: &S) {
    let (group, bob) = (GroupUid(306), person("bob"));
    let said = |seq, id: &str| {
        let client_id = Some(ClientId::parse(id).expect("a valid id"));
        let extra = Extra { client_id, ..Extra::default() };
        event(seq, &bob, EventKind::Message(Message::new("hi", extra)))
    };
    let sent = async |id: &str| {
        let id = ClientId::parse(id).expect("a valid id");
        store.sent(group, &bob, &id).await.expect("read").map(|head| head.seq.0)
    };
    append(store, group, [said(1, "a"), said(2, "b"), message(3), message(4)]).await;
    let (first_ms, two) = (said(1, "a").time_ms, Retention { age_ms: None, messages: Some(2) });
    assert_eq!(retain(store, group, two, first_ms).await, [2]);
    assert_eq!((sent("a").await, sent("b").await), (Some(1), Some(2)), "for a day");
    append(store, group, [said(5, "b")]).await;
    assert_eq!(retain(store, group, two, first_ms).await, [1]);
    let day_ms = crate::config::CLIENT_ID_MS;
    retain(store, group, two, first_ms + day_ms - 1).await;
    assert_eq!(sent("a").await, Some(1), "a whole day");
    retain(store, group, two, first_ms + day_ms + 1).await;
    assert_eq!((sent("a").await, sent("b").await), (None, Some(5)));
    append(store, group, [message(6), message(7)]).await;
    retain(store, group, two, u64::MAX).await;
    assert_eq!(sent("b").await, None, "what goes after that goes at once");
}

async fn a_log_without_messages_keeps_its_end<S: History>(store: &S) {
    let group = GroupUid(305);
    append(store, group, [wave(1, 1), wave(2, 1), wave(3, 1)]).await;
    let nothing = Retention { age_ms: Some(0), messages: Some(0) };
    assert_eq!(retain(store, group, nothing, u64::MAX).await, [2]);
    assert_eq!(store.head(group).await.expect("read").seq, Seq(3));
    append(store, group, [message(4)]).await;
    assert_eq!(kept(store, group).await, [4]);
}
