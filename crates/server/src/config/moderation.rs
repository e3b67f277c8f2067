//! Section `[moderation]`: which prompts the operator does not take.
//!
//! Invariant: none is refused unless a file says so. Not here: reading the file (`app::moderation`).

use std::path::PathBuf;

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;
use super::server::text_or_empty;

/// Which prompts the operator does not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moderation {
    /// One phrase per line.
    #[serde(serialize_with = "text_or_empty")]
    pub blocklist_file: Option<PathBuf>,
}

impl Moderation {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self { blocklist_file: section.path("blocklist_file")? })
    }
}
