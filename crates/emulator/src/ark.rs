//! BytePlus' ModelArk: clips as tasks, the list of tasks, delete, callbacks.
//!
//! Invariant: shapes and codes are those of its Python package 3.0.63 and of Ark's pages. Time stands still:
//! tasks are a second apart. Not here: faults.

use crate::{CallbackOut, ErrorCase, Expected, Fault, Job, World, control::Made, media};
use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};

/// Behind the host.
pub(crate) const BASE_PATH: &str = "/api/v3";
const BEGIN_S: u64 = 1_770_000_000;
const TASKS: &str = "/api/v3/contents/generations/tasks";

/// Calls that make tasks.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    method == "POST" && path == TASKS
}

pub(crate) fn router(world: World) -> Router {
    Router::new()
        .route(TASKS, post(create).get(list))
        .route(&format!("{TASKS}/{{id}}"), get(task).delete(delete))
        .with_state(world)
}

fn no_key(headers: &HeaderMap) -> Option<Response> {
    let key = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let missing = key.strip_prefix("Bearer ").is_none_or(|key| key.trim().is_empty());
    missing.then(|| refused(StatusCode::UNAUTHORIZED, "AuthenticationError"))
}

fn error(code: &str) -> Value {
    json!({"error": {"code": code, "message": "No. Request id: 1", "param": "", "type": "BadRequest"}})
}

fn refused(status: StatusCode, code: &str) -> Response {
    (status, Json(error(code))).into_response()
}

fn is_right(body: &Value) -> bool {
    let names = [
        "model",
        "content",
        "resolution",
        "ratio",
        "duration",
        "watermark",
        "safety_identifier",
        "callback_url",
        "seed",
        "camera_fixed",
        "return_last_frame",
        "service_tier",
        "execution_expires_after",
    ];
    let known = body
        .as_object()
        .is_some_and(|all| all.iter().all(|(name, value)| names.contains(&name.as_str()) || value.is_null()));
    let parts = body["content"].as_array().cloned().unwrap_or_default();
    let pictures = parts.iter().filter(|part| part["type"] == "image_url").count();
    let ratios = ["16:9", "4:3", "1:1", "3:4", "9:16", "21:9"];
    let ratio = body["ratio"].as_str().unwrap_or("16:9");
    let length = &body["duration"];
    known
        && !parts.is_empty()
        && pictures <= 1
        && ["480p", "720p", "1080p"].contains(&body["resolution"].as_str().unwrap_or("1080p"))
        && (ratios.contains(&ratio) || (ratio == "adaptive" && pictures == 1))
        && (length.is_null() || length.as_u64().is_some_and(|length| (2..=12).contains(&length)))
}

async fn create(State(world): State<World>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    if !is_right(&body) {
        return refused(StatusCode::BAD_REQUEST, "InvalidParameter");
    }
    let number = world.number();
    let callback_url = body["callback_url"].as_str().map(str::to_owned);
    let job = world.make(Job {
        id: format!("cgt-{number}"),
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        input: json!({"body": body, "created": BEGIN_S + number}),
        callback_url: callback_url.clone(),
        ..Job::default()
    });
    let (width, height) = if body["ratio"] == "9:16" { (96, 160) } else { (160, 96) };
    let url = world.file(&format!("cgt-{number}.mp4"), media::clip(width, height, 500));
    world.change(&job.id, |job| job.files = vec![url]);
    if let (Some(url), Some(job)) = (callback_url, world.job(&job.id)) {
        let body = Bytes::from(record(&job, true).to_string());
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        world.callback(CallbackOut { url, headers, body });
    }
    (Extension(Made(vec![job.id.clone()])), Json(json!({"id": job.id}))).into_response()
}

fn record(job: &Job, done: bool) -> Value {
    let asked = &job.input["body"];
    let failure = job.failure.as_ref().filter(|_| done);
    let status = match (job.canceled, done, failure) {
        (true, ..) => "cancelled",
        (_, false, _) => "queued",
        (_, _, None) => "succeeded",
        (_, _, Some(failure)) => failure["status"].as_str().unwrap_or("failed"),
    };
    let content = if status == "succeeded" { json!({"video_url": job.files.first()}) } else { Value::Null };
    json!({
        "id": job.id, "model": job.model, "status": status, "content": content,
        "error": failure.map(|failure| json!({"code": failure["code"], "message": "No."})),
        "usage": {"completion_tokens": 100, "total_tokens": 100},
        "created_at": job.input["created"], "updated_at": job.input["created"],
        "resolution": asked["resolution"], "ratio": asked["ratio"], "duration": asked["duration"],
        "framespersecond": 24, "service_tier": "default", "seed": 1,
        "safety_identifier": asked["safety_identifier"],
    })
}

async fn task(State(world): State<World>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    match world.ask(&id) {
        Some((job, done)) => Json(record(&job, done)).into_response(),
        None => refused(StatusCode::NOT_FOUND, "ResourceNotFound"),
    }
}

async fn list(State(world): State<World>, headers: HeaderMap) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    let items: Vec<Value> = world.jobs().iter().rev().map(|job| record(job, job.polls_left == 0)).collect();
    Json(json!({"total": items.len(), "items": items})).into_response()
}

async fn delete(State(world): State<World>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    let canceled = world.change(&id, |job| {
        job.canceled = job.polls_left > 0;
        job.canceled
    });
    match canceled {
        Some(true) => Json(json!({})).into_response(),
        Some(false) => refused(StatusCode::CONFLICT, "TaskRunningCannotCancel"),
        None => refused(StatusCode::NOT_FOUND, "ResourceNotFound"),
    }
}

/// Its list of error codes.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let blocked = Expected::Refused("content_rejected");
    let picture = Expected::Refused("input_rejected");
    let failed = Expected::Refused("provider_failed");
    let table = [
        (401, "AuthenticationError", Expected::Unusable),
        (403, "AccessDenied", Expected::Unusable),
        (403, "ServiceNotOpen", Expected::Unusable),
        (404, "ModelNotOpen", Expected::Unusable),
        (404, "InvalidEndpointOrModel.NotFound", Expected::Unusable),
        (403, "AccountOverdueError", Expected::Unusable),
        (403, "ServiceOverdue", Expected::Unusable),
        (429, "RateLimitExceeded", Expected::NotNow),
        (429, "RateLimitExceeded.EndpointRPMExceeded", Expected::NotNow),
        (429, "ServerOverloaded", Expected::NotNow),
        (429, "QuotaExceeded", Expected::Unusable),
        (429, "SetLimitExceeded", Expected::Unusable),
        (400, "MissingParameter.model", failed),
        (400, "InvalidParameter", failed),
        (400, "InvalidParameter.OversizedImage", picture),
        (400, "InvalidParameter.UnsupportedImageFormat", picture),
        (400, "InvalidEndpoint.ClosedEndpoint", Expected::Unusable),
        (400, "InputTextSensitiveContentDetected", blocked),
        (400, "InputImageSensitiveContentDetected.PrivacyInformation", blocked),
        (400, "SensitiveContentDetected.Violence", blocked),
        (400, "InputTextRiskDetection", blocked),
        (400, "InputImageRiskDetection", blocked),
        (500, "InternalServiceError", Expected::Unknown),
    ];
    let case = |(status, name, expected)| ErrorCase {
        name,
        fault: Fault::Answer { status, headers: Vec::new(), body: error(name) },
        expected,
    };
    let mut cases: Vec<ErrorCase> = table.into_iter().map(case).collect();
    let ends = [
        ("task blocked", json!({"code": "OutputVideoSensitiveContentDetected"}), blocked),
        ("task failed", json!({"code": "InternalServiceError"}), failed),
        ("task expired", json!({"status": "expired"}), failed),
    ];
    cases.extend(ends.map(|(name, end, expected)| ErrorCase { name, fault: Fault::End(end), expected }));
    cases
}
