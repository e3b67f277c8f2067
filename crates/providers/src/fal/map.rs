//! A job as fal's LTX-2 models want it.
//!
//! Invariant: lengths are JSON numbers of seconds, as the model's own schema prints them. Not here: answers.
//!
//! Source: fal.ai/models/fal-ai/ltx-2/image-to-video/llms.txt, npm `@fal-ai/client` 1.10.1.

use crate::{Job, ProviderError, TaskError};
use serde_json::{Value, json};

/// How much of a picture's shape goes to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// LTX-2: a wide clip, whatever is asked.
    Ltx2,
    /// LTX-2.3: a clip of the shape that is asked for.
    Ltx23,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Endpoint<'a> {
    protocol: Protocol,
    /// All of it: where jobs are handed over.
    pub(super) id: &'a str,
    /// Its first two parts: where they are asked for.
    pub(super) app: &'a str,
}

impl<'a> Endpoint<'a> {
    /// `None` if the route names no protocol of this adapter, or no endpoint.
    pub(super) fn parse(vendor_model: &'a str) -> Option<Self> {
        let (protocol, id) = match vendor_model.split_once(':')? {
            ("ltx-2", id) => (Protocol::Ltx2, id),
            ("ltx-2.3", id) => (Protocol::Ltx23, id),
            _ => return None,
        };
        let second = id.find('/')? + 1;
        let end = id.get(second..)?.find('/').map_or(id.len(), |length| second + length);
        let app = id.get(..end)?;
        is_path(id).then_some(Self { protocol, id, app })
    }
}

/// Whether a text may stand in a path: names between slashes, none of them `..`.
pub(super) fn is_path(text: &str) -> bool {
    let is_name = |name: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !name.is_empty() && !name.starts_with('.') && name.bytes().all(letter)
    };
    text.split('/').all(is_name)
}

/// The body of a submit: the model's input, without a wrapper.
pub(super) fn json(job: &Job, endpoint: Endpoint<'_>) -> Result<Value, ProviderError> {
    let image = job.input_images.first().ok_or_else(|| {
        let message = "this model starts from one picture, and there is none".to_owned();
        ProviderError::Refused { error: TaskError::InputRejected, message, cost: None }
    })?;
    let mut input = json!({
        "image_url": image.data_url(),
        "prompt": job.prompt,
        "duration": job.duration_ms / 1000,
    });
    if let Some(resolution) = &job.resolution {
        input["resolution"] = json!(resolution);
    }
    if let (Protocol::Ltx23, Some(aspect_ratio)) = (endpoint.protocol, &job.aspect_ratio) {
        input["aspect_ratio"] = json!(aspect_ratio);
    }
    Ok(input)
}
