//! The turn of a submit: so many at once, and so many in a second.
//!
//! Invariant: who waits too long is told so before a byte leaves. Not here: breakers, retries (the worker).

use super::Failure;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

/// How long a submit waits for its turn.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Pace {
    gap: Option<Duration>,
    /// Made at the first turn: a timer needs a runtime.
    ticks: Mutex<Option<Interval>>,
    places: Arc<Semaphore>,
}

impl Pace {
    pub(super) fn new(submits_per_second: u32, concurrency: u32) -> Self {
        let places = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
        Self {
            gap: (submits_per_second > 0).then(|| Duration::from_secs(1) / submits_per_second),
            ticks: Mutex::new(None),
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Waits for the turn; the place is free again when what comes back is dropped.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let busy = || Failure::Busy("too many calls to this vendor are under way".to_owned());
        let turn = async {
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            if let Some(gap) = self.gap {
                let mut ticks = self.ticks.lock().await;
                let ticks = ticks.get_or_insert_with(|| {
                    let mut ticks = interval(gap);
                    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    ticks
                });
                ticks.tick().await;
            }
            place
        };
        timeout(PATIENCE, turn).await.ok().flatten().ok_or_else(busy)
    }
}
