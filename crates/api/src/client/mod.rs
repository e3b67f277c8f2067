//! A typed client of the API, shared by the command line, the MCP bridge and tests.
//!
//! Invariant: a call is sent once; whether to send it again is the caller's decision, who knows its
//! `request_id`. The credential goes to `base_url` only, never along a redirect. Not here: signing, retries,
//! profiles.

mod account;
mod agent;
mod body;
mod direct;
mod error;
mod estimate;
mod file;
mod key;
mod model;
mod output;
mod probe;
mod route;
mod task;
#[cfg(test)]
mod tests;
mod token;
mod usage;

pub use direct::direct;
pub use error::ClientError;
pub use probe::Probe;
pub use usage::UsageTable;

use crate::envelope::ErrorData;
use reqwest::{Method, RequestBuilder, StatusCode, Url, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fmt, time::Duration};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the wire may be silent; longer than the server waits for a task at most.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long an answer may take beyond the waiting that was asked for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What both families of envelopes have in common.
#[derive(Deserialize)]
struct DataOnly<T> {
    data: T,
}

/// A gateway, and the credential to use there.
#[derive(Clone)]
pub struct Client {
    base_url: String,
    bearer: Option<String>,
    http: reqwest::Client,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// Whether a host is this machine itself.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Client {
    /// A client of the gateway at `base_url`, such as `http://127.0.0.1:8787`.
    ///
    /// # Errors
    /// `Address` if it is not an `http` or `https` URL; `Transport` if TLS can't be set up.
    pub fn new(base_url: &str) -> Result<Self, ClientError> {
        let url = Url::parse(base_url).map_err(|error| ClientError::Address(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(ClientError::Address(format!("{base_url} is not a plain http or https URL")));
        }
        let mut http = reqwest::Client::builder();
        if url.host_str().is_some_and(is_loopback) {
            // A proxy of the environment can't reach this machine's own addresses.
            http = http.no_proxy();
        }
        let http = http
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("rynjer/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Transport)?;
        Ok(Self { base_url: url.as_str().trim_end_matches('/').to_owned(), bearer: None, http })
    }

    /// The same client with a credential: an access token or an API key.
    #[must_use]
    pub fn with_bearer(mut self, credential: impl Into<String>) -> Self {
        self.bearer = Some(credential.into());
        self
    }

    /// The gateway's address, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The `audience` to sign: host and port of the gateway.
    #[must_use]
    pub fn audience(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or(self.base_url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Any `GET` of this API whose answer has an envelope.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        call(self.request(Method::GET, path).timeout(ANSWER_TIMEOUT)).await
    }

    /// Any `POST` of this API whose answer has an envelope.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        call(self.request(Method::POST, path).json(body).timeout(ANSWER_TIMEOUT)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        match &self.bearer {
            Some(credential) => request.bearer_auth(credential),
            None => request,
        }
    }
}

async fn call<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ClientError> {
    let response = request.send().await.map_err(ClientError::Transport)?;
    let status = response.status();
    let bytes = body::read(response).await?;
    if !status.is_success() {
        return Err(refusal(status, &bytes));
    }
    match serde_json::from_slice::<DataOnly<T>>(&bytes) {
        Ok(envelope) => Ok(envelope.data),
        Err(error) => Err(decode_error(status, error)),
    }
}

fn refusal(status: StatusCode, bytes: &[u8]) -> ClientError {
    match serde_json::from_slice::<DataOnly<ErrorData>>(bytes) {
        Ok(envelope) => ClientError::Api { status: status.as_u16(), data: Box::new(envelope.data) },
        Err(error) => decode_error(status, error),
    }
}

fn decode_error(status: StatusCode, reason: impl fmt::Display) -> ClientError {
    ClientError::Decode { status: status.as_u16(), reason: reason.to_string() }
}

/// Parameters as the end of an address.
fn query(parameters: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

/// An id as one segment of a path: whatever is not allowed in ids is escaped, so that it can't change the
/// path. URLs treat dots as steps even when escaped, so these are no ids.
fn path_segment(id: &str) -> Result<String, ClientError> {
    if matches!(id, "" | "." | "..") {
        return Err(ClientError::Address(format!("`{id}` is not a request_id")));
    }
    let mut segment = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"._~:@+=-".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(segment)
}
