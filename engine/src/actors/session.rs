//! The actor of a session: one user's WebSocket in one group. It reads what the client asks, and asks the group.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Shared;
use super::audience::Seat;
use super::directory::GroupSlot;
use super::group::{Admission, GroupMessage, JoinDenied};
use super::receipt::Receipt;
use crate::domain::access::Grant;
use crate::domain::group::Denied;
use crate::domain::ids::SessionId;
use crate::domain::message::{Before, Draft, DraftError};
use crate::domain::profile::GroupRecord;
use crate::domain::rate::{Bucket, Rate};
use crate::error::EngineError;
use crate::protocol::code::{CloseCode, ErrorCode};
use crate::protocol::codec;
use crate::protocol::frame::{ClientFrame, Refusal, ServerFrame};
use crate::socket::outbound::{Outbound, Worth};
use crate::socket::{Events, Inbound, ReadEnd, Socket, SocketEvent, SocketTasks};
use crate::store::Window;

/// How often a session asks a group again that crashed while it waited to be let in.
const JOIN_TRIES: usize = 3;

/// Refusals of one session before they are slowed down.
const REFUSALS: Rate = Rate { per_s: 100, burst: 500 };

/// What a session is told.
#[derive(Debug)]
pub(crate) enum SessionMessage {
    Socket(SocketEvent),
    Close(CloseCode),
    /// The goodbye has had its time.
    Linger,
}

/// What a session begins with.
pub(crate) struct SessionArguments {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: SessionId,
    pub(crate) grant: Grant,
    pub(crate) record: GroupRecord,
    pub(crate) socket: Socket,
    /// Given back when the session ends, whichever way.
    pub(crate) on_end: Box<dyn Send + Sync>,
}

pub(crate) struct SessionActor;

pub(crate) struct SessionState {
    shared: Arc<Shared>,
    id: SessionId,
    grant: Grant,
    record: GroupRecord,
    outbound: Arc<Outbound>,
    /// Until the session is in.
    socket: Option<Socket>,
    tasks: Option<SocketTasks>,
    membership: Option<Membership>,
    sends: Bucket,
    requests: Bucket,
    refusals: Bucket,
    /// Whether something was said that may not be in history yet.
    said: bool,
    read_done: bool,
    write_done: bool,
    _on_end: Box<dyn Send + Sync>,
}

/// A seat in a group, given back when dropped.
struct Membership {
    session: SessionId,
    slot: Arc<GroupSlot>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.slot.leave(self.session);
    }
}

impl Events for ActorRef<SessionMessage> {
    fn send(&self, event: SocketEvent) -> bool {
        self.cast(SessionMessage::Socket(event)).is_ok()
    }
}

impl Actor for SessionActor {
    type Msg = SessionMessage;
    type State = SessionState;
    type Arguments = SessionArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let SessionArguments { shared, id, grant, record, socket, on_end } = arguments;
        shared.metrics.sessions.inc();
        shared.metrics.sessions_opened.inc();
        let now_ms = shared.clock.mono_ms();
        Ok(SessionState {
            outbound: Arc::new(Outbound::new(shared.limits.outbound_bytes_max)),
            sends: Bucket::full(send_rate(&shared), now_ms),
            requests: Bucket::full(request_rate(&shared), now_ms),
            refusals: Bucket::full(REFUSALS, now_ms),
            socket: Some(socket),
            tasks: None,
            membership: None,
            said: false,
            read_done: false,
            write_done: false,
            shared,
            id,
            grant,
            record,
            _on_end: on_end,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let entered = state.enter().await;
        if let Err(code) = entered {
            state.outbound.close(Some(code));
        }
        if let Some(socket) = state.socket.take() {
            let events = Arc::new(myself.clone());
            state.tasks = Some(socket.start(&state.outbound, &events, &state.shared.limits));
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionMessage::Socket(SocketEvent::Received(inbound, permit)) => {
                state.serve(inbound, permit).await;
            }
            SessionMessage::Socket(SocketEvent::ReadEnded(end)) => state.read_ended(end),
            SessionMessage::Socket(SocketEvent::ReaderDone) => state.read_done = true,
            SessionMessage::Socket(SocketEvent::WriteEnded) => state.write_ended(&myself),
            SessionMessage::Socket(SocketEvent::CaughtUp) => state.resync(),
            SessionMessage::Close(code) => state.close(code).await,
            SessionMessage::Linger => myself.stop(None),
        }
        if state.read_done && state.write_done {
            myself.stop(None);
        }
        Ok(())
    }
}

impl SessionState {
    /// Takes a seat, and puts roster and history before whatever is said from then on.
    async fn enter(&mut self) -> Result<(), CloseCode> {
        self.outbound.hold();
        let admission = self.join().await?;
        let window =
            Window { upto: admission.cursor, before: None, limit: self.shared.limits.history_items_default };
        let history = self.shared.history.page(self.grant.uid, window).await.map_err(|error| {
            tracing::error!(%error, "a session can't be given its history");
            CloseCode::INTERNAL
        })?;
        let history = codec::encode(ServerFrame::History(self.grant.uid, &history));
        self.outbound.release([admission.roster, history]);
        Ok(())
    }

    async fn join(&mut self) -> Result<Admission, CloseCode> {
        for _ in 0..JOIN_TRIES {
            let (reply, admitted) = oneshot::channel();
            let (user, outbound) = (self.grant.user.clone(), Arc::clone(&self.outbound));
            let join = GroupMessage::Join { seat: Seat { session: self.id, user, outbound }, reply };
            let slot = self.shared.groups.tell(&self.record, join).await.map_err(|_| CloseCode::INTERNAL)?;
            self.membership = Some(Membership { session: self.id, slot });
            match admitted.await {
                Ok(Ok(admission)) => return Ok(admission),
                Ok(Err(denied)) => return Err(close_code(denied)),
                // The group crashed while the session waited. The seat is given back before the next try.
                Err(_) => self.membership = None,
            }
        }
        Err(CloseCode::INTERNAL)
    }

    async fn serve(&mut self, inbound: Inbound, permit: OwnedSemaphorePermit) {
        if self.outbound.ending().is_some() {
            return;
        }
        let served = match inbound {
            Inbound::Text(text) => match codec::decode(&text, self.grant.uid) {
                Ok(ClientFrame::Post { text }) => self.post(&text, permit).await,
                Ok(ClientFrame::History { before, limit }) => self.history(before, limit).await,
                Err(refusal) => Err(refusal),
            },
            Inbound::Binary => {
                Err(Refusal::new(ErrorCode::BINARY_FRAME, "version 1 is JSON in text frames: send text"))
            }
            Inbound::NotUtf8 => Err(Refusal::new(ErrorCode::MALFORMED, "the frame is not UTF-8")),
        };
        if let Err(refusal) = served {
            self.refuse(refusal).await;
        }
    }

    async fn post(&mut self, text: &str, permit: OwnedSemaphorePermit) -> Result<(), Refusal> {
        self.shared.metrics.frame("message");
        let draft = Draft::parse(text, self.shared.limits.message_bytes_max).map_err(|error| {
            let code = match error {
                DraftError::Empty => ErrorCode::INVALID_FIELD,
                DraftError::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            };
            Refusal::new(code, error.to_string())
        })?;
        let now_ms = self.shared.clock.mono_ms();
        self.sends.take(send_rate(&self.shared), now_ms).map_err(too_fast)?;
        let receipt = Receipt::new(Arc::clone(&self.outbound), permit, Arc::clone(&self.shared));
        let message = GroupMessage::Post { session: self.id, draft, receipt };
        self.said = true;
        // An unreachable group drops the receipt, which tells the client.
        let _ = self.shared.groups.tell(&self.record, message).await;
        Ok(())
    }

    async fn history(&mut self, before: Option<Before>, limit: Option<usize>) -> Result<(), Refusal> {
        self.shared.metrics.frame("history");
        let now_ms = self.shared.clock.mono_ms();
        self.requests.take(request_rate(&self.shared), now_ms).map_err(too_fast)?;
        let Some(slot) = self.membership.as_ref().map(|membership| Arc::clone(&membership.slot)) else {
            return Ok(());
        };
        // Who asks for pages must read them: without room the next frame isn't looked at.
        if !self.outbound.room().await {
            return Ok(());
        }
        self.settle(&slot).await;
        let limits = &self.shared.limits;
        let limit = limit.unwrap_or(limits.history_items_default).min(limits.history_items_max);
        // What is said from here on comes after the page, and all that was heard before is in it.
        self.outbound.hold();
        let upto = slot.audience.lock().cursor().unwrap_or_default();
        let page = self.shared.history.page(self.grant.uid, Window { upto, before, limit }).await;
        let frame = page.as_ref().ok().map(|page| codec::encode(ServerFrame::History(self.grant.uid, page)));
        self.outbound.release(frame);
        page.map(|_| ()).map_err(|error| {
            tracing::error!(%error, "a page of history can't be read");
            let error = EngineError::Store(error);
            Refusal::new(error.code(), error.to_string())
        })
    }

    /// Waits until what this session said is in history, so that it finds its own words there.
    async fn settle(&mut self, slot: &GroupSlot) {
        if std::mem::take(&mut self.said) {
            let (done, settled) = oneshot::channel();
            // A group that crashed has told the session which of its words are uncertain.
            if slot.tell(GroupMessage::Flush(done)).is_ok() {
                let _ = settled.await;
            }
        }
    }

    /// Says goodbye, once what this session said is stored and shown to it: else its client would say it again.
    async fn close(&mut self, code: CloseCode) {
        if let Some(slot) = self.membership.as_ref().map(|membership| Arc::clone(&membership.slot)) {
            self.settle(&slot).await;
        }
        self.outbound.close(Some(code));
    }

    /// Answers a frame that can't be served. That costs, too, so a flood of them is slowed down: the next frame
    /// isn't looked at before its time.
    async fn refuse(&mut self, refusal: Refusal) {
        self.shared.metrics.refused(refusal.code);
        if let Err(wait_ms) = self.refusals.take(REFUSALS, self.shared.clock.mono_ms()) {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        if self.outbound.room().await {
            self.outbound.push(codec::encode(ServerFrame::Error(&refusal)), Worth::Essential);
        }
    }

    fn resync(&self) {
        if let Some(membership) = &self.membership {
            // A group that is being started again tells everyone its roster anyway.
            let _ = membership.slot.tell(GroupMessage::Resync { session: self.id });
        }
    }

    fn read_ended(&mut self, end: ReadEnd) {
        // Whoever says no more is gone for the others, however long the goodbye takes.
        self.membership = None;
        match end {
            ReadEnd::Closed => self.outbound.close(Some(CloseCode::NORMAL)),
            ReadEnd::Refused(code) => self.outbound.close(Some(code)),
            ReadEnd::Lost => self.outbound.abort(),
        }
    }

    fn write_ended(&mut self, myself: &ActorRef<SessionMessage>) {
        if let Some(Some(code)) = self.outbound.ending() {
            self.shared.metrics.closed(code);
        }
        self.write_done = true;
        self.outbound.abort();
        self.membership = None;
        let linger = Duration::from_millis(self.shared.limits.close_linger_ms);
        myself.send_after(linger, || SessionMessage::Linger);
    }
}

impl Drop for SessionState {
    fn drop(&mut self) {
        self.shared.metrics.sessions.dec();
    }
}

fn close_code(denied: JoinDenied) -> CloseCode {
    match denied {
        JoinDenied::GroupDeleted => CloseCode::GROUP_DELETED,
        JoinDenied::Denied(Denied::TooManySessions) => CloseCode::TOO_MANY,
        JoinDenied::Denied(Denied::NotAttending | Denied::NotJoined) => CloseCode::REMOVED,
    }
}

fn send_rate(shared: &Shared) -> Rate {
    Rate { per_s: shared.limits.send_rate_per_s, burst: shared.limits.send_burst }
}

fn request_rate(shared: &Shared) -> Rate {
    Rate { per_s: shared.limits.request_rate_per_s, burst: shared.limits.request_burst }
}

fn too_fast(wait_ms: u64) -> Refusal {
    Refusal::new(ErrorCode::RATE_LIMITED, format!("too fast: not stored, try again in {wait_ms} ms"))
}
