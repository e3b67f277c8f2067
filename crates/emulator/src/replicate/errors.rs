//! Replicate's errors: problem details of calls, and predictions that fail.
//!
//! Invariant: a prediction that failed is `{"status", "error"}`. Not here: what is wrong with an input.

use crate::{ErrorCase, Expected, Fault};
use serde_json::{Value, json};

fn failed(error: &str) -> Value {
    json!({"status": "failed", "error": error})
}

/// By case.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let case = |name, status, body, expected| ErrorCase {
        name,
        fault: Fault::Answer { status, headers: Vec::new(), body },
        expected,
    };
    let details = |title: &str, detail: &str| json!({"title": title, "detail": detail});
    let version = details("Invalid version or not permitted", "The specified version does not exist.");
    let throttled = json!({"detail": "Request was throttled. Your rate limit resets in ~30s."});
    let input = details("Input validation failed", "- input: prompt is required\n");
    let failed_by_us = Expected::Refused("provider_failed");
    let blocked = Expected::Refused("content_rejected");
    let end = |name, failure, expected| ErrorCase { name, fault: Fault::End(failure), expected };
    let sensitive = "The input or output was flagged as sensitive. Please try again. (E005) (x1)";
    vec![
        case("no key", 401, details("Unauthenticated", "No token."), Expected::Unusable),
        case("wrong key", 401, details("Unauthenticated", "Invalid token."), Expected::Unusable),
        case("no access", 422, version, Expected::Unusable),
        case("no credit", 402, details("Insufficient credit", "You have none."), Expected::Unusable),
        case("forbidden", 403, details("Forbidden", "No."), Expected::Unusable),
        case("unknown model", 404, details("Not found", "No such model."), Expected::Unusable),
        case("rate limit", 429, throttled, Expected::NotNow),
        case("bad input", 422, input, failed_by_us),
        case("another error", 400, json!({"error": "Bad request"}), failed_by_us),
        case("unreadable", 201, json!({"status": "starting"}), Expected::Unknown),
        case("server", 500, json!({"detail": "Oops"}), Expected::Unknown),
        case("gateway", 502, Value::Null, Expected::Unknown),
        end("model failure", failed("CUDA out of memory"), failed_by_us),
        end("nsfw", failed("NSFW content detected. Try running it again."), blocked),
        end("sensitive", failed(sensitive), blocked),
        end("content policy", failed("It breaks our content policy."), blocked),
        end("safety", failed("Blocked by the safety filter."), blocked),
        end("canceled while it ran", json!({"status": "canceled", "error": null}), Expected::Unknown),
        end("aborted", json!({"status": "aborted", "error": null}), failed_by_us),
    ]
}
