//! fal's errors: of models, of the platform, and of its gateway.
//!
//! Invariant: a job that failed is `{"status", "body"}`, the answer to asking for its result. Not here: what
//! is wrong with an input (`input`).

use crate::{ErrorCase, Expected, Fault};
use axum::{
    Json,
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// `type` or `error_type`.
pub(super) fn kind(failure: &Value) -> Value {
    let body = &failure["body"];
    [&body["detail"][0]["type"], &body["error_type"]]
        .into_iter()
        .find(|kind| kind.is_string())
        .cloned()
        .into()
}

pub(super) fn sentence(failure: &Value) -> String {
    let body = &failure["body"];
    let known = [&body["detail"][0]["msg"], &body["detail"]];
    known.into_iter().find_map(Value::as_str).unwrap_or("Internal error").to_owned()
}

/// The answer to asking for the result of a job that failed.
pub(super) fn answer(failure: &Value) -> Response {
    let status = failure["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retryable = if status.is_server_error() { "true" } else { "false" };
    let headers = [(HeaderName::from_static("x-fal-retryable"), retryable)];
    (status, headers, Json(failure["body"].clone())).into_response()
}

/// A model's error.
fn model(status: u16, kind: &str) -> Value {
    let place = if kind.contains("image") || kind.contains("file") { "image_url" } else { "prompt" };
    let detail = json!([{"loc": ["body", place], "msg": format!("It is {kind}."), "type": kind,
        "url": format!("https://docs.fal.ai/errors#{kind}"), "input": null}]);
    json!({"status": status, "body": {"detail": detail}})
}

/// The platform's error.
fn platform(status: u16, kind: &str) -> Value {
    json!({"status": status, "body": {"detail": format!("It is {kind}."), "error_type": kind}})
}

/// Its error pages, by case.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let mut cases = submits();
    let end = |name, failure, code| ErrorCase {
        name,
        fault: Fault::End(failure),
        expected: Expected::Refused(code),
    };
    cases.push(end("moderation", model(422, "content_policy_violation"), "content_rejected"));
    cases.push(end("unreachable file", model(422, "file_download_error"), "input_unreachable"));
    for kind in [
        "image_too_small",
        "image_too_large",
        "image_load_error",
        "file_too_large",
        "face_detection_error",
        "unsupported_image_format",
    ] {
        cases.push(end(kind, model(422, kind), "input_rejected"));
    }
    for kind in [
        "greater_than",
        "less_than_equal",
        "one_of",
        "multiple_of",
        "sequence_too_short",
        "sequence_too_long",
        "missing",
        "feature_not_supported",
        "no_media_generated",
    ] {
        cases.push(end(kind, model(422, kind), "provider_failed"));
    }
    for kind in ["internal_server_error", "downstream_service_error", "downstream_service_unavailable"] {
        cases.push(end(kind, model(500, kind), "provider_failed"));
    }
    cases.push(end("generation_timeout", model(504, "generation_timeout"), "provider_failed"));
    for (status, kind) in PLATFORM {
        cases.push(end(kind, platform(status, kind), "provider_failed"));
    }
    cases
}

const PLATFORM: [(u16, &str); 10] = [
    (504, "request_timeout"),
    (504, "startup_timeout"),
    (503, "runner_scheduling_failure"),
    (503, "runner_connection_timeout"),
    (503, "runner_disconnected"),
    (503, "runner_connection_refused"),
    (500, "runner_connection_error"),
    (500, "runner_incomplete_response"),
    (500, "runner_server_error"),
    (500, "internal_error"),
];

/// What a submit may get in the place of an id.
fn submits() -> Vec<ErrorCase> {
    let case = |name, status, body, expected| ErrorCase {
        name,
        fault: Fault::Answer { status, headers: Vec::new(), body },
        expected,
    };
    let empty = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.";
    let admin = json!({"detail": "User is locked. Reason: Admin lock."});
    vec![
        case("bad key", 401, json!({"detail": "Cannot access application"}), Expected::Unusable),
        case("no permission", 403, json!({"detail": "Not allowed"}), Expected::Unusable),
        case("empty purse", 403, json!({"detail": empty}), Expected::Unusable),
        case("top up", 403, json!({"detail": "User is locked. Reason: TOP_UP."}), Expected::Unusable),
        case("blocked account", 403, admin, Expected::Unusable),
        case("empty purse as a success", 200, json!({"detail": empty}), Expected::Unusable),
        case("retired endpoint", 404, json!({"detail": "Application not found"}), Expected::Unusable),
        case("rate limit", 429, json!({"detail": "Too many requests"}), Expected::NotNow),
        case(
            "moderation at once",
            422,
            model(422, "content_policy_violation")["body"].clone(),
            Expected::Refused("content_rejected"),
        ),
        case("text", 422, json!({"detail": "Bad input"}), Expected::Refused("provider_failed")),
        case("gateway", 400, json!({"error": {"message": "Bad", "code": "x"}}), {
            Expected::Refused("provider_failed")
        }),
        case("no id", 200, json!({"status": "IN_QUEUE"}), Expected::Unknown),
        case("internal", 500, json!({"message": "Oops"}), Expected::Unknown),
        case("ingress", 503, json!({"detail": "Service unavailable"}), Expected::Unknown),
    ]
}
