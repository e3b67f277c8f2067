//! Writes of a worker that find the store full, locked or out of disk: they wait until it takes them.
//!
//! Invariant: a worker never lets go of a step because others are busy. A step that is not written ends with
//! a lost lease, and that counts as a death of the task. Not here: what is written; callers of the API, who
//! are refused.

use crate::state::App;
use rynjer_core::ledger::{Command, Outcome};
use rynjer_store::{StoreError, Tx};
use std::time::Duration;

/// Pause before the next try. Whoever waits ends at the latest when its lease is lost (`run` is told to
/// stop).
const PAUSE: Duration = Duration::from_millis(20);

/// Runs a unit of work that writes.
pub(super) async fn write<T: Send + 'static>(
    app: &App,
    unit: impl Fn(&mut dyn Tx) -> Result<T, StoreError> + Clone + Send + 'static,
) -> Result<T, StoreError> {
    loop {
        match app.store.write(unit.clone()).await {
            Err(error) if error.is_passing() => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
}

/// Runs a ledger command.
pub(super) async fn submit(app: &App, command: Command) -> Result<Outcome, StoreError> {
    loop {
        match app.store.submit(app.now_ms(), command.clone()).await {
            Err(error) if error.is_passing() => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
}
