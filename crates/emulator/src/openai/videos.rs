//! Clips by the historic protocol: created, asked for, listed, downloaded with the key, deleted.
//!
//! Invariant: the file of a clip comes to whoever has the key and to nobody else. Clips are small and half a
//! second long, of the shape that was asked for. Not here: pictures; edits, extensions, characters.

use super::{
    error,
    form::{self, File, Form},
    invalid, misfit, no_model,
};
use crate::{
    Job, World,
    control::Made,
    fields::{Kind, wrong},
    media,
};
use axum::{
    Extension, Json,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SMALL: &str = "sora-2";
const LARGE: &str = "sora-2-pro";
const SIZES: [&str; 2] = ["720x1280", "1280x720"];
const LARGE_SIZES: [&str; 4] = ["1024x1792", "1792x1024", "1080x1920", "1920x1080"];
const SECONDS: [&str; 3] = ["4", "8", "12"];
const LARGE_SECONDS: [&str; 2] = ["16", "20"];
const LONG_SIDE: u32 = 160;
const CLIP_MS: u32 = 500;
/// When to ask again, for clients that wait.
const POLL_AFTER: (&str, &str) = ("openai-poll-after-ms", "1500");
const KEPT_S: u64 = 3_600;

const FIELDS: [(&str, Kind); 7] = [
    ("model", Kind::Text),
    ("prompt", Kind::Text),
    ("seconds", Kind::Text),
    ("size", Kind::Text),
    ("input_reference", Kind::Object),
    ("input_reference[image_url]", Kind::Text),
    ("input_reference[file_id]", Kind::Text),
];

pub(super) async fn create(State(world): State<World>, request: Request) -> Response {
    let Form { mut fields, files } = match form::read(request).await {
        Ok(form) => form,
        Err(refusal) => return *refusal,
    };
    if let Some(wrong) = wrong(&fields, &FIELDS) {
        return misfit(&wrong);
    }
    for (name, usual) in [("model", SMALL), ("seconds", "4"), ("size", "720x1280")] {
        if fields.get(name).is_none() {
            fields[name] = json!(usual);
        }
    }
    let model = fields["model"].as_str().unwrap_or_default().to_owned();
    if ![SMALL, LARGE].contains(&model.as_str()) {
        return no_model(&model);
    }
    if let Some(field) = wrong_field(&fields, &files, model == LARGE) {
        return invalid(field, "invalid_value");
    }
    fields["created_at"] = json!(jsonwebtoken::get_current_timestamp());
    let id = format!("video_{:08x}", world.number());
    let job = world.make(Job { id: id.clone(), model, input: fields, ..Job::default() });
    (Extension(Made(vec![id])), Json(video(&job, "queued", 0))).into_response()
}

fn wrong_field(fields: &Value, files: &[File], is_large: bool) -> Option<&'static str> {
    let text = |name: &str| fields[name].as_str().unwrap_or_default();
    let has = |name: &str, all: &[&str], large: &[&str]| {
        all.contains(&text(name)) || (is_large && large.contains(&text(name)))
    };
    let is_picture = |file: &File| {
        file.field == "input_reference"
            && ["image/png", "image/jpeg", "image/webp"].contains(&file.mime.as_str())
            && !file.bytes.is_empty()
    };
    if text("prompt").is_empty() {
        return Some("prompt");
    }
    if !has("seconds", &SECONDS, &LARGE_SECONDS) {
        return Some("seconds");
    }
    if !has("size", &SIZES, &LARGE_SIZES) {
        return Some("size");
    }
    (files.len() > 1 || !files.iter().all(is_picture)).then_some("input_reference")
}

/// The video object.
fn video(job: &Job, status: &str, progress: u32) -> Value {
    let made_s = job.input["created_at"].as_u64().unwrap_or_default();
    let completed_s = (status == "completed").then_some(made_s);
    let reason = if status == "failed" { job.failure.clone() } else { None };
    let error = reason.map(|reason| json!({"code": reason["code"], "message": reason["message"]}));
    json!({
        "id": job.id, "object": "video", "model": job.model, "status": status, "progress": progress,
        "created_at": made_s, "completed_at": completed_s,
        "expires_at": completed_s.map(|made_s| made_s + KEPT_S), "prompt": job.input["prompt"],
        "seconds": job.input["seconds"], "size": job.input["size"], "remixed_from_video_id": null,
        "error": error,
    })
}

fn shown(job: &Job, is_done: bool) -> Value {
    match (is_done, &job.failure) {
        (false, _) => video(job, "in_progress", 50),
        (true, None) => video(job, "completed", 100),
        (true, Some(_)) => video(job, "failed", 100),
    }
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Json(error(super::INVALID, "not_found", "Video not found."))).into_response()
}

pub(super) async fn retrieve(State(world): State<World>, Path(id): Path<String>) -> Response {
    match world.ask(&id) {
        Some((job, is_done)) if !job.canceled => {
            let body = Json(shown(&job, is_done));
            if is_done { body.into_response() } else { ([POLL_AFTER], body).into_response() }
        }
        _ => unknown(),
    }
}

pub(super) async fn list(
    State(world): State<World>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let mut jobs = world.jobs();
    jobs.retain(|job| job.id.starts_with("video_") && !job.canceled);
    if query.get("order").is_none_or(|order| order == "desc") {
        jobs.reverse();
    }
    if let Some(after) = query.get("after") {
        jobs = jobs.into_iter().skip_while(|job| job.id != *after).skip(1).collect();
    }
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20_usize);
    let page = jobs.iter().take(limit);
    let data: Vec<Value> = page.map(|job| shown(job, job.polls_left == 0)).collect();
    let id = |video: Option<&Value>| video.map(|video| video["id"].clone());
    Json(json!({
        "object": "list", "first_id": id(data.first()), "last_id": id(data.last()),
        "has_more": jobs.len() > limit, "data": data,
    }))
    .into_response()
}

pub(super) async fn delete(State(world): State<World>, Path(id): Path<String>) -> Response {
    let is_done = world.job(&id).filter(|job| !job.canceled).map(|job| job.polls_left == 0);
    match is_done {
        None => unknown(),
        Some(false) => invalid("video_id", "video_in_progress"),
        Some(true) => {
            let changed = world.change(&id, |job| job.canceled = true);
            let deleted = changed.is_some();
            Json(json!({"id": id, "deleted": deleted, "object": "video.deleted"})).into_response()
        }
    }
}

pub(super) async fn content(
    State(world): State<World>,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(job) = world.job(&id).filter(|job| !job.canceled && job.failure.is_none()) else {
        return unknown();
    };
    if job.polls_left > 0 {
        return invalid("video_id", "video_not_ready");
    }
    let (width, height) = small(job.input["size"].as_str().unwrap_or_default());
    match query.get("variant").map(String::as_str) {
        None | Some("video") => {
            ([(CONTENT_TYPE, "video/mp4")], media::clip(width, height, CLIP_MS)).into_response()
        }
        Some("thumbnail" | "spritesheet") => {
            ([(CONTENT_TYPE, "image/png")], media::picture(width, height)).into_response()
        }
        Some(_) => invalid("variant", "invalid_value"),
    }
}

/// The shape of a size, small.
fn small(size: &str) -> (u32, u32) {
    let sides = size.split_once('x').and_then(|(wide, high)| Some((wide.parse().ok()?, high.parse().ok()?)));
    let (wide, high): (u32, u32) = sides.unwrap_or((16, 9));
    let long = wide.max(high).max(1);
    let side = |part: u32| (LONG_SIDE * part / long / 2).max(8) * 2;
    (side(wide), side(high))
}
