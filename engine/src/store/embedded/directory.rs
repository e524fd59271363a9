//! [`Directory`] on the embedded store.

use async_trait::async_trait;
use fjall::{Keyspace, OwnedWriteBatch};
use serde::de::DeserializeOwned;

use super::rows::{self, GroupRow, UserRow};
use super::tables::{Tables, bad_key};
use super::{EmbeddedStore, keys};
use crate::domain::ids::{GroupId, ServiceId, UserId, UserLife, UserUid};
use crate::domain::profile::{GroupRecord, ProfilePatch, UserRecord};
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
        self.write(move |tables, batch| {
            let key = keys::group(&group.service, &group.id);
            if tables.groups.contains_key(&key)? {
                return Err(StoreError::GroupExists);
            }
            let order = next_order(&tables.group_order, &group.service)?;
            batch.insert(&tables.group_order, keys::order(&group.service, order), group.id.as_str());
            count(tables, batch, "groups", &group.service, 1)?;
            batch.insert(&tables.groups, key, rows::encode(&GroupRow { record: group, order }));
            Ok(())
        })
        .await
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
        patch: ProfilePatch,
    ) -> Result<GroupRecord, StoreError> {
        let key = keys::group(service, id);
        self.write(move |tables, batch| {
            let mut row: GroupRow = get(&tables.groups, &key)?.ok_or(StoreError::NoGroup)?;
            row.record.profile = row.record.profile.patched(&patch);
            batch.insert(&tables.groups, key, rows::encode(&row));
            Ok(row.record)
        })
        .await
    }

    async fn delete_group(&self, group: &GroupRecord) -> Result<(), StoreError> {
        let group = group.clone();
        self.write(move |tables, batch| {
            let row = this_life(tables, &group)?;
            for attendee in tables.attendees.prefix(keys::of_group(group.uid)) {
                let key = attendee.key()?;
                let user = keys::attendee_of(&key).ok_or_else(bad_key)?;
                batch.remove(&tables.attendance, keys::attendance(&group.service, &user, &group.id));
                batch.remove(&tables.attendees, key);
            }
            batch.remove(&tables.groups, keys::group(&group.service, &group.id));
            batch.remove(&tables.group_order, keys::order(&group.service, row.order));
            // The history can be long; the committer removes it bit by bit.
            batch.insert(&tables.trash, keys::of_group(group.uid), []);
            count(tables, batch, "groups", &group.service, -1)
        })
        .await
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

    async fn delete_user(&self, service: &ServiceId, id: &UserId) -> Result<DeletedUser, StoreError> {
        let (service, id) = (service.clone(), id.clone());
        self.write(move |tables, batch| {
            let key = keys::user(&service, &id);
            let row: UserRow = get(&tables.users, &key)?.ok_or(StoreError::NoUser)?;
            let groups = attended(tables, &service, &row.record.life())?;
            for group in &groups {
                batch.remove(&tables.attendance, keys::attendance(&service, &id, &group.id));
                batch.remove(&tables.attendees, keys::attendee(group.uid, &id));
            }
            batch.remove(&tables.users, key);
            batch.remove(&tables.user_order, keys::order(&service, row.order));
            count(tables, batch, "users", &service, -1)?;
            Ok(DeletedUser { user: row.record, groups })
        })
        .await
    }

    async fn add_attendee(&self, group: &GroupRecord, user: &UserId) -> Result<UserRecord, StoreError> {
        let (group, user) = (group.clone(), user.clone());
        self.write(move |tables, batch| {
            this_life(tables, &group)?;
            let row: UserRow =
                get(&tables.users, &keys::user(&group.service, &user))?.ok_or(StoreError::NoUser)?;
            let life = rows::encode(&row.record.uid);
            batch.insert(&tables.attendees, keys::attendee(group.uid, &user), life.clone());
            batch.insert(&tables.attendance, keys::attendance(&group.service, &user, &group.id), life);
            Ok(row.record)
        })
        .await
    }

    async fn remove_attendee(&self, group: &GroupRecord, user: &UserLife) -> Result<(), StoreError> {
        let (group, user) = (group.clone(), user.clone());
        self.write(move |tables, batch| {
            let key = keys::attendee(group.uid, &user.id);
            // Under the same id there may be a later user, whose attendance this isn't.
            if life(tables, &key)? != Some(user.uid) {
                return Ok(());
            }
            batch.remove(&tables.attendees, key);
            // The same goes for the group.
            if this_life(tables, &group).is_ok() {
                batch.remove(&tables.attendance, keys::attendance(&group.service, &user.id, &group.id));
            }
            Ok(())
        })
        .await
    }

    async fn attending(&self, group: &GroupRecord, user: &UserId) -> Result<Option<UserLife>, StoreError> {
        let key = keys::attendee(group.uid, user);
        self.look_up(|tables| Ok(life(tables, &key)?.map(|uid| UserLife { id: user.clone(), uid })))
    }

    async fn attendees(&self, group: &GroupRecord) -> Result<Vec<UserRecord>, StoreError> {
        let group = group.clone();
        self.read(move |tables| {
            let mut users = Vec::new();
            for attendee in tables.attendees.prefix(keys::of_group(group.uid)) {
                let (key, life) = attendee.into_inner()?;
                let (user, uid) = (keys::attendee_of(&key).ok_or_else(bad_key)?, rows::decode_life(&life)?);
                let row: Option<UserRow> = get(&tables.users, &keys::user(&group.service, &user))?;
                // Between the two reads the user may have been made again.
                users.extend(row.map(|row| row.record).filter(|record| record.uid == uid));
            }
            Ok(users)
        })
        .await
    }

    async fn groups_of(&self, service: &ServiceId, user: &UserLife) -> Result<Vec<GroupRecord>, StoreError> {
        let (service, user) = (service.clone(), user.clone());
        self.read(move |tables| attended(tables, &service, &user)).await
    }
}

fn get<T: DeserializeOwned>(keyspace: &Keyspace, key: &[u8]) -> Result<Option<T>, StoreError> {
    keyspace.get(key)?.map(|row| rows::decode(&row)).transpose()
}

fn group_row(tables: &Tables, service: &ServiceId, id: &GroupId) -> Result<Option<GroupRow>, StoreError> {
    get(&tables.groups, &keys::group(service, id))
}

/// The group's row, if this life of it is the present one.
fn this_life(tables: &Tables, group: &GroupRecord) -> Result<GroupRow, StoreError> {
    group_row(tables, &group.service, &group.id)?
        .filter(|row| row.record.uid == group.uid)
        .ok_or(StoreError::NoGroup)
}

/// Which life of a user attends a group.
fn life(tables: &Tables, attendee: &[u8]) -> Result<Option<UserUid>, StoreError> {
    tables.attendees.get(attendee)?.map(|row| rows::decode_life(&row)).transpose()
}

fn attended(tables: &Tables, service: &ServiceId, user: &UserLife) -> Result<Vec<GroupRecord>, StoreError> {
    let mut groups = Vec::new();
    for row in tables.attendance.prefix(keys::of_user(service, &user.id)) {
        let (key, life) = row.into_inner()?;
        if rows::decode_life(&life)? == user.uid {
            let id = keys::attended_of(&key).ok_or_else(bad_key)?;
            groups.extend(group_row(tables, service, &id)?.map(|row| row.record));
        }
    }
    Ok(groups)
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
