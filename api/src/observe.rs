//! What every request passes: its turn beside those who chat, a bound on its time, and being counted. Paths are counted by their pattern, so
//! neither ids nor tokens reach a metric or a log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::protocol::code::ErrorCode;
use http::Method;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::App;
use crate::error::ApiError;
use crate::unread;

/// The families of the front end.
#[derive(Debug, Clone)]
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl HttpMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let requests = IntCounterVec::new(
            Opts::new("kijimuna_http_requests_total", "HTTP requests by path pattern, method and status."),
            &["path", "method", "status"],
        );
        let seconds = HistogramVec::new(
            HistogramOpts::new("kijimuna_http_request_seconds", "From a request's head to its answer."),
            &["path"],
        );
        let metrics =
            Self { requests: requests.expect("a valid name"), seconds: seconds.expect("a valid name") };
        for family in [
            registry.register(Box::new(metrics.requests.clone())),
            registry.register(Box::new(metrics.seconds.clone())),
        ] {
            family.expect("an engine has one front end");
        }
        metrics
    }
}

pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = known(request.method());
    let (parts, body) = request.into_parts();
    let bound = Duration::from_millis(app.engine.limits().request_timeout_ms);
    let (lender, body) = unread::lend(body);
    let request = Request::from_parts(parts, Body::new(body));
    let response = match tokio::time::timeout(bound, to_the_end(&app, request, next)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(
            ErrorCode::TIMEOUT,
            "the request took too long: look whether it was carried out before you send it again",
        )
        .into_response(),
    };
    lender.discard_rest();
    let status = response.status();
    app.metrics.requests.with_label_values(&[path.as_str(), method, status.as_str()]).inc();
    app.metrics.seconds.with_label_values(&[path.as_str()]).observe(started.elapsed().as_secs_f64());
    tracing::debug!(path, method, status = status.as_u16(), "request");
    response
}

/// Answers a request. One that may change something is carried through even when its client hangs up: what is
/// stored must also show.
async fn to_the_end(app: &App, request: Request, next: Next) -> Response {
    let may_stop = request.method().is_safe();
    let engine = Arc::clone(&app.engine);
    let answering = async move {
        engine.turn().await;
        next.run(request).await
    };
    if may_stop {
        return answering.await;
    }
    match tokio::spawn(answering).await {
        Ok(response) => response,
        // The layer around this one answers a panic.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Methods are the client's to choose, so only those that exist become labels.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
