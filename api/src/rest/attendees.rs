//! `/api/groups/{id}/attendees`

use axum::Json;
use axum::extract::State;
use engine::domain::attendance::Role;
use engine::domain::ids::UserId;
use utoipa::ToSchema;

use super::shapes::Nothing;
use super::{InPath, group_id, user_id};
use crate::App;
use crate::auth::Tenant;
use crate::body::Fields;
use crate::error::{ApiError, ErrorBody};

/// Who is to attend.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct NewAttendee {
    /// The user's id.
    #[schema(min_length = 1, max_length = 128, example = "alice")]
    user: String,
}

/// What an attendee is there for.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct AttendeePatch {
    /// `member` or `moderator`.
    #[schema(pattern = "^(member|moderator)$", example = "moderator")]
    role: String,
}

/// Let a user attend a group. Attending already is no error; the roster shows it at once.
#[utoipa::path(post, path = "/api/groups/{id}/attendees", operation_id = "add_attendee", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
), request_body = NewAttendee, responses(
    (status = 200, description = "The user attends", body = Nothing),
    (status = 400, description = "Not a JSON object, or the path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group or user", body = ErrorBody),
    (status = 409, description = "The group is the one of two users", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn add(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
    fields: Fields,
) -> Result<Json<Nothing>, ApiError> {
    let user = fields.required("user", UserId::parse)?;
    app.engine.add_attendee(&service, &group_id(&id)?, user).await?;
    Ok(Json(Nothing {}))
}

/// Make an attendee a moderator or a member. The roster shows it at once.
#[utoipa::path(patch, path = "/api/groups/{id}/attendees/{user}", operation_id = "update_attendee", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
    ("user" = String, Path, description = "The user's id, percent-encoded"),
), request_body = AttendeePatch, responses(
    (status = 200, description = "The attendee has this role", body = Nothing),
    (status = 400, description = "Not a JSON object, or the path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group, or the user doesn't attend it", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn update(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath((id, user)): InPath<(String, String)>,
    fields: Fields,
) -> Result<Json<Nothing>, ApiError> {
    let role = fields.one_of("role", role, "must be member or moderator")?;
    let role = role.ok_or_else(|| ApiError::field("role", "is required"))?;
    app.engine.set_role(&service, &group_id(&id)?, &user_id(&user)?, role).await?;
    Ok(Json(Nothing {}))
}

fn role(word: &str) -> Option<Role> {
    match word {
        "member" => Some(Role::Member),
        "moderator" => Some(Role::Moderator),
        _ => None,
    }
}

/// End a user's attendance. Its sessions in the group are closed with 4503; not attending is no error.
#[utoipa::path(delete, path = "/api/groups/{id}/attendees/{user}", operation_id = "remove_attendee", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
    ("user" = String, Path, description = "The user's id, percent-encoded"),
), responses(
    (status = 200, description = "The user doesn't attend", body = Nothing),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group or user", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn remove(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath((id, user)): InPath<(String, String)>,
) -> Result<Json<Nothing>, ApiError> {
    app.engine.remove_attendee(&service, &group_id(&id)?, user_id(&user)?).await?;
    Ok(Json(Nothing {}))
}
