//! Google's two shapes of errors.
//!
//! Invariant: a code that is a number is of the one shape, a word of the other. Not here: which errors there
//! are.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// The shape of everything but interactions.
pub(super) fn numbered(code: u16, status: &str, message: &str, details: &[Value]) -> Value {
    let mut error = json!({"code": code, "message": message, "status": status});
    if !details.is_empty() {
        error["details"] = details.iter().cloned().collect();
    }
    json!({"error": error})
}

/// The shape of interactions.
pub(super) fn worded(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

pub(super) fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body.clone())).into_response()
}

/// What `generateContent` and Veo say of a wrong field.
pub(super) fn invalid(message: &str) -> Response {
    answer(400, &numbered(400, "INVALID_ARGUMENT", message, &[]))
}

/// What interactions say of a wrong field.
pub(super) fn invalid_interaction(message: &str) -> Response {
    answer(400, &worded("invalid_request", message))
}

pub(super) fn no_model(model: &str) -> Value {
    let message = format!("models/{model} is not found for API version v1beta, or is no longer available.");
    numbered(404, "NOT_FOUND", &message, &[])
}
