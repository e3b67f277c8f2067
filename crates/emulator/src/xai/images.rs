//! Pictures from a prompt and from pictures.
//!
//! Invariant: one answer with all of them. A `2k` picture is delivered with the pixels of `1k`: larger ones
//! take too long to make. Not here: clips.

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
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// The newest one is the only one with `quality`.
const MODELS: [&str; 3] = ["grok-imagine-image-2.0", "grok-imagine-image-quality", "grok-imagine-image"];
const RATIOS: [&str; 14] = [
    "auto", "1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:19.5", "19.5:9", "9:20", "20:9", "1:2",
    "2:1",
];
const SOURCES_MAX: usize = 3;
/// Two US cents.
const PICTURE_TICKS: u64 = 200_000_000;
const PIXELS: u32 = 1 << 20;

const FIELDS: [(&str, Kind); 9] = [
    ("model", Kind::Text),
    ("prompt", Kind::Text),
    ("n", Kind::Whole(1, 10)),
    ("aspect_ratio", Kind::Word(&RATIOS)),
    ("resolution", Kind::Word(&["1k", "2k"])),
    ("quality", Kind::Word(&["low", "medium"])),
    ("response_format", Kind::Word(&["url", "b64_json"])),
    ("user", Kind::Text),
    ("storage_options", Kind::Object),
];

pub(super) async fn generations(State(world): State<World>, body: Bytes) -> Response {
    let body = match read(&body) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    if let Some(wrong) = wrong(&body, &FIELDS) {
        return misfit(&wrong);
    }
    pictures(&world, body, None)
}

pub(super) async fn edits(State(world): State<World>, body: Bytes) -> Response {
    let body = match read(&body) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let mut known = FIELDS.to_vec();
    known.extend([("image", Kind::Object), ("images", Kind::List(SOURCES_MAX))]);
    if let Some(wrong) = wrong(&body, &known) {
        return misfit(&wrong);
    }
    let sources: Vec<&Value> = match (body.get("image"), body.get("images").and_then(Value::as_array)) {
        (Some(image), None) => vec![image],
        (None, Some(images)) => images.iter().collect(),
        _ => return invalid("Exactly one of image and images must be given."),
    };
    let sides: Option<Vec<(u32, u32)>> = sources.into_iter().map(source).collect();
    let Some(sides) = sides else { return invalid("Unsupported image: it must be PNG, JPEG or WebP.") };
    // One picture keeps its shape whatever is asked.
    let shape = if sides.len() == 1 { sides.first().copied() } else { None };
    pictures(&world, body, shape)
}

fn pictures(world: &World, body: Value, shape: Option<(u32, u32)>) -> Response {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    if !MODELS.contains(&model.as_str()) {
        return no_model(&model);
    }
    if body["prompt"].as_str().is_none_or(str::is_empty) {
        return invalid("A prompt is required.");
    }
    if body.get("quality").is_some() && model != "grok-imagine-image-2.0" {
        return invalid("Argument not supported: quality");
    }
    let count = body["n"].as_u64().unwrap_or(1);
    let usage = json!({"cost_in_usd_ticks": PICTURE_TICKS * count});
    let asked = body["aspect_ratio"].as_str().and_then(ratio);
    let shape = shape.filter(|(wide, _)| *wide > 0).or(asked).unwrap_or((1, 1));
    let is_url = body["response_format"].as_str() != Some("b64_json");
    let id = format!("imagine-{}", world.number());
    let job = world.make(Job { id: id.clone(), model: model.clone(), input: body, ..Job::default() });
    let made = Extension(Made(vec![id.clone()]));
    if let Some(failure) = job.failure {
        return (made, blocked(&failure, count, &usage)).into_response();
    }
    let bytes = media::picture(pixels(shape).0, pixels(shape).1);
    let one = |index: u64| {
        let (url, base64) = if is_url {
            (json!(world.file(&format!("{id}-{index}.png"), bytes.clone())), Value::Null)
        } else {
            (Value::Null, json!(BASE64.encode(&bytes)))
        };
        json!({"url": url, "b64_json": base64, "revised_prompt": null, "respect_moderation": true})
    };
    let data: Vec<Value> = (0..count).map(one).collect();
    (made, Json(json!({"data": data, "model": model, "usage": usage}))).into_response()
}

/// A failure in a clip's words, in those of pictures: held back, and billed all the same, or refused.
fn blocked(failure: &Value, count: u64, usage: &Value) -> Response {
    if failure["video"]["respect_moderation"] == false {
        let one = json!({"url": null, "b64_json": null, "respect_moderation": false});
        let data = vec![one; usize::try_from(count).unwrap_or(1)];
        return Json(json!({"data": data, "usage": usage})).into_response();
    }
    if failure["data"].is_array() {
        return Json(json!({"data": failure["data"], "usage": usage})).into_response();
    }
    if failure["code"].is_string() {
        let mut body = failure.clone();
        body["usage"] = usage.clone();
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    let code = failure["error"]["code"].as_str().unwrap_or("internal_error").replace('_', "-");
    refused(StatusCode::BAD_REQUEST, &code, failure["error"]["message"].as_str().unwrap_or("It failed."))
}

/// About a megapixel of that shape.
fn pixels((wide, high): (u32, u32)) -> (u32, u32) {
    let side = |of: u32, other: u32| {
        let square = u64::from(PIXELS) * u64::from(of) / u64::from(other.max(1));
        u32::try_from(square.isqrt()).unwrap_or(16) / 16 * 16
    };
    (side(wide, high).max(16), side(high, wide).max(16))
}
