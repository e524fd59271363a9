use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::domain::ids::{UserId, UserUid};
use crate::domain::profile::Name;

const PACE: RosterPace = RosterPace { full_max: 3, interval_ms: 250 };

fn attendee(id: &str) -> Attendee {
    let UserLife { id: user, uid } = user(id);
    Attendee { id: user, uid, name: Name::parse(id).unwrap(), icon: None, revision: 0 }
}

fn user(id: &str) -> UserLife {
    UserLife { id: UserId::parse(id).unwrap(), uid: UserUid(0) }
}

fn at(ms: u64) -> Now {
    Now { unix_ms: 1_000_000 + ms, mono_ms: ms }
}

fn draft(text: &str) -> Draft {
    Draft::parse(text, 100).unwrap()
}

fn group(names: &[&str]) -> Group {
    Group::new(Head::default(), names.iter().map(|name| attendee(name)), PACE, 2)
}

fn join(group: &mut Group, session: u64, name: &str, now: Now) -> Result<Vec<Effect>, Denied> {
    group.handle(Command::Join { session: SessionId(session), user: user(name) }, now)
}

fn post(group: &mut Group, session: u64, text: &str, now: Now) -> Result<Vec<Effect>, Denied> {
    group.handle(Command::Post { session: SessionId(session), draft: draft(text) }, now)
}

fn appended(effects: &[Effect]) -> &Message {
    let [Effect::Append(message)] = effects else { panic!("not one append: {effects:?}") };
    message
}

#[test]
fn messages_take_dense_places_and_never_go_back_in_time() {
    let mut group = group(&["alice"]);
    join(&mut group, 1, "alice", at(0)).unwrap();
    let first = appended(&post(&mut group, 1, "a", at(10)).unwrap()).clone();
    let second = appended(&post(&mut group, 1, "b", at(5)).unwrap()).clone();
    assert_eq!((first.seq, second.seq), (Seq(1), Seq(2)));
    assert_eq!(first.time_ms, second.time_ms, "the clock went back, the group doesn't");
    assert_eq!(first.author, user("alice").id);
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
fn a_storm_of_joins_in_a_large_group_shares_one_roster() {
    let mut group = group(&["a", "b", "c", "d", "e"]);
    let admits = |effects: &[Effect]| {
        effects
            .iter()
            .filter_map(|e| if let Effect::Admit(s) = e { Some(s.len()) } else { None })
            .sum::<usize>()
    };
    assert_eq!(admits(&join(&mut group, 1, "a", at(0)).unwrap()), 1, "the first comes in at once");
    for (session, name) in [(2, "b"), (3, "c"), (4, "d")] {
        assert_eq!(admits(&join(&mut group, session, name, at(1)).unwrap()), 0);
    }
    assert_eq!(group.due_ms(), Some(250));
    let effects = group.handle(Command::Tick, at(250)).unwrap();
    assert_eq!(admits(&effects), 3, "the others together");
    assert!(matches!(effects[0], Effect::Tell(_)), "who was in before is told once");
}

#[test]
fn sessions_that_survive_a_crash_are_in_again() {
    let mut group = group(&["alice"]);
    let closed = group.restore([(SessionId(1), user("alice")), (SessionId(2), user("mallory"))], []);
    assert_eq!(closed, [Effect::Close(vec![SessionId(2)], Departure::Removed)]);
    assert!(post(&mut group, 1, "still here", at(0)).is_ok());
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
                Step::Leave(index) => match pick(index) { Some(session) => Command::Leave { session }, None => continue },
                Step::Post(index) => match pick(index) {
                    Some(session) => Command::Post { session, draft: draft("x") },
                    None => continue,
                },
                Step::Put(name) => Command::PutAttendee(attendee(&name.to_string())),
                Step::Remove(name) => Command::RemoveAttendee(user(&name.to_string())),
                Step::Wait(wait) => { now += wait; Command::Tick }
            };
            let result = group.handle(command.clone(), at(now));
            match (&command, &result) {
                (Command::Join { session, user }, Ok(_)) => { live.insert(*session, user.clone()); }
                (Command::Leave { session }, _) => { live.remove(session); }
                (Command::Post { .. }, result) => prop_assert!(result.is_ok()),
                _ => {}
            }
            for effect in result.unwrap_or_default() {
                match effect {
                    Effect::Append(message) => {
                        last_seq += 1;
                        prop_assert_eq!(message.seq, Seq(last_seq));
                    }
                    Effect::Admit(sessions) => for session in sessions {
                        prop_assert!(live.contains_key(&session), "admitted a session that left");
                        prop_assert!(admitted.insert(session), "admitted twice");
                    },
                    Effect::Close(sessions, _) => for session in sessions {
                        prop_assert!(live.remove(&session).is_some(), "closed twice");
                    },
                    Effect::Tell(_) => {}
                }
            }
            for owner in live.values() {
                prop_assert!(group.roster().attends(owner));
            }
        }
        now += 1_000;
        for effect in group.handle(Command::Tick, at(now)).unwrap() {
            if let Effect::Admit(sessions) = effect { admitted.extend(sessions); }
        }
        for session in live.keys() {
            prop_assert!(admitted.contains(session), "{:?} waits for ever", session);
        }
    }
}
