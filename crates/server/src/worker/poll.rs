//! Asking a provider for a job that it accepted.
//!
//! Invariant: a poll changes nothing upstream, so one that failed is asked again until the task's time is
//! over, and once after it. Not here: submits.

use super::{
    call,
    files::{self, Stored},
    inputs::Loaded,
    job::{job, on_progress, permille},
    later, patience, run, settle,
};
use crate::state::App;
use rynjer_providers::{PollAnswer, Provider, ProviderError};
use rynjer_store::{
    StoreError,
    lease::{self, Leased},
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) async fn poll(
    app: &App,
    task: &Leased,
    provider: &Arc<dyn Provider>,
    mut loaded: Loaded,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let Some(provider_task_id) = task.provider_task_id.clone() else {
        return settle::await_late_answer(app, task).await;
    };
    let job = job(app, task, &mut loaded);
    // Past its time a task is asked once more, since what is finished may have waited for us. A time that
    // ends meanwhile is not over: the provider was not told that this is the last chance of what it has done.
    let over = job.is_over;
    let asked = provider.poll(job, provider_task_id, on_progress(app, task, stop));
    let asked = call::observe(provider.name(), "poll", asked);
    let Ok(answer) = tokio::time::timeout(run::time_left(app, task), asked).await else {
        return run::overdue(app, task, task.step).await;
    };
    drop(loaded);
    let holder = task.holder();
    match answer {
        Err(ProviderError::Refused { error, message, cost }) => {
            settle::refuse(app, task, error, &message, cost).await
        }
        Ok(PollAnswer::Finished { units, cost }) => {
            let lease_ms = i64::from(app.config.worker.lease_seconds) * 1000;
            let due_at_ms = app.now_ms() + lease_ms;
            if !patience::write(app, move |tx| lease::storing(tx, &holder, due_at_ms)).await? {
                return Ok(());
            }
            match files::store_and_capture(app, task, None, &units, cost, over).await? {
                Stored::Ended => Ok(()),
                Stored::Away if over => {
                    let message = "the output could not be stored in time";
                    settle::fail(app, task, "timed_out", message, true).await
                }
                Stored::Away => later::retry(app, task, None).await,
            }
        }
        Ok(PollAnswer::Pending { .. }) | Err(_) if over => run::overdue(app, task, task.step).await,
        Ok(PollAnswer::Pending { poll_after_ms, progress }) => {
            let at_ms = (app.now_ms() + i64::from(poll_after_ms)).min(task.deadline_at_ms);
            let permille = progress.map(|share| i64::from(permille(share)));
            patience::write(app, move |tx| lease::poll_later(tx, &holder, at_ms, permille)).await.map(drop)
        }
        Err(ProviderError::NotNow { retry_after_ms, .. }) => later::retry(app, task, retry_after_ms).await,
        Err(
            ProviderError::Ambiguous { .. } | ProviderError::Unusable { .. } | ProviderError::Busy { .. },
        ) => later::retry(app, task, None).await,
    }
}
