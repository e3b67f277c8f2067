//! A URL that may be asked for, as far as its text tells.
//!
//! Invariant: what was checked and what is sent come from the same parsed URL, never from its text. Not here:
//! addresses of names.

use super::{FetchError, allow::AllowList, forbidden};
use url::{Host, Url};

/// The longest URL, as at acceptance.
const MAX_BYTES: usize = 4_096;

/// Ports of other protocols, whose servers could take a request's lines for commands: the list that browsers
/// keep (the Fetch standard's "bad ports"), and databases' ports.
const OTHER_PROTOCOLS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1_719, 1_720, 1_723,
    2_049, 3_306, 3_659, 4_045, 4_190, 5_060, 5_061, 5_432, 6_000, 6_379, 6_566, 6_665, 6_666, 6_667, 6_668,
    6_669, 6_679, 6_697, 10_080, 11_211, 27_017,
];

/// Where a hop goes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

fn refused(message: &str) -> FetchError {
    FetchError::Forbidden(message.to_owned())
}

impl Target {
    /// Reads what a user sent. Spellings that a URL parser repairs, and another one repairs differently, are
    /// refused before they are parsed.
    pub(super) fn parse(text: &str, allow: &AllowList) -> Result<Self, FetchError> {
        if text.len() > MAX_BYTES {
            return Err(refused("The URL must be at most 4096 bytes long."));
        }
        if text.contains(|letter: char| letter == '\\' || letter.is_control() || letter.is_whitespace()) {
            return Err(refused("The URL must not hold blanks, control characters or backslashes."));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        if !is_web || rest.starts_with('/') {
            return Err(refused("The URL must start with http:// or https:// and a host."));
        }
        let url =
            Url::parse(text).map_err(|_| refused("The URL can't be read: correct its host or port."))?;
        Self::check(url, allow)
    }

    /// Reads where a server sends us on.
    pub(super) fn redirected(&self, location: &str, allow: &AllowList) -> Result<Self, FetchError> {
        if location.len() > MAX_BYTES || location.contains(['\\', '\t']) {
            return Err(forbidden());
        }
        let url = self.url.join(location).map_err(|_| forbidden())?;
        if self.url.scheme() == "https" && url.scheme() != "https" {
            return Err(forbidden());
        }
        Self::check(url, allow)
    }

    fn check(mut url: Url, allow: &AllowList) -> Result<Self, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("The URL must start with http:// or https:// and a host."));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("The URL must not hold a user name or password."));
        }
        let host = url.host().map(|host| host.to_owned()).ok_or_else(forbidden)?;
        let port = url.port_or_known_default().ok_or_else(forbidden)?;
        if OTHER_PROTOCOLS.contains(&port) && !allow.names_port(&host, port) {
            return Err(forbidden());
        }
        url.set_fragment(None);
        Ok(Self { url, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> AllowList {
        AllowList::parse(Vec::new()).unwrap()
    }

    #[test]
    fn redirects_never_lead_from_https_to_http() {
        let target = |url| Target::parse(url, &none()).unwrap();
        let table = [
            ("https://a.example/b/c", "d", Some("https://a.example/b/d")),
            ("https://a.example/b/c", "//other.example/d", Some("https://other.example/d")),
            ("https://a.example/b/c", "https://other.example/", Some("https://other.example/")),
            ("https://a.example/b/c", "http://a.example/d", None),
            ("http://a.example/b/c", "https://a.example/d", Some("https://a.example/d")),
            ("http://a.example/b/c", "/d#e", Some("http://a.example/d")),
            ("http://a.example/b/c", "http://u:p@a.example/", None),
            ("http://a.example/b/c", "http:\\\\a.example", None),
            ("http://a.example/b/c", "file:///etc/passwd", None),
            ("http://a.example/b/c", "data:,a", None),
        ];
        for (from, location, expected) in table {
            let found = target(from).redirected(location, &none()).ok();
            assert_eq!(found.as_ref().map(|next| next.url.as_str()), expected, "{from} to {location}");
        }
    }

    #[test]
    fn ports_of_other_protocols_are_refused_unless_named() {
        for port in OTHER_PROTOCOLS {
            let refused = Target::parse(&format!("https://a.example:{port}/"), &none()).unwrap_err();
            assert_eq!(refused, forbidden(), "{port}");
        }
        for port in [80, 443, 8_000, 8_080, 8_443, 9_000, 65_535] {
            assert!(Target::parse(&format!("http://a.example:{port}/"), &none()).is_ok(), "{port}");
        }
        let allow = |entry: &str| AllowList::parse(vec![entry.to_owned()]).unwrap();
        let url = "http://a.example:22/";
        assert!(Target::parse(url, &allow("a.example:22")).is_ok());
        assert!(Target::parse(url, &allow("a.example")).is_err());
    }
}
