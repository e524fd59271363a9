//! [`Directory`] on the embedded store.

use async_trait::async_trait;
use fjall::{Keyspace, OwnedWriteBatch};
use serde::de::DeserializeOwned;

use super::committer::Op;
use super::rows::{self, GroupRow, UserRow};
use super::tables::{Tables, bad_key};
use super::{EmbeddedStore, attendance, erasing, keys, pairs, traces};
use crate::domain::attendance::{Attendance, AttendeeRecord, Standing};
use crate::domain::ids::{GroupId, ServiceId, UserId, UserLife, UserUid};
use crate::domain::profile::{GroupPatch, GroupRecord, ProfilePatch, UserRecord};
use crate::domain::service::Service;
use crate::store::{DeletedUser, Directory, Listing, Page, StoreError};

#[async_trait]
impl Directory for EmbeddedStore {
    async fn health(&self) -> Result<(), StoreError> {
        self.tables.health()
    }

    async fn create_service(&self, service: Service) -> Result<(), StoreError> {
        self.write(move |tables, batch| {
            batch.insert(&tables.services, keys::service(&service.id), rows::encode(&service));
            Ok(())
        })
        .await
    }

    async fn service(&self, id: &ServiceId) -> Result<Option<Service>, StoreError> {
        let key = keys::service(id);
        self.look_up(|tables| get(&tables.services, &key))
    }

    async fn create_group(&self, group: GroupRecord) -> Result<(), StoreError> {
        self.write(move |tables, batch| put_new_group(tables, batch, &group, None)).await
    }

    async fn group(&self, service: &ServiceId, id: &GroupId) -> Result<Option<GroupRecord>, StoreError> {
        let key = keys::group(service, id);
        self.look_up(|tables| Ok(get::<GroupRow>(&tables.groups, &key)?.map(|row| row.record)))
    }

    async fn groups(&self, service: &ServiceId, page: Page) -> Result<Listing<GroupRecord>, StoreError> {
        let service = service.clone();
        self.read(move |tables| {
            let items = listed(&tables.group_order, &service, page)?
                .into_iter()
                .map(|id| group_row(tables, &service, &GroupId::parse(&id).map_err(bad_id)?))
                .filter_map(|row| row.map(|row| row.map(|row| row.record)).transpose())
                .collect::<Result<_, StoreError>>()?;
            Ok(Listing { total: counted(tables, "groups", &service)?, items })
        })
        .await
    }

    async fn update_group(
        &self,
        service: &ServiceId,
        id: &GroupId,
        patch: GroupPatch,
    ) -> Result<GroupRecord, StoreError> {
        let key = keys::group(service, id);
        self.write(move |tables, batch| {
            let mut row: GroupRow = get(&tables.groups, &key)?.ok_or(StoreError::NoGroup)?;
            row.record.profile = row.record.profile.patched(&patch.profile);
            forget_retention(tables, batch, &row.record);
            row.record.retention = patch.retention.apply(row.record.retention.as_ref());
            put_group(tables, batch, &row);
            Ok(row.record)
        })
        .await
    }

    async fn direct(
        &self,
        users: [UserId; 2],
        draft: GroupRecord,
        stints: [u64; 2],
    ) -> Result<(GroupRecord, bool), StoreError> {
        self.write(move |tables, batch| pairs::direct(tables, batch, &users, draft, stints)).await
    }

    async fn retained(&self) -> Result<Vec<GroupRecord>, StoreError> {
        self.read(|tables| {
            let mut groups = Vec::new();
            for row in tables.retained.iter() {
                let group: Option<GroupRow> = get(&tables.groups, &row.key()?)?;
                groups.extend(group.map(|row| row.record));
            }
            Ok(groups)
        })
        .await
    }

    async fn delete_group(&self, group: &GroupRecord) -> Result<(), StoreError> {
        let (group, uid) = (group.clone(), group.uid);
        self.write(move |tables, batch| {
            let row = this_life(tables, &group)?;
            let key = keys::group(&group.service, &group.id);
            attendance::remove_all(tables, batch, &group)?;
            pairs::forget_group(tables, batch, &row)?;
            forget_retention(tables, batch, &row.record);
            batch.remove(&tables.groups, key);
            batch.remove(&tables.group_order, keys::order(&group.service, row.order));
            // The log can be long; the committer sweeps it away bit by bit.
            batch.insert(&tables.trash, keys::of_group(group.uid), []);
            count(tables, batch, "groups", &group.service, -1)
        })
        .await?;
        // If the store stops before, it sweeps when it is opened again.
        let _ = self.ops.send(Op::Sweep(uid)).await;
        Ok(())
    }

    async fn create_user(&self, service: &ServiceId, user: UserRecord) -> Result<(), StoreError> {
        let service = service.clone();
        self.write(move |tables, batch| {
            let key = keys::user(&service, &user.id);
            if tables.users.contains_key(&key)? {
                return Err(StoreError::UserExists);
            }
            let order = next_order(&tables.user_order, &service)?;
            batch.insert(&tables.user_order, keys::order(&service, order), user.id.as_str());
            count(tables, batch, "users", &service, 1)?;
            batch.insert(&tables.users, key, rows::encode(&UserRow { record: user, order }));
            Ok(())
        })
        .await
    }

    async fn user(&self, service: &ServiceId, id: &UserId) -> Result<Option<UserRecord>, StoreError> {
        let key = keys::user(service, id);
        self.look_up(|tables| Ok(get::<UserRow>(&tables.users, &key)?.map(|row| row.record)))
    }

    async fn users(&self, service: &ServiceId, page: Page) -> Result<Listing<UserRecord>, StoreError> {
        let service = service.clone();
        self.read(move |tables| {
            let items = listed(&tables.user_order, &service, page)?
                .into_iter()
                .map(|id| {
                    get::<UserRow>(&tables.users, &keys::user(&service, &UserId::parse(&id).map_err(bad_id)?))
                })
                .filter_map(|row| row.map(|row| row.map(|row| row.record)).transpose())
                .collect::<Result<_, StoreError>>()?;
            Ok(Listing { total: counted(tables, "users", &service)?, items })
        })
        .await
    }

    async fn update_user(
        &self,
        service: &ServiceId,
        id: &UserId,
        patch: ProfilePatch,
    ) -> Result<UserRecord, StoreError> {
        let key = keys::user(service, id);
        self.write(move |tables, batch| {
            let mut row: UserRow = get(&tables.users, &key)?.ok_or(StoreError::NoUser)?;
            row.record.profile = row.record.profile.patched(&patch);
            row.record.revision += 1;
            batch.insert(&tables.users, key, rows::encode(&row));
            Ok(row.record)
        })
        .await
    }

    async fn sign_out(&self, service: &ServiceId, id: &UserId) -> Result<UserRecord, StoreError> {
        let key = keys::user(service, id);
        self.write(move |tables, batch| {
            let mut row: UserRow = get(&tables.users, &key)?.ok_or(StoreError::NoUser)?;
            row.record.sign_outs += 1;
            batch.insert(&tables.users, key, rows::encode(&row));
            Ok(row.record)
        })
        .await
    }

    async fn delete_user(&self, service: &ServiceId, id: &UserId) -> Result<DeletedUser, StoreError> {
        let (service, id) = (service.clone(), id.clone());
        self.write(move |tables, batch| {
            let key = keys::user(&service, &id);
            let row: UserRow = get(&tables.users, &key)?.ok_or(StoreError::NoUser)?;
            let life = row.record.life();
            let groups = attendance::attended(tables, &service, &life)?;
            for group in &groups {
                batch.remove(&tables.attendance, keys::attendance(&service, &id, &group.id));
                batch.remove(&tables.attendees, keys::attendee(group.uid, &id));
            }
            pairs::forget_user(tables, batch, &service, &life)?;
            let markers = forget_markers(tables, batch, &life)?;
            // In the same batch, so that a crash can't part them.
            erasing::note_deleted(tables, batch, &life, markers);
            batch.remove(&tables.users, key);
            batch.remove(&tables.user_order, keys::order(&service, row.order));
            count(tables, batch, "users", &service, -1)?;
            Ok(DeletedUser { user: row.record, groups })
        })
        .await
    }

    async fn add_attendee(
        &self,
        group: &GroupRecord,
        user: &UserId,
        stint: u64,
    ) -> Result<AttendeeRecord, StoreError> {
        let (group, user) = (group.clone(), user.clone());
        self.write(move |tables, batch| attendance::add(tables, batch, &group, &user, stint)).await
    }

    async fn set_standing(
        &self,
        group: &GroupRecord,
        user: &UserLife,
        standing: Standing,
    ) -> Result<AttendeeRecord, StoreError> {
        let (group, user) = (group.clone(), user.clone());
        self.write(move |tables, batch| attendance::set_standing(tables, batch, &group, &user, standing))
            .await
    }

    async fn remove_attendee(&self, group: &GroupRecord, user: &UserLife) -> Result<(), StoreError> {
        let (group, user) = (group.clone(), user.clone());
        self.write(move |tables, batch| attendance::remove(tables, batch, &group, &user)).await
    }

    async fn attendance(&self, group: &GroupRecord, user: &UserId) -> Result<Option<Attendance>, StoreError> {
        let row = self.look_up(|tables| attendance::of(tables, group, user))?;
        let life = |uid| UserLife { id: user.clone(), uid };
        Ok(row.map(|row| Attendance { user: life(row.uid), standing: row.standing }))
    }

    async fn attendees(&self, group: &GroupRecord) -> Result<Vec<AttendeeRecord>, StoreError> {
        let group = group.clone();
        self.read(move |tables| attendance::attendees(tables, &group)).await
    }

    async fn groups_of(&self, service: &ServiceId, user: &UserLife) -> Result<Vec<GroupRecord>, StoreError> {
        let (service, user) = (service.clone(), user.clone());
        self.read(move |tables| attendance::attended(tables, &service, &user)).await
    }
}

/// Reads a row, if there is one.
pub(super) fn get<T: DeserializeOwned>(keyspace: &Keyspace, key: &[u8]) -> Result<Option<T>, StoreError> {
    keyspace.get(key)?.map(|row| rows::decode(&row)).transpose()
}

/// A group's row.
pub(super) fn group_row(
    tables: &Tables,
    service: &ServiceId,
    id: &GroupId,
) -> Result<Option<GroupRow>, StoreError> {
    get(&tables.groups, &keys::group(service, id))
}

/// The group's row, if this life of it is the present one.
pub(super) fn this_life(tables: &Tables, group: &GroupRecord) -> Result<GroupRow, StoreError> {
    group_row(tables, &group.service, &group.id)?
        .filter(|row| row.record.uid == group.uid)
        .ok_or(StoreError::NoGroup)
}

/// Adds a group, unless its id is taken.
pub(super) fn put_new_group(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    group: &GroupRecord,
    pair: Option<[(UserId, UserUid); 2]>,
) -> Result<(), StoreError> {
    if tables.groups.contains_key(keys::group(&group.service, &group.id))? {
        return Err(StoreError::GroupExists);
    }
    let order = next_order(&tables.group_order, &group.service)?;
    batch.insert(&tables.group_order, keys::order(&group.service, order), group.id.as_str());
    count(tables, batch, "groups", &group.service, 1)?;
    put_group(tables, batch, &GroupRow { record: group.clone(), order, pair });
    Ok(())
}

/// Writes a group, and that its log isn't kept for ever, if that is so.
fn put_group(tables: &Tables, batch: &mut OwnedWriteBatch, row: &GroupRow) {
    let key = keys::group(&row.record.service, &row.record.id);
    if row.record.retention.is_some() {
        batch.insert(&tables.retained, key.as_slice(), []);
    }
    batch.insert(&tables.groups, key, rows::encode(row));
}

/// Forgets that a group's log isn't kept for ever, if that was so. What is written after it in the same batch wins.
fn forget_retention(tables: &Tables, batch: &mut OwnedWriteBatch, group: &GroupRecord) {
    if group.retention.is_some() {
        batch.remove(&tables.retained, keys::group(&group.service, &group.id));
    }
}

/// Removes the markers of a user. Answers how many.
fn forget_markers(tables: &Tables, batch: &mut OwnedWriteBatch, user: &UserLife) -> Result<u64, StoreError> {
    let prefix = traces::markers(user);
    let mut removed = 0;
    for row in tables.traces.prefix(&prefix) {
        let trace = row.key()?;
        let group = trace.strip_prefix(prefix.as_slice()).and_then(keys::group_of).ok_or_else(bad_key)?;
        batch.remove(&tables.markers, keys::marker(group, user));
        batch.remove(&tables.traces, trace);
        removed += 1;
    }
    Ok(removed)
}

/// The ids of one part of a listing.
fn listed(order: &Keyspace, service: &ServiceId, page: Page) -> Result<Vec<String>, StoreError> {
    order
        .prefix(keys::of_service(service))
        .skip(page.offset)
        .take(page.limit)
        .map(|row| {
            let id = row.value()?;
            String::from_utf8(id.to_vec()).map_err(|error| StoreError::Corrupt(error.to_string()))
        })
        .collect()
}

fn next_order(order: &Keyspace, service: &ServiceId) -> Result<u64, StoreError> {
    match order.prefix(keys::of_service(service)).next_back() {
        None => Ok(0),
        Some(row) => keys::order_of(&row.key()?).map(|order| order + 1).ok_or_else(bad_key),
    }
}

fn count_key(what: &str, service: &ServiceId) -> Vec<u8> {
    [what.as_bytes(), b"\0", service.as_str().as_bytes()].concat()
}

fn counted(tables: &Tables, what: &str, service: &ServiceId) -> Result<usize, StoreError> {
    let Some(bytes) = tables.facts.get(count_key(what, service))? else { return Ok(0) };
    let count = bytes.as_ref().try_into().map(u64::from_be_bytes);
    count.ok().and_then(|count| usize::try_from(count).ok()).ok_or_else(bad_key)
}

fn count(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    what: &str,
    service: &ServiceId,
    by: isize,
) -> Result<(), StoreError> {
    let count = counted(tables, what, service)?.saturating_add_signed(by) as u64;
    batch.insert(&tables.facts, count_key(what, service), count.to_be_bytes());
    Ok(())
}

// By value, because it stands where an error is mapped.
#[allow(clippy::needless_pass_by_value)]
fn bad_id(error: crate::domain::ids::TextError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
