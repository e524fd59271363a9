//! `/api/directs`

use axum::Json;
use axum::extract::State;
use engine::domain::ids::UserId;
use http::StatusCode;
use serde_json::Value;
use utoipa::ToSchema;

use super::shapes::GroupWithAttendees;
use crate::App;
use crate::auth::Tenant;
use crate::body::{Fields, text};
use crate::error::{ApiError, ErrorBody};

/// Whose group it is.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct Pair {
    /// The ids of two users, in any order.
    #[schema(min_items = 2, max_items = 2, example = json!(["alice", "bob"]))]
    users: Vec<String>,
}

/// The one group of two users. It is made when there is none, with both attending it.
#[utoipa::path(post, path = "/api/directs", operation_id = "open_direct", tag = "groups", request_body = Pair, responses(
    (status = 200, description = "There was one already", body = GroupWithAttendees),
    (status = 201, description = "Made", body = GroupWithAttendees),
    (status = 400, description = "Not a JSON object", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such user", body = ErrorBody),
    (status = 413, description = "Too large", body = ErrorBody),
    (status = 415, description = "Not declared as JSON", body = ErrorBody),
    (status = 422, description = "A field breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn open(
    State(app): State<App>,
    Tenant(service): Tenant,
    fields: Fields,
) -> Result<(StatusCode, Json<GroupWithAttendees>), ApiError> {
    let (detail, made) = app.engine.direct(&service, pair(&fields)?).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(GroupWithAttendees::at(app.unix_ms(), detail))))
}

fn pair(fields: &Fields) -> Result<[UserId; 2], ApiError> {
    let [first, second] = match fields.raw("users") {
        None | Some(Value::Null) => return Err(ApiError::field("users", "is required")),
        Some(Value::Array(users)) => match users.as_slice() {
            [first, second] => [user(first)?, user(second)?],
            _ => return Err(not_two()),
        },
        Some(_) => return Err(not_two()),
    };
    if first == second {
        return Err(ApiError::field("users", "must be the ids of two different users"));
    }
    Ok([first, second])
}

fn user(value: &Value) -> Result<UserId, ApiError> {
    UserId::parse(text("users", value)?).map_err(|rule| ApiError::field("users", rule))
}

fn not_two() -> ApiError {
    ApiError::field("users", "must be a list of two users' ids")
}
