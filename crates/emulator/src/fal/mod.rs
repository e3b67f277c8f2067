//! fal's queue: LTX-2 jobs that are handed over, asked for, fetched, canceled, and told of by signed
//! callbacks.
//!
//! Invariant: paths, shapes and statuses are those of PyPI `fal-client` 1.0.3, npm `@fal-ai/client` 1.10.1
//! and fal's own pages. As there, the queue takes any input of a known endpoint, and what is wrong with it
//! is the job's answer. Not here: faults, other models.

mod errors;
mod input;
mod sign;

pub(crate) use errors::errors;

use crate::{Job, World, control::Made, media, shape};
use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Behind the host.
pub(crate) const BASE_PATH: &str = "";

/// Clips take this long, whatever was asked.
const CLIP_MS: u32 = 500;
/// The least that is left while a job waits in the queue.
const QUEUED_FROM: u32 = 2;

/// Calls that make a job.
pub(crate) fn submits(method: &str, _path: &str) -> bool {
    method == "POST"
}

pub(crate) fn router(world: World) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(async || Json(sign::key_set())))
        .route("/{owner}/{app}/{*rest}", post(submit).get(ask).put(cancel))
        .with_state(world)
}

fn refused(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}

/// The answer to a call without a key.
fn keyless(headers: &HeaderMap) -> Option<Response> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let has_key = value.strip_prefix("Key ").is_some_and(|key| !key.trim().is_empty());
    (!has_key).then(|| refused(StatusCode::UNAUTHORIZED, "No authentication credentials were provided."))
}

type Parts = Path<(String, String, String)>;

async fn submit(
    State(world): State<World>,
    Path((owner, app, rest)): Parts,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Result<Json<Value>, axum::extract::rejection::JsonRejection>,
) -> Response {
    if let Some(answer) = keyless(&headers) {
        return answer;
    }
    let endpoint = format!("{owner}/{app}/{rest}");
    if !input::is_known(&endpoint) {
        return refused(StatusCode::NOT_FOUND, &format!("Application '{endpoint}' not found"));
    }
    let Ok(Json(input)) = body else {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "Request body must be valid JSON");
    };
    let number = world.number();
    let failure = input::problem(&endpoint, &input);
    let id = format!("{number:08x}-0000-4000-8000-{number:012x}");
    let output = if failure.is_none() { output(&world, &id, &input) } else { Value::Null };
    let job = world.make(Job {
        id,
        model: endpoint,
        input: json!({"input": input, "output": output}),
        failure,
        callback_url: query.get("fal_webhook").cloned(),
        ..Job::default()
    });
    sign::tell(&world, &job);
    let url = format!("{}/{owner}/{app}/requests/{}", world.origin(), job.id);
    let body = json!({
        "status": "IN_QUEUE", "request_id": job.id, "response_url": url, "queue_position": 0,
        "status_url": format!("{url}/status"), "cancel_url": format!("{url}/cancel"),
    });
    (Extension(Made(vec![job.id])), Json(body)).into_response()
}

/// What the model gives: a clip of the shape that was asked for, and small.
fn output(world: &World, id: &str, input: &Value) -> Value {
    let shaped = input["aspect_ratio"].as_str().and_then(shape::clip);
    let (width, height) = shaped.or_else(|| shape::clip("16:9")).unwrap_or_default();
    let clip = media::clip(width, height, CLIP_MS);
    let size = clip.len();
    let url = world.file(&format!("fal/{id}.mp4"), clip);
    json!({"video": {"url": url, "content_type": "video/mp4", "file_name": format!("{id}.mp4"),
        "file_size": size, "width": width, "height": height, "fps": 24.0, "duration": 0.5, "num_frames": 12}})
}

/// `requests/ID` and what is behind it.
fn request(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.strip_prefix("requests/")?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// The job, unless it belongs to another app or was taken out of the queue.
fn known(world: &World, owner: &str, app: &str, id: &str) -> Option<Job> {
    let job = world.job(id)?;
    let is_its = job.model.starts_with(&format!("{owner}/{app}/"));
    (is_its && !job.canceled).then_some(job)
}

fn unknown() -> Response {
    refused(StatusCode::NOT_FOUND, "Request not found")
}

async fn ask(State(world): State<World>, Path((owner, app, rest)): Parts, headers: HeaderMap) -> Response {
    if let Some(answer) = keyless(&headers) {
        return answer;
    }
    let Some((id, behind)) = request(&rest) else { return unknown() };
    if known(&world, &owner, &app, id).is_none() {
        return unknown();
    }
    match behind {
        "status" => status(&world, id),
        "" => result(&world, id),
        _ => unknown(),
    }
}

fn status(world: &World, id: &str) -> Response {
    let Some((job, done)) = world.ask(id) else { return unknown() };
    let mut body = json!({"request_id": id, "logs": null, "metrics": {}});
    if !done {
        let is_queued = job.polls_left >= QUEUED_FROM;
        body["status"] = json!(if is_queued { "IN_QUEUE" } else { "IN_PROGRESS" });
        if is_queued {
            body["queue_position"] = json!(0);
        }
        return (StatusCode::ACCEPTED, Json(body)).into_response();
    }
    body["status"] = json!("COMPLETED");
    body["metrics"] = json!({"inference_time": 1.5});
    if let Some(failure) = &job.failure {
        body["error"] = json!(errors::sentence(failure));
        body["error_type"] = json!(errors::kind(failure));
    }
    Json(body).into_response()
}

fn result(world: &World, id: &str) -> Response {
    let Some(job) = world.job(id) else { return unknown() };
    if job.polls_left > 0 {
        return refused(StatusCode::BAD_REQUEST, "Request is still in progress");
    }
    let request_id = [(HeaderName::from_static("x-fal-request-id"), job.id.clone())];
    match &job.failure {
        None => (request_id, Json(job.input["output"].clone())).into_response(),
        Some(failure) => (request_id, errors::answer(failure)).into_response(),
    }
}

async fn cancel(State(world): State<World>, Path((owner, app, rest)): Parts, headers: HeaderMap) -> Response {
    if let Some(answer) = keyless(&headers) {
        return answer;
    }
    let Some((id, "cancel")) = request(&rest) else { return unknown() };
    let Some(job) = known(&world, &owner, &app, id) else {
        return (StatusCode::NOT_FOUND, Json(json!({"status": "NOT_FOUND"}))).into_response();
    };
    if job.polls_left == 0 {
        return (StatusCode::BAD_REQUEST, Json(json!({"status": "ALREADY_COMPLETED"}))).into_response();
    }
    if job.polls_left >= QUEUED_FROM {
        world.change(id, |job| job.canceled = true);
    }
    (StatusCode::ACCEPTED, Json(json!({"status": "CANCELLATION_REQUESTED"}))).into_response()
}
