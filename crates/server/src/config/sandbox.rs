//! Section `[sandbox]`: how test accounts' media are made.
//!
//! Invariant: nothing here can reach a live account. Not here: the encoders.

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// How test accounts' media are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sandbox {
    /// 0 is one for each core.
    pub parallel_renders: usize,
    pub triggers: bool,
    pub allow_crash: bool,
}

impl Sandbox {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            parallel_renders: section.whole("parallel_renders", 0..=1024)?,
            triggers: section.truth("triggers")?,
            allow_crash: section.truth("allow_crash")?,
        })
    }
}
