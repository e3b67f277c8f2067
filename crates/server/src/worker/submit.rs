//! Handing a job over, and what follows from each answer: stored, polled, tried again, tried elsewhere, or
//! in doubt.
//!
//! Invariant: what a provider may have accepted is never submitted again unless its class allows it, and
//! never elsewhere. Not here: polls, files, money.

use super::{
    call,
    files::{self, Stored},
    inputs::Loaded,
    job::{job, on_progress},
    later::{self, backoff_ms},
    patience, settle,
};
use crate::{
    app::{
        body::TaskBody,
        breaker::Sign,
        model::SANDBOX,
        pause,
        vendor::{self, Served},
    },
    state::App,
};
use rynjer_core::task::Step;
use rynjer_providers::{
    Ambiguity, Cost, Job, LookUpAnswer, Provider, ProviderError, SubmitAnswer, TaskError, Unit,
};
use rynjer_store::{
    StoreError, attempt,
    callback::{self, Addressed},
    lease::{self, Leased},
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long after an ambiguous submit its job is looked for: longer than any submit under way may take to be
/// written down, so that nobody else's job is taken for ours.
const LOOK_UP_AFTER_MS: i64 = 90_000;

/// How long a task of a paused provider that was claimed all the same is put back.
const PAUSED_MS: i64 = 1000;

/// What a submit needs beside the task.
pub(super) struct Submit<'a> {
    pub(super) app: &'a App,
    pub(super) task: &'a Leased,
    pub(super) provider: &'a Arc<dyn Provider>,
    /// For going elsewhere.
    pub(super) body: TaskBody,
}

impl Submit<'_> {
    /// Calls the provider, unless its route is left alone for now.
    pub(super) async fn run(&self, mut loaded: Loaded, stop: &CancellationToken) -> Result<(), StoreError> {
        let (app, task) = (self.app, self.task);
        if let Err(until_ms) = self.admit().await {
            drop(loaded);
            return match vendor::after(app, task, &self.body) {
                Some(served) if task.step == Step::Queued => self.reroute(served, "left alone").await,
                _ => later::put_back_until(app, task, until_ms).await,
            };
        }
        let asked = self.provider.submit(job(app, task, &mut loaded), on_progress(app, task, stop));
        let answer = call::observe(self.provider.name(), "submit", asked).await;
        drop(loaded);
        self.note(&answer);
        match answer {
            Ok(SubmitAnswer::Accepted { provider_task_id, poll_after_ms }) => {
                self.accepted(provider_task_id, poll_after_ms).await
            }
            Ok(SubmitAnswer::Finished { provider_task_id, units, cost }) => {
                self.keep_finished(provider_task_id, &units, cost).await
            }
            Err(ProviderError::Refused { error, message, cost }) => self.refused(error, &message, cost).await,
            Err(ProviderError::NotNow { retry_after_ms, message }) => {
                self.not_now(retry_after_ms, &message).await
            }
            Err(ProviderError::Unusable { message }) => {
                tracing::error!(
                    provider = self.provider.name(),
                    vendor_model = task.vendor_model,
                    message,
                    "a vendor can't be used: its operator has to look at the key, the credit or the route"
                );
                self.not_now(None, "the vendor's account can't be used now").await
            }
            Err(ProviderError::Busy { message }) => {
                tracing::debug!(task = %task.id, message, "no place for a call now");
                later::put_back(app, task).await
            }
            Err(ProviderError::Ambiguous { message }) => self.ambiguous(&message).await,
        }
    }

    /// Whether the provider may be called now; else until when not.
    async fn admit(&self) -> Result<(), i64> {
        let looked = pause::look(self.app).await;
        if looked.is_err() || self.app.pauses.stops(&self.task.provider) {
            return Err(self.app.now_ms() + PAUSED_MS);
        }
        if self.task.provider == SANDBOX {
            return Ok(());
        }
        self.app.breakers.admit(&self.task.provider, &self.task.vendor_model, self.app.now_ms())
    }

    /// What the answer tells about the route.
    fn note(&self, answer: &Result<SubmitAnswer, ProviderError>) {
        let task = self.task;
        if task.provider == SANDBOX {
            return;
        }
        let sign = match answer {
            Err(ProviderError::Busy { .. }) => return,
            // A job of several calls, none of which gave anything and one of which is in doubt.
            Ok(SubmitAnswer::Finished { units, .. }) if came_to_nothing(units) => {
                Sign::Failed { at_least_ms: None }
            }
            Ok(_) | Err(ProviderError::Refused { .. }) => Sign::Alive,
            Err(ProviderError::NotNow { retry_after_ms, .. }) => {
                Sign::Failed { at_least_ms: *retry_after_ms }
            }
            Err(ProviderError::Ambiguous { .. }) => Sign::Failed { at_least_ms: None },
            Err(ProviderError::Unusable { .. }) => Sign::Unusable,
        };
        if self.app.breakers.note(&task.provider, &task.vendor_model, self.app.now_ms(), sign) {
            tracing::warn!(
                provider = task.provider,
                vendor_model = task.vendor_model,
                "a route is left alone"
            );
        }
    }

    async fn accepted(&self, provider_task_id: String, poll_after_ms: u32) -> Result<(), StoreError> {
        let (holder, attempt) = (self.task.holder(), self.task.attempt);
        let poll_at_ms = self.poll_at_ms(poll_after_ms);
        let (name, now_ms) = (self.task.provider.clone(), self.app.now_ms());
        let unit = move |tx: &mut dyn rynjer_store::Tx| {
            if lease::submitted(tx, &holder, attempt, &provider_task_id, poll_at_ms)? {
                return Ok(());
            }
            // The lease was lost meanwhile, and the same attempt may be waiting in doubt for just this id.
            let of = Addressed { account: holder.account.clone(), task: holder.id.clone(), attempt };
            callback::heard(tx, &of, &name, Some(&provider_task_id), now_ms).map(drop)
        };
        patience::write(self.app, unit).await
    }

    /// Stores what a submit brought at once. What can't be had a second time stays in memory until it is
    /// stored or the task's time is over.
    async fn keep_finished(
        &self,
        provider_task_id: Option<String>,
        units: &[Unit],
        cost: Cost,
    ) -> Result<(), StoreError> {
        let (app, task) = (self.app, self.task);
        let mut tries = 0;
        loop {
            match files::store_and_capture(app, task, provider_task_id.clone(), units, cost, false).await? {
                Stored::Ended => return Ok(()),
                Stored::Away => tries += 1,
            }
            let pause_ms = backoff_ms(tries, None);
            if let Some(id) = provider_task_id {
                return self.accepted(id, u32::try_from(pause_ms).unwrap_or(u32::MAX)).await;
            }
            if self.provider.ambiguity(&task.vendor_model) == Ambiguity::Key {
                return later::retry(app, task, None).await;
            }
            tokio::time::sleep(Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0))).await;
        }
    }

    /// The vendor will never make this. Another one may, unless it is about what was asked.
    async fn refused(&self, error: TaskError, message: &str, cost: Cost) -> Result<(), StoreError> {
        if error == TaskError::ProviderFailed
            && cost.is_none()
            && self.task.step == Step::Queued
            && let Some(served) = vendor::after(self.app, self.task, &self.body)
        {
            return self.reroute(served, message).await;
        }
        settle::refuse(self.app, self.task, error, message, cost).await
    }

    /// Nothing was accepted upstream.
    async fn not_now(&self, retry_after_ms: Option<u32>, message: &str) -> Result<(), StoreError> {
        let (app, task) = (self.app, self.task);
        let spent = task.tries >= i64::from(app.config.worker.submit_retries);
        if task.step == Step::Submitting {
            // A resend: the first send may have been accepted, so the attempt and its key stay what they are.
            return if spent {
                settle::await_late_answer(app, task).await
            } else {
                later::retry(app, task, retry_after_ms).await
            };
        }
        if let Some(served) = vendor::after(app, task, &self.body) {
            return self.reroute(served, message).await;
        }
        if spent {
            let text = "the provider did not take the job after several tries";
            return settle::fail(app, task, "provider_failed", text, false).await;
        }
        let (holder, now_ms) = (task.holder(), app.now_ms());
        let wait = task.wait(now_ms + backoff_ms(task.tries, retry_after_ms), now_ms);
        let message = message.to_owned();
        let unit = move |tx: &mut dyn rynjer_store::Tx| lease::requeue(tx, &holder, &wait, &message);
        patience::write(app, unit).await.map(drop)
    }

    /// To the next route: nothing was accepted on this one.
    async fn reroute(&self, served: Served, detail: &str) -> Result<(), StoreError> {
        let (holder, now_ms) = (self.task.holder(), self.app.now_ms());
        let wait = self.task.wait(now_ms, now_ms);
        let labels = [("from", self.task.provider.clone()), ("to", served.provider.clone())];
        metrics::counter!("rynjer_reroutes_total", &labels).increment(1);
        let detail = detail.to_owned();
        let unit = move |tx: &mut dyn rynjer_store::Tx| {
            let to = lease::Reroute { provider: &served.provider, vendor_model: &served.vendor_model };
            lease::reroute(tx, &holder, &wait, &to, &detail)
        };
        let moved = patience::write(self.app, unit).await.map(drop);
        self.app.hub.work_arrived();
        moved
    }

    async fn ambiguous(&self, message: &str) -> Result<(), StoreError> {
        let (app, task) = (self.app, self.task);
        let provider = self.provider.name();
        tracing::info!(task = %task.id, provider, message, "a submit's outcome is unknown");
        match self.provider.ambiguity(&task.vendor_model) {
            Ambiguity::Key if task.tries < i64::from(app.config.worker.submit_retries) => {
                later::retry(app, task, None).await
            }
            Ambiguity::Lookup => look_up_later(app, task).await,
            Ambiguity::Key | Ambiguity::Neither => settle::await_late_answer(app, task).await,
        }
    }

    /// Looks for the job of an ambiguous submit.
    pub(super) async fn look_up(&self, mut loaded: Loaded) -> Result<(), StoreError> {
        let (app, task) = (self.app, self.task);
        let (holder, number) = (task.holder(), task.attempt);
        let started = app.store.read(move |tx| attempt::started_at_ms(tx, &holder, number)).await?;
        // The vendor's clock is compared with this time.
        let job = Job { now_ms: app.now_ms(), ..job(app, task, &mut loaded) };
        let asked = self.provider.look_up(job, started);
        let answer = call::observe(self.provider.name(), "look_up", asked).await;
        drop(loaded);
        match answer {
            Ok(LookUpAnswer::Found { provider_task_ids, poll_after_ms }) => {
                if self.found(provider_task_ids, started, poll_after_ms).await? {
                    return Ok(());
                }
                // All belong to others now. Ours may still come to the list.
                later::retry(app, task, None).await
            }
            Ok(LookUpAnswer::Absent) => self.absent().await,
            Err(error) => {
                tracing::info!(task = %task.id, %error, "a job could not be looked up");
                later::retry(app, task, None).await
            }
        }
    }

    /// Takes the first job that belongs to no attempt yet; whether there is one. It is chosen and taken in
    /// one write: of two tasks that look at once, one would lose its lease over the other's job.
    async fn found(
        &self,
        provider_task_ids: Vec<String>,
        started_at_ms: i64,
        poll_after_ms: u32,
    ) -> Result<bool, StoreError> {
        let (task, name) = (self.task, self.task.provider.clone());
        let (holder, number) = (task.holder(), task.attempt);
        let poll_at_ms = self.poll_at_ms(poll_after_ms);
        let (vendor_model, prompt) = (task.vendor_model.clone(), self.body.prompt.clone());
        let now_ms = self.app.now_ms();
        let unit = move |tx: &mut dyn rynjer_store::Tx| {
            // What others are handing over with the same words may be among them.
            let under_way = attempt::bodies_under_way(tx, &name, &vendor_model, now_ms)?;
            if under_way.iter().any(|body| TaskBody::from_stored(body).prompt == prompt) {
                return Ok(false);
            }
            let free = attempt::first_free(tx, &name, &provider_task_ids, started_at_ms)?;
            let Some(id) = free else { return Ok(false) };
            lease::submitted(tx, &holder, number, &id, poll_at_ms).map(|_| true)
        };
        patience::write(self.app, unit).await
    }

    fn poll_at_ms(&self, poll_after_ms: u32) -> i64 {
        (self.app.now_ms() + i64::from(poll_after_ms)).min(self.task.deadline_at_ms)
    }

    /// The vendor has no such job, so it accepted nothing: from the start again.
    async fn absent(&self) -> Result<(), StoreError> {
        let (holder, now_ms, app, task) = (self.task.holder(), self.app.now_ms(), self.app, self.task);
        let model_s = app.catalog.model(&task.model).map_or(0, |model| model.max_seconds);
        let longest_ms = i64::from(app.config.worker.longest_seconds(model_s)) * 1000;
        let until_ms = task.waits_until_ms.max(task.created_at_ms + longest_ms);
        let wait = lease::Wait { attempt: task.attempt, due_at_ms: now_ms, until_ms, now_ms };
        let unit =
            move |tx: &mut dyn rynjer_store::Tx| lease::requeue(tx, &holder, &wait, "not found upstream");
        patience::write(self.app, unit).await.map(drop)
    }
}

fn came_to_nothing(units: &[Unit]) -> bool {
    units.iter().any(|unit| matches!(unit, Unit::Lost { .. }))
        && !units.iter().any(|unit| matches!(unit, Unit::Delivered(_)))
}

/// Leaves a task in doubt until its job can be looked for.
pub(super) async fn look_up_later(app: &App, task: &Leased) -> Result<(), StoreError> {
    let holder = task.holder();
    let due_at_ms = (app.now_ms() + LOOK_UP_AFTER_MS).min(task.deadline_at_ms);
    patience::write(app, move |tx| lease::look_up_later(tx, &holder, due_at_ms)).await.map(drop)
}
