//! Brings a directory of the old format up to the present one, once, before anything else is done with it. Nothing
//! is lost when that is interrupted: it begins again.
//!
//! The old format had users without lives, and messages that told only their author's id. Whoever is there now gets
//! a life, and with it those of the messages under its id that were said since it was made. So it can change them,
//! and an erasure finds them. Messages of those who are no more stay of no known life, and nobody's who comes later.

use std::collections::HashMap;

use fjall::OwnedWriteBatch;
use xxhash_rust::xxh3::xxh3_64;

use super::directory::{get, group_row};
use super::messages::Stored;
use super::rows::{self, AttendanceRow, GroupRow, UserRow};
use super::tables::{Tables, bad_key};
use super::{keys, traces};
use crate::domain::event::Actor;
use crate::domain::ids::{GroupUid, ServiceId, UserId, UserUid};
use crate::domain::profile::UserRecord;
use crate::store::StoreError;

/// Rows that are written at once.
const BATCH_ROWS: usize = 4_096;

/// Upgrades a directory if it is old.
pub(super) fn run(tables: &Tables) -> Result<(), StoreError> {
    if !tables.is_old {
        return Ok(());
    }
    tracing::info!("the data directory has an older format and is upgraded, which is done once");
    give_lives(tables)?;
    attribute_messages(tables)?;
    tables.set_format()?;
    tracing::info!("the data directory is upgraded");
    Ok(())
}

/// Gives a life to every user that has none.
fn give_lives(tables: &Tables) -> Result<(), StoreError> {
    for row in tables.users.iter() {
        let (key, row) = row.into_inner()?;
        let mut row: UserRow = rows::decode(&row)?;
        if row.record.uid != UserUid::default() {
            continue;
        }
        let service = keys::service_of(&key).ok_or_else(bad_key)?;
        row.record.uid = life_of(&service, &row.record);
        let mut batch = tables.batch();
        attend(tables, &mut batch, &service, &row.record)?;
        batch.insert(&tables.users, key, rows::encode(&row));
        batch.commit()?;
    }
    Ok(())
}

/// Lets a user attend in its new life what it attended without one.
fn attend(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    service: &ServiceId,
    user: &UserRecord,
) -> Result<(), StoreError> {
    for row in tables.attendance.prefix(keys::of_user(service, &user.id)) {
        let (key, row) = row.into_inner()?;
        let AttendanceRow { uid, standing } = rows::decode_attendance(&row)?;
        let group = keys::attended_of(&key).ok_or_else(bad_key)?;
        if uid == UserUid::default()
            && let Some(group) = group_row(tables, service, &group)?
        {
            let row = rows::encode(&AttendanceRow { uid: user.uid, standing });
            batch.insert(&tables.attendees, keys::attendee(group.record.uid, &user.id), row.clone());
            batch.insert(&tables.attendance, key, row);
        }
    }
    Ok(())
}

/// A life that is the same however often it is asked for, and nobody else's.
fn life_of(service: &ServiceId, user: &UserRecord) -> UserUid {
    let mut bytes = keys::user(service, &user.id);
    bytes.extend_from_slice(&user.created_ms.to_be_bytes());
    UserUid(xxh3_64(&bytes).max(1))
}

/// Tells of each message which life its author had, as far as that is known.
fn attribute_messages(tables: &Tables) -> Result<(), StoreError> {
    let services = services(tables)?;
    let mut authors = Authors { tables, services, known: HashMap::new() };
    let mut batch = tables.batch();
    for row in tables.messages.iter() {
        let (key, row) = row.into_inner()?;
        if !Stored::is_old(&row) {
            continue;
        }
        let (group, seq) = keys::place_of(&key).ok_or_else(bad_key)?;
        let mut message = Stored::decode(seq, &row)?;
        let Some(life) = authors.life(group, &message)? else { continue };
        if let Actor::User(author) = &mut message.author {
            author.uid = life;
            batch.insert(&tables.traces, traces::message(author, group, seq), []);
        }
        batch.insert(&tables.messages, key, message.encode());
        if batch.len() >= BATCH_ROWS {
            std::mem::replace(&mut batch, tables.batch()).commit()?;
        }
    }
    Ok(batch.commit()?)
}

/// Which service each group is of.
fn services(tables: &Tables) -> Result<HashMap<GroupUid, ServiceId>, StoreError> {
    let service = |row: fjall::Guard| {
        let row: GroupRow = rows::decode(&row.value()?)?;
        Ok((row.record.uid, row.record.service))
    };
    tables.groups.iter().map(service).collect()
}

/// Who the authors of messages are now.
struct Authors<'a> {
    tables: &'a Tables,
    services: HashMap<GroupUid, ServiceId>,
    /// Each user's life and since when it is, or nothing when there is no such user.
    known: HashMap<(ServiceId, UserId), Option<(UserUid, u64)>>,
}

impl Authors<'_> {
    /// The life in which the author said this, if it is the present one.
    fn life(&mut self, group: GroupUid, message: &Stored) -> Result<Option<UserUid>, StoreError> {
        let (Some(service), Some(author)) = (self.services.get(&group), message.author.user()) else {
            return Ok(None);
        };
        let key = (service.clone(), author.id.clone());
        let known = match self.known.get(&key) {
            Some(known) => *known,
            None => {
                let row: Option<UserRow> = get(&self.tables.users, &keys::user(service, &author.id))?;
                let known = row.map(|row| (row.record.uid, row.record.created_ms));
                self.known.insert(key, known);
                known
            }
        };
        Ok(known.filter(|(_, since)| *since <= message.time_ms).map(|(life, _)| life))
    }
}
