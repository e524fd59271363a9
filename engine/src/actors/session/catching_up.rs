//! Resume: what a client missed, and then what is live, without a hole and nothing twice.

use bytes::Bytes;

use super::Session;
use super::places::{Place, epoch};
use crate::error::EngineError;
use crate::protocol::codec;
use crate::protocol::frame::{NotResumed, Refusal, ResumePoint, ServerFrame};
use crate::socket::outbound::Alone;
use crate::store::{Replay, ReplayBounds};

impl Session {
    /// Replays what the client missed before its live events, which wait.
    pub(super) async fn resume(
        &mut self,
        r: Option<u32>,
        index: usize,
        point: &ResumePoint,
    ) -> Result<(), Refusal> {
        let waited = self.chores.as_mut().is_some_and(|chores| chores.hear_first_word());
        if !waited {
            // Who asks for replays must read them. What has waited for the first word waits for this one, though, and can't be read before it.
            if !self.outbound.room().await {
                return Ok(());
            }
            // From here on nothing passes; what has passed is seen by the cursor.
            self.outbound.hold(Alone::Holed);
            let place = &self.places[index];
            let cursor = place.slot.audience.lock().cursor().unwrap_or_default();
            // Of another log it makes no difference when it is asked.
            let has_gone_on = cursor != place.joined_at || place.resumed;
            let is_late = has_gone_on && point.epoch == epoch(place.slot.record.uid);
            if is_late {
                let late = ServerFrame::NotResumed(place.slot.scope(), NotResumed::Late);
                self.outbound.release(codec::encode(self.dialect, r, late));
                return Ok(());
            }
        }
        let replayed = self.replayed(r, &self.places[index], point).await;
        self.places[index].resumed = true;
        // Whatever came of it, the client hears what is live.
        self.outbound.release(replayed.as_ref().ok().cloned().unwrap_or_default());
        replayed.map(|_| ())
    }

    /// The answer to a resume, with the events that follow it.
    pub(super) async fn replayed(
        &self,
        r: Option<u32>,
        place: &Place,
        point: &ResumePoint,
    ) -> Result<Vec<Bytes>, Refusal> {
        let (uid, scope, upto) = (place.slot.record.uid, place.slot.scope(), place.joined_at);
        let not_resumed = |why| codec::encode(self.dialect, r, ServerFrame::NotResumed(scope, why));
        if point.epoch != epoch(uid) {
            return Ok(not_resumed(NotResumed::Epoch).into_iter().collect());
        }
        if point.seq > upto {
            return Ok(not_resumed(NotResumed::Ahead).into_iter().collect());
        }
        let limits = &self.shared.limits;
        let bounds =
            ReplayBounds { events_max: limits.replay_events_max, bytes_max: limits.replay_bytes_max };
        let replay = self.shared.history.replay(uid, point.seq, upto, bounds).await.map_err(|error| {
            tracing::error!(%error, "what a client missed can't be read");
            EngineError::Store(error).refusal()
        })?;
        let Replay::Whole(events) = replay else {
            return Ok(not_resumed(NotResumed::TooFar).into_iter().collect());
        };
        let resumed = codec::encode(self.dialect, r, ServerFrame::Resumed(scope, events.len()));
        let frames = events
            .iter()
            .filter_map(|event| codec::encode(self.dialect, None, ServerFrame::Event(scope, event)));
        Ok(resumed.into_iter().chain(frames).collect())
    }
}
