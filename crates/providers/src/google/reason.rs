//! What a refused call of Google's means, in both of its shapes of errors.
//!
//! Invariant: words count before the status, since a wrong key is a 400 and an empty purse a 429. Not here:
//! answers that bring something.
//!
//! Source: ai.google.dev `api-errors`, `troubleshooting`; PyPI `google-genai` 3.4.0 `errors.py`.

use crate::{
    ProviderError, TaskError,
    upstream::{Answer, milliseconds, sentence, told},
};
use serde_json::Value;

/// Words of what its filters stop.
const BLOCKED: [&str; 6] =
    ["safety", "blocked", "prohibited", "usage guidelines", "responsible ai", "content policy"];
/// Words about pictures that it can't read.
const UNREADABLE: [&str; 2] = ["unable to process input image", "provided image is not valid"];

/// Which of its hosts refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Gemini,
    Cloud,
}

/// What an error says, whichever shape it has.
struct Reason {
    /// `RESOURCE_EXHAUSTED` of the one shape, `rate_limit_exceeded` of the other.
    code: String,
    message: String,
    /// `API_KEY_INVALID`
    reasons: Vec<String>,
    quotas: Vec<String>,
    wait_ms: Option<u32>,
}

/// A submit that was refused.
pub(super) fn of_submit(answer: &Answer, host: Host) -> ProviderError {
    let reason = read(answer);
    let message = sentence(&reason.message);
    if is_operators(&reason) {
        return ProviderError::Unusable { message };
    }
    match answer.status {
        400 | 422 => refused_as(words_of(&reason.code, &reason.message), &reason.message),
        401 | 403 | 404 => ProviderError::Unusable { message },
        429 if is_used_up(&reason, host) => ProviderError::Unusable { message },
        409 | 429 => ProviderError::NotNow { retry_after_ms: reason.wait_ms, message },
        408 | 499 => ProviderError::Ambiguous { message },
        400..=498 => refused_as(TaskError::ProviderFailed, &reason.message),
        _ => ProviderError::Ambiguous { message },
    }
}

/// A poll that was refused, which says nothing of what is billed: a job that is not known may have been made.
pub(super) fn of_poll(answer: &Answer) -> ProviderError {
    let reason = read(answer);
    let message = sentence(&reason.message);
    match answer.status {
        400..=499 => ProviderError::NotNow { retry_after_ms: reason.wait_ms, message },
        _ => ProviderError::Ambiguous { message },
    }
}

/// A poll that could not be made: the job goes on, whatever is wrong with the route.
pub(super) fn later(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Unusable { message } => ProviderError::NotNow { retry_after_ms: None, message },
        other => other,
    }
}

/// What a failed job's or a refused call's words are about.
pub(super) fn words_of(code: &str, message: &str) -> TaskError {
    let text = format!("{code} {message}").to_lowercase();
    if BLOCKED.iter().any(|words| text.contains(words)) {
        return TaskError::ContentRejected;
    }
    if UNREADABLE.iter().any(|words| text.contains(words)) {
        return TaskError::InputRejected;
    }
    TaskError::ProviderFailed
}

/// A refusal in Google's words, as far as users may read them.
pub(super) fn refused_as(error: TaskError, said: &str) -> ProviderError {
    refused(error, told(error, said))
}

pub(super) fn refused(error: TaskError, message: String) -> ProviderError {
    ProviderError::Refused { error, message, cost: None }
}

/// A wrong key, billing that is off, a region that is not served.
fn is_operators(reason: &Reason) -> bool {
    let code = reason.code.to_lowercase();
    code == "failed_precondition"
        || code == "authentication"
        || reason.reasons.iter().any(|reason| reason.starts_with("API_KEY_"))
        || reason.message.starts_with("API key")
}

/// No wait helps before the quota begins anew.
fn is_used_up(reason: &Reason, host: Host) -> bool {
    // The cloud platform shares its quota among all, and never names a wait.
    let names_waits = host == Host::Gemini;
    reason.code == "quota_exceeded"
        || reason.quotas.iter().any(|quota| quota.contains("PerDay"))
        || (names_waits && reason.code == "RESOURCE_EXHAUSTED" && reason.wait_ms.is_none())
}

fn read(answer: &Answer) -> Reason {
    let value = answer.value();
    // Some of its hosts wrap the error in a list of one.
    let error = &value.get(0).unwrap_or(&value)["error"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let details = || error["details"].as_array().into_iter().flatten();
    let violations = details().filter_map(|detail| detail["violations"].as_array()).flatten();
    let wait_ms = details().find_map(|detail| wait(detail["retryDelay"].as_str()?));
    Reason {
        code: text(&error["status"]).or_else(|| text(&error["code"])).unwrap_or_default(),
        message: text(&error["message"]).unwrap_or_default(),
        reasons: details().filter_map(|detail| text(&detail["reason"])).collect(),
        quotas: violations.filter_map(|violation| text(&violation["quotaId"])).collect(),
        wait_ms: wait_ms.or(answer.retry_after_ms),
    }
}

/// `"38s"` or `"38.25s"`.
fn wait(text: &str) -> Option<u32> {
    milliseconds(text.strip_suffix('s')?.parse().ok()?)
}
