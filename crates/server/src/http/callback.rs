//! `POST /callbacks/{provider}/{nonce}`: vendors tell that something happened to a job.
//!
//! Invariant: thin; the answer goes out after the commit. Not here: what a callback may change
//! (`app::callback`).

use crate::{
    app::{Error, callback},
    http::error::Fail,
    state::App,
};
use axum::{
    body::Bytes,
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use rynjer_providers::Callback;

/// The URL itself is the credential: it is signed, and known to the vendor alone.
pub(crate) async fn hear(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fail> {
    let Path((provider, nonce)) = path.map_err(|_| Fail(Error::NotFound))?;
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let call = Callback { headers, body, now_s: app.now_ms().div_euclid(1000) };
    callback::hear(&app, &provider, &nonce, call).await?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}
