//! kie.ai: market jobs, Veo, 4o pictures and Suno, each made by one call and looked up by its id.
//!
//! Invariant: as documented, refusals stand in the `code` of the body while the status is 200, but for the
//! key. Not here: faults, fields (`fields`), records (`record`), the uploads, which have a host of their own.

mod callback;
mod errors;
mod fields;
mod market;
mod record;

pub(crate) use errors::errors;

use crate::{Job, World, control::Made, media};
use axum::{
    Extension, Json, Router,
    extract::{Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fields::{Field, Rule, check};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Behind the host.
pub(crate) const BASE_PATH: &str = "";
/// What stands in the place of a website's key for callbacks.
const WEBHOOK_KEY: &str = "test-webhook-key";
/// The length of its clips and songs; real ones would take seconds to make.
const CLIP_MS: u32 = 500;
const SONG_MS: u32 = 2_000;

const MARKET: &str = "/api/v1/jobs/createTask";
const VEO: &str = "/api/v1/veo/generate";
const FOUR_O: &str = "/api/v1/gpt4o-image/generate";
const SUNO: &str = "/api/v1/generate";

/// One of its APIs; a task of one is not known to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    Market,
    Veo,
    FourO,
    Suno,
}

impl Api {
    /// What its ids begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Market => "task_market_",
            Self::Veo => "veo_task_",
            Self::FourO => "task12345_",
            Self::Suno => "suno_",
        }
    }
}

/// Calls that may make something that is billed.
pub(crate) fn submits(method: &str, path: &str) -> bool {
    method == "POST" && [MARKET, VEO, FOUR_O, SUNO].contains(&path)
}

pub(crate) fn router(world: World) -> Router {
    let look_up = |api: Api| {
        get(move |State(world): State<World>, Query(query): Query<BTreeMap<String, String>>| async move {
            record::answer(&world, api, query.get("taskId").map(String::as_str))
        })
    };
    Router::new()
        .route(MARKET, post(create_task))
        .route(VEO, post(veo))
        .route(FOUR_O, post(four_o))
        .route(SUNO, post(suno))
        .route("/api/v1/jobs/recordInfo", look_up(Api::Market))
        .route("/api/v1/veo/record-info", look_up(Api::Veo))
        .route("/api/v1/gpt4o-image/record-info", look_up(Api::FourO))
        .route("/api/v1/generate/record-info", look_up(Api::Suno))
        .route("/api/v1/veo/get-1080p-video", get(record::upgraded))
        .route("/api/v1/common/download-url", post(direct))
        .route("/api/v1/gpt4o-image/download-url", post(direct))
        .route("/api/v1/chat/credit", get(|| async { fine(&json!(1000)) }))
        .layer(middleware::from_fn(key))
        .with_state(world)
}

/// 401 without a key.
async fn key(request: Request, next: Next) -> Response {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if key.trim().is_empty() {
        let text = "You do not have access permissions";
        return (StatusCode::UNAUTHORIZED, Json(json!({"code": 401, "msg": text, "data": null})))
            .into_response();
    }
    next.run(request).await
}

fn fine(data: &Value) -> Response {
    Json(json!({"code": 200, "msg": "success", "data": data})).into_response()
}

fn refused(code: u16, text: &str) -> Response {
    Json(json!({"code": code, "msg": text, "data": null})).into_response()
}

async fn direct(Json(body): Json<Value>) -> Response {
    match body["url"].as_str() {
        Some(url) => fine(&json!(url)),
        None => refused(422, "url is required"),
    }
}

async fn create_task(State(world): State<World>, Json(body): Json<Value>) -> Response {
    let Some(model) = market::model(body["model"].as_str().unwrap_or_default()) else {
        return refused(422, "The model name you specified is not supported.");
    };
    let outer = [
        Field::needed("model", Rule::Text(100)),
        Field::needed("input", Rule::Table),
        Field::may("callBackUrl", Rule::Url),
    ];
    if let Err(problem) = check(&body, &outer).and_then(|()| check(&body["input"], model.fields)) {
        return refused(422, &problem);
    }
    let files = market::files(&world, model, &body["input"]);
    made(&world, Api::Market, body, files)
}

async fn veo(State(world): State<World>, Json(body): Json<Value>) -> Response {
    if let Err(problem) = check(&body, &fields::VEO) {
        return refused(422, &problem);
    }
    let pictures = body["imageUrls"].as_array().map_or(0, Vec::len);
    let fits = match body["generationType"].as_str() {
        Some("TEXT_2_VIDEO") => pictures == 0,
        Some("FIRST_AND_LAST_FRAMES_2_VIDEO") => (1..=2).contains(&pictures),
        Some(_) => (1..=3).contains(&pictures) && body["model"] != "veo3",
        None => true,
    };
    if !fits {
        return refused(422, "imageUrls does not fit generationType");
    }
    let (width, height) = market::shape(body["aspect_ratio"].as_str().unwrap_or("16:9"), market::CLIP_SIDE);
    let file = world.file(&format!("veo-{}.mp4", world.number()), media::clip(width, height, CLIP_MS));
    made(&world, Api::Veo, body, vec![file])
}

async fn four_o(State(world): State<World>, Json(body): Json<Value>) -> Response {
    if let Err(problem) = check(&body, &fields::FOUR_O) {
        return refused(422, &problem);
    }
    if body["prompt"].is_null() && body["filesUrl"].is_null() {
        return refused(422, "prompt or filesUrl is required");
    }
    let (width, height) = market::shape(body["size"].as_str().unwrap_or_default(), market::PICTURE_SIDE);
    let file = world.file(&format!("4o-{}.png", world.number()), media::picture(width, height));
    made(&world, Api::FourO, body, vec![file])
}

async fn suno(State(world): State<World>, Json(body): Json<Value>) -> Response {
    if let Err(problem) = check(&body, &fields::SUNO) {
        return refused(422, &problem);
    }
    let custom = body["customMode"] == true;
    let letters = |key: &str| body[key].as_str().map_or(0, |text| text.chars().count());
    let most = if custom && body["model"] != "V4" { 5000 } else { 3000 };
    if letters("prompt") > most {
        return refused(422, "prompt is too long");
    }
    if custom && (letters("style") == 0 || letters("title") == 0) {
        return refused(422, "style and title are required in custom mode");
    }
    let sized = custom && body["model"] == "V5_5";
    if !sized && !body["duration"].is_null() {
        return refused(422, "duration is only for V5_5 in custom mode");
    }
    let number = world.number();
    let file = |track| world.file(&format!("song-{number}-{track}.flac"), media::song(SONG_MS));
    let files = vec![file(1), file(2)];
    made(&world, Api::Suno, body, files)
}

/// Keeps the task, and says its id.
fn made(world: &World, api: Api, body: Value, files: Vec<String>) -> Response {
    let job = world.make(Job {
        id: format!("{}{}", api.prefix(), world.number()),
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        callback_url: body["callBackUrl"].as_str().map(str::to_owned),
        input: body,
        files,
        ..Job::default()
    });
    callback::send(world, api, &job);
    (Extension(Made(vec![job.id.clone()])), fine(&json!({"taskId": job.id}))).into_response()
}
