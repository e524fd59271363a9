//! `/api/groups/{id}/messages`

use axum::Json;
use axum::extract::State;
use engine::domain::ids::{ClientId, MessageId, Seq, UserId};
use engine::domain::message::Before;
use engine::domain::profile::Change;
use engine::engine as chat;
use engine::store::Edge;
use http::StatusCode;

use super::message::{Message, MessagePatch, Messages, NewMessage, PostedMessage};
use super::page::{Pairs, digits};
use super::shapes::Nothing;
use super::{InPath, group_id, message_id, no_message};
use crate::App;
use crate::auth::Tenant;
use crate::body::{self, Fields, WHOLE_MAX};
use crate::error::{ApiError, ErrorBody};

/// Digits of [`WHOLE_MAX`].
const SEQ_DIGITS_MAX: usize = 16;

/// Page through what was said, oldest first: the newest messages, or those next to another.
#[utoipa::path(get, path = "/api/groups/{id}/messages", operation_id = "list_messages", tag = "messages", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
    ("before" = Option<String>, Query, description = "The newest ones before this: a message's id or a sequence number"),
    ("after" = Option<String>, Query, description = "The oldest ones after this: a message's id or a sequence number"),
    ("limit" = Option<usize>, Query, description = "How many at most", minimum = 1, maximum = 100),
), responses(
    (status = 200, description = "Part of the messages, fewer than asked for when they are large", body = Messages),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group, or no such message in it", body = ErrorBody),
    (status = 422, description = "A parameter breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
    query: Pairs,
) -> Result<Json<Messages>, ApiError> {
    let limits = app.engine.limits();
    let limit = query.whole("limit", limits.history_items_default, 1, limits.history_items_max)?;
    let (edge, next_to) = edge(&query)?;
    let (group, page) = app.engine.messages(&service, &group_id(&id)?, edge, limit).await?;
    if next_to.is_some_and(|message| message.group != group.uid) {
        return Err(no_message());
    }
    Ok(Json(Messages::of(group.uid, page)))
}

/// Where the page lies, and the message that says so, if one does: it must be the group's.
fn edge(query: &Pairs) -> Result<(Edge, Option<MessageId>), ApiError> {
    let (seq, message, edge): (Seq, _, fn(Seq) -> Edge) =
        match (place(query, "before")?, place(query, "after")?) {
            (None, None) => return Ok((Edge::Newest, None)),
            (Some((seq, message)), None) => (seq, message, |seq| Edge::Before(Before::Seq(seq))),
            (None, Some((seq, message))) => (seq, message, Edge::After),
            (Some(_), Some(_)) => {
                return Err(ApiError::field("after", "can't be given together with before"));
            }
        };
    Ok((edge(seq), message))
}

/// A place in the log, given as a message's id or a sequence number.
fn place(query: &Pairs, field: &'static str) -> Result<Option<(Seq, Option<MessageId>)>, ApiError> {
    let Some(given) = query.text(field) else { return Ok(None) };
    if let Some(message) = MessageId::parse(given) {
        return Ok(Some((message.seq.min(Seq(WHOLE_MAX)), Some(message))));
    }
    // No longer than the largest one: what is left of an id that was cut is none.
    let seq = Some(given).filter(|given| given.len() <= SEQ_DIGITS_MAX).and_then(digits);
    let seq = seq.filter(|seq| *seq <= WHOLE_MAX).map(Seq);
    let seq = seq.ok_or_else(|| ApiError::field(field, "must be a message's id or a sequence number"))?;
    Ok(Some((seq, None)))
}

/// Say something in a group, as one of its attendees or as the tenant's backend itself.
#[utoipa::path(post, path = "/api/groups/{id}/messages", operation_id = "post_message", tag = "messages", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
), request_body = NewMessage, responses(
    (status = 200, description = "It had been said before, with this client_id", body = PostedMessage),
    (status = 201, description = "Said", body = PostedMessage),
    (status = 400, description = "Not a JSON object, or the path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group, no such message to reply to, or the user doesn't attend the group", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn post(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
    fields: Fields,
) -> Result<(StatusCode, Json<PostedMessage>), ApiError> {
    let text = fields.message_text(app.engine.limits().message_bytes_max)?;
    let new = chat::NewMessage {
        author: fields.optional("user", UserId::parse)?,
        text: text.ok_or_else(|| ApiError::field("text", "is required"))?,
        client_id: client_id(&fields)?,
        reply_to: fields.message_id("reply_to")?,
        custom: body::set(fields.custom()?),
    };
    if new.client_id.is_some() && new.author.is_none() {
        return Err(ApiError::field("client_id", "needs user: it is the user's own id of the message"));
    }
    let posted = app.engine.post_message(&service, &group_id(&id)?, new).await?;
    let status = if posted.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(posted.into())))
}

fn client_id(fields: &Fields) -> Result<Option<ClientId>, ApiError> {
    fields.one_of("client_id", ClientId::parse, "must have 1 to 64 characters without control characters")
}

/// Change a message, as its author, as a moderator, or as the tenant's backend itself.
#[utoipa::path(patch, path = "/api/groups/{id}/messages/{message}", operation_id = "update_message", tag = "messages", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
    ("message" = String, Path, description = "The message's id"),
), request_body = MessagePatch, responses(
    (status = 200, description = "The message after the change", body = Message),
    (status = 400, description = "Not a JSON object, or the path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 403, description = "The user is neither its author nor a moderator", body = ErrorBody),
    (status = 404, description = "No such group, no such message in it, or the user doesn't attend the group", body = ErrorBody),
    (status = 409, description = "The message was deleted", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn update(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath((id, message)): InPath<(String, String)>,
    fields: Fields,
) -> Result<Json<Message>, ApiError> {
    if fields.is_null("text") {
        return Err(ApiError::field("text", "can't be taken away: delete the message instead"));
    }
    let text = fields.message_text(app.engine.limits().message_bytes_max)?;
    let custom = fields.custom()?;
    let author = fields.optional("user", UserId::parse)?;
    if text.is_none() && custom == Change::Keep {
        return Err(ApiError::field("text", "is required, unless custom is given"));
    }
    let (id, message) = (group_id(&id)?, message_id(&message)?);
    let (group, shown) = app.engine.edit_message(&service, &id, message, author, text, custom).await?;
    Ok(Json(Message::of(group.uid, shown)))
}

/// Delete a message, as its author, as a moderator, or as the tenant's backend itself. Its place stays.
#[utoipa::path(delete, path = "/api/groups/{id}/messages/{message}", operation_id = "delete_message", tag = "messages", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
    ("message" = String, Path, description = "The message's id"),
    ("user" = Option<String>, Query, description = "Who deletes it: its author or a moderator. The tenant's backend itself when absent"),
), responses(
    (status = 200, description = "Deleted, now or before", body = Nothing),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 403, description = "The user is neither its author nor a moderator", body = ErrorBody),
    (status = 404, description = "No such group, no such message in it, or the user doesn't attend the group", body = ErrorBody),
    (status = 422, description = "A parameter breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn delete(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath((id, message)): InPath<(String, String)>,
    query: Pairs,
) -> Result<Json<Nothing>, ApiError> {
    let author = query.text("user").map(UserId::parse).transpose();
    let author = author.map_err(|rule| ApiError::field("user", rule))?;
    app.engine.delete_message(&service, &group_id(&id)?, message_id(&message)?, author).await?;
    Ok(Json(Nothing {}))
}
