//! A clip as OpenAI's videos protocol wants it, and what the protocol answers.
//!
//! Invariant: a clip that is looked for is one by all that the list shows, and a list without it never proves
//! that there is none. Not here: pictures, calls.
//!
//! Source: PyPI `openai` 3.54.0, `resources/videos.py`, `types/video*.py`. OpenAI shut its own endpoint down
//! on 2026-09-24; other servers still speak the protocol.

use super::{map, wire};
use crate::{
    Job, OutputSource, ProviderError, Unit,
    fan_out::{Part, PartAnswer},
    look_up::Finds,
    upstream::{Answer, plain_segment},
};
use reqwest::multipart::Form;
use serde::Deserialize;
use serde_json::Value;
use std::ops::RangeInclusive;

/// What a route's `vendor_model` begins with.
const PROTOCOL: &str = "videos:";
/// Waits that a server may ask for between two polls.
const POLL_AFTER_MS: RangeInclusive<u32> = 1_000..=60_000;

/// The vendor's id of the model, if the route is one of this protocol.
pub(super) fn model(vendor_model: &str) -> Option<&str> {
    vendor_model.strip_prefix(PROTOCOL)
}

/// The body of `POST /videos`.
pub(super) fn form(job: &Job) -> Result<Form, ProviderError> {
    let form = Form::new()
        .text("model", model(&job.vendor_model).unwrap_or_default().to_owned())
        .text("prompt", job.prompt.clone())
        .text("seconds", seconds(job))
        .text("size", size(job));
    match job.input_images.first() {
        Some(image) => Ok(form.part("input_reference", map::part(image, 0)?)),
        None => Ok(form),
    }
}

/// The protocol has them as text.
fn seconds(job: &Job) -> String {
    (job.duration_ms / 1000).to_string()
}

fn size(job: &Job) -> String {
    format!("{}x{}", job.width, job.height)
}

/// The id of a new clip's job.
pub(super) fn accepted(answer: &Answer) -> Result<Part, ProviderError> {
    if !answer.is_success() {
        return Err(wire::refusal(answer));
    }
    let body = answer.value();
    let id = body["id"].as_str().and_then(plain_segment).ok_or_else(wire::unreadable)?;
    Ok(Part::Accepted { id })
}

/// When the server wants to be asked again.
pub(super) fn poll_after_ms(answer: &Answer) -> Option<u32> {
    let wait_ms: u32 = answer.header("openai-poll-after-ms")?.trim().parse().ok()?;
    Some(wait_ms.clamp(*POLL_AFTER_MS.start(), *POLL_AFTER_MS.end()))
}

/// What became of a clip whose file is at `content_url`.
pub(super) fn polled(answer: &Answer, content_url: String) -> Result<PartAnswer, ProviderError> {
    let refused = |error, message: &str| Unit::Refused { error, message: message.to_owned() };
    let finished = |unit| Ok(PartAnswer::Finished { unit, cost: None });
    if !answer.is_success() {
        // The call failed, not the job; one that is not known may have been made and billed.
        return Err(ProviderError::NotNow {
            retry_after_ms: answer.retry_after_ms,
            message: wire::reason(answer).message(),
        });
    }
    let body = answer.value();
    match body["status"].as_str() {
        Some("completed") => finished(Unit::Delivered(OutputSource::Url(content_url))),
        Some("failed") => {
            let reason = wire::Reason::deserialize(&body["error"]).unwrap_or_default();
            finished(refused(reason.error(), &reason.told()))
        }
        _ => {
            let percent = f32::deserialize(&body["progress"]).ok();
            Ok(PartAnswer::Pending { progress: percent.map(|done| (done / 100.0).clamp(0.0, 1.0)) })
        }
    }
}

/// Looks for a job in a page of the list, newest first; `None` if it can't be read. Tells where the next page
/// begins, unless all that is left is too old.
pub(super) fn found(answer: &Answer, job: &Job, finds: &mut Finds) -> Option<Option<String>> {
    let body = answer.value();
    let listed = body["data"].as_array().filter(|_| answer.is_success())?;
    let made_ms = |video: &Value| video["created_at"].as_i64().and_then(|made_s| made_s.checked_mul(1000));
    let id = |video: &Value| video["id"].as_str().and_then(plain_segment);
    for video in listed.iter().filter(|video| is_job(video, job)) {
        finds.add(id(video)?, made_ms(video), true);
    }
    let more = body["has_more"] != false;
    Some(listed.last().filter(|video| more && !finds.is_too_old(made_ms(video))).and_then(id))
}

/// Whether a listed clip was asked for with the words of a job. One that does not tell its prompt may be
/// anybody's. The list does not show pictures, so only jobs without one are looked for.
fn is_job(video: &Value, job: &Job) -> bool {
    let model = model(&job.vendor_model).unwrap_or_default();
    let is_model = |listed: &str| {
        // A dated snapshot of the model goes on with a year.
        let snapshot = listed.strip_prefix(model).and_then(|rest| rest.strip_prefix('-'));
        listed == model
            || snapshot.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    video["model"].as_str().is_some_and(is_model)
        && video["seconds"].as_str() == Some(seconds(job).as_str())
        && video["size"].as_str() == Some(size(job).as_str())
        && video["prompt"].as_str() == Some(job.prompt.as_str())
        && video["remixed_from_video_id"].is_null()
}
