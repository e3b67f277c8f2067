//! A job in the words of one model at Replicate.
//!
//! Invariant: an input is sent only under a name that the catalog's route gives it; there is no common
//! schema. Not here: answers.

use crate::{InputImage, Job, ProviderError, TaskError};
use rynjer_core::catalog::VendorRoute;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The longest data URL that Replicate takes.
const DATA_URL_BYTES_MAX: usize = 256_000;
/// Behind a name: it takes a list.
const LIST: &str = "[]";

/// What a model calls our words.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(BTreeMap<String, String>);

/// The names of each model that a route leads to. Routes to the same one share them.
pub(super) fn tables(routes: &[VendorRoute]) -> BTreeMap<String, Names> {
    let mut tables: BTreeMap<String, Names> = BTreeMap::new();
    for route in routes.iter().filter(|route| route.provider == super::NAME) {
        let names = &mut tables.entry(route.vendor_model.clone()).or_default().0;
        for (word, name) in &route.inputs {
            names.entry(word.clone()).or_insert_with(|| name.clone());
        }
    }
    tables
}

impl Names {
    /// How many predictions make so many outputs.
    pub(super) fn calls(&self, count: u32) -> u32 {
        if self.0.contains_key("count") { 1 } else { count }
    }

    /// What the model calls pictures to start from.
    pub(super) fn of_pictures(&self) -> impl Iterator<Item = &str> {
        let named = ["image", "images"].into_iter().filter_map(|word| self.0.get(word));
        named.map(|name| name.strip_suffix(LIST).unwrap_or(name))
    }

    /// The model's input.
    pub(super) fn input(&self, job: &Job) -> Result<Value, ProviderError> {
        let mut input = Map::new();
        for (word, name) in &self.0 {
            let Some(value) = value(word, job)? else { continue };
            match name.strip_suffix(LIST) {
                Some(name) => drop(input.insert(name.to_owned(), value)),
                None => drop(input.insert(name.clone(), alone(value))),
            }
        }
        let pictures = ["image", "images"].iter().any(|word| self.0.contains_key(*word));
        if !job.input_images.is_empty() && !pictures {
            let message = "the route names no input for pictures".to_owned();
            return Err(ProviderError::Unusable { message });
        }
        Ok(Value::Object(input))
    }
}

/// What goes under a word; `None` if the job has none, or the word isn't ours.
fn value(word: &str, job: &Job) -> Result<Option<Value>, ProviderError> {
    let seconds = job.duration_ms / 1000;
    Ok(match word {
        "prompt" => Some(json!(job.prompt)),
        "negative_prompt" => job.negative_prompt.as_ref().map(|text| json!(text)),
        "aspect_ratio" => job.aspect_ratio.as_ref().map(|text| json!(text)),
        "resolution" => job.resolution.as_ref().map(|text| json!(text)),
        "count" => Some(json!(job.count)),
        "duration" => Some(json!(seconds)).filter(|_| seconds > 0),
        "seed" => Some(json!(job.seed)),
        "width" => Some(json!(job.width)),
        "height" => Some(json!(job.height)),
        "image" | "images" if !job.input_images.is_empty() => {
            let all: Result<Vec<Value>, _> = job.input_images.iter().map(picture).collect();
            Some(Value::Array(all?))
        }
        _ => None,
    })
}

/// A list under a name that takes no list is its first element.
fn alone(value: Value) -> Value {
    match value {
        Value::Array(mut all) if !all.is_empty() => all.swap_remove(0),
        other => other,
    }
}

/// Whether all pictures are sent by URL, so that a list shows which they are.
pub(super) fn are_by_url(images: &[InputImage]) -> bool {
    images.iter().all(|image| !is_small(image) && image.url.is_some())
}

fn is_small(image: &InputImage) -> bool {
    image.data_url_bytes() <= DATA_URL_BYTES_MAX
}

/// Inside the request if it is small enough, otherwise a URL of ours.
fn picture(image: &InputImage) -> Result<Value, ProviderError> {
    if is_small(image) {
        return Ok(Value::String(image.data_url()));
    }
    image.url.clone().map(Value::String).ok_or_else(|| {
        let message =
            "the picture is too large for this provider, which can't reach this gateway: send one of \
            at most 190 kB"
                .to_owned();
        ProviderError::Refused { error: TaskError::InputRejected, message, cost: None }
    })
}
