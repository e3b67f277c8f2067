//! What a task is to make, as it is stored with the task and read by the worker.
//!
//! Invariant: everything a provider needs is in it, decided at acceptance; it is blanked after the retention
//! time. Not here: money.

use serde::{Deserialize, Serialize};

/// The stored body of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TaskBody {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) prompt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) negative_prompt: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) input_image_urls: Vec<String>,
    pub(crate) seed: u64,
    /// Whether the caller named the seed, so that only a route which takes one will do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) seed_named: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aspect_ratio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_seconds: Option<u32>,
    /// The name of a size, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preset: Option<String>,
    /// How `auto` came to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) routed: Option<rynjer_api::Routed>,
    /// Where the request's trace goes on, if somebody collects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl TaskBody {
    /// Reads a stored body; a blanked or unreadable one is empty.
    pub(crate) fn from_stored(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The text to store.
    pub(crate) fn to_stored(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
