//! A job as each model of kie wants it.
//!
//! Invariant: a field goes up only if the model's page lists it, as the type that the page says; some lengths
//! are strings, others numbers. Not here: answers, model ids.
//!
//! Source: docs.kie.ai/market/*, veo3-api, 4o-image-api, suno-api, as of 2026-08-19.

use crate::{Job, ProviderError};
use rynjer_core::catalog::Product;
use serde_json::{Value, json};

/// Where Suno's callbacks go when nobody can call us: the field is required. The name can't ever be resolved
/// (RFC 2606), so no stranger hears of the song; the task may end as `CALLBACK_EXCEPTION`, with its sound.
const NOBODY: &str = "https://callback.invalid/none";
/// Grok makes up to six pictures with a task, all billed as one; four of them are counted on.
const GROK_PICTURES: u32 = 4;
/// The most letters of what is not to be in a picture of Qwen's.
const QWEN_NEGATIVE_CHARS: usize = 500;
/// The most letters of a description for Suno.
const SUNO_CHARS: usize = 3000;
/// Seeds are positive 32-bit numbers with a sign.
const SEED_MASK: u64 = 0x7fff_ffff;

/// One of kie's APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Market,
    Veo,
    FourO,
    Suno,
}

impl Api {
    pub(super) fn submit_path(self) -> &'static str {
        match self {
            Self::Market => "/api/v1/jobs/createTask",
            Self::Veo => "/api/v1/veo/generate",
            Self::FourO => "/api/v1/gpt4o-image/generate",
            Self::Suno => "/api/v1/generate",
        }
    }

    pub(super) fn look_up_path(self) -> &'static str {
        match self {
            Self::Market => "/api/v1/jobs/recordInfo",
            Self::Veo => "/api/v1/veo/record-info",
            Self::FourO => "/api/v1/gpt4o-image/record-info",
            Self::Suno => "/api/v1/generate/record-info",
        }
    }
}

/// The fields of a request; see the head of this folder for the words in routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Nano,
    NanoPro,
    Qwen,
    QwenEdit,
    ZImage,
    GrokImage,
    GrokEdit,
    GrokVideo,
    Wan,
    Seedance,
    SeedanceImage,
    Veo,
    FourO,
    Suno,
}

impl Shape {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "jobs-nano" => Self::Nano,
            "jobs-nano-pro" => Self::NanoPro,
            "jobs-qwen" => Self::Qwen,
            "jobs-qwen-edit" => Self::QwenEdit,
            "jobs-z-image" => Self::ZImage,
            "jobs-grok-image" => Self::GrokImage,
            "jobs-grok-edit" => Self::GrokEdit,
            "jobs-grok-video" => Self::GrokVideo,
            "jobs-wan" => Self::Wan,
            "jobs-seedance" => Self::Seedance,
            "jobs-seedance-image" => Self::SeedanceImage,
            "veo" => Self::Veo,
            "4o" => Self::FourO,
            "suno" => Self::Suno,
            _ => return None,
        })
    }

    pub(super) fn api(self) -> Api {
        match self {
            Self::Veo => Api::Veo,
            Self::FourO => Api::FourO,
            Self::Suno => Api::Suno,
            _ => Api::Market,
        }
    }
}

/// What a route says: the shape of its requests, and the vendor's id of the model.
pub(super) fn route(vendor_model: &str) -> Result<(Shape, &str), ProviderError> {
    let found = vendor_model.split_once(':').and_then(|(word, id)| Some((Shape::parse(word)?, id)));
    found.ok_or_else(|| ProviderError::Unusable {
        message: format!("the route's vendor_model {vendor_model:?} names no protocol of kie"),
    })
}

/// How long until a task is worth being asked for.
pub(super) fn poll_after_ms(product: Product) -> u32 {
    if product == Product::Image { 3_000 } else { 10_000 }
}

/// How many outputs of a task are counted on. No page has a count that is sure to be taken.
fn outputs(shape: Shape) -> u32 {
    if shape == Shape::GrokImage { GROK_PICTURES } else { 1 }
}

/// How many tasks make so many outputs.
pub(super) fn tasks(shape: Shape, count: u32) -> u32 {
    count.div_ceil(outputs(shape))
}

/// One entry for each output from one for each task.
pub(super) fn each_output<T: Clone>(shape: Shape, of_tasks: Vec<T>, count: u32) -> Vec<T> {
    let (each, most) = (usize_of(outputs(shape)), usize_of(count));
    of_tasks.into_iter().flat_map(|entry| std::iter::repeat_n(entry, each)).take(most).collect()
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Where each output is: `TASK#INDEX`, from the ids of the tasks. An entry that never became a task stands
/// for all that it would have made.
pub(super) fn places(shape: Shape, provider_task_id: &str, count: u32) -> Vec<String> {
    let each = usize_of(outputs(shape));
    let entries = each_output(shape, provider_task_id.split(',').collect(), count);
    let place = |(at, entry): (usize, &str)| {
        if entry.starts_with('-') { entry.to_owned() } else { format!("{entry}#{}", at % each) }
    };
    entries.into_iter().enumerate().map(place).collect()
}

/// A place's task and index.
pub(super) fn place(text: &str) -> Option<(&str, usize)> {
    let (task, at) = text.split_once('#')?;
    Some((task, at.parse().ok()?))
}

/// The body of a submit.
pub(super) fn body(shape: Shape, model: &str, job: &Job) -> Result<Value, ProviderError> {
    let mut body = match shape {
        Shape::Veo => veo(model, job)?,
        Shape::FourO => four_o(job)?,
        Shape::Suno => suno(model, job),
        _ => json!({"model": model, "input": input(shape, job)?}),
    };
    let nobody = (shape == Shape::Suno).then_some(NOBODY);
    if let Some(url) = job.callback_url.as_deref().or(nobody) {
        body["callBackUrl"] = json!(url);
    }
    Ok(body)
}

/// A market job's own fields.
fn input(shape: Shape, job: &Job) -> Result<Value, ProviderError> {
    let (ratio, resolution) = (&job.aspect_ratio, &job.resolution);
    let seconds = job.duration_ms / 1000;
    let mut input = json!({"prompt": job.prompt});
    let mut put = |fields: Value| {
        if let (Some(input), Value::Object(fields)) = (input.as_object_mut(), fields) {
            input.extend(fields);
        }
    };
    match shape {
        Shape::Nano => put(json!({"aspect_ratio": ratio, "output_format": "png"})),
        Shape::NanoPro => {
            put(json!({"aspect_ratio": ratio, "resolution": resolution, "output_format": "png"}));
        }
        Shape::Qwen | Shape::QwenEdit => {
            put(json!({"image_size": image_size(job), "output_format": "png", "seed": job.seed & SEED_MASK}));
        }
        Shape::ZImage | Shape::GrokImage => put(json!({"aspect_ratio": ratio})),
        Shape::GrokVideo => put(json!({"aspect_ratio": ratio, "resolution": resolution,
            "duration": seconds, "mode": "normal"})),
        Shape::Wan | Shape::SeedanceImage => {
            put(json!({"resolution": resolution, "duration": seconds.to_string()}));
        }
        Shape::Seedance => put(json!({"aspect_ratio": ratio, "resolution": resolution,
            "duration": seconds.to_string(), "seed": job.seed & SEED_MASK})),
        Shape::GrokEdit | Shape::Veo | Shape::FourO | Shape::Suno => {}
    }
    if let (Shape::Qwen | Shape::QwenEdit, Some(unwanted)) = (shape, &job.negative_prompt) {
        put(json!({"negative_prompt": start(unwanted, QWEN_NEGATIVE_CHARS)}));
    }
    if !job.input_images.is_empty() {
        let urls = urls(job)?;
        match shape {
            Shape::NanoPro => put(json!({"image_input": urls})),
            Shape::QwenEdit => put(json!({"image_url": urls.first(), "num_images": "1"})),
            Shape::SeedanceImage => put(json!({"image_url": urls.first()})),
            _ => put(json!({"image_urls": urls})),
        }
    }
    Ok(input)
}

fn veo(model: &str, job: &Job) -> Result<Value, ProviderError> {
    let mut body = json!({
        "prompt": job.prompt, "model": model, "generationType": "TEXT_2_VIDEO",
        "aspect_ratio": job.aspect_ratio, "resolution": job.resolution, "duration": job.duration_ms / 1000,
    });
    if !job.input_images.is_empty() {
        body["generationType"] = json!("FIRST_AND_LAST_FRAMES_2_VIDEO");
        body["imageUrls"] = json!(urls(job)?);
    }
    Ok(body)
}

/// `nVariants` is in no page of today, so each picture is a task.
fn four_o(job: &Job) -> Result<Value, ProviderError> {
    let mut body = json!({"prompt": job.prompt, "size": job.aspect_ratio});
    if !job.input_images.is_empty() {
        body["filesUrl"] = json!(urls(job)?);
    }
    Ok(body)
}

/// A description, of which Suno makes words and style. Nothing but the prompt counts in this mode, so what is
/// unwanted is said in it. The length can't be sent: it is a target.
fn suno(model: &str, job: &Job) -> Value {
    let unwanted = job.negative_prompt.as_ref().map(|unwanted| format!("\nAvoid: {unwanted}"));
    let prompt = format!("{}{}", job.prompt, unwanted.unwrap_or_default());
    json!({
        "model": model, "prompt": start(&prompt, SUNO_CHARS), "customMode": false, "instrumental": false,
    })
}

fn start(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// The name of a shape.
fn image_size(job: &Job) -> &'static str {
    match job.aspect_ratio.as_deref() {
        Some("4:3") => "landscape_4_3",
        Some("3:4") => "portrait_4_3",
        Some("16:9") => "landscape_16_9",
        Some("9:16") => "portrait_16_9",
        _ => "square_hd",
    }
}

fn urls(job: &Job) -> Result<Vec<&str>, ProviderError> {
    let urls: Option<Vec<&str>> = job.input_images.iter().map(|image| image.url.as_deref()).collect();
    urls.ok_or_else(|| ProviderError::Unusable {
        message: "kie fetches pictures by URL, and this gateway has no address that it can reach".to_owned(),
    })
}
