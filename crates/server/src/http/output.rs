//! `GET /outputs/…`: finished files by their signed URLs.
//!
//! Invariant: fixed type, no sniffing, no script; a range is served as asked or refused. Not here: whether a
//! URL is genuine (`app::output`).

use crate::{
    app::{
        Error,
        output::{self, Address},
    },
    http::{byte_range, error::Fail},
    state::App,
};
use axum::{
    body::Body,
    extract::{Path, Query, State, rejection::PathRejection},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use object_store::{GetOptions, ObjectStore, path::Path as ObjectPath};
use rynjer_store::output::OutputRow;
use serde::Deserialize;

/// The signature's part of a URL.
#[derive(Deserialize)]
pub(crate) struct Signature {
    expires: i64,
    key: String,
    signature: String,
}

/// Download an output
///
/// By the URL that a poll gave, until it expires. Ranges, HEAD and conditional requests work. Costs nothing.
#[utoipa::path(get, path = "/outputs/{account}/{task}/{file}", tag = "outputs",
    params(("account" = String, Path), ("task" = String, Path), ("file" = String, Path),
        ("expires" = i64, Query), ("key" = String, Query), ("signature" = String, Query)),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "Unchanged"), (status = 416, description = "No such part")))]
pub(crate) async fn get_output(
    State(app): State<App>,
    method: Method,
    path: Result<Path<(String, String, String)>, PathRejection>,
    signature: Result<Query<Signature>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let Path((account, task, file)) = path.map_err(|_| Fail(Error::NotFound))?;
    let Query(Signature { expires, key, signature }) = signature.map_err(|_| Fail(Error::NotFound))?;
    let address = Address { account, task, file, expires_s: expires, key, signature };
    let row = output::open(&app, &address).await?;
    Ok(send(&app, &row, &method, &headers).await?)
}

async fn send(app: &App, row: &OutputRow, method: &Method, headers: &HeaderMap) -> Result<Response, Error> {
    let length = u64::try_from(row.bytes).unwrap_or(0);
    let etag = format!("\"{}\"", row.sha256);
    let answer = byte_range::decide(method, headers, length, &etag);
    let (status, range) = match answer {
        byte_range::Answer::Whole => (StatusCode::OK, 0..length),
        byte_range::Answer::Part { start, end } => (StatusCode::PARTIAL_CONTENT, start..end + 1),
        byte_range::Answer::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
        byte_range::Answer::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let empty = range.is_empty() || method == Method::HEAD;
    let body = if empty { Body::empty() } else { open(app, row, range.clone()).await? };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let out = response.headers_mut();
    let mut put = |name: header::HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            out.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, &row.mime);
    put(header::ETAG, &etag);
    put(header::ACCEPT_RANGES, "bytes");
    put(header::CACHE_CONTROL, "private, max-age=3600");
    put(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    put(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    put(header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Content-Range, Content-Length, X-Request-Id");
    let extension = row.object_key.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    put(header::CONTENT_DISPOSITION, &format!("inline; filename=\"rynjer-{}.{extension}\"", row.index));
    if let Some(value) = answer.content_range(length) {
        out.insert(header::CONTENT_RANGE, value);
    }
    if status.is_success() {
        out.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    }
    Ok(response)
}

async fn open(app: &App, row: &OutputRow, range: std::ops::Range<u64>) -> Result<Body, Error> {
    let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
    let found = app.outputs.get_opts(&ObjectPath::from(row.object_key.as_str()), options).await;
    match found {
        Ok(found) => Ok(Body::from_stream(found.into_stream())),
        Err(error) => Err(Error::internal(format!("an output's file is gone: {error}"))),
    }
}
