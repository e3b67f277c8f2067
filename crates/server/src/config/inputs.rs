//! Section `[inputs]`: the pictures that generations start from, fetched or uploaded.
//!
//! Invariant: one picture of the largest allowed size always fits into the memory for inputs (`check`). Not
//! here: fetching.

use serde::Serialize;

use super::error::ConfigError;
use super::reader::Reader;

/// The pictures that generations start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// Hosts that may be fetched from although they are not public.
    pub allow_hosts: Vec<String>,
    pub max_bytes: u64,
    pub max_pixels: u64,
    pub timeout_ms: u32,
    /// For all pictures of one task, retries included.
    pub task_timeout_ms: u32,
    pub memory_bytes: u64,
}

impl Inputs {
    pub(super) fn read(section: &Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            allow_hosts: section.texts("allow_hosts")?.into_iter().map(str::to_owned).collect(),
            max_bytes: section.whole("max_bytes", 1024..=1 << 30)?,
            max_pixels: section.whole("max_pixels", 1..=1_000_000_000)?,
            timeout_ms: section.whole("timeout_ms", 100..=600_000)?,
            task_timeout_ms: section.whole("task_timeout_ms", 100..=600_000)?,
            memory_bytes: section.whole("memory_bytes", 4096..=1 << 40)?,
        })
    }

    /// What the inputs of one task may have together.
    #[must_use]
    pub fn task_bytes(&self) -> u64 {
        self.memory_bytes / TASKS_IN_MEMORY
    }
}

/// How many tasks with the largest inputs are in memory at once.
pub(super) const TASKS_IN_MEMORY: u64 = 4;
