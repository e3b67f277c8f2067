//! A job as OpenAI's images API wants it.
//!
//! Invariant: `response_format` and `style` are never sent: GPT image models refuse them. Not here: answers.
//!
//! Source: PyPI `openai` 3.54.0, `types/image_generate_params.py`, `image_edit_params.py`.

use crate::{InputImage, Job, ProviderError, TaskError, upstream::pictures_bytes_max};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

/// Both sides of a free size are multiples of this.
const STEP: u32 = 16;
/// The most that a pixel of a PNG takes in base64: four bytes without any compression.
const PIXEL_BYTES_MAX: u64 = 6;

/// The body of `POST /images/generations`.
pub(super) fn json(job: &Job) -> Value {
    json!({
        "model": job.vendor_model,
        "prompt": job.prompt,
        "n": job.count,
        "size": size(job),
        "output_format": "png",
        "safety_identifier": job.end_user,
    })
}

/// The body of `POST /images/edits`. A lone picture is called `image`, several `image[]`, as the SDK does.
pub(super) fn form(job: &Job) -> Result<Form, ProviderError> {
    let mut form = Form::new()
        .text("model", job.vendor_model.clone())
        .text("prompt", job.prompt.clone())
        .text("n", job.count.to_string())
        .text("size", size(job))
        .text("output_format", "png")
        .text("safety_identifier", job.end_user.clone());
    let name = if job.input_images.len() == 1 { "image" } else { "image[]" };
    for (index, image) in job.input_images.iter().enumerate() {
        form = form.part(name, part(image, index)?);
    }
    Ok(form)
}

/// A picture to start from as a file of a form.
pub(super) fn part(image: &InputImage, index: usize) -> Result<Part, ProviderError> {
    let file = format!("input-{index}.{}", image.mime.trim_start_matches("image/"));
    let part = Part::stream(image.bytes.clone()).file_name(file).mime_str(image.mime);
    part.map_err(|_| ProviderError::Refused {
        error: TaskError::InputRejected,
        message: "the picture has a type that can't be sent".to_owned(),
        cost: None,
    })
}

/// What the pictures of a job can take in base64, so that hardly a true answer is too long to be read.
pub(super) fn answer_bytes_max(job: &Job) -> usize {
    let pixels = u64::from(job.width) * u64::from(job.height) * u64::from(job.count);
    pictures_bytes_max(pixels, PIXEL_BYTES_MAX)
}

/// The nearest size that the newer models take; the older ones have three of these.
fn size(job: &Job) -> String {
    let round = |side: u32| (side.saturating_add(STEP / 2) / STEP).max(1) * STEP;
    format!("{}x{}", round(job.width), round(job.height))
}
