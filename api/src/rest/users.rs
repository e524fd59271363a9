//! `/api/users`

use axum::Json;
use axum::extract::State;
use engine::domain::ids::UserId;
use engine::engine as chat;
use engine::store::Erased;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::InQuery;
use super::shapes::{Draft, Patch, User, Users};
use super::{InPath, draft, patch, user_id};
use crate::App;
use crate::auth::Tenant;
use crate::body::Fields;
use crate::error::{ApiError, ErrorBody};

/// What became of a user that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedUser {
    /// How many groups the user attended.
    groups: usize,
    /// How many messages have no author any more.
    messages: u64,
    /// How many edits, deletions, reactions and acts of moderation nobody did any more, or were done to nobody.
    events: u64,
    /// How many reactions still count, but are nobody's.
    reactions: u64,
    /// How many markers are gone.
    markers: u64,
}

/// What was disconnected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Disconnected {
    /// How many sessions were closed.
    sessions: usize,
}

/// List users in the order of their making, each with its groups.
#[utoipa::path(get, path = "/api/users", operation_id = "list_users", tag = "users", params(
    ("offset" = Option<usize>, Query, description = "How many to pass over", minimum = 0),
    ("limit" = Option<usize>, Query, description = "How many at most", minimum = 1, maximum = 1000),
), responses(
    (status = 200, description = "Part of the users", body = Users),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 422, description = "A parameter breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<App>,
    Tenant(service): Tenant,
    InQuery(page): InQuery,
) -> Result<Json<Users>, ApiError> {
    let listing = app.engine.users(&service, page).await?;
    Ok(Json(Users::new(page, listing)))
}

/// Make a user.
#[utoipa::path(post, path = "/api/users", operation_id = "create_user", tag = "users", request_body = Draft, responses(
    (status = 201, description = "Made", body = User),
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
) -> Result<(StatusCode, Json<User>), ApiError> {
    let (id, profile) = draft(&fields, UserId::parse)?;
    let user = app.engine.create_user(&service, chat::Draft { id, profile }).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Show a user with the groups that it attends.
#[utoipa::path(get, path = "/api/users/{id}", operation_id = "show_user", tag = "users", params(
    ("id" = String, Path, description = "The user's id, percent-encoded"),
), responses(
    (status = 200, description = "The user", body = User),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such user", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn show(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
) -> Result<Json<User>, ApiError> {
    Ok(Json(app.engine.user(&service, &user_id(&id)?).await?.into()))
}

/// Change how a user is shown, in live rosters, too.
#[utoipa::path(patch, path = "/api/users/{id}", operation_id = "update_user", tag = "users", params(
    ("id" = String, Path, description = "The user's id, percent-encoded"),
), request_body = Patch, responses(
    (status = 200, description = "The user after the change", body = User),
    (status = 400, description = "Not a JSON object, or the path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such user", body = ErrorBody),
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
) -> Result<Json<User>, ApiError> {
    let user = app.engine.update_user(&service, &user_id(&id)?, patch(&fields)?).await?;
    Ok(Json(user.into()))
}

/// Delete a user. It attends nothing any more, its live sessions are closed with 4503, and what it said has no author.
#[utoipa::path(delete, path = "/api/users/{id}", operation_id = "delete_user", tag = "users", params(
    ("id" = String, Path, description = "The user's id, percent-encoded"),
), responses(
    (status = 200, description = "Deleted, and erased from what was said", body = DeletedUser),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such user", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn delete(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
) -> Result<Json<DeletedUser>, ApiError> {
    let chat::DeletedUser { groups, erased } = app.engine.delete_user(&service, &user_id(&id)?).await?;
    let Erased { messages, events, reactions, markers } = erased;
    Ok(Json(DeletedUser { groups, messages, events, reactions, markers }))
}

/// Close a user's live sessions with 4508 and end its tickets, as when it logs out. New tokens work.
#[utoipa::path(post, path = "/api/users/{id}/disconnect", operation_id = "disconnect_user", tag = "users", params(
    ("id" = String, Path, description = "The user's id, percent-encoded"),
), responses(
    (status = 200, description = "Disconnected", body = Disconnected),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such user", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn disconnect(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
) -> Result<Json<Disconnected>, ApiError> {
    let sessions = app.engine.disconnect_user(&service, &user_id(&id)?).await?;
    Ok(Json(Disconnected { sessions }))
}
