//! Which model to take: the question, the ranked answer, and what `model: "auto"` tells of its choice.
//!
//! Invariant: the first of `models` is what `auto` takes for the same question. Not here: the ranking
//! (`rynjer-core`).

use crate::{
    account::Mode,
    generate::{DurationSeconds, Scene, Units},
    model::Product,
    schema,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QualityMode {
    /// The quickest.
    Fast,
    /// Much quality for a credit.
    #[default]
    Balanced,
    /// The finest.
    High,
}

/// `POST /v1/models/route`: which model suits. Takes the body of `POST /v1/generate` too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RouteRequest {
    /// What is to be made; inferred from the rest where absent, else `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// What goes in and what comes out; inferred where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<Scene>,
    /// What it is for, such as `product`, `ecommerce`, `social`, `portrait` or `song`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\u0000]*$", example = "ecommerce")]
    pub use_case: Option<String>,
    /// What counts most; `balanced` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_mode: Option<QualityMode>,
    /// Leaves out models whose price of this request is higher.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 40)]
    pub max_credits: Option<i64>,
    /// What is bought; each model's defaults where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// The same as `units.count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::nullable_count)]
    pub count: Option<u32>,
    /// The same as `units.resolution`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{1,5}[Kp]$", max_length = 6, example = "1K")]
    pub resolution: Option<String>,
    /// The same as `units.duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<DurationSeconds>,
    /// The same as `units.aspect_ratio`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = "^[0-9]{1,4}(\\.[0-9]{1,2})?:[0-9]{1,4}(\\.[0-9]{1,2})?$",
        max_length = 15,
        example = "1:1"
    )]
    pub aspect_ratio: Option<String>,
    /// The same as `units.preset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "instagram_post")]
    pub preset: Option<String>,
    /// The images to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::image_urls)]
    pub input_image_urls: Option<Vec<String>>,
    /// The same as `input_image_urls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::image_urls)]
    pub image_urls: Option<Vec<String>>,
    /// Only how many images there will be to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 16, example = 1)]
    pub input_images: Option<u32>,
    /// What to make, in words: models whose longest prompt is shorter are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[^\\u0000]*$", example = "A skincare bottle on white")]
    pub prompt: Option<String>,
    /// What to keep out: models that don't take it are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[^\\u0000]*$", example = "text, logos")]
    pub negative_prompt: Option<String>,
    /// Models that don't take a seed are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 4_294_967_295_i64, example = 7)]
    pub seed: Option<i64>,
}

impl RouteRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] = &[
        "product",
        "scene",
        "use_case",
        "quality_mode",
        "max_credits",
        "units",
        "count",
        "resolution",
        "duration",
        "aspect_ratio",
        "preset",
        "input_image_urls",
        "image_urls",
        "input_images",
        "prompt",
        "negative_prompt",
        "seed",
    ];
}

/// A model that can do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RankedModel {
    /// From 1, the best.
    #[schema(minimum = 1, example = 1)]
    pub rank: u32,
    /// The name to send as `model`.
    #[schema(example = "qwen/text-to-image")]
    pub model: String,
    /// What it makes.
    pub product: Product,
    /// The price of this request.
    #[schema(minimum = 0, example = 15)]
    pub credits: i64,
    /// The price of one unit of it.
    #[schema(minimum = 0, example = 15)]
    pub unit_price: i64,
    /// The price version of both.
    #[schema(example = "2026-02-02-v1")]
    pub price_version: String,
    /// Whether this caller can use it now.
    pub available: bool,
    /// Who makes the output.
    #[schema(required = true, example = "sandbox")]
    pub served_by: Option<String>,
    /// How long a task usually takes, in seconds.
    #[schema(example = 15)]
    pub typical_seconds: u32,
    /// Why it stands here, in one sentence.
    pub reason: String,
    /// What would be made, defaults filled in.
    pub units: Units,
}

/// A model that is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnsuitableModel {
    /// Its name.
    #[schema(example = "z-image")]
    pub model: String,
    /// What speaks against it, in a sentence or more.
    pub reason: String,
}

/// The models of one product, the best one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteAnswer {
    /// What counted most.
    pub quality_mode: QualityMode,
    /// What it is for, in the catalog's own word; null if the question named nothing.
    #[schema(required = true, example = "ecommerce")]
    pub use_case: Option<String>,
    /// What is made.
    pub product: Product,
    /// The first of `models`; null if none is left.
    #[schema(required = true, example = "qwen/text-to-image")]
    pub recommended: Option<String>,
    /// Those that can do it, the best one first.
    pub models: Vec<RankedModel>,
    /// The others of the product.
    pub not_suitable: Vec<UnsuitableModel>,
    /// The account's mode.
    pub mode: Mode,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How `model: "auto"` came to its model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Routed {
    /// Why this model, in one sentence.
    pub reason: String,
    /// What counted most.
    pub quality_mode: QualityMode,
    /// What it is for; null if the request named nothing.
    #[schema(required = true, example = "ecommerce")]
    pub use_case: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_known_fields_are_those_of_the_schema() {
        crate::schema::tests::assert_fields::<RouteRequest>(RouteRequest::FIELDS);
    }

    #[test]
    fn what_is_unknown_is_null() {
        let routed = Routed { reason: "r".to_owned(), quality_mode: QualityMode::High, use_case: None };
        let expected = json!({"reason": "r", "quality_mode": "high", "use_case": null});
        assert_eq!(serde_json::to_value(&routed).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Routed>(expected).unwrap(), routed);
    }
}
