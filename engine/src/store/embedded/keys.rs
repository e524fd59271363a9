//! Keys on disk. Big-endian numbers, so that the order of bytes is the order of places; ids end with a zero
//! byte, which no id contains. The keys of what users leave in logs are in [`traces`](super::traces).

use crate::domain::ids::{GroupId, GroupUid, ReactionKey, Seq, ServiceId, UserId, UserLife, UserUid};

/// Ends an id inside a key.
const END: u8 = 0;

/// A service's own key.
pub(super) fn service(service: &ServiceId) -> Vec<u8> {
    service.as_str().as_bytes().to_vec()
}

/// The beginning of all keys of a service.
pub(super) fn of_service(service: &ServiceId) -> Vec<u8> {
    joined(&[service.as_str()])
}

/// A group in its service.
pub(super) fn group(service: &ServiceId, id: &GroupId) -> Vec<u8> {
    joined(&[service.as_str(), id.as_str()])
}

/// A user in its service.
pub(super) fn user(service: &ServiceId, id: &UserId) -> Vec<u8> {
    joined(&[service.as_str(), id.as_str()])
}

/// The service in a key that [`user`] or [`group`] wrote.
pub(super) fn service_of(key: &[u8]) -> Option<ServiceId> {
    let service = key.split(|byte| *byte == END).next()?;
    ServiceId::parse(std::str::from_utf8(service).ok()?).ok()
}

/// The place of an item in its service's listing.
pub(super) fn order(service: &ServiceId, order: u64) -> Vec<u8> {
    let mut key = of_service(service);
    key.extend_from_slice(&order.to_be_bytes());
    key
}

/// The place in a listing that [`order`] wrote.
pub(super) fn order_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// A user's attendance, by group.
pub(super) fn attendee(group: GroupUid, user: &UserId) -> Vec<u8> {
    let mut key = of_group(group).to_vec();
    key.extend_from_slice(user.as_str().as_bytes());
    key
}

/// The user in a key that [`attendee`] wrote.
pub(super) fn attendee_of(key: &[u8]) -> Option<UserId> {
    UserId::parse(std::str::from_utf8(key.get(8..)?).ok()?).ok()
}

/// A user's attendance, by user.
pub(super) fn attendance(service: &ServiceId, user: &UserId, group: &GroupId) -> Vec<u8> {
    joined(&[service.as_str(), user.as_str(), group.as_str()])
}

/// The beginning of all attendance of a user.
pub(super) fn of_user(service: &ServiceId, user: &UserId) -> Vec<u8> {
    joined(&[service.as_str(), user.as_str()])
}

/// The group in a key that [`attendance`] wrote.
pub(super) fn attended_of(key: &[u8]) -> Option<GroupId> {
    let group = key.split(|byte| *byte == END).nth(2)?;
    GroupId::parse(std::str::from_utf8(group).ok()?).ok()
}

/// The beginning of all keys of a group's life.
pub(super) fn of_group(group: GroupUid) -> [u8; 8] {
    group.0.to_be_bytes()
}

/// The group of a key that [`of_group`] made.
pub(super) fn group_of(key: &[u8]) -> Option<GroupUid> {
    Some(GroupUid(u64::from_be_bytes(key.try_into().ok()?)))
}

/// A message or another event in its group's log.
pub(super) fn place(group: GroupUid, seq: Seq) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&group.0.to_be_bytes());
    key[8..].copy_from_slice(&seq.0.to_be_bytes());
    key
}

/// The group and place in a key that [`place`] wrote.
pub(super) fn place_of(key: &[u8]) -> Option<(GroupUid, Seq)> {
    let (group, seq) = key.split_first_chunk::<8>()?;
    Some((GroupUid(u64::from_be_bytes(*group)), Seq(u64::from_be_bytes(seq.try_into().ok()?))))
}

/// When the trace of a client id, whose message is gone, goes, too.
pub(super) fn remembered(group: GroupUid, end_ms: u64, trace: &[u8]) -> Vec<u8> {
    [&of_group(group)[..], &end_ms.to_be_bytes(), trace].concat()
}

/// The trace in a key that [`remembered`] wrote.
pub(super) fn remembered_of(key: &[u8]) -> Option<&[u8]> {
    key.get(16..)
}

/// One user's reaction to a message.
pub(super) fn reaction(group: GroupUid, of: Seq, user: &UserLife, reaction: &ReactionKey) -> Vec<u8> {
    let mut key = place(group, of).to_vec();
    push_user(&mut key, user);
    key.extend_from_slice(reaction.as_str().as_bytes());
    key
}

/// The place, the user and the reaction in a key that [`reaction`] wrote.
pub(super) fn reaction_of(key: &[u8]) -> Option<(&[u8; 16], &[u8], &[u8])> {
    let (place, rest) = key.split_first_chunk::<16>()?;
    let (user, reaction) = split_user(rest)?;
    Some((place, user, reaction))
}

/// How far a user has come in a group.
pub(super) fn marker(group: GroupUid, user: &UserLife) -> Vec<u8> {
    let mut key = of_group(group).to_vec();
    key.extend_from_slice(user.id.as_str().as_bytes());
    key.push(END);
    key.extend_from_slice(&user.uid.0.to_be_bytes());
    key
}

/// The group and the user in a key that [`marker`] wrote.
pub(super) fn marker_of(key: &[u8]) -> Option<(GroupUid, UserLife)> {
    let (group, rest) = key.split_first_chunk::<8>()?;
    let (id, uid) = rest.split_last_chunk::<8>()?;
    let id = UserId::parse(std::str::from_utf8(id.strip_suffix(&[END])?).ok()?).ok()?;
    let user = UserLife { id, uid: UserUid(u64::from_be_bytes(*uid)) };
    Some((GroupUid(u64::from_be_bytes(*group)), user))
}

/// Two users' own group, from the side of the first.
pub(super) fn pair(service: &ServiceId, one: &UserLife, other: &UserLife) -> Vec<u8> {
    let mut key = pairs_of(service, one);
    push_user(&mut key, other);
    key
}

/// The beginning of the keys of all pairs that a user is the first of.
pub(super) fn pairs_of(service: &ServiceId, user: &UserLife) -> Vec<u8> {
    let mut key = of_service(service);
    push_user(&mut key, user);
    key
}

/// The key of the same pair from the other side, of a key that begins as [`pairs_of`] wrote it for this user.
pub(super) fn pair_turned(service: &ServiceId, user: &UserLife, key: &[u8]) -> Option<Vec<u8>> {
    let other = key.strip_prefix(pairs_of(service, user).as_slice())?;
    let mut turned = of_service(service);
    turned.extend_from_slice(other);
    push_user(&mut turned, user);
    Some(turned)
}

/// A life of a user as a part of a key. Users without a life of their own are told apart by their ids.
pub(super) fn push_user(key: &mut Vec<u8>, user: &UserLife) {
    key.extend_from_slice(&user.uid.0.to_be_bytes());
    if user.uid == UserUid::default() {
        key.extend_from_slice(user.id.as_str().as_bytes());
        key.push(END);
    }
}

/// What [`push_user`] wrote at the beginning, and what follows it.
pub(super) fn split_user(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (uid, rest) = bytes.split_first_chunk::<8>()?;
    if *uid != UserUid::default().0.to_be_bytes() {
        return bytes.split_at_checked(8);
    }
    let end = rest.iter().position(|byte| *byte == END)?;
    bytes.split_at_checked(8 + end + 1)
}

/// The first key behind all that begin with this; `None` when nothing is behind them.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

fn joined(ids: &[&str]) -> Vec<u8> {
    let mut key = Vec::with_capacity(ids.iter().map(|id| id.len() + 1).sum());
    for id in ids {
        key.extend_from_slice(id.as_bytes());
        key.push(END);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_is_never_the_beginning_of_another() {
        let service = ServiceId::parse("s").unwrap();
        let (a, ab) = (UserId::parse("a").unwrap(), UserId::parse("ab").unwrap());
        let group = GroupId::parse("g").unwrap();
        assert!(!attendance(&service, &ab, &group).starts_with(&of_user(&service, &a)));
    }

    #[test]
    fn keys_tell_what_they_were_made_of() {
        let service = ServiceId::parse("s").unwrap();
        let (user, group) = (UserId::parse("ü/ 1").unwrap(), GroupId::parse("部屋").unwrap());
        assert_eq!(attendee_of(&attendee(GroupUid(7), &user)), Some(user.clone()));
        assert_eq!(attended_of(&attendance(&service, &user, &group)), Some(group));
        assert_eq!(place_of(&place(GroupUid(7), Seq(9))), Some((GroupUid(7), Seq(9))));
        assert_eq!(order_of(&order(&service, 3)), Some(3));
        let wave = ReactionKey::parse("👋").unwrap();
        for uid in [0, 1, u64::MAX] {
            let life = UserLife { id: user.clone(), uid: UserUid(uid) };
            assert_eq!(marker_of(&marker(GroupUid(7), &life)), Some((GroupUid(7), life.clone())));
            let key = reaction(GroupUid(7), Seq(9), &life, &wave);
            let (at, of, reaction) = reaction_of(&key).unwrap();
            assert_eq!((place_of(at), reaction), (Some((GroupUid(7), Seq(9))), wave.as_str().as_bytes()));
            assert!(pairs_of(&service, &life).ends_with(of));
        }
    }

    #[test]
    fn a_pair_is_the_same_from_both_sides() {
        let service = ServiceId::parse("s").unwrap();
        let life = |id, uid| UserLife { id: UserId::parse(id).unwrap(), uid: UserUid(uid) };
        for (one, other) in [(life("a", 1), life("b", 2)), (life("a", 0), life("ab", 0))] {
            let turned = pair_turned(&service, &one, &pair(&service, &one, &other));
            assert_eq!(turned, Some(pair(&service, &other, &one)));
        }
    }

    #[test]
    fn what_is_behind_a_prefix_begins_right_after_it() {
        assert_eq!(end_of(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(end_of(&[1, u8::MAX]), Some(vec![2]));
        assert_eq!(end_of(&[u8::MAX]), None);
    }
}
