//! xAI's Grok Imagine: pictures that are answered at once, clips that are asked for.
//!
//! Invariant: fields, limits and shapes are those of its REST client (npm `@ai-sdk/xai`), of its gRPC client
//! and of its guides. Not here: faults, the Files API.

mod errors;
mod images;
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
use data_encoding::BASE64;
use serde_json::{Value, json};

/// Behind the host.
pub(crate) const BASE_PATH: &str = "/v1";

/// Calls that make pictures or clips.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    method == "POST" && (path.starts_with("/v1/images/") || path.starts_with("/v1/videos/"))
}

pub(crate) fn router(world: World) -> Router {
    Router::new()
        .route("/v1/images/generations", post(images::generations))
        .route("/v1/images/edits", post(images::edits))
        .route("/v1/videos/generations", post(videos::generations))
        .route("/v1/videos/edits", post(videos::edits))
        .route("/v1/videos/extensions", post(videos::extensions))
        .route("/v1/videos/{id}", get(videos::status))
        .layer(middleware::from_fn(keyed))
        .with_state(world)
}

async fn keyed(request: Request, next: Next) -> Response {
    if has_key(request.headers(), "Bearer") {
        return next.run(request).await;
    }
    refused(StatusCode::UNAUTHORIZED, "unauthenticated", "No authorization header was given.")
}

/// The shape of errors that its Imagine routes have.
fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"code": code, "error": message}))).into_response()
}

fn invalid(message: &str) -> Response {
    refused(StatusCode::BAD_REQUEST, "invalid-argument", message)
}

fn misfit(wrong: &Wrong) -> Response {
    match wrong {
        Wrong::Unknown(name) => invalid(&format!("Argument not supported: {name}")),
        Wrong::Value(name) => invalid(&format!("Invalid value of {name}.")),
    }
}

/// The body as JSON, or the refusal of one that is none.
fn read(body: &[u8]) -> Result<Value, Box<Response>> {
    serde_json::from_slice(body).map_err(|_| {
        let message = "Failed to deserialize the JSON body into the target type.";
        Box::new(refused(StatusCode::UNPROCESSABLE_ENTITY, "invalid-argument", message))
    })
}

fn no_model(model: &str) -> Response {
    let message = format!("The model {model} does not exist or your team does not have access to it.");
    refused(StatusCode::NOT_FOUND, "not-found", &message)
}

/// A picture to start from: its sides where they are known, zero for one by URL or file.
fn source(value: &Value) -> Option<(u32, u32)> {
    let fields = value.as_object()?;
    if !fields.keys().all(|name| ["url", "type", "file_id"].contains(&name.as_str())) {
        return None;
    }
    if fields.get("type").is_some_and(|kind| kind != "image_url") {
        return None;
    }
    match (fields.get("url"), fields.get("file_id")) {
        (None, Some(Value::String(_))) => Some((0, 0)),
        (Some(Value::String(url)), None) if !url.starts_with("data:") => {
            (url.starts_with("https://") || url.starts_with("http://")).then_some((0, 0))
        }
        (Some(Value::String(url)), None) => sides(url),
        _ => None,
    }
}

/// The sides of a picture in a data URI: a PNG tells them at a fixed place, others count as unknown.
fn sides(url: &str) -> Option<(u32, u32)> {
    let (kind, base64) = url.strip_prefix("data:image/")?.split_once(";base64,")?;
    let bytes = BASE64.decode(base64.as_bytes()).ok()?;
    if kind != "png" {
        return ["jpeg", "webp"].contains(&kind).then_some((0, 0));
    }
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some((number(16)?, number(20)?))
}

/// The parts of a ratio such as `19.5:9`, in tenths.
fn ratio(text: &str) -> Option<(u32, u32)> {
    let tenths = |side: &str| {
        let (whole, tenth) = side.split_once('.').unwrap_or((side, "0"));
        Some(whole.parse::<u32>().ok()? * 10 + tenth.parse::<u32>().ok()?)
    };
    let (wide, high) = text.split_once(':')?;
    Some((tenths(wide)?, tenths(high)?))
}
