//! What long-running operations of Veo answer.
//!
//! Invariant: an operation that is done gives one unit for each clip that was asked for. Not here: refused
//! calls (`reason`), tokens (`cloud`).
//!
//! Source: PyPI `google-genai` 3.4.0 `operations.py`, `_operations_converters.py`; 1.60.0 `models.py`.

use super::{
    picture::bytes,
    reason::{Host, of_poll, of_submit, refused_as, words_of},
};
use crate::{
    OutputSource, PollAnswer, ProviderError, TaskError, Unit,
    upstream::{Answer, plain_id, sentence},
};
use serde_json::Value;

/// The name of an operation that was accepted.
pub(super) fn name(answer: &Answer) -> Result<String, ProviderError> {
    if !answer.is_success() {
        return Err(of_submit(answer, Host::Cloud));
    }
    let value = answer.value();
    let unreadable = || ProviderError::Ambiguous { message: "the answer names no operation".to_owned() };
    value["name"].as_str().and_then(plain_id).ok_or_else(unreadable)
}

/// What an operation is now.
pub(super) fn state(answer: &Answer, count: u32, poll_after_ms: u32) -> Result<PollAnswer, ProviderError> {
    if !answer.is_success() {
        return Err(of_poll(answer));
    }
    let value = answer.value();
    if value["done"].as_bool() != Some(true) {
        return Ok(PollAnswer::Pending { poll_after_ms, progress: None });
    }
    if value["error"].is_object() {
        let message = value["error"]["message"].as_str().unwrap_or_default();
        return Err(refused_as(words_of("", message), message));
    }
    let response = &value["response"];
    // The Gemini API of old had its own name for the list, and some relays still have.
    let older = &response["generateVideoResponse"];
    let response = if older.is_object() { older } else { response };
    let clips = ["videos", "generatedSamples"].iter().find_map(|name| response[*name].as_array());
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut units: Vec<Unit> = clips.into_iter().flatten().take(count).map(unit).collect();
    while units.len() < count {
        units.push(missing(response));
    }
    Ok(PollAnswer::Finished { units, cost: None })
}

fn unit(clip: &Value) -> Unit {
    if let Some(file) = clip["bytesBase64Encoded"].as_str().and_then(bytes) {
        return Unit::Delivered(OutputSource::Bytes(file));
    }
    match clip["video"]["uri"].as_str() {
        Some(url) => Unit::Delivered(OutputSource::Url(url.to_owned())),
        None => Unit::Lost { message: "the provider made a clip and did not say where it is".to_owned() },
    }
}

fn missing(response: &Value) -> Unit {
    let said = response["raiMediaFilteredReasons"][0].as_str();
    if said.is_none() && response["raiMediaFilteredCount"].as_u64().unwrap_or(0) == 0 {
        return Unit::Lost { message: "the provider finished without a clip".to_owned() };
    }
    let message = sentence(said.unwrap_or("the provider's filters stopped it"));
    Unit::Refused { error: TaskError::ContentRejected, message }
}
