//! The body of an answer, up to a limit.
//!
//! Invariant: never more than the limit and one chunk is held, whatever the headers say. Not here: time
//! limits, which are the client's.

use super::{FetchError, not_reached};
use bytes::{Bytes, BytesMut};
use reqwest::{Response, header::CONTENT_ENCODING};

/// What is made ready for a body before any of it came; a declared length is not believed.
const FIRST_BYTES: u64 = 64 << 10;

pub(super) async fn read(mut response: Response, max_bytes: u64) -> Result<Bytes, FetchError> {
    let mut encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let message = "The server of the URL sent the file compressed, and was asked not to.";
        return Err(FetchError::Rejected(message.to_owned()));
    }
    let declared = response.content_length();
    if declared.is_some_and(|declared| declared > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let first = declared.unwrap_or(FIRST_BYTES).min(FIRST_BYTES);
    let mut file = BytesMut::with_capacity(usize::try_from(first).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|_| not_reached())? {
        let total = u64::try_from(file.len().saturating_add(chunk.len())).unwrap_or(u64::MAX);
        if total > max_bytes {
            return Err(too_large(max_bytes));
        }
        file.extend_from_slice(&chunk);
    }
    Ok(file.freeze())
}

fn too_large(max_bytes: u64) -> FetchError {
    FetchError::Rejected(format!("The file at the URL has more than the {max_bytes} bytes allowed."))
}
