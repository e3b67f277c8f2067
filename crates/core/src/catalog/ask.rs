//! What a request asks of a model, the plan that comes of it, and how it is refused.
//!
//! Invariant: `None` in `Asked` means absent and nothing else. Not here: the checks (`resolve.rs`), prices.

use std::sync::Arc;

use super::model::{Mode, Model, Product};

/// What a request asks for, as received. `None` means absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// `product`.
    pub product: Option<Product>,
    /// `scene`.
    pub mode: Option<Mode>,
    /// `count`; wide enough for every integer of JSON that a request may hold.
    pub count: Option<i128>,
    /// `resolution`, in either case.
    pub resolution: Option<String>,
    /// `duration` in seconds.
    pub duration_seconds: Option<i128>,
    /// `aspect_ratio`.
    pub aspect_ratio: Option<String>,
    /// `preset`, the name of a size.
    pub preset: Option<String>,
    /// How many input images there are.
    pub input_images: usize,
    /// Length of the prompt in Unicode scalar values, 0 if it is blank.
    pub prompt_chars: Option<usize>,
    /// Whether there is a negative prompt.
    pub negative_prompt: bool,
    /// Whether there is a seed.
    pub seed: bool,
    /// `price_version`: the default resolution is the cheapest one there.
    pub price_version: Option<String>,
    /// An estimate may leave out prompt and input images.
    pub estimate: bool,
}

/// A request made complete: exactly what will be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The model.
    pub model: Arc<Model>,
    /// What it makes.
    pub product: Product,
    /// What it starts from.
    pub mode: Mode,
    /// How many outputs.
    pub count: u32,
    /// The size by name, as the catalog spells it; `None` for music.
    pub resolution: Option<String>,
    /// The shape; `None` for music.
    pub aspect_ratio: Option<String>,
    /// The length; `None` for images.
    pub duration_seconds: Option<u32>,
    /// Pixels across; 0 for music.
    pub width: u32,
    /// Pixels down; 0 for music.
    pub height: u32,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No model has this name.
    #[error("there is no model {name:?}")]
    UnknownModel {
        /// What the request said.
        name: String,
    },
    /// The model can't do what these fields say.
    #[error("{}", .0.iter().map(|p| format!("{}: {}", p.field, p.problem)).collect::<Vec<_>>().join(" "))]
    Fields(Vec<FieldProblem>),
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field's name in requests, without `units.`.
    pub field: &'static str,
    /// One sentence.
    pub problem: String,
    /// What may stand there; empty if the field must be left out.
    pub allowed: Vec<String>,
}
