//! The REST API, a resource a file.

mod attendees;
mod directs;
pub(crate) mod export;
mod groups;
mod message;
mod messages;
mod moderation;
mod page;
mod presence;
mod retention;
mod services;
mod shapes;
mod token;
mod users;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use engine::domain::group::Denied;
use engine::domain::ids::{GroupId, MessageId, TextError, UserId};
use engine::domain::profile::{Name, Profile, ProfilePatch};
use engine::error::EngineError;
use engine::protocol::code::ErrorCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::body::{self, Fields};
use crate::error::{ApiError, in_field};

/// Every resource, with its documentation.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(services::create))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::show, groups::update, groups::delete))
        .routes(routes!(attendees::add))
        .routes(routes!(attendees::update, attendees::remove))
        .routes(routes!(directs::open))
        .routes(routes!(messages::list, messages::post))
        .routes(routes!(messages::update, messages::delete))
        .routes(routes!(presence::show))
        .routes(routes!(moderation::moderate))
        .routes(routes!(export::export))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::update, users::delete))
        .routes(routes!(users::disconnect))
        .routes(routes!(token::issue))
}

/// The parts of a path, decoded.
pub(crate) struct InPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, app).await;
        match path {
            Ok(Path(path)) if is_percent_encoded(parts.uri.path()) => Ok(Self(path)),
            _ => Err(ApiError::new(ErrorCode::MALFORMED, "the path must be percent-encoded UTF-8")),
        }
    }
}

/// Whether each `%` begins an escape. A lenient decoder keeps one that doesn't, which would give an id a second
/// spelling.
fn is_percent_encoded(path: &str) -> bool {
    let mut escapes = path.split('%').skip(1);
    escapes.all(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

/// The group that a path names. An id that none can have is an unknown one.
fn group_id(text: &str) -> Result<GroupId, ApiError> {
    GroupId::parse(text).map_err(|_| EngineError::GroupNotFound.into())
}

/// The user that a path names. An id that none can have is an unknown one.
fn user_id(text: &str) -> Result<UserId, ApiError> {
    UserId::parse(text).map_err(|_| EngineError::UserNotFound.into())
}

/// The message that a path names. An id that none can have is an unknown one.
fn message_id(text: &str) -> Result<MessageId, ApiError> {
    MessageId::parse(text).ok_or_else(no_message)
}

fn no_message() -> ApiError {
    EngineError::Denied(Denied::NoMessage).into()
}

/// What a group or user to be made is shown as. The name defaults to the id.
fn draft<Id>(
    fields: &Fields,
    parse: impl Fn(&str) -> Result<Id, TextError>,
) -> Result<(Option<Id>, Profile), ApiError> {
    let id = fields.optional("id", parse)?;
    let name = match fields.name()? {
        Some(name) => name,
        None => fields
            .optional("id", |text| Ok(Name::parse(text)))?
            .transpose()
            .map_err(in_field("id"))?
            .ok_or_else(|| ApiError::field("name", "is required, unless id is given"))?,
    };
    let (icon, custom) = (body::set(fields.icon()?), body::set(fields.custom()?));
    Ok((id, Profile { name, icon, custom }))
}

/// A change to how a group or user is shown.
fn patch(fields: &Fields) -> Result<ProfilePatch, ApiError> {
    if fields.is_null("name") {
        return Err(body::name_is_needed());
    }
    Ok(ProfilePatch { name: fields.name()?, icon: fields.icon()?, custom: fields.custom()? })
}
