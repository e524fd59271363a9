//! The pages, served by the binary itself.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

use crate::App;

const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self' 'unsafe-inline'; \
                           connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn routes(openapi: &str) -> Router<App> {
    let openapi: &'static str = openapi.to_owned().leak();
    Router::new()
        .route("/", get(async || page(include_str!("../web/index.html"))))
        .route("/docs", get(async || page(include_str!("../web/docs.html"))))
        .route("/style.css", get(async || file("text/css; charset=utf-8", include_str!("../web/style.css"))))
        .route("/openapi.json", get(async move || file("application/json", openapi)))
}

fn page(html: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], file("text/html; charset=utf-8", html))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text)
}
