//! The one client that fetches URLs which users name.
//!
//! Invariant: a connection goes to an address that was checked for this hop and to no other; a name is
//! resolved once per hop, and each redirect is a new hop, checked from scratch. What a refused address is, or
//! whether anything answers there, is never told: every URL that gave no answer gets the same sentence. Not
//! here: which addresses are public (`rynjer_core::address`), what a picture is (`media`), retries.

mod allow;
mod body;
mod picture;
mod resolve;
mod target;

pub(crate) use body::pour;
pub use picture::inspect_image;
pub use resolve::{Resolve, SystemResolver};

use crate::{InputImage, Sink};
use allow::AllowList;
use bytes::{Bytes, BytesMut};
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION},
};
use resolve::{PINNED, PinnedAddresses};
use rynjer_core::address::is_public;
use std::{net::IpAddr, sync::Arc, time::Duration};
use target::Target;
use url::Host;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;
/// Names and values of all headers of an answer, in bytes.
const MAX_HEADER_BYTES: usize = 32 << 10;
const MAX_HEADERS: usize = 100;
/// How long a connection may take to be made, and how long the wire may be silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const USER_AGENT: &str = "rynjer-fetch/1";
const ACCEPTED: &str = "image/png, image/jpeg, image/webp, */*;q=0.1";

/// What the operator decides about fetching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardSettings {
    /// Hosts whose addresses need not be public: `host`, `host:port` (both as the URL names them), or a
    /// network such as `10.1.0.0/16` for whatever host has its addresses there.
    pub allow_hosts: Vec<String>,
    /// For everything together: names, redirects, the whole body.
    pub timeout_ms: u32,
}

/// How much one fetch may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    pub max_bytes: u64,
    /// Width times height of a picture.
    pub max_pixels: u64,
}

/// Why a URL gave no file of use. Each holds one sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing was fetched: the task error `input_unreachable`.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing may be fetched from there, now or later. Only who fetches what a vendor names is told apart
    /// from `Unreachable`: a user's own URL tells nothing about what stands behind it.
    #[error("{0}")]
    Forbidden(String),
    /// Something was fetched and isn't taken: the task error `input_rejected`.
    #[error("{0}")]
    Rejected(String),
    /// What came could not be kept, which is no fault of the URL.
    #[error("{0}")]
    Unwritten(String),
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// An entry of `allow_hosts` is none of the three forms.
    #[error("`{0}` in allow_hosts is no host, host:port or network")]
    AllowHost(String),
    /// TLS could not be set up.
    #[error("the fetching client could not be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// The sentence of every URL that gave no answer, whatever the reason.
const NO_ANSWER: &str =
    "The URL could not be fetched: it must be one of a public server that answers in time.";

fn not_reached() -> FetchError {
    FetchError::Unreachable(NO_ANSWER.to_owned())
}

fn forbidden() -> FetchError {
    FetchError::Forbidden(NO_ANSWER.to_owned())
}

/// Fetches URLs that users name.
#[derive(Clone)]
pub struct GuardedClient {
    client: reqwest::Client,
    allow: Arc<AllowList>,
    resolver: Arc<dyn Resolve>,
    timeout: Duration,
}

/// What one hop gave.
enum Hop {
    Arrived,
    Moved(Target),
}

impl GuardedClient {
    /// A client that resolves names as the operating system does.
    ///
    /// # Errors
    ///
    /// An entry of `allow_hosts` can't be read, or TLS can't be set up.
    pub fn new(settings: GuardSettings) -> Result<Self, GuardError> {
        Self::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// Whether `allow_hosts` lifts the check for the host of a URL, as far as its text tells: its name, or
    /// its literal address. A name is not resolved here.
    #[must_use]
    pub fn is_allowed(&self, url: &url::Url) -> bool {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return false };
        let host = host.to_owned();
        let literal = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        self.allow.names(&host, port) || literal.is_some_and(|address| self.allow.covers(address))
    }

    /// A client with a resolver of the caller's.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn with_resolver(settings: GuardSettings, resolver: Arc<dyn Resolve>) -> Result<Self, GuardError> {
        let GuardSettings { allow_hosts, timeout_ms } = settings;
        let allow = Arc::new(AllowList::parse(allow_hosts)?);
        let timeout = Duration::from_millis(u64::from(timeout_ms));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .dns_resolver(PinnedAddresses)
            // A kept connection would belong to a check of the past.
            .pool_max_idle_per_host(0)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .connect_timeout(timeout.min(IDLE_TIMEOUT))
            .read_timeout(timeout.min(IDLE_TIMEOUT))
            .build()
            .map_err(GuardError::Client)?;
        Ok(Self { client, allow, resolver, timeout })
    }

    /// Fetches a picture, and looks into it as [`inspect_image`] does.
    ///
    /// # Errors
    ///
    /// As `fetch` and `inspect_image`.
    pub async fn fetch_image(&self, url: &str, limits: &FetchLimits) -> Result<InputImage, FetchError> {
        let bytes = self.fetch(url, limits).await?;
        inspect_image(&bytes, limits)
    }

    /// Fetches a file of at most `limits.max_bytes` into memory.
    ///
    /// # Errors
    ///
    /// `Unreachable` if no server that may be asked gave the file in time, `Rejected` if the file is too
    /// large or was sent compressed.
    pub async fn fetch(&self, url: &str, limits: &FetchLimits) -> Result<Bytes, FetchError> {
        let mut file = BytesMut::new();
        self.fetch_into(url, limits, &mut file).await?;
        Ok(file.freeze())
    }

    /// Fetches a file of at most `limits.max_bytes` into a sink. What the sink got is the file only if this
    /// succeeds.
    ///
    /// # Errors
    ///
    /// As `fetch`, and what the sink refuses with.
    pub async fn fetch_into(
        &self,
        url: &str,
        limits: &FetchLimits,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        self.fetch_as_vendor(url, limits, sink).await.map_err(|error| match error {
            FetchError::Forbidden(message) => FetchError::Unreachable(message),
            other => other,
        })
    }

    /// The same, telling apart what may never be fetched.
    pub(crate) async fn fetch_as_vendor(
        &self,
        url: &str,
        limits: &FetchLimits,
        sink: &mut dyn Sink,
    ) -> Result<(), FetchError> {
        let walk = Box::pin(self.walk(url, limits, sink));
        tokio::time::timeout(self.timeout, walk).await.unwrap_or_else(|_| Err(not_reached()))
    }

    async fn walk(&self, url: &str, limits: &FetchLimits, sink: &mut dyn Sink) -> Result<(), FetchError> {
        let mut target = Target::parse(url, &self.allow)?;
        for _ in 0..=MAX_REDIRECTS {
            match self.hop(&target, limits, sink).await? {
                Hop::Arrived => return Ok(()),
                Hop::Moved(next) => target = next,
            }
        }
        Err(FetchError::Unreachable(format!("The URL leads to more than {MAX_REDIRECTS} redirects.")))
    }

    async fn hop(
        &self,
        target: &Target,
        limits: &FetchLimits,
        sink: &mut dyn Sink,
    ) -> Result<Hop, FetchError> {
        let addresses = self.checked_addresses(target).await?;
        let request = self.client.get(target.url.clone()).send();
        let response = PINNED.scope(Arc::clone(&addresses), request).await.map_err(|_| not_reached())?;
        // The resolver can't be gone round; if it ever were, what came is thrown away.
        if !response.remote_addr().is_some_and(|peer| addresses.contains(&peer.ip())) {
            return Err(not_reached());
        }
        let headers = response.headers().iter();
        if headers.map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > MAX_HEADER_BYTES {
            return Err(not_reached());
        }
        match response.status() {
            StatusCode::OK => pour(response, limits.max_bytes, sink).await.map(|()| Hop::Arrived),
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => self.next(target, &response).map(Hop::Moved),
            status => {
                let code = status.as_u16();
                let message = format!("The server of the URL answered with status {code} instead of a file.");
                Err(FetchError::Unreachable(message))
            }
        }
    }

    fn next(&self, target: &Target, response: &Response) -> Result<Target, FetchError> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        // Which rule the new place breaks would tell whoever made the redirect what stands behind it.
        let Some(location) = location else { return Err(not_reached()) };
        target.redirected(location, &self.allow).map_err(|_| forbidden())
    }

    /// The addresses of a hop's host. One that isn't public refuses them all: a name that has both kinds is
    /// made to be taken for the one and used as the other, and no honest public server needs it.
    async fn checked_addresses(&self, target: &Target) -> Result<Arc<[IpAddr]>, FetchError> {
        let addresses = match &target.host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => self.resolver.resolve(name).await.map_err(|_| not_reached())?,
        };
        let is_named = self.allow.names(&target.host, target.port);
        let may_be_asked = |address: &IpAddr| is_named || is_public(*address) || self.allow.covers(*address);
        if addresses.is_empty() {
            return Err(not_reached());
        }
        if !addresses.iter().all(may_be_asked) {
            return Err(forbidden());
        }
        Ok(addresses.into())
    }
}
