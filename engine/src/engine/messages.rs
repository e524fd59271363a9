//! What the tenant's backend says, changes and reads in a group.

use std::sync::Arc;

use super::Engine;
use crate::actors::receipt::{Outcome, Receipt};
use crate::actors::told::{GroupMessage, Presence};
use crate::domain::event::{Edit, EventKind, Extra, Message, Shown};
use crate::domain::group::{Denied, Speaker};
use crate::domain::ids::{ClientId, GroupId, GroupUid, MessageId, Seq, ServiceId, UserId};
use crate::domain::message::Draft;
use crate::domain::profile::{Change, Custom, GroupRecord};
use crate::domain::roster::Attendee;
use crate::error::EngineError;
use crate::store::{Edge, HistoryPage, Window};

/// In whose name a backend acts: an attendee's, or its own.
pub type Author = Option<UserId>;

/// A message that a backend says.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// In whose name.
    pub author: Author,
    /// The text.
    pub text: Draft,
    /// The backend's own id of it, by which it is said once. It is of the author, so a message of nobody can't have one.
    pub client_id: Option<ClientId>,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// The backend's own data.
    pub custom: Option<Custom>,
}

/// A message that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// Its id.
    pub id: MessageId,
    /// When it was said, Unix milliseconds.
    pub time_ms: u64,
    /// It had been said before.
    pub duplicate: bool,
}

/// Who is online.
#[derive(Debug, Clone)]
pub struct OnlineUsers {
    /// How many.
    pub online: usize,
    /// The first of them, by id.
    pub users: Vec<Arc<Attendee>>,
}

impl Engine {
    /// Says something in a group.
    pub async fn post_message(
        &self,
        service: &ServiceId,
        id: &GroupId,
        new: NewMessage,
    ) -> Result<Posted, EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        let by = self.acting(&group, new.author.as_ref()).await?;
        let reply_to = new.reply_to.map(|id| seq_in(&group, id)).transpose()?;
        let extra = Extra { client_id: new.client_id, reply_to, custom: new.custom };
        let message = Message::new(new.text.into_text(), extra);
        let (receipt, answered) = Receipt::of_backend(Arc::clone(&self.shared));
        let speaker = Speaker::Backend(by);
        self.shared.groups.tell(&group, GroupMessage::Say { speaker, message, marks: true, receipt }).await?;
        let posted = |seq, time_ms, duplicate| Posted { id: message_id(&group, seq), time_ms, duplicate };
        match answered.await.unwrap_or(Err(EngineError::Uncertain))? {
            Outcome::Happened(event) => Ok(posted(event.seq, event.time_ms, false)),
            Outcome::Duplicate(said) => Ok(posted(said.seq, said.time_ms, true)),
            Outcome::Done => unreachable!("a message takes a place or has one"),
        }
    }

    /// Changes a message. Answers how it stands then.
    pub async fn edit_message(
        &self,
        service: &ServiceId,
        id: &GroupId,
        message: MessageId,
        author: Author,
        text: Option<Draft>,
        custom: Change<Custom>,
    ) -> Result<(GroupRecord, Shown), EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        let of = seq_in(&group, message)?;
        let text = text.map(Draft::into_text);
        self.change_message(&group, author, EventKind::Edit(Edit { of, text, custom })).await?;
        let shown = self.shown(group.uid, of).await?;
        Ok((group, shown))
    }

    /// Takes a message back. One that was deleted already is no error.
    pub async fn delete_message(
        &self,
        service: &ServiceId,
        id: &GroupId,
        message: MessageId,
        author: Author,
    ) -> Result<(), EngineError> {
        self.check_open()?;
        let group = self.find_group(service, id).await?;
        let of = seq_in(&group, message)?;
        self.change_message(&group, author, EventKind::Delete { of }).await
    }

    async fn change_message(
        &self,
        group: &GroupRecord,
        author: Author,
        kind: EventKind,
    ) -> Result<(), EngineError> {
        let speaker = Speaker::Backend(self.acting(group, author.as_ref()).await?);
        let (receipt, answered) = Receipt::of_backend(Arc::clone(&self.shared));
        self.shared.groups.tell(group, GroupMessage::Change { speaker, kind, receipt }).await?;
        answered.await.unwrap_or(Err(EngineError::Uncertain)).map(|_| ())
    }

    async fn shown(&self, group: GroupUid, seq: Seq) -> Result<Shown, EngineError> {
        let window = Window {
            upto: seq,
            edge: Edge::After(Seq(seq.0 - 1)),
            limit: 1,
            bytes_max: usize::MAX,
            reader: None,
        };
        let page = self.shared.history.page(group, window).await?;
        page.messages.into_iter().next().ok_or(EngineError::Denied(Denied::NoMessage))
    }

    /// A page of a group's messages, oldest first.
    pub async fn messages(
        &self,
        service: &ServiceId,
        id: &GroupId,
        edge: Edge,
        limit: usize,
    ) -> Result<(GroupRecord, HistoryPage), EngineError> {
        let group = self.find_group(service, id).await?;
        let page = self.page_of(&group, edge, limit).await?;
        Ok((group, page))
    }

    /// A page of the messages of a group that was found before.
    pub async fn page_of(
        &self,
        group: &GroupRecord,
        edge: Edge,
        limit: usize,
    ) -> Result<HistoryPage, EngineError> {
        let bytes_max = self.shared.limits.history_bytes_max;
        let window = Window { upto: Seq(u64::MAX - 1), edge, limit, bytes_max, reader: None };
        Ok(self.shared.history.page(group.uid, window).await?)
    }

    /// Who is online in a group, the first so many by id.
    pub async fn presence(
        &self,
        service: &ServiceId,
        id: &GroupId,
        limit: usize,
    ) -> Result<OnlineUsers, EngineError> {
        let group = self.find_group(service, id).await?;
        let nobody = OnlineUsers { online: 0, users: Vec::new() };
        // In a group that sleeps is nobody, and asking shall not wake it.
        let Some(slot) = self.shared.groups.get(group.uid) else { return Ok(nobody) };
        let (reply, told) = tokio::sync::oneshot::channel();
        if slot.tell(GroupMessage::Presence { limit, reply }).is_err() {
            return Ok(nobody);
        }
        let Presence { online, view } =
            told.await.map_err(|_| EngineError::GroupUnavailable { retry_after_ms: 1_000 })?;
        Ok(OnlineUsers { online, users: view.on })
    }
}

/// A message's place in its group's log.
pub(super) fn seq_in(group: &GroupRecord, id: MessageId) -> Result<Seq, EngineError> {
    if id.group == group.uid && id.seq.0 > 0 {
        Ok(id.seq)
    } else {
        Err(EngineError::Denied(Denied::NoMessage))
    }
}

fn message_id(group: &GroupRecord, seq: Seq) -> MessageId {
    MessageId { group: group.uid, seq }
}
