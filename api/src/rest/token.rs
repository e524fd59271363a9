//! `/api/token`

use axum::Json;
use axum::extract::State;
use engine::domain::ids::{GroupId, UserId};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::auth::Tenant;
use crate::body::Fields;
use crate::error::{ApiError, ErrorBody};

/// Who is to connect, and where.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct TokenRequest {
    /// The group's id. Without one the connection joins and leaves the user's groups as it likes, which takes version 2.
    #[schema(min_length = 1, max_length = 128, example = "lobby")]
    group: Option<String>,
    /// The user's id.
    #[schema(min_length = 1, max_length = 128, example = "alice")]
    user: String,
}

/// A token for one connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedToken {
    /// For the path `/ws/connects/{token}`. It works once.
    token: String,
    /// How long it works, in seconds.
    #[schema(example = 60)]
    expires: u64,
}

/// Ask for a token with which the user's client opens one WebSocket.
#[utoipa::path(post, path = "/api/token", operation_id = "issue_token", tag = "token", request_body = TokenRequest, responses(
    (status = 201, description = "A token, to be used once within a minute", body = IssuedToken),
    (status = 400, description = "Not a JSON object", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 403, description = "The user is banned from the group", body = ErrorBody),
    (status = 404, description = "The user doesn't attend the group, or one of them doesn't exist", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast, or too many tokens wait to be used", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn issue(
    State(app): State<App>,
    Tenant(service): Tenant,
    fields: Fields,
) -> Result<(StatusCode, Json<IssuedToken>), ApiError> {
    let group = fields.optional("group", GroupId::parse)?;
    let user = fields.required("user", UserId::parse)?;
    let issued = app.engine.issue_token(&service, group.as_ref(), &user).await?;
    Ok((StatusCode::CREATED, Json(IssuedToken { token: issued.token.reveal(), expires: issued.expires_s })))
}
