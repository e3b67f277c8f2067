//! A typed client of the API, shared by the command line, the MCP bridge and tests.
//!
//! Invariant: a call is sent once; whether to send it again is the caller's decision, who knows its
//! `request_id`. The credential goes to `base_url` only, never along a redirect. Not here: signing, retries,
//! profiles.

mod file;
mod route;

use crate::{
    account::{BalanceAnswer, MeAnswer},
    agent::RegisterAnswer,
    envelope::ErrorData,
    estimate::{EstimateAnswer, EstimateRequest},
    generate::GenerateRequest,
    key::{KeyCreateAnswer, KeyListAnswer, KeyRevokeAnswer},
    model::ModelsAnswer,
    task::TaskAnswer,
    token::{RefreshRequest, TokenAnswer},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt, io, time::Duration};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the wire may be silent; longer than the server waits for a task at most.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long an answer may take beyond the waiting that was asked for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How many redirects a download follows.
const MAX_REDIRECTS: usize = 5;
/// The longest that the server waits for a task.
const MAX_WAIT_SECONDS: u64 = 60;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused the call and said why.
    #[error("{}: {}", .data.error, .data.message)]
    Api {
        /// The HTTP status.
        status: u16,
        /// The error object.
        data: Box<ErrorData>,
    },
    /// The call did not reach the server, or its answer did not reach us.
    #[error("no answer from the gateway: {0}")]
    Transport(#[source] reqwest::Error),
    /// The answer is not what this version of the client understands.
    #[error("HTTP {status} with an unexpected body: {reason}")]
    Decode {
        /// The HTTP status.
        status: u16,
        /// What is unexpected about it.
        reason: String,
    },
    /// The address can't be used.
    #[error("not a usable address: {0}")]
    Address(String),
    /// What was downloaded could not be written.
    #[error("can't write the download: {0}")]
    Write(#[source] io::Error),
}

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

    /// Registers an agent; `signed` is a signed `RegisterRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn register(&self, signed: &Value) -> Result<RegisterAnswer, ClientError> {
        self.post("/api/v1/agents/register", signed).await
    }

    /// Makes an API key; `signed` is a signed `KeyCreateRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn create_key(&self, signed: &Value) -> Result<KeyCreateAnswer, ClientError> {
        self.post("/api/v1/agents/keys/create", signed).await
    }

    /// Lists the agent's keys, by the client's credential or a signed `KeyListRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn list_keys(&self, request: &Value) -> Result<KeyListAnswer, ClientError> {
        self.post("/api/v1/agents/keys/list", request).await
    }

    /// Revokes a key, by the client's credential or a signed `KeyRevokeRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn revoke_key(&self, request: &Value) -> Result<KeyRevokeAnswer, ClientError> {
        self.post("/api/v1/agents/keys/revoke", request).await
    }

    /// Gets an access token for the client's API key; `signed` is a signed `TokenRequest`.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn issue_token(&self, signed: &Value) -> Result<TokenAnswer, ClientError> {
        self.post("/api/v1/agents/auth/token", signed).await
    }

    /// Spends a refresh token for the next pair of tokens.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn refresh(&self, request: &RefreshRequest) -> Result<TokenAnswer, ClientError> {
        self.post("/api/v1/agents/auth/refresh", request).await
    }

    /// Lists the models and their prices.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn models(&self) -> Result<ModelsAnswer, ClientError> {
        self.get("/v1/models/list").await
    }

    /// Tells what a generation would cost.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn estimate(&self, request: &EstimateRequest) -> Result<EstimateAnswer, ClientError> {
        self.post("/v1/credits/estimate", request).await
    }

    /// Tells how many credits there are.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn balance(&self) -> Result<BalanceAnswer, ClientError> {
        self.get("/v1/credits/balance").await
    }

    /// Tells who the credential speaks for.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn me(&self) -> Result<MeAnswer, ClientError> {
        self.get("/v1/me").await
    }

    /// Makes images, video or music. The same `request_id` with the same body may be sent again without harm.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn generate(&self, request: &GenerateRequest) -> Result<TaskAnswer, ClientError> {
        self.post("/v1/generate", request).await
    }

    /// The state of a task, by request id or task id. With `wait_seconds` the server answers once the task is
    /// over, or after that time, at most 60 s.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn poll(&self, request_id: &str, wait_seconds: u64) -> Result<TaskAnswer, ClientError> {
        let wait_seconds = wait_seconds.min(MAX_WAIT_SECONDS);
        let query = if wait_seconds == 0 { String::new() } else { format!("?wait={wait_seconds}") };
        let path = format!("/v1/generate/{}{query}", path_segment(request_id)?);
        let request = self.request(Method::GET, &path);
        call(request.timeout(ANSWER_TIMEOUT + Duration::from_secs(wait_seconds))).await
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// Any `ClientError`.
    pub async fn cancel(&self, request_id: &str) -> Result<TaskAnswer, ClientError> {
        let path = format!("/v1/generate/{}/cancel", path_segment(request_id)?);
        call(self.request(Method::POST, &path).timeout(ANSWER_TIMEOUT)).await
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

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        match &self.bearer {
            Some(credential) => request.bearer_auth(credential),
            None => request,
        }
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

async fn call<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ClientError> {
    let response = request.send().await.map_err(ClientError::Transport)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(ClientError::Transport)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpListener,
        thread::JoinHandle,
    };

    /// Answers each connection with the next text; gives what was asked: head and body.
    fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<(String, String)>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            answers.iter().map(|answer| exchange(&listener.accept().unwrap().0, answer)).collect()
        });
        (address, asked)
    }

    fn exchange(mut stream: &std::net::TcpStream, answer: &str) -> (String, String) {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0);
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    const BALANCE: &str = concat!(
        r#"{"code":0,"message":"ok","data":{"available":980,"held":20,"currency":"credits","#,
        r#""account_id":"acct_1","mode":"test","budgets":[],"of_tomorrow":1}}"#
    );

    #[tokio::test]
    async fn the_credential_goes_along_and_the_envelope_comes_off() {
        let (address, asked) = serve(vec![answer("200 OK", BALANCE)]);
        let balance = Client::new(&address).unwrap().with_bearer("secret").balance().await.unwrap();
        assert_eq!((balance.available, balance.held), (980, 20));
        let (head, _) = asked.join().unwrap().remove(0);
        assert!(head.starts_with("GET /v1/credits/balance HTTP/1.1\r\n"));
        assert!(head.contains("authorization: Bearer secret\r\n"));
    }

    #[tokio::test]
    async fn a_refusal_is_typed_in_both_families() {
        let data = concat!(
            r#"{"error":"rate_limited","message":"m","suggestion":"s","retryable":true,"#,
            r#""trace_id":"t","docs_url":"d"}"#
        );
        let family_a = format!(r#"{{"code":0,"message":"ok","data":{data}}}"#);
        let family_b = format!(r#"{{"success":false,"error":"rate_limited","message":"m","data":{data}}}"#);
        let status = "429 Too Many Requests";
        let (address, asked) = serve(vec![answer(status, &family_a), answer(status, &family_b)]);
        let client = Client::new(&address).unwrap();
        let errors = [
            client.models().await.map(|_| ()).unwrap_err(),
            client.register(&serde_json::json!({})).await.map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            let ClientError::Api { status, data } = error else { panic!("{error:?}") };
            assert_eq!((status, data.code()), (429, Some(crate::ErrorCode::RateLimited)));
        }
        asked.join().unwrap();
    }

    #[tokio::test]
    async fn what_is_no_json_is_no_answer() {
        let (address, asked) =
            serve(vec![answer("502 Bad Gateway", "<html>"), answer("200 OK", r#"{"code":0}"#)]);
        let client = Client::new(&address).unwrap();
        assert!(matches!(client.balance().await, Err(ClientError::Decode { status: 502, .. })));
        assert!(matches!(client.balance().await, Err(ClientError::Decode { status: 200, .. })));
        asked.join().unwrap();
    }

    #[tokio::test]
    async fn ids_stay_one_segment_and_bodies_leave_out_what_is_empty() {
        let error = answer("404 Not Found", "{}");
        let (address, asked) = serve(vec![error.clone(), error]);
        let client = Client::new(&address).unwrap();
        assert!(client.poll("a/../b?c", 500).await.is_err());
        let request = GenerateRequest {
            request_id: Some("r".to_owned()),
            model: "z-image".to_owned(),
            ..Default::default()
        };
        assert!(client.generate(&request).await.is_err());
        let asked = asked.join().unwrap();
        assert!(asked[0].0.starts_with("GET /v1/generate/a%2F..%2Fb%3Fc?wait=60 HTTP/1.1\r\n"), "{asked:?}");
        assert_eq!(asked[1].1, r#"{"request_id":"r","model":"z-image"}"#);
        assert_eq!(path_segment("A.z_~:@+=-9").unwrap(), "A.z_~:@+=-9");
        assert!(["", ".", ".."].iter().all(|id| path_segment(id).is_err()));
    }

    #[tokio::test]
    async fn a_download_follows_redirects_without_the_credential() {
        let redirect =
            "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let (address, asked) = serve(vec![redirect.to_owned(), answer("200 OK", "bytes")]);
        let client = Client::new(&address).unwrap().with_bearer("secret");
        let mut last = (0, None);
        let bytes =
            client.download(&format!("{address}/here"), |done, total| last = (done, total)).await.unwrap();
        assert_eq!((bytes.as_slice(), last), (b"bytes".as_slice(), (5, Some(5))));
        let asked = asked.join().unwrap();
        assert!(asked[1].0.starts_with("GET /there HTTP/1.1\r\n"));
        assert!(asked.iter().all(|(head, _)| !head.contains("secret")));
    }

    #[test]
    fn only_plain_addresses_make_a_client() {
        assert!(Client::new("ftp://example.com").is_err());
        assert!(Client::new("example.com").is_err());
        let client = Client::new("http://127.0.0.1:8787/").unwrap().with_bearer("secret");
        assert_eq!((client.base_url(), client.audience()), ("http://127.0.0.1:8787", "127.0.0.1:8787"));
        assert!(!format!("{client:?}").contains("secret"));
    }
}
