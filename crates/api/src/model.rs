//! The list of models: what each one makes, takes and costs.
//!
//! Invariant: every model of the catalog is listed, also one that nothing serves. Not here: how prices are
//! worked out (`rynjer-core`).

use crate::{
    account::Mode,
    generate::{Scene, Units},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// Still pictures.
    Image,
    /// Clips.
    Video,
    /// Songs.
    Music,
}

/// A factor on a price. The unit price is the base times all factors that apply, rounded up once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Multiplier {
    /// The resolution or scene that it applies to.
    #[schema(example = "1080p")]
    pub applies_to: String,
    /// The factor, exact, as text.
    #[schema(example = "1.8")]
    pub factor: String,
}

/// The answer of `GET /v1/models/list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelsAnswer {
    /// Always `credits`.
    #[schema(example = "credits")]
    pub currency: String,
    /// The price version of all prices in this answer.
    #[schema(example = "2026-02-02-v1")]
    pub price_version: String,
    /// The account's mode.
    pub mode: Mode,
    /// All models.
    pub models: Vec<Model>,
    /// Sizes by name, to send as `units.preset`.
    pub presets: Vec<Preset>,
}

/// A size by the name of the platform where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preset {
    /// The name to send as `units.preset`.
    #[schema(example = "instagram_post")]
    pub preset: String,
    /// What can be made in it.
    pub products: Vec<Product>,
    /// Its shape.
    #[schema(example = "1:1")]
    pub aspect_ratio: String,
    /// The width of a picture in pixels; null where the shape is all that it says.
    #[schema(required = true, example = 1080)]
    pub width: Option<u32>,
    /// The height of a picture in pixels; null where the shape is all that it says.
    #[schema(required = true, example = 1080)]
    pub height: Option<u32>,
    /// The models that have this shape.
    #[schema(example = json!(["nano-banana-pro", "z-image"]))]
    pub models: Vec<String>,
}

/// One model. Lists that make no sense for its product are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// The name to send as `model`.
    #[schema(example = "nano-banana-pro")]
    pub model: String,
    /// What it makes.
    pub product: Product,
    /// What it can start from.
    pub modes: Vec<Scene>,
    /// The price of one unit at the default settings.
    #[schema(minimum = 0, example = 20)]
    pub credits: i64,
    /// What one unit is: `image`, `video` or `song`.
    #[schema(example = "image")]
    pub unit: String,
    /// One line for who chooses.
    #[schema(example = "4K = 40")]
    pub notes: String,
    /// The price of one unit by resolution.
    #[schema(example = json!({"1K": 20, "2K": 20, "4K": 40}))]
    pub resolutions: BTreeMap<String, i64>,
    /// How many outputs one request may ask for.
    #[schema(example = json!([1, 2, 4, 8]))]
    pub counts: Vec<u32>,
    /// The shapes that it makes.
    #[schema(example = json!(["1:1", "16:9", "9:16"]))]
    pub aspect_ratios: Vec<String>,
    /// The lengths that it makes.
    #[schema(example = json!([]))]
    pub durations_seconds: Vec<u32>,
    /// How many input images it takes at most.
    #[schema(example = 16)]
    pub max_input_images: u32,
    /// The longest prompt, in characters.
    #[schema(example = 4000)]
    pub prompt_max_chars: u32,
    /// What is used where a request says nothing.
    pub defaults: Units,
    /// The factors of its prices.
    pub multipliers: Vec<Multiplier>,
    /// Whether this caller can use it now.
    pub available: bool,
    /// Why it can't be used; null where it can.
    #[schema(required = true)]
    pub reason_unavailable: Option<String>,
    /// Who makes the output; null where nobody does.
    #[schema(required = true, example = "sandbox")]
    pub served_by: Option<String>,
    /// How long a task usually takes, in seconds.
    #[schema(example = 15)]
    pub typical_seconds: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_is_that_of_the_contract() {
        let answer = ModelsAnswer {
            currency: "credits".to_owned(),
            price_version: "2026-02-02-v1".to_owned(),
            mode: Mode::Live,
            models: vec![Model {
                model: "V5".to_owned(),
                product: Product::Music,
                modes: vec![Scene::TextToMusic],
                credits: 35,
                unit: "song".to_owned(),
                notes: String::new(),
                resolutions: BTreeMap::new(),
                counts: vec![1],
                aspect_ratios: vec![],
                durations_seconds: vec![120],
                max_input_images: 0,
                prompt_max_chars: 3000,
                defaults: Units { count: Some(1), ..Units::default() },
                multipliers: vec![],
                available: false,
                reason_unavailable: Some("no key".to_owned()),
                served_by: None,
                typical_seconds: 60,
            }],
            presets: vec![Preset {
                preset: "youtube_short".to_owned(),
                products: vec![Product::Video],
                aspect_ratio: "9:16".to_owned(),
                width: None,
                height: None,
                models: vec!["veo3".to_owned()],
            }],
        };
        let expected = json!({
            "currency": "credits", "price_version": "2026-02-02-v1", "mode": "live",
            "models": [{
                "model": "V5", "product": "music", "modes": ["text-to-music"], "credits": 35, "unit": "song",
                "notes": "", "resolutions": {}, "counts": [1], "aspect_ratios": [],
                "durations_seconds": [120],
                "max_input_images": 0, "prompt_max_chars": 3000, "defaults": {"count": 1}, "multipliers": [],
                "available": false, "reason_unavailable": "no key", "served_by": null, "typical_seconds": 60
            }],
            "presets": [{
                "preset": "youtube_short", "products": ["video"], "aspect_ratio": "9:16", "width": null,
                "height": null, "models": ["veo3"]
            }]
        });
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }
}
