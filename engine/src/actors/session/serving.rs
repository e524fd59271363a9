//! What a client asks, and where it goes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::super::receipt::{Receipt, SessionAsker};
use super::super::told::GroupMessage;
use super::Session;
use super::paces::Pace;
use super::reading::seq_in;
use crate::domain::event::{Edit, EventKind, Extra, Marker, Message, Reaction};
use crate::domain::group::Speaker;
use crate::domain::ids::{ClientId, GroupId, Seq};
use crate::domain::message::{Draft, DraftError};
use crate::domain::profile::Change;
use crate::protocol::code::{CloseCode, ErrorCode};
use crate::protocol::frame::{Ack, Ask, Dialect, ErrorFrame, Post, Refusal, Request, ServerFrame};
use crate::protocol::{codec, ws};
use crate::socket::outbound::Worth;
use crate::socket::reader::Inbound;

/// What a message costs beyond its bytes while it is under way.
const MESSAGE_OVERHEAD_BYTES: usize = 512;

/// A request that isn't served, with what its error carries.
struct Refused {
    r: Option<u32>,
    group: Option<GroupId>,
    client_id: Option<ClientId>,
    refusal: Refusal,
}

impl Session {
    pub(super) async fn serve(&mut self, inbound: Inbound) {
        let said = match inbound {
            Inbound::Ping(payload) => {
                self.paces.control(&self.shared).await;
                self.outbound.push(ws::pong(&payload), Worth::Essential);
                return;
            }
            Inbound::Pong => return self.paces.control(&self.shared).await,
            Inbound::Text(text) if self.dialect != Dialect::V2Msgpack => Ok(text),
            Inbound::Binary(bytes) if self.dialect == Dialect::V2Msgpack => Ok(bytes),
            Inbound::Text(_) => {
                Err(Refusal::new(ErrorCode::BINARY_FRAME, "the encoding is MessagePack: send binary frames"))
            }
            Inbound::Binary(_) => {
                Err(Refusal::new(ErrorCode::BINARY_FRAME, "the encoding is JSON in text frames: send text"))
            }
            Inbound::NotUtf8 => Err(Refusal::new(ErrorCode::MALFORMED, "the frame is not UTF-8")),
        };
        // Until there is a place nothing more is read, and the client's kernel holds the rest.
        let Some(permit) = self.permit(said.as_ref().map_or(0, Bytes::len)).await else { return };
        if self.outbound.ending().is_some() {
            return;
        }
        let served = match said {
            Ok(payload) => self.answer(&payload, permit).await,
            Err(refusal) => Err(Refused { r: None, group: None, client_id: None, refusal }),
        };
        if let Err(refused) = served {
            self.let_go();
            Box::pin(self.refuse(&refused)).await;
        }
    }

    async fn answer(&mut self, payload: &[u8], permit: OwnedSemaphorePermit) -> Result<(), Refused> {
        let request = codec::decode(self.dialect, payload).map_err(|unreadable| Refused {
            r: unreadable.r,
            group: unreadable.group,
            client_id: unreadable.client_id,
            refusal: unreadable.refusal,
        })?;
        let Request { r, group, ask } = request;
        let client_id = match &ask {
            Ask::Post(post) => post.client_id.clone(),
            _ => None,
        };
        let served = self.serve_request(r, group.as_ref(), ask, permit).await;
        served.map_err(|refusal| Refused { r, group, client_id, refusal })
    }

    async fn serve_request(
        &mut self,
        r: Option<u32>,
        group: Option<&GroupId>,
        ask: Ask<'_>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Refusal> {
        let (action, pace) = kind(&ask);
        self.shared.metrics.frame(action);
        self.paces.take(pace, &self.shared)?;
        match ask {
            // What is said most often goes the shortest way, and holds no room for the others.
            Ask::Post(post) => {
                let index = self.place(group)?;
                self.let_go();
                self.post(r, index, post, permit).await
            }
            ask => Box::pin(self.serve_other(r, group, ask, permit)).await,
        }
    }

    /// What is no message.
    async fn serve_other(
        &mut self,
        r: Option<u32>,
        group: Option<&GroupId>,
        ask: Ask<'_>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Refusal> {
        match ask {
            Ask::Inbox { limit } => {
                self.let_go();
                return self.inbox(r, limit).await;
            }
            Ask::Join { resume } => {
                let group = group.ok_or_else(needs_group)?;
                if self.home.is_some() {
                    return Err(Refusal::new(
                        ErrorCode::ALREADY_JOINED,
                        "this connection is for one group: ask for a token with user alone to join others",
                    ));
                }
                return self.join(r, group, resume).await;
            }
            _ => {}
        }
        let index = self.place(group)?;
        if let Ask::Resume(point) = ask {
            return self.resume(r, index, &point).await;
        }
        self.let_go();
        match ask {
            Ask::History { edge, limit } => self.history(r, index, edge, limit).await,
            Ask::Roster => {
                let session = self.entry.id;
                // A group that is being started again tells everyone its roster anyway.
                let _ = self.places[index].slot.tell(GroupMessage::Resync { session, r });
                Ok(())
            }
            Ask::Leave => {
                self.leave_group(r, index);
                Ok(())
            }
            ask => self.ask_group(r, index, ask, permit).await,
        }
    }

    /// The group that a request is about.
    fn place(&self, group: Option<&GroupId>) -> Result<usize, Refusal> {
        let not_joined = || {
            Refusal::new(
                ErrorCode::NOT_JOINED,
                "the connection isn't in this group: join it first (14), or say which group with g",
            )
        };
        match group {
            None if self.home.is_some() => (!self.places.is_empty()).then_some(0).ok_or_else(not_joined),
            None => Err(needs_group()),
            // A seat that was taken away gives nothing to read either.
            Some(group) => self
                .places
                .iter()
                .position(|place| place.slot.record.id == *group && place.is_kept())
                .ok_or_else(not_joined),
        }
    }

    fn leave_group(&mut self, r: Option<u32>, index: usize) {
        let slot = Arc::clone(&self.places[index].slot);
        let ends = self.leave(index);
        if r.is_some() {
            let ack = Ack { scope: Some(slot.scope()), ..Ack::default() };
            if let Some(frame) = codec::encode(self.dialect, r, ServerFrame::Ack(&ack)) {
                self.outbound.push(frame, Worth::Essential);
            }
        }
        if ends {
            self.outbound.close(Some(CloseCode::NORMAL));
        }
    }

    async fn post(
        &mut self,
        r: Option<u32>,
        index: usize,
        post: Post<'_>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Refusal> {
        let Post { text, client_id, reply_to, custom, again: _ } = post;
        let draft = self.draft(&text)?;
        let uid = self.places[index].slot.record.uid;
        let reply_to = reply_to.map(|id| seq_in(id, uid, "d.rp")).transpose()?;
        let extra = Extra { client_id: client_id.clone(), reply_to, custom };
        let message = Message::new(draft.into_text(), extra);
        let receipt = self.receipt(r, index, client_id, permit);
        self.places[index].said = true;
        let speaker = Speaker::Session(self.entry.id);
        let marks = !self.dialect.is_v1();
        self.tell(index, GroupMessage::Say { speaker, message, marks, receipt }).await;
        Ok(())
    }

    fn draft(&self, text: &str) -> Result<Draft, Refusal> {
        Draft::parse(text, self.shared.limits.message_bytes_max).map_err(|error| {
            let code = match error {
                DraftError::Empty => ErrorCode::INVALID_FIELD,
                DraftError::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            };
            Refusal::new(code, error.to_string())
        })
    }

    /// What the group answers itself.
    async fn ask_group(
        &mut self,
        r: Option<u32>,
        index: usize,
        ask: Ask<'_>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Refusal> {
        let uid = self.places[index].slot.record.uid;
        let session = self.entry.id;
        let speaker = Speaker::Session(session);
        // Before the receipt is made, since dropping one says that it is uncertain what was done.
        let kind = match &ask {
            Ask::Edit { id, text, custom } => {
                if text.is_none() && *custom == Change::Keep {
                    return Err(Refusal::new(
                        ErrorCode::INVALID_FIELD,
                        "d needs m or x: what is to be changed",
                    ));
                }
                let text = text.as_ref().map(|text| self.draft(text)).transpose()?.map(Draft::into_text);
                Some(EventKind::Edit(Edit { of: seq_in(*id, uid, "d.i")?, text, custom: custom.clone() }))
            }
            Ask::Delete { id } => Some(EventKind::Delete { of: seq_in(*id, uid, "d.i")? }),
            Ask::React { id, key, set } => {
                let of = seq_in(*id, uid, "d.i")?;
                Some(EventKind::Reaction(Reaction { of, key: key.clone(), set: *set }))
            }
            _ => None,
        };
        let receipt = self.receipt(r, index, None, permit);
        let message = match (ask, kind) {
            (_, Some(kind)) => {
                self.places[index].said = true;
                GroupMessage::Change { speaker, kind, receipt }
            }
            (Ask::Mark { read, received }, _) => {
                let (read, received) = (read.unwrap_or(Seq(0)), received.unwrap_or(Seq(0)));
                GroupMessage::Mark { session, marker: Marker { read, received }, receipt }
            }
            (Ask::Typing { on }, _) => GroupMessage::Type { session, on, receipt },
            (Ask::Ephemeral { custom, to }, _) => GroupMessage::Whisper { session, custom, to, receipt },
            (Ask::Moderate { op, user, until_ms }, _) => {
                GroupMessage::Moderate { speaker, op, user, until_ms, receipt }
            }
            (other, _) => unreachable!("{other:?} is served elsewhere"),
        };
        self.tell(index, message).await;
        Ok(())
    }

    async fn tell(&self, index: usize, message: GroupMessage) {
        let record = &self.places[index].slot.record;
        // An unreachable group drops the receipt, which tells the client.
        let _ = Box::pin(self.shared.groups.tell(record, message)).await;
    }

    fn receipt(
        &self,
        r: Option<u32>,
        index: usize,
        client_id: Option<ClientId>,
        permit: OwnedSemaphorePermit,
    ) -> Receipt {
        let record = &self.places[index].slot.record;
        let asker = SessionAsker {
            outbound: Arc::clone(&self.outbound),
            dialect: self.dialect,
            r,
            group: record.id.clone(),
            uid: record.uid,
            client_id,
            permit,
        };
        Receipt::of_session(asker, Arc::clone(&self.shared))
    }

    /// A place for so many bytes among what the session has under way.
    async fn permit(&self, size: usize) -> Option<OwnedSemaphorePermit> {
        let cost = (size + MESSAGE_OVERHEAD_BYTES).min(self.shared.limits.inflight_bytes_max);
        let cost = u32::try_from(cost).expect("a frame is far below 4 GiB");
        Arc::clone(&self.under_way).acquire_many_owned(cost).await.ok()
    }

    /// Answers a frame that can't be served. That costs, too, so a flood of them is slowed down: the next frame
    /// isn't looked at before its time.
    async fn refuse(&mut self, refused: &Refused) {
        self.shared.metrics.refused(refused.refusal.code);
        self.paces.refusal(&self.shared).await;
        if self.outbound.room().await {
            let error = ErrorFrame {
                refusal: &refused.refusal,
                group: refused.group.as_ref(),
                client_id: refused.client_id.as_ref(),
            };
            if let Some(frame) = codec::encode(self.dialect, refused.r, ServerFrame::Error(&error)) {
                self.outbound.push(frame, Worth::Essential);
            }
        }
    }
}

fn needs_group() -> Refusal {
    Refusal::new(
        ErrorCode::INVALID_FIELD,
        "d.g must say which group, on a connection that isn't for one alone",
    )
}

/// What a request is called in the metrics, and how it is paced.
fn kind(ask: &Ask<'_>) -> (&'static str, Pace) {
    match ask {
        Ask::Post(_) => ("message", Pace::Send),
        Ask::Edit { .. } => ("edit", Pace::Send),
        Ask::Delete { .. } => ("delete", Pace::Send),
        Ask::React { .. } => ("reaction", Pace::Send),
        Ask::Moderate { .. } => ("moderation", Pace::Send),
        Ask::Roster => ("roster", Pace::Request),
        Ask::History { .. } => ("history", Pace::Request),
        Ask::Resume(_) => ("resume", Pace::Request),
        Ask::Join { .. } => ("join", Pace::Request),
        Ask::Leave => ("leave", Pace::Request),
        Ask::Inbox { .. } => ("inbox", Pace::Request),
        Ask::Mark { .. } => ("marker", Pace::Signal),
        Ask::Typing { .. } => ("typing", Pace::Signal),
        Ask::Ephemeral { .. } => ("ephemeral", Pace::Signal),
    }
}
