//! The pulse of a process: it tells that it lives, follows the shared time, and keeps the keys and
//! the payments.
//!
//! Invariant: a beat waits for nothing but the store; when the process stops, its row and its duties go. Not
//! here: what a beat is (`app::node`), the leases of tasks (`worker::beat`).

use crate::{
    app::{
        node::{self, Duty},
        restoration, topup,
    },
    state::App,
};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A quarter of how old a key is when it first signs: three readings may fail.
const KEYS_READ_EVERY: Duration = Duration::from_secs(30);
/// A machine's clock that is further off is told of, once in a minute.
const CLOCK_OFF_TOLD_MS: i64 = 5000;
const BEATS_PER_WARNING: u32 = 60;

/// The loops of one process.
pub(crate) struct Heartbeat {
    app: App,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Heartbeat {
    /// Beats once, so that the others are counted before the first request, and goes on.
    pub(crate) async fn start(app: &App) -> Self {
        let heart = Self { app: app.clone(), tracker: TaskTracker::new(), stop: CancellationToken::new() };
        if !app.hub.is_alone() {
            if let Err(error) = node::beat(app).await {
                tracing::warn!(?error, "the first beat was not written");
            }
            heart.tracker.spawn(heart.stop.clone().run_until_cancelled_owned(beats(app.clone())));
        }
        heart.tracker.spawn(heart.stop.clone().run_until_cancelled_owned(keep_keys(app.clone())));
        heart.tracker.spawn(heart.stop.clone().run_until_cancelled_owned(restoration::follow(app.clone())));
        heart.tracker.spawn(heart.stop.clone().run_until_cancelled_owned(topup::sweep::keep(app.clone())));
        heart
    }

    /// Stops, and takes this process off the list.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        if !self.app.hub.is_alone()
            && let Err(error) = node::leave(&self.app).await
        {
            tracing::warn!(?error, "this node could not be taken off the list");
        }
    }
}

impl Drop for Heartbeat {
    /// A start that failed leaves no loops behind.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn beats(app: App) {
    let mut ticks = interval(BEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    let mut count = 0u32;
    loop {
        ticks.tick().await;
        let beaten = match node::measure(&app).await {
            Ok(()) => node::beat(&app).await,
            Err(error) => Err(error),
        };
        match &beaten {
            Err(error) if !failing => tracing::warn!(?error, "a beat was not written"),
            Ok(()) if failing => tracing::info!("beats are written again"),
            _ => {}
        }
        failing = beaten.is_err();
        if count.is_multiple_of(BEATS_PER_WARNING)
            && let Some(ahead_ms) = app.clock.machine_ahead_ms()
            && ahead_ms.saturating_abs() > CLOCK_OFF_TOLD_MS
        {
            tracing::warn!(ahead_ms, "this machine's clock differs from the database's: set it by NTP");
        }
        count = count.wrapping_add(1);
    }
}

/// Reads the keys again, and every other time looks whether they are old.
async fn keep_keys(app: App) {
    let mut ticks = interval(KEYS_READ_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rotate = true;
    loop {
        ticks.tick().await;
        if !app.hub.is_alone()
            && let Err(error) = app.keyring.reload().await
        {
            tracing::warn!(?error, "the signing keys could not be read again");
        }
        if rotate {
            rotate_keys(&app).await;
        }
        rotate = !rotate;
    }
}

/// Adds a key to each purpose whose newest is old, if this node has that duty; whether it has.
pub(crate) async fn rotate_keys(app: &App) -> bool {
    // Keys of the future would stay the newest of all nodes when the process with the moved clock is gone.
    if !app.hub.is_alone() && node::is_moved(app) {
        return false;
    }
    match node::run(app, Duty::Keys, app.keyring.rotate()).await {
        Some(Err(error)) => {
            tracing::warn!(?error, "the signing keys could not be rotated");
            true
        }
        Some(Ok(())) => true,
        None => false,
    }
}
