//! `/api/services`

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::auth::ServiceMaker;
use crate::error::{ApiError, ErrorBody};

/// What a tenant authenticates with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Credentials {
    /// The public half, for the header `client`.
    #[schema(example = "0f6bd2a1c3e44758899aab12")]
    client: String,
    /// The secret half, for the header `secret`. It is shown this once; only its hash is kept.
    #[schema(example = "iB0Yz0S6yY6bq0P9m3XwJx1f2f1VjZ8rT5Yw0k4uQ3E")]
    secret: String,
}

/// Make a service: a tenant with its credentials.
///
/// Anyone may, unless the operator set an admin key: then it is needed as `Authorization: Bearer KEY`.
#[utoipa::path(post, path = "/api/services", operation_id = "create_service", tag = "services", security((), ("admin" = [])), responses(
    (status = 201, description = "Made", body = Credentials),
    (status = 401, description = "The admin key is needed", body = ErrorBody),
    (status = 429, description = "Too fast", body = ErrorBody),
    (status = 503, description = "Not now", body = ErrorBody),
))]
pub(crate) async fn create(
    State(app): State<App>,
    _: ServiceMaker,
) -> Result<(StatusCode, Json<Credentials>), ApiError> {
    let credentials = app.engine.create_service().await?;
    tracing::info!(service = %credentials.client, "a service was made");
    let (client, secret) = (credentials.client.as_str().to_owned(), credentials.secret.reveal().to_owned());
    Ok((StatusCode::CREATED, Json(Credentials { client, secret })))
}
