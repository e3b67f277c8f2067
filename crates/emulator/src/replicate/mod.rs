//! Replicate's predictions: made, asked for, listed, canceled, and told of by signed callbacks.
//!
//! Invariant: shapes are those of PyPI `replicate` 1.0.7 and 2.0.0b4 and npm `replicate` 1.4.0. Not here:
//! faults, deployments, trainings, the files API.

mod errors;
mod schema;
mod sign;

pub(crate) use errors::errors;

use crate::{Job, World, control::Made, media, shape};
use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Behind the host.
pub(crate) const BASE_PATH: &str = "/v1";

/// The least that is left while a prediction waits for its machine.
const WAITING_FROM: u32 = 2;
const PAGE: usize = 100;
const PICTURE_SIDE: u32 = 1024;
const CLIP_MS: u32 = 500;

/// Calls that make a prediction.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    method == "POST" && path.ends_with("/predictions")
}

pub(crate) fn router(world: World) -> Router {
    Router::new()
        .route("/v1/predictions", post(create).get(list))
        .route("/v1/models/{owner}/{name}/predictions", post(create_official))
        .route("/v1/predictions/{id}", get(ask))
        .route("/v1/predictions/{id}/cancel", post(cancel))
        .route("/v1/webhooks/default/secret", get(secret))
        .with_state(world)
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    let body = json!({"title": title, "detail": detail, "status": status.as_u16()});
    (status, Json(body)).into_response()
}

/// The answer to a call without a token.
fn keyless(headers: &HeaderMap) -> Option<Response> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Token "));
    let has_token = token.is_some_and(|token| !token.trim().is_empty());
    let detail = "You did not pass an authentication token";
    (!has_token).then(|| problem(StatusCode::UNAUTHORIZED, "Unauthenticated", detail))
}

async fn secret(headers: HeaderMap) -> Response {
    keyless(&headers).unwrap_or_else(|| Json(json!({"key": sign::SECRET})).into_response())
}

async fn create(State(world): State<World>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let Some(version) = body["version"].as_str().map(str::to_owned) else {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Input validation failed",
            "- version is required\n",
        );
    };
    make(&world, &headers, &version, &body)
}

async fn create_official(
    State(world): State<World>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    make(&world, &headers, &format!("{owner}/{name}"), &body)
}

fn make(world: &World, headers: &HeaderMap, version: &str, body: &Value) -> Response {
    if let Some(answer) = keyless(headers) {
        return answer;
    }
    let (model, hash) = version.split_once(':').unwrap_or((version, "hidden"));
    if !schema::is_known(model) {
        let detail = "The specified version does not exist (or perhaps you don't have permission to use it?)";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Invalid version or not permitted", detail);
    }
    if let Some(wrong) = schema::problem(model, &body["input"]).or_else(|| wrong_envelope(body, headers)) {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Input validation failed", &wrong);
    }
    let number = world.number();
    let id = format!("p{number:025}");
    let output = output(world, &id, model, &body["input"]);
    let record = json!({"input": body["input"], "output": output, "version": hash,
        "created_ms": world.now_ms()});
    let job = world.make(Job {
        id,
        model: model.to_owned(),
        input: record,
        callback_url: body["webhook"].as_str().map(str::to_owned),
        ..Job::default()
    });
    sign::tell(world, &job);
    let shown = shown(world, &job, false);
    (StatusCode::CREATED, Extension(Made(vec![job.id])), Json(shown)).into_response()
}

/// What is wrong around the input.
fn wrong_envelope(body: &Value, headers: &HeaderMap) -> Option<String> {
    let known = ["version", "input", "webhook", "webhook_events_filter", "stream"];
    let mut fields = body.as_object().into_iter().flatten();
    if let Some((name, _)) = fields.find(|(name, _)| !known.contains(&name.as_str())) {
        return Some(format!("- {name} is not allowed\n"));
    }
    let all = ["start", "output", "logs", "completed"];
    let events = body["webhook_events_filter"].as_array().into_iter().flatten();
    if !events.into_iter().all(|event| event.as_str().is_some_and(|event| all.contains(&event))) {
        return Some("- webhook_events_filter must be start, output, logs or completed\n".to_owned());
    }
    let after = headers.get("cancel-after").map(|value| value.to_str().unwrap_or_default());
    let right = |text: &str| {
        let number = text.strip_suffix(['s', 'm', 'h']).unwrap_or_default();
        number.parse::<u32>().is_ok_and(|number| number > 0)
    };
    let wrong = after.is_some_and(|text| !right(text));
    wrong.then(|| "- Cancel-After must be a duration\n".to_owned())
}

/// One URL, as the models that are known here have it.
fn output(world: &World, id: &str, model: &str, input: &Value) -> Value {
    let ratio = input["aspect_ratio"].as_str().unwrap_or("16:9");
    if schema::is_video(model) {
        let (width, height) = shape::clip(ratio).or_else(|| shape::clip("16:9")).unwrap_or_default();
        return json!(world.file(&format!("replicate/{id}.mp4"), media::clip(width, height, CLIP_MS)));
    }
    let side = |name: &str| input[name].as_u64().and_then(|side| u32::try_from(side).ok());
    let named = side("width").zip(side("height"));
    let shaped = named.or_else(|| shape::pixels(ratio, PICTURE_SIDE));
    let (width, height) = shaped.unwrap_or((PICTURE_SIDE, PICTURE_SIDE));
    json!(world.file(&format!("replicate/{id}.png"), media::picture(width, height)))
}

/// The prediction object.
fn shown(world: &World, job: &Job, done: bool) -> Value {
    let failed = done && job.failure.is_some();
    let status = match (job.canceled, done, failed) {
        (true, ..) => "canceled",
        (_, true, true) => job.failure.as_ref().and_then(|end| end["status"].as_str()).unwrap_or("failed"),
        (_, true, false) => "succeeded",
        _ if job.matched && job.polls_left < WAITING_FROM => "processing",
        _ => "starting",
    };
    let created_ms = job.input["created_ms"].as_i64().unwrap_or_default();
    let at = |is: bool, later_ms: i64| is.then(|| rfc3339(created_ms + later_ms));
    let ran = if job.canceled { job.input["ran"] == true } else { status != "starting" };
    let (began, ended) = (ran, done || job.canceled);
    let output = if status == "succeeded" { job.input["output"].clone() } else { Value::Null };
    let error = job.failure.as_ref().filter(|_| failed).map_or(&Value::Null, |end| &end["error"]);
    let url = format!("{}/v1/predictions/{}", world.origin(), job.id);
    let logs = if began { "Using seed\n 45%|####      | 9/20 [00:01<00:01]\n" } else { "" };
    json!({
        "id": job.id, "model": job.model, "version": job.input["version"], "status": status,
        "input": job.input["input"], "output": output, "error": error, "logs": logs, "data_removed": false,
        "metrics": if ended { json!({"predict_time": 1.5, "total_time": 2.0}) } else { json!({}) },
        "created_at": at(true, 0), "started_at": at(began, 100), "completed_at": at(ended, 2000),
        "source": "api", "urls": {"get": url, "cancel": format!("{url}/cancel"),
            "web": format!("https://replicate.com/p/{}", job.id)},
    })
}

async fn ask(State(world): State<World>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if let Some(answer) = keyless(&headers) {
        return answer;
    }
    match world.ask(&id) {
        Some((job, done)) => Json(shown(&world, &job, done)).into_response(),
        None => unknown(),
    }
}

fn unknown() -> Response {
    problem(StatusCode::NOT_FOUND, "Not found", "The requested resource could not be found.")
}

async fn list(
    State(world): State<World>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(answer) = keyless(&headers) {
        return answer;
    }
    let from: usize = query.get("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let jobs = world.jobs();
    let results: Vec<Value> = jobs
        .iter()
        .rev()
        .skip(from)
        .take(PAGE)
        .map(|job| shown(&world, job, job.polls_left == 0 && job.matched))
        .collect();
    let url = |cursor: usize| format!("{}/v1/predictions?cursor={cursor}", world.origin());
    let next = (from + PAGE < jobs.len()).then(|| url(from + PAGE));
    let previous = (from > 0).then(|| url(from.saturating_sub(PAGE)));
    Json(json!({"previous": previous, "next": next, "results": results})).into_response()
}

/// One that waits has not begun, and is free; one that runs is stopped, and billed; a finished one stays.
async fn cancel(State(world): State<World>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if let Some(answer) = keyless(&headers) {
        return answer;
    }
    let Some(job) = world.job(&id) else { return unknown() };
    if job.polls_left > 0 {
        world.change(&id, |job| {
            job.canceled = true;
            job.input["ran"] = json!(job.polls_left < WAITING_FROM);
            job.polls_left = 0;
        });
    }
    let job = world.job(&id).unwrap_or(job);
    Json(shown(&world, &job, job.polls_left == 0)).into_response()
}

/// With microseconds, as there.
fn rfc3339(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    let day = format!("{:04}-{month:02}-{date:02}", era * 400 + year);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}.{:03}000Z", of_day % 1000)
}
