//! What a signed URL opens, sent: type, ranges, caching.
//!
//! Invariant: fixed type, no sniffing, no script; a range is served as asked or refused. Not here: whether a
//! URL is genuine (`app::link`).

use crate::{
    app::{
        Error,
        link::{Signature, Stored},
    },
    http::{
        byte_range,
        error::Fail,
        extract::{Shared, Visitor},
    },
    state::App,
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Query},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use object_store::{GetOptions, path::Path as ObjectPath};
use serde::Deserialize;
use std::time::Duration;

/// The signature's parameters, as they stand in a URL.
#[derive(Deserialize)]
struct Parameters {
    expires: i64,
    key: String,
    signature: String,
}

/// The signature of a URL; without one there is nothing.
pub(crate) struct Signed(pub(crate) Signature);

impl FromRequestParts<Shared> for Signed {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Fail> {
        Visitor::from_request_parts(parts, shared).await?;
        let query = Query::<Parameters>::from_request_parts(parts, shared).await;
        let Query(Parameters { expires, key, signature }) = query.map_err(|_| Fail(Error::NotFound))?;
        Ok(Self(Signature { expires_s: expires, key, tag: signature }))
    }
}

/// Sends an object, or the part of it that was asked for.
pub(crate) async fn send(
    app: &App,
    stored: &Stored,
    expires_s: i64,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let length = stored.bytes;
    let etag = format!("\"{}\"", stored.sha256);
    let answer = byte_range::decide(method, headers, length, &etag);
    let (status, range) = match answer {
        byte_range::Answer::Whole => (StatusCode::OK, 0..length),
        byte_range::Answer::Part { start, end } => (StatusCode::PARTIAL_CONTENT, start..end + 1),
        byte_range::Answer::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
        byte_range::Answer::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let empty = range.is_empty() || method == Method::HEAD;
    if !empty {
        let left_ms = expires_s.saturating_mul(1000).saturating_sub(app.now_ms());
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        let found = app.outputs.redirect(stored, left).await;
        if let Some(url) = found.map_err(|error| Error::storage("sign", &error))? {
            return Ok(redirected(&url));
        }
    }
    let body = if empty { Body::empty() } else { open(app, stored, range.clone()).await? };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let out = response.headers_mut();
    let mut put = |name: header::HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            out.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, &stored.mime);
    put(header::ETAG, &etag);
    put(header::ACCEPT_RANGES, "bytes");
    put(header::CACHE_CONTROL, "private, max-age=3600");
    put(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    put(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    put(header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Content-Range, Content-Length, X-Request-Id");
    put(header::CONTENT_DISPOSITION, &format!("inline; filename=\"{}\"", stored.file_name));
    if let Some(value) = answer.content_range(length) {
        out.insert(header::CONTENT_RANGE, value);
    }
    if status.is_success() {
        out.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    }
    Ok(response)
}

/// Leads to the storage's own link. Nobody may remember it: it works for minutes.
fn redirected(url: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    if let Ok(url) = HeaderValue::from_str(url) {
        headers.insert(header::LOCATION, url);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn open(app: &App, stored: &Stored, range: std::ops::Range<u64>) -> Result<Body, Error> {
    let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
    let found = app.outputs.get_opts(&ObjectPath::from(stored.object_key.as_str()), options).await;
    match found {
        Ok(found) => Ok(Body::from_stream(found.into_stream())),
        Err(error @ object_store::Error::NotFound { .. }) => {
            Err(Error::internal(format!("a stored object is gone: {error}")))
        }
        Err(error) => Err(Error::storage("read", &error)),
    }
}
