//! What a user has left in the logs of groups, by user: so that a message is found by its client id, and a person
//! that is to be erased, without walking a log. A plain message leaves exactly one trace.
//!
//! A key is the user, a tag, the group, and what the tag says follows. The user is the uid of its life alone, which
//! is nobody else's.

use fjall::Slice;

use super::keys;
use crate::domain::event::Head;
use crate::domain::ids::{ClientId, GroupUid, Seq, UserLife, UserUid};

/// The newest message with this client id; its place and time are the value. It stays for a while when the message goes.
const CLIENT_ID: u8 = 1;
/// A message, by its place.
const MESSAGE: u8 = 2;
/// An event that is no message, done by or to the user, by its place.
const EVENT: u8 = 3;
/// A reaction that is set, by the place of its message and its key.
const REACTION: u8 = 4;
/// A marker.
const MARKER: u8 = 5;

/// What a trace leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace<'a> {
    /// A message, which has a trace of its own, too.
    ClientId,
    /// The message with this key.
    Message(&'a [u8; 16]),
    /// The event with this key.
    Event(&'a [u8; 16]),
    /// A reaction to the message with this key.
    Reaction(&'a [u8; 16], &'a [u8]),
    /// The user's marker in this group.
    Marker(GroupUid),
}

/// Where the newest message with this client id is told.
pub(super) fn client_id(user: &UserLife, group: GroupUid, client_id: &ClientId) -> Vec<u8> {
    joined(user, CLIENT_ID, &[&keys::of_group(group), client_id.as_str().as_bytes()])
}

/// The value of the trace of a client id.
pub(super) fn said(head: Head) -> [u8; 16] {
    let mut value = [0; 16];
    value[..8].copy_from_slice(&head.seq.0.to_be_bytes());
    value[8..].copy_from_slice(&head.time_ms.to_be_bytes());
    value
}

/// The place, and the time unless it was written by a version that left it to the message, in the value of the trace of a client id.
pub(super) fn said_in(value: &[u8]) -> Option<(Seq, Option<u64>)> {
    let (seq, time_ms) = value.split_first_chunk::<8>()?;
    let time_ms = (!time_ms.is_empty()).then(|| time_ms.try_into()).transpose().ok()?;
    Some((Seq(u64::from_be_bytes(*seq)), time_ms.map(u64::from_be_bytes)))
}

/// Of a message. Made for every one, so without a detour through a vector.
pub(super) fn message(user: &UserLife, group: GroupUid, seq: Seq) -> Slice {
    if user.uid == UserUid::default() {
        return joined(user, MESSAGE, &[&keys::place(group, seq)]).into();
    }
    let mut key = [0; 25];
    key[..8].copy_from_slice(&user.uid.0.to_be_bytes());
    key[8] = MESSAGE;
    key[9..].copy_from_slice(&keys::place(group, seq));
    key.into()
}

/// The beginning of the traces of all messages of a user in a group. The rest is the place, which ends the key.
pub(super) fn messages(user: &UserLife, group: GroupUid) -> Vec<u8> {
    joined(user, MESSAGE, &[&keys::of_group(group)])
}

/// Of an event that is no message.
pub(super) fn event(user: &UserLife, group: GroupUid, seq: Seq) -> Vec<u8> {
    joined(user, EVENT, &[&keys::place(group, seq)])
}

/// Of a marker.
pub(super) fn marker(user: &UserLife, group: GroupUid) -> Vec<u8> {
    joined(user, MARKER, &[&keys::of_group(group)])
}

/// The beginning of the traces of all that a user has set on a message. The rest is the reaction.
pub(super) fn reactions(user: &UserLife, group: GroupUid, of: Seq) -> Vec<u8> {
    joined(user, REACTION, &[&keys::place(group, of)])
}

/// Of a reaction, from the key of its row.
pub(super) fn of_reaction(row: &[u8]) -> Option<Vec<u8>> {
    let (place, user, reaction) = keys::reaction_of(row)?;
    Some([user, &[REACTION], place, reaction].concat())
}

/// The beginning of all traces of a user.
pub(super) fn of_user(user: &UserLife) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    keys::push_user(&mut key, user);
    key
}

/// The beginning of the traces of all markers of a user. The rest is the group.
pub(super) fn markers(user: &UserLife) -> Vec<u8> {
    joined(user, MARKER, &[])
}

/// What a trace leads to, from what follows the user in its key.
pub(super) fn read(rest: &[u8]) -> Option<Trace<'_>> {
    let (tag, rest) = rest.split_first()?;
    let place = rest.split_first_chunk::<16>();
    match *tag {
        CLIENT_ID => Some(Trace::ClientId),
        MESSAGE => Some(Trace::Message(place?.0)),
        EVENT => Some(Trace::Event(place?.0)),
        REACTION => place.map(|(of, reaction)| Trace::Reaction(of, reaction)),
        MARKER => keys::group_of(rest).map(Trace::Marker),
        _ => None,
    }
}

fn joined(user: &UserLife, tag: u8, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = of_user(user);
    key.push(tag);
    for part in rest {
        key.extend_from_slice(part);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ReactionKey, UserId};

    #[test]
    fn traces_tell_what_they_lead_to() {
        let (group, seq) = (GroupUid(7), Seq(9));
        let place = keys::place(group, seq);
        let wave = ReactionKey::parse("👋").unwrap();
        for uid in [0, 1] {
            let user = UserLife { id: UserId::parse("alice").unwrap(), uid: UserUid(uid) };
            let rest = |key: &[u8]| key.strip_prefix(of_user(&user).as_slice()).unwrap().to_vec();
            assert_eq!(read(&rest(&message(&user, group, seq))), Some(Trace::Message(&place)));
            assert_eq!(read(&rest(&event(&user, group, seq))), Some(Trace::Event(&place)));
            assert_eq!(read(&rest(&marker(&user, group))), Some(Trace::Marker(group)));
            let key = client_id(&user, group, &ClientId::parse("c").unwrap());
            assert_eq!(read(&rest(&key)), Some(Trace::ClientId));
            let set = [reactions(&user, group, seq).as_slice(), wave.as_str().as_bytes()].concat();
            assert_eq!(read(&rest(&set)), Some(Trace::Reaction(&place, wave.as_str().as_bytes())));
            assert_eq!(of_reaction(&keys::reaction(group, seq, &user, &wave)), Some(set));
        }
    }

    #[test]
    fn the_trace_of_a_client_id_tells_place_and_time() {
        let head = Head { seq: Seq(9), time_ms: 1_234 };
        assert_eq!(said_in(&said(head)), Some((Seq(9), Some(1_234))));
        assert_eq!(said_in(&9_u64.to_be_bytes()), Some((Seq(9), None)), "as it was written before");
        assert_eq!(said_in(&[0; 9]), None);
    }

    #[test]
    fn users_without_a_life_of_their_own_are_told_apart() {
        let user = |id| UserLife { id: UserId::parse(id).unwrap(), uid: UserUid(0) };
        assert!(!of_user(&user("ab")).starts_with(&of_user(&user("a"))));
    }
}
