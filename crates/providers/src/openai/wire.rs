//! What OpenAI's images API answers, and what its errors mean.
//!
//! Invariant: code and type count before the status, since quota and rate limit share 429. Not here: what is
//! asked.
//!
//! Source: PyPI `openai` 3.54.0 `types/images_response.py`, `_client.py`; developers.openai.com error codes.

use crate::{
    OutputSource, ProviderError, SubmitAnswer, TaskError, Unit,
    upstream::{Answer, sentence, told_of_field},
};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Images<'a> {
    /// An answer without it is none of a picture: it may be that of a server which answers later.
    #[serde(borrow)]
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
pub(super) struct Reason {
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    param: Option<String>,
    code: Option<Value>,
}

/// Codes of moderation; the second is the older one.
const BLOCKED: [&str; 2] = ["moderation_blocked", "content_policy_violation"];
const PURSE: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"];
/// Fields that hold pictures to start from.
const PICTURES: [&str; 3] = ["image", "mask", "input_reference"];

impl Reason {
    pub(super) fn message(&self) -> String {
        sentence(self.message.as_deref().unwrap_or_default())
    }

    /// The message of a final refusal.
    pub(super) fn told(&self) -> String {
        let field = self.param.as_deref().unwrap_or_default();
        told_of_field(self.error(), field, self.message.as_deref().unwrap_or_default())
    }

    fn has(&self, codes: &[&str]) -> bool {
        let code = self.code.as_ref().and_then(Value::as_str).unwrap_or_default();
        codes.contains(&code) || codes.contains(&self.kind.as_deref().unwrap_or_default())
    }

    /// What a final refusal is. How a failed clip says that it was moderated is not documented in full, so
    /// the words count there too.
    pub(super) fn error(&self) -> TaskError {
        let code = self.code.as_ref().and_then(Value::as_str).unwrap_or_default();
        let is_moderated = code.contains("moderation") || code.contains("policy_violation");
        if is_moderated || self.has(&BLOCKED) || self.has(&["image_generation_user_error"]) {
            return TaskError::ContentRejected;
        }
        let field = self.param.as_deref().unwrap_or_default();
        if PICTURES.iter().any(|picture| field.starts_with(picture)) {
            return TaskError::InputRejected;
        }
        TaskError::ProviderFailed
    }
}

/// One unit for each picture that was asked for.
pub(super) fn finished(answer: &Answer, count: u32) -> Result<SubmitAnswer, ProviderError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    let images: Images<'_> = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut units: Vec<Unit> = images.data.iter().take(count).map(picture).collect();
    if units.iter().all(|unit| matches!(unit, Unit::Refused { .. })) {
        // A blocked request may come as a success without a picture.
        return Err(ProviderError::Refused {
            error: TaskError::ContentRejected,
            message: NO_PICTURE.to_owned(),
            cost: None,
        });
    }
    units.resize_with(count, missing);
    Ok(SubmitAnswer::Finished { provider_task_id: None, units, cost: None })
}

const NO_PICTURE: &str = "the provider answered without a picture, as it does for what it blocks";

fn picture(image: &Image<'_>) -> Unit {
    match (&image.b64_json, &image.url) {
        (Some(text), _) if !text.is_empty() => match BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Unit::Delivered(OutputSource::Bytes(Bytes::from(bytes))),
            Err(_) => Unit::Lost { message: "the picture in the answer could not be read".to_owned() },
        },
        (_, Some(url)) if !url.is_empty() => Unit::Delivered(OutputSource::Url(url.to_string())),
        _ => missing(),
    }
}

fn missing() -> Unit {
    Unit::Refused { error: TaskError::ContentRejected, message: NO_PICTURE.to_owned() }
}

pub(super) fn unreadable() -> ProviderError {
    ProviderError::Ambiguous { message: "the answer could not be read".to_owned() }
}

/// Why an answer is no success.
pub(super) fn reason(answer: &Answer) -> Reason {
    answer.json::<Refusal>().unwrap_or_default().error
}

/// Why a submit was not accepted.
pub(super) fn refusal(answer: &Answer) -> ProviderError {
    let reason = reason(answer);
    let (error, message) = (reason.error(), reason.message());
    match answer.status {
        // Who gave up waiting may have been given all of it.
        408 => ProviderError::Ambiguous { message },
        400..=499 if error == TaskError::ContentRejected => {
            ProviderError::Refused { error, message, cost: None }
        }
        400..=499 if reason.has(&PURSE) || reason.has(&["model_not_found"]) => {
            ProviderError::Unusable { message }
        }
        401..=404 => ProviderError::Unusable { message },
        429 | 409 => ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message },
        400..=499 => ProviderError::Refused { error, message: reason.told(), cost: None },
        _ => ProviderError::Ambiguous { message },
    }
}
