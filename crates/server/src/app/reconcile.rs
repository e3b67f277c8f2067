//! The operator's reckoning with vendors: what was charged, what it cost, what was paid for nothing.
//!
//! Invariant: one snapshot of the database; nothing is changed. Not here: the sums (`store::reconcile`), who
//! is asked for a bill.

use crate::app::{Error, admin::Admin};
use rynjer_core::time::DAY_MS;
use rynjer_store::reconcile::{self, OfModel, OfRoute, Unmatched};

/// How many unmatched jobs are told.
const UNMATCHED_MAX: i64 = 1000;

/// What a reckoning says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reckoning {
    pub since_ms: i64,
    pub models: Vec<OfModel>,
    pub routes: Vec<OfRoute>,
    /// The newest first.
    pub unmatched: Vec<Unmatched>,
}

impl Admin {
    /// The last `days` of all live accounts.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn reconcile(&self, days: u32) -> Result<Reckoning, Error> {
        let since_ms = self.clock.now_ms() - i64::from(days) * DAY_MS;
        let read = self.store.read(move |tx| {
            Ok::<_, Error>(Reckoning {
                since_ms,
                models: reconcile::models(tx, since_ms)?,
                routes: reconcile::routes(tx, since_ms)?,
                unmatched: reconcile::unmatched(tx, since_ms, UNMATCHED_MAX)?,
            })
        });
        read.await
    }
}
