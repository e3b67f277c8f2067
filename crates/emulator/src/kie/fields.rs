//! What kie's requests may hold.
//!
//! Invariant: a field that no page lists is refused, and so is a number where the page says string. Not here:
//! the fields of market models (`market`).
//!
//! Source: docs.kie.ai/veo3-api, 4o-image-api, suno-api, as of 2026-08-19.

use serde_json::Value;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Not empty, at most so many letters.
    Text(usize),
    OneOf(&'static [&'static str]),
    Url,
    /// From so many to so many.
    Urls(usize, usize),
    Flag,
    Whole(i64, i64),
    Share,
    Table,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    needed: bool,
    rule: Rule,
}

impl Field {
    pub(super) const fn needed(name: &'static str, rule: Rule) -> Self {
        Self { name, needed: true, rule }
    }

    pub(super) const fn may(name: &'static str, rule: Rule) -> Self {
        Self { name, needed: false, rule }
    }
}

const CALLBACK: Field = Field::may("callBackUrl", Rule::Url);

pub(super) const VEO: [Field; 11] = [
    Field::needed("prompt", Rule::Text(10_000)),
    Field::may("model", Rule::OneOf(&["veo3", "veo3_fast", "veo3_lite"])),
    Field::may("imageUrls", Rule::Urls(1, 3)),
    Field::may(
        "generationType",
        Rule::OneOf(&["TEXT_2_VIDEO", "FIRST_AND_LAST_FRAMES_2_VIDEO", "REFERENCE_2_VIDEO"]),
    ),
    Field::may("aspect_ratio", Rule::OneOf(&["16:9", "9:16", "Auto"])),
    Field::may("resolution", Rule::OneOf(&["720p", "1080p", "4k"])),
    Field::may("duration", Rule::Whole(4, 8)),
    Field::may("enableTranslation", Rule::Flag),
    Field::may("watermark", Rule::Text(100)),
    Field::may("seeds", Rule::Whole(10_000, 99_999)),
    CALLBACK,
];

pub(super) const FOUR_O: [Field; 4] = [
    Field::needed("size", Rule::OneOf(&["1:1", "3:2", "2:3"])),
    Field::may("prompt", Rule::Text(32_000)),
    Field::may("filesUrl", Rule::Urls(1, 5)),
    CALLBACK,
];

pub(super) const SUNO: [Field; 15] = [
    Field::needed("model", Rule::OneOf(&["V4", "V4_5", "V4_5PLUS", "V4_5ALL", "V5", "V5_5"])),
    Field::needed("callBackUrl", Rule::Url),
    Field::needed("customMode", Rule::Flag),
    Field::needed("instrumental", Rule::Flag),
    Field::needed("prompt", Rule::Text(5000)),
    Field::may("style", Rule::Text(1000)),
    Field::may("title", Rule::Text(80)),
    Field::may("negativeTags", Rule::Text(1000)),
    Field::may("vocalGender", Rule::OneOf(&["m", "f"])),
    Field::may("styleWeight", Rule::Share),
    Field::may("weirdnessConstraint", Rule::Share),
    Field::may("audioWeight", Rule::Share),
    Field::may("personaId", Rule::Text(100)),
    Field::may("personaModel", Rule::Text(100)),
    Field::may("duration", Rule::Whole(10, 360)),
];

/// # Errors
/// The first thing that is wrong.
pub(super) fn check(body: &Value, fields: &[Field]) -> Result<(), String> {
    let Some(given) = body.as_object() else { return Err("the body is no object".to_owned()) };
    if let Some(name) = given.keys().find(|name| !fields.iter().any(|field| field.name == name.as_str())) {
        return Err(format!("{name} is not a parameter"));
    }
    for field in fields {
        match given.get(field.name) {
            None if field.needed => return Err(format!("{} is required", field.name)),
            Some(value) if !holds(field.rule, value) => {
                return Err(format!("{} is not within the range of allowed options", field.name));
            }
            _ => {}
        }
    }
    Ok(())
}

fn holds(rule: Rule, value: &Value) -> bool {
    let is_url = |value: &Value| {
        value.as_str().is_some_and(|text| text.starts_with("http://") || text.starts_with("https://"))
    };
    match rule {
        Rule::Text(most) => value.as_str().is_some_and(|text| (1..=most).contains(&text.chars().count())),
        Rule::OneOf(words) => value.as_str().is_some_and(|text| words.contains(&text)),
        Rule::Url => is_url(value),
        Rule::Urls(least, most) => value
            .as_array()
            .is_some_and(|urls| (least..=most).contains(&urls.len()) && urls.iter().all(is_url)),
        Rule::Flag => value.is_boolean(),
        Rule::Whole(least, most) => value.as_i64().is_some_and(|number| (least..=most).contains(&number)),
        Rule::Share => value.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)),
        Rule::Table => value.is_object(),
    }
}
