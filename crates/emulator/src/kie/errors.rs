//! Every error that kie documents, for submits and for tasks that fail.
//!
//! Invariant: each case means the same in all four APIs, so a failed task has the words of each; a record
//! takes the fields that it has. Not here: cases of one API alone; its tests name them.
//!
//! Source: docs.kie.ai/market/common/get-task-detail, veo3-api, 4o-image-api, suno-api.

use crate::{ErrorCase, Expected, Fault};
use serde_json::{Value, json};

fn answer(name: &'static str, status: u16, body: Value, expected: Expected) -> ErrorCase {
    ErrorCase { name, fault: Fault::Answer { status, headers: Vec::new(), body }, expected }
}

/// A code in a body, with status 200 as clients see it.
fn code(name: &'static str, code: u16, text: &str, expected: Expected) -> ErrorCase {
    answer(name, 200, json!({"code": code, "msg": text, "data": null}), expected)
}

/// How a task failed, in the words of all four APIs.
fn end(name: &'static str, code: u16, text: &str, status: &str, expected: &'static str) -> ErrorCase {
    let fault = Fault::End(json!({
        "state": "fail", "failCode": code.to_string(), "failMsg": text,
        "successFlag": 2, "errorCode": code, "errorMessage": text, "status": status,
    }));
    ErrorCase { name, fault, expected: Expected::Refused(expected) }
}

pub(crate) fn errors() -> Vec<ErrorCase> {
    let mut cases = submits();
    let audio = "GENERATE_AUDIO_FAILED";
    let flagged = "Your content was flagged by OpenAI as violating content policies.";
    cases.extend([
        end("moderation", 400, flagged, "SENSITIVE_WORD_ERROR", "content_rejected"),
        end("moderation of the market", 422, "The prompt was flagged as nsfw.", audio, "content_rejected"),
        end("unsafe picture", 400, "Unsafe image detected.", audio, "content_rejected"),
        end("lyrics of others", 400, "The lyrics are copyrighted.", audio, "content_rejected"),
        end("a known work", 413, "Matches a work under copyright.", audio, "content_rejected"),
        end("picture not fetched", 451, "Failed to download the image.", audio, "input_unreachable"),
        end("task time-out", 408, "Timeout.", audio, "provider_failed"),
        end("refused upstream", 422, "Your request was rejected by Flow.", audio, "provider_failed"),
        end("task internal", 500, "Internal Error.", "CREATE_TASK_FAILED", "provider_failed"),
        end("task failed", 501, "Video generation failed.", audio, "provider_failed"),
    ]);
    cases
}

fn submits() -> Vec<ErrorCase> {
    let failed = Expected::Refused("provider_failed");
    let content = Expected::Refused("content_rejected");
    let unsupported = "The model name you specified is not supported.";
    vec![
        code("bad key", 401, "You do not have access permissions", Expected::Unusable),
        answer("bad key by status", 401, json!({"code": 401, "msg": "Unauthorized"}), Expected::Unusable),
        answer("bad key without a body", 401, Value::Null, Expected::Unusable),
        code("purse", 402, "The current credits are insufficient.", Expected::Unusable),
        answer("purse, other spelling", 200, json!({"code": 402, "message": "Top up."}), Expected::Unusable),
        code("no such path", 404, "Not Found", Expected::Unusable),
        code("bad parameter", 400, "Invalid request parameters.", failed),
        code("not in range", 422, "aspect_ratio is not within the range of allowed options", failed),
        code("unknown model", 422, unsupported, Expected::Unusable),
        code("policy", 400, "Your prompt violates the content policy.", content),
        code("rate limit", 429, "Your call frequency is too high.", Expected::NotNow),
        answer("rate limit by status", 429, json!({"msg": "Too many"}), Expected::NotNow),
        code("input not fetched", 451, "Failed to fetch the image.", Expected::Refused("input_unreachable")),
        code("maintenance", 455, "The system is being maintained.", Expected::NotNow),
        code("internal", 500, "Server exception", Expected::Unknown),
        answer("internal by status", 500, json!({"code": 500, "msg": "Oops"}), Expected::Unknown),
        answer("a proxy's page", 502, json!("Bad gateway"), Expected::Unknown),
        code("generation failed", 501, "Generation failed.", Expected::Unknown),
        code("switched off", 505, "The feature is currently disabled.", Expected::Unusable),
        code("failed and paid back", 531, "Failed, credits were refunded.", failed),
        code("queue full", 550, "The queue is full, the task was denied.", Expected::NotNow),
        answer("no id", 200, json!({"code": 200, "msg": "success", "data": {}}), Expected::Unknown),
        answer("no envelope", 200, json!({"hello": 1}), Expected::Unknown),
    ]
}
