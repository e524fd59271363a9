//! How a group begins: from the store, after whoever was there before has finished.

use std::sync::Arc;

use ractor::ActorProcessingErr;
use tokio::sync::OwnedMutexGuard;

use super::Shared;
use super::directory::GroupSlot;
use crate::domain::group::Group;
use crate::domain::ids::Seq;
use crate::domain::roster::Attendee;
use crate::store::{Replay, ReplayBounds};

/// Events that are read at once when a group catches up after a crash.
const CATCH_UP_EVENTS: u64 = 500;

/// A group as the store has it.
pub(super) struct Loaded {
    pub(super) group: Group,
    /// The group is no more; who still asks for it is told so.
    pub(super) deleted: bool,
    /// The right to be the group's writer.
    pub(super) turn: OwnedMutexGuard<()>,
}

pub(super) async fn load(shared: &Shared, slot: &GroupSlot) -> Result<Loaded, ActorProcessingErr> {
    let turn = Arc::clone(&slot.turn).lock_owned().await;
    let uid = slot.record.uid;
    let head = shared.history.head(uid).await?;
    let present = shared.directory.group(&slot.record.service, &slot.record.id).await?;
    let deleted = present.is_none_or(|present| present.uid != uid);
    let attendees = if deleted { Vec::new() } else { shared.directory.attendees(&slot.record).await? };
    let markers = if deleted { Vec::new() } else { shared.history.markers(uid).await? };
    catch_up(shared, slot, head.seq).await?;
    slot.set_stored(head.seq);
    let attendees = attendees.into_iter().map(Attendee::from);
    let group = Group::new(head, attendees, markers, shared.limits.group_rules(), shared.clock.now());
    slot.set_large(group.roster().is_large());
    Ok(Loaded { group, deleted, turn })
}

/// Gives the listeners what was stored but not shown when the last actor crashed.
async fn catch_up(shared: &Shared, slot: &GroupSlot, head: Seq) -> Result<(), ActorProcessingErr> {
    let mut shown = {
        let mut audience = slot.audience.lock();
        if audience.cursor().is_none() {
            audience.begin_at(head);
        }
        audience.cursor().unwrap_or(head)
    };
    let bounds = ReplayBounds { events_max: usize::MAX, bytes_max: usize::MAX };
    while shown < head {
        let upto = head.min(Seq(shown.0 + CATCH_UP_EVENTS));
        let Replay::Whole(missed) = shared.history.replay(slot.record.uid, shown, upto, bounds).await? else {
            return Err("what the listeners haven't been shown is no longer kept".into());
        };
        for event in &missed {
            slot.show(event, false, &shared.metrics);
        }
        shown = upto;
    }
    Ok(())
}
