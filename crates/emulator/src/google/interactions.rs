//! Interactions that make clips, and the files that they name.
//!
//! Invariant: a file is told only with the key, as at Google. Not here: interactions with text models.

use super::{keyless, pixels, refusal, unknown};
use crate::{Job, World, control::Made, media};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// Real sizes take a dev build too long.
const CLIP_AREA: f64 = 15_360.0;
const CLIP_MS: u32 = 500;
const WHEN: &str = "2026-02-02T02:40:00Z";
const FIELDS: [&str; 17] = [
    "model",
    "input",
    "background",
    "response_format",
    "generation_config",
    "store",
    "webhook_config",
    "system_instruction",
    "labels",
    "stream",
    "tools",
    "previous_interaction_id",
    "response_modalities",
    "response_mime_type",
    "safety_settings",
    "service_tier",
    "cached_content",
];
const FORMAT_FIELDS: [&str; 6] = ["type", "delivery", "aspect_ratio", "resolution", "duration", "gcs_uri"];
const TASKS: [&str; 6] =
    ["text_to_video", "image_to_video", "reference_to_video", "edit", "extend", "upscale"];

/// The longest clip of a model, in seconds.
fn seconds_max(model: &str) -> Option<u32> {
    match model {
        "gemini-omni-1.2-flash" => Some(15),
        "gemini-omni-1.1-flash" => Some(10),
        _ => None,
    }
}

pub(super) async fn create(
    State(world): State<World>,
    headers: HeaderMap,
    uri: Uri,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refused) = keyless(&headers, &uri) {
        return refused;
    }
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let Some(seconds_max) = seconds_max(&model) else {
        let message = format!("Model '{model}' was not found or is no longer available.");
        return refusal::answer(404, &refusal::worded("model_not_found", &message));
    };
    if let Some(name) = unknown(&body, &FIELDS) {
        let message = format!("Unknown parameter: '{name}'.");
        return refusal::answer(400, &refusal::worded("parameter_unknown", &message));
    }
    let ratio = match checked(&body, seconds_max) {
        Ok(ratio) => ratio,
        Err(message) => return refusal::invalid_interaction(&message),
    };
    let background = body["background"] == true;
    let job = begun(&world, model, body, &ratio);
    let made = Extension(Made(vec![job.id.clone()]));
    // In the background it answers at once, before anything is made.
    (made, Json(shown(&job, !background))).into_response()
}

fn begun(world: &World, model: String, input: Value, ratio: &str) -> Job {
    let number = world.number();
    let (width, height) = pixels(ratio, CLIP_AREA).unwrap_or((160, 96));
    let name = format!("clip{number}");
    // Its own path, which asks for the key, stands in the place of this one.
    drop(world.file(&name, media::clip(width, height, CLIP_MS)));
    let url = format!("{}/v1beta/files/{name}:download?alt=media", world.origin());
    world.make(Job { id: format!("v1_{number}"), model, input, files: vec![url], ..Job::default() })
}

/// The shape, or what is wrong with the request.
fn checked(body: &Value, seconds_max: u32) -> Result<String, String> {
    input(&body["input"])?;
    let format = &body["response_format"];
    let format = format.get(0).unwrap_or(format);
    if let Some(name) = unknown(format, &FORMAT_FIELDS) {
        return Err(format!("Unknown parameter: 'response_format.{name}'."));
    }
    let one_of = |name: &str, known: &[&str], absent: &str| match &format[name] {
        Value::Null => Ok(absent.to_owned()),
        Value::String(text) if known.contains(&text.as_str()) => Ok(text.clone()),
        other => Err(format!("Invalid value {other} for 'response_format.{name}'.")),
    };
    one_of("type", &["video"], "video")?;
    one_of("delivery", &["inline", "uri"], "inline")?;
    one_of("resolution", &["360p", "720p", "1080p", "4k"], "720p")?;
    let duration = &format["duration"];
    let seconds = duration.as_str().and_then(|text| text.strip_suffix('s')?.parse::<u32>().ok());
    if !duration.is_null() && !seconds.is_some_and(|seconds| (3..=seconds_max).contains(&seconds)) {
        return Err(format!("Invalid value {duration} for 'response_format.duration'."));
    }
    let config = &body["generation_config"];
    let seed = &config["seed"];
    if !seed.is_null() && seed.as_i64().and_then(|seed| i32::try_from(seed).ok()).is_none() {
        return Err(format!("Invalid value {seed} for 'generation_config.seed'."));
    }
    let task = &config["video_config"]["task"];
    if !task.is_null() && !TASKS.iter().any(|known| task == known) {
        return Err(format!("Invalid value {task} for 'generation_config.video_config.task'."));
    }
    one_of("aspect_ratio", &["16:9", "9:16"], "16:9")
}

fn input(input: &Value) -> Result<(), String> {
    if input.as_str().is_some_and(|text| !text.is_empty()) {
        return Ok(());
    }
    // Its package puts the blocks into a step of their own.
    let first = &input[0];
    let blocks = if first["type"] == "user_input" { &first["content"] } else { input };
    let blocks = blocks.as_array().cloned().unwrap_or_default();
    let is_block = |block: &Value| match block["type"].as_str() {
        Some("text") => block["text"].is_string(),
        Some("image") => {
            let mime = block["mime_type"].as_str().is_some_and(|mime| mime.starts_with("image/"));
            mime && (block["data"].is_string() || block["uri"].is_string())
        }
        _ => false,
    };
    let good = !blocks.is_empty() && blocks.iter().all(is_block);
    if good { Ok(()) } else { Err("Invalid value for 'input'.".to_owned()) }
}

/// The interaction as its owner sees it.
fn shown(job: &Job, done: bool) -> Value {
    let status = if job.canceled { "cancelled" } else { "in_progress" };
    let mut body = json!({
        "id": job.id, "object": "interaction", "model": job.model, "status": status,
        "created": WHEN, "updated": WHEN, "steps": [],
    });
    if job.canceled || !done {
        return body;
    }
    body["status"] = json!("completed");
    body["steps"] = json!([
        {"type": "user_input", "content": [{"type": "text", "text": "as it was asked"}]},
        {"type": "model_output", "content": [
            {"type": "text", "text": "Here is your video."},
            {"type": "video", "uri": job.files.first(), "mime_type": "video/mp4"},
        ]},
    ]);
    body["usage"] = json!({"total_input_tokens": 12, "total_output_tokens": 5792, "total_tokens": 5804});
    if let Some(Value::Object(failure)) = &job.failure {
        for (name, value) in failure {
            body[name] = value.clone();
        }
    }
    body
}

fn no_such() -> Response {
    refusal::invalid_interaction("Invalid interaction name")
}

pub(super) async fn read(
    State(world): State<World>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Some(refused) = keyless(&headers, &uri) {
        return refused;
    }
    world.ask(&id).map_or_else(no_such, |(job, done)| Json(shown(&job, done)).into_response())
}

pub(super) async fn cancel(
    State(world): State<World>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Some(refused) = keyless(&headers, &uri) {
        return refused;
    }
    let canceled = world.change(&id, |job| {
        if job.polls_left > 0 {
            job.canceled = true;
        }
        job.clone()
    });
    match canceled {
        None => no_such(),
        Some(job) if job.canceled => Json(shown(&job, true)).into_response(),
        Some(_) => refusal::invalid_interaction("Only running background interactions can be cancelled."),
    }
}

pub(super) async fn delete(
    State(world): State<World>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Some(refused) = keyless(&headers, &uri) {
        return refused;
    }
    world.job(&id).map_or_else(no_such, |_| Json(json!({})).into_response())
}

/// `files/NAME` is a record, `files/NAME:download` the file. A test may set `file_state` in the input of the
/// job that made it.
pub(super) async fn file(
    State(world): State<World>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Some(refused) = keyless(&headers, &uri) {
        return refused;
    }
    let (name, download) = name.strip_suffix(":download").map_or((name.as_str(), false), |name| (name, true));
    let Some(bytes) = world.stored(name) else {
        let body = refusal::numbered(403, "PERMISSION_DENIED", "You do not have permission.", &[]);
        return refusal::answer(403, &body);
    };
    if download {
        return bytes.into_response();
    }
    let url = format!("{}/v1beta/files/{name}:download?alt=media", world.origin());
    let job = world.jobs().into_iter().find(|job| job.files.contains(&url));
    let state = job.and_then(|job| job.input["file_state"].as_str().map(str::to_owned));
    let record = json!({
        "name": format!("files/{name}"), "mimeType": "video/mp4", "sizeBytes": bytes.len().to_string(),
        "state": state.as_deref().unwrap_or("ACTIVE"), "source": "GENERATED", "downloadUri": url,
    });
    Json(record).into_response()
}
