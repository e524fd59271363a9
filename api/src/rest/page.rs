//! What a query asks for.

use axum::extract::{FromRequestParts, Query};
use engine::store::Page;
use http::request::Parts;

use crate::App;
use crate::body;
use crate::error::ApiError;

/// The parameters of a query, decoded. Empty ones are as good as absent, and those that nobody asks for are ignored.
pub(crate) struct Pairs(Vec<(String, String)>);

impl FromRequestParts<App> for Pairs {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        // Every text is a list of pairs, so this can't fail; if it could, nothing would have been asked for.
        Ok(Self(Query::try_from_uri(&parts.uri).map(|Query(pairs)| pairs).unwrap_or_default()))
    }
}

impl Pairs {
    /// A parameter as it was given.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        let given = self.0.iter().find(|(name, value)| name == field && !value.is_empty());
        given.map(|(_, value)| value.as_str())
    }

    /// A parameter that is a whole number.
    pub(crate) fn whole(
        &self,
        field: &'static str,
        default: usize,
        min: usize,
        max: usize,
    ) -> Result<usize, ApiError> {
        let Some(given) = self.text(field) else { return Ok(default) };
        let number: Option<usize> = digits(given).filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| ApiError::field(field, body::not_whole(min as u64, max as u64)))
    }
}

/// A whole number. A number's own parser would let a sign pass.
pub(crate) fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `offset` and `limit` of a query.
pub(crate) struct InQuery(pub(crate) Page);

impl FromRequestParts<App> for InQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let limits = app.engine.limits();
        let query = Pairs::from_request_parts(parts, app).await?;
        let offset = query.whole("offset", 0, 0, usize::MAX)?;
        let limit = query.whole("limit", limits.page_items_default, 1, limits.page_items_max)?;
        Ok(Self(Page { offset, limit }))
    }
}
