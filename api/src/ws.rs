//! `GET /ws/connects/{token}`: the WebSocket handshake, with a token or a ticket. What comes after it is the engine's.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use engine::protocol::code::ErrorCode;
use engine::protocol::frame::Dialect;
use engine::socket::Socket;
use fastwebsockets::upgrade::{UpgradeFut, is_upgrade_request, upgrade};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, Version};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;

use crate::App;
use crate::error::ApiError;
use crate::rest::InPath;
use crate::serve::ConnectionPermit;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/ws/connects/{token}", get(connect))
}

/// Completes every handshake, that of an unknown token, too: a browser sees close codes but no HTTP status.
async fn connect(
    State(app): State<App>,
    InPath(token): InPath<String>,
    mut request: Request,
) -> Result<Response, ApiError> {
    if request.version() != Version::HTTP_11 || !is_upgrade_request(&request) {
        return Err(ApiError::new(
            ErrorCode::UPGRADE_REQUIRED,
            "this path is a WebSocket: connect with ws:// or wss:// over HTTP/1.1",
        ));
    }
    if request.headers().get("sec-websocket-version").is_none_or(|version| version != "13") {
        return Err(ApiError::new(ErrorCode::UPGRADE_REQUIRED, "send Sec-WebSocket-Version: 13"));
    }
    let dialect = dialect(request.headers());
    let permit = request.extensions().get::<Arc<ConnectionPermit>>().cloned();
    let (response, upgraded) = upgrade(&mut request)
        .map_err(|error| ApiError::new(ErrorCode::MALFORMED, format!("the handshake is wrong: {error}")))?;
    // Everything else of the request is dropped here, not kept for as long as the socket lives.
    tokio::spawn(Box::pin(hand_over(app, token, dialect, upgraded, permit)));
    let mut response = response.map(|_| Body::empty()).into_response();
    if let Some(subprotocol) = dialect.subprotocol() {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    Ok(response)
}

/// The dialect that a client wants. It may offer several, in one header or in many; one that can't be read offers nothing.
fn dialect(headers: &HeaderMap) -> Dialect {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|offer| offer.to_str().ok());
    Dialect::offered(&offers.collect::<Vec<_>>().join(","))
}

async fn hand_over(
    app: App,
    token: String,
    dialect: Dialect,
    upgraded: UpgradeFut,
    permit: Option<Arc<ConnectionPermit>>,
) {
    // An error is a client that left during its handshake.
    let Ok(websocket) = upgraded.await else { return };
    let upgraded = websocket.into_inner().into_inner();
    match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => {
            let socket = Socket { stream: parts.io.into_inner(), read_ahead: parts.read_buf };
            app.engine.open_session(socket, &token, dialect, Box::new(permit)).await;
        }
        Err(_) => tracing::error!("a WebSocket came over something that isn't TCP"),
    }
}
