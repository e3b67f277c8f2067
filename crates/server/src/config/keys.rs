//! Section `[keys]`: how long the installation's own keys sign.
//!
//! Invariant: a number only. Not here: the keys (`keyring`).

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// How long the installation's own keys sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keys {
    /// 0 is for ever.
    pub rotate_days: u32,
}

impl Keys {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self { rotate_days: section.whole("rotate_days", 0..=36_500)? })
    }
}
