//! `/api/groups`

use axum::Json;
use axum::extract::State;
use engine::domain::ids::GroupId;
use engine::domain::profile;
use engine::engine as chat;
use http::StatusCode;

use super::page::InQuery;
use super::shapes::{Group, GroupDraft, GroupPatch, GroupWithAttendees, Groups, Nothing};
use super::{InPath, draft, group_id, patch, retention};
use crate::App;
use crate::auth::Tenant;
use crate::body::{self, Fields};
use crate::error::{ApiError, ErrorBody};

/// List groups in the order of their making.
#[utoipa::path(get, path = "/api/groups", operation_id = "list_groups", tag = "groups", params(
    ("offset" = Option<usize>, Query, description = "How many to pass over", minimum = 0),
    ("limit" = Option<usize>, Query, description = "How many at most", minimum = 1, maximum = 1000),
), responses(
    (status = 200, description = "Part of the groups", body = Groups),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 422, description = "A parameter breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    Tenant(service): Tenant,
    InQuery(page): InQuery,
) -> Result<Json<Groups>, ApiError> {
    let listing = app.engine.groups(&service, page).await?;
    Ok(Json(Groups::new(page, listing)))
}

/// Make a group.
#[utoipa::path(post, path = "/api/groups", operation_id = "create_group", tag = "groups", request_body = GroupDraft, responses(
    (status = 201, description = "Made", body = Group),
    (status = 400, description = "Not a JSON object", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 409, description = "The id is taken", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn create(
    State(app): State<App>,
    Tenant(service): Tenant,
    fields: Fields,
) -> Result<(StatusCode, Json<Group>), ApiError> {
    let (id, profile) = draft(&fields, GroupId::parse)?;
    let retention = body::set(retention::change(&fields)?);
    let group = app.engine.create_group(&service, chat::Draft { id, profile }, retention).await?;
    Ok((StatusCode::CREATED, Json(group.into())))
}

/// Show a group with who attends it.
#[utoipa::path(get, path = "/api/groups/{id}", operation_id = "show_group", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
), responses(
    (status = 200, description = "The group", body = GroupWithAttendees),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn show(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
) -> Result<Json<GroupWithAttendees>, ApiError> {
    let detail = app.engine.group(&service, &group_id(&id)?).await?;
    Ok(Json(GroupWithAttendees::at(app.unix_ms(), detail)))
}

/// Change how a group is shown, and how long what is said in it is kept.
#[utoipa::path(patch, path = "/api/groups/{id}", operation_id = "update_group", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
), request_body = GroupPatch, responses(
    (status = 200, description = "The group after the change", body = Group),
    (status = 400, description = "Not a JSON object, or the path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn update(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
    fields: Fields,
) -> Result<Json<Group>, ApiError> {
    let patch = profile::GroupPatch { profile: patch(&fields)?, retention: retention::change(&fields)? };
    let group = app.engine.update_group(&service, &group_id(&id)?, patch).await?;
    Ok(Json(group.into()))
}

/// Delete a group. Its live sessions are closed with 4504 and its history goes.
#[utoipa::path(delete, path = "/api/groups/{id}", operation_id = "delete_group", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
), responses(
    (status = 200, description = "Deleted", body = Nothing),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn delete(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
) -> Result<Json<Nothing>, ApiError> {
    app.engine.delete_group(&service, &group_id(&id)?).await?;
    Ok(Json(Nothing {}))
}
