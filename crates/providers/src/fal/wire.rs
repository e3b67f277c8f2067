//! What fal answers, and what its errors mean.
//!
//! Invariant: types count before the status, and texts never, but for a locked account, which has no type.
//! Not here: what is asked.
//!
//! Source: fal.ai/docs model errors and request errors, PyPI `fal-client` 1.0.3, npm `@ai-sdk/fal` 2.0.59.

use crate::{
    OutputSource, ProviderError, TaskError, Unit,
    fan_out::PartAnswer,
    upstream::{Answer, plain_segment, sentence, told_of_field},
};
use serde_json::Value;

/// How an empty purse and a blocked account begin. One was seen with status 200.
const LOCKED: &str = "User is locked";
/// Types that lie with the picture.
const PICTURE: [&str; 9] = [
    "image_too_small",
    "image_too_large",
    "image_load_error",
    "file_too_large",
    "face_detection_error",
    "unsupported_image_format",
    "unsupported_audio_format",
    "unsupported_video_format",
    "audio_duration_too_long",
];
/// The status of what was canceled while it ran.
const CLIENT_CLOSED: u16 = 499;
const IN_PROGRESS: &str = "Request is still in progress";

/// An error in one of the shapes that fal has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reason {
    /// `type` of a model's error, or `error_type` of the platform's.
    kind: String,
    message: String,
    /// The field that it lies with.
    field: String,
}

impl Reason {
    fn of(answer: &Answer) -> Self {
        let mut reason = Self::read(&answer.value());
        if reason.kind.is_empty() {
            reason.kind = answer.header("x-fal-error-type").unwrap_or_default().to_owned();
        }
        reason
    }

    fn read(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(first) = body["detail"].as_array().and_then(|all| all.first()) {
            let place = first["loc"].as_array().and_then(|loc| loc.last()).and_then(Value::as_str);
            let field = place.unwrap_or_default().to_owned();
            return Self { kind: text(&first["type"]), message: text(&first["msg"]), field };
        }
        let known = [&body["detail"], &body["error"]["message"], &body["message"], &body["error"]];
        let message = known.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned();
        Self { kind: text(&body["error_type"]), message, field: String::new() }
    }

    fn is_locked(&self) -> bool {
        self.message.starts_with(LOCKED)
    }

    /// Somebody stopped it, perhaps when it had begun.
    fn is_cancel(&self) -> bool {
        self.kind.contains("cancel")
    }

    /// Why a job failed.
    fn error(&self) -> TaskError {
        match self.kind.as_str() {
            "content_policy_violation" => TaskError::ContentRejected,
            "file_download_error" => TaskError::InputUnreachable,
            kind if PICTURE.contains(&kind) || self.field == "image_url" => TaskError::InputRejected,
            _ => TaskError::ProviderFailed,
        }
    }

    fn refused(&self) -> ProviderError {
        let error = self.error();
        let message = told_of_field(error, &self.field, &self.message);
        ProviderError::Refused { error, message, cost: None }
    }
}

/// The id of an accepted job, and the app that its URLs name.
pub(super) fn accepted(answer: &Answer) -> Result<(String, Option<String>), ProviderError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    let body = answer.value();
    let Some(id) = body["request_id"].as_str().and_then(plain_segment) else {
        let reason = Reason::of(answer);
        return Err(if reason.is_locked() {
            ProviderError::Unusable { message: sentence(&reason.message) }
        } else {
            ProviderError::Ambiguous { message: "the answer could not be read".to_owned() }
        });
    };
    let path = body["response_url"].as_str().and_then(|url| url::Url::parse(url).ok());
    let app = path.and_then(|url| {
        let (app, _) = url.path().split_once("/requests/")?;
        Some(app.trim_matches('/').to_owned()).filter(|app| super::map::is_path(app))
    });
    Ok((id, app))
}

/// A submit that was not accepted. Whatever is below 500 was not queued, but for a wait that was given up.
fn refusal(answer: &Answer) -> ProviderError {
    let reason = Reason::of(answer);
    let message = sentence(&reason.message);
    if reason.is_locked() {
        return ProviderError::Unusable { message };
    }
    match answer.status {
        401..=404 => ProviderError::Unusable { message },
        408 => ProviderError::Ambiguous { message },
        409 | 429 => ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message },
        400..=499 => reason.refused(),
        _ => ProviderError::Ambiguous { message },
    }
}

/// How far a job is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Status {
    Queued,
    Running,
    /// There is an answer, which may be an error.
    Answered {
        failure: Option<Reason>,
    },
    /// fal knows no such job.
    Unknown,
}

/// # Errors
/// The call failed: the job is asked for again.
pub(super) fn status(answer: &Answer) -> Result<Status, ProviderError> {
    if answer.status == 404 {
        return Ok(Status::Unknown);
    }
    if !answer.is_success() {
        return Err(later(answer));
    }
    let body = answer.value();
    Ok(match body["status"].as_str() {
        Some("COMPLETED") => {
            let failed = ["error", "error_type"].iter().any(|key| !body[*key].is_null());
            Status::Answered { failure: failed.then(|| Reason::read(&body)) }
        }
        Some("IN_QUEUE") => Status::Queued,
        _ => Status::Running,
    })
}

/// A call that failed, which says nothing about the job.
fn later(answer: &Answer) -> ProviderError {
    let message = sentence(&Reason::of(answer).message);
    ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message }
}

/// What a job gave. `failure` is what its status told of an error.
pub(super) fn result(answer: &Answer, failure: Option<Reason>) -> Result<PartAnswer, ProviderError> {
    let failed = failure.is_some();
    if answer.is_success() && !failed {
        return Ok(PartAnswer::Finished { unit: made(&answer.value()), cost: None });
    }
    let mut reason = Reason::of(answer);
    if let Some(told) = failure.filter(|_| reason.kind.is_empty()) {
        reason = told;
    }
    if reason.message == IN_PROGRESS {
        return Ok(PartAnswer::Pending { progress: None });
    }
    if reason.is_cancel() || answer.status == CLIENT_CLOSED {
        let message = "the provider stopped before it was done, and may bill it".to_owned();
        return Ok(PartAnswer::Finished { unit: Unit::Lost { message }, cost: None });
    }
    match answer.status {
        401..=403 | 408 | 429 => Err(later(answer)),
        // The answer of the job has a type; that of a gateway, or of a path that is not known, has none.
        _ if !failed && reason.kind.is_empty() => Err(later(answer)),
        _ => Err(reason.refused()),
    }
}

/// No such job. It may have been made and billed, so that its time has to be over before it is given up.
pub(super) fn unknown() -> ProviderError {
    let message = "the provider does not know this job".to_owned();
    ProviderError::NotNow { retry_after_ms: None, message }
}

fn made(output: &Value) -> Unit {
    let blocked = output["has_nsfw_concepts"].as_array().is_some_and(|all| all.contains(&Value::Bool(true)));
    if blocked {
        // The file is there, and black.
        let message = "the provider found the output unsafe and blackened it".to_owned();
        return Unit::Refused { error: TaskError::ContentRejected, message };
    }
    let places = [&output["video"]["url"], &output["images"][0]["url"], &output["image"]["url"]];
    match places.into_iter().find_map(Value::as_str) {
        Some(url) => Unit::Delivered(OutputSource::Url(url.to_owned())),
        None => Unit::Lost { message: "the provider finished without a file".to_owned() },
    }
}

/// Whether a cancel was taken.
pub(super) fn is_canceling(answer: &Answer) -> bool {
    let value = answer.value();
    answer.is_success() && matches!(value["status"].as_str(), Some("OK" | "CANCELLATION_REQUESTED"))
}
