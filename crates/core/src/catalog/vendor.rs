//! Who makes a model: the ordered routes to vendors, and what each of them can do.
//!
//! Invariant: a route never widens its model, it only leaves out; what it leaves out is told before a hold.
//! Not here: which vendors a gateway has, their protocols.

use std::collections::BTreeMap;

use super::model::{Mode, Model};

/// When a route may be taken although its operator set the vendor's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It serves a model of another family: only if the operator allows substitutes.
    Substitute,
    /// It passes through a relay for a model that its maker no longer offers: only if the operator names it.
    Relay,
}

impl Condition {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Substitute => "substitute",
            Self::Relay => "relay",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Substitute, Self::Relay].into_iter().find(|one| one.as_str() == text)
    }
}

/// One way to have a model made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorRoute {
    /// The model.
    pub model: String,
    /// The adapter.
    pub provider: String,
    /// The vendor's id of the model; `PROTOCOL:ID` where the vendor has several shapes of requests.
    pub vendor_model: String,
    /// Lower ones are tried first.
    pub rank: u32,
    pub condition: Option<Condition>,
    /// What it leaves out of the model; `None` where it can do all of it.
    pub modes: Option<Vec<Mode>>,
    pub resolutions: Option<Vec<String>>,
    pub aspect_ratios: Option<Vec<String>>,
    pub durations_seconds: Option<Vec<u32>>,
    pub max_input_images: Option<u32>,
    pub prompt_max_chars: Option<u32>,
    pub negative_prompt: bool,
    pub seed: bool,
    /// Words that the adapter puts into its request, by the vendor's own names.
    pub inputs: BTreeMap<String, String>,
    /// What one output costs us in millionths of a US dollar, where the vendor's answer does not say;
    /// for video, one second of it.
    pub cost_micro_usd: Option<u32>,
}

/// What a request needs of a route.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    pub mode: Mode,
    pub resolution: Option<&'a str>,
    pub aspect_ratio: Option<&'a str>,
    pub duration_seconds: Option<u32>,
    pub input_images: usize,
    pub prompt_chars: usize,
    /// Whether the request names one.
    pub negative_prompt: bool,
    pub seed: bool,
}

impl VendorRoute {
    /// Whether it can make what is needed.
    ///
    /// # Errors
    /// One clause that names what it can't do.
    pub fn fits(&self, need: &Need<'_>) -> Result<(), String> {
        let lacks = |list: &Option<Vec<String>>, value: Option<&str>| match (list, value) {
            (Some(list), Some(value)) if !list.iter().any(|known| known == value) => {
                Err(format!("it has no {value}"))
            }
            _ => Ok(()),
        };
        if self.modes.as_ref().is_some_and(|modes| !modes.contains(&need.mode)) {
            return Err(format!("it has no {}", need.mode));
        }
        lacks(&self.resolutions, need.resolution)?;
        lacks(&self.aspect_ratios, need.aspect_ratio)?;
        if let (Some(list), Some(seconds)) = (&self.durations_seconds, need.duration_seconds)
            && !list.contains(&seconds)
        {
            return Err(format!("it has no {seconds} seconds"));
        }
        if self.max_input_images.is_some_and(|max| need.input_images > max as usize) {
            return Err(format!("it takes no {} input images", need.input_images));
        }
        if self.prompt_max_chars.is_some_and(|max| need.prompt_chars > max as usize) {
            return Err(format!("it takes no prompt of {} characters", need.prompt_chars));
        }
        if need.negative_prompt && !self.negative_prompt {
            return Err("it takes no negative prompt".to_owned());
        }
        if need.seed && !self.seed {
            return Err("it takes no seed".to_owned());
        }
        Ok(())
    }

    /// Whether it names only what its model has; otherwise the key and the value that the model lacks.
    pub(super) fn beyond(&self, model: &Model) -> Option<(&'static str, String)> {
        let word = |list: &Option<Vec<String>>, all: &[String]| {
            list.iter().flatten().find(|value| !all.contains(value)).cloned()
        };
        if let Some(mode) = self.modes.iter().flatten().find(|mode| !model.modes.contains(mode)) {
            return Some(("modes", mode.to_string()));
        }
        if let Some(name) = word(&self.resolutions, &model.resolutions) {
            return Some(("resolutions", name));
        }
        if let Some(name) = word(&self.aspect_ratios, &model.aspect_ratios) {
            return Some(("aspect_ratios", name));
        }
        let mut lengths = self.durations_seconds.iter().flatten();
        let length = lengths.find(|length| !model.durations_seconds.contains(length));
        length.map(|length| ("durations_seconds", length.to_string()))
    }
}
