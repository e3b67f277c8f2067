//! What OpenAI's images API answers, and what its errors mean.
//!
//! Invariant: code and type count before the status, since quota and rate limit share 429. Not here: what is
//! asked.
//!
//! Source: PyPI `openai` 3.54.0 `types/images_response.py`, `_client.py`; developers.openai.com error codes.

use crate::{
    OutputSource, ProviderError, SubmitAnswer, TaskError, Unit,
    upstream::{Answer, sentence},
};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Images<'a> {
    #[serde(borrow, default)]
    data: Vec<Image<'a>>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow, default)]
    b64_json: Option<Cow<'a, str>>,
    /// Compatible servers may answer so; GPT image models never do.
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reason {
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<serde_json::Value>,
}

/// One unit for each picture that was asked for.
pub(super) fn finished(answer: &Answer, count: u32) -> Result<SubmitAnswer, ProviderError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    let images: Images<'_> = serde_json::from_slice(&answer.body)
        .map_err(|_| ProviderError::Ambiguous { message: "the answer could not be read".to_owned() })?;
    let mut units: Vec<Unit> = images.data.iter().filter_map(delivered).map(Unit::Delivered).collect();
    if units.is_empty() {
        // A blocked request may come as a success without a picture.
        let message = "the provider answered without a picture, as it does for what it blocks".to_owned();
        return Err(ProviderError::Refused { error: TaskError::ContentRejected, message, cost: None });
    }
    units.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    Ok(SubmitAnswer::Finished { provider_task_id: None, units, cost: None })
}

fn delivered(image: &Image<'_>) -> Option<OutputSource> {
    if let Some(text) = &image.b64_json {
        let bytes = BASE64.decode(text.as_bytes()).ok()?;
        return Some(OutputSource::Bytes(Bytes::from(bytes)));
    }
    image.url.as_ref().map(|url| OutputSource::Url(url.to_string()))
}

fn refusal(answer: &Answer) -> ProviderError {
    let Reason { message, kind, code } = answer.json::<Refusal>().unwrap_or_default().error;
    let code = code.as_ref().and_then(|code| code.as_str()).unwrap_or_default().to_owned();
    let kind = kind.unwrap_or_default();
    let message = sentence(&message.unwrap_or_default());
    let blocked = ["moderation_blocked", "content_policy_violation"].contains(&code.as_str());
    let purse = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"];
    if blocked || kind == "image_generation_user_error" {
        return ProviderError::Refused { error: TaskError::ContentRejected, message, cost: None };
    }
    if purse.contains(&code.as_str()) || purse.contains(&kind.as_str()) {
        return ProviderError::Unusable { message };
    }
    match answer.status {
        401 | 403 | 404 => ProviderError::Unusable { message },
        429 | 409 => ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message },
        400..=499 => ProviderError::Refused { error: TaskError::ProviderFailed, message, cost: None },
        _ => ProviderError::Ambiguous { message },
    }
}
