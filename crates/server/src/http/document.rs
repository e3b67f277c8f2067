//! The OpenAPI description, the published keys, and what is not there.
//!
//! Invariant: addresses in the description are the gateway's own. Not here: the API, the guides (`guide`).

use crate::{
    app::{Error, jwks},
    http::{error::Fail, extract::Shared, openapi},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};

pub(crate) async fn openapi(State(shared): State<Shared>) -> Response {
    let text = shared.app.openapi.get_or_init(|| {
        let mut document = openapi::document();
        document.servers = Some(vec![utoipa::openapi::Server::new(shared.app.base_url())]);
        document.to_json().unwrap_or_default()
    });
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.clone()).into_response()
}

/// The keys that tokens and receipts are checked with.
pub(crate) async fn jwks(State(shared): State<Shared>) -> Response {
    axum::Json(jwks::published(&shared.app)).into_response()
}

pub(crate) async fn not_found() -> Fail {
    Fail(Error::NotFound)
}

pub(crate) async fn method_not_allowed() -> Fail {
    Fail(Error::MethodNotAllowed)
}
