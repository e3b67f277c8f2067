//! Pictures from a prompt and from pictures.
//!
//! Invariant: a size that the model does not take is refused; a picture of more than two megapixels is
//! delivered smaller, as larger ones take too long to make. Not here: clips.

use super::{
    form::{self, File, Form},
    invalid, misfit, no_model, repeat,
};
use crate::{
    Job, World,
    control::Made,
    fields::{Kind, wrong},
    media,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use rynjer_sandbox::{Picture, PictureFormat};
use serde_json::{Value, json};

/// Models with three sizes; they go on 2026-12-01.
const FIXED: [&str; 4] =
    ["gpt-image-1.5", "gpt-image-1.5-2025-12-16", "gpt-image-1-mini", "chatgpt-image-latest"];
/// Models with free sizes.
const FREE: [&str; 8] = [
    "gpt-image-2",
    "gpt-image-2-2026-04-21",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.5-sunburst-2026-09-08",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-flare-2026-09-08",
    "gpt-image-2.6-sunburst",
    "gpt-image-2.6-flare",
];
const SIZES: [&str; 3] = ["1024x1024", "1536x1024", "1024x1536"];
const SIDE_MAX: u32 = 3840;
const AREA: std::ops::RangeInclusive<u32> = 655_360..=8_294_400;
const STRETCH_MAX: u32 = 3;
const STEP: u32 = 16;
const PROMPT_LETTERS_MAX: usize = 32_000;
const IDENTIFIER_LETTERS_MAX: usize = 128;
const PICTURES_MAX: usize = 16;
const PICTURE_BYTES_MAX: usize = 50 << 20;
const MASK_BYTES_MAX: usize = 4 << 20;
const DELIVERED_PIXELS_MAX: u32 = 2 << 20;
/// Where a test wants small ones.
const SMALL: (u32, u32) = (16, 16);

const FIELDS: [(&str, Kind); 12] = [
    ("model", Kind::Text),
    ("prompt", Kind::Text),
    ("n", Kind::Whole(1, 10)),
    ("size", Kind::Text),
    ("quality", Kind::Word(&["auto", "low", "medium", "high", "xhigh", "max"])),
    ("background", Kind::Word(&["auto", "opaque", "transparent"])),
    ("output_format", Kind::Word(&["png", "jpeg", "webp"])),
    ("output_compression", Kind::Whole(0, 100)),
    ("complexity", Kind::Word(&["low", "medium", "high"])),
    ("safety_identifier", Kind::Text),
    ("user", Kind::Text),
    ("stream", Kind::Flag),
];

pub(super) async fn generations(State(world): State<World>, headers: HeaderMap, body: Bytes) -> Response {
    let mut known = FIELDS.to_vec();
    known.push(("moderation", Kind::Word(&["auto", "low"])));
    match form::json(&body) {
        Ok(Form { fields, .. }) => pictures(&world, repeat::id_of(&headers), fields, &known),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn edits(State(world): State<World>, request: Request) -> Response {
    let id = repeat::id_of(request.headers());
    let Form { mut fields, files } = match form::read(request).await {
        Ok(form) => form,
        Err(refusal) => return *refusal,
    };
    if let Some(field) = wrong_file(&files) {
        return invalid(field, "invalid_value");
    }
    let mut known = FIELDS.to_vec();
    known.extend([("input_fidelity", Kind::Word(&["high", "low"])), ("images", Kind::Whole(1, 16))]);
    if fields.get("images").is_some() {
        return invalid("images", "unknown_parameter");
    }
    fields["images"] = json!(files.iter().filter(|file| file.field.starts_with("image")).count());
    pictures(&world, id, fields, &known)
}

/// The first file that an edit can't take.
fn wrong_file(files: &[File]) -> Option<&'static str> {
    let named = |name: &'static str| files.iter().filter(move |file| file.field == name);
    let is_picture = |file: &File| {
        ["image/png", "image/jpeg", "image/webp"].contains(&file.mime.as_str())
            && file.bytes.len() < PICTURE_BYTES_MAX
    };
    let (lone, several) = (named("image").count(), named("image[]").count());
    let fits = (lone == 1 && several == 0) || (lone == 0 && (1..=PICTURES_MAX).contains(&several));
    if !fits || !named("image").chain(named("image[]")).all(is_picture) {
        return Some("image");
    }
    let is_mask = |file: &File| file.mime == "image/png" && file.bytes.len() < MASK_BYTES_MAX;
    let (masks, markups) = (named("mask").count(), named("markup").count());
    if masks + markups > 1 || !named("mask").all(is_mask) {
        return Some("mask");
    }
    (files.len() != lone + several + masks + markups).then_some("file")
}

/// The field that breaks a rule of its model, if one does.
fn wrong_field(input: &Value, model: &str) -> Option<&'static str> {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let letters = |name: &str| text(name).chars().count();
    let is_free = FREE.contains(&model);
    if letters("prompt") == 0 || letters("prompt") > PROMPT_LETTERS_MAX {
        return Some("prompt");
    }
    if letters("safety_identifier") > IDENTIFIER_LETTERS_MAX {
        return Some("safety_identifier");
    }
    if ["xhigh", "max"].contains(&text("quality")) && !model.starts_with("gpt-image-2.5-") {
        return Some("quality");
    }
    if text("background") == "transparent" && text("output_format") == "jpeg" {
        return Some("background");
    }
    if input.get("output_compression").is_some() && !["jpeg", "webp"].contains(&text("output_format")) {
        return Some("output_compression");
    }
    if input.get("input_fidelity").is_some() && !model.starts_with("gpt-image-1.5") {
        return Some("input_fidelity");
    }
    // Streams are not built here.
    if input["stream"] == true {
        return Some("stream");
    }
    size(input, is_free).is_none().then_some("size")
}

fn size(input: &Value, is_free: bool) -> Option<(u32, u32)> {
    let text = match input["size"].as_str() {
        None | Some("auto") => "1024x1024",
        Some(text) => text,
    };
    let (wide, high) = text.split_once('x')?;
    let (wide, high): (u32, u32) = (wide.parse().ok()?, high.parse().ok()?);
    let fits = wide.max(high) <= SIDE_MAX
        && wide % STEP == 0
        && high % STEP == 0
        && AREA.contains(&(wide * high))
        && wide.max(high) <= wide.min(high) * STRETCH_MAX;
    (SIZES.contains(&text) || (is_free && fits)).then_some((wide, high))
}

/// `id` is that of the job if the request names its key.
fn pictures(world: &World, id: Option<String>, input: Value, known: &[(&str, Kind)]) -> Response {
    if let Some(wrong) = wrong(&input, known) {
        return misfit(&wrong);
    }
    let model = input["model"].as_str().unwrap_or_default().to_owned();
    if !FIXED.contains(&model.as_str()) && !FREE.contains(&model.as_str()) {
        return no_model(&model);
    }
    if let Some(field) = wrong_field(&input, &model) {
        return invalid(field, "invalid_value");
    }
    let (width, height) = size(&input, FREE.contains(&model.as_str())).unwrap_or((1024, 1024));
    let (width, height) = if width * height > world.pixels_max() { SMALL } else { (width, height) };
    let job = match id.as_deref().and_then(|id| world.job(id)) {
        Some(job) if job.input != input => return repeat::reused(),
        Some(job) => job,
        None => {
            let id = id.unwrap_or_else(|| format!("img_{}", world.number()));
            world.make(Job { id, model, input, ..Job::default() })
        }
    };
    let made = Extension(Made(vec![job.id.clone()]));
    match &job.failure {
        Some(failure) => (made, blocked(failure)).into_response(),
        None => (made, Json(delivered(&job, width, height))).into_response(),
    }
}

fn delivered(job: &Job, width: u32, height: u32) -> Value {
    let word = |name: &str, usual: &str| match job.input[name].as_str() {
        None | Some("auto") => usual.to_owned(),
        Some(word) => word.to_owned(),
    };
    let count = job.input["n"].as_u64().unwrap_or(1);
    let format = word("output_format", "png");
    let picture = BASE64.encode(&picture(width, height, &format));
    let data: Vec<Value> = (0..count).map(|_| json!({"b64_json": picture})).collect();
    let (text, image) = (12, 323 * job.input["images"].as_u64().unwrap_or(0));
    let output = 1056 * count;
    json!({
        "created": jsonwebtoken::get_current_timestamp(), "data": data, "size": format!("{width}x{height}"),
        "quality": word("quality", "medium"), "background": word("background", "opaque"),
        "output_format": format, "safety_identifier": job.input["safety_identifier"],
        "usage": {
            "input_tokens": text + image, "output_tokens": output, "total_tokens": text + image + output,
            "input_tokens_details": {"image_tokens": image, "text_tokens": text},
            "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
        },
    })
}

fn picture(width: u32, height: u32, format: &str) -> Bytes {
    let halves = if width * height > DELIVERED_PIXELS_MAX { 2 } else { 1 };
    let (width, height) = (width / halves, height / halves);
    let format = match format {
        "jpeg" => PictureFormat::Jpeg,
        "webp" => PictureFormat::Webp,
        _ => return media::picture(width, height),
    };
    let picture = Picture { prompt: "a stand-in", seed: 1, width, height, format };
    rynjer_sandbox::picture(&picture).unwrap_or_default().into()
}

/// A failure in a clip's words, in those of pictures: a refusal, or a success without a picture.
fn blocked(failure: &Value) -> Response {
    if failure["data"].is_array() {
        return Json(json!({"created": 1_770_000_000, "data": failure["data"]})).into_response();
    }
    let mut reason = json!({"type": super::INVALID, "param": null});
    for (name, value) in failure.as_object().into_iter().flatten() {
        reason[name] = value.clone();
    }
    (StatusCode::BAD_REQUEST, Json(json!({"error": reason}))).into_response()
}
