//! The body of an answer, up to a limit, into a sink.
//!
//! Invariant: never more than one chunk is held, and never more than the limit passed on, whatever the
//! headers say. Not here: time limits for the whole, which are the client's.

use super::{FetchError, IDLE_TIMEOUT, not_reached};
use crate::Sink;
use reqwest::{Response, header::CONTENT_ENCODING};

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
    if response.content_length().is_some_and(|declared| declared > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let mut total = 0_u64;
    loop {
        let chunk = tokio::time::timeout(IDLE_TIMEOUT, response.chunk()).await;
        let Ok(Ok(chunk)) = chunk else { return Err(not_reached()) };
        let Some(chunk) = chunk else { return Ok(()) };
        total = total.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if total > max_bytes {
            return Err(too_large(max_bytes));
        }
        sink.take(chunk).await?;
    }
}

fn too_large(max_bytes: u64) -> FetchError {
    FetchError::Rejected(format!("The file at the URL has more than the {max_bytes} bytes allowed."))
}
