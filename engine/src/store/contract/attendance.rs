//! Who attends what, in which life, and how it stands.

use super::{STINT, append, attends, group, member, message, service, user, user_id};
use crate::domain::attendance::{AttendeeRecord, Bar, Role, Standing};
use crate::domain::event::Head;
use crate::domain::profile::{GroupRecord, ProfilePatch};
use crate::store::{DeletedUser, Directory, History, StoreError};

pub(super) async fn check<S: Directory + History>(store: &S) {
    attendance_is_idempotent_and_seen_from_both_sides(store).await;
    a_standing_stays_until_it_is_changed(store).await;
    a_group_made_again_is_another(store).await;
    a_user_made_again_is_another(store).await;
    two_users_have_one_group(store).await;
    a_group_of_two_ends_with_a_life(store).await;
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
    assert_eq!(store.add_attendee(&lobby, &user_id("nobody"), STINT).await, Err(StoreError::NoUser));
    for _ in 0..2 {
        assert_eq!(store.add_attendee(&lobby, &user_id("alice"), STINT).await, Ok(member(user("alice", 1))));
    }
    store.add_attendee(&lobby, &user_id("bob"), STINT).await.expect("added");
    store.add_attendee(&other, &user_id("alice"), STINT).await.expect("added");
    assert_eq!(store.attendees(&lobby).await, Ok(vec![member(user("alice", 1)), member(user("bob", 1))]));
    assert_eq!(store.groups_of(&s, &user("alice", 1).life()).await, Ok(vec![lobby.clone(), other.clone()]));
    assert_eq!(store.groups_of(&s, &user("alice2", 1).life()).await, Ok(vec![]));
    assert_eq!(store.attendance(&lobby, &user_id("bob")).await, Ok(Some(attends(&user("bob", 1)))));

    for _ in 0..2 {
        assert_eq!(store.remove_attendee(&lobby, &user("bob", 1).life()).await, Ok(()));
    }
    assert_eq!(store.attendance(&lobby, &user_id("bob")).await, Ok(None));
    let deleted = DeletedUser { user: user("alice", 1), groups: vec![lobby.clone(), other.clone()] };
    assert_eq!(store.delete_user(&s, &user_id("alice")).await, Ok(deleted));
    assert_eq!(store.attendees(&lobby).await, Ok(vec![]));
    store.add_attendee(&other, &user_id("bob"), STINT).await.expect("added");
    store.delete_group(&other).await.expect("deleted");
    assert_eq!(store.groups_of(&s, &user("bob", 1).life()).await, Ok(vec![]));
    assert_eq!(store.add_attendee(&other, &user_id("bob"), STINT).await, Err(StoreError::NoGroup));
}

async fn a_group_made_again_is_another<S: Directory + History>(store: &S) {
    let (old, new) = (group("again", "lobby", 51), group("again", "lobby", 52));
    let s = service("again");
    store.create_user(&s, user("alice", 1)).await.expect("created");
    store.create_group(old.clone()).await.expect("created");
    store.add_attendee(&old, &user_id("alice"), STINT).await.expect("added");
    append(store, old.uid, (1..=3).map(message)).await;
    store.delete_group(&old).await.expect("deleted");
    store.create_group(new.clone()).await.expect("created");
    assert_eq!(store.attendees(&new).await, Ok(vec![]));
    assert_eq!(store.head(new.uid).await, Ok(Head::default()));
    store.add_attendee(&new, &user_id("alice"), STINT).await.expect("added");
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
    store.add_attendee(&lobby, &alice, STINT).await.expect("added");
    let patched = store.update_user(&s, &alice, ProfilePatch::default()).await.expect("updated");
    assert_eq!((patched.life(), patched.revision), (old.clone(), 1), "a change is no new life");
    let deleted = DeletedUser { user: patched, groups: vec![lobby.clone()] };
    assert_eq!(store.delete_user(&s, &alice).await, Ok(deleted), "it tells which life has ended");
    assert_eq!(store.attendance(&lobby, &alice).await, Ok(None));
    assert_eq!(store.add_attendee(&lobby, &alice, STINT).await, Err(StoreError::NoUser));

    store.create_user(&s, user("alice", 2)).await.expect("created");
    assert_eq!(store.attendance(&lobby, &alice).await, Ok(None));
    assert_eq!(store.attendees(&lobby).await, Ok(vec![]));
    for life in [&old, &new] {
        assert_eq!(store.groups_of(&s, life).await, Ok(vec![]));
    }
    for group in [&lobby, &other] {
        assert_eq!(store.add_attendee(group, &alice, STINT).await, Ok(member(user("alice", 2))));
        assert_eq!(store.remove_attendee(group, &old).await, Ok(()), "what comes late is no error");
        assert_eq!(
            store.attendance(group, &alice).await,
            Ok(Some(attends(&user("alice", 2)))),
            "and takes nothing away"
        );
        assert_eq!(store.attendees(group).await, Ok(vec![member(user("alice", 2))]));
    }
    assert_eq!(store.groups_of(&s, &new).await, Ok(vec![lobby.clone(), other.clone()]));
    assert_eq!(store.groups_of(&s, &old).await, Ok(vec![]));
    store.remove_attendee(&lobby, &new).await.expect("removed");
    assert_eq!(store.attendance(&lobby, &alice).await, Ok(None));
    assert_eq!(store.groups_of(&s, &new).await, Ok(vec![other]));
}

async fn a_standing_stays_until_it_is_changed<S: Directory>(store: &S) {
    let s = service("standing");
    let (lobby, alice) = (group("standing", "lobby", 121), user("alice", 1));
    store.create_group(lobby.clone()).await.expect("created");
    store.create_user(&s, alice.clone()).await.expect("created");
    let muted = Standing { muted: Some(Bar { until_ms: Some(9) }), ..Standing::member(7) };
    let life = alice.life();
    let set = |standing| store.set_standing(&lobby, &life, standing);
    assert_eq!(set(muted).await, Err(StoreError::NotAttending));
    store.add_attendee(&lobby, &alice.id, 7).await.expect("added");
    let is = |standing| AttendeeRecord { user: alice.clone(), standing };
    assert_eq!(set(muted).await, Ok(is(muted)));
    assert_eq!(store.add_attendee(&lobby, &alice.id, 8).await, Ok(is(muted)), "it attends already");
    let banned = Standing { role: Role::Moderator, banned: Some(Bar { until_ms: None }), ..muted };
    assert_eq!(set(banned).await, Ok(is(banned)));
    assert_eq!(store.attendees(&lobby).await, Ok(vec![is(banned)]));
    let attendance = store.attendance(&lobby, &alice.id).await.expect("read").expect("attends");
    assert_eq!((attendance.user, attendance.standing), (alice.life(), banned));
    store.update_user(&s, &alice.id, ProfilePatch::default()).await.expect("changed");
    assert_eq!(store.attendance(&lobby, &alice.id).await.expect("read").expect("attends").standing, banned);

    let later = user("alice", 2).life();
    assert_eq!(store.set_standing(&lobby, &later, muted).await, Err(StoreError::NotAttending));
    store.remove_attendee(&lobby, &alice.life()).await.expect("removed");
    assert_eq!(set(muted).await, Err(StoreError::NotAttending));
    let back = store.add_attendee(&lobby, &alice.id, 9).await.expect("added");
    assert_eq!(back.standing, Standing::member(9), "another stint begins anew");
    store.delete_group(&lobby).await.expect("deleted");
    assert_eq!(set(muted).await, Err(StoreError::NoGroup));
}

async fn two_users_have_one_group<S: Directory>(store: &S) {
    let s = service("pairs");
    for (uid, id) in (1..).zip(["alice", "bob", "carol"]) {
        store.create_user(&s, user(id, uid)).await.expect("created");
    }
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(user_id);
    let direct = |one: &_, other: &_, uid| {
        let draft = group("pairs", &format!("group {uid}"), uid);
        store.direct([Clone::clone(one), Clone::clone(other)], draft, [7, 8])
    };
    let (a, b, c) =
        tokio::join!(direct(&alice, &bob, 131), direct(&bob, &alice, 132), direct(&alice, &bob, 133));
    let found = [a, b, c].map(|found| found.expect("found"));
    assert_eq!(found.iter().filter(|(_, made)| *made).count(), 1, "one was made");
    let (made, _) = found[0].clone();
    assert!(made.direct && found.iter().all(|(group, _)| *group == made), "and everyone has it");
    assert_eq!(store.group(&s, &made.id).await, Ok(Some(made.clone())));
    let attendees = store.attendees(&made).await.expect("read");
    let stints: Vec<_> = attendees.iter().map(|it| (it.user.id.as_str(), it.standing.stint)).collect();
    assert!(stints == [("alice", 7), ("bob", 8)] || stints == [("alice", 8), ("bob", 7)], "{stints:?}");
    let alices = store.groups_of(&s, &user("alice", 1).life()).await.expect("read");
    assert_eq!(alices, std::slice::from_ref(&made));

    let other = direct(&alice, &carol, 134).await.expect("made");
    assert_eq!((other.1, other.0.id != made.id), (true, true));
    let nobody = user_id("nobody");
    assert_eq!(direct(&alice, &nobody, 135).await, Err(StoreError::NoUser));
    assert_eq!(direct(&bob, &carol, 134).await, Err(StoreError::GroupExists), "its id is taken");
    store.delete_group(&made).await.expect("deleted");
    let (anew, is_new) = direct(&bob, &alice, 136).await.expect("made");
    assert_eq!((anew.uid.0, is_new), (136, true));
    assert_eq!(direct(&alice, &bob, 137).await, Ok((anew, false)));
}

async fn a_group_of_two_ends_with_a_life<S: Directory>(store: &S) {
    let s = service("pair lives");
    for (uid, id) in (1..).zip(["alice", "bob"]) {
        store.create_user(&s, user(id, uid)).await.expect("created");
    }
    let direct = |uid: u64| {
        let draft: GroupRecord = group("pair lives", &format!("group {uid}"), uid);
        store.direct([user_id("alice"), user_id("bob")], draft, [STINT, STINT])
    };
    let (old, _) = direct(141).await.expect("made");
    store.delete_user(&s, &user_id("bob")).await.expect("deleted");
    assert_eq!(direct(142).await, Err(StoreError::NoUser));
    store.create_user(&s, user("bob", 1_002)).await.expect("created");
    let (new, is_new) = direct(143).await.expect("made");
    assert_eq!((new.uid.0, is_new), (143, true), "another bob never sees what was said to the first");
    assert_eq!(store.group(&s, &old.id).await, Ok(Some(old.clone())), "the old one stays");
    store.delete_group(&old).await.expect("deleted");
    assert_eq!(direct(144).await, Ok((new, false)), "and takes nothing along when it goes");
}
