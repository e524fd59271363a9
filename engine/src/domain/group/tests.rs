use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::config::REACTION_KEYS_MAX;
use crate::domain::attendance::{Bar, Role, Standing};
use crate::domain::event::{Edit, Extra, ModerationOp, Reaction};
use crate::domain::ids::{ClientId, ReactionKey, UserId, UserUid};
use crate::domain::profile::{Change, Name};

const RULES: GroupRules = GroupRules {
    pace: RosterPace { full_max: 3, delta_max: 5, interval_ms: 250 },
    sessions_per_user_max: 2,
    leave_grace_ms: 5_000,
    typing_ms: 6_000,
    signal_interval_ms: 250,
};

fn attendee(id: &str) -> Attendee {
    let UserLife { id: user, uid } = user(id);
    let standing = Standing::member(1);
    Attendee { id: user, uid, name: Name::parse(id).unwrap(), icon: None, revision: 0, standing }
}

fn moderator(id: &str) -> Attendee {
    Attendee { standing: Standing { role: Role::Moderator, ..Standing::member(1) }, ..attendee(id) }
}

fn user(id: &str) -> UserLife {
    UserLife { id: UserId::parse(id).unwrap(), uid: UserUid(0) }
}

fn at(ms: u64) -> Now {
    Now { unix_ms: 1_000_000 + ms, mono_ms: ms }
}

fn group_of(attendees: impl IntoIterator<Item = Attendee>) -> Group {
    Group::new(Head::default(), attendees, [], RULES, at(0))
}

fn group(names: &[&str]) -> Group {
    group_of(names.iter().map(|name| attendee(name)))
}

fn join(group: &mut Group, session: u64, name: &str, now: Now) -> Result<Vec<Effect>, Denied> {
    group.handle(Command::Join { session: SessionId(session), user: user(name) }, now)
}

fn say(session: u64, message: Message) -> Command {
    let speaker = Speaker::Session(SessionId(session));
    Command::Say { speaker, message, sent: None, answers_known: false, marks: true }
}

fn post(group: &mut Group, session: u64, text: &str, now: Now) -> Result<Vec<Effect>, Denied> {
    group.handle(say(session, Message::plain(text)), now)
}

fn change(group: &mut Group, session: u64, kind: EventKind) -> Result<Vec<Effect>, Denied> {
    group.handle(Command::Change { speaker: Speaker::Session(SessionId(session)), kind, facts: None }, at(10))
}

fn edit(of: u64, text: &str) -> EventKind {
    EventKind::Edit(Edit { of: Seq(of), text: Some(text.into()), custom: Change::Keep })
}

fn react(of: u64, key: &str, set: bool) -> EventKind {
    EventKind::Reaction(Reaction { of: Seq(of), key: ReactionKey::parse(key).unwrap(), set })
}

fn appended(effects: &[Effect]) -> &Event {
    let Some(Effect::Append(event)) = effects.first() else { panic!("no append: {effects:?}") };
    event
}

#[test]
fn messages_take_dense_places_and_never_go_back_in_time() {
    let mut group = group(&["alice"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    let first = appended(&post(&mut group, 1, "a", at(10)).unwrap()).clone();
    let second = appended(&post(&mut group, 1, "b", at(5)).unwrap()).clone();
    assert_eq!((first.seq, second.seq), (Seq(1), Seq(2)));
    assert_eq!(first.time_ms, second.time_ms, "the clock went back, the group doesn't");
    assert_eq!(first.by, Actor::User(user("alice")));
}

#[test]
fn only_attendees_come_in_and_only_who_is_in_speaks() {
    let mut group = group(&["alice"]);
    assert_eq!(join(&mut group, 1, "mallory", at(0)), Err(Denied::NotAttending));
    assert_eq!(post(&mut group, 1, "hi", at(0)), Err(Denied::NotJoined));
    assert!(join(&mut group, 2, "alice", at(0)).is_ok());
    assert!(join(&mut group, 3, "alice", at(0)).is_ok());
    assert_eq!(join(&mut group, 4, "alice", at(0)), Err(Denied::TooManySessions));
}

#[test]
fn a_removed_attendee_is_closed_and_cant_speak() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    join(&mut group, 2, "bob", at(0)).unwrap();
    let effects = group.handle(Command::RemoveAttendee(user("alice")), at(1_000)).unwrap();
    assert!(effects.contains(&Effect::Close(vec![SessionId(1)], Departure::Removed)));
    assert_eq!(post(&mut group, 1, "hi", at(1_001)), Err(Denied::NotJoined));
    assert!(post(&mut group, 2, "hi", at(1_001)).is_ok());
}

#[test]
fn a_user_made_again_is_another() {
    let mut group = group(&["alice"]);
    let (old, new) = (user("alice"), UserLife { uid: UserUid(7), ..user("alice") });
    join(&mut group, 1, "alice", at(0)).unwrap();
    let again = Attendee { uid: new.uid, ..attendee("alice") };
    let effects = group.handle(Command::PutAttendee(again), at(1_000)).unwrap();
    assert!(effects.contains(&Effect::Close(vec![SessionId(1)], Departure::Removed)), "{effects:?}");
    assert_eq!(post(&mut group, 1, "hi", at(1_001)), Err(Denied::NotJoined));
    assert_eq!(join(&mut group, 2, "alice", at(1_002)), Err(Denied::NotAttending), "in its old life");

    group.handle(Command::Join { session: SessionId(3), user: new.clone() }, at(1_003)).unwrap();
    // The deletion of the old life gets to the group only now.
    let effects = group.handle(Command::RemoveAttendee(old.clone()), at(2_000)).unwrap();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Close(..))), "{effects:?}");
    assert!(group.roster().attends(&new));
    assert!(post(&mut group, 3, "still here", at(2_001)).is_ok());

    let closed = group.restore([(SessionId(4), old), (SessionId(5), new)], []);
    assert_eq!(closed, [Effect::Close(vec![SessionId(4)], Departure::Removed)]);
}

#[test]
fn who_joins_a_large_group_comes_in_at_once_and_shows_with_the_next_telling() {
    let mut group = group(&["a", "b", "c", "d", "e"]);
    let first = join(&mut group, 1, "a", at(0)).unwrap();
    assert!(matches!(first[..], [Effect::Tell(_), Effect::Admit(SessionId(1))]), "{first:?}");
    for (session, name) in [(2, "b"), (3, "c"), (4, "d")] {
        assert_eq!(join(&mut group, session, name, at(1)).unwrap(), [Effect::Admit(SessionId(session))]);
    }
    assert_eq!(group.due_ms(), Some(250));
    let effects = group.handle(Command::Tick, at(250)).unwrap();
    let [Effect::Tell(telling)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(telling.view.on.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["b", "c", "d"]);
}

#[test]
fn sessions_that_survive_a_crash_are_in_again() {
    let mut group = group(&["alice"]);
    let closed = group.restore([(SessionId(1), user("alice")), (SessionId(2), user("mallory"))], []);
    assert_eq!(closed, [Effect::Close(vec![SessionId(2)], Departure::Removed)]);
    assert!(post(&mut group, 1, "still here", at(0)).is_ok());
}

#[test]
fn who_lost_the_connection_counts_as_online_for_a_while() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    join(&mut group, 2, "bob", at(1_000)).unwrap();
    assert!(
        group.handle(Command::Leave { session: SessionId(2), lingers: true }, at(2_000)).unwrap().is_empty()
    );
    join(&mut group, 3, "bob", at(3_000)).unwrap();
    assert_eq!(group.roster().sessions_of(&user("bob")), 1);
    group.handle(Command::Leave { session: SessionId(3), lingers: true }, at(4_000)).unwrap();
    assert_eq!((group.due_ms(), group.roster().online()), (Some(9_000), 2));
    let effects = group.handle(Command::Tick, at(9_000)).unwrap();
    assert!(matches!(&effects[..], [Effect::Tell(told)] if told.online == 1), "{effects:?}");
}

#[test]
fn a_client_id_is_said_once() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    join(&mut group, 2, "bob", at(0)).unwrap();
    let extra = Extra { client_id: ClientId::parse("a"), ..Extra::default() };
    let message = Message::new("hi", extra);
    let first = appended(&group.handle(say(1, message.clone()), at(1)).unwrap()).clone();
    let again = group.handle(say(1, message.clone()), at(2)).unwrap();
    let head = Head { seq: first.seq, time_ms: first.time_ms };
    assert_eq!(again, [Effect::Duplicate(head)], "while it is under way");
    assert_eq!(
        appended(&group.handle(say(2, message.clone()), at(2)).unwrap()).seq,
        Seq(2),
        "of another user"
    );
    group.settle(Seq(2));
    let stored = |now| {
        let speaker = Speaker::Session(SessionId(1));
        let message = message.clone();
        (Command::Say { speaker, message, sent: Some(head), answers_known: false, marks: true }, now)
    };
    let (command, now) = stored(at(3));
    assert_eq!(group.handle(command, now), Ok(vec![Effect::Duplicate(head)]), "once it is stored");
    let (command, now) = stored(at(25 * 60 * 60 * 1_000));
    assert_eq!(
        group.handle(command, now),
        Ok(vec![Effect::Duplicate(head)]),
        "a day later, among the newest"
    );
}

#[test]
fn the_author_or_a_moderator_changes_a_message() {
    let mut group = group_of([attendee("alice"), attendee("bob"), moderator("mo")]);
    for (session, name) in [(1, "alice"), (2, "bob"), (3, "mo")] {
        join(&mut group, session, name, at(0)).unwrap();
    }
    post(&mut group, 1, "hi", at(1)).unwrap();
    assert_eq!(change(&mut group, 2, edit(1, "no")), Err(Denied::NotAuthor));
    assert_eq!(change(&mut group, 2, EventKind::Delete { of: Seq(1) }), Err(Denied::NotAuthor));
    assert_eq!(change(&mut group, 1, edit(9, "what")), Err(Denied::NoMessage));
    assert_eq!(appended(&change(&mut group, 1, edit(1, "ho")).unwrap()).seq, Seq(2));
    assert_eq!(change(&mut group, 1, edit(2, "an edit is no message")), Err(Denied::NoMessage));
    assert_eq!(appended(&change(&mut group, 3, EventKind::Delete { of: Seq(1) }).unwrap()).seq, Seq(3));
    assert_eq!(change(&mut group, 1, EventKind::Delete { of: Seq(1) }), Ok(vec![Effect::Unchanged]));
    assert_eq!(change(&mut group, 1, edit(1, "too late")), Err(Denied::MessageDeleted));
    assert_eq!(change(&mut group, 1, react(1, "+", true)), Err(Denied::MessageDeleted));
}

#[test]
fn a_reaction_is_set_once_and_taken_back_once() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    join(&mut group, 2, "bob", at(0)).unwrap();
    post(&mut group, 1, "hi", at(1)).unwrap();
    assert_eq!(appended(&change(&mut group, 2, react(1, "+", true)).unwrap()).seq, Seq(2));
    assert_eq!(change(&mut group, 2, react(1, "+", true)), Ok(vec![Effect::Unchanged]));
    assert_eq!(change(&mut group, 1, react(1, "+", false)), Ok(vec![Effect::Unchanged]), "it is another's");
    assert_eq!(appended(&change(&mut group, 2, react(1, "+", false)).unwrap()).seq, Seq(3));
    for key in 0..REACTION_KEYS_MAX {
        change(&mut group, 1, react(1, &key.to_string(), true)).unwrap();
    }
    assert_eq!(change(&mut group, 2, react(1, "one more", true)), Err(Denied::TooManyReactions));
    assert!(change(&mut group, 2, react(1, "7", true)).is_ok(), "one that is there");
}

#[test]
fn who_is_muted_says_nothing_until_then() {
    let until_ms = Some(at(1_000).unix_ms);
    let standing = Standing { muted: Some(Bar { until_ms }), ..Standing::member(1) };
    let mut group = group_of([Attendee { standing, ..attendee("alice") }]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    assert_eq!(post(&mut group, 1, "hi", at(999)), Err(Denied::Muted));
    let typing = Command::Type { session: SessionId(1), on: true };
    assert_eq!(group.handle(typing, at(999)), Err(Denied::Muted));
    assert!(post(&mut group, 1, "hi", at(1_000)).is_ok());
}

#[test]
fn who_is_muted_may_take_back_its_own_words_and_nobody_elses() {
    let mut group = group_of([attendee("alice"), moderator("mo")]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    join(&mut group, 2, "mo", at(0)).unwrap();
    post(&mut group, 1, "hi", at(1)).unwrap();
    post(&mut group, 2, "ho", at(1)).unwrap();
    let standing = Standing { muted: Some(Bar { until_ms: None }), ..moderator("mo").standing };
    group.handle(Command::PutAttendee(Attendee { standing, ..moderator("mo") }), at(2)).unwrap();
    assert_eq!(change(&mut group, 2, EventKind::Delete { of: Seq(1) }), Err(Denied::Muted));
    assert_eq!(change(&mut group, 2, edit(2, "huh")), Err(Denied::Muted));
    assert_eq!(appended(&change(&mut group, 2, EventKind::Delete { of: Seq(2) }).unwrap()).seq, Seq(3));
}

#[test]
fn who_is_muted_types_no_more() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    group.handle(Command::Type { session: SessionId(1), on: true }, at(1_000)).unwrap();
    let standing = Standing { muted: Some(Bar { until_ms: None }), ..Standing::member(1) };
    let muted = Command::PutAttendee(Attendee { standing, ..attendee("alice") });
    let effects = group.handle(muted, at(2_000)).unwrap();
    assert!(effects.contains(&Effect::Typing(user("alice").id, false)), "{effects:?}");
}

#[test]
fn moderators_moderate_members_and_a_ban_shuts_out() {
    let mut group = group_of([attendee("alice"), moderator("mo"), moderator("max")]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    join(&mut group, 2, "mo", at(0)).unwrap();
    let asked = |group: &Group, session, op, id: &str| {
        let speaker = Speaker::Session(SessionId(session));
        group.may_moderate(&speaker, op, &user(id).id, at(1)).map(|(_, target)| target)
    };
    assert_eq!(asked(&group, 1, ModerationOp::Mute, "mo"), Err(Denied::NotModerator));
    assert_eq!(asked(&group, 2, ModerationOp::Kick, "max"), Err(Denied::AgainstModerator));
    assert_eq!(asked(&group, 2, ModerationOp::Ban, "nobody"), Err(Denied::NotAttending));
    let mut target = asked(&group, 2, ModerationOp::Ban, "alice").unwrap();
    target.standing.banned = Some(Bar { until_ms: Some(at(9_000).unix_ms) });
    let by = Actor::User(user("mo"));
    let moderation = Moderation { op: ModerationOp::Ban, user: Some(user("alice")), until_ms: None };
    let effects = group.handle(Command::Moderated { by, moderation, attendee: Some(target) }, at(2)).unwrap();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Append(event) if event.seq == Seq(1))));
    assert!(effects.contains(&Effect::Close(vec![SessionId(1)], Departure::Banned)), "{effects:?}");
    assert_eq!(join(&mut group, 3, "alice", at(8_999)), Err(Denied::Banned));
    assert!(join(&mut group, 4, "alice", at(9_000)).is_ok(), "the ban is over");
}

#[test]
fn markers_only_move_forward_and_are_gathered() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    join(&mut group, 2, "bob", at(0)).unwrap();
    for _ in 0..5 {
        post(&mut group, 1, "hi", at(1)).unwrap();
    }
    group.handle(Command::Tick, at(1_000)).unwrap();
    let mark = |read, received| {
        let marker = Marker { read: Seq(read), received: Seq(received) };
        Command::Mark { session: SessionId(2), marker }
    };
    assert_eq!(group.handle(mark(6, 0), at(2_000)), Err(Denied::BeyondHead));
    let moved = |effects: Vec<Effect>| match effects.into_iter().next() {
        Some(Effect::Mark(marked)) => marked[0].marker,
        other => panic!("no marker: {other:?}"),
    };
    let stored = moved(group.handle(mark(3, 0), at(2_000)).unwrap());
    assert_eq!(stored, Marker { read: Seq(3), received: Seq(3) }, "who has read has received");
    group
        .handle(Command::Marked(vec![Marked { user: user("bob"), marker: stored, told: true }]), at(2_001))
        .unwrap();
    assert!(group.handle(mark(2, 2), at(3_000)).unwrap().is_empty(), "backwards changes nothing");
    assert!(!group.handle(mark(3, 4), at(4_000)).unwrap().is_empty());
    assert!(group.handle(mark(4, 5), at(4_001)).unwrap().is_empty());
    assert!(group.handle(mark(5, 5), at(4_002)).unwrap().is_empty());
    let later = moved(group.handle(Command::Tick, at(4_250)).unwrap());
    assert_eq!(later, Marker { read: Seq(5), received: Seq(5) }, "together");
}

#[test]
fn who_has_said_something_has_read_it_before_that_is_stored() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    let said = Command::Say {
        speaker: Speaker::Session(SessionId(1)),
        message: Message::plain("hi"),
        sent: None,
        answers_known: true,
        marks: true,
    };
    group.handle(said, at(1)).unwrap();
    let read =
        |group: &Group, upto| group.markers(Seq(upto)).get(&user("alice").id).map(|marker| marker.read);
    assert_eq!(read(&group, 0), None, "nobody has seen the message");
    assert_eq!(read(&group, 1), Some(Seq(1)));
    group.handle(Command::RemoveAttendee(user("alice")), at(2)).unwrap();
    assert_eq!(read(&group, 1), None);
}

#[test]
fn a_banned_attendee_is_known_and_another_life_is_not() {
    let group = group_of([barred("bob", None, Some(5_000)), attendee("alice")]);
    let another = UserLife { uid: UserUid(u64::MAX), ..user("bob") };
    assert!(group.known(&user("bob")).is_some() && group.known(&user("alice")).is_some());
    assert!(group.known(&another).is_none() && group.known(&user("nobody")).is_none());
}

#[test]
fn typing_ends_by_itself_and_with_a_message() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    let types = |group: &mut Group, on, now| {
        group.handle(Command::Type { session: SessionId(1), on }, at(now)).unwrap()
    };
    let told = |on| vec![Effect::Typing(user("alice").id, on)];
    assert_eq!(types(&mut group, true, 1_000), told(true));
    assert_eq!(types(&mut group, true, 3_000), [], "said again");
    assert_eq!(group.due_ms(), Some(4_000));
    assert_eq!(group.handle(Command::Tick, at(4_000)).unwrap(), told(true), "for those who would end it");
    assert_eq!(group.due_ms(), Some(9_000));
    assert_eq!(group.handle(Command::Tick, at(9_000)).unwrap(), told(false));
    types(&mut group, true, 10_000);
    assert!(post(&mut group, 1, "there", at(11_000)).unwrap().contains(&told(false)[0]));
    assert_eq!(types(&mut group, false, 12_000), [], "had stopped");
}

#[test]
fn typing_is_told_so_often_however_often_it_changes() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    let mut told = 0;
    for round in 0..100 {
        let typing = Command::Type { session: SessionId(1), on: round % 2 == 0 };
        told += group.handle(typing, at(1_000 + round)).unwrap().len();
    }
    assert_eq!(told, 1, "the beginning");
    assert_eq!(group.due_ms(), Some(1_250));
    assert_eq!(group.handle(Command::Tick, at(1_250)).unwrap(), [Effect::Typing(user("alice").id, false)]);
    assert_eq!(group.due_ms(), None);
}

#[test]
fn typing_that_lasts_is_told_again_before_anyone_ends_it_alone() {
    let mut group = group(&["alice", "bob"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    let mut told = Vec::new();
    for now in (1_000..31_000).step_by(50) {
        // A client says it every 3 s.
        let command = match now % 3_000 {
            1_000 => Command::Type { session: SessionId(1), on: true },
            _ => Command::Tick,
        };
        let effects = group.handle(command, at(now)).unwrap();
        told.extend(effects.iter().map(|effect| (now, effect == &Effect::Typing(user("alice").id, true))));
    }
    assert!(told.iter().all(|(_, on)| *on), "{told:?}");
    assert_eq!(told[0].0, 1_000);
    let longest = told.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
    assert!(longest <= Some(6_000), "{told:?}");
    assert!(told.len() <= 11, "{told:?}");
}

#[test]
fn who_types_while_a_group_becomes_large_has_stopped_by_name_and_is_counted() {
    let mut group = group(&["alice", "bob", "carol"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    group.handle(Command::Type { session: SessionId(1), on: true }, at(1_000)).unwrap();
    let effects = group.handle(Command::PutAttendee(attendee("dave")), at(1_001)).unwrap();
    assert!(effects.contains(&Effect::Typing(user("alice").id, false)), "{effects:?}");
    assert!(effects.contains(&Effect::TypingCount(1)), "{effects:?}");
    let effects = group.handle(Command::RemoveAttendee(user("dave")), at(1_002)).unwrap();
    assert!(effects.contains(&Effect::TypingCount(0)), "{effects:?}");
    assert!(effects.contains(&Effect::Typing(user("alice").id, true)), "{effects:?}");
}

fn barred(id: &str, muted: Option<u64>, banned: Option<u64>) -> Attendee {
    let bar = |until: Option<u64>| until.map(|until| Bar { until_ms: Some(at(until).unix_ms) });
    Attendee {
        standing: Standing { muted: bar(muted), banned: bar(banned), ..Standing::member(1) },
        ..attendee(id)
    }
}

#[test]
fn a_ban_that_is_over_puts_its_user_back_on_the_roster_where_it_stood() {
    let marker = Marker { read: Seq(7), received: Seq(7) };
    let banned = barred("bob", None, Some(5_000));
    let head = Head { seq: Seq(9), time_ms: 0 };
    let mut group = Group::new(head, [attendee("alice"), banned], [(user("bob"), marker)], RULES, at(0));
    assert_eq!((group.roster().attends(&user("bob")), group.due_ms()), (false, Some(5_000)));
    let told = group.handle(Command::Tick, at(5_000)).unwrap();
    assert!(matches!(told[..], [Effect::Tell(_)]), "{told:?}");
    assert_eq!(group.markers(Seq(9)).get(&user("bob").id), Some(&marker));
    let speaker = Speaker::Backend(Actor::User(user("bob")));
    let said = Command::Say {
        speaker,
        message: Message::plain("back"),
        sent: None,
        answers_known: false,
        marks: true,
    };
    assert!(group.handle(said, at(5_001)).is_ok());
}

#[test]
fn the_end_of_a_mute_is_told() {
    let mut group = group_of([attendee("alice"), barred("bob", Some(5_000), None)]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    assert_eq!(group.due_ms(), Some(5_000));
    let told = group.handle(Command::Tick, at(5_000)).unwrap();
    assert!(matches!(told[..], [Effect::Tell(_)]), "{told:?}");
    assert_eq!(group.due_ms(), None);
}

#[test]
fn a_bar_holds_when_the_calendar_is_set_back() {
    let mut group = group_of([attendee("alice"), barred("bob", None, Some(5_000))]);
    let back = Now { unix_ms: at(1_000).unix_ms, mono_ms: 5_000 };
    assert_eq!(group.handle(Command::Tick, back).unwrap(), []);
    assert_eq!((group.roster().attends(&user("bob")), group.due_ms()), (false, Some(9_000)));
}

#[test]
fn what_was_said_before_a_mute_is_answered_as_said() {
    let mut group = group_of([barred("alice", Some(5_000), None)]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    let extra = Extra { client_id: ClientId::parse("c1"), ..Extra::default() };
    let head = Head { seq: Seq(0), time_ms: at(0).unix_ms };
    let again = Command::Say {
        speaker: Speaker::Session(SessionId(1)),
        message: Message::new("hi", extra),
        sent: Some(head),
        answers_known: false,
        marks: true,
    };
    assert_eq!(group.handle(again, at(1)), Ok(vec![Effect::Duplicate(head)]));
    assert_eq!(post(&mut group, 1, "new", at(2)), Err(Denied::Muted));
}

#[derive(Debug, Clone)]
enum Step {
    Join(u8),
    Leave(usize),
    Post(usize),
    Put(u8),
    Remove(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..6).prop_map(Step::Join),
        2 => any::<usize>().prop_map(Step::Leave),
        4 => any::<usize>().prop_map(Step::Post),
        1 => (0_u8..6).prop_map(Step::Put),
        1 => (0_u8..6).prop_map(Step::Remove),
        2 => (0_u64..400).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: places are dense, only attendees are in, each session is admitted at most once and
    /// closed at most once, and nobody waits for ever.
    #[test]
    fn a_group_keeps_its_promises(steps in prop::collection::vec(step(), 0..200)) {
        let mut group = group(&["0", "1", "2"]);
        let (mut now, mut next_session, mut last_seq) = (0, 1, 0);
        let mut live: HashMap<SessionId, UserLife> = HashMap::new();
        let mut admitted: HashSet<SessionId> = HashSet::new();
        for step in steps {
            let pick = |index: usize| {
                let mut ids: Vec<SessionId> = live.keys().copied().collect();
                ids.sort();
                (!ids.is_empty()).then(|| ids[index % ids.len()])
            };
            let command = match step {
                Step::Join(name) => {
                    next_session += 1;
                    Command::Join { session: SessionId(next_session), user: user(&name.to_string()) }
                }
                Step::Leave(index) => match pick(index) { Some(session) => Command::Leave { session, lingers: false }, None => continue },
                Step::Post(index) => match pick(index) {
                    Some(session) => say(session.0, Message::plain("x")),
                    None => continue,
                },
                Step::Put(name) => Command::PutAttendee(attendee(&name.to_string())),
                Step::Remove(name) => Command::RemoveAttendee(user(&name.to_string())),
                Step::Wait(wait) => { now += wait; Command::Tick }
            };
            let result = group.handle(command.clone(), at(now));
            match (&command, &result) {
                (Command::Join { session, user }, Ok(_)) => { live.insert(*session, user.clone()); }
                (Command::Leave { session, .. }, _) => { live.remove(session); }
                (Command::Say { .. }, result) => prop_assert!(result.is_ok()),
                _ => {}
            }
            for effect in result.unwrap_or_default() {
                match effect {
                    Effect::Append(message) => {
                        last_seq += 1;
                        prop_assert_eq!(message.seq, Seq(last_seq));
                    }
                    Effect::Admit(session) => {
                        prop_assert!(live.contains_key(&session), "admitted a session that left");
                        prop_assert!(admitted.insert(session), "admitted twice");
                    },
                    Effect::Close(sessions, _) => for session in sessions {
                        prop_assert!(live.remove(&session).is_some(), "closed twice");
                    },
                    _ => {}
                }
            }
            for owner in live.values() {
                prop_assert!(group.roster().attends(owner));
            }
        }
        now += 1_000;
        for effect in group.handle(Command::Tick, at(now)).unwrap() {
            if let Effect::Admit(session) = effect { admitted.insert(session); }
        }
        for session in live.keys() {
            prop_assert!(admitted.contains(session), "{:?} waits for ever", session);
        }
    }
}
