//! What kie's codes and sentences mean, of calls and of jobs that failed.
//!
//! Invariant: a code that is not known is in doubt for a submit, and asked again for a look-up. Not here:
//! where codes stand in an answer (`wire`).
//!
//! Source: docs.kie.ai/market/common/get-task-detail, veo3-api, 4o-image-api, suno-api.

use super::wire::Envelope;
use crate::{
    ProviderError, TaskError,
    upstream::{Answer, sentence, told},
};

/// 20 tasks in 10 seconds are taken, so after that long there is room again.
const RATE_WINDOW_MS: u32 = 10_000;
/// No code tells moderation apart; these words do.
const MODERATION: [&str; 11] = [
    "policy",
    "policies",
    "prohibited",
    "flagged",
    "sensitive",
    "nsfw",
    "moderation",
    "unsafe",
    "violat",
    "copyright",
    "safety",
];
/// How a refusal of the model begins, which has no code of its own. Further on a sentence may quote what a
/// user wrote.
const NO_MODEL: [&str; 9] = [
    "the model name",
    "model name",
    "model not found",
    "model does not exist",
    "the model does not exist",
    "unknown model",
    "model is not supported",
    "the model is not supported",
    "invalid model",
];
const NOT_FETCHED: [&str; 6] = ["fetch", "download", "access", "retrieve", "reach", "load the image"];
const NOT_TAKEN: [&str; 6] = ["format", "size", "too large", "dimension", "file type", "corrupt"];

fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

fn is_of_model(text: &str) -> bool {
    let text = text.to_lowercase();
    NO_MODEL.iter().any(|begin| text.starts_with(begin))
}

/// Why a job failed, or a request was refused for good.
pub(super) fn verdict(code: i64, text: &str, has_pictures: bool) -> TaskError {
    let text = text.to_lowercase();
    let about_pictures = has_pictures && text.contains("image");
    match code {
        _ if any(&text, &MODERATION) => TaskError::ContentRejected,
        451 => TaskError::InputUnreachable,
        _ if about_pictures && any(&text, &NOT_FETCHED) => TaskError::InputUnreachable,
        _ if about_pictures && any(&text, &NOT_TAKEN) => TaskError::InputRejected,
        _ => TaskError::ProviderFailed,
    }
}

pub(super) fn refused(code: i64, text: &str, has_pictures: bool) -> ProviderError {
    let error = verdict(code, text, has_pictures);
    ProviderError::Refused { error, message: told(error, text), cost: None }
}

/// A submit that was not taken.
pub(super) fn of_submit(answer: &Answer, envelope: &Envelope, has_pictures: bool) -> ProviderError {
    let Envelope { code, text, .. } = envelope;
    let message = sentence(text);
    let retry_after_ms = answer.retry_after_ms;
    match code {
        // Refused before any work, nothing is charged.
        429 => ProviderError::NotNow { retry_after_ms: retry_after_ms.or(Some(RATE_WINDOW_MS)), message },
        // Maintenance, and a queue that is full.
        455 | 550 => ProviderError::NotNow { retry_after_ms, message },
        // The key, the purse, no such path, a feature that is switched off.
        401..=404 | 505 => ProviderError::Unusable { message },
        400 | 422 if is_of_model(text) => ProviderError::Unusable { message },
        // A time-out may come after the task was made.
        408 => ProviderError::Ambiguous { message },
        // Failed and paid back.
        400..=499 | 531 => refused(*code, text, has_pictures),
        _ => ProviderError::Ambiguous { message },
    }
}

/// A look-up that told nothing of the job.
pub(super) fn of_look_up(answer: &Answer, envelope: &Envelope) -> ProviderError {
    let Envelope { code, text, .. } = envelope;
    match code {
        // A key that stopped working, or a task that is not known, says nothing of what is billed: it is
        // asked for again.
        400..=404 | 410 | 422 | 429 | 455 => {
            ProviderError::NotNow { retry_after_ms: answer.retry_after_ms, message: sentence(text) }
        }
        _ => ProviderError::Ambiguous { message: sentence(text) },
    }
}
