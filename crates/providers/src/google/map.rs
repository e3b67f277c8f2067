//! A job as Google's three shapes of requests want it.
//!
//! Invariant: what only the cloud platform takes is never sent to the Gemini API, which refuses it. Not here:
//! answers.
//!
//! Source: PyPI `google-genai` 3.4.0 `models.py`, `_gaos/types/interactions`; npm `@ai-sdk/google` 4.0.121.

use crate::{InputImage, Job};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// Seeds of the Gemini API are 32 bits with a sign, and not negative.
const SEED_BITS: u64 = 0x7fff_ffff;
/// Veo's have no sign.
const VEO_SEED_BITS: u64 = 0xffff_ffff;

/// The body of `POST /models/ID:generateContent`, for one picture.
pub(super) fn picture(job: &Job) -> Value {
    let mut parts = vec![json!({"text": job.prompt})];
    let inline = |image: &InputImage| {
        let data = BASE64.encode(&image.bytes);
        json!({"inlineData": {"mimeType": image.mime, "data": data}})
    };
    parts.extend(job.input_images.iter().map(inline));
    let mut image = json!({});
    set(&mut image, "aspectRatio", job.aspect_ratio.as_deref());
    set(&mut image, "imageSize", job.resolution.as_deref());
    json!({
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {
            "responseModalities": ["IMAGE"], "imageConfig": image, "seed": job.seed & SEED_BITS,
        },
    })
}

/// The body of `POST /interactions`, for one clip.
pub(super) fn interaction(job: &Job, model: &str, seeded: bool) -> Value {
    let block = |image: &InputImage| {
        let data = BASE64.encode(&image.bytes);
        json!({"type": "image", "data": data, "mime_type": image.mime})
    };
    let mut input: Vec<Value> = job.input_images.iter().map(block).collect();
    let task = match input.len() {
        0 => "text_to_video",
        1 => "image_to_video",
        _ => "reference_to_video",
    };
    input.push(json!({"type": "text", "text": job.prompt}));
    // A bare number is refused.
    let duration = format!("{}s", job.duration_ms / 1000);
    let mut format = json!({"type": "video", "delivery": "uri", "duration": duration});
    set(&mut format, "aspect_ratio", job.aspect_ratio.as_deref());
    set(&mut format, "resolution", job.resolution.as_deref());
    let mut config = json!({"video_config": {"task": task}});
    if seeded {
        config["seed"] = json!(job.seed & SEED_BITS);
    }
    json!({
        "model": model, "input": input, "background": true, "response_format": format,
        "generation_config": config,
    })
}

/// The body of `POST …/publishers/google/models/ID:predictLongRunning`.
pub(super) fn veo(job: &Job) -> Value {
    let encoded = |image: &InputImage| {
        let data = BASE64.encode(&image.bytes);
        json!({"bytesBase64Encoded": data, "mimeType": image.mime})
    };
    let mut instance = json!({"prompt": job.prompt});
    match job.input_images.as_slice() {
        [] => {}
        [image] => instance["image"] = encoded(image),
        images => {
            let asset = |image| json!({"image": encoded(image), "referenceType": "asset"});
            instance["referenceImages"] = images.iter().map(asset).collect();
        }
    }
    // Its makers bill clips with sound by default; said, so that it stays what the route's price is for.
    let mut parameters = json!({
        "sampleCount": job.count, "durationSeconds": job.duration_ms / 1000, "generateAudio": true,
        "seed": job.seed & VEO_SEED_BITS,
    });
    set(&mut parameters, "aspectRatio", job.aspect_ratio.as_deref());
    set(&mut parameters, "resolution", job.resolution.as_deref());
    set(&mut parameters, "negativePrompt", job.negative_prompt.as_deref());
    json!({"instances": [instance], "parameters": parameters})
}

fn set(object: &mut Value, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        object[name] = json!(value);
    }
}
