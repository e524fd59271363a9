//! Request bodies: JSON objects of at most 64 KiB, whose fields are checked one by one, so that the answer can
//! name the one that is wrong.

use axum::extract::{FromRequest, Request};
use engine::domain::ids::{MessageId, TextError};
use engine::domain::message::{Draft, DraftError};
use engine::domain::profile::{Change, Custom, FieldError, Icon, Name};
use engine::protocol::code::ErrorCode;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::App;
use crate::error::{ApiError, in_field};

/// A request body, in bytes, at most.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The largest whole number that is taken: the largest that every reader of JSON keeps to the last digit.
pub const WHOLE_MAX: u64 = (1 << 53) - 1;

/// The fields of a request's JSON object. Fields that nobody asks for are ignored.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl FromRequest<App> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ApiError::new(
                ErrorCode::UNSUPPORTED_MEDIA_TYPE,
                "send the body as JSON, with Content-Type: application/json",
            ));
        }
        let bytes = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(unreadable)?.to_bytes();
        Self::parse(&bytes)
    }
}

impl Fields {
    /// Reads a JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(ApiError::new(ErrorCode::MALFORMED, "the body must be a JSON object")),
            Err(error) => Err(ApiError::new(ErrorCode::MALFORMED, format!("the body is not JSON: {error}"))),
        }
    }

    /// A field that must be there and be made of a text.
    pub fn required<T>(
        &self,
        field: &'static str,
        parse: impl Fn(&str) -> Result<T, TextError>,
    ) -> Result<T, ApiError> {
        self.optional(field, parse)?.ok_or_else(|| ApiError::field(field, "is required"))
    }

    /// A field that may be absent or null.
    pub fn optional<T>(
        &self,
        field: &'static str,
        parse: impl Fn(&str) -> Result<T, TextError>,
    ) -> Result<Option<T>, ApiError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => parse(text(field, value)?).map(Some).map_err(|rule| ApiError::field(field, rule)),
        }
    }

    /// A field that may be absent or null, and else is one of certain texts.
    pub fn one_of<T>(
        &self,
        field: &'static str,
        parse: impl Fn(&str) -> Option<T>,
        rule: &'static str,
    ) -> Result<Option<T>, ApiError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => parse(text(field, value)?).map(Some).ok_or_else(|| ApiError::field(field, rule)),
        }
    }

    /// A message's id that may be absent or null.
    pub fn message_id(&self, field: &'static str) -> Result<Option<MessageId>, ApiError> {
        self.one_of(field, MessageId::parse, "must be a message's id")
    }

    /// A whole number that may be absent or null.
    pub fn whole(&self, field: &'static str, min: u64, max: u64) -> Result<Option<u64>, ApiError> {
        self.0.get(field).map_or(Ok(None), |value| whole(field, value, min, max))
    }

    /// A message's `text`, if there is one.
    pub fn message_text(&self, bytes_max: usize) -> Result<Option<Draft>, ApiError> {
        let given = match self.0.get("text") {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => text("text", value)?,
        };
        Draft::parse(given, bytes_max).map(Some).map_err(|error| match error {
            DraftError::Empty => ApiError::field("text", "must not be empty"),
            DraftError::TooLarge { .. } => ApiError::new(ErrorCode::MESSAGE_TOO_LARGE, error.to_string()),
        })
    }

    /// A field as it was sent.
    pub fn raw(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// The `name`, if there is one.
    pub fn name(&self) -> Result<Option<Name>, ApiError> {
        match self.0.get("name") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => Name::parse(text("name", value)?).map(Some).map_err(in_field("name")),
        }
    }

    /// What to do with the `icon`.
    pub fn icon(&self) -> Result<Change<Icon>, ApiError> {
        self.change("icon", |value| Icon::parse(text("icon", value)?).map_err(in_field("icon")))
    }

    /// What to do with `custom`.
    pub fn custom(&self) -> Result<Change<Custom>, ApiError> {
        self.change("custom", |value| Custom::from_value(value).map_err(in_field("custom")))
    }

    /// Whether a field is there and null.
    pub fn is_null(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(Value::is_null)
    }

    /// What to do with a field: absent, null and a value.
    pub fn change<T>(
        &self,
        field: &'static str,
        parse: impl Fn(&Value) -> Result<T, ApiError>,
    ) -> Result<Change<T>, ApiError> {
        match self.0.get(field) {
            None => Ok(Change::Keep),
            Some(Value::Null) => Ok(Change::Clear),
            Some(value) => parse(value).map(Change::Set),
        }
    }
}

/// A value that must be a text.
pub fn text<'a>(field: &str, value: &'a Value) -> Result<&'a str, ApiError> {
    value.as_str().ok_or_else(|| ApiError::field(field, "must be a string"))
}

/// A value that must be null or a whole number.
pub fn whole(field: &str, value: &Value, min: u64, max: u64) -> Result<Option<u64>, ApiError> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().filter(|number| (min..=max).contains(number));
    number.map(Some).ok_or_else(|| ApiError::field(field, not_whole(min, max)))
}

/// The rule of a whole number.
pub fn not_whole(min: u64, max: u64) -> String {
    if max >= WHOLE_MAX {
        format!("must be a whole number from {min} on")
    } else {
        format!("must be a whole number from {min} to {max}")
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

// By value, because it stands where an error is mapped.
#[allow(clippy::needless_pass_by_value)]
fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> ApiError {
    if error.is::<LengthLimitError>() {
        ApiError::new(ErrorCode::BODY_TOO_LARGE, "the body must be at most 64 KiB")
    } else {
        ApiError::new(ErrorCode::MALFORMED, "the body ended too early")
    }
}

/// The rules of a profile's optional fields at making, where null is the same as absent.
pub fn set<T>(change: Change<T>) -> Option<T> {
    match change {
        Change::Set(value) => Some(value),
        Change::Keep | Change::Clear => None,
    }
}

/// The error of a `name` that must not be taken away.
pub fn name_is_needed() -> ApiError {
    in_field("name")(FieldError::Text(TextError::Empty))
}
