//! Services, groups and users.

use super::{ALL, STINT, group, member, service, user, user_id};
use crate::domain::profile::{Change, GroupPatch, GroupRecord, Icon, Name, ProfilePatch, Retention};
use crate::domain::service::Service;
use crate::store::{Directory, Page, StoreError};

pub(super) async fn check<S: Directory>(store: &S) {
    services_are_found(store).await;
    groups_are_made_listed_changed_and_deleted(store).await;
    users_are_made_listed_changed_and_deleted(store).await;
    one_service_never_sees_another(store).await;
    of_many_creators_one_wins(store).await;
    groups_whose_logs_are_not_kept_for_ever_are_found(store).await;
    ids_of_any_kind_work(store).await;
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
    let profile = ProfilePatch { icon: Change::Set(icon.clone()), ..ProfilePatch::default() };
    let patch = GroupPatch { profile, ..GroupPatch::default() };
    let zoo = group("groups", "zoo", 11);
    let patched = store.update_group(&s, &zoo.id, patch).await.expect("updated");
    assert_eq!((&patched.profile.name, &patched.profile.icon), (&zoo.profile.name, &Some(icon)));
    assert_eq!(store.group(&s, &zoo.id).await, Ok(Some(patched)));

    store.delete_group(&zoo).await.expect("deleted");
    assert_eq!(store.group(&s, &zoo.id).await, Ok(None));
    assert_eq!(store.delete_group(&zoo).await, Err(StoreError::NoGroup));
    assert_eq!(store.update_group(&s, &zoo.id, GroupPatch::default()).await, Err(StoreError::NoGroup));
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

    let out = store.sign_out(&s, &user_id("zoe")).await.expect("signed out");
    assert_eq!((out.sign_outs, out.revision), (1, 1));
    let again = store.sign_out(&s, &user_id("zoe")).await.expect("signed out");
    assert_eq!(again.sign_outs, 2);
    assert_eq!(store.sign_out(&s, &user_id("nobody")).await, Err(StoreError::NoUser));

    store.delete_user(&s, &user_id("zoe")).await.expect("deleted");
    assert_eq!(store.user(&s, &user_id("zoe")).await, Ok(None));
    assert_eq!(store.delete_user(&s, &user_id("zoe")).await, Err(StoreError::NoUser));
    assert_eq!(store.users(&s, ALL).await.expect("listed").total, 1);
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

async fn ids_of_any_kind_work<S: Directory>(store: &S) {
    let s = service("kinds");
    for (uid, id) in [(91, "a/b c"), (92, "部屋"), (93, "🏠"), (94, "'\"\\%00"), (95, &"é".repeat(128))]
    {
        store.create_group(group("kinds", id, uid)).await.expect("created");
        store.create_user(&s, user(id, 1)).await.expect("created");
        let made = group("kinds", id, uid);
        store.add_attendee(&made, &user_id(id), STINT).await.expect("added");
        assert_eq!(store.attendees(&made).await, Ok(vec![member(user(id, 1))]));
        assert_eq!(store.groups_of(&s, &user(id, 1).life()).await, Ok(vec![made]));
    }
}

async fn groups_whose_logs_are_not_kept_for_ever_are_found<S: Directory>(store: &S) {
    let s = service("retained");
    let bounded = Retention { age_ms: Some(1), messages: None };
    let (lobby, attic) = (group("retained", "lobby", 111), group("retained", "attic", 112));
    let brief = GroupRecord { retention: Some(bounded), ..group("retained", "brief", 113) };
    for group in [&lobby, &attic, &brief] {
        store.create_group(group.clone()).await.expect("created");
    }
    let retained = async || {
        let groups = store.retained().await.expect("listed");
        groups.into_iter().filter(|group| group.service == s).collect::<Vec<_>>()
    };
    assert_eq!(retained().await, std::slice::from_ref(&brief));
    let keep = |retention| GroupPatch { retention, ..GroupPatch::default() };
    let other = Retention { age_ms: None, messages: Some(9) };
    let changed = store.update_group(&s, &attic.id, keep(Change::Set(other))).await.expect("changed");
    assert_eq!(changed, GroupRecord { retention: Some(other), ..attic.clone() });
    let rest = store.update_group(&s, &brief.id, GroupPatch::default()).await.expect("changed");
    assert_eq!(rest, brief, "what isn't named stays");
    assert_eq!(retained().await, [changed.clone(), brief.clone()]);
    let again = store.update_group(&s, &attic.id, keep(Change::Set(bounded))).await.expect("changed");
    assert_eq!(retained().await, [again, brief.clone()]);
    store.update_group(&s, &attic.id, keep(Change::Clear)).await.expect("changed");
    store.delete_group(&brief).await.expect("deleted");
    assert_eq!(retained().await, []);
}
