//! Persons who are erased: what they said stays, and is nobody's.

use super::{append, event, group, life, message, person, service, user, view};
use crate::domain::event::{
    Actor, Edit, Event, EventKind, Extra, Marker, Message, Moderation, ModerationOp, Reaction,
};
use crate::domain::ids::{ClientId, GroupUid, ReactionKey, Seq, UserLife};
use crate::domain::profile::Change;
use crate::store::{Directory, Erased, History, Replay, ReplayBounds};

pub(super) async fn check<S: Directory + History>(store: &S) {
    nobody_is_found_where_somebody_was_erased(store).await;
    other_lives_are_left_alone(store).await;
    a_person_of_many_words_is_erased(store).await;
    a_deleted_users_markers_go(store).await;
}

fn said(seq: u64, by: &UserLife, client_id: Option<&str>) -> Event {
    let client_id = client_id.and_then(ClientId::parse);
    event(seq, by, EventKind::Message(Message::new("hi", Extra { client_id, ..Extra::default() })))
}

fn wave(seq: u64, by: &UserLife, of: u64, set: bool) -> Event {
    let key = ReactionKey::parse("👋").expect("a valid key");
    event(seq, by, EventKind::Reaction(Reaction { of: Seq(of), key, set }))
}

fn mute(seq: u64, by: &UserLife, user: &UserLife) -> Event {
    let muted = Moderation { op: ModerationOp::Mute, user: Some(user.clone()), until_ms: None };
    event(seq, by, EventKind::Moderation(muted))
}

async fn replayed<S: History>(store: &S, group: GroupUid, upto: u64) -> Vec<Event> {
    let bounds = ReplayBounds { events_max: 100, bytes_max: 10_000 };
    match store.replay(group, Seq(0), Seq(upto), bounds).await.expect("read") {
        Replay::Whole(events) => events,
        Replay::TooFar => panic!("{upto} is too far"),
    }
}

async fn nobody_is_found_where_somebody_was_erased<S: History>(store: &S) {
    let (group, other) = (GroupUid(401), GroupUid(402));
    let (eve, bob) = (life("eve", 51), person("bob"));
    let edit = Edit { of: Seq(1), text: Some("edited".into()), custom: Change::Keep };
    append(store, group, [said(1, &eve, Some("c1")), said(2, &bob, None), said(3, &eve, None)]).await;
    append(store, group, [wave(4, &eve, 2, true), wave(5, &eve, 1, true), wave(6, &eve, 1, false)]).await;
    append(store, group, [event(7, &eve, EventKind::Edit(edit)), mute(8, &bob, &eve)]).await;
    append(store, group, [mute(9, &eve, &bob), mute(10, &eve, &eve), wave(11, &bob, 2, true)]).await;
    append(store, other, [said(1, &eve, Some("c1")), event(2, &eve, EventKind::Delete { of: Seq(1) })]).await;
    let marker = Marker { read: Seq(1), received: Seq(1) };
    for group in [group, other] {
        store.mark(group, vec![(eve.clone(), marker), (bob.clone(), marker)]).await.expect("marked");
    }

    let erased = store.erase(&eve).await.expect("erased");
    assert_eq!(erased, Erased { messages: 3, events: 8, reactions: 1, markers: 2 });
    assert_eq!(store.erase(&eve).await, Ok(Erased::default()), "there is nothing left");
    for (group, upto) in [(group, 11), (other, 2)] {
        for event in replayed(store, group, upto).await {
            let bobs = matches!((group.0, event.seq.0), (401, 2 | 8 | 11));
            assert_eq!(event.by, if bobs { Actor::User(bob.clone()) } else { Actor::Erased }, "{event:?}");
            let client_id =
                if let EventKind::Message(message) = &event.kind { message.client_id() } else { None };
            assert_eq!(client_id, None, "what a person's client called a message is the person's");
            if let EventKind::Moderation(moderation) = event.kind {
                assert_eq!(moderation.user, (event.seq.0 == 9).then(|| bob.clone()));
            }
        }
        assert_eq!(store.markers(group).await, Ok(vec![(bob.clone(), marker)]));
        let client_id = ClientId::parse("c1").expect("a valid id");
        assert_eq!(store.sent(group, &eve, &client_id).await, Ok(None));
    }
    let page = view(store, group, &eve).await;
    let authors: Vec<_> = page.messages.iter().map(|shown| shown.author.id()).collect();
    assert_eq!(authors, ["", "bob", ""]);
    assert_eq!((&*page.messages[0].message.text, page.messages[0].version), ("edited", Seq(7)));
    assert_eq!(page.messages[1].reactions.values().collect::<Vec<_>>(), [&2], "they still count");
    assert_eq!(page.messages[1].mine, [], "and are nobody's");
    assert_eq!(store.facts(group, Seq(3), None).await.expect("read").expect("there").author, Actor::Erased);
    append(store, group, [said(12, &bob, None)]).await;
}

async fn other_lives_are_left_alone<S: History>(store: &S) {
    let group = GroupUid(403);
    let lives = [life("eve", 52), life("eve", 53), life("adam", 54)];
    append(store, group, (1..).zip(&lives).map(|(seq, by)| said(seq, by, None))).await;
    append(store, group, (4..).zip(&lives).map(|(seq, by)| wave(seq, by, 3, true))).await;
    let erased = store.erase(&lives[0]).await.expect("erased");
    assert_eq!(erased, Erased { messages: 1, events: 1, reactions: 1, markers: 0 });
    let page = view(store, group, &lives[1]).await;
    let authors: Vec<_> = page.messages.iter().map(|shown| shown.author.user()).collect();
    assert_eq!(authors, [None, Some(&lives[1]), Some(&lives[2])]);
    assert_eq!(page.messages[2].mine.len(), 1);
    assert_eq!(store.erase(&life("nobody", 59)).await, Ok(Erased::default()));
}

async fn a_person_of_many_words_is_erased<S: History>(store: &S) {
    let (group, eve) = (GroupUid(404), life("eve", 55));
    append(store, group, (1..=2_000).map(|seq| said(seq, &eve, None))).await;
    // What is said meanwhile has its place, and whoever asks at the same time is answered, too.
    let (one, other, ()) =
        tokio::join!(store.erase(&eve), store.erase(&eve), append(store, group, [message(2_001)]));
    assert_eq!((one, other.is_ok()), (Ok(Erased { messages: 2_000, ..Erased::default() }), true));
    let facts = store.facts(group, Seq(1_000), None).await.expect("read").expect("there");
    assert_eq!(facts.author, Actor::Erased);
    assert_eq!(store.head(group).await.expect("read").seq, Seq(2_001));
}

async fn a_deleted_users_markers_go<S: Directory + History>(store: &S) {
    let (s, eve) = (service("markers"), user("eve", 56));
    let lobby = group("markers", "lobby", 405);
    store.create_group(lobby.clone()).await.expect("created");
    store.create_user(&s, eve.clone()).await.expect("created");
    append(store, lobby.uid, [message(1)]).await;
    let (marker, bob) = (Marker { read: Seq(1), received: Seq(1) }, person("bob"));
    store.mark(lobby.uid, vec![(eve.life(), marker), (bob.clone(), marker)]).await.expect("marked");
    store.delete_user(&s, &eve.id).await.expect("deleted");
    assert_eq!(store.markers(lobby.uid).await, Ok(vec![(bob, marker)]));
    // What went with the user counts as erased.
    assert_eq!(store.erase(&eve.life()).await, Ok(Erased { markers: 1, ..Erased::default() }));
}
