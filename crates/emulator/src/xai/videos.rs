//! Clips: accepted with an id, then asked for.
//!
//! Invariant: while a clip is made the status is 202, every other time without a body. Clips are small and
//! half a second long, of the shape that was asked for. Not here: pictures.

use super::{invalid, misfit, no_model, ratio, read, refused, source};
use crate::{
    Job, World,
    control::Made,
    fields::{Kind, wrong},
    media,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

const NEWEST: &str = "grok-imagine-video-1.5";
const MODELS: [&str; 2] = [NEWEST, "grok-imagine-video"];
const RATIOS: [&str; 7] = ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"];
/// Five US cents for a second.
const SECOND_TICKS: u64 = 500_000_000;
const LONG_SIDE: u32 = 160;
const CLIP_MS: u32 = 500;

pub(super) async fn generations(State(world): State<World>, body: Bytes) -> Response {
    let known = [
        ("model", Kind::Text),
        ("prompt", Kind::Text),
        ("duration", Kind::Whole(1, 15)),
        ("aspect_ratio", Kind::Word(&RATIOS)),
        ("resolution", Kind::Word(&["480p", "720p", "1080p"])),
        ("image", Kind::Object),
        ("last_frame", Kind::Object),
        ("keyframes", Kind::List(4)),
        ("reference_images", Kind::List(7)),
        ("reference_audios", Kind::List(3)),
        ("generate_audio", Kind::Flag),
        ("user", Kind::Text),
        ("storage_options", Kind::Object),
    ];
    accept(&world, &body, &known, 8, rules)
}

pub(super) async fn edits(State(world): State<World>, body: Bytes) -> Response {
    let known =
        [("model", Kind::Text), ("prompt", Kind::Text), ("video", Kind::Object), ("user", Kind::Text)];
    accept(&world, &body, &known, 8, needs_video)
}

pub(super) async fn extensions(State(world): State<World>, body: Bytes) -> Response {
    let known = [
        ("model", Kind::Text),
        ("prompt", Kind::Text),
        ("video", Kind::Object),
        ("duration", Kind::Whole(1, 10)),
    ];
    accept(&world, &body, &known, 6, needs_video)
}

fn needs_video(body: &Value) -> Option<&'static str> {
    let named = body["video"]["url"].is_string() || body["video"]["file_id"].is_string();
    (!named).then_some("A video is required.")
}

/// What the fields of a new clip may not be together.
fn rules(body: &Value) -> Option<&'static str> {
    let is_newest = body["model"] == NEWEST;
    let has = |name: &str| body.get(name).is_some();
    let references = body["reference_images"].as_array();
    let pictures = references.into_iter().flatten().chain(body.get("image")).chain(body.get("last_frame"));
    let no_prompt = body["prompt"].as_str().is_none_or(str::is_empty);
    if no_prompt && !(is_newest && has("image")) {
        return Some("A prompt is required.");
    }
    if !is_newest && (has("last_frame") || has("keyframes") || body["resolution"] == "1080p") {
        return Some("This model has no last frame, no key frames and no 1080p.");
    }
    if references.is_some() && has("image") {
        return Some("image and reference_images can't be used together.");
    }
    if references.is_some() && body["resolution"] == "1080p" {
        return Some("Reference images are limited to 720p.");
    }
    if references.is_some() && body["duration"].as_u64().is_some_and(|seconds| seconds > 10) {
        return Some("Reference images are limited to 10 seconds.");
    }
    pictures.map(source).any(|source| source.is_none()).then_some("Unsupported image.")
}

fn accept(
    world: &World,
    body: &Bytes,
    known: &[(&str, Kind)],
    usual_seconds: u64,
    rules: impl Fn(&Value) -> Option<&'static str>,
) -> Response {
    let body = match read(body) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    if let Some(wrong) = wrong(&body, known) {
        return misfit(&wrong);
    }
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    if !MODELS.contains(&model.as_str()) {
        return no_model(&model);
    }
    if let Some(message) = rules(&body) {
        return invalid(message);
    }
    let id = format!("d97415a1-5796-b7ec-379f-{:012x}", world.number());
    let (width, height) = small(body["aspect_ratio"].as_str().and_then(ratio).unwrap_or((16, 9)));
    let file = world.file(&format!("{id}.mp4"), media::clip(width, height, CLIP_MS));
    let mut input = body;
    if input.get("duration").is_none() {
        input["duration"] = json!(usual_seconds);
    }
    world.make(Job { id: id.clone(), model, input, files: vec![file], ..Job::default() });
    (Extension(Made(vec![id.clone()])), Json(json!({"request_id": id}))).into_response()
}

pub(super) async fn status(State(world): State<World>, Path(id): Path<String>) -> Response {
    let Some((job, done)) = world.ask(&id) else {
        return refused(StatusCode::NOT_FOUND, "not-found", "The request id is not known.");
    };
    if !done {
        if job.polls_left % 2 == 1 {
            return StatusCode::ACCEPTED.into_response();
        }
        let body = json!({"status": "pending", "progress": 40, "model": job.model});
        return (StatusCode::ACCEPTED, Json(body)).into_response();
    }
    let seconds = job.input["duration"].as_u64().unwrap_or(8);
    let usage = json!({"cost_in_usd_ticks": SECOND_TICKS * seconds});
    match job.failure {
        // Moderation may come as an error of the call.
        Some(failure) if failure["code"].is_string() => {
            (StatusCode::BAD_REQUEST, Json(failure)).into_response()
        }
        Some(mut failure) => {
            if failure["status"] == "done" {
                failure["usage"] = usage;
            }
            Json(failure).into_response()
        }
        None => {
            let video = json!({"url": job.files.first(), "duration": seconds, "respect_moderation": true});
            let mut body = json!({"status": "done", "progress": 100, "model": job.model});
            body["video"] = video;
            body["usage"] = usage;
            Json(body).into_response()
        }
    }
}

fn small((wide, high): (u32, u32)) -> (u32, u32) {
    let long = wide.max(high).max(1);
    let side = |part: u32| (LONG_SIDE * part / long / 2).max(8) * 2;
    (side(wide), side(high))
}
