//! A session: one user's WebSocket in one group. It reads what the client asks, and asks the group.
//!
//! It is an actor without a mailbox, and so a task and not a ractor actor: nobody sends it messages. What it is to
//! send stands in its [`Outbound`], which also tells it to end, and all that it hears comes from its socket. ADR 0003
//! says what that saves.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Shared;
use super::audience::Seat;
use super::directory::GroupSlot;
use super::group::{Admission, GroupMessage, JoinDenied};
use super::receipt::Receipt;
use super::sessions::Entry;
use crate::config::{CONTROLS, REFUSALS};
use crate::domain::access::Grant;
use crate::domain::group::Denied;
use crate::domain::ids::{Seq, SessionId};
use crate::domain::message::{Before, Draft, DraftError};
use crate::domain::profile::GroupRecord;
use crate::domain::rate::{Bucket, Rate};
use crate::error::EngineError;
use crate::protocol::code::{CloseCode, ErrorCode};
use crate::protocol::frame::{ClientFrame, Refusal, ServerFrame};
use crate::protocol::{codec, ws};
use crate::socket::outbound::{Outbound, Worth};
use crate::socket::reader::{Inbound, ReadEnd, Reader};
use crate::socket::{Socket, reader, writer};
use crate::store::{StoreError, Window};

/// What a message costs beyond its bytes while it is under way.
const MESSAGE_OVERHEAD_BYTES: usize = 512;

/// How often a session asks a group again that crashed while it waited to be let in.
const JOIN_TRIES: usize = 3;

/// What a session begins with.
pub(crate) struct SessionArguments {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grant: Grant,
    pub(crate) record: GroupRecord,
    /// Given back when the session ends, whichever way.
    pub(crate) on_end: Box<dyn Send + Sync>,
}

/// A session, while it listens to its client.
pub(crate) struct Session {
    shared: Arc<Shared>,
    grant: Grant,
    record: GroupRecord,
    outbound: Arc<Outbound>,
    membership: Option<Membership>,
    sends: Bucket,
    requests: Bucket,
    refusals: Bucket,
    controls: Bucket,
    /// What the client may have under way, in bytes.
    under_way: Arc<Semaphore>,
    /// Whether something was said that may not be in history yet.
    said: bool,
    // Dropped in this order: the seat, the entry, the place among the connections.
    entry: Entry,
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

impl Session {
    pub(crate) fn new(SessionArguments { shared, grant, record, on_end }: SessionArguments) -> Self {
        shared.metrics.sessions.inc();
        shared.metrics.sessions_opened.inc();
        let now_ms = shared.clock.mono_ms();
        let outbound = Arc::new(Outbound::new(shared.limits.outbound_bytes_max));
        Self {
            sends: Bucket::full(send_rate(&shared), now_ms),
            requests: Bucket::full(request_rate(&shared), now_ms),
            refusals: Bucket::full(REFUSALS, now_ms),
            controls: Bucket::full(CONTROLS, now_ms),
            under_way: Arc::new(Semaphore::new(shared.limits.inflight_bytes_max)),
            entry: shared.sessions.enter(&outbound),
            membership: None,
            said: false,
            outbound,
            shared,
            grant,
            record,
            _on_end: on_end,
        }
    }

    /// Where frames for the client go.
    pub(crate) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Lives until the client or the engine ends it.
    pub(crate) async fn run(mut self, mut socket: Socket) {
        self.shared.turnstile.pass().await;
        // Boxed, because what a task once needed it holds as long as it lives.
        if let Err(code) = Box::pin(self.enter()).await {
            self.outbound.close(Some(code));
        }
        let (outbound, shared) = (Arc::clone(&self.outbound), Arc::clone(&self.shared));
        let limits = &*shared.limits;
        let (read, write) = socket.stream.split();
        let seat =
            self.membership.as_ref().map(|membership| (membership.session, Arc::clone(&membership.slot)));
        let mut writing = pin!(writer::run(write, &outbound, limits, || resync(seat.as_ref())));
        let end = {
            let mut reader = Reader::new(&read, &std::mem::take(&mut socket.read_ahead), &outbound, limits);
            tokio::select! {
                biased;
                () = &mut writing => None,
                end = self.listen(&mut reader) => Some(end),
            }
        };
        shared.turnstile.pass().await;
        // Whoever says no more is gone for the others, however long the goodbye takes.
        self.membership = None;
        let mut discarding = pin!(reader::discard(&read));
        let mut hung_up = end == Some(ReadEnd::Lost);
        if let Some(end) = end {
            end_with(&outbound, end);
            tokio::select! {
                biased;
                () = &mut writing => {}
                () = &mut discarding, if !hung_up => {
                    hung_up = true;
                    // It may still read.
                    writing.await;
                }
            }
        }
        if let Some(Some(code)) = outbound.ending() {
            shared.metrics.closed(code);
            if code == CloseCode::SLOW_CONSUMER {
                tracing::info!(session = self.entry.id.0, code = code.number, "a slow session is closed");
            }
            if !hung_up {
                // A socket that is closed with something unread resets the connection: the goodbye may be lost.
                let linger = Duration::from_millis(limits.close_linger_ms);
                let _ = tokio::time::timeout(linger, discarding).await;
            }
        }
    }

    /// Serves what the client says, until it says no more.
    async fn listen(&mut self, reader: &mut Reader<'_>) -> ReadEnd {
        loop {
            match reader.next().await {
                Ok(inbound) => self.serve(inbound).await,
                Err(end) => return end,
            }
        }
    }

    /// Takes a seat, and puts roster and history before whatever is said from then on.
    async fn enter(&mut self) -> Result<(), CloseCode> {
        self.outbound.hold();
        let (slot, admission) = self.join().await?;
        let history = self.greeting(&slot, admission.cursor).await.map_err(|error| {
            tracing::error!(%error, "a session can't be given its history");
            CloseCode::INTERNAL
        })?;
        self.outbound.release([admission.roster, history]);
        Ok(())
    }

    /// The newest page, the same bytes for all who join before the log goes on.
    async fn greeting(&self, slot: &GroupSlot, upto: Seq) -> Result<Bytes, StoreError> {
        let _turn = slot.greeting.lock().await;
        if let Some(page) = self.shared.greetings.get(self.grant.uid, upto) {
            return Ok(page);
        }
        let page = self.page(upto, None, self.shared.limits.history_items_default).await?;
        self.shared.greetings.keep(self.grant.uid, upto, page.clone());
        Ok(page)
    }

    /// Reads and encodes a page.
    async fn page(&self, upto: Seq, before: Option<Before>, limit: usize) -> Result<Bytes, StoreError> {
        let bytes_max = self.shared.limits.history_bytes_max;
        let window = Window { upto, before, limit, bytes_max };
        let messages = self.shared.history.page(self.grant.uid, window).await?;
        Ok(codec::encode_page(self.grant.uid, &messages, bytes_max))
    }

    async fn join(&mut self) -> Result<(Arc<GroupSlot>, Admission), CloseCode> {
        for _ in 0..JOIN_TRIES {
            let (reply, admitted) = oneshot::channel();
            let (user, outbound) = (self.grant.user.clone(), Arc::clone(&self.outbound));
            let session = self.entry.id;
            let join = GroupMessage::Join { seat: Seat { session, user, outbound }, reply };
            let slot = self.shared.groups.tell(&self.record, join).await.map_err(|_| CloseCode::INTERNAL)?;
            self.membership = Some(Membership { session, slot: Arc::clone(&slot) });
            match admitted.await {
                Ok(Ok(admission)) => return Ok((slot, admission)),
                Ok(Err(denied)) => return Err(close_code(denied)),
                // The group crashed while the session waited. The seat is given back before the next try.
                Err(_) => self.membership = None,
            }
        }
        Err(CloseCode::INTERNAL)
    }

    async fn serve(&mut self, inbound: Inbound) {
        let said = match inbound {
            Inbound::Ping(payload) => {
                self.control().await;
                self.outbound.push(ws::pong(&payload), Worth::Essential);
                return;
            }
            Inbound::Pong => return self.control().await,
            Inbound::Text(text) => Ok(text),
            Inbound::Binary => {
                Err(Refusal::new(ErrorCode::BINARY_FRAME, "version 1 is JSON in text frames: send text"))
            }
            Inbound::NotUtf8 => Err(Refusal::new(ErrorCode::MALFORMED, "the frame is not UTF-8")),
        };
        // Until there is a place nothing more is read, and the client's kernel holds the rest.
        let Some(permit) = self.permit(said.as_ref().map_or(0, Bytes::len)).await else { return };
        if self.outbound.ending().is_some() {
            return;
        }
        let served = match said {
            Ok(text) => self.answer(&text, permit).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = served {
            Box::pin(self.refuse(refusal)).await;
        }
    }

    async fn answer(&mut self, text: &[u8], permit: OwnedSemaphorePermit) -> Result<(), Refusal> {
        match codec::decode(text, self.grant.uid)? {
            ClientFrame::Post { text } => self.post(&text, permit).await,
            ClientFrame::History { before, limit } => Box::pin(self.history(before, limit)).await,
        }
    }

    /// A control frame costs little, but not nothing: of a flood the next isn't looked at before its time.
    async fn control(&mut self) {
        held_back(&mut self.controls, CONTROLS, &self.shared).await;
    }

    /// A place for so many bytes among what the session has under way.
    async fn permit(&self, size: usize) -> Option<OwnedSemaphorePermit> {
        let cost = (size + MESSAGE_OVERHEAD_BYTES).min(self.shared.limits.inflight_bytes_max);
        let cost = u32::try_from(cost).expect("a frame is far below 4 GiB");
        Arc::clone(&self.under_way).acquire_many_owned(cost).await.ok()
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
        let message = GroupMessage::Post { session: self.entry.id, draft, receipt };
        self.said = true;
        // An unreachable group drops the receipt, which tells the client.
        let _ = Box::pin(self.shared.groups.tell(&self.record, message)).await;
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
        let page = self.page(upto, before, limit).await;
        self.outbound.release(page.as_ref().ok().cloned());
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

    /// Answers a frame that can't be served. That costs, too, so a flood of them is slowed down: the next frame
    /// isn't looked at before its time.
    async fn refuse(&mut self, refusal: Refusal) {
        self.shared.metrics.refused(refusal.code);
        held_back(&mut self.refusals, REFUSALS, &self.shared).await;
        if self.outbound.room().await {
            self.outbound.push(codec::encode(ServerFrame::Error(&refusal)), Worth::Essential);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.metrics.sessions.dec();
    }
}

/// Asks the group for the roster that a slow client missed.
fn resync(seat: Option<&(SessionId, Arc<GroupSlot>)>) {
    if let Some((session, slot)) = seat {
        // A group that is being started again tells everyone its roster anyway.
        let _ = slot.tell(GroupMessage::Resync { session: *session });
    }
}

fn end_with(outbound: &Outbound, end: ReadEnd) {
    match end {
        ReadEnd::Closed => outbound.close(Some(CloseCode::NORMAL)),
        ReadEnd::Refused(code) => outbound.close(Some(code)),
        ReadEnd::Lost => outbound.abort(),
    }
}

fn close_code(denied: JoinDenied) -> CloseCode {
    match denied {
        JoinDenied::GroupDeleted => CloseCode::GROUP_DELETED,
        JoinDenied::Draining => CloseCode::DRAIN,
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

/// Lets one use pass, after its time when there have been too many.
async fn held_back(uses: &mut Bucket, rate: Rate, shared: &Shared) {
    if let Err(wait_ms) = uses.take(rate, shared.clock.mono_ms()) {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}

fn too_fast(wait_ms: u64) -> Refusal {
    Refusal::new(ErrorCode::RATE_LIMITED, format!("too fast: not stored, try again in {wait_ms} ms"))
}
