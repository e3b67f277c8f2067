//! Section `[limits]`: how much one request, agent, account or address may ask for.
//!
//! Invariant: every limit is at least 1, except where none is a sensible limit. Not here: budgets, which
//! are money.

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// How much one request, agent, account or address may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    pub body_bytes: usize,
    pub data_uri_body_bytes: usize,
    pub bodies_bytes: usize,
    pub header_bytes: usize,
    pub json_depth: usize,
    pub input_images: usize,
    pub open_tasks_per_account: u32,
    pub file_bytes: usize,
    pub file_bytes_per_account: u64,
    pub uploads_per_principal: u32,
    pub keys_per_agent: u32,
    pub wait_seconds_max: u32,
    pub waits_per_principal: u32,
    pub waits: u32,
    pub requests_per_second: u32,
    pub burst: u32,
    pub identity_per_minute: u32,
    /// Whether the three rates above hold at all.
    pub rate_limits: bool,
}

impl Limits {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            body_bytes: section.whole("body_bytes", 1024..=1 << 30)?,
            bodies_bytes: section.whole("bodies_bytes", 1 << 20..=1 << 40)?,
            data_uri_body_bytes: section.whole("data_uri_body_bytes", 1024..=1 << 30)?,
            header_bytes: section.whole("header_bytes", 1024..=1 << 20)?,
            json_depth: section.whole("json_depth", 2..=128)?,
            input_images: section.whole("input_images", 0..=1000)?,
            open_tasks_per_account: section.whole("open_tasks_per_account", 1..=10_000_000)?,
            file_bytes: section.whole("file_bytes", 1024..=1 << 30)?,
            file_bytes_per_account: section.whole("file_bytes_per_account", 1 << 16..=1 << 40)?,
            uploads_per_principal: section.whole("uploads_per_principal", 1..=1000)?,
            keys_per_agent: section.whole("keys_per_agent", 1..=10_000)?,
            wait_seconds_max: section.whole("wait_seconds_max", 1..=60)?,
            waits_per_principal: section.whole("waits_per_principal", 1..=1_000_000)?,
            waits: section.whole("waits", 1..=1_000_000)?,
            requests_per_second: section.whole("requests_per_second", 1..=1_000_000)?,
            burst: section.whole("burst", 1..=1_000_000)?,
            identity_per_minute: section.whole("identity_per_minute", 1..=1_000_000)?,
            rate_limits: section.truth("rate_limits")?,
        })
    }
}
