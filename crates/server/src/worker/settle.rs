//! Ends a task through the ledger, or leaves it waiting for a late answer.
//!
//! Invariant: each end is one command under the worker's fence; a stale one changes nothing. Not here: files.

use super::patience;
use crate::{app::upstream_input, state::App};
use rynjer_core::{
    ledger::{Capture, Command, Guard, Loss, LostUnits, Outcome, Release},
    task::Status,
};
use rynjer_providers::{Cost, TaskError};
use rynjer_store::{
    StoreError,
    lease::{self, Leased},
};

/// Gives the whole price back. `loss` if a vendor may bill for the attempt all the same.
pub(super) async fn fail(
    app: &App,
    task: &Leased,
    error: &'static str,
    message: &str,
    loss: bool,
) -> Result<(), StoreError> {
    let ending = Ending { lost_units: if loss { task.count } else { 0 }, ..Ending::default() };
    fail_with(app, task, error, message, ending).await
}

/// The vendor refused the job, and perhaps bills for it all the same.
pub(super) async fn refuse(
    app: &App,
    task: &Leased,
    error: TaskError,
    message: &str,
    cost: Cost,
) -> Result<(), StoreError> {
    let billed = cost.is_some_and(|cost| cost > 0);
    let ending = Ending { lost_units: if billed { task.count } else { 0 }, cost, ..Ending::default() };
    fail_with(app, task, error.code(), message, ending).await
}

/// What a task leaves behind that failed.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Units that a vendor may bill.
    pub(super) lost_units: u32,
    /// What is missing and why, as the wire's JSON.
    pub(super) missing: Option<String>,
    pub(super) cost: Cost,
}

/// Like [`fail`], with all that it leaves behind.
pub(super) async fn fail_with(
    app: &App,
    task: &Leased,
    error: &'static str,
    message: &str,
    ending: Ending,
) -> Result<(), StoreError> {
    let lost = LostUnits { attempt: task.attempt_id.clone(), units: ending.lost_units };
    let release = Release {
        account: task.account.clone(),
        task: task.id.clone(),
        guard: Guard::Fence(task.fence),
        status: Status::Failed,
        error,
        message: message.to_owned(),
        missing: ending.missing,
        loss: (lost.units > 0).then_some(lost),
        vendor_cost_micro_usd: ending.cost,
        trail: None,
    };
    let outcome = patience::submit(app, Command::Release(Box::new(release))).await?;
    note(app, task, &outcome, Status::Failed).await
}

/// Charges what was delivered.
pub(super) async fn capture(app: &App, task: &Leased, capture: Capture) -> Result<(), StoreError> {
    let outcome = patience::submit(app, Command::Capture(Box::new(capture))).await?;
    note(app, task, &outcome, Status::Success).await?;
    // A success is this very job, captured by another run of the task; and a task is only canceled where that
    // is free upstream. Nothing is lost then.
    if matches!(outcome, Outcome::Stale { status: Status::Failed }) {
        // A late output of an ended task is thrown away; its cost is ours.
        let loss = Loss {
            account: task.account.clone(),
            task: task.id.clone(),
            lost: LostUnits::all(task.attempt_id.clone()),
        };
        patience::submit(app, Command::Loss(loss)).await?;
    }
    Ok(())
}

/// How long a task rests whose account's ledger is broken, until somebody has looked.
const FROZEN_PAUSE_MS: i64 = 600_000;

async fn note(app: &App, task: &Leased, outcome: &Outcome, end: Status) -> Result<(), StoreError> {
    match outcome {
        Outcome::Settled { charged, released } => {
            if upstream_input::are_fetched(app, task) {
                upstream_input::forget(app, &task.account, &task.id).await;
            }
            crate::metrics::task_finished(&task.product, end);
            tracing::debug!(task = %task.id, %charged, %released, "task settled");
        }
        Outcome::Refused(refusal) => {
            tracing::error!(task = %task.id, ?refusal, "the ledger refused to settle a task");
            let (holder, at_ms) = (task.holder(), app.now_ms() + FROZEN_PAUSE_MS);
            patience::write(app, move |tx| lease::retry_later(tx, &holder, at_ms)).await?;
        }
        other => tracing::warn!(task = %task.id, outcome = ?other, "task could not be settled"),
    }
    Ok(())
}

/// Keeps the hold until the task's time is over, in case an answer comes late.
pub(super) async fn await_late_answer(app: &App, task: &Leased) -> Result<(), StoreError> {
    let (holder, attempt, now_ms) = (task.holder(), task.attempt, app.now_ms());
    let until_ms = task.deadline_at_ms;
    patience::write(app, move |tx| lease::await_late_answer(tx, &holder, attempt, until_ms, now_ms))
        .await
        .map(drop)
}
