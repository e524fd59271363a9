//! What becomes of messages, and how far users have come.

use std::collections::BTreeMap;

use super::{append, event, life, message, person, view};
use crate::domain::event::{Edit, Event, EventKind, Marker, Message, Reaction};
use crate::domain::ids::{GroupUid, ReactionKey, Seq, UserLife};
use crate::domain::profile::{Change, Custom};
use crate::store::{History, Replay, ReplayBounds};

pub(super) async fn check<S: History>(store: &S) {
    an_edit_is_seen_everywhere(store).await;
    a_deleted_message_is_a_tombstone(store).await;
    reactions_are_counted(store).await;
    a_change_of_nothing_takes_its_place(store).await;
    what_changes_at_once_is_seen_in_order(store).await;
    markers_only_move_forward(store).await;
    unread_messages_are_counted(store).await;
    the_latest_groups_are_found(store).await;
}

fn edit(seq: u64, of: u64, text: Option<&str>, custom: Change<Custom>) -> Event {
    let edit = Edit { of: Seq(of), text: text.map(Into::into), custom };
    event(seq, &person("alice"), EventKind::Edit(edit))
}

fn said(seq: u64, by: &UserLife) -> Event {
    event(seq, by, EventKind::Message(Message::plain("hi")))
}

fn delete(seq: u64, of: u64) -> Event {
    event(seq, &person("alice"), EventKind::Delete { of: Seq(of) })
}

fn key(text: &str) -> ReactionKey {
    ReactionKey::parse(text).expect("a valid key")
}

fn react(seq: u64, who: &str, of: u64, text: &str, set: bool) -> Event {
    let reaction = Reaction { of: Seq(of), key: key(text), set };
    event(seq, &person(who), EventKind::Reaction(reaction))
}

fn counts<const N: usize>(of: [(&str, u64); N]) -> BTreeMap<ReactionKey, u64> {
    of.into_iter().map(|(text, count)| (key(text), count)).collect()
}

async fn replayed<S: History>(store: &S, group: GroupUid, after: u64, upto: u64) -> Vec<EventKind> {
    let bounds = ReplayBounds { events_max: 100, bytes_max: 10_000 };
    match store.replay(group, Seq(after), Seq(upto), bounds).await.expect("read") {
        Replay::Whole(events) => events.into_iter().map(|event| event.kind).collect(),
        Replay::TooFar => panic!("{after} to {upto} is too far"),
    }
}

async fn an_edit_is_seen_everywhere<S: History>(store: &S) {
    let (group, alice) = (GroupUid(201), person("alice"));
    let custom = Custom::from_value(&serde_json::json!(7)).expect("small");
    append(store, group, [message(1), message(2)]).await;
    append(store, group, [edit(3, 1, Some("better"), Change::Set(custom.clone()))]).await;
    let shown = view(store, group, &alice).await.messages[0].clone();
    assert_eq!((&*shown.message.text, shown.message.custom()), ("better", Some(&custom)));
    assert_eq!((shown.version, shown.edited_ms), (Seq(3), Some(1_030)));
    assert_eq!((shown.seq, shown.time_ms, shown.number), (Seq(1), 1_010, 1), "its place never changes");

    append(store, group, [edit(4, 1, None, Change::Clear), edit(5, 2, Some("best"), Change::Keep)]).await;
    let shown = view(store, group, &alice).await.messages[0].clone();
    assert_eq!((&*shown.message.text, shown.message.custom()), ("better", None));
    assert_eq!((shown.version, shown.edited_ms), (Seq(4), Some(1_040)));
    let edited = |of, text: Option<&str>, custom| {
        EventKind::Edit(Edit { of: Seq(of), text: text.map(Into::into), custom })
    };
    let newest = [
        EventKind::Message(Message::plain("better")),
        EventKind::Message(Message::plain("best")),
        edited(1, Some("better"), Change::Clear),
        edited(1, None, Change::Clear),
        edited(2, Some("best"), Change::Keep),
    ];
    assert_eq!(replayed(store, group, 0, 5).await, newest);
    assert_eq!(replayed(store, group, 3, 5).await, newest[3..], "also without the message");
}

async fn a_deleted_message_is_a_tombstone<S: History>(store: &S) {
    let (group, alice) = (GroupUid(202), person("alice"));
    append(store, group, [message(1), edit(2, 1, Some("other"), Change::Keep), message(3)]).await;
    append(store, group, [react(4, "bob", 1, "👋", true), delete(5, 1)]).await;
    let page = view(store, group, &person("bob")).await;
    let shown = &page.messages[0];
    assert_eq!(shown.message, Message { deleted: true, ..Message::plain("") });
    assert_eq!((shown.version, shown.edited_ms), (Seq(5), None));
    assert_eq!((&shown.reactions, &shown.mine), (&counts([]), &vec![]));
    assert_eq!(page.messages[1].number, 2, "its place stays");
    let facts = store.facts(group, Seq(1), Some(&person("bob"))).await.expect("read").expect("there");
    assert_eq!((facts.deleted, facts.author.user(), facts.mine), (true, Some(&alice), vec![]));
    let replayed = replayed(store, group, 0, 5).await;
    assert_eq!(replayed[0], EventKind::Message(Message { deleted: true, ..Message::plain("") }));
    assert_eq!(replayed[1], EventKind::Edit(Edit { of: Seq(1), text: None, custom: Change::Keep }));
    assert_eq!(replayed[4], EventKind::Delete { of: Seq(1) });
}

async fn reactions_are_counted<S: History>(store: &S) {
    let (group, bob) = (GroupUid(203), person("bob"));
    append(store, group, [message(1), message(2)]).await;
    append(store, group, [react(3, "bob", 1, "👋", true), react(4, "bob", 1, "yes", true)]).await;
    append(store, group, [react(5, "carol", 1, "👋", true), react(6, "dave", 2, "no", true)]).await;
    let page = view(store, group, &bob).await;
    let shown = &page.messages[0];
    assert_eq!(shown.reactions, counts([("👋", 2), ("yes", 1)]));
    assert_eq!(shown.mine, [key("yes"), key("👋")]);
    assert_eq!((shown.version, shown.edited_ms), (Seq(5), None));
    assert_eq!((&page.messages[1].reactions, &page.messages[1].mine), (&counts([("no", 1)]), &vec![]));
    let facts = store.facts(group, Seq(1), Some(&bob)).await.expect("read").expect("there");
    assert_eq!((&facts.reactions, &facts.mine), (&shown.reactions, &shown.mine));
    let nobodys = store.facts(group, Seq(1), None).await.expect("read").expect("there");
    assert_eq!(nobodys.mine, [], "nobody asked");
    assert_eq!(store.facts(group, Seq(3), None).await, Ok(None), "that is no message");
    assert_eq!(store.facts(group, Seq(9), None).await, Ok(None), "that isn't there");

    append(store, group, [react(7, "bob", 1, "👋", false), react(8, "dave", 2, "no", false)]).await;
    let page = view(store, group, &bob).await;
    assert_eq!(page.messages[0].reactions, counts([("👋", 1), ("yes", 1)]));
    assert_eq!(page.messages[0].mine, [key("yes")]);
    assert_eq!((&page.messages[1].reactions, page.messages[1].version), (&counts([]), Seq(8)));
    let later = view(store, group, &life("bob", 1_002)).await;
    assert_eq!(later.messages[0].mine, [], "a later life has set nothing");
    let kinds: Vec<_> = [react(7, "bob", 1, "👋", false), react(8, "dave", 2, "no", false)].into();
    assert_eq!(replayed(store, group, 6, 8).await, kinds.into_iter().map(|it| it.kind).collect::<Vec<_>>());
}

async fn a_change_of_nothing_takes_its_place<S: History>(store: &S) {
    let (group, bob) = (GroupUid(204), person("bob"));
    let changes = |seq, of| {
        [
            edit(seq, of, Some("other"), Change::Keep),
            react(seq + 1, "bob", of, "👋", true),
            delete(seq + 2, of),
        ]
    };
    append(store, group, [message(1), delete(2, 1)]).await;
    append(store, group, changes(3, 1)).await;
    append(store, group, changes(6, 2)).await;
    append(store, group, changes(9, 12)).await;
    append(store, group, [message(12), react(13, "bob", 12, "no", false)]).await;
    append(store, group, [react(14, "bob", 12, "👋", true), react(15, "bob", 12, "👋", true)]).await;
    assert_eq!(store.head(group).await.expect("read").seq, Seq(15));
    let page = view(store, group, &bob).await;
    let [tombstone, shown] = &page.messages[..] else { panic!("{page:?}") };
    assert_eq!((tombstone.version, tombstone.message.deleted), (Seq(2), true));
    assert_eq!((shown.version, &shown.reactions), (Seq(14), &counts([("👋", 1)])), "counted once");
    assert_eq!(replayed(store, group, 2, 15).await.len(), 13, "all have their places");
}

async fn what_changes_at_once_is_seen_in_order<S: History>(store: &S) {
    let (group, bob) = (GroupUid(205), person("bob"));
    let mut events = vec![delete(1, 2)];
    events.extend([message(2), edit(3, 2, Some("b"), Change::Keep), edit(4, 2, Some("c"), Change::Keep)]);
    events.extend([react(5, "bob", 2, "👋", true), react(6, "bob", 2, "👋", false), message(7)]);
    events.extend([react(8, "bob", 7, "👋", true), react(9, "carol", 7, "👋", true)]);
    events.extend([message(10), react(11, "bob", 10, "👋", true), delete(12, 10)]);
    events.extend([react(13, "bob", 2, "👋", true), edit(14, 10, Some("no"), Change::Keep)]);
    append(store, group, events).await;
    let page = view(store, group, &bob).await;
    let [first, second, third] = &page.messages[..] else { panic!("{page:?}") };
    assert_eq!((&*first.message.text, first.version, &first.mine), ("c", Seq(13), &vec![key("👋")]));
    assert_eq!((first.edited_ms, &first.reactions), (Some(1_040), &counts([("👋", 1)])));
    assert_eq!((second.version, &second.reactions), (Seq(9), &counts([("👋", 2)])));
    assert_eq!((third.version, third.message.deleted, &third.mine), (Seq(12), true, &vec![]));
    assert_eq!(page.messages.iter().map(|shown| shown.number).collect::<Vec<_>>(), [1, 2, 3]);
}

async fn markers_only_move_forward<S: History>(store: &S) {
    let (group, other) = (GroupUid(206), GroupUid(207));
    let (bob, later, carol) = (person("bob"), life("bob", 1_002), person("carol"));
    let marker = |read, received| Marker { read: Seq(read), received: Seq(received) };
    assert_eq!(store.markers(group).await, Ok(vec![]));
    store
        .mark(group, vec![(bob.clone(), marker(2, 3)), (carol.clone(), marker(1, 1))])
        .await
        .expect("marked");
    store
        .mark(group, vec![(bob.clone(), marker(1, 5)), (later.clone(), marker(1, 2))])
        .await
        .expect("marked");
    store.mark(other, vec![(bob.clone(), marker(9, 9))]).await.expect("marked");
    let mut markers = store.markers(group).await.expect("read");
    markers.sort_by_key(|(user, _)| (user.id.clone(), user.uid));
    let all = [(bob.clone(), marker(2, 5)), (later, marker(1, 2)), (carol.clone(), marker(1, 1))];
    assert_eq!(markers, all);
    let twice = vec![(carol.clone(), marker(7, 7)), (carol.clone(), marker(6, 8)), (bob, marker(0, 0))];
    store.mark(group, twice).await.expect("marked");
    let markers = store.markers(group).await.expect("read");
    assert!(markers.contains(&(carol, marker(7, 8))) && markers.contains(&all[0]), "{markers:?}");
}

async fn unread_messages_are_counted<S: History>(store: &S) {
    let (group, bob) = (GroupUid(208), person("bob"));
    let unread = async || store.unread(group, &bob).await.expect("read");
    assert_eq!(unread().await, Default::default());
    append(store, group, [message(1), message(2), react(3, "bob", 1, "👋", true), message(4)]).await;
    append(store, group, [react(5, "bob", 2, "👋", true), react(6, "bob", 4, "👋", true)]).await;
    assert_eq!((unread().await.messages, unread().await.head.seq), (3, Seq(6)));
    for (read, messages) in [(1, 2), (2, 1), (3, 1), (4, 0), (5, 0), (6, 0)] {
        let marker = Marker { read: Seq(read), received: Seq(read) };
        store.mark(group, vec![(bob.clone(), marker)]).await.expect("marked");
        assert_eq!((unread().await.messages, unread().await.marker), (messages, marker), "after {read}");
    }
    append(store, group, [message(7), delete(8, 7)]).await;
    assert_eq!(unread().await.messages, 1, "what was said and deleted was said");
    append(store, group, [message(9), said(10, &bob), message(11)]).await;
    let own = Marker { read: Seq(10), received: Seq(10) };
    assert_eq!((unread().await.messages, unread().await.marker), (1, own), "own words are read");
}

async fn the_latest_groups_are_found<S: History>(store: &S) {
    let [first, second, silent] = [209, 210, 211].map(GroupUid);
    append(store, first, [message(1)]).await;
    append(store, second, [message(1), message(2)]).await;
    append(store, first, [message(2), react(3, "bob", 1, "👋", true)]).await;
    let latest = async |limit| store.latest(vec![silent, second, first], limit).await.expect("read");
    let found: Vec<_> = latest(9).await.into_iter().map(|(group, head)| (group, head.seq.0)).collect();
    assert_eq!(found, [(first, 3), (second, 2), (silent, 0)]);
    assert_eq!(latest(1).await, [(first, store.head(first).await.expect("read"))]);
}
