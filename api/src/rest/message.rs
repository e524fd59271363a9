//! A message as it is sent and answered.

use std::collections::BTreeMap;

use engine::domain::event::{Actor, Shown};
use engine::domain::ids::{GroupUid, MessageId};
use engine::engine::Posted;
use engine::store::HistoryPage;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::shapes::is_false;

/// A message as it stands now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    /// Its id.
    #[schema(example = "f795385f03d8e0420000000000000001")]
    id: String,
    /// Its place in the group's log.
    #[schema(example = 1)]
    seq: u64,
    /// When it was said, Unix milliseconds.
    #[schema(example = 1_795_380_078_026_u64)]
    time: u64,
    /// Who said it; absent when that was the tenant's backend itself, or a user that was deleted since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "alice")]
    user: Option<String>,
    /// Who said it was deleted since.
    #[serde(skip_serializing_if = "is_false")]
    erased: bool,
    /// What was said; absent when that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "hello")]
    text: Option<String>,
    /// Its sender's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The id of the message that it replies to.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    /// Its sender's own data: any JSON value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    custom: Option<Box<RawValue>>,
    /// When it was edited last, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<u64>,
    /// It was deleted: only its place is left.
    #[serde(skip_serializing_if = "is_false")]
    deleted: bool,
    /// How many set each reaction.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reactions: BTreeMap<String, u64>,
}

/// Part of a group's messages, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Messages {
    /// This part of them.
    items: Vec<Message>,
    /// Whether there are more beyond: before the first of them, or with `after` behind the last of them.
    more: bool,
}

/// A message to be said.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct NewMessage {
    /// What is said, 1 byte to 16 KiB.
    #[schema(min_length = 1, example = "hello")]
    text: String,
    /// Who says it, an attendee. The tenant's backend itself when absent.
    #[schema(min_length = 1, max_length = 128, example = "alice")]
    user: Option<String>,
    /// The backend's own id of the message: what is sent again with it is said once. It needs `user`.
    #[schema(min_length = 1, max_length = 64)]
    client_id: Option<String>,
    /// The id of the message that it replies to.
    reply_to: Option<String>,
    /// The backend's own data: any JSON value up to 4 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    custom: Option<Box<RawValue>>,
}

/// A change of a message: what is absent stays. One of `text` and `custom` is needed.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct MessagePatch {
    /// The new text, 1 byte to 16 KiB. It can't be taken away.
    #[schema(min_length = 1, nullable = false)]
    text: Option<String>,
    /// The backend's own data: any JSON value up to 4 KiB; null takes it away.
    #[schema(value_type = Option<serde_json::Value>)]
    custom: Option<Box<RawValue>>,
    /// Who changes it: its author or a moderator. The tenant's backend itself when absent.
    #[schema(min_length = 1, max_length = 128)]
    user: Option<String>,
}

/// Where a message stands that was said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PostedMessage {
    /// Its id.
    #[schema(example = "f795385f03d8e0420000000000000001")]
    id: String,
    /// Its place in the group's log.
    #[schema(example = 1)]
    seq: u64,
    /// When it was said, Unix milliseconds.
    #[schema(example = 1_795_380_078_026_u64)]
    time: u64,
    /// It had been said before, with this `client_id`.
    #[serde(skip_serializing_if = "is_false")]
    duplicate: bool,
}

impl Message {
    /// A message of this group.
    pub(crate) fn of(group: GroupUid, shown: Shown) -> Self {
        let id = |seq| MessageId { group, seq }.to_string();
        let message = shown.message;
        Self {
            id: id(shown.seq),
            seq: shown.seq.0,
            time: shown.time_ms,
            user: shown.author.user().map(|user| user.id.as_str().to_owned()),
            erased: shown.author == Actor::Erased,
            text: (!message.deleted).then(|| message.text.as_ref().to_owned()),
            client_id: message.client_id().map(|id| id.as_str().to_owned()),
            reply_to: message.reply_to().map(id),
            custom: message.custom().map(engine::domain::profile::Custom::to_raw),
            edited: shown.edited_ms,
            deleted: message.deleted,
            reactions: shown.reactions.iter().map(|(key, count)| (key.as_str().to_owned(), *count)).collect(),
        }
    }
}

impl Messages {
    /// A page of this group.
    pub(crate) fn of(group: GroupUid, page: HistoryPage) -> Self {
        let items = page.messages.into_iter().map(|shown| Message::of(group, shown)).collect();
        Self { items, more: page.more }
    }
}

impl From<Posted> for PostedMessage {
    fn from(posted: Posted) -> Self {
        let Posted { id, time_ms, duplicate } = posted;
        Self { id: id.to_string(), seq: id.seq.0, time: time_ms, duplicate }
    }
}
