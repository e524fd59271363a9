//! Rows on disk: a version byte, then MessagePack. A row of an unknown version is corrupt, never guessed at.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::attendance::Standing;
use crate::domain::event::Actor;
use crate::domain::ids::{GroupId, GroupUid, UserId, UserLife, UserUid};
use crate::domain::profile::{GroupRecord, UserRecord};
use crate::store::StoreError;

/// The layout of every row but those of messages.
pub(super) const VERSION: u8 = 1;
/// Instead of a life, beside an empty id: the tenant's backend.
const SYSTEM: u64 = 0;
/// Instead of a life, beside an empty id: somebody who was erased.
const ERASED: u64 = 1;
/// How arrays of up to fifteen items begin in MessagePack.
const ARRAY: u8 = 0x90;

/// A group and its place in the listing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupRow {
    pub(super) record: GroupRecord,
    pub(super) order: u64,
    /// Whose own group it is, if it is the one of two users. The last field, because older rows end without it.
    #[serde(default)]
    pub(super) pair: Option<[(UserId, UserUid); 2]>,
}

/// A user and its place in the listing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserRow {
    pub(super) record: UserRecord,
    pub(super) order: u64,
}

/// The attendance of a user in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AttendanceRow {
    /// Which life of the user.
    pub(super) uid: UserUid,
    pub(super) standing: Standing,
}

/// The group of two users.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PairRow {
    pub(super) id: GroupId,
    pub(super) uid: GroupUid,
}

/// Writes any row but a message.
pub(super) fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    encode_as(VERSION, 128, row)
}

/// Writes a row of this layout, which takes about so many bytes.
pub(super) fn encode_as<T: Serialize>(version: u8, bytes: usize, row: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes);
    out.push(version);
    rmp_serde::encode::write(&mut out, row).expect("rows are plain data and writing to memory can't fail");
    out
}

/// Reads any row but a message.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    parse(body(bytes)?).map_err(StoreError::Corrupt)
}

/// Reads what follows the version.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    rmp_serde::from_slice(body).map_err(|error| error.to_string())
}

/// Reads a row of attendance. From before users had lives such rows are empty, and from before attendees had a
/// standing they are a life alone.
pub(super) fn decode_attendance(bytes: &[u8]) -> Result<AttendanceRow, StoreError> {
    let uid = match bytes {
        [] => UserUid::default(),
        [_, first, ..] if first & 0xf0 == ARRAY => return decode(bytes),
        _ => decode(bytes)?,
    };
    Ok(AttendanceRow { uid, standing: Standing::default() })
}

/// What stands beside the id of who did something.
pub(super) fn life_of(by: &Actor) -> u64 {
    match by {
        Actor::User(user) => user.uid.0,
        Actor::System => SYSTEM,
        Actor::Erased => ERASED,
    }
}

/// Who did something, from the id and what [`life_of`] said.
pub(super) fn actor(id: &str, life: u64) -> Result<Actor, String> {
    match (id, life) {
        ("", SYSTEM) => Ok(Actor::System),
        ("", ERASED) => Ok(Actor::Erased),
        _ => {
            let id = UserId::parse(id).map_err(|error| error.to_string())?;
            Ok(Actor::User(UserLife { id, uid: UserUid(life) }))
        }
    }
}

fn body(bytes: &[u8]) -> Result<&[u8], StoreError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some((version, _)) => Err(StoreError::Corrupt(format!("row version {version} is unknown"))),
        None => Err(StoreError::Corrupt("a row is empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::Noted;
    use super::super::messages::Stored;
    use super::*;
    use crate::domain::attendance::{Bar, Role};
    use crate::domain::event::Marker;
    use crate::domain::ids::{Seq, ServiceId};
    use crate::domain::profile::{Name, Profile};
    use proptest::prelude::*;

    #[test]
    fn rows_from_before_users_had_lives_are_of_the_default_one() {
        let profile = Profile::named(Name::parse("Alice").unwrap());
        let id = UserId::parse("alice").unwrap();
        // The layout of then, which is an array of arrays: user (id, profile, made, revision), order.
        let old = encode(&((&id, &profile, 17_u64, 3_u64), 5_u64));
        let row: UserRow = decode(&old).unwrap();
        let record = UserRecord { id, profile, created_ms: 17, revision: 3, uid: UserUid(0), sign_outs: 0 };
        assert_eq!((row.record, row.order), (record, 5));
    }

    #[test]
    fn rows_of_groups_from_before_retention_are_kept_for_ever() {
        let profile = Profile::named(Name::parse("Lobby").unwrap());
        let (service, id) = (ServiceId::parse("s").unwrap(), GroupId::parse("lobby").unwrap());
        let old = encode(&((&service, &id, 7_u64, &profile, 17_u64), 5_u64));
        let row: GroupRow = decode(&old).unwrap();
        let (uid, created_ms) = (GroupUid(7), 17);
        let record = GroupRecord { service, id, uid, profile, created_ms, retention: None, direct: false };
        assert_eq!((row.record, row.order, row.pair), (record, 5, None));
    }

    #[test]
    fn attendance_is_read_in_each_of_its_layouts() {
        let of = |uid| AttendanceRow { uid: UserUid(uid), standing: Standing::default() };
        assert_eq!(decode_attendance(&[]), Ok(of(0)));
        for uid in [0, 1, 0x90, 0x9f, u64::MAX] {
            assert_eq!(decode_attendance(&encode(&UserUid(uid))), Ok(of(uid)));
            assert_eq!(decode_attendance(&encode(&of(uid))), Ok(of(uid)));
        }
        let (role, muted) = (Role::Moderator, Some(Bar { until_ms: Some(7) }));
        let standing = Standing { stint: 9, role, muted, banned: Some(Bar { until_ms: None }) };
        let row = AttendanceRow { uid: UserUid(3), standing };
        assert_eq!(decode_attendance(&encode(&row)), Ok(row));
    }

    proptest! {
        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let versioned = |version: u8| [&[version][..], &bytes].concat();
            for bytes in [&bytes, &versioned(VERSION), &versioned(2)] {
                let _ = Stored::decode(Seq(1), bytes);
                let _ = Noted::decode(Seq(1), bytes);
                let _ = decode::<GroupRow>(bytes);
                let _ = decode::<UserRow>(bytes);
                let _ = decode::<PairRow>(bytes);
                let _ = decode::<Marker>(bytes);
                let _ = decode_attendance(bytes);
            }
        }
    }
}
