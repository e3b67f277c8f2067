//! `generateContent` with a picture inside the answer.
//!
//! Invariant: one picture with each call, of the asked shape. Not here: text models.

use super::{is_file, keyless, pixels, refusal, unknown};
use crate::{Job, World, control::Made, media};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use serde_json::{Value, json};

const RATIOS: [&str; 10] = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];
const EXTREME_RATIOS: [&str; 4] = ["1:4", "4:1", "1:8", "8:1"];
/// Larger ones cost tests too much.
const AREA: f64 = 1_048_576.0;
const SMALL_AREA: f64 = 262_144.0;
const FIELDS: [&str; 7] = [
    "contents",
    "generationConfig",
    "safetySettings",
    "systemInstruction",
    "tools",
    "toolConfig",
    "cachedContent",
];
const CONFIG_FIELDS: [&str; 11] = [
    "responseModalities",
    "imageConfig",
    "seed",
    "candidateCount",
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "thinkingConfig",
    "mediaResolution",
];

/// Sizes, whether the extreme shapes too, and the most pictures to start from.
fn model_of(name: &str) -> Option<(&'static [&'static str], bool, usize)> {
    Some(match name {
        "gemini-3-pro-image" => (&["1K", "2K", "4K"], false, 14),
        "gemini-3.1-flash-image" => (&["512", "1K", "2K", "4K"], false, 14),
        "gemini-nano-banana-2.1" => (&["1K", "2K", "4K"], true, 10),
        "gemini-3.1-flash-lite-image" => (&["1K"], false, 14),
        _ => return None,
    })
}

pub(super) async fn generate(
    State(world): State<World>,
    Path((_, call)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refused) = keyless(&headers, &uri) {
        return refused;
    }
    let Some(model) = call.strip_suffix(":generateContent") else {
        return refusal::answer(404, &refusal::no_model(&call));
    };
    if model.starts_with("gemini-omni") {
        return refusal::invalid("This model only supports Interactions API.");
    }
    let Some(can) = model_of(model) else { return refusal::answer(404, &refusal::no_model(model)) };
    match size(&body, can) {
        Ok((width, height)) => finished(&world, model, body, width, height),
        Err(message) => refusal::invalid(&message),
    }
}

type Can = (&'static [&'static str], bool, usize);

/// The size of what is asked, or what is wrong with the request.
fn size(body: &Value, (sizes, extreme, pictures_max): Can) -> Result<(u32, u32), String> {
    let config = &body["generationConfig"];
    let image = &config["imageConfig"];
    let wrong = [
        unknown(body, &FIELDS),
        unknown(config, &CONFIG_FIELDS),
        unknown(image, &["aspectRatio", "imageSize"]),
    ];
    if let Some(name) = wrong.into_iter().flatten().next() {
        return Err(format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."));
    }
    let parts = parts(body)?;
    if parts.iter().filter(|part| part["inlineData"].is_object()).count() > pictures_max {
        return Err(format!("At most {pictures_max} images are supported."));
    }
    let seed = &config["seed"];
    if !seed.is_null() && seed.as_i64().and_then(|seed| i32::try_from(seed).ok()).is_none() {
        return Err("Invalid value at 'generation_config.seed' (TYPE_INT32)".to_owned());
    }
    if config["candidateCount"].as_u64().is_some_and(|count| count > 1) {
        return Err("Multiple candidates is not enabled for this model".to_owned());
    }
    let modalities = config["responseModalities"].as_array().cloned().unwrap_or_default();
    if !modalities.iter().all(|name| ["IMAGE", "TEXT"].iter().any(|known| name == known)) {
        return Err("Invalid value at 'generation_config.response_modalities'".to_owned());
    }
    let (ratio, size) = (text(&image["aspectRatio"], "1:1")?, text(&image["imageSize"], "1K")?);
    let is_extreme = extreme && EXTREME_RATIOS.contains(&ratio);
    if !is_extreme && !RATIOS.contains(&ratio) {
        return Err(format!("Unsupported aspect ratio {ratio}"));
    }
    if !sizes.contains(&size) {
        return Err(format!("Unsupported image size {size}"));
    }
    pixels(ratio, if size == "512" { SMALL_AREA } else { AREA }).ok_or_else(|| "Bad ratio".to_owned())
}

fn text<'a>(value: &'a Value, absent: &'a str) -> Result<&'a str, String> {
    match value {
        Value::Null => Ok(absent),
        Value::String(text) => Ok(text),
        _ => Err("Invalid value (TYPE_STRING)".to_owned()),
    }
}

/// Each part is a text or a whole picture.
fn parts(body: &Value) -> Result<Vec<Value>, String> {
    let contents = body["contents"].as_array().into_iter().flatten();
    let parts: Vec<Value> =
        contents.filter_map(|content| content["parts"].as_array()).flatten().cloned().collect();
    if parts.is_empty() {
        return Err("contents is not specified".to_owned());
    }
    for part in &parts {
        let inline = &part["inlineData"];
        // Names in both styles are taken, and its package sends this one as `mime_type`.
        let mime = inline.get("mimeType").unwrap_or(&inline["mime_type"]);
        let is_picture =
            is_file(&inline["data"]) && mime.as_str().is_some_and(|mime| mime.starts_with("image/"));
        if !part["text"].is_string() && !is_picture {
            return Err("Unable to process input image. Please retry or report.".to_owned());
        }
    }
    Ok(parts)
}

fn finished(world: &World, model: &str, input: Value, width: u32, height: u32) -> Response {
    let number = world.number();
    let job =
        world.make(Job { id: format!("resp_{number}"), model: model.to_owned(), input, ..Job::default() });
    let data = BASE64.encode(&media::picture(width, height));
    let mut body = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [
                {"text": "A draft.", "thought": true},
                {"inlineData": {"mimeType": "image/png", "data": data}},
            ]},
            "finishReason": "STOP", "index": 0,
        }],
        "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 1290, "totalTokenCount": 1298,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]},
        "modelVersion": model, "responseId": job.id,
    });
    if let Some(Value::Object(failure)) = job.failure {
        // What its filters stop is a success by its status.
        body["candidates"] = json!([]);
        for (name, value) in failure {
            body[name] = value;
        }
    }
    (Extension(Made(vec![job.id])), Json(body)).into_response()
}
