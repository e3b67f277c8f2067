//! What `generateContent` answers with: one picture, or why there is none.
//!
//! Invariant: a part that is marked as a thought is never delivered. Not here: refused calls (`reason`).
//!
//! Source: PyPI `google-genai` 3.4.0 `types.py`.

use super::reason::{self, Host, of_submit};
use crate::{
    OutputSource, ProviderError, TaskError, Unit,
    upstream::{Answer, sentence},
};
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL};
use serde::Deserialize;
use std::borrow::Cow;

const BLOCKED: [&str; 8] = [
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "RECITATION",
    "SPII",
];
/// Ends that leave a picture in doubt even where there is one.
const BROKEN: [&str; 5] = ["NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS", "MALFORMED_RESPONSE"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    prompt_feedback: Option<Feedback>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
    block_reason_message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    inline_data: Option<Inline<'a>>,
    thought: Option<bool>,
}

#[derive(Deserialize)]
struct Inline<'a> {
    #[serde(borrow, default)]
    data: Cow<'a, str>,
}

/// The picture of one call. A blocked one is a success by its status.
pub(super) fn unit(answer: &Answer) -> Result<Unit, ProviderError> {
    if !answer.is_success() {
        return Err(of_submit(answer, Host::Gemini));
    }
    let unreadable = || ProviderError::Ambiguous { message: "the answer could not be read".to_owned() };
    let generated: Generated<'_> = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    if let Some(Feedback { block_reason: Some(code), block_reason_message }) = generated.prompt_feedback {
        return Err(blocked(&code, block_reason_message));
    }
    let candidate = generated.candidates.ok_or_else(unreadable)?.into_iter().next();
    let Some(Candidate { content, finish_reason, finish_message }) = candidate else {
        return Ok(Unit::Lost { message: "the provider made no picture".to_owned() });
    };
    let code = finish_reason.unwrap_or_default();
    if BLOCKED.contains(&code.as_str()) {
        return Err(blocked(&code, finish_message));
    }
    let mut parts = content.map(|content| content.parts).unwrap_or_default();
    parts.retain(|part| part.thought != Some(true));
    // Drafts come before the picture.
    let last = parts.iter().rev().find_map(|part| part.inline_data.as_ref());
    if let Some(Inline { data }) = last
        && !BROKEN.contains(&code.as_str())
    {
        return Ok(Unit::Delivered(OutputSource::Bytes(bytes(data).ok_or_else(unreadable)?)));
    }
    // It worked, and may bill what it made: as a refusal this would be made once more elsewhere.
    Ok(Unit::Lost { message: "the provider made no picture".to_owned() })
}

fn blocked(code: &str, said: Option<String>) -> ProviderError {
    let message = sentence(&said.unwrap_or_else(|| format!("the provider's filters stopped it: {code}")));
    reason::refused(TaskError::ContentRejected, message)
}

/// A file inside an answer.
pub(super) fn bytes(text: &str) -> Option<Bytes> {
    let decoded = BASE64.decode(text.as_bytes()).or_else(|_| BASE64URL.decode(text.as_bytes()));
    decoded.ok().map(Bytes::from)
}
