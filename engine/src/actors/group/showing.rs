//! What the rules decided is shown: rosters, admissions, goodbyes, signals.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ractor::ActorProcessingErr;
use tokio::sync::oneshot;

use super::super::audience::Seat;
use super::super::delivery::Order;
use super::super::frames::Frames;
use super::super::receipt::Receipt;
use super::super::told::{Admission, JoinDenied};
use super::{GroupState, Rosters};
use crate::domain::group::{Denied, Departure, Effect};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::profile::Custom;
use crate::domain::roster::Telling;
use crate::protocol::code::CloseCode;
use crate::protocol::codec;
use crate::protocol::frame::{Dialect, RosterFrame, ServerFrame};
use crate::socket::outbound::Worth;

/// Attendees that are encoded for newcomers of a large group between two tellings: so many get a roster of their own, in which they are.
const FRESH_ATTENDEES_MAX: usize = 2_000;

impl GroupState {
    pub(super) fn carry_out_all(&mut self, effects: Vec<Effect>) -> Result<(), ActorProcessingErr> {
        effects.into_iter().try_for_each(|effect| self.carry_out(effect))
    }

    pub(super) fn carry_out(&mut self, effect: Effect) -> Result<(), ActorProcessingErr> {
        match effect {
            Effect::Append(_) | Effect::Duplicate(_) | Effect::Unchanged | Effect::Admit(_) => {
                unreachable!("{effect:?} came of nothing that was asked")
            }
            Effect::Tell(telling) => self.tell(&telling),
            Effect::Close(sessions, departure) => self.close(&sessions, departure),
            Effect::Mark(marked) => {
                let live = self.live();
                let receipts = std::mem::take(&mut live.marking);
                live.delivery.order(Order::Marks(marked, receipts))?;
            }
            Effect::Typing(user, on) => {
                let frames = Frames::new(ServerFrame::Typing(self.slot.scope(), &user, on));
                let audience = self.slot.audience.lock();
                audience.signal(&frames, Worth::Fleeting, |seat| seat.user.id != user);
            }
            Effect::TypingCount(count) => {
                let frames = Frames::new(ServerFrame::TypingCount(self.slot.scope(), count));
                self.slot.audience.lock().signal(&frames, Worth::Fleeting, |_| true);
            }
        }
        Ok(())
    }

    pub(super) fn admit(
        &mut self,
        seat: Seat,
        reply: oneshot::Sender<Result<Admission, JoinDenied>>,
    ) -> Result<(), ActorProcessingErr> {
        let session = seat.session;
        let now = self.shared.clock.now();
        let roster = self.roster_for_newcomer(seat.dialect);
        let standing = self.live().group.roster().standing(&seat.user).copied().unwrap_or_default();
        let muted_until_ms = standing.muted.filter(|bar| bar.holds(now.unix_ms)).and_then(|bar| bar.until_ms);
        let cursor = self.slot.audience.lock().seat(seat);
        let role = standing.word(now.unix_ms);
        if reply.send(Ok(Admission { cursor, roster, role, muted_until_ms })).is_err() {
            // The session ended while it waited, and may have left before it was seated.
            self.leave(session, false)?;
        }
        Ok(())
    }

    /// The roster for one who comes in. In a large group, of many who come between two tellings all but the first few are handed the same one:
    /// what has changed since is told with the next telling, their own coming, too. So a storm of joins costs each the same, however many attend.
    fn roster_for_newcomer(&mut self, dialect: Dialect) -> Bytes {
        let roster = self.live().group.roster();
        if !roster.is_large() {
            return self.encode_roster(dialect, None);
        }
        let version = roster.version();
        let rosters = &mut self.live().rosters;
        if rosters.version != version {
            *rosters = Rosters { version, ..Rosters::default() };
        }
        if rosters.attendees >= FRESH_ATTENDEES_MAX
            && let Some(roster) = &rosters.encoded[dialect as usize]
        {
            return roster.clone();
        }
        let roster = self.encode_roster(dialect, None);
        let live = self.live();
        live.rosters.attendees += live.group.roster().attendees();
        live.rosters.encoded[dialect as usize] = Some(roster.clone());
        roster
    }

    fn tell(&mut self, telling: &Telling) {
        let unix_ms = self.shared.clock.now().unix_ms;
        self.slot.set_large(!telling.whole);
        let slot = Arc::clone(&self.slot);
        let markers = if telling.whole { self.live().group.markers(slot.stored()) } else { HashMap::new() };
        let frame = RosterFrame {
            scope: slot.scope(),
            version: telling.version,
            online: telling.online,
            whole: telling.whole,
            view: &telling.view,
            count_only: telling.count_only,
            markers: &markers,
            unix_ms,
        };
        let frames = Frames::new(if telling.whole {
            ServerFrame::Roster(&frame)
        } else {
            ServerFrame::RosterDelta(&frame)
        });
        let shed = slot.audience.lock().tell(&telling.view, telling.whole, &frames);
        self.shared.metrics.roster_frames_shed.inc_by(shed);
    }

    pub(super) fn close(&self, sessions: &[SessionId], departure: Departure) {
        let code = match departure {
            Departure::Removed => CloseCode::REMOVED,
            Departure::Banned => CloseCode::BANNED,
            Departure::Deleted => CloseCode::GROUP_DELETED,
        };
        self.slot.audience.lock().close(sessions, self.slot.scope(), code);
    }

    pub(super) fn resync(&mut self, session: SessionId, r: Option<u32>) {
        let Some(dialect) = self.slot.audience.lock().seat_of(session).map(|seat| seat.dialect) else {
            return;
        };
        let roster = self.encode_roster(dialect, r);
        if let Some(Seat { outbound, .. }) = self.slot.audience.lock().seat_of(session) {
            // An answer must come; what is told unasked comes again.
            outbound.push(roster, if r.is_some() { Worth::Essential } else { Worth::Sheddable });
        }
    }

    pub(super) fn whisper(
        &mut self,
        session: SessionId,
        custom: &Custom,
        to: Option<&UserId>,
        receipt: Receipt,
    ) {
        let now = self.shared.clock.now();
        let Some(user) = self.live().group.user_of(session).cloned() else {
            return receipt.denied(Denied::NotJoined);
        };
        let roster = self.live().group.roster();
        if roster.standing(&user).is_some_and(|standing| standing.is_muted(now.unix_ms)) {
            return receipt.denied(Denied::Muted);
        }
        if to.is_some_and(|to| roster.attendee(to).is_none()) {
            return receipt.denied(Denied::NotAttending);
        }
        let frames = Frames::new(ServerFrame::Ephemeral(self.slot.scope(), Some(&user.id), custom));
        let is_for = |seat: &Seat| match to {
            Some(to) => seat.user.id == *to && seat.session != session,
            None => seat.session != session,
        };
        self.slot.audience.lock().signal(&frames, Worth::Fleeting, is_for);
        receipt.done();
    }

    /// The roster for one who comes in or asks for it: whole, or in version 2 the beginning of a large one.
    fn encode_roster(&mut self, dialect: Dialect, r: Option<u32>) -> Bytes {
        let unix_ms = self.shared.clock.now().unix_ms;
        let slot = Arc::clone(&self.slot);
        let shown_max = self.shared.limits.roster_shown_max;
        let group = &mut self.live().group;
        let is_large = group.roster().is_large();
        slot.set_large(is_large);
        let view = if is_large && !dialect.is_v1() {
            group.hand_out_online(shown_max)
        } else {
            group.hand_out_roster()
        };
        if is_large {
            slot.audience.lock().showed(&view);
        }
        let markers = if is_large { HashMap::new() } else { group.markers(slot.stored()) };
        let frame = RosterFrame {
            scope: slot.scope(),
            version: group.roster().version(),
            online: group.roster().online(),
            whole: !is_large,
            view: &view,
            count_only: false,
            markers: &markers,
            unix_ms,
        };
        codec::encode(dialect, r, ServerFrame::Roster(&frame)).expect("every version has rosters")
    }
}
