//! The heartbeat: prolongs every lease in hand and notes progress.
//!
//! Invariant: a task whose lease is lost is told to stop. Not here: what stopping means (`run`).

use super::{Worker, patience};
use rynjer_store::lease;
use std::time::Duration;

/// How often a draining worker looks whether its hand is empty.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

/// Beats until the worker drains and its hand is empty.
pub(super) async fn run(worker: &Worker) {
    let pause = Duration::from_secs(u64::from(worker.0.app.config.worker.beat_seconds));
    let mut ticks = tokio::time::interval(pause);
    loop {
        tokio::select! {
            _ = ticks.tick() => beat(worker).await,
            () = worker.0.draining.cancelled() => break,
        }
    }
    // What is in hand while draining keeps its lease.
    while !worker.hand().is_empty() {
        tokio::select! {
            _ = ticks.tick() => beat(worker).await,
            () = tokio::time::sleep(DRAIN_LOOK) => {}
        }
    }
}

async fn beat(worker: &Worker) {
    let app = &worker.0.app;
    let holders: Vec<_> = worker
        .hand()
        .iter()
        .map(|(id, task)| (task.holder.clone(), app.hub.progress(id).map(i64::from)))
        .collect();
    if holders.is_empty() {
        return;
    }
    let due_at_ms = app.now_ms() + i64::from(app.config.worker.lease_seconds) * 1000;
    match patience::write(app, move |tx| lease::beat(tx, &holders, due_at_ms)).await {
        Ok(lost) => {
            metrics::counter!("rynjer_leases_lost_total").increment(u64::try_from(lost.len()).unwrap_or(0));
            let hand = worker.hand();
            for task in lost.iter().filter_map(|id| hand.get(id)) {
                task.stop.cancel();
            }
        }
        Err(error) => tracing::warn!(%error, "a heartbeat was not written"),
    }
}
