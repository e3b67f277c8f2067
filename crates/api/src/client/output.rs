//! Downloads of outputs, by the typed client.
//!
//! Invariant: the credential never goes along: the address alone opens the file. Not here: checking the
//! hash.

use super::{Client, ClientError, decode_error, refusal};
use reqwest::{Response, Url, header};
use std::io;

/// How many redirects a download follows.
const MAX_REDIRECTS: usize = 5;

impl Client {
    /// Downloads an output into `file`, without the credential, and gives its size. `on_bytes` learns how
    /// much is there and, where the server tells, how much there will be.
    ///
    /// # Errors
    /// Any `ClientError`; `file` may then hold a part.
    pub async fn download_to(
        &self,
        url: &str,
        file: &mut (impl io::Write + Send),
        mut on_bytes: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<u64, ClientError> {
        let mut response = self.open(url).await?;
        let total = response.content_length();
        let mut done: u64 = 0;
        while let Some(chunk) = response.chunk().await.map_err(ClientError::Transport)? {
            file.write_all(&chunk).map_err(ClientError::Write)?;
            done = done.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            on_bytes(done, total);
        }
        file.flush().map_err(ClientError::Write)?;
        Ok(done)
    }

    /// Downloads an output into memory.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn download(
        &self,
        url: &str,
        on_bytes: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        self.download_to(url, &mut bytes, on_bytes).await?;
        Ok(bytes)
    }

    /// Follows redirects, as object storage may answer with one, and gives the response that has the file.
    async fn open(&self, url: &str) -> Result<Response, ClientError> {
        let mut url = Url::parse(url).map_err(|error| ClientError::Address(error.to_string()))?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.http.get(url).send().await.map_err(ClientError::Transport)?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !status.is_redirection() {
                let bytes = response.bytes().await.map_err(ClientError::Transport)?;
                return Err(refusal(status, &bytes));
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let Some(next) = location.and_then(|location| response.url().join(location).ok()) else {
                return Err(decode_error(status, "a redirect to nowhere"));
            };
            url = next;
        }
        Err(ClientError::Address("too many redirects".to_owned()))
    }
}
