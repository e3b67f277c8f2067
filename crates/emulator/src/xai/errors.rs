//! What xAI documents as errors, and what was seen of them.
//!
//! Invariant: each row of its error table is here, in the shape in which it was seen. Not here: when they
//! come, jobs that are no longer kept: only clips have them, and it is in doubt what they cost.

use crate::{ErrorCase, Expected, Fault};
use serde_json::{Value, json};

/// Its error table, by case.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let mut cases = refused();
    cases.extend(ended());
    cases
}

fn answer(name: &'static str, status: u16, body: Value, expected: Expected) -> ErrorCase {
    ErrorCase { name, fault: Fault::Answer { status, headers: Vec::new(), body }, expected }
}

fn refused() -> Vec<ErrorCase> {
    let failed = Expected::Refused("provider_failed");
    let two = |code: &str, message: &str| json!({"code": code, "error": message});
    let one = |message: &str| json!({"error": message});
    let purse = "Your team 1 has either used all available credits or reached its monthly spending limit.";
    let retention = "Teams with zero data retention must pass output.upload_url for video generation.";
    let moderated = json!({
        "code": "imagine:content-moderated", "error": "Generated image was rejected by content moderation.",
        "usage": {"cost_in_usd_ticks": 200_000_000},
    });
    let mode = "This argument is not supported by the model.";
    let nested = json!({"error": {"message": mode, "type": "invalid_request_error", "param": null}});
    vec![
        answer(
            "wrong key",
            400,
            two("invalid-argument", "Incorrect API key provided: te***-1."),
            Expected::Unusable,
        ),
        answer(
            "no key",
            401,
            two("unauthenticated", "No authorization header was given."),
            Expected::Unusable,
        ),
        answer("blocked team", 403, two("permission-denied", "The team is blocked."), Expected::Unusable),
        answer("unknown model", 404, two("not-found", "The model does not exist."), Expected::Unusable),
        answer("no retention", 400, two("invalid-argument", retention), Expected::Unusable),
        answer("invalid", 400, two("invalid-argument", "Duration must be at most 10 seconds."), failed),
        answer("invalid, nested", 400, nested, failed),
        answer("invalid, without a code", 400, one("Argument not supported: style"), failed),
        answer("undecodable", 422, one("Failed to deserialize the JSON body into the target type."), failed),
        answer("moderated, billed", 400, moderated, Expected::Refused("content_rejected")),
        answer("rate limit", 429, one("Too many requests, slow down."), Expected::NotNow),
        answer("out of credit", 429, two("resource-exhausted", purse), Expected::Unusable),
        answer("internal", 500, two("internal", "Internal error."), Expected::Unknown),
        answer("unavailable", 503, one("The service is temporarily unavailable."), Expected::Unknown),
    ]
}

/// How accepted jobs end.
fn ended() -> Vec<ErrorCase> {
    let end = |name, failure, expected| ErrorCase { name, fault: Fault::End(failure), expected };
    let job =
        |code: &str, message: &str| json!({"status": "failed", "error": {"code": code, "message": message}});
    let failed = Expected::Refused("provider_failed");
    let rejected = Expected::Refused("content_rejected");
    let moderated = "The output was rejected by content moderation.";
    vec![
        end("bad input", job("invalid_argument", "The image could not be decoded."), failed),
        end("moderated job", job("invalid_argument", moderated), rejected),
        end("not permitted", job("permission_denied", "Not permitted."), failed),
        end("no such mode", job("failed_precondition", "1080p is not available for this model."), failed),
        end("unavailable later", job("service_unavailable", "Try again later."), failed),
        end("internal later", job("internal_error", "Internal error."), failed),
        end(
            "held back",
            json!({"status": "done", "video": {"url": "", "respect_moderation": false}}),
            rejected,
        ),
        end(
            "moderated when asked for",
            json!({"code": "imagine:content-moderated", "error": "Content was moderated."}),
            rejected,
        ),
    ]
}
