//! `/api/groups/{id}/presence`

use axum::Json;
use axum::extract::State;
use engine::domain::roster::Attendee;
use engine::engine::OnlineUsers;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::Pairs;
use super::{InPath, group_id};
use crate::App;
use crate::auth::Tenant;
use crate::error::{ApiError, ErrorBody};

/// Who is online in a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Presence {
    /// How many are.
    #[schema(example = 1)]
    online: usize,
    /// The first of them, by id.
    users: Vec<OnlineUser>,
}

/// A user who is online, as the group's roster shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OnlineUser {
    /// The tenant's id for the user.
    #[schema(example = "alice")]
    id: String,
    /// Shown name.
    #[schema(example = "Alice")]
    name: String,
    /// Shown picture, an https:// address.
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    /// `member` or `moderator`; `muted` as long as the user is.
    #[schema(value_type = String, pattern = "^(member|moderator|muted)$", example = "member")]
    role: &'static str,
}

/// Show who is online in a group.
#[utoipa::path(get, path = "/api/groups/{id}/presence", operation_id = "show_presence", tag = "groups", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
    ("limit" = Option<usize>, Query, description = "How many users at most", minimum = 1, maximum = 1000),
), responses(
    (status = 200, description = "Who is online", body = Presence),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group", body = ErrorBody),
    (status = 422, description = "A parameter breaks a rule", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn show(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
    query: Pairs,
) -> Result<Json<Presence>, ApiError> {
    let limits = app.engine.limits();
    let limit = query.whole("limit", limits.page_items_default, 1, limits.page_items_max)?;
    let OnlineUsers { online, users } = app.engine.presence(&service, &group_id(&id)?, limit).await?;
    let unix_ms = app.unix_ms();
    let users = users.iter().map(|user| OnlineUser::at(unix_ms, user)).collect();
    Ok(Json(Presence { online, users }))
}

impl OnlineUser {
    /// How an attendee stands at a moment.
    fn at(unix_ms: u64, user: &Attendee) -> Self {
        Self {
            id: user.id.as_str().to_owned(),
            name: user.name.as_str().to_owned(),
            icon: user.icon.as_ref().map(|icon| icon.as_str().to_owned()),
            role: user.standing.word(unix_ms),
        }
    }
}
