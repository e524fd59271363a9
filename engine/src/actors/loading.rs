//! How a group begins: from the store, after whoever was there before has finished.

use std::sync::Arc;

use ractor::ActorProcessingErr;
use tokio::sync::OwnedMutexGuard;

use super::Shared;
use super::directory::GroupSlot;
use crate::domain::group::Group;
use crate::domain::ids::Seq;
use crate::domain::roster::{Attendee, RosterPace};
use crate::protocol::codec;
use crate::protocol::frame::ServerFrame;

/// Messages that are read at once when a group catches up after a crash.
const CATCH_UP_MESSAGES: usize = 500;

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
    let head = shared.history.head(slot.record.uid).await?;
    let present = shared.directory.group(&slot.record.service, &slot.record.id).await?;
    let deleted = present.is_none_or(|present| present.uid != slot.record.uid);
    let attendees = if deleted { Vec::new() } else { shared.directory.attendees(&slot.record).await? };
    catch_up(shared, slot, head.seq).await?;
    let limits = &shared.limits;
    let pace = RosterPace { full_max: limits.roster_full_max, interval_ms: limits.roster_interval_ms };
    let attendees = attendees.into_iter().map(Attendee::from);
    let group = Group::new(head, attendees, pace, limits.sessions_per_user_max);
    Ok(Loaded { group, deleted, turn })
}

/// Gives the listeners what was stored but not shown when the last actor crashed.
async fn catch_up(shared: &Shared, slot: &GroupSlot, head: Seq) -> Result<(), ActorProcessingErr> {
    let cursor = {
        let mut audience = slot.audience.lock();
        if audience.cursor().is_none() {
            audience.begin_at(head);
        }
        audience.cursor().unwrap_or(head)
    };
    let mut shown = cursor;
    while shown < head {
        let missed = shared.history.after(slot.record.uid, shown, head, CATCH_UP_MESSAGES).await?;
        if missed.is_empty() {
            break;
        }
        for message in &missed {
            let frame = codec::encode(ServerFrame::Message(slot.record.uid, message));
            let reached = slot.audience.lock().deliver(message.seq, &frame);
            shared.metrics.deliveries.inc_by(reached);
            shown = message.seq;
        }
    }
    Ok(())
}
