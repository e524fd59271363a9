//! The OpenAPI document, generated from the handlers that it describes.

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::error::ErrorBody;
use crate::rest;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Kijimuna",
        description = "Provision groups and users, and ask for tokens with which their clients open WebSockets at \
                       `/ws/connects/{token}`. Requests carry the headers `client` and `secret`, or HTTP Basic with \
                       the same pair. What belongs to another service answers exactly as what doesn't exist."
    ),
    components(schemas(ErrorBody)),
    security(("client" = [], "secret" = []), ("basic" = [])),
    modifiers(&Security),
    tags(
        (name = "services", description = "Tenants and their credentials"),
        (name = "groups", description = "Groups, who attends them and who is online"),
        (name = "messages", description = "What is said in groups"),
        (name = "users", description = "Users"),
        (name = "token", description = "Tokens for connections"),
    )
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let header = |name: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
        components.add_security_scheme("client", header("client"));
        components.add_security_scheme("secret", header("secret"));
        components.add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
        components.add_security_scheme("admin", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The REST routes and the document that was collected from them, as JSON.
pub(crate) fn collect() -> (Router<App>, String) {
    let (router, document) =
        OpenApiRouter::with_openapi(Document::openapi()).merge(rest::routes()).split_for_parts();
    let json = document.to_pretty_json().expect("the document has string keys only");
    (router, json)
}
