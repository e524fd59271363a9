//! Keys on disk. Big-endian numbers, so that the order of bytes is the order of places; ids end with a zero
//! byte, which no id contains.

use crate::domain::ids::{GroupId, GroupUid, Seq, ServiceId, UserId};

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

/// A message in its group's log.
pub(super) fn message(group: GroupUid, seq: Seq) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&group.0.to_be_bytes());
    key[8..].copy_from_slice(&seq.0.to_be_bytes());
    key
}

/// The group and place in a key that [`message`] wrote.
pub(super) fn message_of(key: &[u8]) -> Option<(GroupUid, Seq)> {
    let (group, seq) = key.split_first_chunk::<8>()?;
    Some((GroupUid(u64::from_be_bytes(*group)), Seq(u64::from_be_bytes(seq.try_into().ok()?))))
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
        assert_eq!(message_of(&message(GroupUid(7), Seq(9))), Some((GroupUid(7), Seq(9))));
        assert_eq!(order_of(&order(&service, 3)), Some(3));
    }
}
