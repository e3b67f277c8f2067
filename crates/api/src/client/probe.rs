//! Any answer at all, for finding out what listens at an address.
//!
//! Invariant: whatever answers, HTTP status and clock are told, and no more than a small part of its body is
//! read. Not here: what follows from them.

use super::{ANSWER_TIMEOUT, Client, ClientError};
use reqwest::{Method, header};

/// The most bytes of a body that are kept.
const BODY_MAX: usize = 64 * 1024;

/// What came back, whatever it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The HTTP status.
    pub status: u16,
    /// The header `Date`, the other side's clock.
    pub date: Option<String>,
    /// The first bytes of the body.
    pub body: Vec<u8>,
}

impl Client {
    /// Asks for a path and takes any answer, with the client's credential if it has one.
    ///
    /// # Errors
    /// Only `Transport`: an answer that refuses is an answer.
    pub async fn probe(&self, path: &str) -> Result<Probe, ClientError> {
        let request = self.request(Method::GET, path).timeout(ANSWER_TIMEOUT);
        let mut response = request.send().await.map_err(ClientError::Transport)?;
        let date = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
        let date = date.map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(ClientError::Transport)? {
            let room = BODY_MAX.saturating_sub(body.len()).min(chunk.len());
            body.extend_from_slice(chunk.get(..room).unwrap_or_default());
            if body.len() == BODY_MAX {
                break;
            }
        }
        Ok(Probe { status: response.status().as_u16(), date, body })
    }
}
