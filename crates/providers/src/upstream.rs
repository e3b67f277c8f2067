//! One HTTP client for calls to a vendor's API: the key, time and size limits, and what a failed call means.
//!
//! Invariant: the key goes to origins that the operator named and to no other, redirects are not followed, no
//! answer holds the key, and a failure says whether bytes may have left. Not here: what a vendor's answer
//! means (each adapter's `wire`), files that vendors name by URL (`guarded`, reached by [`Upstream::fetch`]).

mod answer;
mod id;
mod pace;
mod said;

pub use answer::{Answer, Failure};
pub(crate) use answer::{milliseconds, pictures_bytes_max};
pub(crate) use id::{plain_id, plain_segment};
pub(crate) use said::{sentence, told, told_of_field};

use crate::{
    Sink,
    guarded::{FetchError, FetchLimits, GuardError, GuardSettings, GuardedClient, pour},
};
use answer::read;
use bytes::Bytes;
use pace::Pace;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
    multipart::Form,
};
use serde_json::Value;
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};
use url::{Origin, Url};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer of JSON.
pub const JSON_BYTES_MAX: usize = 4 << 20;
/// The longest answer that brings files inside its JSON.
pub const FILES_BYTES_MAX: usize = 48 << 20;
/// How long a call that only asks may take.
pub const ASK_TIMEOUT_MS: u32 = 30_000;
const FIELDS_TYPE: &str = "application/x-www-form-urlencoded";
const USER_AGENT: &str = concat!("rynjer/", env!("CARGO_PKG_VERSION"));

/// A vendor's key. It can't be printed.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the text, white space around it aside.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text, for whoever signs or sends it.
    #[must_use]
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// What the operator says about one vendor.
#[derive(Debug, Clone)]
pub struct VendorSettings {
    pub base_url: Url,
    pub api_key: ApiKey,
    /// How long a submit that answers with the finished output may take.
    pub submit_timeout_ms: u32,
    /// Submits in a second; 0 is no limit of ours.
    pub submits_per_second: u32,
    /// Submits under way at once.
    pub concurrency: u32,
    /// Hosts that outputs may be fetched from although their addresses aren't public, beside the base URL's.
    pub allow_hosts: Vec<String>,
    /// For fetching one output.
    pub fetch_timeout_ms: u32,
}

/// How a vendor wants its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStyle {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `Authorization: Key KEY`
    Key,
    /// A header of the vendor's own.
    Header(&'static str),
    /// The adapter sets a header itself, see [`Call::bearer`].
    None,
}

/// A call to be made.
#[derive(Debug)]
pub struct Call {
    method: Method,
    url: Url,
    headers: Vec<(&'static str, String)>,
    body: Body,
    bearer: Option<ApiKey>,
    timeout_ms: u32,
    bytes_max: usize,
    /// It may make something that is billed: no kept connection, since a dead one looks like a lost answer.
    submits: bool,
}

#[derive(Debug)]
enum Body {
    None,
    Json(Value),
    Form(Form),
    /// Names and values, as a web form without files sends them.
    Fields(String),
}

impl Call {
    /// A call that only asks.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: Body::None,
            bearer: None,
            timeout_ms: ASK_TIMEOUT_MS,
            bytes_max: JSON_BYTES_MAX,
            submits: false,
        }
    }

    /// A call with another method that makes nothing which is billed, such as a cancel.
    #[must_use]
    pub fn ask(method: Method, url: Url) -> Self {
        Self { method, ..Self::get(url) }
    }

    /// A `POST` that may make something which is billed.
    #[must_use]
    pub fn submit(url: Url) -> Self {
        Self { method: Method::POST, submits: true, ..Self::get(url) }
    }

    #[must_use]
    pub fn json(self, body: Value) -> Self {
        Self { body: Body::Json(body), ..self }
    }

    #[must_use]
    pub fn form(self, form: Form) -> Self {
        Self { body: Body::Form(form), ..self }
    }

    /// Names and values, as a web form without files sends them.
    #[must_use]
    pub fn fields(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self { body: Body::Fields(body), ..self }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A token in the place of the key.
    #[must_use]
    pub fn bearer(self, token: ApiKey) -> Self {
        Self { bearer: Some(token), ..self }
    }

    #[must_use]
    pub fn timeout_ms(self, timeout_ms: u32) -> Self {
        Self { timeout_ms, ..self }
    }

    /// How long the answer may be.
    #[must_use]
    pub fn bytes_max(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }
}

/// What a call for a file brought.
#[derive(Debug)]
pub enum Poured {
    /// All of it is in the sink.
    File,
    /// Another answer; nothing is in the sink.
    Else(Answer),
}

/// The client of one vendor.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    settings: VendorSettings,
    key_style: KeyStyle,
    origins: Vec<Origin>,
    /// For calls that only ask.
    kept: Client,
    /// For submits: each has a connection of its own.
    fresh: Client,
    guarded: GuardedClient,
    pace: Pace,
}

impl Upstream {
    /// The client of a vendor. The key goes to the origin of the base URL and to `more_origins`.
    ///
    /// # Errors
    /// A host of `allow_hosts` can't be read, or TLS can't be set up.
    pub fn new(
        settings: VendorSettings,
        key_style: KeyStyle,
        more_origins: &[&Url],
    ) -> Result<Self, GuardError> {
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .http1_only()
                .connect_timeout(CONNECT_TIMEOUT)
        };
        let mut allow_hosts = settings.allow_hosts.clone();
        // The operator named the base URL, so its host may be anywhere, also on loopback.
        if let (Some(host), Some(port)) =
            (settings.base_url.host_str(), settings.base_url.port_or_known_default())
        {
            allow_hosts.push(format!("{host}:{port}"));
        }
        let guarded =
            GuardedClient::new(GuardSettings { allow_hosts, timeout_ms: settings.fetch_timeout_ms })?;
        let mut origins = vec![settings.base_url.origin()];
        origins.extend(more_origins.iter().map(|url| url.origin()));
        let pace = Pace::new(settings.submits_per_second, settings.concurrency);
        Ok(Self(Arc::new(Inner {
            key_style,
            origins,
            kept: builder().build().map_err(GuardError::Client)?,
            fresh: builder().pool_max_idle_per_host(0).build().map_err(GuardError::Client)?,
            guarded,
            pace,
            settings,
        })))
    }

    /// What the operator said.
    #[must_use]
    pub fn settings(&self) -> &VendorSettings {
        &self.0.settings
    }

    /// A path below the base URL; it begins with a slash, and may have a query.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        below(&self.0.settings.base_url, path)
    }

    /// Whether a URL that the vendor named has an origin which may see the key.
    #[must_use]
    pub fn trusts(&self, url: &Url) -> bool {
        self.0.origins.contains(&url.origin())
    }

    /// Makes a call. Submits wait for their turn first.
    ///
    /// # Errors
    /// [`Failure::NotSent`] if no byte of it left, [`Failure::Unknown`] otherwise.
    pub async fn send(&self, call: Call) -> Result<Answer, Failure> {
        if !self.trusts(&call.url) {
            return Err(Failure::NotSent("the vendor named a URL at another host".to_owned()));
        }
        let _turn = if call.submits { Some(self.0.pace.turn().await?) } else { None };
        let (bytes_max, token) = (call.bytes_max, call.bearer.clone());
        let answer = read(self.ask(call).await?, bytes_max).await?.without(self.key());
        Ok(token.iter().fold(answer, |answer, token| answer.without(token.expose())))
    }

    /// Makes a call that asks for a file, which goes into the sink; any other answer is given back.
    ///
    /// # Errors
    /// As [`GuardedClient::fetch_into`].
    pub async fn pour(&self, call: Call, max_bytes: u64, sink: &mut dyn Sink) -> Result<Poured, FetchError> {
        let unreachable = |failure: Failure| FetchError::Unreachable(failure.to_string());
        if !self.trusts(&call.url) {
            return Err(FetchError::Forbidden("the vendor named a URL at another host".to_owned()));
        }
        let response = self.ask(call).await.map_err(unreachable)?;
        if response.status() == StatusCode::OK {
            return pour(response, max_bytes, sink).await.map(|()| Poured::File);
        }
        let answer = read(response, JSON_BYTES_MAX).await.map_err(unreachable)?;
        Ok(Poured::Else(answer.without(self.key())))
    }

    /// Sends a call to an origin that may see the key.
    async fn ask(&self, call: Call) -> Result<Response, Failure> {
        let client = if call.submits { &self.0.fresh } else { &self.0.kept };
        let time = Duration::from_millis(u64::from(call.timeout_ms));
        let mut request = client.request(call.method, call.url).timeout(time);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let token = call.bearer;
        let (name, value) = match (&token, self.0.key_style) {
            (Some(token), _) => (AUTHORIZATION, format!("Bearer {}", token.expose())),
            (None, KeyStyle::Bearer) => (AUTHORIZATION, format!("Bearer {}", self.key())),
            (None, KeyStyle::Key) => (AUTHORIZATION, format!("Key {}", self.key())),
            (None, KeyStyle::Header(name)) => (HeaderName::from_static(name), self.key().to_owned()),
            (None, KeyStyle::None) => (AUTHORIZATION, String::new()),
        };
        if !value.is_empty() {
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| Failure::NotSent("the key has letters that no header can carry".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request = match call.body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Form(form) => request.multipart(form),
            Body::Fields(text) => request.header(CONTENT_TYPE, FIELDS_TYPE).body(text),
        };
        request.send().await.map_err(|error| Failure::of(&error))
    }

    /// Fetches a file that the vendor named, as if a stranger had named it, without the key.
    ///
    /// # Errors
    /// As [`GuardedClient::fetch`]; and no file of a vendor that is asked by https is fetched in clear.
    pub async fn fetch(&self, url: &str, limits: &FetchLimits) -> Result<Bytes, FetchError> {
        let url = self.as_safe_as_the_vendor(url)?;
        self.0.guarded.fetch(&url, limits).await
    }

    /// As [`Self::fetch`], into a sink.
    ///
    /// # Errors
    /// As `fetch`, and what the sink refuses with.
    pub async fn fetch_into(
        &self,
        url: &str,
        limits: &FetchLimits,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        let url = self.as_safe_as_the_vendor(url)?;
        self.0.guarded.fetch_as_vendor(&url, limits, sink).await
    }

    /// A vendor that is asked by https has https: a URL of http is asked for by it too, unless it names a
    /// port, where nothing else would answer.
    fn as_safe_as_the_vendor<'a>(&self, url: &'a str) -> Result<Cow<'a, str>, FetchError> {
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() != "https");
        let Some(mut parsed) = parsed.filter(|_| self.0.settings.base_url.scheme() == "https") else {
            return Ok(url.into());
        };
        if parsed.scheme() == "http" && parsed.port().is_none() && parsed.set_scheme("https").is_ok() {
            return Ok(String::from(parsed).into());
        }
        let message = "the provider named a file that is not behind https".to_owned();
        Err(FetchError::Forbidden(message))
    }

    fn key(&self) -> &str {
        self.0.settings.api_key.expose()
    }
}

/// A path below a base URL, whose own path stays.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_as_safe_as_their_vendor() {
        let upstream = |base_url: &str| {
            let settings = VendorSettings {
                base_url: base_url.parse().unwrap(),
                api_key: ApiKey::new("k"),
                submit_timeout_ms: 1,
                submits_per_second: 0,
                concurrency: 1,
                allow_hosts: Vec::new(),
                fetch_timeout_ms: 1,
            };
            Upstream::new(settings, KeyStyle::Bearer, &[]).unwrap()
        };
        let (safe, open) = (upstream("https://a.example/v1"), upstream("http://a.example/v1"));
        for (named, asked) in [
            ("https://b.example/x?y#z", Some("https://b.example/x?y#z")),
            ("http://b.example/x?y", Some("https://b.example/x?y")),
            ("http://b.example:80/x", Some("https://b.example/x")),
            ("http://b.example:8080/x", None),
            ("ftp://b.example/x", None),
        ] {
            assert_eq!(safe.as_safe_as_the_vendor(named).ok().as_deref(), asked, "{named}");
            assert_eq!(open.as_safe_as_the_vendor(named).unwrap(), named);
        }
    }
}
