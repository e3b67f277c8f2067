//! One leased task, one step: submit, poll, or end it.
//!
//! Invariant: what the provider may have accepted is never submitted again unless its class allows it. Not
//! here: claiming, money (`settle`), files (`files`), pictures to start from (`inputs`).

use super::{
    call,
    files::{self, Stored},
    inputs::{self, Loaded, NotLoaded},
    patience, settle,
};
use crate::{app::body::TaskBody, entropy, state::App, trace};
use rynjer_core::{
    catalog::{Mode, Product},
    task::Step,
};
use rynjer_providers::{
    Ambiguity, Job, OnProgress, PollAnswer, Provider, ProviderError, SubmitAnswer, TaskError, Unit,
};
use rynjer_store::{
    StoreError,
    lease::{self, Leased},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Backoff of calls that may be repeated: doubled from the first to the last, with full jitter.
const BACKOFF_MS: (i64, i64) = (500, 60_000);

/// Least pause of a task that found the memory for pictures taken; at most twice that.
const MEMORY_PAUSE_MS: i64 = 1000;

/// How long the asking after a task's time may take.
const LAST_ASKING: Duration = Duration::from_secs(60);

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
    let Some(loaded) = within(app, task, stop, task.step, load(app, task)).await?.flatten() else {
        return Ok(());
    };
    let begun = if task.step == Step::Queued { Step::Submitting } else { task.step };
    within(app, task, stop, begun, step(app, task, loaded, stop)).await.map(drop)
}

/// Works until the worker stops or the task's time is over; it is then at `reached`. `None` if it was cut
/// short, and the task handed back or ended.
async fn within<T>(
    app: &App,
    task: &Leased,
    stop: &CancellationToken,
    reached: Step,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<Option<T>, StoreError> {
    let left = Duration::from_millis(u64::try_from(task.deadline_at_ms - app.now_ms()).unwrap_or(0));
    // A call that hangs must not hold the price for ever, nor may the one that asks for the last time.
    let left = if left.is_zero() { LAST_ASKING } else { left };
    tokio::select! {
        result = work => result.map(Some),
        () = stop.cancelled() => let_go(app, task, reached).await.map(|()| None),
        () = tokio::time::sleep(left) => overdue(app, task, reached).await.map(|()| None),
    }
}

/// Leaves a task to the next worker. One that no byte was sent for is as if it had not been claimed.
async fn let_go(app: &App, task: &Leased, reached: Step) -> Result<(), StoreError> {
    if reached != Step::Queued {
        return hand_back(app, task).await;
    }
    let (holder, attempt, now_ms) = (task.holder(), task.attempt, app.now_ms());
    app.store.write(move |tx| lease::unbegin(tx, &holder, attempt, now_ms)).await.map(drop)
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

/// Leaves the slot to others until the memory may be free; the task ends at its deadline all the same.
async fn put_back(app: &App, task: &Leased) -> Result<(), StoreError> {
    let now_ms = app.now_ms();
    if now_ms >= task.deadline_at_ms {
        return overdue(app, task, task.step).await;
    }
    let jitter_ms = i64::from(u32::from_be_bytes(entropy::bytes())) % MEMORY_PAUSE_MS;
    let due_at_ms = (now_ms + MEMORY_PAUSE_MS + jitter_ms).min(task.deadline_at_ms);
    let (holder, fresh) = (task.holder(), (task.step == Step::Queued).then_some(task.attempt));
    let unit = move |tx: &mut dyn rynjer_store::Tx| match fresh {
        Some(attempt) => lease::unbegin(tx, &holder, attempt, due_at_ms),
        None => lease::hand_back(tx, &holder, due_at_ms),
    };
    patience::write(app, unit).await.map(drop)
}

async fn hand_back(app: &App, task: &Leased) -> Result<(), StoreError> {
    let (holder, now_ms) = (task.holder(), app.now_ms());
    // Without patience: a worker that stops must end, and what is not handed back runs out.
    app.store.write(move |tx| lease::hand_back(tx, &holder, now_ms)).await.map(drop)
}

async fn step(app: &App, task: &Leased, loaded: Loaded, stop: &CancellationToken) -> Result<(), StoreError> {
    if task.poisoned {
        let message = "the task stopped the gateway each time it ran, so it was given up";
        return settle::fail(app, task, "poisoned", message, task.step != Step::Queued).await;
    }
    let Some(provider) = app.providers.get(&task.provider) else {
        return hand_back(app, task).await;
    };
    let asked_last = matches!(task.step, Step::Submitted | Step::Storing);
    if app.now_ms() >= task.deadline_at_ms && !asked_last {
        return overdue(app, task, task.step).await;
    }
    // A lost lease in `submitting` is an ambiguous submit: what happened to it died with its worker.
    let resend = provider.ambiguity() == Ambiguity::Key;
    match task.step {
        Step::Queued => submit(app, task, provider, loaded, stop).await,
        Step::Submitting if resend => submit(app, task, provider, loaded, stop).await,
        // `unknown` is due before its deadline only after a hand-back.
        Step::Submitting | Step::Unknown => settle::await_late_answer(app, task).await,
        Step::Submitted | Step::Storing => poll(app, task, provider, loaded, stop).await,
    }
}

/// Ends a task whose time is over, by how far it came.
async fn overdue(app: &App, task: &Leased, step: Step) -> Result<(), StoreError> {
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

async fn submit(
    app: &App,
    task: &Leased,
    provider: &Arc<dyn Provider>,
    mut loaded: Loaded,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let asked = provider.submit(job(task, &mut loaded), on_progress(app, task, stop));
    let answer = call::observe(provider.name(), "submit", asked).await;
    drop(loaded);
    match answer {
        Ok(SubmitAnswer::Accepted { provider_task_id, poll_after_ms }) => {
            let (holder, attempt) = (task.holder(), task.attempt);
            let poll_at_ms = (app.now_ms() + i64::from(poll_after_ms)).min(task.deadline_at_ms);
            let unit = move |tx: &mut dyn rynjer_store::Tx| {
                lease::submitted(tx, &holder, attempt, &provider_task_id, poll_at_ms)
            };
            patience::write(app, unit).await.map(drop)
        }
        Ok(SubmitAnswer::Finished { provider_task_id, units }) => {
            keep_finished(app, task, provider, provider_task_id, &units).await
        }
        Err(ProviderError::Refused { error, message }) => refuse(app, task, error, &message).await,
        Err(ProviderError::NotNow { retry_after_ms, message }) => {
            not_now(app, task, retry_after_ms, &message).await
        }
        Err(ProviderError::Ambiguous { message }) => ambiguous(app, task, provider, &message).await,
    }
}

/// Stores what a submit brought at once. What can't be had a second time stays in memory until it is stored
/// or the task's time is over.
async fn keep_finished(
    app: &App,
    task: &Leased,
    provider: &Arc<dyn Provider>,
    provider_task_id: Option<String>,
    units: &[Unit],
) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match files::store_and_capture(app, task, provider_task_id.clone(), units).await? {
            Stored::Ended => return Ok(()),
            Stored::Away => tries += 1,
        }
        let pause_ms = backoff_ms(tries, None);
        if let Some(id) = provider_task_id {
            let (holder, attempt) = (task.holder(), task.attempt);
            let poll_at_ms = (app.now_ms() + pause_ms).min(task.deadline_at_ms);
            let unit =
                move |tx: &mut dyn rynjer_store::Tx| lease::submitted(tx, &holder, attempt, &id, poll_at_ms);
            return patience::write(app, unit).await.map(drop);
        }
        if provider.ambiguity() == Ambiguity::Key {
            return retry_later(app, task, None).await;
        }
        tokio::time::sleep(Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0))).await;
    }
}

/// Asks the provider once more later, and stores then, unless the task's time is over.
async fn store_later(app: &App, task: &Leased) -> Result<(), StoreError> {
    if app.now_ms() >= task.deadline_at_ms {
        let message = "the output could not be stored in time";
        return settle::fail(app, task, "timed_out", message, true).await;
    }
    retry_later(app, task, None).await
}

async fn poll(
    app: &App,
    task: &Leased,
    provider: &Arc<dyn Provider>,
    mut loaded: Loaded,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let Some(provider_task_id) = task.provider_task_id.clone() else {
        return settle::await_late_answer(app, task).await;
    };
    let asked = provider.poll(job(task, &mut loaded), provider_task_id, on_progress(app, task, stop));
    let answer = call::observe(provider.name(), "poll", asked).await;
    drop(loaded);
    let holder = task.holder();
    // Past its time a task is asked once more, since what is finished may have waited for us.
    let over = app.now_ms() >= task.deadline_at_ms;
    match answer {
        Ok(PollAnswer::Pending { .. })
        | Err(ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })
            if over =>
        {
            overdue(app, task, task.step).await
        }
        Ok(PollAnswer::Pending { poll_after_ms, progress }) => {
            let at_ms = (app.now_ms() + i64::from(poll_after_ms)).min(task.deadline_at_ms);
            let permille = progress.map(|share| i64::from(permille(share)));
            patience::write(app, move |tx| lease::poll_later(tx, &holder, at_ms, permille)).await.map(drop)
        }
        Ok(PollAnswer::Finished { units }) => {
            let lease_ms = i64::from(app.config.worker.lease_seconds) * 1000;
            let due_at_ms = app.now_ms() + lease_ms;
            if !patience::write(app, move |tx| lease::storing(tx, &holder, due_at_ms)).await? {
                return Ok(());
            }
            match files::store_and_capture(app, task, None, &units).await? {
                Stored::Ended => Ok(()),
                Stored::Away => store_later(app, task).await,
            }
        }
        Err(ProviderError::Refused { error, message }) => refuse(app, task, error, &message).await,
        // A poll changes nothing upstream: ask again until the task's time is over.
        Err(ProviderError::NotNow { retry_after_ms, .. }) => retry_later(app, task, retry_after_ms).await,
        Err(ProviderError::Ambiguous { .. }) => retry_later(app, task, None).await,
    }
}

async fn refuse(app: &App, task: &Leased, error: TaskError, message: &str) -> Result<(), StoreError> {
    settle::fail(app, task, error.code(), message, false).await
}

/// Nothing was accepted upstream.
async fn not_now(
    app: &App,
    task: &Leased,
    retry_after_ms: Option<u32>,
    message: &str,
) -> Result<(), StoreError> {
    let spent = task.tries >= i64::from(app.config.worker.submit_retries);
    if task.step == Step::Submitting {
        // A resend: the first send may have been accepted, so the attempt and its key stay what they are.
        return if spent {
            settle::await_late_answer(app, task).await
        } else {
            retry_later(app, task, retry_after_ms).await
        };
    }
    if spent {
        let text = "the provider did not take the job after several tries";
        return settle::fail(app, task, "provider_failed", text, false).await;
    }
    let (holder, attempt, now_ms) = (task.holder(), task.attempt, app.now_ms());
    let due_at_ms = (now_ms + backoff_ms(task.tries, retry_after_ms)).min(task.deadline_at_ms);
    let message = message.to_owned();
    let unit = move |tx: &mut dyn rynjer_store::Tx| {
        lease::requeue(tx, &holder, attempt, due_at_ms, &message, now_ms)
    };
    patience::write(app, unit).await.map(drop)
}

async fn ambiguous(
    app: &App,
    task: &Leased,
    provider: &Arc<dyn Provider>,
    message: &str,
) -> Result<(), StoreError> {
    tracing::info!(task = %task.id, provider = provider.name(), message, "a submit's outcome is unknown");
    let resend =
        provider.ambiguity() == Ambiguity::Key && task.tries < i64::from(app.config.worker.submit_retries);
    if resend { retry_later(app, task, None).await } else { settle::await_late_answer(app, task).await }
}

async fn retry_later(app: &App, task: &Leased, retry_after_ms: Option<u32>) -> Result<(), StoreError> {
    let holder = task.holder();
    let at_ms = (app.now_ms() + backoff_ms(task.tries, retry_after_ms)).min(task.deadline_at_ms);
    patience::write(app, move |tx| lease::retry_later(tx, &holder, at_ms)).await.map(drop)
}

/// Full jitter over a doubling range; what the provider asks for is the least.
fn backoff_ms(tries: i64, retry_after_ms: Option<u32>) -> i64 {
    let doublings = u32::try_from(tries.clamp(0, 16)).unwrap_or(16);
    let range = (BACKOFF_MS.0 << doublings).min(BACKOFF_MS.1);
    let jitter = i64::from(u32::from_be_bytes(entropy::bytes())) % range.max(1);
    retry_after_ms.map_or(0, i64::from) + jitter
}

fn permille(share: f32) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=999")]
    let permille = (share * 1000.0).clamp(0.0, 999.0) as u16;
    permille
}

fn on_progress(app: &App, task: &Leased, stop: &CancellationToken) -> OnProgress {
    let (app, id, stop) = (app.clone(), task.id.clone(), stop.clone());
    Arc::new(move |share| {
        app.hub.set_progress(&id, Some(permille(share)));
        !stop.is_cancelled()
    })
}

/// The pictures go into the job; their memory counts until `loaded` is dropped.
fn job(task: &Leased, loaded: &mut Loaded) -> Job {
    let body = std::mem::take(&mut loaded.body);
    Job {
        nonce: task.attempt_id.to_string(),
        // The time that told whether the pictures are needed.
        now_ms: loaded.now_ms,
        product: Product::parse(&task.product).unwrap_or(Product::Image),
        mode: Mode::parse(&task.mode).unwrap_or(Mode::TextToImage),
        vendor_model: task.vendor_model.clone(),
        prompt: body.prompt,
        negative_prompt: body.negative_prompt,
        count: task.count,
        width: body.width,
        height: body.height,
        duration_ms: body.duration_seconds.unwrap_or(0).saturating_mul(1000),
        aspect_ratio: body.aspect_ratio,
        resolution: body.resolution,
        seed: body.seed,
        input_images: std::mem::take(&mut loaded.images),
    }
}
