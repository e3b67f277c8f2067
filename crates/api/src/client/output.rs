//! Downloads of outputs, by the typed client.
//!
//! Invariant: the credential never goes along: the address alone opens the file; no more is written than
//! was promised. Not here: checking the hash.

use super::{Client, ClientError, body, decode_error, refusal};
use reqwest::{Response, Url, header};
use std::io;

/// How many redirects a download follows.
const MAX_REDIRECTS: usize = 5;

impl Client {
    /// Downloads an output of at most `bytes_max` into `file`, without the credential, and gives its size.
    /// `on_bytes` learns how much is there and, where the server tells, how much there will be.
    ///
    /// # Errors
    /// Any `ClientError`; `file` may then hold a part.
    pub async fn download_to(
        &self,
        url: &str,
        bytes_max: u64,
        file: &mut (impl io::Write + Send),
        mut on_bytes: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<u64, ClientError> {
        let mut response = self.open(url).await?;
        let total = response.content_length();
        let reason = format!("the download has more than the {bytes_max} bytes that were promised");
        let too_much = decode_error(response.status(), reason);
        if total.is_some_and(|total| total > bytes_max) {
            return Err(too_much);
        }
        let mut done: u64 = 0;
        while let Some(chunk) = response.chunk().await.map_err(ClientError::Transport)? {
            done = done.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if done > bytes_max {
                return Err(too_much);
            }
            file.write_all(&chunk).map_err(ClientError::Write)?;
            on_bytes(done, total);
        }
        file.flush().map_err(ClientError::Write)?;
        Ok(done)
    }

    /// Downloads an output of at most `bytes_max` into memory.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn download(
        &self,
        url: &str,
        bytes_max: u64,
        on_bytes: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        self.download_to(url, bytes_max, &mut bytes, on_bytes).await?;
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
                let bytes = body::read(response).await?;
                return Err(refusal(status, &bytes));
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            url = next(response.url(), location).map_err(|reason| decode_error(status, reason))?;
        }
        Err(ClientError::Address("too many redirects".to_owned()))
    }
}

/// Where a redirect leads. What began encrypted stays so.
fn next(from: &Url, location: Option<&str>) -> Result<Url, &'static str> {
    let next = location.and_then(|location| from.join(location).ok()).ok_or("a redirect to nowhere")?;
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(next),
        ("https", "http") => Err("a redirect from https to http"),
        _ => Err("a redirect to what is neither http nor https"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_does_not_give_up_encryption() {
        let to = |from: &str, location| next(&Url::parse(from).unwrap(), location).map(String::from);
        assert_eq!(to("https://a/b", Some("/c")).unwrap(), "https://a/c");
        assert_eq!(to("http://a/b", Some("http://c/")).unwrap(), "http://c/");
        assert_eq!(to("http://a/b", Some("https://c/")).unwrap(), "https://c/");
        assert_eq!(to("https://a/b", Some("http://a/b")).unwrap_err(), "a redirect from https to http");
        assert!(to("http://a/b", Some("file:///etc/passwd")).is_err());
        assert_eq!(to("https://a/b", None).unwrap_err(), "a redirect to nowhere");
    }
}
