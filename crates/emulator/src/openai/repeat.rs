//! Requests that are sent again with the same `Idempotency-Key`, as some compatible servers know it.
//!
//! Invariant: a key names one job, and what it made is answered again; another request under the same key is
//! refused. Not here: clips. OpenAI itself documents no such header.

use super::{INVALID, error};
use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

/// The id of the job that a request's key stands for, if it has one.
pub(super) fn id_of(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    Some(format!("img_of_{key}"))
}

/// The key of another request.
pub(super) fn reused() -> Response {
    let message = "The Idempotency-Key was used with other parameters.";
    (StatusCode::BAD_REQUEST, Json(error(INVALID, "idempotency_key_reused", message))).into_response()
}
