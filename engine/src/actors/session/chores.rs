//! What a session of version 2 does unasked: it lets live events go when its client keeps silent, gives a new ticket before
//! the old one ends, and tells of groups that it isn't in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::inboxes::Listening;
use super::{Session, resync};
use crate::config::Limits;
use crate::protocol::codec;
use crate::protocol::frame::ServerFrame;
use crate::socket::outbound::Worth;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chore {
    /// The client has had its time for a first word.
    LetGo,
    /// The ticket will end.
    Ticket,
    /// Something was said elsewhere.
    News,
    /// The client was slow, missed rosters, and has caught up.
    Resync,
}

/// When what is due.
pub(super) struct Chores {
    /// How long live events wait for the client's first word.
    patience: Duration,
    /// Until when they do.
    let_go: Option<Instant>,
    ticket: Instant,
    ticket_life: Duration,
    /// The earliest next telling of news.
    news: Instant,
    news_interval: Duration,
    listening: Option<Listening>,
    /// Rung by the writer when a slow client has caught up.
    caught_up: Arc<Notify>,
}

impl Chores {
    pub(super) fn new(limits: &Limits, returns: bool) -> Self {
        let wait_ms = if returns { limits.ticket_resume_wait_ms } else { limits.resume_wait_ms };
        let ticket_life = Duration::from_millis(limits.ticket_ttl_ms);
        Self {
            patience: Duration::from_millis(wait_ms),
            let_go: None,
            ticket: Instant::now() + ticket_life / 2,
            ticket_life,
            news: Instant::now(),
            news_interval: Duration::from_millis(limits.signal_interval_ms),
            listening: None,
            caught_up: Arc::default(),
        }
    }

    pub(super) fn await_first_word(&mut self) {
        self.let_go = Some(Instant::now() + self.patience);
    }

    /// The client has spoken. Whether live events waited for that.
    pub(super) fn hear_first_word(&mut self) -> bool {
        self.let_go.take().is_some()
    }

    /// For the writer, to ring when a slow client has caught up.
    pub(super) fn caught_up(&self) -> Arc<Notify> {
        Arc::clone(&self.caught_up)
    }

    pub(super) fn listen(&mut self, listening: Listening) {
        self.listening = Some(listening);
    }

    pub(super) fn listening(&self) -> Option<&Listening> {
        self.listening.as_ref()
    }

    /// Waits until something is due. Nothing is forgotten when it is dropped while it waits.
    pub(super) async fn due(&mut self) -> Chore {
        loop {
            let bell = self.listening.as_ref().map(Listening::bell);
            let news = bell.filter(|bell| bell.has_news()).map(|_| (self.news, Chore::News));
            let let_go = self.let_go.map(|at| (at, Chore::LetGo));
            let dues = [Some((self.ticket, Chore::Ticket)), let_go, news];
            let (at, chore) =
                dues.into_iter().flatten().min_by_key(|(at, _)| *at).expect("a ticket is always due");
            let rung = async {
                match bell.filter(|bell| !bell.has_news()) {
                    Some(bell) => bell.rung().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(at) => {}
                () = rung => continue,
                () = self.caught_up.notified() => return Chore::Resync,
            }
            match chore {
                Chore::LetGo => self.let_go = None,
                Chore::Ticket => self.ticket = Instant::now() + self.ticket_life / 2,
                Chore::News => self.news = Instant::now() + self.news_interval,
                Chore::Resync => {}
            }
            return chore;
        }
    }
}

impl Session {
    pub(super) async fn carry_out(&mut self, chore: Chore) {
        match chore {
            Chore::LetGo => self.outbound.release([]),
            Chore::Ticket => self.renew_ticket(),
            Chore::News => self.tell_news().await,
            Chore::Resync => self.places.iter().for_each(|place| resync(self.entry.id, &place.slot)),
        }
    }

    /// The client has said something that is no resume: live events wait no longer.
    pub(super) fn let_go(&mut self) {
        if self.chores.as_mut().is_some_and(|chores| chores.hear_first_word()) {
            self.outbound.release([]);
        }
    }

    fn renew_ticket(&self) {
        // Without one the client asks its backend for a token, as after a day.
        let Ok((ticket, expires_ms)) = self.ticket() else { return };
        if let Some(frame) = codec::encode(self.dialect, None, ServerFrame::Ticket(&ticket, expires_ms)) {
            self.outbound.push(frame, Worth::Essential);
        }
    }
}
