//! A step that is to be tried again: when, and how the lease goes back until then.
//!
//! Invariant: what a vendor asks for is the least pause, and a task's deadline the longest. Not here: which
//! failures may be tried again.

use super::{patience, run};
use crate::{entropy, state::App};
use rynjer_core::task::Step;
use rynjer_store::{
    StoreError,
    lease::{self, Leased},
};

/// Backoff of calls that may be repeated: doubled from the first to the last, with full jitter.
const BACKOFF_MS: (i64, i64) = (500, 60_000);

/// Least pause of a task that found the memory for pictures taken; at most twice that.
const MEMORY_PAUSE_MS: i64 = 1000;

/// Tries the same step again.
pub(super) async fn retry(app: &App, task: &Leased, retry_after_ms: Option<u32>) -> Result<(), StoreError> {
    let holder = task.holder();
    let at_ms = (app.now_ms() + backoff_ms(task.tries, retry_after_ms)).min(task.deadline_at_ms);
    patience::write(app, move |tx| lease::retry_later(tx, &holder, at_ms)).await.map(drop)
}

/// Full jitter over a doubling range; what the provider asks for is the least.
pub(super) fn backoff_ms(tries: i64, retry_after_ms: Option<u32>) -> i64 {
    let doublings = u32::try_from(tries.clamp(0, 16)).unwrap_or(16);
    let range = (BACKOFF_MS.0 << doublings).min(BACKOFF_MS.1);
    let jitter = i64::from(u32::from_be_bytes(entropy::bytes())) % range.max(1);
    retry_after_ms.map_or(0, i64::from) + jitter
}

/// Leaves the slot to others until the memory may be free; the task ends at its deadline all the same.
pub(super) async fn put_back(app: &App, task: &Leased) -> Result<(), StoreError> {
    let jitter_ms = i64::from(u32::from_be_bytes(entropy::bytes())) % MEMORY_PAUSE_MS;
    put_back_until(app, task, app.now_ms() + MEMORY_PAUSE_MS + jitter_ms).await
}

/// The same until a time; a task that nobody was asked for is as if it had not been claimed.
pub(super) async fn put_back_until(app: &App, task: &Leased, due_at_ms: i64) -> Result<(), StoreError> {
    if app.now_ms() >= task.deadline_at_ms {
        return run::overdue(app, task, task.step).await;
    }
    let (holder, fresh) = (task.holder(), task.step == Step::Queued);
    let (wait, due_at_ms) = (task.wait(due_at_ms, app.now_ms()), due_at_ms.min(task.deadline_at_ms));
    let unit = move |tx: &mut dyn rynjer_store::Tx| {
        if fresh { lease::unbegin(tx, &holder, &wait) } else { lease::hand_back(tx, &holder, due_at_ms) }
    };
    patience::write(app, unit).await.map(drop)
}

/// Hands a lease back as it is.
pub(super) async fn hand_back(app: &App, task: &Leased) -> Result<(), StoreError> {
    let (holder, now_ms) = (task.holder(), app.now_ms());
    // Without patience: a worker that stops must end, and what is not handed back runs out.
    app.store.write(move |tx| lease::hand_back(tx, &holder, now_ms)).await.map(drop)
}
