//! `GET /inputs/…`: pictures of requests, for the vendors that fetch them by their signed URLs.
//!
//! Invariant: thin. Not here: whether a URL is genuine (`app::upstream_input`), how bytes are sent (`link`).

use crate::{
    app::{Error, upstream_input},
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

/// The URL is the credential, as for outputs.
pub(crate) async fn get(
    State(app): State<App>,
    method: Method,
    path: Result<Path<(String, String, String)>, PathRejection>,
    Signed(signature): Signed,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let Path((account, task, file)) = path.map_err(|_| Fail(Error::NotFound))?;
    let stored = upstream_input::open(&app, &format!("{account}/{task}/{file}"), &signature).await?;
    Ok(link::send(&app, &stored, signature.expires_s, &method, &headers).await?)
}
