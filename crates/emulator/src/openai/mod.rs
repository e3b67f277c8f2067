//! OpenAI's images, answered at once with base64, and its historic videos, as relays still speak them.
//!
//! Invariant: fields, limits and shapes are those of its Python package 3.54.0 and of its guides. Not here:
//! faults, streams, previews (GIF, SVG).

mod errors;
mod form;
mod images;
mod repeat;
mod videos;

pub(crate) use errors::errors;

use crate::{
    World,
    fields::{Wrong, has_key},
};
use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

/// Behind the host.
pub(crate) const BASE_PATH: &str = "/v1";
/// What most of its refusals are.
const INVALID: &str = "invalid_request_error";

/// Calls that make pictures or clips.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    method == "POST" && (path.starts_with("/v1/images/") || path == "/v1/videos")
}

pub(crate) fn router(world: World) -> Router {
    Router::new()
        .route("/v1/images/generations", post(images::generations))
        .route("/v1/images/edits", post(images::edits))
        .route("/v1/videos", post(videos::create).get(videos::list))
        .route("/v1/videos/{id}", get(videos::retrieve).delete(videos::delete))
        .route("/v1/videos/{id}/content", get(videos::content))
        .layer(middleware::from_fn(keyed))
        .with_state(world)
}

async fn keyed(request: Request, next: Next) -> Response {
    if has_key(request.headers(), "Bearer") {
        return next.run(request).await;
    }
    let message = "You didn't provide an API key.";
    (StatusCode::UNAUTHORIZED, Json(error(INVALID, "invalid_api_key", message))).into_response()
}

fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// A refusal that names its field.
fn invalid(field: &str, code: &str) -> Response {
    let mut body = error(INVALID, code, &format!("Invalid value: '{field}'."));
    body["error"]["param"] = json!(field);
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn misfit(wrong: &Wrong) -> Response {
    match wrong {
        Wrong::Unknown(name) => invalid(name, "unknown_parameter"),
        Wrong::Value(name) => invalid(name, "invalid_value"),
    }
}

fn no_model(model: &str) -> Response {
    let message = format!("The model '{model}' does not exist or you do not have access to it.");
    (StatusCode::NOT_FOUND, Json(error(INVALID, "model_not_found", &message))).into_response()
}
