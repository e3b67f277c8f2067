//! What came back from a vendor, or that nothing did.
//!
//! Invariant: never more than the limit of the call and one chunk is held. Not here: what an answer means.

use super::{FILES_BYTES_MAX, JSON_BYTES_MAX, said::redacted};
use crate::ProviderError;
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use rynjer_core::time::parse_http_ms;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest wait that a vendor may ask for; beyond it we come back by ourselves.
const RETRY_AFTER_MAX_S: f64 = 3_600.0;
/// The longest answer of all: several of them are held at once.
const PICTURES_BYTES_MAX: usize = 160 << 20;

/// A vendor's answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    /// Of `retry-after-ms` or `retry-after` in seconds.
    pub retry_after_ms: Option<u32>,
    /// The vendor's own id of this call, for its support.
    pub request_id: Option<String>,
    headers: reqwest::header::HeaderMap,
}

impl Answer {
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What time it was at the vendor, in milliseconds since 1970; servers tell whole seconds.
    #[must_use]
    pub(crate) fn date_ms(&self) -> Option<i64> {
        parse_http_ms(self.header("date")?)
    }

    /// The body as JSON of any shape; null if it is none.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Without a key or token of ours, which some vendors quote in what they say about it. Answers that are
    /// longer than any of words bring files, and are left as they are.
    pub(super) fn without(mut self, secret: &str) -> Self {
        if self.body.len() <= JSON_BYTES_MAX {
            self.body = redacted(self.body, secret);
        }
        self
    }

    /// The body as JSON of one shape.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No byte of the request left.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Nobody tried to: too many calls of ours are under way.
    #[error("not tried: {0}")]
    Busy(String),
    /// The request may have arrived.
    #[error("no answer: {0}")]
    Unknown(String),
}

impl Failure {
    /// Never with the URL: it may hold ids of others.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() {
            return Self::NotSent("the vendor could not be reached".to_owned());
        }
        let text = if error.is_timeout() { "it came too late" } else { "the connection broke" };
        Self::Unknown(text.to_owned())
    }
}

/// A submit that failed. A poll treats both alike: it may be asked again.
impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotSent(message) => Self::NotNow { retry_after_ms: None, message },
            Failure::Busy(message) => Self::Busy { message },
            Failure::Unknown(message) => Self::Ambiguous { message },
        }
    }
}

pub(super) async fn read(mut response: Response, bytes_max: usize) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = |name: &str| text(name).and_then(|text| text.trim().parse::<f64>().ok());
    let wait_s = seconds("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| seconds("retry-after"));
    let request_id = text("x-request-id").map(str::to_owned);
    let too_long = || Failure::Unknown("the answer is too long".to_owned());
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(too_long());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::of_body(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    let retry_after_ms = wait_s.and_then(milliseconds);
    Ok(Answer { status, body: body.freeze(), retry_after_ms, request_id, headers })
}

impl Failure {
    /// The head came: whatever broke after it, the request had arrived.
    fn of_body(error: &reqwest::Error) -> Self {
        let text = if error.is_timeout() { "its end came too late" } else { "it was cut off" };
        Self::Unknown(text.to_owned())
    }
}

/// How long an answer may be that brings so many pixels.
#[must_use]
pub(crate) fn pictures_bytes_max(pixels: u64, pixel_bytes_max: u64) -> usize {
    let bytes = usize::try_from(pixels.saturating_mul(pixel_bytes_max)).unwrap_or(usize::MAX);
    bytes.clamp(FILES_BYTES_MAX, PICTURES_BYTES_MAX)
}

/// Whole milliseconds of a wait that a vendor asks for; `None` if it is no sensible one.
#[must_use]
pub(crate) fn milliseconds(seconds: f64) -> Option<u32> {
    if !(0.0..=RETRY_AFTER_MAX_S).contains(&seconds) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 3,600,000")]
    let wait_ms = (seconds * 1000.0).ceil() as u32;
    Some(wait_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_longer_than_the_limit() {
        for (pixels, expected) in
            [(0, FILES_BYTES_MAX), (1 << 24, 6 << 24), (1 << 26, 160 << 20), (u64::MAX, 160 << 20)]
        {
            assert_eq!(pictures_bytes_max(pixels, 6), expected, "{pixels}");
        }
    }
}
