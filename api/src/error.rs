//! How a request fails: a status and `{"error": …, "code": …}`. Never a stack, a driver's message or nothing.

use std::any::Any;

use axum::Json;
use axum::response::{IntoResponse, Response};
use engine::domain::profile::FieldError;
use engine::error::EngineError;
use engine::protocol::code::ErrorCode;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every answer that isn't a success.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong and what to do, for a person.
    #[schema(example = "this service has no such group")]
    pub error: String,
    /// The same for a program. The words are listed in the protocol page and never change their meaning.
    #[schema(example = "group_not_found")]
    pub code: String,
}

/// A request that fails.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    text: String,
    retry_after_ms: Option<u64>,
}

impl ApiError {
    /// A failure with its words.
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), retry_after_ms: None }
    }

    /// The request came too early.
    pub fn too_fast(wait_ms: u64) -> Self {
        let text = format!("too many requests: try again in {wait_ms} ms");
        Self { code: ErrorCode::RATE_LIMITED, text, retry_after_ms: Some(wait_ms) }
    }

    /// A field that breaks a rule.
    pub fn field(field: &str, rule: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::INVALID_FIELD, format!("{field} {rule}"))
    }

    /// Nothing is at this path.
    pub fn route_not_found() -> Self {
        Self::new(ErrorCode::ROUTE_NOT_FOUND, "there is nothing at this path: see /docs")
    }

    /// The path exists, but not with this method.
    pub fn method_not_allowed() -> Self {
        Self::new(ErrorCode::METHOD_NOT_ALLOWED, "this path doesn't take this method: see /docs")
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        if let EngineError::Store(inner) = &error {
            tracing::error!(error = %inner, "the store can't serve");
        }
        Self { code: error.code(), text: error.to_string(), retry_after_ms: error.retry_after_ms() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ErrorBody { error: self.text, code: self.code.word.to_owned() };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let wait_ms = self.retry_after_ms.or(self.code.retryable.then_some(1_000));
        if let Some(wait_ms) = wait_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000).max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            let way_in = if self.code == ErrorCode::ADMIN_KEY_REQUIRED {
                "Bearer realm=\"kijimuna\""
            } else {
                "Basic realm=\"kijimuna\""
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(way_in));
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        }
        response
    }
}

/// Names the field of a rule that was broken.
pub fn in_field(field: &'static str) -> impl Fn(FieldError) -> ApiError {
    move |rule| ApiError::field(field, rule)
}

/// Answers a request whose handler panicked. That is a bug of ours, so it is logged and counted as one.
// By value, because that is how the layer calls it.
#[allow(clippy::needless_pass_by_value)]
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "a request handler panicked");
    ApiError::new(ErrorCode::INTERNAL, "something went wrong here: try again, and tell the operator")
        .into_response()
}
