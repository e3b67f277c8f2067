//! A job as DashScope wants it.
//!
//! Invariant: sizes are always sent, since the vendor's documents disagree about what goes without; the
//! length of a clip is a JSON integer. Not here: answers.
//!
//! Source: PyPI `dashscope` 2.0.2, Model Studio's references of Qwen-Image, Qwen-Image-Edit, Wan 2.6.

use crate::{Job, ProviderError};
use serde_json::{Value, json};

/// Seeds are below this.
const SEEDS: u64 = 1 << 31;
/// What is longer is cut off by the vendor.
const NEGATIVE_CHARS: usize = 500;
/// Sides of free sizes are multiples of this: all sizes that the vendor names are.
const STEP: u32 = 16;
/// The shortest and the longest side of a free size.
const SIDES: (u32, u32) = (512, 2048);

/// Width, height: all that Qwen-Image makes.
const IMAGE_SIZES: [(u32, u32); 5] = [(1328, 1328), (1472, 1104), (1104, 1472), (1664, 928), (928, 1664)];
/// Width, height: all that Wan 2.6 makes of `720p`.
const CLIP_SIZES_720: [(u32, u32); 5] = [(1280, 720), (720, 1280), (960, 960), (1088, 832), (832, 1088)];
/// Width, height: all that Wan 2.6 makes of `1080p`.
const CLIP_SIZES_1080: [(u32, u32); 5] =
    [(1920, 1080), (1080, 1920), (1440, 1440), (1632, 1248), (1248, 1632)];

/// The shapes of requests, see the head of this module's parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Image,
    Free,
    Edit,
    EditPlus,
    Text,
    FirstFrame,
}

impl Protocol {
    const ALL: [(&'static str, Self); 6] = [
        ("image", Self::Image),
        ("free", Self::Free),
        ("edit", Self::Edit),
        ("edit-plus", Self::EditPlus),
        ("text", Self::Text),
        ("first-frame", Self::FirstFrame),
    ];

    /// Answered with a task.
    pub(super) fn is_task(self) -> bool {
        matches!(self, Self::Text | Self::FirstFrame)
    }
}

/// The protocol that a route names.
pub(super) fn protocol(vendor_model: &str) -> Result<Protocol, ProviderError> {
    let name = vendor_model.split_once(':').map_or("", |(name, _)| name);
    let known = Protocol::ALL.into_iter().find(|(known, _)| *known == name);
    known.map(|(_, protocol)| protocol).ok_or_else(|| ProviderError::Unusable {
        message: format!("the catalog's route {vendor_model:?} names no protocol of dashscope"),
    })
}

/// The vendor's id of the model.
pub(super) fn model(job: &Job) -> &str {
    job.vendor_model.split_once(':').map_or("", |(_, id)| id)
}

/// The body of the submit of one output of a job; each output has a seed of its own.
pub(super) fn body(job: &Job, protocol: Protocol, index: u32) -> Result<Value, ProviderError> {
    let seed = job.seed.wrapping_add(u64::from(index)) % SEEDS;
    let mut parameters = json!({"seed": seed, "watermark": false});
    let input = if protocol.is_task() {
        clip(job, protocol, &mut parameters)?
    } else {
        picture(job, protocol, &mut parameters)
    };
    Ok(json!({"model": model(job), "input": input, "parameters": parameters}))
}

fn picture(job: &Job, protocol: Protocol, parameters: &mut Value) -> Value {
    match protocol {
        Protocol::Image => {
            parameters["size"] = json!(text(nearest(&IMAGE_SIZES, job)));
            parameters["prompt_extend"] = json!(true);
        }
        Protocol::EditPlus => {
            parameters["size"] = json!(free_size(job));
            parameters["prompt_extend"] = json!(true);
        }
        Protocol::Free => {
            parameters["size"] = json!(free_size(job));
            // It costs more.
            parameters["prompt_extend"] = json!(false);
        }
        Protocol::Edit | Protocol::Text | Protocol::FirstFrame => {}
    }
    if protocol != Protocol::Free {
        parameters["n"] = json!(1);
        if let Some(negative) = negative(job) {
            parameters["negative_prompt"] = json!(negative);
        }
    }
    let mut content: Vec<Value> =
        job.input_images.iter().map(|image| json!({"image": image.data_url()})).collect();
    content.push(json!({"text": job.prompt}));
    json!({"messages": [{"role": "user", "content": content}]})
}

fn clip(job: &Job, protocol: Protocol, parameters: &mut Value) -> Result<Value, ProviderError> {
    parameters["duration"] = json!(job.duration_ms / 1000);
    parameters["prompt_extend"] = json!(true);
    parameters["shot_type"] = json!("single");
    let mut input = json!({"prompt": job.prompt});
    if let Some(negative) = negative(job) {
        input["negative_prompt"] = json!(negative);
    }
    if protocol == Protocol::FirstFrame {
        let missing = || ProviderError::Unusable { message: "a clip from a picture without one".to_owned() };
        let image = job.input_images.first().ok_or_else(missing)?;
        input["img_url"] = json!(image.data_url());
        parameters["resolution"] = json!(if is_1080p(job) { "1080P" } else { "720P" });
    } else {
        parameters["size"] = json!(clip_size(job));
    }
    Ok(input)
}

/// The size of a clip from a prompt.
pub(super) fn clip_size(job: &Job) -> String {
    text(nearest(if is_1080p(job) { &CLIP_SIZES_1080 } else { &CLIP_SIZES_720 }, job))
}

fn is_1080p(job: &Job) -> bool {
    job.resolution.as_deref() == Some("1080p")
}

/// The size whose shape is nearest to what the job wants; the first one if it wants none.
fn nearest(sizes: &[(u32, u32); 5], job: &Job) -> (u32, u32) {
    let (width, height) = (u64::from(job.width), u64::from(job.height));
    let apart = |size: &(u32, u32)| {
        let (ours, theirs) = (width * u64::from(size.1), height * u64::from(size.0));
        // In thousandths of the smaller one, so that tall is as far as wide.
        ours.abs_diff(theirs) * 1000 / ours.min(theirs).max(1)
    };
    sizes.iter().copied().min_by_key(apart).unwrap_or(sizes[0])
}

fn free_size(job: &Job) -> String {
    let side = |side: u32| (side / STEP * STEP).clamp(SIDES.0, SIDES.1);
    text((side(job.width), side(job.height)))
}

fn text((width, height): (u32, u32)) -> String {
    format!("{width}*{height}")
}

fn negative(job: &Job) -> Option<String> {
    let text: String = job.negative_prompt.as_deref()?.chars().take(NEGATIVE_CHARS).collect();
    (!text.is_empty()).then_some(text)
}
