//! `GET /outputs/…`: finished files by their signed URLs.
//!
//! Invariant: thin. Not here: whether a URL is genuine (`app::output`), how bytes are sent (`link`).

use crate::{
    app::{
        Error,
        output::{self, Address},
    },
    http::{
        error::Fail,
        link::{self, Signed},
    },
    state::App,
};
use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use http::{HeaderMap, Method};

/// Download an output
///
/// By the URL that a poll gave, until it expires. Ranges, HEAD and conditional requests work. Costs nothing.
#[utoipa::path(get, path = "/outputs/{account}/{task}/{file}", tag = "outputs",
    params(("account" = String, Path), ("task" = String, Path), ("file" = String, Path),
        ("expires" = i64, Query), ("key" = String, Query), ("signature" = String, Query)),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "Unchanged"),
        (status = 307, description = "It is at the address in `Location`, for a few minutes"),
        (status = 416, description = "No such part")))]
pub(crate) async fn get_output(
    State(app): State<App>,
    method: Method,
    path: Result<Path<(String, String, String)>, PathRejection>,
    Signed(signature): Signed,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let Path((account, task, file)) = path.map_err(|_| Fail(Error::NotFound))?;
    let address = Address { account, task, file, signature };
    let stored = output::stored(&output::open(&app, &address).await?);
    Ok(link::send(&app, &stored, address.signature.expires_s, &method, &headers).await?)
}
