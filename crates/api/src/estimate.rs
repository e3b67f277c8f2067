//! The price of a request before it is made, and the quote that fixes it.
//!
//! Invariant: an estimate spends nothing and stores nothing. Not here: how prices are worked out
//! (`rynjer-core`).

use crate::{
    account::Mode,
    generate::{DurationSeconds, Scene, Units},
    model::{Multiplier, Product},
    route::{QualityMode, Routed},
    schema,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{OneOfBuilder, Ref, RefOr, Schema},
};

/// What is bought: the object of `POST /v1/generate`, or only a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CountOrUnits {
    /// Only how many.
    Count(u32),
    /// How many, how large, how long, in which shape.
    Units(Units),
}

impl PartialSchema for CountOrUnits {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("What is bought: the object of `POST /v1/generate`, or only a count."))
            .item(schema::count())
            .item(Ref::from_schema_name(Units::name()))
            .into()
    }
}

impl ToSchema for CountOrUnits {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Units::name().into_owned(), Units::schema()));
        Units::schemas(schemas);
    }
}

/// `POST /v1/credits/estimate`: what a generation would cost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct EstimateRequest {
    /// What the model makes; inferred from the model where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
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
    /// With `auto`: leaves out models that cost more. An estimate for a named model is never refused for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 40)]
    pub max_credits: Option<i64>,
    /// What goes in and what comes out; inferred where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<Scene>,
    /// What is bought; the model's defaults where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<CountOrUnits>,
    /// More about what is bought: `resolution`, `duration`, `aspect_ratio`, as in `units`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Units>,
    /// Pins a price version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\u0000]*$", example = "2026-02-02-v1")]
    pub price_version: Option<String>,
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
}

impl EstimateRequest {
    /// The fields that this call knows.
    pub const FIELDS: &'static [&'static str] = &[
        "product",
        "model",
        "quality_mode",
        "use_case",
        "max_credits",
        "scene",
        "units",
        "options",
        "price_version",
        "count",
        "resolution",
        "duration",
        "aspect_ratio",
        "preset",
        "input_image_urls",
        "image_urls",
    ];
}

/// How the price came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Breakdown {
    /// What the model makes.
    #[serde(rename = "mediaType")]
    pub media_type: Product,
    /// The settings that the price is for, defaults filled in.
    #[schema(value_type = Object, example = json!({"resolution": "1K", "aspect_ratio": "1:1"}))]
    pub options: BTreeMap<String, Value>,
    /// The rules that applied, as sentences.
    #[schema(example = json!(["nano-banana-pro: 20 per image"]))]
    pub price_rules: Vec<String>,
    /// The price of one unit before factors.
    #[schema(minimum = 0, example = 20)]
    pub base: i64,
    /// How many units.
    #[schema(minimum = 1, example = 1)]
    pub count: u32,
    /// The factors that applied.
    pub multipliers: Vec<Multiplier>,
}

/// What a generation would cost, with a quote for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EstimateAnswer {
    /// What `POST /v1/generate` would hold.
    #[schema(minimum = 0, example = 20)]
    pub estimated_credits: i64,
    /// The price version of the estimate.
    #[schema(example = "2026-02-02-v1")]
    pub price_version: String,
    /// The model that it is for: the one that was asked for, or that `auto` chose.
    #[schema(example = "nano-banana-pro")]
    pub model: String,
    /// How `auto` came to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub routed: Option<Routed>,
    /// How the price came about.
    pub breakdown: Breakdown,
    /// Send it to `POST /v1/generate` with the same inputs to pay no more than this.
    pub quote_id: String,
    /// Until when the quote counts, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-03-20T10:01:40Z")]
    pub expires_at: String,
    /// Whether the caller could pay it now.
    pub affordable: bool,
    /// The account's mode.
    pub mode: Mode,
    /// What was ignored, such as unknown fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_known_fields_are_those_of_the_schema() {
        crate::schema::tests::assert_fields::<EstimateRequest>(EstimateRequest::FIELDS);
    }

    #[test]
    fn units_are_an_object_or_a_count() {
        let read = |value| serde_json::from_value::<CountOrUnits>(value).unwrap();
        assert_eq!(read(json!(4)), CountOrUnits::Count(4));
        let units = Units { count: Some(1), resolution: Some("1K".to_owned()), ..Units::default() };
        assert_eq!(read(json!({"count": 1, "resolution": "1K"})), CountOrUnits::Units(units));
    }

    #[test]
    fn the_answer_is_that_of_the_contract() {
        let answer = EstimateAnswer {
            estimated_credits: 36,
            price_version: "2026-02-02-v1".to_owned(),
            model: "wan-2.6".to_owned(),
            routed: None,
            breakdown: Breakdown {
                media_type: Product::Video,
                options: BTreeMap::from([("resolution".to_owned(), json!("1080p"))]),
                price_rules: vec!["1080p: 1.8 times".to_owned()],
                base: 20,
                count: 1,
                multipliers: vec![Multiplier { applies_to: "1080p".to_owned(), factor: "1.8".to_owned() }],
            },
            quote_id: "q".to_owned(),
            expires_at: "2026-03-20T10:01:40Z".to_owned(),
            affordable: true,
            mode: Mode::Test,
            warnings: vec!["unknown field `colour` was ignored".to_owned()],
        };
        let expected = json!({
            "estimated_credits": 36, "price_version": "2026-02-02-v1", "model": "wan-2.6",
            "breakdown": {
                "mediaType": "video", "options": {"resolution": "1080p"}, "price_rules": ["1080p: 1.8 times"],
                "base": 20, "count": 1, "multipliers": [{"applies_to": "1080p", "factor": "1.8"}]
            },
            "quote_id": "q", "expires_at": "2026-03-20T10:01:40Z", "affordable": true, "mode": "test",
            "warnings": ["unknown field `colour` was ignored"]
        });
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }
}
