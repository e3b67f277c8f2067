//! What kie answers: the envelope around everything, and how far a job is in each of its four APIs.
//!
//! Invariant: a state that is not known is a job under way. Not here: what codes mean (`failure`), what is
//! asked (`map`).
//!
//! Source: docs.kie.ai/market/common/get-task-detail, veo3-api, 4o-image-api, suno-api. Fields are renamed
//! there often, and JSON stands inside strings, so old names and both forms are read.

use super::{
    failure::{of_look_up, of_submit, refused},
    map::Api,
};
use crate::{
    ProviderError, TaskError,
    upstream::{Answer, plain_segment},
};
use serde_json::Value;

/// What `code` says when all is well.
const FINE: i64 = 200;

/// What is around every answer.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The body's, or the status where the body says nothing or that all is well. 0 if a success has none.
    pub(super) code: i64,
    pub(super) text: String,
    data: Value,
}

fn envelope(answer: &Answer) -> Envelope {
    let body = answer.value();
    let code = match integer(&body["code"]) {
        Some(code) if code != FINE || answer.is_success() => code,
        None if answer.is_success() => 0,
        _ => i64::from(answer.status),
    };
    let text = ["msg", "message"].into_iter().find_map(|key| body[key].as_str());
    let text = text.unwrap_or_default().to_owned();
    Envelope { code, text, data: body["data"].clone() }
}

/// A number, also one in a string.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The id of a task, by either of its names.
pub(super) fn task_id(data: &Value) -> Option<String> {
    ["taskId", "task_id"].into_iter().find_map(|key| data[key].as_str()).and_then(plain_segment)
}

/// The id that a submit gave.
pub(super) fn submitted(answer: &Answer, has_pictures: bool) -> Result<String, ProviderError> {
    let envelope = envelope(answer);
    match task_id(&envelope.data) {
        // Also beside a code that sounds like a refusal: there is a task, and asking for it tells the truth.
        Some(id) => Ok(id),
        None if envelope.code == FINE => {
            Err(ProviderError::Ambiguous { message: "the answer has no task id".to_owned() })
        }
        None => Err(of_submit(answer, &envelope, has_pictures)),
    }
}

/// How far a task is.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Pending {
        progress: Option<f32>,
    },
    /// Without any URL it may have been billed all the same.
    Done {
        urls: Vec<String>,
    },
}

/// What a look-up tells of a task. What it says of the job counts, whatever the code beside it.
pub(super) fn asked(api: Api, answer: &Answer, has_pictures: bool) -> Result<Asked, ProviderError> {
    let envelope = envelope(answer);
    let data = &envelope.data;
    let key = if matches!(api, Api::Market) { "state" } else { "status" };
    let known = data[key].is_string() || !data["successFlag"].is_null();
    if !known {
        // A record that says nothing may be one that is not written yet.
        return match envelope.code {
            FINE => Ok(Asked::Pending { progress: None }),
            _ => Err(of_look_up(answer, &envelope)),
        };
    }
    match api {
        Api::Market => market(data, has_pictures),
        Api::Veo | Api::FourO => flagged(data, has_pictures),
        Api::Suno => suno(data),
    }
}

fn market(data: &Value, has_pictures: bool) -> Result<Asked, ProviderError> {
    match data["state"].as_str().unwrap_or_default() {
        "success" => Ok(Asked::Done { urls: links(&data["resultJson"]) }),
        "fail" => {
            let text = data["failMsg"].as_str().unwrap_or_default();
            Err(refused(integer(&data["failCode"]).unwrap_or(0), text, has_pictures))
        }
        _ => Ok(Asked::Pending { progress: percent(&data["progress"]) }),
    }
}

/// Veo and 4o: 0 under way, 1 done, anything else is failed.
fn flagged(data: &Value, has_pictures: bool) -> Result<Asked, ProviderError> {
    let named = match data["status"].as_str().unwrap_or_default() {
        "SUCCESS" => Some(1),
        "CREATE_TASK_FAILED" | "GENERATE_FAILED" => Some(2),
        _ => None,
    };
    match integer(&data["successFlag"]).or(named) {
        Some(1) => {
            let urls = Some(links(&data["response"])).filter(|urls| !urls.is_empty());
            Ok(Asked::Done { urls: urls.unwrap_or_else(|| links(data)) })
        }
        Some(2 | 3) => {
            let text = data["errorMessage"].as_str().unwrap_or_default();
            Err(refused(integer(&data["errorCode"]).unwrap_or(0), text, has_pictures))
        }
        _ => Ok(Asked::Pending { progress: share(&data["progress"]) }),
    }
}

fn suno(data: &Value) -> Result<Asked, ProviderError> {
    let tracks = data["response"]["sunoData"].as_array().map(Vec::as_slice).unwrap_or_default();
    let urls: Vec<String> = tracks
        .iter()
        .filter_map(|track| ["audioUrl", "audio_url"].into_iter().find_map(|key| text(&track[key])))
        .collect();
    match data["status"].as_str().unwrap_or_default() {
        "SUCCESS" => Ok(Asked::Done { urls }),
        // Only our URL failed to listen. What is not there yet may still come, until the task's time is over.
        "CALLBACK_EXCEPTION" if !urls.is_empty() => Ok(Asked::Done { urls }),
        status @ ("CREATE_TASK_FAILED" | "GENERATE_AUDIO_FAILED" | "SENSITIVE_WORD_ERROR") => {
            let message = data["errorMessage"].as_str().unwrap_or_default();
            let code = integer(&data["errorCode"]).unwrap_or(0);
            // 400 is a text with an owner, 413 a sound with one.
            if status == "SENSITIVE_WORD_ERROR" || code == 400 || code == 413 {
                let message = crate::upstream::sentence(message);
                return Err(ProviderError::Refused {
                    error: TaskError::ContentRejected,
                    message,
                    cost: None,
                });
            }
            Err(refused(code, message, false))
        }
        _ => Ok(Asked::Pending { progress: None }),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The URLs of results: below one of their names, as a list or as a string of JSON, inside an object or
/// inside a string of JSON.
fn links(value: &Value) -> Vec<String> {
    let parsed = value.as_str().and_then(|inner| serde_json::from_str::<Value>(inner).ok());
    let value = parsed.as_ref().unwrap_or(value);
    let found = ["resultUrls", "result_urls"].into_iter().map(|key| &value[key]).find(|list| !list.is_null());
    let Some(list) = found else { return Vec::new() };
    let parsed = list.as_str().and_then(|inner| serde_json::from_str::<Value>(inner).ok());
    let list = parsed.as_ref().unwrap_or(list);
    list.as_array().into_iter().flatten().filter_map(text).collect()
}

/// Of "0.00" to "1.00".
fn share(value: &Value) -> Option<f32> {
    value.as_str()?.trim().parse::<f32>().ok().filter(|share| (0.0..=1.0).contains(share))
}

/// Of 0 to 100.
fn percent(value: &Value) -> Option<f32> {
    let percent = u8::try_from(integer(value)?).ok().filter(|percent| *percent <= 100)?;
    Some(f32::from(percent) / 100.0)
}
