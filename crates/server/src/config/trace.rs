//! Section `[trace]`: where spans go.
//!
//! Invariant: off unless an endpoint is named here; no password is in it, since it is printed. Not here:
//! sending (the binary).

use serde::Serialize;
use url::Url;

use super::error::ConfigError;
use super::reader::Reader;

/// Where spans go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    pub otlp_endpoint: String,
    pub sample_permille: u32,
}

impl Trace {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        let endpoint = section.text("otlp_endpoint")?.trim_end_matches('/').to_owned();
        if !endpoint.is_empty() && !is_usable(&endpoint) {
            let form = "must be empty, or an http or https URL without password, query and fragment such as \
                        http://127.0.0.1:4318";
            return Err(section.invalid("otlp_endpoint", form.to_owned()));
        }
        Ok(Self { otlp_endpoint: endpoint, sample_permille: section.whole("sample_permille", 1..=1000)? })
    }

    /// Whether spans go anywhere.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.otlp_endpoint.is_empty()
    }
}

fn is_usable(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let plain = url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && plain && bare
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_without_secrets() {
        for good in ["http://127.0.0.1:4318", "https://collector.example/otlp"] {
            assert!(is_usable(good), "{good}");
        }
        for bad in
            ["127.0.0.1:4318", "grpc://a:4317", "http://u:p@a", "http://u@a", "http://a/?k=1", "http://a#b"]
        {
            assert!(!is_usable(bad), "{bad}");
        }
    }
}
