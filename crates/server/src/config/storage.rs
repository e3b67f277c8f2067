//! Sections `[storage]` and `[catalog]`: where outputs go and where models and prices come from.
//!
//! Invariant: `None` means the default place, which only the data folder's owner knows. Not here: file
//! access.

use std::path::PathBuf;

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;

/// Where outputs go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// `None`: the folder `outputs` in the data folder.
    #[serde(serialize_with = "text_or_empty")]
    pub path: Option<PathBuf>,
    pub max_output_bytes: u64,
}

/// Where models and prices come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Catalog {
    /// `None`: the catalog installed in the data folder, else the compiled-in one.
    #[serde(serialize_with = "text_or_empty")]
    pub path: Option<PathBuf>,
}

impl Storage {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            path: section.path("path")?,
            max_output_bytes: section.whole("max_output_bytes", 1024..=1 << 40)?,
        })
    }
}

impl Catalog {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self { path: section.path("path")? })
    }
}
