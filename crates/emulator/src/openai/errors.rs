//! OpenAI's errors, by its guide and as they were seen.
//!
//! Invariant: each row of its error table is here, with the code that tells it from its neighbours. Not here:
//! when they come.

use super::{INVALID, error};
use crate::{ErrorCase, Expected, Fault};
use serde_json::{Value, json};

/// Its error guide, by case.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let mut cases = accounts();
    cases.extend(requests());
    cases.extend(ended());
    cases
}

fn answer(name: &'static str, status: u16, body: Value, expected: Expected) -> ErrorCase {
    ErrorCase { name, fault: Fault::Answer { status, headers: Vec::new(), body }, expected }
}

/// Of who asks, and of how much.
fn accounts() -> Vec<ErrorCase> {
    let case = |name, status, kind, code, expected| {
        answer(name, status, error(kind, code, "Not for this account."), expected)
    };
    let quota = "insufficient_quota";
    let no_member = json!({"error": {"message": "You must be a member.", "type": INVALID, "code": null}});
    vec![
        case("bad key", 401, INVALID, "invalid_api_key", Expected::Unusable),
        answer("no member", 401, no_member, Expected::Unusable),
        case("region", 403, INVALID, "unsupported_country_region_territory", Expected::Unusable),
        case("unverified", 403, INVALID, "organization_not_verified", Expected::Unusable),
        case("rate limit", 429, "requests", "rate_limit_exceeded", Expected::NotNow),
        case("quota", 429, quota, quota, Expected::Unusable),
        case("hard limit", 400, INVALID, "billing_hard_limit_reached", Expected::Unusable),
        case("inactive", 429, INVALID, "billing_not_active", Expected::Unusable),
        case("retired model", 404, INVALID, "model_not_found", Expected::Unusable),
        case("retired model, otherwise", 400, INVALID, "model_not_found", Expected::Unusable),
        case("conflict", 409, INVALID, "conflict", Expected::NotNow),
        case("internal", 500, "server_error", "internal_error", Expected::Unknown),
        case("overloaded", 503, "server_error", "overloaded", Expected::Unknown),
    ]
}

/// Of what is asked.
fn requests() -> Vec<ErrorCase> {
    let rejected = Expected::Refused("content_rejected");
    let failed = Expected::Refused("provider_failed");
    let moderation = "Your request was rejected by the safety system. safety_violations=[violence].";
    let kind = "image_generation_user_error";
    let mut picture = error(INVALID, "invalid_image_file", "The picture could not be read.");
    picture["error"]["param"] = json!("image");
    vec![
        answer("moderation", 400, error(kind, "moderation_blocked", moderation), rejected),
        answer("old moderation", 400, error(INVALID, "content_policy_violation", "No."), rejected),
        answer("invalid", 400, error(INVALID, "invalid_value", "Bad size."), failed),
        answer("unprocessable", 422, error(INVALID, "unprocessable", "Bad body."), failed),
        answer("picture", 400, picture, Expected::Refused("input_rejected")),
    ]
}

/// How accepted jobs end.
fn ended() -> Vec<ErrorCase> {
    let end = |name, failure, expected| ErrorCase { name, fault: Fault::End(failure), expected };
    let blocked = json!({"code": "moderation_blocked", "message": "Moderated."});
    let mut no_picture = blocked.clone();
    no_picture["data"] = json!([]);
    let broken = json!({"code": "internal_error", "message": "It could not be made."});
    vec![
        end("moderated later", blocked, Expected::Refused("content_rejected")),
        end("no picture", no_picture, Expected::Refused("content_rejected")),
        end("broken later", broken, Expected::Refused("provider_failed")),
    ]
}
