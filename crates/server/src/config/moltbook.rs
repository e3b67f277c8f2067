//! Section `[moltbook]`: agents that Moltbook vouches for.
//!
//! Invariant: off unless the operator says so; the key is never printed. Not here: what an identity is worth
//! (`app::moltbook`).

use std::path::PathBuf;

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;
use super::storage::SecretText;
use super::vendors::url;

/// Agents that Moltbook vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moltbook {
    pub enabled: bool,
    pub verify_url: String,
    /// Empty: none is sent, unless the file has one.
    pub app_key: SecretText,
    #[serde(serialize_with = "text_or_empty")]
    pub app_key_file: Option<PathBuf>,
}

impl Moltbook {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            enabled: section.truth("enabled")?,
            verify_url: url(section, "verify_url")?,
            app_key: SecretText::new(section.text("app_key")?),
            app_key_file: section.path("app_key_file")?,
        })
    }
}
