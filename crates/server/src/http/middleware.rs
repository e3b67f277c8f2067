//! The layers around every route, on one page: trace id, panics, errors into bodies, metrics, the log line.
//!
//! Invariant: each request is logged once, at its end, without secrets or prompts; each answer carries
//! `X-Request-Id`. Not here: limits of size (extractors) and of connections (`listen`).

use crate::{
    app::Error,
    clock, entropy,
    http::{
        error::{Context, Fail, render},
        extract::Shared,
        rate::Verdict,
    },
    trace,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, header};
use rynjer_core::id;
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};
use tracing::Instrument;

/// What the layers and the extractors of one request tell each other.
pub(crate) struct Exchange {
    trace_id: String,
    rate: OnceLock<Verdict>,
}

impl Exchange {
    pub(crate) fn note_rate(&self, verdict: Verdict) {
        // The first limit that counted the request is the one that is shown.
        let _ = self.rate.set(verdict);
    }
}

/// Wraps every request.
pub(crate) async fn observe(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let started = clock::stopwatch();
    let bytes = id::uuid_v7(shared.app.now_ms(), entropy::id());
    let exchange =
        Arc::new(Exchange { trace_id: data_encoding::HEXLOWER.encode(&bytes), rate: OnceLock::new() });
    request.extensions_mut().insert(Arc::clone(&exchange));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let problem = wants_problem(request.headers());
    let span = trace::request(&method, route.as_ref().map(MatchedPath::as_str), request.headers());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = answered.unwrap_or_else(|_| {
        let mut response = Response::default();
        response.extensions_mut().insert(Fail(Error::Internal("a handler panicked".to_owned())));
        response
    });
    if let Some(Fail(error)) = response.extensions_mut().remove::<Fail>() {
        log_error(&error, &exchange.trace_id, &method, shown(&path));
        let context = Context {
            trace_id: &exchange.trace_id,
            base_url: shared.app.base_url(),
            success_envelope: path == "/api/v1/agents/register" || path.starts_with("/api/v1/agents/keys/"),
            problem,
            money: method == Method::POST && path == "/v1/generate",
        };
        let allow = response.headers_mut().remove(header::ALLOW);
        response = render(&error, &context);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    add_headers(&mut response, &exchange);
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    trace::answered(&span, status, &exchange.trace_id);
    metrics::counter!("rynjer_http_requests_total", "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("rynjer_http_request_seconds", "route" => route, "class" => class(status))
        .record(elapsed.as_secs_f64());
    let elapsed_us = elapsed.as_micros();
    let path = shown(&path);
    tracing::debug!(trace_id = exchange.trace_id, %method, path, status, elapsed_us, "request");
    response
}

/// A path for the log. Some are credentials.
fn shown(path: &str) -> &str {
    let secret = ["/callbacks/", "/inputs/"].into_iter().find(|start| path.starts_with(start));
    secret.unwrap_or(path)
}

fn class(status: u16) -> &'static str {
    match status {
        500.. => "5xx",
        400.. => "4xx",
        300.. => "3xx",
        _ => "2xx",
    }
}

fn wants_problem(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/problem+json"))
}

fn log_error(error: &Error, trace_id: &str, method: &Method, path: &str) {
    match error {
        Error::Internal(cause) => tracing::error!(trace_id, %method, path, cause, "request failed"),
        Error::Ledger(rynjer_core::ledger::Refusal::LedgerFault { detail }) => {
            tracing::error!(trace_id, %method, path, detail, "an account's ledger is broken and frozen");
        }
        _ => {}
    }
}

fn add_headers(response: &mut Response, exchange: &Exchange) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&exchange.trace_id) {
        headers.insert("x-request-id", value);
    }
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let limited = exchange.rate.get().and_then(Verdict::headers);
    for (name, value) in limited.into_iter().flatten() {
        headers.insert(name, value);
    }
}
