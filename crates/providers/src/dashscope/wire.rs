//! What DashScope answers, and what its errors mean.
//!
//! Invariant: the code counts before the status, since an empty purse is a 400, and a 200 may carry an error.
//! Not here: what is asked.
//!
//! Source: PyPI `dashscope` 2.0.2 `v2/errors.py`, Model Studio's list of error codes and its page about
//! asynchronous tasks.

use crate::{
    OutputSource, ProviderError, TaskError, Unit,
    fan_out::{Part, PartAnswer},
    upstream::{Answer, plain_segment, sentence, told},
};
use serde::Deserialize;

/// How long a quota over time takes to clear; the vendor does not say.
const ALLOCATION_WAIT_MS: u32 = 60_000;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope {
    code: Option<String>,
    message: Option<String>,
    output: Output,
}

/// Of a task and of pictures made at once.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Output {
    task_id: Option<String>,
    task_status: Option<String>,
    pub(super) orig_prompt: Option<String>,
    video_url: Option<String>,
    code: Option<String>,
    message: Option<String>,
    choices: Vec<Choice>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    message: Message,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    content: Vec<Content>,
}

/// A picture, or something else that is of no use here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    image: Option<String>,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    Succeeded,
    /// Also canceled.
    Failed,
    /// The vendor has no such task, or has forgotten it.
    Gone,
}

impl Output {
    pub(super) fn status(&self) -> Status {
        match self.task_status.as_deref().unwrap_or_default() {
            "SUCCEEDED" => Status::Succeeded,
            "FAILED" | "CANCELED" => Status::Failed,
            "UNKNOWN" => Status::Gone,
            _ => Status::Open,
        }
    }
}

/// The picture of a call that is answered at once.
pub(super) fn picture(answer: &Answer) -> Result<Part, ProviderError> {
    let envelope = accepted_envelope(answer)?;
    let parts = envelope.output.choices.into_iter().flat_map(|choice| choice.message.content);
    let url = parts.filter_map(|part| part.image).find(|url| !url.is_empty());
    // One was asked for; more are dropped.
    let url = url.ok_or_else(|| unreadable("the answer has no picture"))?;
    Ok(Part::Finished { unit: Unit::Delivered(OutputSource::Url(url)), cost: None })
}

/// The task of a call that makes one.
pub(super) fn accepted(answer: &Answer) -> Result<Part, ProviderError> {
    let id = accepted_envelope(answer)?.output.task_id.filter(|id| is_id(id));
    id.map(|id| Part::Accepted { id }).ok_or_else(|| unreadable("the answer has no id of a task"))
}

pub(super) fn is_id(id: &str) -> bool {
    plain_segment(id).is_some()
}

fn accepted_envelope(answer: &Answer) -> Result<Envelope, ProviderError> {
    let envelope: Option<Envelope> = answer.json();
    if !answer.is_success() {
        return Err(refusal(answer, envelope.unwrap_or_default()));
    }
    let envelope = envelope.ok_or_else(|| unreadable("the answer could not be read"))?;
    let refused = envelope.code.as_deref().is_some_and(|code| !code.is_empty());
    if refused { Err(refusal(answer, envelope)) } else { Ok(envelope) }
}

fn unreadable(message: &str) -> ProviderError {
    ProviderError::Ambiguous { message: message.to_owned() }
}

/// What a submit that was not taken means.
fn refusal(answer: &Answer, envelope: Envelope) -> ProviderError {
    let code = envelope.code.unwrap_or_default();
    let message = sentence(&envelope.message.unwrap_or_default());
    if answer.status >= 500 || answer.status == 408 {
        return ProviderError::Ambiguous { message };
    }
    if let Some(error) = content_error(&code) {
        return ProviderError::Refused { error, message, cost: None };
    }
    let class = code.split('.').next().unwrap_or_default();
    match (class, answer.status) {
        ("Throttling", _) | (_, 429) => {
            let slow = code.ends_with("AllocationQuota").then_some(ALLOCATION_WAIT_MS);
            ProviderError::NotNow { retry_after_ms: answer.retry_after_ms.or(slow), message }
        }
        ("InvalidApiKey" | "AccessDenied" | "Arrearage" | "Model" | "ModelNotFound", _) | (_, 401..=404) => {
            ProviderError::Unusable { message }
        }
        ("InvalidParameter" | "BadRequest" | "UnsupportedOperation", _) | (_, 400..=499) => {
            let error = TaskError::ProviderFailed;
            ProviderError::Refused { error, message: told(error, &message), cost: None }
        }
        // A success with an error inside that is not known to come before the work.
        _ => ProviderError::Ambiguous { message },
    }
}

/// What is wrong with prompt or pictures, in submits and in failed tasks alike.
fn content_error(code: &str) -> Option<TaskError> {
    if code.starts_with("InvalidParameter.DataInspection") || code.starts_with("InvalidURL") {
        return Some(TaskError::InputRejected);
    }
    let blocked = code.starts_with("DataInspectionFailed") || code == "data_inspection_failed";
    blocked.then_some(TaskError::ContentRejected)
}

/// A task as it is, or why it could not be asked for: then it is asked for again.
pub(super) fn output(answer: &Answer) -> Result<Output, ProviderError> {
    Ok(asked(answer)?.0)
}

/// A task and what it says about its use, as JSON.
pub(super) fn asked(answer: &Answer) -> Result<(Output, serde_json::Value), ProviderError> {
    let envelope: Envelope = answer.json().unwrap_or_default();
    let refused = envelope.code.as_deref().is_some_and(|code| !code.is_empty());
    if !answer.is_success() || refused || envelope.output.task_status.is_none() {
        let message = sentence(envelope.message.as_deref().unwrap_or_default());
        return Err(ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message });
    }
    let usage = answer.value().get("usage").cloned().unwrap_or_default();
    Ok((envelope.output, usage))
}

/// What became of a task.
pub(super) fn task(answer: &Answer) -> Result<PartAnswer, ProviderError> {
    let output = output(answer)?;
    let refused = |error, message| Unit::Refused { error, message };
    let unit = match output.status() {
        Status::Open => return Ok(PartAnswer::Pending { progress: None }),
        Status::Succeeded => match output.video_url.filter(|url| !url.is_empty()) {
            Some(url) => Unit::Delivered(OutputSource::Url(url)),
            None => Unit::Lost { message: "the provider made a clip and did not say where it is".to_owned() },
        },
        Status::Failed => {
            let error = content_error(&output.code.unwrap_or_default()).unwrap_or(TaskError::ProviderFailed);
            refused(error, told(error, &output.message.unwrap_or_default()))
        }
        // It may have been made and billed: until the task's time is over it may yet be told.
        Status::Gone => {
            let message = "the provider does not know the task".to_owned();
            return Err(ProviderError::NotNow { retry_after_ms: None, message });
        }
    };
    Ok(PartAnswer::Finished { unit, cost: None })
}

/// Whether a cancel took the task back; it is refused for one that has begun.
pub(super) fn is_canceled(answer: &Answer) -> Result<bool, ProviderError> {
    let envelope: Envelope = answer.json().unwrap_or_default();
    match answer.status {
        200..=299 => Ok(envelope.code.is_none_or(|code| code.is_empty())),
        429 | 500.. => {
            let message = sentence(&envelope.message.unwrap_or_default());
            Err(ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message })
        }
        _ => Ok(false),
    }
}
