//! Spans for whoever collects traces: one for each request, each step of a task, each call of a provider.
//!
//! Invariant: a span holds names of this program only: no prompt, key, token or account. Where nobody
//! collects them no span is made. Not here: sending them, and which are kept (the binary).

use http::{HeaderMap, Method};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// What the spans are called in filters; they are of level trace, so that the log's usual filter leaves them
/// out.
pub const TARGET: &str = "rynjer::trace";

/// The span of a request. It goes on with its caller's trace, if the caller names one.
pub(crate) fn request(method: &Method, route: Option<&str>, headers: &HeaderMap) -> Span {
    // Whatever stands there is the caller's text, and so it might be anything.
    let known = [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::PUT, Method::OPTIONS];
    let method = if known.contains(method) { method.as_str() } else { "_OTHER" };
    let route = route.unwrap_or("unmatched");
    let span = tracing::trace_span!(
        target: TARGET,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request_id = Empty,
    );
    if !span.is_disabled() {
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        follow(&span, parent);
    }
    span
}

/// Notes how a request was answered.
pub(crate) fn answered(span: &Span, status: u16, request_id: &str) {
    span.record("http.response.status_code", status);
    span.record("request_id", request_id);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of one step of a task; `parent` is what the task's body kept of its request.
pub(crate) fn task_run(provider: &str, step: &'static str, parent: impl FnOnce() -> Option<String>) -> Span {
    let span = tracing::trace_span!(
        target: TARGET,
        "task",
        otel.name = "task run",
        otel.kind = "consumer",
        provider,
        step,
    );
    if !span.is_disabled() {
        follow(&span, parent().as_deref());
    }
    span
}

/// The span of one call of a provider.
pub(crate) fn provider_call(provider: &str, call: &'static str) -> Span {
    tracing::trace_span!(
        target: TARGET,
        "provider",
        otel.name = format!("provider {call}"),
        otel.kind = "client",
        otel.status_code = Empty,
        provider,
        call,
        outcome = Empty,
    )
}

/// Where this request's trace goes on in another process, as text; `None` if nobody collects it.
pub(crate) fn to_go_on() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let here = span.span_context();
    let collected = here.is_valid() && here.is_sampled();
    collected.then(|| format!("00-{}-{}-01", here.trace_id(), here.span_id()))
}

fn follow(span: &Span, parent: Option<&str>) {
    let Some(parent) = parent.and_then(parse) else { return };
    let context = opentelemetry::Context::new().with_remote_span_context(parent);
    // It fails only where nobody collects spans.
    drop(span.set_parent(context));
}

/// Reads a `traceparent` of W3C's Trace Context.
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let form = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    let more = parts.next().is_some();
    if !form || version == "ff" || (version == "00" && more) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_read_strictly() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = parse(good).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        for bad in [
            "",
            "00",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(parse(&format!("cc{}-x", &good[2..])).is_some(), "a later version may say more");
    }
}
