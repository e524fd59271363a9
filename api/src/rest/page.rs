//! Which part of a listing.

use axum::extract::{FromRequestParts, Query};
use engine::store::Page;
use http::request::Parts;

use crate::App;
use crate::error::ApiError;

type Pairs = Vec<(String, String)>;

/// `offset` and `limit` of a query.
pub(crate) struct InQuery(pub(crate) Page);

impl FromRequestParts<App> for InQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let limits = app.engine.limits();
        // Every text is a list of pairs, so this can't fail; if it could, nothing would have been asked for.
        let query = Query::<Pairs>::try_from_uri(&parts.uri).map(|Query(pairs)| pairs).unwrap_or_default();
        let offset = number(&query, "offset", 0, 0, usize::MAX)?;
        let limit = number(&query, "limit", limits.page_items_default, 1, limits.page_items_max)?;
        Ok(Self(Page { offset, limit }))
    }
}

fn number(
    query: &[(String, String)],
    field: &'static str,
    default: usize,
    min: usize,
    max: usize,
) -> Result<usize, ApiError> {
    let given = query.iter().find(|(name, value)| name == field && !value.is_empty());
    let Some((_, given)) = given else { return Ok(default) };
    // A number's own parser would let a sign pass.
    let digits = Some(given).filter(|given| given.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).filter(|number| (min..=max).contains(number)).ok_or_else(
        || {
            let rule = if max == usize::MAX {
                format!("must be a whole number from {min} on")
            } else {
                format!("must be a whole number from {min} to {max}")
            };
            ApiError::field(field, rule)
        },
    )
}
