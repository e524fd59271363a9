//! Which part of a listing.

use axum::extract::FromRequestParts;
use engine::store::Page;
use http::request::Parts;

use crate::App;
use crate::error::ApiError;

/// `offset` and `limit` of a query.
pub(crate) struct InQuery(pub(crate) Page);

impl FromRequestParts<App> for InQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let limits = app.engine.limits();
        let query = parts.uri.query().unwrap_or_default();
        let offset = number(query, "offset", 0, 0, usize::MAX)?;
        let limit = number(query, "limit", limits.page_items_default, 1, limits.page_items_max)?;
        Ok(Self(Page { offset, limit }))
    }
}

fn number(
    query: &str,
    field: &'static str,
    default: usize,
    min: usize,
    max: usize,
) -> Result<usize, ApiError> {
    let given = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == field && !value.is_empty()).then_some(value)
    });
    let Some(given) = given else { return Ok(default) };
    given.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| {
        let rule = if max == usize::MAX {
            format!("must be a whole number from {min} on")
        } else {
            format!("must be a whole number from {min} to {max}")
        };
        ApiError::field(field, rule)
    })
}
