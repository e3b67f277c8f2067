//! Every error that Google documents, by what it is about.
//!
//! Invariant: a table holds for one shape of jobs: those of `generateContent`, of interactions or of Veo. Not
//! here: what is refused because a request is wrong.

use super::refusal::{numbered, worded};
use crate::{ErrorCase, Expected, Fault};
use serde_json::{Value, json};

const BLOCKED: Expected = Expected::Refused("content_rejected");
const FAILED: Expected = Expected::Refused("provider_failed");
const TYPE: &str = "type.googleapis.com/google.rpc.";

fn refused(name: &'static str, status: u16, body: Value, expected: Expected) -> ErrorCase {
    ErrorCase { name, fault: Fault::Answer { status, headers: Vec::new(), body }, expected }
}

fn ends(name: &'static str, failure: Value, expected: Expected) -> ErrorCase {
    ErrorCase { name, fault: Fault::End(failure), expected }
}

fn detail(kind: &str, rest: Value) -> Value {
    let mut detail = rest;
    detail["@type"] = json!(format!("{TYPE}{kind}"));
    detail
}

/// The shape with numbers: of every call, and of the front end before interactions.
fn numbered_cases() -> Vec<ErrorCase> {
    let bad_key = detail("ErrorInfo", json!({"reason": "API_KEY_INVALID", "domain": "googleapis.com"}));
    let quota = |id: &str| detail("QuotaFailure", json!({"violations": [{"quotaId": id}]}));
    let wait = detail("RetryInfo", json!({"retryDelay": "38s"}));
    let used = "You exceeded your current quota, please check your plan and billing details.";
    let minute = quota("GenerateRequestsPerMinutePerProjectPerModel");
    let day = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    let bad =
        numbered(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", &[bad_key]);
    let input = "Unable to process input image. Please retry or report in the forum.";
    let region = "User location is not supported for the API use.";
    let gone = "This model models/gemini-x is no longer available. Please update your code.";
    let limit = numbered(429, "RESOURCE_EXHAUSTED", used, &[minute, wait.clone()]);
    let daily = numbered(429, "RESOURCE_EXHAUSTED", used, &[day, wait]);
    let plain = |code, status: &str, message: &str| numbered(code, status, message, &[]);
    vec![
        refused("bad key", 400, bad.clone(), Expected::Unusable),
        refused("bad key in a list", 400, json!([bad]), Expected::Unusable),
        refused("permission", 403, plain(403, "PERMISSION_DENIED", "No permission."), Expected::Unusable),
        refused("invalid", 400, plain(400, "INVALID_ARGUMENT", "Invalid value."), FAILED),
        refused("input picture", 400, plain(400, "INVALID_ARGUMENT", input), {
            Expected::Refused("input_rejected")
        }),
        refused(
            "blocked",
            400,
            plain(400, "INVALID_ARGUMENT", "The prompt was blocked for safety."),
            BLOCKED,
        ),
        refused("region", 400, plain(400, "FAILED_PRECONDITION", region), Expected::Unusable),
        refused("retired model", 404, plain(404, "NOT_FOUND", gone), Expected::Unusable),
        refused("rate limit", 429, limit, Expected::NotNow),
        refused("daily quota", 429, daily, Expected::Unusable),
        refused("internal", 500, plain(500, "INTERNAL", "An internal error."), Expected::Unknown),
        refused("overloaded", 503, plain(503, "UNAVAILABLE", "The model is overloaded."), Expected::Unknown),
        refused("deadline", 504, plain(504, "DEADLINE_EXCEEDED", "Too slow."), Expected::Unknown),
    ]
}

fn no_credit() -> Value {
    numbered(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", &[])
}

/// Of `generateContent`.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let end = |reason: &str| json!({"candidates": [{"finishReason": reason, "index": 0}]});
    let words = json!({"candidates": [{
        "content": {"role": "model", "parts": [{"text": "Which colour?"}]}, "finishReason": "STOP",
    }]});
    let mut cases = numbered_cases();
    cases.push(refused("credit", 429, no_credit(), Expected::Unusable));
    for name in [
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "RECITATION",
        "SPII",
    ] {
        cases.push(ends(name, end(name), BLOCKED));
    }
    for name in ["NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS", "MALFORMED_RESPONSE"] {
        cases.push(ends(name, end(name), Expected::Unknown));
    }
    for name in ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"] {
        cases.push(ends("blocked prompt", json!({"promptFeedback": {"blockReason": name}}), BLOCKED));
    }
    cases.push(ends("words alone", words, Expected::Unknown));
    cases.push(ends("nothing", json!({"candidates": []}), Expected::Unknown));
    cases
}

/// Of interactions.
#[must_use]
pub fn interaction_errors() -> Vec<ErrorCase> {
    let case = |code: &'static str, status, expected| refused(code, status, worded(code, "No."), expected);
    let mut cases = numbered_cases();
    cases.push(refused("credit", 429, no_credit(), Expected::Unusable));
    cases.extend([
        case("authentication", 401, Expected::Unusable),
        case("permission_denied", 403, Expected::Unusable),
        case("invalid_request", 400, FAILED),
        case("parameter_unknown", 400, FAILED),
        case("failed_precondition", 400, Expected::Unusable),
        case("model_not_found", 404, Expected::Unusable),
        case("rate_limit_exceeded", 429, Expected::NotNow),
        case("quota_exceeded", 429, Expected::Unusable),
        case("internal", 500, Expected::Unknown),
    ]);
    let text = json!({"type": "model_output", "content": [{"type": "text", "text": "I can't make that."}]});
    let error = |message: &str| json!({"code": 13, "message": message, "details": []});
    let step = json!({"type": "model_output", "error": error("Rendering failed.")});
    let own =
        |message: &str| json!({"status": "failed", "errors": [{"code": "internal", "message": message}]});
    cases.extend([
        ends("completed without a clip", json!({"steps": [text]}), BLOCKED),
        ends("failed", own("The render failed."), FAILED),
        ends("failed by a filter", own("Blocked by our safety filters."), BLOCKED),
        ends("failed in a step", json!({"status": "failed", "steps": [step]}), FAILED),
    ]);
    for name in ["cancelled", "incomplete", "budget_exceeded", "requires_action", "requires_continuation"] {
        cases.push(ends(name, json!({"status": name, "steps": []}), FAILED));
    }
    cases
}

/// Of Veo on the cloud platform.
#[must_use]
pub fn veo_errors() -> Vec<ErrorCase> {
    let filtered = json!({"response": {
        "raiMediaFilteredCount": 1,
        "raiMediaFilteredReasons": ["We encountered an issue with the prompt. Support codes: 58061214."],
    }});
    let error = |code: u16, message: &str| json!({"error": {"code": code, "message": message}});
    let policy = "The prompt violates the platform's usage guidelines.";
    // This host shares its quota among all and names no wait.
    let busy = numbered(429, "RESOURCE_EXHAUSTED", "Resource exhausted, please try again later.", &[]);
    let mut cases = numbered_cases();
    cases.extend([
        refused("busy", 429, busy, Expected::NotNow),
        ends("filtered", filtered, BLOCKED),
        ends("filtered without a reason", json!({"response": {"raiMediaFilteredCount": 1}}), BLOCKED),
        ends("blocked prompt", error(3, policy), BLOCKED),
        ends("invalid", error(3, "The image could not be used."), FAILED),
        ends("internal", error(13, "Video generation failed."), FAILED),
        ends("nothing", json!({"response": {}}), Expected::Unknown),
    ]);
    cases
}
