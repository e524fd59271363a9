//! How a WebSocket becomes a session: with a token or with a ticket, each of which works once.

use std::fmt::Display;
use std::sync::Arc;

use super::Engine;
use crate::actors::session::{Session, SessionArguments};
use crate::domain::access::{Grant, Place};
use crate::domain::profile::GroupRecord;
use crate::protocol::code::CloseCode;
use crate::protocol::frame::Dialect;
use crate::socket::Socket;

use crate::tokens::Token;

/// What a client is let in with.
struct Pass {
    grant: Grant,
    /// The group that it is for, if it is for one alone.
    home: Option<Box<GroupRecord>>,
    is_ticket: bool,
}

impl Engine {
    /// Serves a WebSocket whose client came with a token or a ticket, in the dialect that was agreed on. Answers when the session has begun or was
    /// refused; `on_end` is dropped when it has ended.
    pub async fn open_session(
        &self,
        socket: Socket,
        token: &str,
        dialect: Dialect,
        on_end: Box<dyn Send + Sync>,
    ) {
        let goodbyes = self.shared.sessions.goodbyes();
        match self.admit(token).await {
            Ok(Pass { grant, home, is_ticket: returns }) => {
                let shared = Arc::clone(&self.shared);
                let is_for = grant.clone();
                let session =
                    Session::new(SessionArguments { shared, grant, home, dialect, returns, on_end });
                if let Err(code) = self.check_again(&is_for, goodbyes).await {
                    session.outbound().close(Some(code));
                }
                tokio::spawn(session.run(socket));
            }
            Err(code) => {
                self.shared.metrics.closed(code);
                socket.refuse(code, &self.shared.limits).await;
            }
        }
    }

    async fn admit(&self, text: &str) -> Result<Pass, CloseCode> {
        if self.check_open().is_err() {
            return Err(CloseCode::DRAIN);
        }
        let (grant, is_ticket) = match Token::parse(text) {
            Some(token) => {
                let redeemed = self.tokens.redeem(&token, self.shared.clock.now().unix_ms).await;
                let grant = redeemed.map_err(unreadable)?.ok_or(CloseCode::TOKEN_INVALID)?;
                self.check_user(&grant).await?;
                (grant, false)
            }
            None => (self.redeem_ticket(text).await?, true),
        };
        let home = match &grant.place {
            Some(place) => Some(Box::new(self.home(&grant, place).await?)),
            None => None,
        };
        Ok(Pass { grant, home, is_ticket })
    }

    async fn redeem_ticket(&self, text: &str) -> Result<Grant, CloseCode> {
        let unix_ms = self.shared.clock.now().unix_ms;
        let ticket = self.shared.tickets.open(text, unix_ms).ok_or(CloseCode::TOKEN_INVALID)?;
        // First, so that a store that can't tell now doesn't spend the ticket.
        self.check_user(&ticket.grant).await?;
        let first = self.used.first(ticket.nonce, unix_ms, ticket.expires_ms).await.map_err(unreadable)?;
        if first { Ok(ticket.grant) } else { Err(CloseCode::TOKEN_INVALID) }
    }

    /// The group that a grant is for, if its user may still come in.
    async fn home(&self, grant: &Grant, place: &Place) -> Result<GroupRecord, CloseCode> {
        let directory = &self.shared.directory;
        let record = directory.group(&grant.service, &place.group).await.map_err(unreadable)?;
        let record = record.filter(|record| record.uid == place.uid).ok_or(CloseCode::GROUP_DELETED)?;
        // The group looks, too; but it may not have been told yet that the user is deleted.
        let attendance = directory.attendance(&record, &grant.user.id).await.map_err(unreadable)?;
        let attendance = attendance.filter(|it| it.user == grant.user).ok_or(CloseCode::REMOVED)?;
        if attendance.standing.is_banned(self.shared.clock.now().unix_ms) {
            return Err(CloseCode::BANNED);
        }
        if attendance.standing.stint == place.stint { Ok(record) } else { Err(CloseCode::REMOVED) }
    }

    /// That a grant's user is still there, in that life, and wasn't signed out since.
    async fn check_user(&self, grant: &Grant) -> Result<(), CloseCode> {
        let user = self.shared.directory.user(&grant.service, &grant.user.id).await.map_err(unreadable)?;
        let user = user.filter(|user| user.uid == grant.user.uid).ok_or(CloseCode::REMOVED)?;
        if grant.sign_outs == user.sign_outs { Ok(()) } else { Err(CloseCode::DISCONNECTED) }
    }

    /// What may have happened after a grant was looked at and before its session could be found: a drain, or a user's last goodbye.
    async fn check_again(&self, grant: &Grant, goodbyes: u64) -> Result<(), CloseCode> {
        if self.check_open().is_err() {
            return Err(CloseCode::DRAIN);
        }
        if self.shared.sessions.goodbyes() == goodbyes { Ok(()) } else { self.check_user(grant).await }
    }
}

// By value, because it stands where an error is mapped.
#[allow(clippy::needless_pass_by_value)]
fn unreadable(error: impl Display) -> CloseCode {
    tracing::error!(%error, "who comes in can't be looked up");
    CloseCode::INTERNAL
}
