//! How long what is said in a group is kept, as a request and an answer say it.

use engine::domain::profile::{self, Change};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::body::{Fields, WHOLE_MAX, whole};
use crate::error::ApiError;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// The longest time for which it can be asked: a hundred years.
const DAYS_MAX: u64 = 36_500;

/// How long what is said in a group is kept. One of the two is needed; what is over either goes, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retention {
    /// At most so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 36500, example = 30)]
    days: Option<u64>,
    /// At most so many messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 100000)]
    messages: Option<u64>,
}

impl From<profile::Retention> for Retention {
    fn from(retention: profile::Retention) -> Self {
        Self { days: retention.age_ms.map(|age_ms| age_ms / DAY_MS), messages: retention.messages }
    }
}

/// What to do with a group's `retention`.
pub(super) fn change(fields: &Fields) -> Result<Change<profile::Retention>, ApiError> {
    fields.change("retention", parse)
}

fn parse(value: &Value) -> Result<profile::Retention, ApiError> {
    let Value::Object(bounds) = value else {
        return Err(ApiError::field("retention", "must be an object with days, messages or both"));
    };
    let bound = |field: &str, name: &str, max: u64| {
        bounds.get(name).map_or(Ok(None), |value| whole(field, value, 1, max))
    };
    let days = bound("retention.days", "days", DAYS_MAX)?;
    let messages = bound("retention.messages", "messages", WHOLE_MAX)?;
    if days.is_none() && messages.is_none() {
        return Err(ApiError::field("retention", "needs days, messages or both; null keeps everything"));
    }
    Ok(profile::Retention { age_ms: days.map(|days| days * DAY_MS), messages })
}
