//! What xAI answers, and what its errors mean.
//!
//! Invariant: a picture or clip that was held back is refused, never a success, and what it cost is told all
//! the same. Not here: what is asked.
//!
//! Source: npm `@ai-sdk/xai` 5.0.12 `src/xai-error.ts` and the models beside it; PyPI `xai-sdk` 1.21.0
//! `cost.py`; docs.x.ai/developers/debugging.

use crate::{
    Cost, OutputSource, ProviderError, SubmitAnswer, TaskError, Unit,
    fan_out::{Part, PartAnswer},
    upstream::{Answer, plain_segment, sentence, told},
};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::Value;

/// 10^10 ticks are one US dollar.
const TICKS_IN_MICRO_USD: i64 = 10_000;
/// Words of its answers to whoever used up their credits or their monthly limit.
const PURSE: [&str; 4] = ["credit", "spending limit", "billing", "quota"];
/// The code of a wrong key, which no other request would escape.
const UNAUTHENTICATED: &str = "unauthenticated";
/// How such refusals begin that share a code with others: the key, and accounts without data retention.
/// Further on a sentence may quote what a user wrote.
const ACCOUNT_BEGINS: [&str; 6] = [
    "incorrect api key",
    "invalid api key",
    "api key",
    "no api key",
    "teams with zero data retention",
    "zero data retention",
];
/// Words of moderation. Its code is `imagine:content-moderated`; a failed job may have the words alone.
const MODERATION: [&str; 4] =
    ["content-moderated", "content moderation", "content policy", "usage guidelines"];

#[derive(Deserialize)]
struct Images {
    #[serde(default)]
    data: Option<Vec<Image>>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Image {
    b64_json: Option<String>,
    url: Option<String>,
    respect_moderation: Option<bool>,
}

/// One unit for each picture that was asked for.
pub(super) fn pictures(answer: &Answer, count: u32) -> Result<SubmitAnswer, ProviderError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    let Images { data, usage } = answer.json().ok_or_else(unreadable)?;
    let cost = cost(&usage);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut units: Vec<Unit> = data.unwrap_or_default().into_iter().take(count).map(picture).collect();
    // A blocked batch may be shorter than asked, down to nothing.
    units.resize_with(count, blocked);
    if units.iter().all(|unit| matches!(unit, Unit::Refused { .. })) {
        return Err(ProviderError::Refused { error: TaskError::ContentRejected, message: held_back(), cost });
    }
    Ok(SubmitAnswer::Finished { provider_task_id: None, units, cost })
}

fn picture(image: Image) -> Unit {
    let Image { b64_json, url, respect_moderation } = image;
    let text = |field: Option<String>| field.filter(|text| !text.is_empty());
    if respect_moderation == Some(false) {
        return blocked();
    }
    match (text(b64_json), text(url)) {
        (Some(base64), _) => {
            // Some of its answers are data URIs.
            let base64 = base64.split_once(";base64,").map_or(base64.as_str(), |(_, base64)| base64);
            match BASE64.decode(base64.as_bytes()) {
                Ok(bytes) => Unit::Delivered(OutputSource::Bytes(Bytes::from(bytes))),
                Err(_) => Unit::Lost { message: "the picture in the answer could not be read".to_owned() },
            }
        }
        (None, Some(url)) => Unit::Delivered(OutputSource::Url(url)),
        (None, None) => blocked(),
    }
}

fn blocked() -> Unit {
    Unit::Refused { error: TaskError::ContentRejected, message: held_back() }
}

fn held_back() -> String {
    "the provider's moderation held it back".to_owned()
}

/// The id of a clip's job.
pub(super) fn accepted(answer: &Answer) -> Result<Part, ProviderError> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    let body = answer.value();
    let id = body["request_id"].as_str().and_then(plain_segment).ok_or_else(unreadable)?;
    Ok(Part::Accepted { id })
}

fn unreadable() -> ProviderError {
    ProviderError::Ambiguous { message: "the answer could not be read".to_owned() }
}

/// What became of a clip's job. While it runs the status is 202, and the body may be empty.
pub(super) fn polled(answer: &Answer) -> Result<PartAnswer, ProviderError> {
    if answer.is_success() {
        return Ok(state(&answer.value()));
    }
    let reason = Reason::of(answer);
    match answer.status {
        // A job that was held back may end so.
        400 if reason.is_moderation() => Err(reason.refused(TaskError::ContentRejected)),
        // The call failed, not the job; one that is not known may have been made and billed.
        _ => Err(ProviderError::NotNow {
            retry_after_ms: answer.retry_after_ms,
            message: sentence(&reason.message),
        }),
    }
}

fn state(body: &Value) -> PartAnswer {
    let video = &body["video"];
    let file = [&video["url"], &video["file_output"]["public_url"]];
    let url = file.into_iter().filter_map(Value::as_str).find(|url| !url.is_empty());
    let cost = cost(&body["usage"]);
    let unit = match (body["status"].as_str(), url) {
        (Some("done"), _) | (None, Some(_)) if video["respect_moderation"] == false => blocked(),
        (Some("done") | None, Some(url)) => Unit::Delivered(OutputSource::Url(url.to_owned())),
        (Some("done"), None) => lost("the provider finished without a clip"),
        (Some("expired"), _) => lost("the provider no longer keeps the job"),
        (Some("failed"), _) => {
            let reason = Reason::read(body);
            if reason.is_moderation() { blocked() } else { failed("the provider could not make this") }
        }
        _ => {
            let percent = f32::deserialize(&body["progress"]).ok();
            return PartAnswer::Pending { progress: percent.map(|done| (done / 100.0).clamp(0.0, 1.0)) };
        }
    };
    PartAnswer::Finished { unit, cost }
}

fn failed(message: &str) -> Unit {
    Unit::Refused { error: TaskError::ProviderFailed, message: message.to_owned() }
}

fn lost(message: &str) -> Unit {
    Unit::Lost { message: message.to_owned() }
}

fn cost(usage: &Value) -> Cost {
    let ticks = usage["cost_in_usd_ticks"].as_i64().filter(|ticks| *ticks >= 0)?;
    ticks.checked_add(TICKS_IN_MICRO_USD - 1).map(|ticks| ticks / TICKS_IN_MICRO_USD)
}

/// Why not, in whichever of its three shapes: `{error: {message, code}}`, `{code, error}`, `{error}`.
#[derive(Default)]
struct Reason {
    code: String,
    message: String,
    cost: Cost,
}

impl Reason {
    fn of(answer: &Answer) -> Self {
        Self::read(&answer.value())
    }

    fn read(body: &Value) -> Self {
        let error = &body["error"];
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let (code, message) = if error.is_object() {
            (text(&error["code"]), text(&error["message"]))
        } else {
            (text(&body["code"]), text(error))
        };
        Self { code, message, cost: cost(&body["usage"]) }
    }

    fn says(&self, words: &[&str]) -> bool {
        let text = format!("{} {}", self.code, self.message).to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    fn is_account(&self) -> bool {
        let text = self.message.to_lowercase();
        self.code == UNAUTHENTICATED || ACCOUNT_BEGINS.iter().any(|begin| text.starts_with(begin))
    }

    fn is_moderation(&self) -> bool {
        self.says(&MODERATION)
    }

    fn refused(self, error: TaskError) -> ProviderError {
        ProviderError::Refused { error, message: told(error, &self.message), cost: self.cost }
    }
}

/// Why a submit was not accepted.
fn refusal(answer: &Answer) -> ProviderError {
    let reason = Reason::of(answer);
    let message = sentence(&reason.message);
    match answer.status {
        // Out of credit and too fast share a status.
        429 if reason.says(&PURSE) => ProviderError::Unusable { message },
        429 => ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message },
        400 | 403 | 422 if reason.is_moderation() => reason.refused(TaskError::ContentRejected),
        // A wrong key is a 400 here.
        400 if reason.is_account() => ProviderError::Unusable { message },
        401..=404 => ProviderError::Unusable { message },
        // Who gave up waiting may have been given all of it.
        408 => ProviderError::Ambiguous { message },
        400..=499 => reason.refused(TaskError::ProviderFailed),
        _ => ProviderError::Ambiguous { message },
    }
}
