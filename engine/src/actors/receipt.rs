//! The promise to who asked: what was asked is carried out and acknowledged, or refused. Nothing is lost
//! silently, not even when the actor that holds the request dies.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Shared;
use crate::domain::event::{Event, EventKind, Head};
use crate::domain::group::Denied;
use crate::domain::ids::{ClientId, GroupId, GroupUid, Seq};
use crate::error::EngineError;
use crate::protocol::codec;
use crate::protocol::frame::{Ack, Dialect, ErrorFrame, Scope, ServerFrame};
use crate::socket::outbound::{Outbound, Worth};

/// Goes where a request goes. Dropping it unanswered tells who asked.
pub(crate) struct Receipt {
    asker: Option<Asker>,
    shared: Arc<Shared>,
    taken: Instant,
}

/// Who asked.
enum Asker {
    Session(SessionAsker),
    Backend(oneshot::Sender<Result<Outcome, EngineError>>),
}

/// A session that asked, and what its answer needs.
pub(crate) struct SessionAsker {
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) dialect: Dialect,
    pub(crate) r: Option<u32>,
    pub(crate) group: GroupId,
    pub(crate) uid: GroupUid,
    pub(crate) client_id: Option<ClientId>,
    /// The request's share of what its session may have under way, given back when it is answered.
    #[expect(dead_code, reason = "it is held, not read")]
    pub(crate) permit: OwnedSemaphorePermit,
}

/// How a backend's request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This event is stored and shown.
    Happened(Event),
    /// It had been said before, there.
    Duplicate(Head),
    /// It was so already, or takes no place in the log.
    Done,
}

impl Receipt {
    /// For a session.
    pub(crate) fn of_session(asker: SessionAsker, shared: Arc<Shared>) -> Self {
        Self { asker: Some(Asker::Session(asker)), shared, taken: Instant::now() }
    }

    /// For a tenant's backend.
    pub(crate) fn of_backend(shared: Arc<Shared>) -> (Self, oneshot::Receiver<Result<Outcome, EngineError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { asker: Some(Asker::Backend(answer)), shared, taken: Instant::now() }, answered)
    }

    /// The event is durable and on its way to everyone, who asked included.
    pub(crate) fn happened(mut self, event: &Event) {
        if matches!(event.kind, EventKind::Message(_)) {
            self.shared.metrics.messages.inc();
        }
        self.shared.metrics.append_seconds.observe(self.taken.elapsed().as_secs_f64());
        match self.asker.take() {
            Some(Asker::Session(asker)) => asker.ack(Ack {
                message: Some(event.kind.of().unwrap_or(event.seq))
                    .filter(|_| !matches!(event.kind, EventKind::Moderation(_))),
                seq: Some(event.seq),
                time_ms: Some(event.time_ms),
                ..Ack::default()
            }),
            // Who asked may have given up, here and below.
            Some(Asker::Backend(answer)) => _ = answer.send(Ok(Outcome::Happened(event.clone()))),
            None => {}
        }
    }

    /// The message had been said before.
    pub(crate) fn duplicate(mut self, said: Head) {
        match self.asker.take() {
            Some(Asker::Session(asker)) => asker.ack(Ack {
                message: Some(said.seq),
                seq: Some(said.seq),
                time_ms: Some(said.time_ms),
                duplicate: true,
                ..Ack::default()
            }),
            Some(Asker::Backend(answer)) => _ = answer.send(Ok(Outcome::Duplicate(said))),
            None => {}
        }
    }

    /// It was so already.
    pub(crate) fn unchanged(self, of: Seq) {
        self.finish(Ack { message: Some(of), duplicate: true, ..Ack::default() });
    }

    /// It is done, and takes no place in the log.
    pub(crate) fn done(self) {
        self.finish(Ack::default());
    }

    fn finish(mut self, ack: Ack<'_>) {
        match self.asker.take() {
            Some(Asker::Session(asker)) => asker.ack(ack),
            Some(Asker::Backend(answer)) => _ = answer.send(Ok(Outcome::Done)),
            None => {}
        }
    }

    /// The group said no.
    pub(crate) fn denied(self, denied: Denied) {
        self.refused(EngineError::Denied(denied));
    }

    /// It wasn't carried out.
    pub(crate) fn refused(mut self, error: EngineError) {
        self.refuse(error);
    }

    fn refuse(&mut self, error: EngineError) {
        match self.asker.take() {
            Some(Asker::Session(asker)) => asker.refuse(&error, &self.shared),
            Some(Asker::Backend(answer)) => _ = answer.send(Err(error)),
            None => {}
        }
    }
}

impl SessionAsker {
    /// Version 1 has no acks, and of requests only those are acknowledged that can be told apart.
    fn ack(&self, ack: Ack<'_>) {
        if self.dialect.is_v1() || (self.r.is_none() && self.client_id.is_none()) {
            return;
        }
        let scope = Scope { id: &self.group, uid: self.uid };
        let ack = Ack { scope: Some(scope), client_id: self.client_id.as_ref(), ..ack };
        if let Some(frame) = codec::encode(self.dialect, self.r, ServerFrame::Ack(&ack)) {
            self.outbound.push(frame, Worth::Essential);
        }
    }

    fn refuse(&self, error: &EngineError, shared: &Shared) {
        let refusal = error.refusal();
        shared.metrics.refused(refusal.code);
        let error =
            ErrorFrame { refusal: &refusal, group: Some(&self.group), client_id: self.client_id.as_ref() };
        if let Some(frame) = codec::encode(self.dialect, self.r, ServerFrame::Error(&error)) {
            self.outbound.push(frame, Worth::Essential);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("answered", &self.asker.is_none()).finish_non_exhaustive()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.asker.is_some() {
            self.refuse(EngineError::Uncertain);
        }
    }
}
