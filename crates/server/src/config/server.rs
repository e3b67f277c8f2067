//! Section `[server]`: where the gateway listens and what it is called.
//!
//! Invariant: `public_url` is empty or an absolute http(s) URL that ends with its host or port. Not here:
//! the listener.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use rynjer_providers::host::{Place, place};
use serde::{Serialize, Serializer};
use url::Url;

use super::error::ConfigError;
use super::reader::Reader;

/// Where the gateway listens and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    pub listen: SocketAddr,
    /// As configured, without a slash at the end; empty where the listening address serves. See
    /// [`Server::base_url`].
    pub public_url: String,
    #[serde(serialize_with = "as_texts")]
    pub trusted_proxies: Vec<IpNet>,
    pub behind_proxy: bool,
    #[serde(serialize_with = "text_or_empty")]
    pub tls_cert: Option<PathBuf>,
    #[serde(serialize_with = "text_or_empty")]
    pub tls_key: Option<PathBuf>,
    #[serde(serialize_with = "address_or_empty")]
    pub metrics_listen: Option<SocketAddr>,
    pub drain_seconds: u32,
    pub header_timeout_ms: u32,
    pub max_connections: usize,
    /// Where weaknesses are reported, a URI; empty where the guides say how.
    pub security_contact: String,
}

impl Server {
    /// What absolute links start with: `public_url`, else `bound`, the address that the listener really
    /// has.
    #[must_use]
    pub fn base_url(&self, bound: SocketAddr) -> String {
        if !self.public_url.is_empty() {
            return self.public_url.clone();
        }
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        format!("{scheme}://{bound}")
    }

    /// Whether only this machine can reach the gateway.
    #[must_use]
    pub fn on_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    /// Whether strangers can reach it by `public_url`, as far as its text tells.
    #[must_use]
    pub fn is_public(&self) -> bool {
        Url::parse(&self.public_url).is_ok_and(|url| place(&url) == Place::Public)
    }

    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        let metrics_off = section.text("metrics_listen")?.is_empty();
        Ok(Self {
            listen: section.address("listen")?,
            public_url: public_url(section)?,
            trusted_proxies: trusted_proxies(section)?,
            behind_proxy: section.truth("behind_proxy")?,
            tls_cert: section.path("tls_cert")?,
            tls_key: section.path("tls_key")?,
            metrics_listen: if metrics_off { None } else { Some(section.address("metrics_listen")?) },
            drain_seconds: section.whole("drain_seconds", 1..=300)?,
            header_timeout_ms: section.whole("header_timeout_ms", 100..=600_000)?,
            max_connections: section.whole("max_connections", 1..=1_000_000)?,
            security_contact: security_contact(section)?,
        })
    }
}

fn security_contact(section: &Reader<'_>) -> Result<String, ConfigError> {
    let text = section.text("security_contact")?;
    let is_uri = ["mailto:", "https://", "tel:"].iter().any(|scheme| text.starts_with(scheme));
    if text.is_empty() || (is_uri && !text.contains(char::is_whitespace)) {
        return Ok(text.to_owned());
    }
    let form = format!("must begin with mailto:, https:// or tel: and have no blanks, but is {text:?}");
    Err(section.invalid("security_contact", form))
}

fn public_url(section: &Reader<'_>) -> Result<String, ConfigError> {
    let text = section.text("public_url")?;
    if text.is_empty() {
        return Ok(String::new());
    }
    let form = "must be an absolute http or https URL without user, path, query or fragment, \
                such as https://gateway.example";
    let bare = |url: &Url| {
        let http = matches!(url.scheme(), "http" | "https") && url.has_host();
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        http && plain && url.username().is_empty() && url.password().is_none()
    };
    match Url::parse(text) {
        Ok(url) if bare(&url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        _ => Err(section.invalid("public_url", format!("{form}, but is {text:?}"))),
    }
}

fn trusted_proxies(section: &Reader<'_>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &str| {
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            let form = "must hold IP addresses or networks such as 10.0.0.0/8";
            section.invalid("trusted_proxies", format!("{form}, but has {text:?}"))
        })
    };
    section.texts("trusted_proxies")?.into_iter().map(network).collect()
}

fn as_texts<S: Serializer>(list: &[impl Display], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(ToString::to_string))
}

fn address_or_empty<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&address.as_ref().map(ToString::to_string).unwrap_or_default())
}

/// The form of a path that may be absent: the empty text.
pub(super) fn text_or_empty<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default())
}
