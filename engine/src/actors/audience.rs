//! Who listens to a group, and up to which place they have been given its log.
//!
//! It stands outside the group's actor, so that a crash of that one loses neither the listeners nor the place.
//! The list and the place are under one lock: a session that is seated gets everything after the place that
//! [`Audience::seat`] answers, nothing twice and nothing left out.

use std::collections::HashMap;
use std::sync::Arc;

use super::frames::Frames;
use crate::domain::ids::{Seq, SessionId, UserId, UserLife};
use crate::domain::roster::{Attendee, RosterView};
use crate::protocol::code::CloseCode;
use crate::protocol::frame::{Dialect, Scope, ServerFrame};
use crate::socket::outbound::{Outbound, Pushed, Worth};

/// Seats up to which an event is written to all of them in one go, some microseconds each.
const AT_ONCE_MAX: usize = 256;

/// One session that listens.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) session: SessionId,
    pub(crate) user: UserLife,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) dialect: Dialect,
    /// The connection is for this group alone, and ends with the seat.
    pub(crate) sole: bool,
}

impl Seat {
    fn push(&self, frames: &Frames<'_>, worth: Worth) -> Option<Pushed> {
        frames.get(self.dialect).map(|frame| self.outbound.push(frame.clone(), worth))
    }

    /// Ends the connection, or tells it that it is in the group no more.
    fn end(&self, left: &Frames<'_>, code: CloseCode) {
        if self.sole {
            self.outbound.close(Some(code));
        } else {
            self.push(left, Worth::Essential);
        }
    }
}

/// The listeners of one group.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    /// The newest place that was given out. `None` until the group is first awake.
    cursor: Option<Seq>,
    seats: Vec<Seat>,
    places: HashMap<SessionId, usize>,
    /// Who was shown as online. Of a small group it is known only as of the last roster that everyone was told.
    shown: HashMap<UserId, Arc<Attendee>>,
}

impl Audience {
    pub(crate) fn cursor(&self) -> Option<Seq> {
        self.cursor
    }

    /// Where the log stands when nobody has been given anything yet.
    pub(crate) fn begin_at(&mut self, cursor: Seq) {
        self.cursor = Some(cursor);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Who listens, for a group that starts again.
    pub(crate) fn seated(&self) -> Vec<(SessionId, UserLife)> {
        self.seats.iter().map(|seat| (seat.session, seat.user.clone())).collect()
    }

    /// Who was shown as online, for a group that starts again: who no longer attends is shown so for ever if nobody
    /// says otherwise.
    pub(crate) fn take_shown(&mut self) -> Vec<Arc<Attendee>> {
        std::mem::take(&mut self.shown).into_values().collect()
    }

    /// Notes whom somebody was shown as online.
    pub(crate) fn showed(&mut self, view: &RosterView) {
        for attendee in &view.on {
            // Most of them are there already, and looking is cheaper than putting.
            if !self.shown.contains_key(&attendee.id) {
                self.shown.insert(attendee.id.clone(), Arc::clone(attendee));
            }
        }
    }

    /// Lets a session listen. It gets everything after the answered place.
    pub(crate) fn seat(&mut self, seat: Seat) -> Seq {
        self.places.insert(seat.session, self.seats.len());
        self.seats.push(seat);
        self.cursor.unwrap_or_default()
    }

    /// Takes a session out. Nothing happens when it isn't in.
    pub(crate) fn leave(&mut self, session: SessionId) -> Option<Seat> {
        let place = self.places.remove(&session)?;
        let seat = self.seats.swap_remove(place);
        if let Some(moved) = self.seats.get(place) {
            self.places.insert(moved.session, place);
        }
        Some(seat)
    }

    /// Takes sessions out and closes them.
    pub(crate) fn close(&mut self, sessions: &[SessionId], scope: Scope<'_>, code: CloseCode) {
        let left = Frames::new(ServerFrame::Left(scope, code));
        for session in sessions {
            if let Some(seat) = self.leave(*session) {
                seat.end(&left, code);
            }
        }
    }

    /// Takes everyone out whose connection is for this group alone, and closes it. The others are closed as a whole, by
    /// whoever closes them.
    pub(crate) fn close_all(&mut self, code: CloseCode, mut farewell: impl FnMut(&Seat)) {
        self.places.clear();
        for seat in self.seats.drain(..) {
            if seat.sole {
                farewell(&seat);
                seat.outbound.close(Some(code));
            }
        }
    }

    /// Gives the event at a place to everyone. Answers to how many. With no other event in sight each is written at once, unless
    /// they are so many that it would hold up other groups.
    pub(crate) fn deliver(&mut self, seq: Seq, frames: &Frames<'_>, is_last: bool) -> u64 {
        self.cursor = Some(seq);
        if is_last && self.seats.len() <= AT_ONCE_MAX {
            let queued = |seat: &&Seat| {
                let frame = frames.get(seat.dialect);
                frame.is_some_and(|frame| seat.outbound.push_at_once(frame) == Pushed::Queued)
            };
            return self.seats.iter().filter(queued).count() as u64;
        }
        let reached =
            self.seats.iter().filter(|seat| seat.push(frames, Worth::Essential) == Some(Pushed::Queued));
        reached.count() as u64
    }

    /// Sends everyone a roster, which is whole or who changed. Answers how many were too slow for it.
    pub(crate) fn tell(&mut self, view: &RosterView, is_whole: bool, frames: &Frames<'_>) -> u64 {
        if is_whole {
            self.shown.clear();
        }
        for attendee in &view.off {
            self.shown.remove(&attendee.id);
        }
        self.showed(view);
        let shed = self.seats.iter().filter(|seat| seat.push(frames, Worth::Sheddable) == Some(Pushed::Shed));
        shed.count() as u64
    }

    /// Sends a frame to whoever it is for.
    pub(crate) fn signal(&self, frames: &Frames<'_>, worth: Worth, is_for: impl Fn(&Seat) -> bool) {
        for seat in self.seats.iter().filter(|seat| is_for(seat)) {
            seat.push(frames, worth);
        }
    }

    /// Whether a session listens.
    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.places.contains_key(&session)
    }

    /// One listener.
    pub(crate) fn seat_of(&self, session: SessionId) -> Option<&Seat> {
        self.places.get(&session).and_then(|place| self.seats.get(*place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    use crate::domain::ids::{GroupId, GroupUid, UserUid};

    fn seat(session: u64) -> Seat {
        Seat {
            session: SessionId(session),
            user: UserLife { id: UserId::parse("alice").unwrap(), uid: UserUid(1) },
            outbound: Arc::new(Outbound::new(1_000)),
            dialect: Dialect::V2Json,
            sole: true,
        }
    }

    fn heard(seat: &Seat) -> usize {
        let mut frames = VecDeque::new();
        seat.outbound.try_take(&mut frames);
        frames.len()
    }

    #[test]
    fn who_sits_hears_and_who_left_does_not() {
        let mut audience = Audience::default();
        audience.begin_at(Seq(7));
        let seats = [seat(1), seat(2), seat(3)];
        for seat in &seats {
            assert_eq!(audience.seat(seat.clone()), Seq(7));
        }
        assert!(audience.leave(SessionId(1)).is_some());
        assert!(audience.leave(SessionId(1)).is_none());
        let group = GroupId::parse("lobby").unwrap();
        let scope = Scope { id: &group, uid: GroupUid(1) };
        let said = Frames::new(ServerFrame::TypingCount(scope, 1));
        assert_eq!(audience.deliver(Seq(8), &said, false), 2);
        assert_eq!(seats.each_ref().map(heard), [0, 1, 1]);
        audience.close(&[SessionId(3)], scope, CloseCode::REMOVED);
        assert_eq!(audience.deliver(Seq(9), &said, true), 1);
        assert_eq!(seats.each_ref().map(heard), [0, 1, 0]);
        assert_eq!(audience.seat(seat(4)), Seq(9));
    }
}
