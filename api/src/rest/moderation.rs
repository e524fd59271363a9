//! `/api/groups/{id}/moderation`

use axum::Json;
use axum::extract::State;
use engine::domain::event::{Event, EventKind, ModerationOp};
use engine::domain::ids::UserId;
use engine::engine::ModerationOrder;
use serde::Serialize;
use utoipa::ToSchema;

use super::{InPath, group_id};
use crate::App;
use crate::auth::Tenant;
use crate::body::{Fields, WHOLE_MAX};
use crate::error::{ApiError, ErrorBody};

/// What is to be done to an attendee.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct ModerationRequest {
    /// `mute`, `unmute`, `kick`, `ban` or `unban`.
    #[schema(pattern = "^(mute|unmute|kick|ban|unban)$", example = "mute")]
    op: String,
    /// The attendee's id.
    #[schema(min_length = 1, max_length = 128, example = "alice")]
    user: String,
    /// Until when a mute or a ban holds, Unix milliseconds; until it is lifted when absent.
    until: Option<u64>,
    /// The moderator who does it. The tenant's backend itself when absent.
    #[schema(min_length = 1, max_length = 128, example = "bob")]
    by: Option<String>,
}

/// What was done to an attendee: an event of the group's log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Moderation {
    /// Its place in the group's log.
    #[schema(example = 7)]
    seq: u64,
    /// What was done.
    #[schema(value_type = String, example = "mute")]
    op: &'static str,
    /// To whom.
    #[schema(example = "alice")]
    user: String,
    /// Until when, Unix milliseconds; until it is lifted when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// The moderator who did it; absent when that was the tenant's backend itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// When, Unix milliseconds.
    time: u64,
}

/// Mute, kick or ban an attendee, or lift that.
#[utoipa::path(post, path = "/api/groups/{id}/moderation", operation_id = "moderate", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
), request_body = ModerationRequest, responses(
    (status = 200, description = "Done", body = Moderation),
    (status = 400, description = "Not a JSON object, or the path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 403, description = "Who does it isn't a moderator, or the attendee is one, too", body = ErrorBody),
    (status = 404, description = "No such group, or one of the users doesn't attend it", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn moderate(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
    fields: Fields,
) -> Result<Json<Moderation>, ApiError> {
    let order = order(&fields)?;
    Ok(Json(app.engine.moderate(&service, &group_id(&id)?, order).await?.into()))
}

fn order(fields: &Fields) -> Result<ModerationOrder, ApiError> {
    let op = fields.one_of("op", ModerationOp::parse, "must be mute, unmute, kick, ban or unban")?;
    let op = op.ok_or_else(|| ApiError::field("op", "is required"))?;
    let user = fields.required("user", UserId::parse)?;
    let until_ms = fields.whole("until", 0, WHOLE_MAX)?;
    let by = fields.optional("by", UserId::parse)?;
    if until_ms.is_some() && !op.may_end() {
        return Err(ApiError::field("until", "is for mute and ban alone"));
    }
    Ok(ModerationOrder { op, user, until_ms, by })
}

impl From<Event> for Moderation {
    fn from(event: Event) -> Self {
        let by = event.by.user().map(|user| user.id.as_str().to_owned());
        let EventKind::Moderation(moderation) = event.kind else {
            unreachable!("what moderates is an event of moderation")
        };
        Self {
            seq: event.seq.0,
            op: moderation.op.word(),
            user: moderation.user.map(|user| user.id.as_str().to_owned()).unwrap_or_default(),
            until: moderation.until_ms,
            by,
            time: event.time_ms,
        }
    }
}
