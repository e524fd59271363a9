//! The one group that two users have for themselves.

use fjall::OwnedWriteBatch;

use super::directory::{get, group_row, put_new_group};
use super::rows::{self, GroupRow, PairRow};
use super::tables::Tables;
use super::{attendance, keys};
use crate::domain::attendance::Standing;
use crate::domain::ids::{ServiceId, UserId, UserLife};
use crate::domain::profile::GroupRecord;
use crate::store::StoreError;

/// The group of two users that is there, or this one, made with both attending it.
pub(super) fn direct(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    users: &[UserId; 2],
    draft: GroupRecord,
    stints: [u64; 2],
) -> Result<(GroupRecord, bool), StoreError> {
    let one = attendance::present(tables, &draft, &users[0])?.life();
    let other = attendance::present(tables, &draft, &users[1])?.life();
    let key = keys::pair(&draft.service, &one, &other);
    if let Some(pair) = get::<PairRow>(&tables.pairs, &key)? {
        let group = group_row(tables, &draft.service, &pair.id)?.map(|row| row.record);
        if let Some(group) = group.filter(|group| group.uid == pair.uid) {
            return Ok((group, false));
        }
    }
    let group = GroupRecord { direct: true, ..draft };
    let pair = [&one, &other].map(|user| (user.id.clone(), user.uid));
    put_new_group(tables, batch, &group, Some(pair))?;
    let row = rows::encode(&PairRow { id: group.id.clone(), uid: group.uid });
    batch.insert(&tables.pairs, keys::pair(&group.service, &other, &one), row.clone());
    batch.insert(&tables.pairs, key, row);
    for (user, stint) in [one, other].iter().zip(stints) {
        attendance::put(tables, batch, &group, user, Standing::member(stint));
    }
    Ok((group, true))
}

/// Forgets whose own group a group is.
pub(super) fn forget_group(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    row: &GroupRow,
) -> Result<(), StoreError> {
    let Some(pair) = row.pair.clone() else { return Ok(()) };
    let [one, other] = pair.map(|(id, uid)| UserLife { id, uid });
    for key in [(&one, &other), (&other, &one)].map(|(a, b)| keys::pair(&row.record.service, a, b)) {
        let found: Option<PairRow> = get(&tables.pairs, &key)?;
        if found.is_some_and(|pair| pair.uid == row.record.uid) {
            batch.remove(&tables.pairs, key);
        }
    }
    Ok(())
}

/// Forgets which groups of two a user has. The groups stay.
pub(super) fn forget_user(
    tables: &Tables,
    batch: &mut OwnedWriteBatch,
    service: &ServiceId,
    user: &UserLife,
) -> Result<(), StoreError> {
    for row in tables.pairs.prefix(keys::pairs_of(service, user)) {
        let key = row.key()?;
        if let Some(turned) = keys::pair_turned(service, user, &key) {
            batch.remove(&tables.pairs, turned);
        }
        batch.remove(&tables.pairs, key);
    }
    Ok(())
}
