//! What the writer tells about itself: how much waits, how much one commit carries, how long it takes.
//!
//! Invariant: a figure decides nothing, and no label names an account. Not here: serving the figures.

use crate::error::StoreError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// Measures how long something takes.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// A commit ended.
    pub(crate) fn committed(&self, result: &Result<(), StoreError>) {
        metrics::histogram!("rynjer_store_commit_seconds").record(self.seconds());
        let result = if result.is_ok() { "done" } else { "failed" };
        metrics::counter!("rynjer_store_commits_total", "result" => result).increment(1);
    }

    /// A batch of ledger commands was decided and saved.
    pub(crate) fn decided(&self, commands: usize) {
        metrics::histogram!("rynjer_ledger_batch_seconds").record(self.seconds());
        metrics::counter!("rynjer_ledger_commands_total").increment(u64::try_from(commands).unwrap_or(0));
    }

    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// How many jobs wait for the writer.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    pub(crate) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One that the full queue did not take.
    pub(crate) fn refused(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        refused("write");
    }

    /// One batch was taken.
    pub(crate) fn taken(&self, jobs: usize) {
        self.0.fetch_sub(jobs, Ordering::Relaxed);
        metrics::histogram!("rynjer_store_batch_jobs")
            .record(f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)));
    }

    pub(crate) fn jobs(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A queue was full and the caller was sent away.
pub(crate) fn refused(queue: &'static str) {
    metrics::counter!("rynjer_store_refused_total", "queue" => queue).increment(1);
}
