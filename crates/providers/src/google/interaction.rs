//! What interactions answer, and what becomes of their files.
//!
//! Invariant: a status that is not known is one of a job that runs. Not here: refused calls (`reason`).
//!
//! Source: PyPI `google-genai` 3.4.0 `_gaos/types/interactions/{interaction,modeloutputstep}.py`, `files.py`.

use super::{
    picture::bytes,
    reason::{Host, of_poll, of_submit, refused, refused_as, words_of},
};
use crate::{
    OutputSource, ProviderError, TaskError, Unit,
    upstream::{Answer, plain_segment, sentence},
};
use serde_json::Value;
use url::Url;

/// How far an interaction is.
pub(super) enum State {
    Running,
    /// `url` where its file is named and not inside the answer.
    Made {
        unit: Unit,
        url: Option<String>,
    },
}

/// Whether a file can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Yes,
    No,
    Never,
}

/// The id of a job that was accepted.
pub(super) fn id(answer: &Answer) -> Result<String, ProviderError> {
    if !answer.is_success() {
        return Err(of_submit(answer, Host::Gemini));
    }
    let value = answer.value();
    let unreadable = || ProviderError::Ambiguous { message: "the answer names no job".to_owned() };
    value["id"].as_str().and_then(plain_segment).ok_or_else(unreadable)
}

/// What an interaction is now.
pub(super) fn state(answer: &Answer) -> Result<State, ProviderError> {
    if !answer.is_success() {
        return Err(of_poll(answer));
    }
    let value = answer.value();
    match value["status"].as_str().unwrap_or_default() {
        "completed" => made(&value),
        "failed" => Err(failed(&value)),
        ended @ ("cancelled"
        | "incomplete"
        | "budget_exceeded"
        | "requires_action"
        | "requires_continuation") => {
            let message = format!("the provider ended the job without a clip: {ended}");
            Err(refused(TaskError::ProviderFailed, message))
        }
        _ => Ok(State::Running),
    }
}

fn outputs(value: &Value) -> impl Iterator<Item = &Value> {
    let steps = value["steps"].as_array().into_iter().flatten();
    steps.filter(|step| step["type"] == "model_output")
}

fn made(value: &Value) -> Result<State, ProviderError> {
    let contents = || outputs(value).filter_map(|step| step["content"].as_array()).flatten();
    let video = contents().find(|content| content["type"] == "video");
    let Some(video) = video else {
        // What its filters stop ends as completed, with a text and nothing else.
        let Some(said) = contents().find_map(|content| content["text"].as_str()) else {
            let unit = Unit::Lost { message: "the provider finished without a clip".to_owned() };
            return Ok(State::Made { unit, url: None });
        };
        let message =
            format!("the provider answered without a clip, as for what it blocks: {}", sentence(said));
        return Err(refused(TaskError::ContentRejected, message));
    };
    if let Some(url) = video["uri"].as_str() {
        let unit = Unit::Delivered(OutputSource::Url(url.to_owned()));
        return Ok(State::Made { unit, url: Some(url.to_owned()) });
    }
    let unit = match video["data"].as_str().and_then(bytes) {
        Some(file) => Unit::Delivered(OutputSource::Bytes(file)),
        None => Unit::Lost { message: "the provider made a clip and did not say where it is".to_owned() },
    };
    Ok(State::Made { unit, url: None })
}

fn failed(value: &Value) -> ProviderError {
    let own = value["errors"].as_array().into_iter().flatten();
    let error = own.chain(outputs(value).map(|step| &step["error"])).find(|error| error.is_object());
    let text = |name: &str| error.and_then(|error| error[name].as_str()).unwrap_or_default();
    refused_as(words_of(text("code"), text("message")), text("message"))
}

/// Where the record of a file is, from where the file is: `…/files/ID:download?alt=media`.
pub(super) fn file_of(download: &Url) -> Option<Url> {
    let path = download.path().strip_suffix(":download")?;
    let mut url = download.clone();
    url.set_path(path);
    url.set_query(None);
    Some(url)
}

/// What the record of a file says; nothing if it could not be had.
pub(super) fn ready(answer: &Answer) -> Ready {
    if !answer.is_success() {
        return Ready::No;
    }
    match answer.value()["state"].as_str() {
        Some("PROCESSING") => Ready::No,
        Some("FAILED") => Ready::Never,
        _ => Ready::Yes,
    }
}
