//! Stylesheet and script of the pages.
//!
//! Invariant: an asset's URL changes with its content, so browsers keep it for ever; nothing is loaded from
//! others. Not here: the pages.

use crate::http::extract::Shared;
use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("../../assets/console.css");
/// htmx 2.0.11, as npm has it; licence 0BSD beside it.
const SCRIPT: &str = include_str!("../../assets/htmx.min.js");

/// What URLs of assets carry.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::new().chain_update(STYLE).chain_update(SCRIPT).finalize();
    data_encoding::HEXLOWER.encode(&hash[..6])
});

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/console/style.css", get(|| async { asset("text/css", STYLE) }))
        .route("/console/htmx.js", get(|| async { asset("text/javascript", SCRIPT) }))
}

fn asset(mime: &'static str, text: &'static str) -> Response {
    let headers =
        [(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text).into_response()
}
