//! The models of kie's market: what each takes and makes.
//!
//! Invariant: lengths are strings or numbers as each page says. Not here: models whose page was not read.
//!
//! Source: docs.kie.ai/market/*, as of 2026-08-19.

use super::CLIP_MS;
use super::fields::{Field, Rule};
use crate::{World, media};
use serde_json::Value;

/// The shorter side of what is made; small, since it is made by a CPU.
pub(super) const PICTURE_SIDE: u32 = 640;
pub(super) const CLIP_SIDE: u32 = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Makes {
    Pictures(u32),
    Clip,
}

#[derive(Debug)]
pub(super) struct Model {
    id: &'static str,
    makes: Makes,
    pub(super) fields: &'static [Field],
}

const NANO_RATIOS: Rule =
    Rule::OneOf(&["1:1", "9:16", "16:9", "3:4", "4:3", "3:2", "2:3", "5:4", "4:5", "21:9", "auto"]);
const GROK_RATIOS: Rule = Rule::OneOf(&["2:3", "3:2", "1:1", "16:9", "9:16"]);
const SEEDANCE_RATIOS: Rule = Rule::OneOf(&["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"]);
const QWEN_SIZES: Rule =
    Rule::OneOf(&["square", "square_hd", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]);
const PNG_OR_JPEG: Field = Field::may("output_format", Rule::OneOf(&["png", "jpeg"]));
const CHECKER: Field = Field::may("nsfw_checker", Rule::Flag);
const SEED: Field = Field::may("seed", Rule::Whole(-1, 2_147_483_647));
const PROMPT_5000: Field = Field::needed("prompt", Rule::Text(5000));
const PROMPT_10000: Field = Field::needed("prompt", Rule::Text(10_000));
const FIVE_OR_TEN: Field = Field::may("duration", Rule::OneOf(&["5", "10"]));
const WAN_SECONDS: Field = Field::may("duration", Rule::OneOf(&["5", "10", "15"]));
const TWO_SIZES: Field = Field::may("resolution", Rule::OneOf(&["720p", "1080p"]));
const THREE_SIZES: Field = Field::may("resolution", Rule::OneOf(&["480p", "720p", "1080p"]));

macro_rules! qwen {
    ($prompt:expr, $steps:expr $(, $more:expr)*) => {
        &[
            Field::needed("prompt", Rule::Text($prompt)),
            Field::may("image_size", QWEN_SIZES),
            Field::may("negative_prompt", Rule::Text(500)),
            SEED,
            Field::may("num_inference_steps", Rule::Whole(2, $steps)),
            Field::may("guidance_scale", Rule::Whole(0, 20)),
            Field::may("acceleration", Rule::OneOf(&["none", "regular", "high"])),
            PNG_OR_JPEG,
            Field::may("enable_safety_checker", Rule::Flag),
            $($more,)*
        ]
    };
}

const MODELS: [Model; 15] = [
    Model {
        id: "google/nano-banana",
        makes: Makes::Pictures(1),
        fields: &[
            PROMPT_5000,
            Field::may("aspect_ratio", NANO_RATIOS),
            Field::may("image_size", NANO_RATIOS),
            PNG_OR_JPEG,
            CHECKER,
        ],
    },
    Model {
        id: "google/nano-banana-edit",
        makes: Makes::Pictures(1),
        fields: &[
            PROMPT_5000,
            Field::needed("image_urls", Rule::Urls(1, 10)),
            Field::may("aspect_ratio", NANO_RATIOS),
            Field::may("image_size", NANO_RATIOS),
            PNG_OR_JPEG,
            CHECKER,
        ],
    },
    Model {
        id: "nano-banana-pro",
        makes: Makes::Pictures(1),
        fields: &[
            PROMPT_10000,
            Field::may("image_input", Rule::Urls(0, 8)),
            Field::may("aspect_ratio", NANO_RATIOS),
            Field::may("resolution", Rule::OneOf(&["1K", "2K", "4K"])),
            Field::may("output_format", Rule::OneOf(&["png", "jpg"])),
        ],
    },
    Model { id: "qwen/text-to-image", makes: Makes::Pictures(1), fields: qwen!(5000, 250) },
    Model {
        id: "qwen/image-edit",
        makes: Makes::Pictures(1),
        fields: qwen!(
            2000,
            49,
            Field::needed("image_url", Rule::Url),
            Field::may("num_images", Rule::OneOf(&["1", "2", "3", "4"]))
        ),
    },
    Model {
        id: "z-image",
        makes: Makes::Pictures(1),
        fields: &[
            Field::needed("prompt", Rule::Text(1000)),
            Field::needed("aspect_ratio", Rule::OneOf(&["1:1", "4:3", "3:4", "16:9", "9:16"])),
            CHECKER,
        ],
    },
    Model {
        id: "grok-imagine/text-to-image",
        makes: Makes::Pictures(6),
        fields: &[PROMPT_5000, Field::may("aspect_ratio", GROK_RATIOS), Field::may("enable_pro", Rule::Flag)],
    },
    Model {
        id: "grok-imagine/image-to-image",
        makes: Makes::Pictures(2),
        fields: &[Field::may("prompt", Rule::Text(5000)), Field::needed("image_urls", Rule::Urls(1, 5))],
    },
    Model {
        id: "grok-imagine/text-to-video",
        makes: Makes::Clip,
        fields: &[
            PROMPT_5000,
            Field::may("aspect_ratio", GROK_RATIOS),
            Field::may("mode", Rule::OneOf(&["fun", "normal", "spicy"])),
            Field::may("duration", Rule::Whole(6, 30)),
            THREE_SIZES,
        ],
    },
    Model {
        id: "wan/2-6-text-to-video",
        makes: Makes::Clip,
        fields: &[PROMPT_5000, WAN_SECONDS, TWO_SIZES, Field::may("multi_shots", Rule::Flag)],
    },
    Model {
        id: "wan/2-6-image-to-video",
        makes: Makes::Clip,
        fields: &[
            PROMPT_5000,
            Field::needed("image_urls", Rule::Urls(1, 1)),
            WAN_SECONDS,
            TWO_SIZES,
            Field::may("multi_shots", Rule::Flag),
        ],
    },
    Model {
        id: "bytedance/v1-pro-fast-image-to-video",
        makes: Makes::Clip,
        fields: &[PROMPT_10000, Field::needed("image_url", Rule::Url), TWO_SIZES, FIVE_OR_TEN],
    },
    Model {
        id: "bytedance/v1-pro-text-to-video",
        makes: Makes::Clip,
        fields: &[
            PROMPT_10000,
            Field::may("aspect_ratio", SEEDANCE_RATIOS),
            THREE_SIZES,
            FIVE_OR_TEN,
            Field::may("camera_fixed", Rule::Flag),
            SEED,
        ],
    },
    Model {
        id: "bytedance/v1-pro-image-to-video",
        makes: Makes::Clip,
        fields: &[
            PROMPT_10000,
            Field::needed("image_url", Rule::Url),
            THREE_SIZES,
            FIVE_OR_TEN,
            Field::may("camera_fixed", Rule::Flag),
            SEED,
        ],
    },
    Model {
        id: "bytedance/seedance-1.5-pro",
        makes: Makes::Clip,
        fields: &[
            Field::needed("prompt", Rule::Text(20_000)),
            Field::may("input_urls", Rule::Urls(0, 2)),
            Field::needed("aspect_ratio", SEEDANCE_RATIOS),
            THREE_SIZES,
            Field::needed("duration", Rule::Whole(4, 12)),
            Field::may("fixed_lens", Rule::Flag),
            Field::may("generate_audio", Rule::Flag),
        ],
    },
];

pub(super) fn model(id: &str) -> Option<&'static Model> {
    const { &MODELS }.iter().find(|model| model.id == id)
}

/// What a task makes, of the shape that it asks for.
pub(super) fn files(world: &World, model: &Model, input: &Value) -> Vec<String> {
    let ratio = input["aspect_ratio"].as_str().unwrap_or_else(|| match input["image_size"].as_str() {
        Some("portrait_4_3") => "3:4",
        Some("portrait_16_9") => "9:16",
        Some("landscape_4_3") => "4:3",
        None | Some("landscape_16_9") => "16:9",
        Some(_) => "1:1",
    });
    match model.makes {
        Makes::Clip => {
            let (width, height) = shape(ratio, CLIP_SIDE);
            vec![world.file(&format!("clip-{}.mp4", world.number()), media::clip(width, height, CLIP_MS))]
        }
        Makes::Pictures(count) => {
            let (width, height) = shape(ratio, PICTURE_SIDE);
            let picture = || media::picture(width, height);
            (0..count).map(|_| world.file(&format!("picture-{}.png", world.number()), picture())).collect()
        }
    }
}

/// Pixels of a ratio whose shorter side has so many; the longer is a multiple of 16.
pub(super) fn shape(ratio: &str, side: u32) -> (u32, u32) {
    let parts =
        ratio.split_once(':').and_then(|(w, h)| Some((w.parse::<u32>().ok()?, h.parse::<u32>().ok()?)));
    let (wide, high) = parts.filter(|(wide, high)| *wide > 0 && *high > 0).unwrap_or((1, 1));
    let long = side * wide.max(high) / wide.min(high) / 16 * 16;
    if wide >= high { (long, side) } else { (side, long) }
}
