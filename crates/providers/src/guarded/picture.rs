//! Pictures that users send, looked into before anything else touches them.
//!
//! Invariant: nothing is decoded or inflated here, so the cost is one pass over the bytes. Not here: the
//! formats (`media`), fetching.

use super::{FetchError, FetchLimits};
use crate::{
    InputImage,
    media::{Kind, Limits, inspect},
};
use bytes::Bytes;

/// Finds out what a picture is.
///
/// # Errors
///
/// `Rejected`, with a sentence that says what is wrong.
pub fn inspect_image(bytes: &Bytes, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    let limits = Limits { max_bytes: limits.max_bytes, max_pixels: limits.max_pixels };
    let rejected =
        |problem: String| FetchError::Rejected(format!("The input picture is refused: {problem}."));
    let media = inspect(bytes, &limits).map_err(|error| rejected(error.to_string()))?;
    match (media.kind, media.width, media.height) {
        (Kind::Image, Some(width), Some(height)) => {
            Ok(InputImage { bytes: bytes.clone(), mime: media.mime, width, height })
        }
        _ => Err(rejected("it must be a PNG, JPEG or WebP picture".to_owned())),
    }
}
