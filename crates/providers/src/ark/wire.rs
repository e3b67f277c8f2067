//! What Ark answers, and what its errors mean.
//!
//! Invariant: the code counts before the status: 403 is a permission and an empty purse, 429 a rate and a
//! quota. Not here: what is asked.
//!
//! Source: PyPI `byteplus-python-sdk-v2` 3.0.63 `types/content_generation`, Ark's page 1299023 about errors.

use super::{PAGE_SIZE, POLL_AFTER_MS, map};
use crate::{
    Callback, CallbackError, Heard, Job, LookUpAnswer, OutputSource, ProviderError, TaskError, Unit,
    fan_out::{Part, PartAnswer},
    upstream::{Answer, plain_segment, sentence, told},
};
use serde::Deserialize;
use std::cmp::Reverse;

/// Their clock may be behind ours by this, and they tell whole seconds.
const CLOCK_MS: i64 = 5_000;

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

/// A task, alone or in the list.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Task {
    id: String,
    model: String,
    status: String,
    error: Option<Reason>,
    content: Option<Content>,
    /// Seconds since 1970.
    created_at: i64,
    resolution: Option<String>,
    ratio: Option<String>,
    duration: Option<u32>,
    safety_identifier: Option<String>,
    callback_url: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Task>,
    #[serde(default)]
    total: u64,
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

    /// Whether all that it tells is as in the job; whose it is aside.
    fn is_like(&self, job: &Job, model: &str, started_at_ms: i64) -> bool {
        let ratio = map::ratio(job);
        self.model == model
            && self.created_at.saturating_mul(1000) >= started_at_ms - CLOCK_MS
            && self.resolution.as_deref().is_none_or(|told| told == map::resolution(job))
            // It may tell the ratio that it took in the place of `adaptive`.
            && self.ratio.as_deref().is_none_or(|told| ratio == "adaptive" || told == ratio)
            && self.duration.is_none_or(|told| told == job.duration_ms / 1000)
    }

    /// Whose it is: of this attempt by its callback URL, of this end user otherwise.
    fn is_ours(&self, job: &Job) -> Option<bool> {
        if let (Some(told), Some(ours)) = (&self.callback_url, &job.callback_url) {
            return Some(told == ours);
        }
        self.safety_identifier.as_ref().map(|told| *told == job.end_user)
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

/// A task that was asked for. A call that failed is made again later.
pub(super) fn task(answer: &Answer) -> Result<Task, ProviderError> {
    let (_, message) = reason(answer);
    if [404, 410].contains(&answer.status) {
        return Err(failed("the provider no longer knows the job"));
    }
    let task = answer.json::<Task>().filter(|task| answer.is_success() && !task.status.is_empty());
    task.ok_or(ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message })
}

/// The tasks of the list that are the job, newest first.
pub(super) fn found(
    answer: &Answer,
    job: &Job,
    model: &str,
    started_at_ms: i64,
) -> Result<LookUpAnswer, ProviderError> {
    let (_, message) = reason(answer);
    let page = answer.json::<Page>().filter(|_| answer.is_success());
    let page = page.ok_or(ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message })?;
    let early = |task: &Task| task.created_at.saturating_mul(1000) < started_at_ms - CLOCK_MS;
    let whole = page.total <= u64::from(PAGE_SIZE) || page.items.iter().any(early);
    let mut tasks: Vec<Task> = page.items;
    tasks.retain(|task| is_id(&task.id) && task.is_like(job, model, started_at_ms));
    tasks.sort_by_key(|task| Reverse(task.created_at));
    let doubt = tasks.iter().any(|task| task.is_ours(job).is_none());
    tasks.retain(|task| task.is_ours(job) == Some(true));
    if !tasks.is_empty() {
        let provider_task_ids = tasks.into_iter().map(|task| task.id).collect();
        return Ok(LookUpAnswer::Found { provider_task_ids, poll_after_ms: POLL_AFTER_MS });
    }
    if doubt || !whole {
        let message = "the vendor's list does not tell whose the tasks of that time are".to_owned();
        return Err(ProviderError::Ambiguous { message });
    }
    Ok(LookUpAnswer::Absent)
}

/// A callback has the shape of a task.
pub(super) fn heard(callback: &Callback) -> Result<Heard, CallbackError> {
    let task: Task = serde_json::from_slice(&callback.body).map_err(|_| CallbackError::Forged)?;
    if !is_id(&task.id) {
        return Err(CallbackError::Forged);
    }
    Ok(Heard { provider_task_id: Some(task.id) })
}
