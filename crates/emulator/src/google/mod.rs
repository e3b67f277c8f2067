//! Google's stand-in: `generateContent`, interactions and their files, and the cloud platform's Veo.
//!
//! Invariant: shapes and codes are those of its Python package 3.4.0 and its error guide; what a call does
//! not take is refused. Not here: faults.

mod cloud;
mod errors;
mod interactions;
mod pictures;
mod refusal;

pub use cloud::service_account as google_service_account;
pub(crate) use errors::errors;
pub use errors::{interaction_errors as google_interaction_errors, veo_errors as google_veo_errors};

use crate::World;
use axum::{
    Router,
    http::{HeaderMap, Uri},
    response::Response,
    routing::{get, post},
};
use data_encoding::{BASE64, BASE64URL};
use serde_json::Value;

/// Behind the host. The cloud platform, at the same address here, has its version in its own paths.
pub(crate) const BASE_PATH: &str = "/v1beta";

/// Calls that may make something that is billed.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    let makes = path.ends_with("/interactions")
        || path.ends_with(":generateContent")
        || path.ends_with(":predictLongRunning");
    method == "POST" && makes
}

/// Both `v1` and `v1beta`: its SDKs don't agree.
pub(crate) fn router(world: World) -> Router {
    let interaction = get(interactions::read).delete(interactions::delete);
    Router::new()
        .route("/{version}/models/{call}", post(pictures::generate))
        .route("/{version}/interactions", post(interactions::create))
        .route("/{version}/interactions/{id}", interaction)
        .route("/{version}/interactions/{id}/cancel", post(interactions::cancel))
        .route("/{version}/files/{name}", get(interactions::file))
        .route("/token", post(cloud::token))
        .route("/service-account.json", get(cloud::credentials))
        .route(
            "/v1beta1/projects/{project}/locations/{location}/publishers/google/models/{call}",
            post(cloud::veo),
        )
        .with_state(world)
}

/// The refusal of a call without a key, which the front end makes for every path.
fn keyless(headers: &HeaderMap, uri: &Uri) -> Option<Response> {
    let header = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = uri.query().unwrap_or_default();
    let query = query.split('&').find_map(|pair| pair.strip_prefix("key=")).unwrap_or_default();
    let message = "Method doesn't allow unregistered callers (callers without established identity).";
    let body = || refusal::numbered(403, "PERMISSION_DENIED", message, &[]);
    (header.is_empty() && query.is_empty()).then(|| refusal::answer(403, &body()))
}

/// A name of an object that the vendor does not know.
fn unknown<'a>(value: &'a Value, known: &[&str]) -> Option<&'a str> {
    let names = value.as_object().into_iter().flat_map(|object| object.keys());
    names.map(String::as_str).find(|name| !known.contains(name))
}

/// Whether a text is a file: both alphabets of base64 are taken, and its package sends the one of URLs.
fn is_file(value: &Value) -> bool {
    let decoded = |text: &str| BASE64.decode(text.as_bytes()).or_else(|_| BASE64URL.decode(text.as_bytes()));
    value.as_str().and_then(|text| decoded(text).ok()).is_some_and(|file| !file.is_empty())
}

/// Width and height of a shape on so many pixels; even, as clips need it.
fn pixels(ratio: &str, area: f64) -> Option<(u32, u32)> {
    let (width, height) = ratio.split_once(':')?;
    let shape = width.parse::<f64>().ok()? / height.parse::<f64>().ok()?;
    let even = |side: f64| format!("{:.0}", side / 2.0).parse::<u32>().ok().map(|half| half * 2);
    Some((even((area * shape).sqrt())?, even((area / shape).sqrt())?))
}
