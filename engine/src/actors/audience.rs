//! Who listens to a group, and up to which place they have been given its log.
//!
//! It stands outside the group's actor, so that a crash of that one loses neither the listeners nor the place.
//! The list and the place are under one lock: a session that is seated gets everything after the place that
//! [`Audience::seat`] answers, nothing twice and nothing left out.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::ids::{Seq, SessionId, UserId, UserLife};
use crate::domain::roster::{Attendee, RosterView};
use crate::protocol::code::CloseCode;
use crate::socket::outbound::{Outbound, Pushed, Worth};

/// One session that listens.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) session: SessionId,
    pub(crate) user: UserLife,
    pub(crate) outbound: Arc<Outbound>,
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
    pub(crate) fn close(&mut self, sessions: &[SessionId], code: CloseCode) {
        for session in sessions {
            if let Some(seat) = self.leave(*session) {
                seat.outbound.close(Some(code));
            }
        }
    }

    /// Takes everyone out and closes them.
    pub(crate) fn close_all(&mut self, code: CloseCode) {
        self.places.clear();
        for seat in self.seats.drain(..) {
            seat.outbound.close(Some(code));
        }
    }

    /// Gives the event at a place to everyone. Answers to how many.
    pub(crate) fn deliver(&mut self, seq: Seq, frame: &Bytes) -> u64 {
        self.cursor = Some(seq);
        let reached = self
            .seats
            .iter()
            .filter(|seat| seat.outbound.push(frame.clone(), Worth::Essential) == Pushed::Queued);
        reached.count() as u64
    }

    /// Sends everyone a roster, which is whole or who changed. Answers how many were too slow for it.
    pub(crate) fn tell(&mut self, view: &RosterView, is_whole: bool, frame: &Bytes) -> u64 {
        if is_whole {
            self.shown.clear();
        }
        for attendee in &view.off {
            self.shown.remove(&attendee.id);
        }
        self.showed(view);
        let shed = self
            .seats
            .iter()
            .filter(|seat| seat.outbound.push(frame.clone(), Worth::Sheddable) == Pushed::Shed);
        shed.count() as u64
    }

    /// One listener's queue.
    pub(crate) fn outbound(&self, session: SessionId) -> Option<&Arc<Outbound>> {
        self.places.get(&session).and_then(|place| self.seats.get(*place)).map(|seat| &seat.outbound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    use crate::domain::ids::UserUid;

    fn seat(session: u64) -> Seat {
        Seat {
            session: SessionId(session),
            user: UserLife { id: UserId::parse("alice").unwrap(), uid: UserUid(1) },
            outbound: Arc::new(Outbound::new(1_000)),
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
        assert_eq!(audience.deliver(Seq(8), &Bytes::from_static(b"x")), 2);
        assert_eq!(seats.each_ref().map(heard), [0, 1, 1]);
        audience.close(&[SessionId(3)], CloseCode::REMOVED);
        assert_eq!(audience.deliver(Seq(9), &Bytes::from_static(b"x")), 1);
        assert_eq!(seats.each_ref().map(heard), [0, 1, 0]);
        assert_eq!(audience.seat(seat(4)), Seq(9));
    }
}
