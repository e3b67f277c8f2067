//! The body of an answer, up to a limit, into a sink.
//!
//! Invariant: never more than one chunk is held, and never more than the limit passed on, whatever the
//! headers say. Not here: time limits for the whole, which are the client's; where a film says that it ends
//! (`media::Outline`).
//!
//! A body is as long as its server declares. One that declares nothing may have no end, and nothing in a film
//! tells one without end from a long one: so of such a body no more is taken than the largest of real outputs
//! have, at once from memory and disk, long before the limit for files whose length is known.

use super::{FetchError, IDLE_TIMEOUT, not_reached};
use crate::{Length, Sink};
use reqwest::{Response, header::CONTENT_ENCODING};

/// The most that is taken of a body whose server does not declare its length.
const UNDECLARED_BYTES_MAX: u64 = 64 << 20;

pub(crate) async fn pour(
    mut response: Response,
    max_bytes: u64,
    sink: &mut dyn Sink,
) -> Result<(), FetchError> {
    let mut encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let message = "The server of the URL sent the file compressed, and was asked not to.";
        return Err(FetchError::Rejected(message.to_owned()));
    }
    let length = match response.content_length() {
        Some(declared) if declared > max_bytes => return Err(too_large(max_bytes)),
        Some(declared) => Length { max_bytes: declared, is_declared: true },
        None => Length { max_bytes: max_bytes.min(UNDECLARED_BYTES_MAX), is_declared: false },
    };
    sink.begin(length);
    let mut total = 0_u64;
    loop {
        let chunk = tokio::time::timeout(IDLE_TIMEOUT, response.chunk()).await;
        let Ok(Ok(chunk)) = chunk else { return Err(not_reached()) };
        let Some(chunk) = chunk else { return Ok(()) };
        total = total.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if total > length.max_bytes {
            return Err(too_large(length.max_bytes));
        }
        sink.take(chunk).await?;
    }
}

fn too_large(max_bytes: u64) -> FetchError {
    FetchError::Rejected(format!("The file at the URL has more than the {max_bytes} bytes allowed."))
}
