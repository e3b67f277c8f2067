//! A job as xAI's images and videos want it.
//!
//! Invariant: what a model doesn't take (seed, size, negative prompt) is never sent. Not here: answers.
//!
//! Source: npm `@ai-sdk/xai` 5.0.12 `src/xai-image-model.ts`, `src/xai-video-model.ts`; docs.x.ai.

use crate::{InputImage, Job, upstream::pictures_bytes_max};
use serde_json::{Value, json};

/// The most that a pixel of a picture takes in base64: three bytes without any compression.
const PIXEL_BYTES_MAX: u64 = 4;

/// The body of `POST /images/generations`, or of `/images/edits` if there are pictures to start from.
pub(super) fn image(job: &Job) -> Value {
    let mut body = json!({
        "model": job.vendor_model,
        "prompt": job.prompt,
        "n": job.count,
        // The life of its URLs is not documented: bytes can't expire.
        "response_format": "b64_json",
        "user": job.end_user,
    });
    if let Some(resolution) = &job.resolution {
        body["resolution"] = json!(resolution.to_lowercase());
    }
    match job.input_images.as_slice() {
        // An edit of one picture keeps its shape.
        [one] => body["image"] = source(one),
        [] => shape(&mut body, job),
        several => {
            body["images"] = several.iter().map(source).collect();
            shape(&mut body, job);
        }
    }
    body
}

/// The body of `POST /videos/generations`.
pub(super) fn video(job: &Job) -> Value {
    let mut body = json!({
        "model": job.vendor_model,
        "prompt": job.prompt,
        "duration": job.duration_ms / 1000,
        "user": job.end_user,
    });
    if let Some(resolution) = &job.resolution {
        body["resolution"] = json!(resolution);
    }
    match job.input_images.as_slice() {
        // Another shape than the first frame's would stretch it.
        [one] => body["image"] = json!({"url": one.data_url()}),
        [] => shape(&mut body, job),
        several => {
            body["reference_images"] = several.iter().map(|one| json!({"url": one.data_url()})).collect();
            shape(&mut body, job);
        }
    }
    body
}

/// What the pictures of a job can take in base64, so that hardly a true answer is too long to be read.
pub(super) fn answer_bytes_max(job: &Job) -> usize {
    let pixels = u64::from(job.width) * u64::from(job.height) * u64::from(job.count);
    pictures_bytes_max(pixels, PIXEL_BYTES_MAX)
}

fn shape(body: &mut Value, job: &Job) {
    if let Some(aspect_ratio) = &job.aspect_ratio {
        body["aspect_ratio"] = json!(aspect_ratio);
    }
}

fn source(image: &InputImage) -> Value {
    json!({"url": image.data_url(), "type": "image_url"})
}
