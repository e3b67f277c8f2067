//! Alibaba's DashScope: pictures at once, clips as tasks, the list of tasks, cancel.
//!
//! Invariant: shapes and codes are those of its Python package 2.0.2 and of Model Studio's pages. Time stands
//! still: tasks are a millisecond apart. Not here: faults, uploads.

use crate::{ErrorCase, Expected, Fault, Job, World, control::Made, media};
use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

/// Behind the host.
pub(crate) const BASE_PATH: &str = "/api/v1";
const BEGIN_MS: u64 = 1_770_000_000_000;

/// Calls that make pictures and tasks.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    method == "POST" && path.starts_with("/api/v1/services/")
}

pub(crate) fn router(world: World) -> Router {
    Router::new()
        .route("/api/v1/services/aigc/multimodal-generation/generation", post(picture))
        .route("/api/v1/services/aigc/video-generation/video-synthesis", post(clip))
        .route("/api/v1/tasks", get(list))
        .route("/api/v1/tasks/", get(list))
        .route("/api/v1/tasks/{id}", get(task))
        .route("/api/v1/tasks/{id}/cancel", post(cancel))
        .with_state(world)
}

fn no_key(headers: &HeaderMap) -> Option<Response> {
    let key = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let missing = key.strip_prefix("Bearer ").is_none_or(|key| key.trim().is_empty());
    missing.then(|| refused(StatusCode::UNAUTHORIZED, "InvalidApiKey", "No API-key provided."))
}

fn body_of(code: &str, message: &str) -> Value {
    json!({"code": code, "message": message, "request_id": "req-0"})
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(body_of(code, message))).into_response()
}

fn invalid(message: &str) -> Response {
    refused(StatusCode::BAD_REQUEST, "InvalidParameter", message)
}

fn pixels(size: &str) -> Option<(u32, u32)> {
    let (width, height) = size.split_once('*')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

fn known(parameters: &Value, names: &[&str]) -> bool {
    parameters.as_object().is_none_or(|all| all.keys().all(|name| names.contains(&name.as_str())))
}

async fn picture(State(world): State<World>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    let (parameters, model) = (&body["parameters"], body["model"].as_str().unwrap_or_default());
    let content = body["input"]["messages"][0]["content"].as_array().cloned().unwrap_or_default();
    let names = ["size", "n", "negative_prompt", "prompt_extend", "watermark", "seed"];
    let texts = content.iter().filter(|part| part["text"].is_string()).count();
    let images = content.iter().filter(|part| part["image"].is_string()).count();
    let edits = model.contains("edit");
    if texts != 1 || !known(parameters, &names) || edits != (images > 0) || images > 3 {
        return invalid("url error, please check url!");
    }
    if !parameters["n"].is_null() && (parameters["n"] != 1 || model.starts_with("z-image")) {
        return invalid("num_images_per_prompt must be 1");
    }
    let Some((width, height)) = pixels(parameters["size"].as_str().unwrap_or("1328*1328")) else {
        return invalid("the size does not match");
    };
    let fixed = ["1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664"];
    let plain = !edits && model.starts_with("qwen-image");
    if plain && !fixed.contains(&format!("{width}*{height}").as_str()) {
        return invalid("the size does not match");
    }
    let number = world.number();
    let job = world.make(Job {
        id: format!("img-{number}"),
        model: model.to_owned(),
        input: body.clone(),
        ..Job::default()
    });
    let url = world.file(&format!("img-{number}.png"), media::picture(width, height));
    let message = json!({"role": "assistant", "content": [{"image": url}]});
    let answer = json!({
        "request_id": format!("req-{number}"),
        "output": {"choices": [{"finish_reason": "stop", "message": message}]},
        "usage": {"image_count": 1, "width": width, "height": height},
    });
    (Extension(Made(vec![job.id])), Json(answer)).into_response()
}

async fn clip(State(world): State<World>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    let (input, parameters) = (&body["input"], &body["parameters"]);
    let model = body["model"].as_str().unwrap_or_default();
    let names =
        ["size", "resolution", "duration", "prompt_extend", "shot_type", "watermark", "seed", "audio"];
    let resolution = parameters["resolution"].as_str().unwrap_or("1080P");
    let from_picture = input["img_url"].is_string();
    if headers.get("x-dashscope-async").is_none() {
        return refused(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "current user api does not support synchronous calls.",
        );
    }
    let length = &parameters["duration"];
    if !known(parameters, &names)
        || from_picture != model.contains("i2v")
        || !["720P", "1080P"].contains(&resolution)
        || !(length.is_null() || length.as_u64().is_some_and(|length| (2..=15).contains(&length)))
    {
        return invalid("parameters are not right");
    }
    let size = if from_picture { "1280*720" } else { parameters["size"].as_str().unwrap_or("1920*1080") };
    let Some((width, height)) = pixels(size) else { return invalid("the size does not match") };
    let number = world.number();
    let job = world.make(Job {
        id: format!("task-{number}"),
        model: model.to_owned(),
        input: json!({"body": body, "created": BEGIN_MS + number}),
        ..Job::default()
    });
    let small = media::clip(width / 16 * 2, height / 16 * 2, 500);
    let url = world.file(&format!("task-{number}.mp4"), small);
    world.change(&job.id, |job| job.files = vec![url]);
    let output = json!({"task_id": job.id, "task_status": "PENDING"});
    let answer = json!({"request_id": format!("req-{number}"), "output": output});
    (Extension(Made(vec![job.id])), Json(answer)).into_response()
}

async fn task(State(world): State<World>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    let Some((job, done)) = world.ask(&id) else {
        let output = json!({"task_id": id, "task_status": "UNKNOWN"});
        return Json(json!({"request_id": "req-0", "output": output})).into_response();
    };
    let mut output = json!({"task_id": id, "submit_time": "2026-02-02 10:40:00.000"});
    let mut answer = json!({"request_id": "req-0"});
    if job.canceled {
        output["task_status"] = json!("CANCELED");
    } else if !done {
        output["task_status"] = json!("RUNNING");
    } else if let Some(failure) = &job.failure {
        output["task_status"] = json!("FAILED");
        output["code"] = failure["code"].clone();
        output["message"] = failure["message"].clone();
    } else {
        let asked = &job.input["body"];
        output["task_status"] = json!("SUCCEEDED");
        output["orig_prompt"] = asked["input"]["prompt"].clone();
        output["video_url"] = json!(job.files.first());
        answer["usage"] = json!({"duration": asked["parameters"]["duration"], "video_count": 1,
            "size": asked["parameters"]["size"].as_str().unwrap_or("1280*720")});
    }
    answer["output"] = output;
    Json(answer).into_response()
}

async fn list(State(world): State<World>, headers: HeaderMap) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    let tasks = world.jobs().into_iter().rev().filter(|job| job.id.starts_with("task-"));
    let data: Vec<Value> = tasks
        .map(|job| {
            json!({"task_id": job.id, "model_name": job.model, "status": "RUNNING",
                "gmt_create": job.input["created"], "region": "cn-beijing", "request_id": "req-0"})
        })
        .collect();
    let total = data.len();
    Json(json!({"request_id": "req-0", "data": data, "total": total, "total_page": 1, "page_no": 1,
        "page_size": 50}))
    .into_response()
}

async fn cancel(State(world): State<World>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(response) = no_key(&headers) {
        return response;
    }
    // Waiting is what a task does until it was asked for.
    let canceled = world.change(&id, |job| {
        job.canceled = job.polls_left > 0;
        job.canceled
    });
    if canceled == Some(true) {
        return Json(json!({"request_id": "req-0"})).into_response();
    }
    let message = "Failed to cancel the task, please confirm if the task is in PENDING status.";
    refused(StatusCode::BAD_REQUEST, "UnsupportedOperation", message)
}

/// Its list of error codes.
pub(crate) fn errors() -> Vec<ErrorCase> {
    let blocked = Expected::Refused("content_rejected");
    let picture = Expected::Refused("input_rejected");
    let failed = Expected::Refused("provider_failed");
    let table = [
        ("bad key", 401, "InvalidApiKey", Expected::Unusable),
        ("permission", 403, "AccessDenied", Expected::Unusable),
        ("not bought", 403, "AccessDenied.Unpurchased", Expected::Unusable),
        ("rate", 429, "Throttling", Expected::NotNow),
        ("rate of calls", 429, "Throttling.RateQuota", Expected::NotNow),
        ("rate of use", 429, "Throttling.AllocationQuota", Expected::NotNow),
        ("moderation", 400, "DataInspectionFailed", blocked),
        ("moderation, other style", 400, "data_inspection_failed", blocked),
        ("unreadable picture", 400, "InvalidParameter.DataInspection", picture),
        ("picture's URL", 400, "InvalidURL", picture),
        ("invalid", 400, "InvalidParameter", failed),
        ("empty", 400, "BadRequest.EmptyInput", failed),
        ("unsupported", 400, "UnsupportedOperation", failed),
        ("unknown model", 404, "ModelNotFound", Expected::Unusable),
        ("old unknown model", 400, "Model.NotExist", Expected::Unusable),
        ("too big", 413, "BadRequest.TooLarge", failed),
        ("empty purse", 400, "Arrearage", Expected::Unusable),
        ("late", 408, "RequestTimeOut", Expected::Unknown),
        ("late gateway", 504, "GatewayTimeout", Expected::Unknown),
        ("internal", 500, "InternalError", Expected::Unknown),
        ("internal algorithm", 500, "InternalError.Algo", Expected::Unknown),
        ("unavailable", 503, "ServiceUnavailable", Expected::Unknown),
        ("moderation in a success", 200, "DataInspectionFailed", blocked),
        ("internal in a success", 200, "InternalError", Expected::Unknown),
    ];
    let case = |(name, status, code, expected)| ErrorCase {
        name,
        fault: Fault::Answer { status, headers: Vec::new(), body: body_of(code, "No.") },
        expected,
    };
    let mut cases: Vec<ErrorCase> = table.into_iter().map(case).collect();
    let ends =
        [("task blocked", "DataInspectionFailed", blocked), ("task failed", "InternalError.Algo", failed)];
    cases.extend(ends.map(|(name, code, expected)| ErrorCase {
        name,
        fault: Fault::End(json!({"code": code, "message": "No."})),
        expected,
    }));
    cases
}
