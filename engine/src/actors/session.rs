//! A session: one user's WebSocket. It reads what the client asks, and asks the groups that it is in.
//!
//! It is an actor without a mailbox, and so a task and not a ractor actor: nobody sends it messages. What it is to
//! send stands in its [`Outbound`], which also tells it to end, and all that it hears comes from its socket. ADR 0003
//! says what that saves.
//!
//! Here is its life. [`places`] are the groups that it is in, [`serving`] is what its client asks, [`reading`] and [`catching_up`]
//! what it is given of the log, [`inbox`] what it is told of groups that it isn't in, [`chores`] what it does unasked, and [`paces`] how fast
//! its client may be.

mod catching_up;
mod chores;
mod inbox;
mod paces;
mod places;
mod reading;
mod serving;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::Shared;
use super::directory::GroupSlot;
use super::sessions::{Entry, Farewell};
use super::told::GroupMessage;
use crate::chance;
use crate::domain::access::Grant;
use crate::domain::ids::SessionId;
use crate::domain::profile::GroupRecord;
use crate::protocol::code::CloseCode;
use crate::protocol::codec;
use crate::protocol::frame::{Dialect, ServerFrame};
use crate::socket::outbound::Outbound;
use crate::socket::reader::{Inbound, ReadEnd, Reader};
use crate::socket::{Socket, reader, writer};
use crate::tokens::ticket::Ticket;
use chores::Chores;
use paces::Paces;
use places::Place;

/// What a session begins with.
pub(crate) struct SessionArguments {
    pub(crate) shared: Arc<Shared>,
    pub(crate) grant: Grant,
    /// The group that it is for, if it is for one alone.
    pub(crate) home: Option<Box<GroupRecord>>,
    pub(crate) dialect: Dialect,
    /// It came with a ticket, and so will ask for what it missed.
    pub(crate) returns: bool,
    /// Given back when the session ends, whichever way.
    pub(crate) on_end: Box<dyn Send + Sync>,
}

/// A session, while it listens to its client.
pub(crate) struct Session {
    shared: Arc<Shared>,
    grant: Grant,
    home: Option<Box<GroupRecord>>,
    dialect: Dialect,
    outbound: Arc<Outbound>,
    paces: Paces,
    /// What the client may have under way, in bytes.
    under_way: Arc<Semaphore>,
    /// What a session of version 2 does unasked.
    chores: Option<Box<Chores>>,
    // Dropped in this order: the seats, the entry, the place among the connections.
    places: Vec<Place>,
    entry: Entry,
    _on_end: Box<dyn Send + Sync>,
}

impl Session {
    pub(crate) fn new(arguments: SessionArguments) -> Self {
        let SessionArguments { shared, grant, home, dialect, returns, on_end } = arguments;
        shared.metrics.sessions.inc();
        shared.metrics.sessions_opened.inc();
        let outbound = Arc::new(Outbound::new(shared.limits.outbound_bytes_max));
        let farewell = (!dialect.is_v1()).then(|| farewell(&shared, &grant, dialect));
        let user = (grant.service.clone(), grant.user.clone());
        Self {
            paces: Paces::new(&shared.limits, shared.clock.mono_ms()),
            under_way: Arc::new(Semaphore::new(shared.limits.inflight_bytes_max)),
            entry: shared.sessions.enter(user, shared.limits.sessions_per_user_max, &outbound, farewell),
            chores: (!dialect.is_v1()).then(|| Box::new(Chores::new(&shared.limits, returns))),
            places: Vec::new(),
            home,
            dialect,
            outbound,
            shared,
            grant,
            _on_end: on_end,
        }
    }

    /// Where frames for the client go.
    pub(crate) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Lives until the client or the engine ends it.
    pub(crate) async fn run(mut self, socket: Socket) {
        let Socket { stream, read_ahead } = socket;
        let (stream, outbound) = (Arc::new(stream), Arc::clone(&self.outbound));
        outbound.attach(Arc::clone(&stream));
        self.serve_stream(&stream, read_ahead).await;
        // Whoever still holds the queue doesn't hold the socket.
        outbound.detach();
        // Before the socket is closed: who sees that may come back at once, and finds its place free.
        drop(self);
    }

    async fn serve_stream(&mut self, stream: &TcpStream, mut read_ahead: Bytes) {
        self.shared.turnstile.pass().await;
        // Boxed, because what a task once needed it holds as long as it lives.
        if let Err(code) = Box::pin(self.enter()).await {
            self.outbound.close(Some(code));
        }
        let (outbound, shared) = (Arc::clone(&self.outbound), Arc::clone(&self.shared));
        let limits = &*shared.limits;
        let seat = self.home.as_ref().and(self.places.first()).map(|place| Arc::clone(&place.slot));
        let (session, bell) = (self.entry.id, self.chores.as_ref().map(|chores| chores.caught_up()));
        let caught_up = || match (&seat, &bell) {
            (Some(slot), _) => resync(session, slot),
            (None, Some(bell)) => bell.notify_one(),
            (None, None) => {}
        };
        let mut writing = pin!(writer::run(stream, &outbound, limits, caught_up));
        let end = {
            // What was read ahead holds the whole buffer of the handshake, and is let go.
            let mut reader = Reader::new(stream, &std::mem::take(&mut read_ahead), &outbound, limits);
            tokio::select! {
                biased;
                () = &mut writing => None,
                end = self.listen(&mut reader) => Some(end),
            }
        };
        shared.turnstile.pass().await;
        // Whoever says no more is gone for the others, however long the goodbye takes.
        self.places.clear();
        self.chores = None;
        let mut discarding = pin!(reader::discard(stream));
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
            let inbound = match self.chores.is_some() {
                // Boxed, so that a session of version 1 doesn't hold the place for it.
                true => Box::pin(self.hear_and_do_chores(reader)).await,
                false => reader.next().await,
            };
            match inbound {
                // Boxed: a silent session holds no room for what serving takes.
                Ok(inbound) => Box::pin(self.serve(inbound)).await,
                Err(end) => return end,
            }
        }
    }

    /// Begins: takes the seat that the session is for, if it is for one.
    async fn enter(&mut self) -> Result<(), CloseCode> {
        if !self.entry.fits {
            return Err(CloseCode::TOO_MANY);
        }
        match (self.home.clone(), self.dialect) {
            (Some(home), Dialect::V1) => self.enter_as_version_1(&home).await,
            (Some(home), _) => self.enter_home(&home).await,
            // Version 1 knows no groups to join.
            (None, Dialect::V1) => Err(CloseCode::TOKEN_INVALID),
            (None, _) => self.enter_the_hall().await,
        }
    }

    /// A ticket for the next connection, and its end in Unix milliseconds.
    fn ticket(&self) -> Result<(String, u64), CloseCode> {
        new_ticket(&self.shared, &self.grant).map_err(|error| {
            tracing::error!(%error, "a ticket can't be made");
            CloseCode::INTERNAL
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.metrics.sessions.dec();
    }
}

fn new_ticket(shared: &Shared, grant: &Grant) -> Result<(String, u64), chance::NoChance> {
    let expires_ms = shared.clock.now().unix_ms.saturating_add(shared.limits.ticket_ttl_ms);
    let ticket = Ticket { grant: grant.clone(), expires_ms, nonce: chance::bytes()? };
    Ok((shared.tickets.sign(&ticket), expires_ms))
}

/// What a session is told when the engine stops: when to come back, and a ticket to do it with.
fn farewell(shared: &Arc<Shared>, grant: &Grant, dialect: Dialect) -> Farewell {
    let (shared, grant) = (Arc::clone(shared), grant.clone());
    Box::new(move || {
        let (ticket, _) = new_ticket(&shared, &grant).ok()?;
        // Spread, so that not all come back at once.
        let wait_ms = chance::number().ok()? % shared.limits.drain_spread_ms.max(1);
        codec::encode(dialect, None, ServerFrame::Drain(wait_ms, &ticket))
    })
}

/// Asks a group for the roster that a slow client missed.
fn resync(session: SessionId, slot: &GroupSlot) {
    // A group that is being started again tells everyone its roster anyway.
    let _ = slot.tell(GroupMessage::Resync { session, r: None });
}

fn end_with(outbound: &Outbound, end: ReadEnd) {
    match end {
        ReadEnd::Closed => outbound.close(Some(CloseCode::NORMAL)),
        ReadEnd::Refused(code) => outbound.close(Some(code)),
        ReadEnd::Lost => outbound.abort(),
    }
}

impl Session {
    async fn hear_and_do_chores(&mut self, reader: &mut Reader<'_>) -> Result<Inbound, ReadEnd> {
        let mut hearing = pin!(reader.next());
        loop {
            let Some(chores) = &mut self.chores else { return hearing.await };
            let chore = tokio::select! {
                biased;
                inbound = &mut hearing => return inbound,
                chore = chores.due() => chore,
            };
            self.carry_out(chore).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_task<F: Future>(_: impl Fn(Session, Socket) -> F) -> usize {
        size_of::<F>()
    }

    /// What a session's task holds as long as it lives, whatever it does: what serving takes is boxed.
    #[test]
    fn a_silent_session_holds_little() {
        let size = size_of_task(Session::run);
        assert!(size < 3 * 1024, "{size} bytes");
    }
}
