//! Pictures that users send, looked into before anything else touches them.
//!
//! Invariant: nothing is decoded or inflated here, so the cost is one pass over the bytes and no memory. Not
//! here: the formats (`media`), fetching.

use super::{FetchError, FetchLimits};
use crate::{
    InputImage,
    media::{Limits, inspect_still},
};
use bytes::Bytes;

/// Finds out what a picture is: a PNG, JPEG or WebP by its own bytes, of at most `limits.max_pixels`.
///
/// What a picture that passes guarantees: its type and size are those of its own header; its structure is
/// whole, from the header to the end mark, with every checksum of a PNG right; it is one still picture; and
/// the bytes end where the picture ends. Phones append gain maps and short films there, so a longer file is
/// cut, not refused, and what was hidden behind a picture goes no further.
///
/// What it doesn't guarantee is that the pixels decode: that is left to whoever decodes them, with a limit on
/// memory, because here it would cost 200 MB for an honest picture of 50 megapixels.
///
/// # Errors
///
/// `Rejected`, with a sentence that says what is wrong.
pub fn inspect_image(bytes: &Bytes, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    let limits = Limits { max_bytes: limits.max_bytes, max_pixels: limits.max_pixels };
    let rejected =
        |problem: String| FetchError::Rejected(format!("The input picture is refused: {problem}."));
    let (media, end) = inspect_still(bytes, &limits).map_err(|error| rejected(error.to_string()))?;
    match (media.width, media.height) {
        (Some(width), Some(height)) => Ok(InputImage {
            bytes: bytes.slice(..usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len())),
            mime: media.mime,
            width,
            height,
            url: None,
        }),
        _ => Err(rejected("it has no size".to_owned())),
    }
}
