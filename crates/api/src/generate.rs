//! The request that makes images, video or music.
//!
//! Invariant: `null` equals absent, so every optional field is an `Option` that is left out when empty. Not
//! here: normalization and limits (the server), the answer (`task`).

use crate::{model::Product, route::QualityMode, schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type},
};

/// What goes in and what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scene {
    /// A prompt becomes pictures.
    TextToImage,
    /// Pictures become pictures.
    ImageToImage,
    /// A prompt becomes a clip.
    TextToVideo,
    /// A picture becomes a clip.
    ImageToVideo,
    /// A prompt becomes a song.
    TextToMusic,
}

/// A length in seconds: a number, or the same as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DurationSeconds {
    /// Such as `5`.
    Number(u32),
    /// Such as `"5"`.
    Text(String),
}

impl PartialSchema for DurationSeconds {
    fn schema() -> RefOr<Schema> {
        let number =
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(99_999)).build();
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[1-9][0-9]{0,4}$")).build();
        OneOfBuilder::new()
            .description(Some("A length in seconds: a number, or the same as text."))
            .examples([serde_json::json!(5), serde_json::json!("5")])
            .item(number)
            .item(text)
            .into()
    }
}

impl ToSchema for DurationSeconds {}

impl DurationSeconds {
    /// The length as a number; none for text that isn't one.
    #[must_use]
    pub fn seconds(&self) -> Option<u32> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Self::Text(_) => None,
        }
    }
}

/// What is bought: how many, how large, how long, in which shape.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Units {
    /// How many images to make: 1, 2, 4 or 8; video and music take 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::nullable_count)]
    pub count: Option<u32>,
    /// One of the model's resolutions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{1,5}[Kp]$", max_length = 6, example = "1K")]
    pub resolution: Option<String>,
    /// One of the model's lengths, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<DurationSeconds>,
    /// One of the model's shapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = "^[0-9]{1,4}(\\.[0-9]{1,2})?:[0-9]{1,4}(\\.[0-9]{1,2})?$",
        max_length = 15,
        example = "1:1"
    )]
    pub aspect_ratio: Option<String>,
    /// A size by the name of its platform, from `presets` of `GET /v1/models/list`; stands for
    /// `aspect_ratio`, and for pictures without a `resolution` gives the exact pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "instagram_post")]
    pub preset: Option<String>,
}

impl Units {
    /// The fields that it knows.
    pub const FIELDS: &'static [&'static str] =
        &["count", "resolution", "duration", "aspect_ratio", "preset"];
}

/// `POST /v1/generate`. The same `request_id` with the same body is the same task and is never charged twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct GenerateRequest {
    /// Your name for the task, used once: 1 to 255 of `A–Z a–z 0–9 . _ ~ : @ + = -`, not `.` or `..`. The
    /// header `Idempotency-Key` can stand for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        value_type = String,
        required = true,
        min_length = 1,
        max_length = 255,
        pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._~:@+=-]+$",
        example = "demo-uuid-001"
    )]
    pub request_id: Option<String>,
    /// A name from `GET /v1/models/list`, or `auto` for the first of `POST /v1/models/route`.
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$", example = "nano-banana-pro")]
    pub model: String,
    /// With `auto`: what counts most; `balanced` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_mode: Option<QualityMode>,
    /// With `auto`: what it is for, such as `product`, `ecommerce`, `social`, `portrait` or `song`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\u0000]*$", example = "ecommerce")]
    pub use_case: Option<String>,
    /// What to make, in words; required for text-to-*. The longest is the model's `prompt_max_chars`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = "^[^\\u0000]*$",
        example = "Studio product shot of a matte black smart speaker on a neutral background"
    )]
    pub prompt: Option<String>,
    /// What the model makes; inferred from the model where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// What goes in and what comes out; inferred where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<Scene>,
    /// What is bought; the model's defaults where absent.
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
    /// The images to start from: URLs, `data:` URIs, or ids of uploaded files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::image_urls)]
    pub input_image_urls: Option<Vec<String>>,
    /// The same as `input_image_urls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::image_urls)]
    pub image_urls: Option<Vec<String>>,
    /// Pins a price version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\u0000]*$", example = "2026-02-02-v1")]
    pub price_version: Option<String>,
    /// Refuses the request if its price is higher. With `auto` it limits the choice first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 40)]
    pub max_credits: Option<i64>,
    /// The quote from `POST /v1/credits/estimate`; the lower of quoted and current price is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 2048, pattern = "^[^\\u0000]*$")]
    pub quote_id: Option<String>,
    /// Puts the task into a run, whose spending `run_max_credits` limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[A-Za-z0-9._~:@+=-]+$",
        example = "nightly-2026-03-20"
    )]
    pub run_id: Option<String>,
    /// The most that the run may spend; fixed at its first use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 500)]
    pub run_max_credits: Option<i64>,
    /// Your own notes on the task: up to 16 pairs of text, given back with its answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::metadata)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Where to send the result. Refused where the gateway does not deliver webhooks yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 2048, pattern = "^https?://[^\\u0000]*$")]
    pub webhook_url: Option<String>,
    /// Makes results repeatable, where the model takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 4_294_967_295_i64, example = 7)]
    pub seed: Option<i64>,
    /// What to keep out, where the model takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[^\\u0000]*$", example = "text, logos")]
    pub negative_prompt: Option<String>,
}

impl GenerateRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] = &[
        "request_id",
        "model",
        "quality_mode",
        "use_case",
        "prompt",
        "product",
        "scene",
        "units",
        "count",
        "resolution",
        "duration",
        "aspect_ratio",
        "preset",
        "input_image_urls",
        "image_urls",
        "price_version",
        "max_credits",
        "quote_id",
        "run_id",
        "run_max_credits",
        "metadata",
        "webhook_url",
        "seed",
        "negative_prompt",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{assert_fields, required};
    use serde_json::json;

    #[test]
    fn the_known_fields_are_those_of_the_schemas() {
        assert_fields::<GenerateRequest>(GenerateRequest::FIELDS);
        assert_fields::<Units>(Units::FIELDS);
        assert_eq!(required::<GenerateRequest>(), ["model", "request_id"]);
    }

    #[test]
    fn null_equals_absent() {
        let body = json!({"request_id": "r", "model": "m", "units": null, "count": null, "metadata": null});
        let request: GenerateRequest = serde_json::from_value(body).unwrap();
        assert_eq!(serde_json::to_value(request).unwrap(), json!({"request_id": "r", "model": "m"}));
    }

    #[test]
    fn duration_is_a_number_or_its_text() {
        let seconds = |value| serde_json::from_value::<DurationSeconds>(value).map(|d| d.seconds()).ok();
        assert_eq!(seconds(json!(5)), Some(Some(5)));
        assert_eq!(seconds(json!("5")), Some(Some(5)));
        assert_eq!(seconds(json!("+5")), Some(None));
        assert_eq!(seconds(json!("")), Some(None));
        assert_eq!(seconds(json!(5.5)), None);
        assert_eq!(seconds(json!(-5)), None);
    }

    #[test]
    fn scenes_are_those_of_the_running_service() {
        let scenes = [Scene::TextToImage, Scene::ImageToImage, Scene::TextToVideo, Scene::ImageToVideo];
        assert_eq!(
            serde_json::to_value(scenes).unwrap(),
            json!(["text-to-image", "image-to-image", "text-to-video", "image-to-video"])
        );
    }
}
