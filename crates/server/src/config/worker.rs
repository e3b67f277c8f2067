//! Section `[worker]`: how tasks are leased and retried.
//!
//! Invariant: numbers only; the lease outlasts two beats (`check`). Not here: the engine.

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// How tasks are leased and retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Worker {
    pub concurrency: usize,
    pub lease_seconds: u32,
    pub beat_seconds: u32,
    pub submit_retries: u32,
    pub queue_seconds: u32,
    /// 0 is without limit.
    pub per_account_concurrency: usize,
}

impl Worker {
    /// How long a task may wait and be made together, whose model takes so long at most.
    #[must_use]
    pub fn longest_seconds(&self, model_seconds: u32) -> u32 {
        self.queue_seconds.saturating_add(model_seconds)
    }

    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            concurrency: section.whole("concurrency", 1..=100_000)?,
            lease_seconds: section.whole("lease_seconds", 2..=3600)?,
            beat_seconds: section.whole("beat_seconds", 1..=1800)?,
            submit_retries: section.whole("submit_retries", 0..=100)?,
            queue_seconds: section.whole("queue_seconds", 0..=86_400)?,
            per_account_concurrency: section.whole("per_account_concurrency", 0..=100_000)?,
        })
    }
}
