//! `POST /callbacks/{provider}/{nonce}`: vendors tell that something happened to a job.
//!
//! Invariant: no byte of a body is read for a URL that is not ours; the answer goes out after the commit. Not
//! here: what a callback may change (`app::callback`).

use crate::{
    app::{Error, callback},
    http::{
        error::Fail,
        extract::{Shared, Visitor, body_patience},
    },
};
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
};
use rynjer_providers::Callback;

/// The longest callback: the poll answers of vendors are a few kilobytes.
const BODY_BYTES_MAX: usize = 256 << 10;

/// The URL itself is the credential: it is signed, and known to the vendor alone.
pub(crate) async fn hear(
    State(shared): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
    _visitor: Visitor,
    request: Request,
) -> Result<Response, Fail> {
    let Path((provider, nonce)) = path.map_err(|_| Fail(Error::NotFound))?;
    let addressed = callback::addressed(&shared.app, &provider, &nonce).await?;
    let (parts, body) = request.into_parts();
    let reading = shared.bodies.read(body, BODY_BYTES_MAX);
    let read = tokio::time::timeout(body_patience(BODY_BYTES_MAX), reading).await;
    let (body, _memory) = read.map_err(|_| Fail(Error::Overloaded))??;
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let call = Callback { headers, body, now_s: shared.app.now_ms().div_euclid(1000) };
    callback::hear(&shared.app, &provider, addressed, call).await?;
    Ok(Response::default())
}
