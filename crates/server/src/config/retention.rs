//! Section `[retention]`: how long things are kept.
//!
//! Invariant: a nonce is remembered at least as long as a signature is valid. Not here: the sweeping.

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    pub output_days: u32,
    pub file_hours: u32,
    pub body_days: u32,
    pub url_days: u32,
    pub unbound_agent_days: u32,
    pub refresh_family_days: u32,
    /// 0 keeps them for ever.
    pub audit_days: u32,
    pub notice_days: u32,
}

impl Retention {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            output_days: section.whole("output_days", 1..=36_500)?,
            file_hours: section.whole("file_hours", 1..=8760)?,
            body_days: section.whole("body_days", 1..=36_500)?,
            url_days: section.whole("url_days", 1..=365)?,
            unbound_agent_days: section.whole("unbound_agent_days", 1..=36_500)?,
            refresh_family_days: section.whole("refresh_family_days", 1..=30)?,
            audit_days: section.whole("audit_days", 0..=36_500)?,
            notice_days: section.whole("notice_days", 1..=36_500)?,
        })
    }
}
