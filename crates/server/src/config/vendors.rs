//! Sections of the vendors and `[routes]`: which are on, where they are, and which detours are allowed.
//!
//! Invariant: a vendor without a key is off; keys are never printed. Not here: what vendors can do (the
//! catalog), reading key files.

use std::path::PathBuf;

use rynjer_providers::host::{Place, place};
use serde::Serialize;
use url::Url;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;
use super::storage::SecretText;

/// Which routes are allowed, and what vendors hear of us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Routes {
    pub substitutes: bool,
    pub relays: Vec<String>,
    pub callbacks: bool,
    /// 0: unknown.
    pub credit_micro_usd: u32,
}

impl Routes {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            substitutes: section.truth("substitutes")?,
            relays: section.texts("relays")?.into_iter().map(str::to_owned).collect(),
            callbacks: section.truth("callbacks")?,
            credit_micro_usd: section.whole("credit_micro_usd", 0..=1_000_000_000)?,
        })
    }
}

/// What every vendor has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vendor {
    /// Empty: off, unless the file has one.
    pub api_key: SecretText,
    #[serde(serialize_with = "text_or_empty")]
    pub api_key_file: Option<PathBuf>,
    /// Without a slash at its end.
    pub base_url: String,
    pub timeout_seconds: u32,
    /// 0 is no limit.
    pub submits_per_second: u32,
    pub concurrency: u32,
}

impl Vendor {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            api_key: SecretText::new(section.text("api_key")?),
            api_key_file: section.path("api_key_file")?,
            base_url: url(section, "base_url")?,
            timeout_seconds: section.whole("timeout_seconds", 1..=3600)?,
            submits_per_second: section.whole("submits_per_second", 0..=10_000)?,
            concurrency: section.whole("concurrency", 1..=10_000)?,
        })
    }

    /// Whether the operator gave it a key.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.api_key.expose().is_empty() || self.api_key_file.is_some()
    }
}

pub(super) fn url(section: &Reader<'_>, key: &str) -> Result<String, ConfigError> {
    let text = section.text(key)?.trim_end_matches('/');
    let parsed = Url::parse(text).ok().filter(|url| {
        // Keys don't cross the world in clear.
        (url.scheme() == "https" || url.scheme() == "http" && place(url) != Place::Public)
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    // Not with its text: somebody may have put a secret there.
    let form = || {
        let wanted = "must be an https URL (http on this machine) without user, query or fragment";
        section.invalid(key, wanted.to_owned())
    };
    parsed.map(|_| text.to_owned()).ok_or_else(form)
}

/// OpenAI, or a server that speaks the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenAi {
    #[serde(flatten)]
    pub vendor: Vendor,
    pub idempotency_key: bool,
}

impl OpenAi {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self { vendor: Vendor::read(section)?, idempotency_key: section.truth("idempotency_key")? })
    }
}

/// Google's Gemini API, and its cloud platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Google {
    #[serde(flatten)]
    pub vendor: Vendor,
    #[serde(serialize_with = "text_or_empty")]
    pub cloud_credentials_file: Option<PathBuf>,
    /// Empty: that of the credentials.
    pub cloud_project: String,
    pub cloud_location: String,
    /// Empty: the location's own host.
    pub cloud_base_url: String,
}

impl Google {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            vendor: Vendor::read(section)?,
            cloud_credentials_file: section.path("cloud_credentials_file")?,
            cloud_project: section.text("cloud_project")?.to_owned(),
            cloud_location: section.text("cloud_location")?.to_owned(),
            cloud_base_url: match section.text("cloud_base_url")? {
                "" => String::new(),
                _ => url(section, "cloud_base_url")?,
            },
        })
    }
}

/// fal.ai.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fal {
    #[serde(flatten)]
    pub vendor: Vendor,
    pub jwks_url: String,
}

impl Fal {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self { vendor: Vendor::read(section)?, jwks_url: url(section, "jwks_url")? })
    }
}

/// kie.ai.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kie {
    #[serde(flatten)]
    pub vendor: Vendor,
    pub webhook_key: SecretText,
}

impl Kie {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            vendor: Vendor::read(section)?,
            webhook_key: SecretText::new(section.text("webhook_key")?),
        })
    }
}

/// Replicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replicate {
    #[serde(flatten)]
    pub vendor: Vendor,
    pub webhook_secret: SecretText,
}

impl Replicate {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            vendor: Vendor::read(section)?,
            webhook_secret: SecretText::new(section.text("webhook_secret")?),
        })
    }
}
