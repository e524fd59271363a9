//! A file that is served as it was built in, and only to who doesn't have it yet.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// What is served, as what, and a tag that tells it from the same file of another version.
#[derive(Debug, Clone)]
pub(super) struct File {
    kind: &'static str,
    text: &'static str,
    tag: HeaderValue,
}

impl File {
    pub(super) fn new(kind: &'static str, text: &'static str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self { kind, text, tag: HeaderValue::try_from(tag).expect("digits and quotes are visible ASCII") }
    }

    /// The file, unless who asks has it.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        // The same address has another file after an update, so it is asked for again each time.
        let fresh =
            [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")), (header::ETAG, self.tag.clone())];
        if asked.get_all(header::IF_NONE_MATCH).iter().any(|known| self.is_among(known)) {
            return (StatusCode::NOT_MODIFIED, fresh).into_response();
        }
        let kind = [(header::CONTENT_TYPE, self.kind), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        (fresh, kind, self.text).into_response()
    }

    /// Whether a client has this file, by the tags of what it has.
    fn is_among(&self, known: &HeaderValue) -> bool {
        let (Ok(known), Ok(tag)) = (known.to_str(), self.tag.to_str()) else { return false };
        known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    }
}
