//! What LTX-2's endpoints take, and what is wrong with an input in the words of their checks.
//!
//! Invariant: a field that an endpoint doesn't have is refused, so that a wrong mapping is seen. fal itself
//! may pass over it. Not here: jobs.

use serde_json::{Value, json};

/// Whether there is such an endpoint.
pub(super) fn is_known(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("fal-ai/") else { return false };
    let Some((app, path)) = rest.split_once('/') else { return false };
    let paths = ["image-to-video", "image-to-video/fast", "text-to-video", "text-to-video/fast"];
    ["ltx-2", "ltx-2.3"].contains(&app) && paths.contains(&path)
}

/// How the job ends, if something is wrong.
pub(super) fn problem(endpoint: &str, input: &Value) -> Option<Value> {
    let Some(fields) = input.as_object() else { return Some(wrong("body", "missing", "Field required")) };
    let needed = if endpoint.contains("image-to-video") { &["prompt", "image_url"][..] } else { &["prompt"] };
    if let Some(field) = needed.iter().find(|field| !fields.get(**field).is_some_and(Value::is_string)) {
        return Some(wrong(field, "missing", "Field required"));
    }
    let kind = |(name, value): (&String, &Value)| {
        let right = is_right(endpoint, name, value)?;
        (!right).then(|| wrong(name, "one_of", "Input should be one of the allowed values"))
    };
    let unknown = fields.iter().find(|(name, value)| is_right(endpoint, name, value).is_none());
    let unknown = unknown.map(|(name, _)| wrong(name, "extra_forbidden", "Extra inputs are not permitted"));
    unknown.or_else(|| fields.iter().find_map(kind))
}

/// `None` if the endpoint has no such field.
fn is_right(endpoint: &str, name: &str, value: &Value) -> Option<bool> {
    let is_fast = endpoint.ends_with("/fast");
    let is_23 = endpoint.contains("ltx-2.3");
    let one_of = |words: &[&str]| value.as_str().is_some_and(|word| words.contains(&word));
    // The generated types of its client write numbers as texts, its own schema as numbers.
    let number = |numbers: &[u64]| {
        let text = value.as_str().and_then(|text| text.parse().ok());
        value.as_u64().or(text).is_some_and(|number| numbers.contains(&number))
    };
    Some(match name {
        "prompt" => value.is_string(),
        "image_url" if endpoint.contains("image-to-video") => is_picture(value),
        "end_image_url" if is_23 => is_picture(value),
        "duration" if is_fast => number(&[6, 8, 10, 12, 14, 16, 18, 20]),
        "duration" => number(&[6, 8, 10]),
        "resolution" => one_of(&["1080p", "1440p", "2160p"]),
        "fps" if is_23 => number(&[24, 25, 48, 50]),
        "fps" => number(&[25, 50]),
        "generate_audio" => value.is_boolean(),
        "aspect_ratio" if is_23 => one_of(&["auto", "16:9", "9:16"]),
        _ => return None,
    })
}

fn is_picture(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let inline = text.starts_with("data:image/") && text.contains(";base64,");
    inline || text.starts_with("https://") || text.starts_with("http://")
}

fn wrong(field: &str, kind: &str, message: &str) -> Value {
    let detail = json!([{"loc": ["body", field], "msg": message, "type": kind,
        "url": "https://docs.fal.ai/errors", "input": null}]);
    json!({"status": 422, "body": {"detail": detail}})
}
