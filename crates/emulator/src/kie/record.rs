//! How far a task is, in the words of each API.
//!
//! Invariant: JSON stands in strings where kie does so. Not here: callbacks.
//!
//! Source: docs.kie.ai/market/common/get-task-detail, veo3-api, 4o-image-api, suno-api.

use super::{Api, fine, refused};
use crate::{Job, World};
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const MADE_MS: i64 = 1_770_000_000_000;
const DONE_MS: i64 = 1_770_000_020_000;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    Done,
}

/// The answer to a look-up.
pub(super) fn answer(world: &World, api: Api, id: Option<&str>) -> Response {
    let Some(id) = id.filter(|id| !id.is_empty()) else { return refused(400, "taskId is required") };
    match world.ask(id).filter(|_| id.starts_with(api.prefix())) {
        Some((job, done)) => fine(&data(api, &job, if done { Stage::Done } else { Stage::Running })),
        None => refused(422, "recordInfo is null"),
    }
}

/// A finished clip of Veo's, larger.
pub(super) async fn upgraded(
    State(world): State<World>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    match query.get("taskId").and_then(|id| world.job(id)) {
        Some(job) if job.polls_left == 0 => fine(&json!({"resultUrl": job.files.first()})),
        Some(_) => refused(400, "1080P is processing. It should be ready in 1-2 minutes."),
        None => refused(422, "record is null"),
    }
}

pub(super) fn data(api: Api, job: &Job, stage: Stage) -> Value {
    match api {
        Api::Market => market(job, stage),
        Api::Veo => veo(job, stage),
        Api::FourO => four_o(job, stage),
        Api::Suno => suno(job, stage),
    }
}

/// The record with those of its fields that the failure names.
fn with(mut record: Value, job: &Job, stage: Stage) -> Value {
    let failure = job.failure.as_ref().filter(|_| stage == Stage::Done).and_then(Value::as_object);
    let known: Map<String, Value> = failure
        .into_iter()
        .flatten()
        .filter(|(key, _)| record.get(key.as_str()).is_some())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(record) = record.as_object_mut() {
        record.extend(known);
    }
    record
}

fn market(job: &Job, stage: Stage) -> Value {
    let done = stage == Stage::Done;
    let failed = job.failure.is_some();
    let result = json!({"resultUrls": job.files}).to_string();
    let record = json!({
        "taskId": job.id, "model": job.model, "param": job.input.to_string(),
        "state": if done { "success" } else if job.polls_left > 1 { "queuing" } else { "generating" },
        "resultJson": if done && !failed { result } else { String::new() },
        "failCode": null, "failMsg": null,
        "costTime": done.then_some(DONE_MS - MADE_MS), "createTime": MADE_MS, "updateTime": DONE_MS,
        "completeTime": done.then_some(DONE_MS),
    });
    with(record, job, stage)
}

fn veo(job: &Job, stage: Stage) -> Value {
    let whole = stage == Stage::Done && job.failure.is_none();
    let response = json!({"taskId": job.id, "resultUrls": job.files, "originUrls": null,
        "resolution": job.input["resolution"].as_str().unwrap_or("720p")});
    let record = json!({
        "taskId": job.id, "paramJson": job.input.to_string(), "createTime": "2026-02-02 02:40:00",
        "completeTime": whole.then_some("2026-02-02 02:40:20"), "successFlag": u8::from(stage == Stage::Done),
        "response": whole.then_some(response), "errorCode": null, "errorMessage": null, "fallbackFlag": false,
    });
    with(record, job, stage)
}

fn four_o(job: &Job, stage: Stage) -> Value {
    let done = stage == Stage::Done;
    let status = match (done, job.failure.is_some()) {
        (false, _) => "GENERATING",
        (true, false) => "SUCCESS",
        (true, true) => "GENERATE_FAILED",
    };
    let mut record = json!({
        "taskId": job.id, "paramJson": job.input.to_string(), "createTime": MADE_MS,
        "completeTime": done.then_some(DONE_MS), "successFlag": u8::from(done),
        "progress": if done { "1.00" } else { "0.40" },
        "response": (status == "SUCCESS").then(|| json!({"resultUrls": job.files})),
        "errorCode": null, "errorMessage": null,
    });
    record = with(record, job, stage);
    record["status"] = json!(status);
    record
}

fn suno(job: &Job, stage: Stage) -> Value {
    let done = stage == Stage::Done;
    let only_callback = job.failure.as_ref().is_none_or(|failure| failure["status"] == "CALLBACK_EXCEPTION");
    let shown = if done && only_callback { job.files.len() } else { 0 };
    let track = |(index, url): (usize, &String)| {
        json!({
            "id": format!("{}-{index}", job.id), "audioUrl": url, "streamAudioUrl": url,
            "imageUrl": format!("{url}.jpeg"), "prompt": job.input["prompt"], "modelName": "chirp",
            "title": "A stand-in", "tags": "calm", "createTime": "2026-02-02 02:40:20", "duration": 2.0,
        })
    };
    let tracks: Vec<Value> = job.files.iter().take(shown).enumerate().map(track).collect();
    let record = json!({
        "taskId": job.id, "parentMusicId": "", "param": job.input.to_string(),
        "status": if done { "SUCCESS" } else if job.polls_left > 1 { "PENDING" } else { "TEXT_SUCCESS" },
        "type": "chirp", "operationType": "generate", "errorCode": null, "errorMessage": null,
        "response": {"taskId": job.id, "sunoData": tracks},
    });
    with(record, job, stage)
}
