//! The inputs of a few of Replicate's models, as their pages show them.
//!
//! Invariant: an input that a model doesn't have is refused, so that a wrong mapping is seen. Not here:
//! models that no page was read of.

use serde_json::Value;

const RATIOS: &[&str] =
    &["match_input_image", "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];

/// What may stand under a name.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    File,
    Files,
    Flag,
    /// From the first to the second.
    Number(i64, i64),
    Numbers(&'static [i64]),
    Word(&'static [&'static str]),
}

type Field = (&'static str, Kind);

const BANANA: &[Field] = &[
    ("prompt", Kind::Text),
    ("image_input", Kind::Files),
    ("aspect_ratio", Kind::Word(RATIOS)),
    ("output_format", Kind::Word(&["jpg", "png"])),
];
const BANANA_PRO: &[Field] = &[
    ("prompt", Kind::Text),
    ("image_input", Kind::Files),
    ("aspect_ratio", Kind::Word(RATIOS)),
    ("resolution", Kind::Word(&["1K", "2K", "4K"])),
    ("output_format", Kind::Word(&["jpg", "png"])),
    (
        "safety_filter_level",
        Kind::Word(&["block_low_and_above", "block_medium_and_above", "block_only_high"]),
    ),
];
const Z_IMAGE: &[Field] = &[
    ("prompt", Kind::Text),
    ("width", Kind::Number(64, 1440)),
    ("height", Kind::Number(64, 1440)),
    ("num_inference_steps", Kind::Number(1, 50)),
    ("guidance_scale", Kind::Number(0, 20)),
    ("seed", Kind::Number(0, i64::MAX)),
    ("output_format", Kind::Word(&["jpg", "png", "webp"])),
    ("output_quality", Kind::Number(0, 100)),
];
const VEO: &[Field] = &[
    ("prompt", Kind::Text),
    ("image", Kind::File),
    ("last_frame", Kind::File),
    ("negative_prompt", Kind::Text),
    ("aspect_ratio", Kind::Word(&["16:9", "9:16"])),
    ("duration", Kind::Numbers(&[4, 6, 8])),
    ("resolution", Kind::Word(&["720p", "1080p"])),
    ("generate_audio", Kind::Flag),
    ("seed", Kind::Number(0, i64::MAX)),
];
const MODELS: &[(&str, &[Field])] = &[
    ("google/nano-banana", BANANA),
    ("google/nano-banana-pro", BANANA_PRO),
    ("prunaai/z-image-turbo", Z_IMAGE),
    ("google/veo-3.1", VEO),
    ("google/veo-3.1-fast", VEO),
];

fn fields(model: &str) -> Option<&'static [Field]> {
    MODELS.iter().find(|(name, _)| *name == model).map(|(_, fields)| *fields)
}

pub(super) fn is_known(model: &str) -> bool {
    fields(model).is_some()
}

pub(super) fn is_video(model: &str) -> bool {
    model.contains("/veo-")
}

/// What is wrong with an input.
pub(super) fn problem(model: &str, input: &Value) -> Option<String> {
    let known = fields(model)?;
    let Some(given) = input.as_object() else { return Some("- input must be an object\n".to_owned()) };
    if !given.contains_key("prompt") {
        return Some("- input: prompt is required\n".to_owned());
    }
    given.iter().find_map(|(name, value)| match known.iter().find(|(known, _)| known == name) {
        None => Some(format!("- input: Additional property {name} is not allowed\n")),
        Some((_, kind)) => {
            let right = is_right(*kind, value);
            (!right).then(|| format!("- input.{name}: the value is not allowed\n"))
        }
    })
}

fn is_right(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Flag => value.is_boolean(),
        Kind::File => is_file(value),
        Kind::Files => value.as_array().is_some_and(|all| all.iter().all(is_file)),
        Kind::Number(least, most) => value.as_i64().is_some_and(|number| (least..=most).contains(&number)),
        Kind::Numbers(all) => value.as_i64().is_some_and(|number| all.contains(&number)),
        Kind::Word(all) => value.as_str().is_some_and(|word| all.contains(&word)),
    }
}

/// A URL, or up to 256 kB inside the request.
fn is_file(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let inline = text.starts_with("data:") && text.len() <= 256_000;
    inline || text.starts_with("https://") || text.starts_with("http://")
}
