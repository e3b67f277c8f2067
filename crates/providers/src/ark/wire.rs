//! What Ark answers, and what its errors mean.
//!
//! Invariant: the code counts before the status: 403 is a permission and an empty purse, 429 a rate and a
//! quota. Not here: what is asked.
//!
//! Source: PyPI `byteplus-python-sdk-v2` 3.0.63 `types/content_generation`, Ark's page 1299023 about errors.

use crate::{
    Callback, CallbackError, Heard, OutputSource, ProviderError, TaskError, Unit,
    fan_out::{Part, PartAnswer},
    upstream::{Answer, plain_segment, sentence, told},
};
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: Option<Reason>,
    message: Option<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct Reason {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    video_url: Option<String>,
}

/// A task.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Task {
    id: String,
    status: String,
    error: Option<Reason>,
    content: Option<Content>,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    /// Also whatever the vendor may call it next.
    Running,
    Succeeded,
    Failed,
    /// Canceled, or too late.
    Stopped,
}

impl Task {
    pub(super) fn state(&self) -> State {
        match self.status.as_str() {
            "queued" => State::Queued,
            "succeeded" => State::Succeeded,
            "failed" => State::Failed,
            "cancelled" | "expired" => State::Stopped,
            _ => State::Running,
        }
    }

    /// What became of it.
    pub(super) fn part(self) -> PartAnswer {
        let unit = match self.state() {
            State::Queued | State::Running => return PartAnswer::Pending { progress: None },
            State::Succeeded => match self.content.and_then(|content| content.video_url) {
                Some(url) if !url.is_empty() => Unit::Delivered(OutputSource::Url(url)),
                _ => {
                    Unit::Lost { message: "the provider made a clip and did not say where it is".to_owned() }
                }
            },
            State::Failed | State::Stopped => {
                let Reason { code, message } = self.error.unwrap_or_default();
                let error = content_error(&code.unwrap_or_default()).unwrap_or(TaskError::ProviderFailed);
                Unit::Refused { error, message: told(error, &message.unwrap_or_default()) }
            }
        };
        PartAnswer::Finished { unit, cost: None }
    }
}

/// The task that a create made.
pub(super) fn accepted(answer: &Answer) -> Result<Part, ProviderError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    let id = answer.json::<Task>().map(|task| task.id).filter(|id| is_id(id));
    let unreadable = || ProviderError::Ambiguous { message: "the answer has no id of a task".to_owned() };
    id.map(|id| Part::Accepted { id }).ok_or_else(unreadable)
}

fn is_id(id: &str) -> bool {
    plain_segment(id).is_some()
}

fn failed(message: &str) -> ProviderError {
    ProviderError::Refused { error: TaskError::ProviderFailed, message: message.to_owned(), cost: None }
}

fn reason(answer: &Answer) -> (String, String) {
    let Refusal { error, message } = answer.json().unwrap_or_default();
    let Reason { code, message: inner } = error.unwrap_or_default();
    (code.unwrap_or_default(), sentence(&inner.or(message).unwrap_or_default()))
}

/// What a create that was not taken means.
fn refusal(answer: &Answer) -> ProviderError {
    let (code, message) = reason(answer);
    if answer.status >= 500 || answer.status == 408 || answer.status < 400 {
        return ProviderError::Ambiguous { message };
    }
    if let Some(error) = content_error(&code) {
        return ProviderError::Refused { error, message, cost: None };
    }
    let begins = |known: &[&str]| known.iter().any(|known| code.starts_with(known));
    let unusable = [
        "AuthenticationError",
        "AccessDenied",
        "ServiceNotOpen",
        "ModelNotOpen",
        "InvalidEndpoint",
        "AccountOverdue",
        "ServiceOverdue",
        "QuotaExceeded",
        "SetLimitExceeded",
    ];
    if begins(&unusable) {
        return ProviderError::Unusable { message };
    }
    if begins(&["RateLimitExceeded", "ServerOverloaded"]) || answer.status == 429 {
        return ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message };
    }
    match answer.status {
        401..=404 => ProviderError::Unusable { message },
        _ => failed("the provider could not make this"),
    }
}

/// What is wrong with prompt or picture, in creates and in failed tasks alike.
fn content_error(code: &str) -> Option<TaskError> {
    if code.contains("SensitiveContentDetected") || code.contains("RiskDetection") {
        return Some(TaskError::ContentRejected);
    }
    let picture = ["InvalidParameter.OversizedImage", "InvalidParameter.UnsupportedImageFormat"];
    picture.iter().any(|known| code.starts_with(known)).then_some(TaskError::InputRejected)
}

/// A task that was asked for. A call that failed, or that knows no such task, says nothing about what is
/// billed: it is made again later.
pub(super) fn task(answer: &Answer) -> Result<Task, ProviderError> {
    let (_, message) = reason(answer);
    let task = answer.json::<Task>().filter(|task| answer.is_success() && !task.status.is_empty());
    task.ok_or(ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message })
}

/// A callback has the shape of a task.
pub(super) fn heard(callback: &Callback) -> Result<Heard, CallbackError> {
    let task: Task = serde_json::from_slice(&callback.body).map_err(|_| CallbackError::Forged)?;
    if !is_id(&task.id) {
        return Err(CallbackError::Forged);
    }
    Ok(Heard { provider_task_id: Some(task.id) })
}
