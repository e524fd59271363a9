//! Who asks: a tenant's backend by its credentials, or the operator by its key.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::domain::ids::ServiceId;
use engine::protocol::code::ErrorCode;
use http::request::Parts;
use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::App;
use crate::error::ApiError;
use crate::serve::Peer;

/// A tenant that has proved itself and isn't too fast.
#[derive(Debug, Clone)]
pub struct Tenant(pub ServiceId);

impl FromRequestParts<App> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let (client, secret) = credentials(&parts.headers).ok_or_else(unauthorized)?;
        let service = app.engine.authenticate(&client, &secret).await?.ok_or_else(unauthorized)?;
        app.rates.of_service(&service)?;
        Ok(Self(service))
    }
}

/// Whoever may make services: anyone, or the operator alone when there is an admin key.
#[derive(Debug, Clone, Copy)]
pub struct ServiceMaker;

impl FromRequestParts<App> for ServiceMaker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        if let Some(peer) = parts.extensions.get::<Peer>() {
            app.rates.of_peer(peer.0.ip())?;
        }
        let Some(key) = &app.admin_key else { return Ok(Self) };
        let given = bearer(&parts.headers).unwrap_or_default();
        if bool::from(given.as_bytes().ct_eq(key.as_bytes())) {
            Ok(Self)
        } else {
            Err(ApiError::new(
                ErrorCode::ADMIN_KEY_REQUIRED,
                "only the operator makes services here: send Authorization: Bearer with the admin key",
            ))
        }
    }
}

fn unauthorized() -> ApiError {
    ApiError::new(
        ErrorCode::UNAUTHORIZED,
        "send the headers client and secret (or HTTP Basic) as POST /api/services gave them",
    )
}

/// The pair in the headers `client` and `secret`, or in HTTP Basic.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let (Some(client), Some(secret)) = (text("client"), text("secret")) {
        return Some((client, secret));
    }
    let encoded = scheme(headers, "basic")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (client, secret) = decoded.split_once(':')?;
    Some((client.to_owned(), secret.to_owned()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    scheme(headers, "bearer")
}

fn scheme<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (name, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then_some(value.trim())
}
