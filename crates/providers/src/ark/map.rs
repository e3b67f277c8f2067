//! A job as Ark wants it.
//!
//! Invariant: resolution, ratio and length go as fields of their own, whose defaults cost more, and text that
//! Ark would read as options is made harmless. Not here: answers.
//!
//! Source: PyPI `byteplus-python-sdk-v2` 3.0.63 `resources/content_generation/tasks.py`, Ark's page 1520757.

use crate::Job;
use serde_json::{Value, json};
use url::Url;

/// Looks like the hyphen of keyboards, and is none.
const HYPHEN: char = '\u{2010}';
/// What is read as a hyphen, also after the usual normalization of text.
const HYPHENS: [char; 3] = ['-', '\u{FE63}', '\u{FF0D}'];

/// The id of the model at that host.
pub(super) fn model(base_url: &Url, vendor_model: &str) -> String {
    let in_china =
        base_url.host_str().is_some_and(|host| host == "volces.com" || host.ends_with(".volces.com"));
    if in_china && !vendor_model.starts_with("doubao-") && !vendor_model.starts_with("ep-") {
        return format!("doubao-{vendor_model}");
    }
    vendor_model.to_owned()
}

/// The body of a create. No seed: the sources disagree whether the model takes one.
pub(super) fn body(job: &Job, model: &str) -> Value {
    let mut content = Vec::new();
    if !job.prompt.is_empty() {
        content.push(json!({"type": "text", "text": harmless(&job.prompt)}));
    }
    if let Some(image) = job.input_images.first() {
        content.push(
            json!({"type": "image_url", "image_url": {"url": image.data_url()}, "role": "first_frame"}),
        );
    }
    let mut body = json!({
        "model": model,
        "content": content,
        "resolution": resolution(job),
        "ratio": ratio(job),
        "duration": job.duration_ms / 1000,
        "watermark": false,
        "safety_identifier": job.end_user,
    });
    if let Some(url) = &job.callback_url {
        body["callback_url"] = json!(url);
    }
    body
}

fn resolution(job: &Job) -> &str {
    job.resolution.as_deref().unwrap_or("720p")
}

/// A picture decides its own: another ratio would cut its edges off.
fn ratio(job: &Job) -> &str {
    if job.input_images.is_empty() { job.aspect_ratio.as_deref().unwrap_or("16:9") } else { "adaptive" }
}

/// Ark reads `--dur 12` inside a prompt as an option, and a longer clip costs more. Two hyphens or more in a
/// row become others that look the same.
pub(super) fn harmless(prompt: &str) -> String {
    let letters: Vec<char> = prompt.chars().collect();
    let is_hyphen = |index: Option<usize>| {
        index.and_then(|index| letters.get(index)).is_some_and(|letter| HYPHENS.contains(letter))
    };
    let harmless = |(index, letter): (usize, &char)| {
        let in_a_row = is_hyphen(index.checked_sub(1)) || is_hyphen(index.checked_add(1));
        if HYPHENS.contains(letter) && in_a_row { HYPHEN } else { *letter }
    };
    letters.iter().enumerate().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_text() {
        assert_eq!(
            harmless("a fox --dur 12 --rs 1080p"),
            "a fox \u{2010}\u{2010}dur 12 \u{2010}\u{2010}rs 1080p"
        );
        assert_eq!(harmless("---wm"), "\u{2010}\u{2010}\u{2010}wm");
        assert_eq!(harmless("－－dur 12, －\u{FE63}x"), "\u{2010}\u{2010}dur 12, \u{2010}\u{2010}x");
        assert_eq!(harmless("well-known - and -5"), "well-known - and -5");
    }

    #[test]
    fn ids_of_china() {
        let url = |text: &str| Url::parse(text).unwrap();
        let china = url("https://ark.cn-beijing.volces.com/api/v3");
        assert_eq!(model(&china, "m-1"), "doubao-m-1");
        assert_eq!(model(&china, "doubao-m-1"), "doubao-m-1");
        assert_eq!(model(&china, "ep-2"), "ep-2");
        assert_eq!(model(&url("https://ark.ap-southeast.bytepluses.com/api/v3"), "m-1"), "m-1");
        assert_eq!(model(&url("https://notvolces.com/api/v3"), "m-1"), "m-1");
    }
}
