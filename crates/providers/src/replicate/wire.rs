//! What Replicate answers, and what its errors mean.
//!
//! Invariant: a status that isn't known is not final. Not here: what is asked.
//!
//! Source: PyPI `replicate` 1.0.7 and 2.0.0b4, npm `replicate` 1.4.0, replicate.com/docs/topics/predictions.

use crate::{
    CancelAnswer, Job, OutputSource, ProviderError, TaskError, Unit,
    upstream::{Answer, milliseconds, plain_segment, sentence, told},
};
use bytes::Bytes;
use data_encoding::BASE64;
use rynjer_core::catalog::Product;
use serde::Deserialize;
use serde_json::Value;

/// Words of a failure that is a refusal of the content; Replicate has no code for it.
const MODERATION: [&str; 5] = ["nsfw", "sensitive", "safety", "(e005)", "content policy"];

/// A job at Replicate.
#[derive(Debug, Deserialize)]
pub(super) struct Prediction {
    pub(super) id: String,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    pub(super) input: Value,
    #[serde(default)]
    output: Value,
    #[serde(default)]
    error: Value,
    /// Its inputs and its output are gone.
    #[serde(default)]
    pub(super) data_removed: bool,
    #[serde(default)]
    logs: Option<String>,
    #[serde(default)]
    pub(super) created_at: Option<String>,
    #[serde(default)]
    started_at: Option<String>,
}

/// How far a prediction is.
#[derive(Debug)]
pub(super) enum State {
    Pending { progress: Option<f32> },
    Made(Vec<Unit>),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    error: Option<String>,
}

/// The id of a prediction that was made.
pub(super) fn accepted(answer: &Answer) -> Result<String, ProviderError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    let prediction: Option<Prediction> = answer.json();
    let known = prediction.filter(|prediction| is_id(&prediction.id));
    let message = || "the answer could not be read".to_owned();
    known.map(|known| known.id).ok_or_else(|| ProviderError::Ambiguous { message: message() })
}

/// Whether a text may stand in a path.
pub(super) fn is_id(text: &str) -> bool {
    plain_segment(text).is_some()
}

/// A create that was not accepted. Whatever is below 500 made nothing, but for a wait that was given up.
fn refusal(answer: &Answer) -> ProviderError {
    let Problem { title, detail, error } = answer.json().unwrap_or_default();
    let title = title.unwrap_or_default();
    let message = sentence(&detail.or(error).unwrap_or_else(|| title.clone()));
    // An unknown version, a model that may not be run, and an account without a way to pay look alike.
    if title == "Invalid version or not permitted" {
        return ProviderError::Unusable { message };
    }
    match answer.status {
        401..=404 => ProviderError::Unusable { message },
        408 => ProviderError::Ambiguous { message },
        409 | 429 => {
            let retry_after_ms = answer.retry_after_ms.or_else(|| resets_in(&message));
            ProviderError::NotNow { retry_after_ms, message }
        }
        400..=499 => {
            let error = failure(&message);
            ProviderError::Refused { error, message: told(error, &message), cost: None }
        }
        _ => ProviderError::Ambiguous { message },
    }
}

/// The seconds of `Your rate limit resets in ~30s.`
fn resets_in(message: &str) -> Option<u32> {
    let (_, rest) = message.split_once("resets in ~")?;
    let (seconds, _) = rest.split_once('s')?;
    milliseconds(seconds.trim().parse().ok()?)
}

fn failure(text: &str) -> TaskError {
    let text = text.to_ascii_lowercase();
    if MODERATION.iter().any(|word| text.contains(word)) {
        return TaskError::ContentRejected;
    }
    TaskError::ProviderFailed
}

/// A prediction that was asked for. One that is not known may have been made and billed.
pub(super) fn asked(answer: &Answer) -> Result<Prediction, ProviderError> {
    answer.json().filter(|_| answer.is_success()).ok_or_else(|| later(answer))
}

/// A call that failed, which says nothing about the job.
pub(super) fn later(answer: &Answer) -> ProviderError {
    let Problem { title, detail, .. } = answer.json().unwrap_or_default();
    let message = sentence(&detail.or(title).unwrap_or_default());
    let retry_after_ms = answer.retry_after_ms.or_else(|| resets_in(&message));
    ProviderError::NotNow { retry_after_ms, message }
}

/// What became of a prediction.
pub(super) fn state(prediction: &Prediction, job: &Job, count: u32) -> Result<State, ProviderError> {
    let refused =
        |error, message: &str| Err(ProviderError::Refused { error, message: sentence(message), cost: None });
    match prediction.status.as_str() {
        "succeeded" => {}
        "failed" => {
            let text = prediction.error.as_str().unwrap_or_default();
            return refused(failure(text), &told(failure(text), text));
        }
        // It ran, so it is billed, whoever stopped it.
        "canceled" if prediction.started_at.is_some() => {
            let message = "the provider stopped before it was done, and bills what it did".to_owned();
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            return Ok(State::Made(vec![Unit::Lost { message }; count]));
        }
        "canceled" | "aborted" => {
            return refused(TaskError::ProviderFailed, "the provider stopped before it was done");
        }
        _ => return Ok(State::Pending { progress: progress(prediction.logs.as_deref()) }),
    }
    let mut units = Vec::new();
    collect(&prediction.output, &mut units);
    let count = usize::try_from(count).unwrap_or_default();
    if job.product != Product::Music {
        units.truncate(count);
    }
    let lost =
        || Unit::Lost { message: "the provider finished without a file, or has removed it".to_owned() };
    units.resize_with(units.len().max(count), lost);
    Ok(State::Made(units))
}

/// Every URL of an output, whose shape is the model's own, in its order.
fn collect(output: &Value, units: &mut Vec<Unit>) {
    match output {
        Value::String(text) => units.extend(source(text).map(Unit::Delivered)),
        Value::Array(all) => all.iter().for_each(|one| collect(one, units)),
        Value::Object(fields) => fields.values().for_each(|one| collect(one, units)),
        _ => {}
    }
}

fn source(text: &str) -> Option<OutputSource> {
    if let Some((_, data)) = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        return BASE64.decode(data.as_bytes()).ok().map(|bytes| OutputSource::Bytes(Bytes::from(bytes)));
    }
    let is_url = text.starts_with("https://") || text.starts_with("http://");
    is_url.then(|| OutputSource::Url(text.to_owned()))
}

/// Of the last line of the form ` 45%|…| 9/20`.
fn progress(logs: Option<&str>) -> Option<f32> {
    let percent = |line: &str| line.split_once("%|")?.0.trim().parse::<u8>().ok();
    let percent = logs?.lines().rev().find_map(percent)?;
    Some(f32::from(percent.min(100)) / 100.0)
}

/// Whether it has not begun.
pub(super) fn is_waiting(prediction: &Prediction) -> bool {
    prediction.status == "starting" && prediction.started_at.is_none()
}

/// Free only if it never began: a prediction that ran is billed.
pub(super) fn canceled(prediction: &Prediction) -> CancelAnswer {
    let stopped = prediction.status == "canceled" && prediction.started_at.is_none();
    if prediction.status == "aborted" || stopped { CancelAnswer::Free } else { CancelAnswer::NotFree }
}
