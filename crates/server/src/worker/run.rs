//! One leased task, one step: which it is, and its end when its time is over.
//!
//! Invariant: a step is cut short when the worker stops or the task's time is over, and left where the next
//! worker finds it. Not here: claiming, the steps themselves (`submit`, `poll`), money (`settle`).

use super::{
    inputs::{self, Loaded, NotLoaded},
    later::{hand_back, put_back},
    patience,
    poll::poll,
    settle,
    submit::{Submit, look_up_later},
};
use crate::{app::body::TaskBody, state::App, trace};
use rynjer_core::task::Step;
use rynjer_providers::Ambiguity;
use rynjer_store::{
    StoreError,
    lease::{self, Leased},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How long the asking after a task's time may take, and its pictures before it.
const LAST_ASKING: Duration = Duration::from_secs(180);

/// Runs the next step of a task.
pub(super) async fn run(app: &App, owner: &str, task: Leased, stop: &CancellationToken) {
    let id = task.id.clone();
    let span =
        trace::task_run(&task.provider, task.step.as_str(), || TaskBody::from_stored(&task.body).trace);
    if let Err(error) = prepare_and_step(app, &task, stop).instrument(span).await {
        // The lease runs out and another worker goes on.
        tracing::warn!(%error, task = %id, owner, "a task's step was not written");
    }
    app.hub.task_changed(&id);
}

async fn prepare_and_step(app: &App, task: &Leased, stop: &CancellationToken) -> Result<(), StoreError> {
    let left = Some(time_left(app, task));
    let Some(loaded) = within(app, task, stop, (task.step, left), load(app, task)).await?.flatten() else {
        return Ok(());
    };
    let begun = if task.step == Step::Queued { Step::Submitting } else { task.step };
    // What a vendor has finished is not cut off while it comes, or waits for a place: only the asking is.
    let left = if is_asking(task) { None } else { Some(time_left(app, task)) };
    within(app, task, stop, (begun, left), step(app, task, loaded, stop)).await.map(drop)
}

/// Whether a task's vendor has its job.
fn is_asking(task: &Leased) -> bool {
    matches!(task.step, Step::Submitted | Step::Storing)
}

/// How long a call may take: one that hangs must not hold the price for ever, nor may the one that asks for
/// the last time.
pub(super) fn time_left(app: &App, task: &Leased) -> Duration {
    let left = Duration::from_millis(u64::try_from(task.deadline_at_ms - app.now_ms()).unwrap_or(0));
    if left.is_zero() || is_asking(task) { left.max(LAST_ASKING) } else { left }
}

/// Works until the worker stops or the time is over; the task is then at the step. `None` if it was cut
/// short, and the task handed back or ended.
async fn within<T>(
    app: &App,
    task: &Leased,
    stop: &CancellationToken,
    (reached, left): (Step, Option<Duration>),
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<Option<T>, StoreError> {
    let over = async {
        match left {
            Some(left) => tokio::time::sleep(left).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = work => result.map(Some),
        () = stop.cancelled() => let_go(app, task, reached).await.map(|()| None),
        () = over => overdue(app, task, reached).await.map(|()| None),
    }
}

/// Leaves a task to the next worker. One that no byte was sent for is as if it had not been claimed.
async fn let_go(app: &App, task: &Leased, reached: Step) -> Result<(), StoreError> {
    if reached != Step::Queued {
        return hand_back(app, task).await;
    }
    let (holder, now_ms) = (task.holder(), app.now_ms());
    let wait = task.wait(now_ms, now_ms);
    app.store.write(move |tx| lease::unbegin(tx, &holder, &wait)).await.map(drop)
}

/// The body with the pictures that the step needs. Without them the task has ended, or the lease is lost.
async fn load(app: &App, task: &Leased) -> Result<Option<Loaded>, StoreError> {
    let body = TaskBody::from_stored(&task.body);
    let now_ms = app.now_ms();
    if !inputs::are_needed(app, task, &body, now_ms) {
        return Ok(Some(inputs::none(body, now_ms)));
    }
    let holder = task.holder();
    let fresh = task.step == Step::Queued;
    // Reading pictures is no attempt yet: a worker that dies of it leaves a task that nobody was asked for.
    if fresh && !patience::write(app, move |tx| lease::before_submit(tx, &holder)).await? {
        return Ok(None);
    }
    let loaded = match inputs::load(app, task, body, now_ms).await {
        Ok(loaded) => loaded,
        Err(NotLoaded::Busy | NotLoaded::Away) => return put_back(app, task).await.map(|()| None),
        // A provider that was asked before may bill what it made of the first try.
        Err(NotLoaded::Unusable { error, message }) => {
            return settle::fail(app, task, error.code(), &message, !fresh).await.map(|()| None);
        }
    };
    let holder = task.holder();
    if fresh && !patience::write(app, move |tx| lease::submitting(tx, &holder)).await? {
        return Ok(None);
    }
    Ok(Some(loaded))
}

async fn step(app: &App, task: &Leased, loaded: Loaded, stop: &CancellationToken) -> Result<(), StoreError> {
    if task.poisoned {
        let message = "the task stopped the gateway each time it ran, so it was given up";
        return settle::fail(app, task, "poisoned", message, task.step != Step::Queued).await;
    }
    let Some(provider) = app.providers.get(&task.provider) else {
        return hand_back(app, task).await;
    };
    if app.now_ms() >= task.deadline_at_ms && !is_asking(task) {
        return overdue(app, task, task.step).await;
    }
    let submit = || Submit { app, task, provider, body: loaded.body.clone() };
    // A lost lease in `submitting` is an ambiguous submit: what happened to it died with its worker.
    match (task.step, provider.ambiguity(&task.vendor_model)) {
        (Step::Queued, _) | (Step::Submitting, Ambiguity::Key) => submit().run(loaded, stop).await,
        (Step::Submitting, Ambiguity::Lookup) => look_up_later(app, task).await,
        (Step::Unknown, Ambiguity::Lookup) => submit().look_up(loaded).await,
        // `unknown` is due before its deadline only after a hand-back.
        (Step::Submitting | Step::Unknown, _) => settle::await_late_answer(app, task).await,
        (Step::Submitted | Step::Storing, _) => poll(app, task, provider, loaded, stop).await,
    }
}

/// Ends a task whose time is over, by how far it came.
pub(super) async fn overdue(app: &App, task: &Leased, step: Step) -> Result<(), StoreError> {
    match step {
        Step::Queued => settle::fail(app, task, "timed_out", "the task was not begun in time", false).await,
        Step::Submitted | Step::Storing => {
            settle::fail(app, task, "timed_out", "the provider did not finish in time", true).await
        }
        Step::Submitting | Step::Unknown => {
            let message = "the provider never said whether it made this, so nothing is charged";
            settle::fail(app, task, "outcome_unknown", message, true).await
        }
    }
}
