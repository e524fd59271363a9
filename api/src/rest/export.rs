//! `/api/groups/{id}/export`: everything that was said in a group, a line each.
//!
//! It is read page by page, and the next page only once the client has taken the last one. So an export holds one
//! page in memory, however long it is. Every way to fail cuts the stream before its last line.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use engine::domain::ids::{GroupId, GroupUid, Seq, ServiceId};
use engine::domain::profile::GroupRecord;
use engine::engine::Engine;
use engine::error::EngineError;
use engine::protocol::code::ErrorCode;
use engine::store::{Edge, HistoryPage};
use futures_util::stream;
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use super::message::Message;
use super::shapes::Group;
use super::{InPath, group_id};
use crate::App;
use crate::auth::Tenant;
use crate::error::{ApiError, ErrorBody};

/// Exports of one service that may run at once.
const EXPORTS_MAX: usize = 4;
/// Messages of a page. It has fewer when they are large.
const PAGE_ITEMS: usize = 1_000;

/// The exports that run, by service.
#[derive(Debug, Default)]
pub(crate) struct Exports(DashMap<ServiceId, usize>);

/// An export that runs until this is dropped.
#[derive(Debug)]
struct Running {
    service: ServiceId,
    exports: Arc<Exports>,
}

impl Exports {
    fn begin(self: &Arc<Self>, service: &ServiceId) -> Result<Running, ApiError> {
        let mut running = self.0.entry(service.clone()).or_default();
        if *running >= EXPORTS_MAX {
            let text = format!("a service may have {EXPORTS_MAX} exports at once: begin when one has ended");
            return Err(ApiError::new(ErrorCode::RATE_LIMITED, text));
        }
        *running += 1;
        Ok(Running { service: service.clone(), exports: Arc::clone(self) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.exports.0.remove_if_mut(&self.service, |_, running| {
            *running -= 1;
            *running == 0
        });
    }
}

/// One line of an export: the first has `group`, the last `end` and `messages`, each other one is a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ExportLine {
    /// The first line.
    First {
        /// The group.
        group: Group,
    },
    /// A message, the oldest first.
    Message(Message),
    /// The last line. Without it the export was cut.
    Last {
        /// Everything has come.
        end: bool,
        /// How many messages there are.
        messages: u64,
    },
}

/// Stream everything that was said in a group, oldest first, as JSON lines.
///
/// The first line is `{"group": …}`, then comes each message that there was when the export began, and last
/// `{"end": true, "messages": …}`. A stream without the last line was cut: ask again.
#[utoipa::path(get, path = "/api/groups/{id}/export", operation_id = "export_group", tag = "messages", params(
    ("id" = String, Path, description = "The group's id, percent-encoded"),
), responses(
    (status = 200, description = "A line for the group, one for each message, and one for the end", body = ExportLine, content_type = "application/x-ndjson"),
    (status = 400, description = "The path isn't UTF-8", body = ErrorBody),
    (status = 401, description = "Wrong credentials", body = ErrorBody),
    (status = 404, description = "No such group", body = ErrorBody),
    (status = 429, description = "Too fast, or too many exports at once", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn export(
    State(app): State<App>,
    Tenant(service): Tenant,
    InPath(id): InPath<String>,
) -> Result<Response, ApiError> {
    let id = group_id(&id)?;
    let running = app.exports.begin(&service)?;
    let (group, newest) = app.engine.messages(&service, &id, Edge::Newest, 1).await?;
    let export = Export {
        engine: app.engine,
        running,
        id,
        uid: group.uid,
        upto: newest.messages.last().map_or(Seq(0), |message| message.seq),
        written: 0,
        step: Step::Begin(Box::new(group)),
    };
    let lines = stream::try_unfold(export, Export::next);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// An export on its way.
struct Export {
    engine: Arc<Engine>,
    running: Running,
    id: GroupId,
    /// The life of the group with which it began.
    uid: GroupUid,
    /// The newest message when it began.
    upto: Seq,
    written: u64,
    step: Step,
}

/// What comes next.
enum Step {
    Begin(Box<GroupRecord>),
    /// The messages after this place.
    Page(Seq),
    Ended,
}

/// Why an export ends before its last line.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the group was deleted meanwhile")]
    Deleted,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Cut> {
        let lines = match std::mem::replace(&mut self.step, Step::Ended) {
            Step::Begin(group) => {
                self.step = Step::Page(Seq(0));
                line(&ExportLine::First { group: (*group).into() })?
            }
            Step::Page(after) => self.page(after).await.inspect_err(|cut| {
                tracing::warn!(group = self.uid.0, %cut, "an export was cut");
            })?,
            Step::Ended => return Ok(None),
        };
        Ok(Some((lines.into(), self)))
    }

    /// The lines of the messages after a place, and behind the newest one that of the end.
    async fn page(&mut self, after: Seq) -> Result<Vec<u8>, Cut> {
        let page = self.read(after).await?;
        let mut lines = Vec::new();
        let mut reached = None;
        for shown in page.messages.into_iter().take_while(|shown| shown.seq <= self.upto) {
            reached = Some(shown.seq);
            self.written += 1;
            lines.extend(line(&ExportLine::Message(Message::of(self.uid, shown)))?);
        }
        match reached {
            Some(seq) if seq < self.upto => self.step = Step::Page(seq),
            _ => lines.extend(line(&ExportLine::Last { end: true, messages: self.written })?),
        }
        Ok(lines)
    }

    async fn read(&self, after: Seq) -> Result<HistoryPage, Cut> {
        // Like any request: those who chat come first.
        self.engine.turn().await;
        let service = &self.running.service;
        let (group, page) = self.engine.messages(service, &self.id, Edge::After(after), PAGE_ITEMS).await?;
        if group.uid == self.uid { Ok(page) } else { Err(Cut::Deleted) }
    }
}

fn line(line: &ExportLine) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}
