//! The groups that a session is in, and how it comes into them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::super::audience::Seat;
use super::super::directory::GroupSlot;
use super::super::told::{Admission, GroupMessage, JoinDenied};
use super::Session;
use crate::config::CUSTOM_BYTES_MAX;
use crate::domain::group::Denied;
use crate::domain::ids::{GroupId, GroupUid, Seq, SessionId};
use crate::domain::profile::GroupRecord;
use crate::error::EngineError;
use crate::protocol::code::{CloseCode, ErrorCode};
use crate::protocol::codec;
use crate::protocol::frame::{GroupWelcome, Refusal, ResumePoint, ServerFrame, Terms, Welcome, WireLimits};
use crate::socket::outbound::Alone;

/// How often a session asks a group again that crashed while it waited to be let in.
const JOIN_TRIES: usize = 3;

/// A seat in a group, given back when dropped.
pub(super) struct Place {
    session: SessionId,
    pub(super) slot: Arc<GroupSlot>,
    /// Where its live events begin.
    pub(super) joined_at: Seq,
    /// What came before was replayed, which is done once.
    pub(super) resumed: bool,
    /// Whether something was said that may not be in history yet.
    pub(super) said: bool,
    /// Its user counts as online for a while when the connection is lost.
    lingers: bool,
}

impl Place {
    /// Whether the group still has it: it may have been taken away.
    pub(super) fn is_kept(&self) -> bool {
        self.slot.audience.lock().has(self.session)
    }

    /// The user means to go, and is gone at once.
    fn leave_for_good(mut self) {
        self.lingers = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slot.leave(self.session, self.lingers);
    }
}

/// Why a session isn't let in.
pub(super) enum Turned {
    Away(JoinDenied),
    Unavailable,
}

impl Turned {
    fn close_code(&self) -> CloseCode {
        match self {
            Self::Away(JoinDenied::GroupDeleted) => CloseCode::GROUP_DELETED,
            Self::Away(JoinDenied::Draining) => CloseCode::DRAIN,
            Self::Away(JoinDenied::Denied(Denied::TooManySessions)) => CloseCode::TOO_MANY,
            Self::Away(JoinDenied::Denied(Denied::Banned)) => CloseCode::BANNED,
            Self::Away(JoinDenied::Denied(_)) => CloseCode::REMOVED,
            Self::Unavailable => CloseCode::INTERNAL,
        }
    }

    fn refusal(&self) -> Refusal {
        match self {
            Self::Away(JoinDenied::GroupDeleted) => EngineError::GroupNotFound,
            Self::Away(JoinDenied::Draining) => EngineError::Draining,
            Self::Away(JoinDenied::Denied(denied)) => EngineError::Denied(*denied),
            Self::Unavailable => EngineError::GroupUnavailable { retry_after_ms: 1_000 },
        }
        .refusal()
    }
}

/// The name of a group's log: a client that has seen another one can't go on from there.
pub(super) fn epoch(group: GroupUid) -> String {
    format!("{:016x}", group.0)
}

impl Session {
    /// Version 1: roster and history before whatever is said from then on.
    pub(super) async fn enter_as_version_1(&mut self, home: &GroupRecord) -> Result<(), CloseCode> {
        self.outbound.hold(Alone::Holed);
        let admission = self.take_place(home, false).await.map_err(|turned| turned.close_code())?;
        let history = self.greeting(admission.cursor).await.map_err(|error| {
            tracing::error!(%error, "a session can't be given its history");
            CloseCode::INTERNAL
        })?;
        self.outbound.release([admission.roster, history]);
        Ok(())
    }

    /// Version 2: welcome and roster; what is said from then on waits for the client's first word, since that may ask
    /// for what comes before.
    pub(super) async fn enter_home(&mut self, home: &GroupRecord) -> Result<(), CloseCode> {
        self.outbound.hold(Alone::Holed);
        let admission = self.take_place(home, false).await.map_err(|turned| turned.close_code())?;
        let welcome = self.welcome(None, Some((home, &admission)), true)?;
        self.outbound.lead([welcome, admission.roster]);
        if let Some(chores) = &mut self.chores {
            chores.await_first_word();
        }
        Ok(())
    }

    /// Version 2, in no group yet.
    pub(super) async fn enter_the_hall(&mut self) -> Result<(), CloseCode> {
        self.listen_for_news().await?;
        let welcome = self.welcome(None, None, true)?;
        self.outbound.release([welcome]);
        Ok(())
    }

    /// Comes into a group of a user-scoped connection.
    pub(super) async fn join(
        &mut self,
        r: Option<u32>,
        id: &GroupId,
        resume: Option<ResumePoint>,
    ) -> Result<(), Refusal> {
        self.places.retain(Place::is_kept);
        if self.places.iter().any(|place| place.slot.record.id == *id) {
            return Err(Refusal::new(
                ErrorCode::ALREADY_JOINED,
                "the connection is in this group already: leave it first, or go on",
            ));
        }
        if self.places.len() >= self.shared.limits.groups_per_session_max {
            return Err(Refusal::new(
                ErrorCode::TOO_MANY_GROUPS,
                "the connection is in as many groups as one may be in: leave one, or open another",
            ));
        }
        // Who asks for welcomes and replays must read them, as with pages.
        if !self.outbound.room().await {
            return Ok(());
        }
        let found = self.shared.directory.group(&self.grant.service, id).await;
        let record = found.map_err(|error| EngineError::from(error).refusal())?;
        // A group that isn't there and one that isn't the user's look the same.
        let record = record.ok_or_else(|| EngineError::Denied(Denied::NotAttending).refusal())?;
        // The group looks, too; but it isn't woken by whoever has no business there.
        let attendance = self.shared.directory.attendance(&record, &self.grant.user.id).await;
        let attends = attendance.map_err(|error| EngineError::from(error).refusal())?;
        if attends.is_none_or(|it| it.user != self.grant.user) {
            return Err(EngineError::Denied(Denied::NotAttending).refusal());
        }
        self.outbound.hold(Alone::Holed);
        let answer = self.come_in(r, &record, resume).await;
        // Whatever came of it, the other groups go on.
        self.outbound.release(answer.as_ref().ok().cloned().unwrap_or_default());
        answer.map(|_| ())
    }

    async fn come_in(
        &mut self,
        r: Option<u32>,
        record: &GroupRecord,
        resume: Option<ResumePoint>,
    ) -> Result<Vec<Bytes>, Refusal> {
        let admission = self.take_place(record, resume.is_some()).await.map_err(|turned| turned.refusal())?;
        let answer = self.join_answer(r, record, admission, resume).await;
        if answer.is_err() {
            // Who isn't told that it is in isn't.
            self.places.pop().into_iter().for_each(Place::leave_for_good);
            if self.outbound.holds_any() {
                // Something of that group may be among it, which the client must not take for all that it has missed.
                self.outbound.close(Some(CloseCode::INTERNAL));
            }
        }
        answer
    }

    async fn join_answer(
        &self,
        r: Option<u32>,
        record: &GroupRecord,
        admission: Admission,
        resume: Option<ResumePoint>,
    ) -> Result<Vec<Bytes>, Refusal> {
        let internal =
            |_| Refusal::new(ErrorCode::INTERNAL, "the server couldn't answer: try again in a moment");
        let mut answer = vec![self.welcome(r, Some((record, &admission)), false).map_err(internal)?];
        answer.push(admission.roster);
        if let Some(point) = resume {
            let place = self.places.last().expect("it was just taken");
            answer.extend(self.replayed(None, place, &point).await?);
        }
        Ok(answer)
    }

    /// Leaves a group; a group-scoped connection ends with it. Answers whether it does.
    pub(super) fn leave(&mut self, index: usize) -> bool {
        self.places.remove(index).leave_for_good();
        self.home.is_some()
    }

    async fn take_place(&mut self, record: &GroupRecord, resumes: bool) -> Result<Admission, Turned> {
        let session = self.entry.id;
        for _ in 0..JOIN_TRIES {
            let (reply, admitted) = oneshot::channel();
            let (user, outbound) = (self.grant.user.clone(), Arc::clone(&self.outbound));
            let sole = self.home.is_some();
            let seat = Seat { session, user, outbound, dialect: self.dialect, sole };
            let told = self.shared.groups.tell(record, GroupMessage::Join { seat, reply }).await;
            let slot = told.map_err(|_| Turned::Unavailable)?;
            let lingers = !self.dialect.is_v1();
            let mut place = Place { session, slot, joined_at: Seq(0), resumed: false, said: false, lingers };
            match admitted.await {
                Ok(Ok(admission)) => {
                    place.joined_at = admission.cursor;
                    place.resumed = resumes;
                    self.places.push(place);
                    return Ok(admission);
                }
                Ok(Err(denied)) => {
                    place.leave_for_good();
                    return Err(Turned::Away(denied));
                }
                // The group crashed while the session waited. The seat is given back before the next try.
                Err(_) => place.leave_for_good(),
            }
        }
        Err(Turned::Unavailable)
    }

    fn welcome(
        &self,
        r: Option<u32>,
        group: Option<(&GroupRecord, &Admission)>,
        opens: bool,
    ) -> Result<Bytes, CloseCode> {
        let epoch = group.map(|(record, _)| epoch(record.uid));
        let group = group.map(|(record, admission)| GroupWelcome {
            scope: crate::protocol::frame::Scope { id: &record.id, uid: record.uid },
            epoch: epoch.as_deref().unwrap_or_default(),
            head: admission.cursor,
            role: admission.role,
            muted_until_ms: admission.muted_until_ms,
        });
        let ticket = if opens { Some(self.ticket()?) } else { None };
        let terms = ticket.as_ref().map(|(ticket, expires_ms)| Terms {
            heartbeat_ms: self.shared.limits.ping_interval_ms,
            limits: self.wire_limits(),
            ticket,
            ticket_expires_ms: *expires_ms,
        });
        let welcome = Welcome { user: &self.grant.user.id, group, terms };
        codec::encode(self.dialect, r, ServerFrame::Welcome(&welcome)).ok_or(CloseCode::INTERNAL)
    }

    fn wire_limits(&self) -> WireLimits {
        let limits = &self.shared.limits;
        WireLimits {
            frame: limits.frame_bytes_max,
            message: limits.message_bytes_max,
            custom: CUSTOM_BYTES_MAX,
            send: limits.send_rate_per_s,
            request: limits.request_rate_per_s,
            signal: limits.signal_rate_per_s,
            groups: limits.groups_per_session_max,
            replay: limits.replay_events_max,
        }
    }
}
