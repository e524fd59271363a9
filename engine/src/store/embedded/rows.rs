//! Rows on disk: a version byte, then MessagePack. A row of an unknown version is corrupt, never guessed at.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{Seq, UserId, UserUid};
use crate::domain::message::Message;
use crate::domain::profile::{GroupRecord, UserRecord};
use crate::store::StoreError;

const VERSION: u8 = 1;

/// A group and its place in the listing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupRow {
    pub(super) record: GroupRecord,
    pub(super) order: u64,
}

/// A user and its place in the listing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserRow {
    pub(super) record: UserRecord,
    pub(super) order: u64,
}

/// A message without its place, which is its key.
#[derive(Debug, Serialize, Deserialize)]
struct MessageRow<'a> {
    time_ms: u64,
    author: &'a str,
    text: &'a str,
}

/// Writes any row.
pub(super) fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.push(VERSION);
    rmp_serde::encode::write(&mut out, row).expect("rows are plain data and writing to memory can't fail");
    out
}

/// Reads any row.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(body(bytes)?).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Reads the life in a row of attendance. From before users had lives such rows are empty.
pub(super) fn decode_life(bytes: &[u8]) -> Result<UserUid, StoreError> {
    if bytes.is_empty() { Ok(UserUid::default()) } else { decode(bytes) }
}

/// Writes a message.
pub(super) fn encode_message(message: &Message) -> Vec<u8> {
    encode(&MessageRow { time_ms: message.time_ms, author: message.author.as_str(), text: &message.text })
}

/// Reads a message.
pub(super) fn decode_message(seq: Seq, bytes: &[u8]) -> Result<Message, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt(format!("message {}: {reason}", seq.0));
    let row: MessageRow<'_> =
        rmp_serde::from_slice(body(bytes)?).map_err(|error| corrupt(error.to_string()))?;
    let author = UserId::parse(row.author).map_err(|error| corrupt(error.to_string()))?;
    Ok(Message { seq, time_ms: row.time_ms, author, text: row.text.into() })
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
    use super::*;
    use crate::domain::profile::{Name, Profile};
    use proptest::prelude::*;

    #[test]
    fn rows_from_before_users_had_lives_are_of_the_default_one() {
        let profile = Profile::named(Name::parse("Alice").unwrap());
        let id = UserId::parse("alice").unwrap();
        // The layout of then, which is an array of arrays: user (id, profile, made, revision), order.
        let old = encode(&((&id, &profile, 17_u64, 3_u64), 5_u64));
        let row: UserRow = decode(&old).unwrap();
        let record = UserRecord { id, profile, created_ms: 17, revision: 3, uid: UserUid(0) };
        assert_eq!((row.record, row.order), (record, 5));
        assert_eq!(decode_life(&[]), Ok(UserUid(0)));
        assert_eq!(decode_life(&encode(&UserUid(u64::MAX))), Ok(UserUid(u64::MAX)));
    }

    proptest! {
        #[test]
        fn a_message_comes_back_from_its_row(time_ms: u64, author in "[^\\x00-\\x1f\\x7f-\\x9f]{1,20}", text in any::<String>()) {
            let message = Message { seq: Seq(7), time_ms, author: UserId::parse(&author).unwrap(), text: text.into() };
            prop_assert_eq!(decode_message(Seq(7), &encode_message(&message)), Ok(message));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let versioned = [&[VERSION][..], &bytes].concat();
            for bytes in [&bytes, &versioned] {
                let _ = decode_message(Seq(1), bytes);
                let _ = decode::<GroupRow>(bytes);
                let _ = decode::<UserRow>(bytes);
                let _ = decode_life(bytes);
            }
        }
    }
}
