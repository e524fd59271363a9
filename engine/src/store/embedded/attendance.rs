//! Who attends what, and how it stands: kept twice, by group and by user, and always the same in both.

use fjall::{OwnedWriteBatch, UserKey};

use super::directory::{get, group_row, this_life};
use super::keys;
use super::rows::{self, AttendanceRow, UserRow};
use super::tables::{Tables, bad_key};
use crate::domain::attendance::{AttendeeRecord, Standing};
use crate::domain::ids::{ServiceId, UserId, UserLife};
use crate::domain::profile::{GroupRecord, UserRecord};
use crate::store::StoreError;

/// Lets the present life of a user attend a group as a member, unless it does already.
pub(super) fn add(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: &GroupRecord,
    user: &UserId,
    stint: u64,
) -> Result<AttendeeRecord, StoreError> {
    this_life(tables, group)?;
    let user = present(tables, group, user)?;
    // What an older life of the user left there is none of this one.
    let row = of(tables, group, &user.id)?.filter(|row| row.uid == user.uid);
    let standing = row.map_or_else(|| Standing::member(stint), |row| row.standing);
    if row.is_none() {
        put(tables, batch, group, &user.life(), standing);
    }
    Ok(AttendeeRecord { user, standing })
}

/// Changes how a life of a user stands in a group.
pub(super) fn set_standing(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: &GroupRecord,
    user: &UserLife,
    standing: Standing,
) -> Result<AttendeeRecord, StoreError> {
    this_life(tables, group)?;
    let attends = of(tables, group, &user.id)?.is_some_and(|row| row.uid == user.uid);
    let record = attends.then(|| present(tables, group, &user.id)).transpose()?;
    let record = record.filter(|record| record.uid == user.uid).ok_or(StoreError::NotAttending)?;
    put(tables, batch, group, user, standing);
    Ok(AttendeeRecord { user: record, standing })
}

/// Ends the attendance of a life of a user.
pub(super) fn remove(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: &GroupRecord,
    user: &UserLife,
) -> Result<(), StoreError> {
    // Under the same id there may be a later user, whose attendance this isn't.
    if of(tables, group, &user.id)?.is_none_or(|row| row.uid != user.uid) {
        return Ok(());
    }
    batch.remove(&tables.attendees, keys::attendee(group.uid, &user.id));
    // The same goes for the group.
    if this_life(tables, group).is_ok() {
        batch.remove(&tables.attendance, keys::attendance(&group.service, &user.id, &group.id));
    }
    Ok(())
}

/// Ends everyone's attendance of a group.
pub(super) fn remove_all(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: &GroupRecord,
) -> Result<(), StoreError> {
    for attendee in tables.attendees.prefix(keys::of_group(group.uid)) {
        let key = attendee.key()?;
        let user = keys::attendee_of(&key).ok_or_else(bad_key)?;
        batch.remove(&tables.attendance, keys::attendance(&group.service, &user, &group.id));
        batch.remove(&tables.attendees, key);
    }
    Ok(())
}

/// Which life of a user attends a group, and how it stands.
pub(super) fn of(
    tables: &Tables,
    group: &GroupRecord,
    user: &UserId,
) -> Result<Option<AttendanceRow>, StoreError> {
    let row = tables.attendees.get(keys::attendee(group.uid, user))?;
    row.map(|row| rows::decode_attendance(&row)).transpose()
}

/// Who attends a group, by user id.
pub(super) fn attendees(tables: &Tables, group: &GroupRecord) -> Result<Vec<AttendeeRecord>, StoreError> {
    let mut attendees = Vec::new();
    for attendee in tables.attendees.prefix(keys::of_group(group.uid)) {
        let (key, row) = attendee.into_inner()?;
        let (id, row) = (user_of(&key)?, rows::decode_attendance(&row)?);
        let user: Option<UserRow> = get(&tables.users, &keys::user(&group.service, &id))?;
        // Between the two reads the user may have been made again.
        let user = user.map(|user| user.record).filter(|user| user.uid == row.uid);
        attendees.extend(user.map(|user| AttendeeRecord { user, standing: row.standing }));
    }
    Ok(attendees)
}

/// Which groups a life of a user attends, by group id.
pub(super) fn attended(
    tables: &Tables,
    service: &ServiceId,
    user: &UserLife,
) -> Result<Vec<GroupRecord>, StoreError> {
    let mut groups = Vec::new();
    for row in tables.attendance.prefix(keys::of_user(service, &user.id)) {
        let (key, row) = row.into_inner()?;
        if rows::decode_attendance(&row)?.uid == user.uid {
            let id = keys::attended_of(&key).ok_or_else(bad_key)?;
            groups.extend(group_row(tables, service, &id)?.map(|row| row.record));
        }
    }
    Ok(groups)
}

/// Writes how a life of a user stands in a group.
pub(super) fn put(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: &GroupRecord,
    user: &UserLife,
    standing: Standing,
) {
    let row = rows::encode(&AttendanceRow { uid: user.uid, standing });
    batch.insert(&tables.attendees, keys::attendee(group.uid, &user.id), row.clone());
    batch.insert(&tables.attendance, keys::attendance(&group.service, &user.id, &group.id), row);
}

/// The present life of a user.
pub(super) fn present(tables: &Tables, group: &GroupRecord, id: &UserId) -> Result<UserRecord, StoreError> {
    let row: Option<UserRow> = get(&tables.users, &keys::user(&group.service, id))?;
    row.map(|row| row.record).ok_or(StoreError::NoUser)
}

fn user_of(key: &UserKey) -> Result<UserId, StoreError> {
    keys::attendee_of(key).ok_or_else(bad_key)
}
