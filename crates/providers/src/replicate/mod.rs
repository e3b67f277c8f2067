//! Replicate: predictions of any model, whose inputs a route of the catalog names.
//!
//! A route's `inputs` maps our words to the model's: `prompt`, `negative_prompt`, `aspect_ratio`,
//! `resolution`, `duration` (seconds), `seed`, `width`, `height`, `count`, `image` and `images` (`NAME[]`
//! takes a list). `vendor_model` is what `version` takes: `owner/name`, `owner/name:VERSION` or a version
//! alone. A model without a `count` is run once for each output.
//!
//! Invariant: a create is sent once. Replicate de-duplicates nothing, but lists its predictions, so one
//! without an answer is looked up; `Cancel-After` bounds what one that is never found can cost. Not here:
//! retries.

mod hear;
mod look_up;
mod map;
mod wire;

use crate::{
    Ambiguity, Callback, CallbackError, CancelAnswer, Heard, InputForm, Job, LookUpAnswer, OnProgress,
    PollAnswer, Provider, ProviderError, Sink, SubmitAnswer, Unit,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    upstream::{ApiKey, Call, KeyStyle, Upstream, VendorSettings},
};
use futures::future::{BoxFuture, join_all};
use look_up::Sought;
use map::Names;
use reqwest::Method;
use rynjer_core::catalog::{Product, VendorRoute};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wire::{Prediction, State};

const NAME: &str = "replicate";
/// A create answers with an id, never with the output, as long as it isn't asked to wait.
const SUBMIT_TIMEOUT_MS: u32 = 60_000;
const POLL_AFTER_MS: u32 = 2_000;
/// After its making: Replicate itself stops at 30 minutes.
const CANCEL_PICTURE_AFTER: &str = "10m";
const CANCEL_AFTER: &str = "30m";

/// Replicate.
pub struct Replicate {
    upstream: Upstream,
    /// Without it callbacks could not be checked, so none are asked for.
    webhook_secret: Option<ApiKey>,
    names: BTreeMap<String, Names>,
}

impl Replicate {
    /// `routes` are the catalog's; those of other providers are passed over. `webhook_secret` is `whsec_…`,
    /// of `GET /webhooks/default/secret`.
    ///
    /// # Errors
    /// As [`Upstream::new`].
    pub fn new(
        settings: VendorSettings,
        webhook_secret: Option<ApiKey>,
        routes: &[VendorRoute],
    ) -> Result<Self, GuardError> {
        let upstream = Upstream::new(settings, KeyStyle::Bearer, &[])?;
        Ok(Self { upstream, webhook_secret, names: map::tables(routes) })
    }

    fn names(&self, vendor_model: &str) -> Result<&Names, ProviderError> {
        let message = || format!("no route of the catalog names the inputs of `{vendor_model}`");
        self.names.get(vendor_model).ok_or_else(|| ProviderError::Unusable { message: message() })
    }

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        let names = self.names(&job.vendor_model)?;
        let body = self.body(&job, &names.input(&job)?);
        let cancel_after = if job.product == Product::Image { CANCEL_PICTURE_AFTER } else { CANCEL_AFTER };
        fan_out::submit(names.calls(job.count), POLL_AFTER_MS, |_| {
            Box::pin(self.make_one(body.clone(), cancel_after))
        })
        .await
    }

    fn body(&self, job: &Job, input: &Value) -> Value {
        let mut body = json!({"version": job.vendor_model, "input": input});
        if let (Some(url), Some(_)) = (&job.callback_url, &self.webhook_secret) {
            body["webhook"] = json!(url);
            body["webhook_events_filter"] = json!(["completed"]);
        }
        body
    }

    async fn make_one(&self, body: Value, cancel_after: &str) -> Result<Part, ProviderError> {
        let call = Call::submit(self.upstream.url("/predictions"))
            .timeout_ms(SUBMIT_TIMEOUT_MS)
            .header("cancel-after", cancel_after)
            .json(body);
        Ok(Part::Accepted { id: wire::accepted(&self.upstream.send(call).await?)? })
    }

    async fn prediction(&self, id: &str) -> Result<Prediction, ProviderError> {
        let known = if wire::is_id(id) { id } else { "unknown" };
        wire::asked(
            &self.upstream.send(Call::get(self.upstream.url(&format!("/predictions/{known}")))).await?,
        )
    }

    /// One prediction for the whole job.
    async fn poll_whole(&self, job: &Job, id: &str) -> Result<PollAnswer, ProviderError> {
        Ok(match wire::state(&self.prediction(id).await?, job, job.count)? {
            State::Pending { progress } => PollAnswer::Pending { poll_after_ms: POLL_AFTER_MS, progress },
            State::Made(units) => PollAnswer::Finished { units, cost: None },
        })
    }

    /// One prediction for each unit.
    async fn poll_part(&self, job: &Job, id: &str) -> Result<PartAnswer, ProviderError> {
        Ok(match wire::state(&self.prediction(id).await?, job, 1)? {
            State::Pending { progress } => PartAnswer::Pending { progress },
            State::Made(units) => {
                let message = "the provider finished without a file".to_owned();
                let unit = units.into_iter().next().unwrap_or(Unit::Lost { message });
                PartAnswer::Finished { unit, cost: None }
            }
        })
    }

    async fn find(&self, job: Job, started_at_ms: i64) -> Result<LookUpAnswer, ProviderError> {
        let names = self.names(&job.vendor_model)?;
        fan_out::may_be_looked_up(names.calls(job.count))?;
        // Pictures that are not at hand, or went inside the request, can't be told from a stranger's.
        if job.has_pictures() && (job.input_images.is_empty() || !map::are_by_url(&job.input_images)) {
            let message = "the provider's list does not tell which pictures a job starts from".to_owned();
            return Err(ProviderError::Ambiguous { message });
        }
        let sought = Sought {
            vendor_model: &job.vendor_model,
            input: names.input(&job)?,
            pictures: names.of_pictures().collect(),
            started_at_ms,
            now_ms: job.now_ms,
        };
        let provider_task_ids = look_up::look_up(&self.upstream, &sought).await?;
        if provider_task_ids.is_empty() {
            return sought.absent();
        }
        Ok(LookUpAnswer::Found { provider_task_ids, poll_after_ms: POLL_AFTER_MS })
    }

    async fn take_back(&self, id: &str) -> Result<CancelAnswer, ProviderError> {
        if !wire::is_id(id) {
            return Ok(CancelAnswer::NotFree);
        }
        // One that runs is billed until it is stopped, and then for nothing: it is left alone and delivered.
        let known = self.prediction(id).await?;
        if !wire::is_waiting(&known) {
            return Ok(wire::canceled(&known));
        }
        let url = self.upstream.url(&format!("/predictions/{id}/cancel"));
        let answer = self.upstream.send(Call::ask(Method::POST, url)).await?;
        // The status may lag behind the cancel, and a finished one may be refused: what it is now counts.
        match answer.json().filter(|_| answer.is_success()) {
            Some(stopped) if wire::canceled(&stopped) == CancelAnswer::Free => Ok(CancelAnswer::Free),
            _ => Ok(wire::canceled(&self.prediction(id).await?)),
        }
    }

    async fn take_all_back(&self, id: &str) -> Result<CancelAnswer, ProviderError> {
        let all = join_all(fan_out::jobs(id).map(|id| self.take_back(id))).await;
        let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
        let free = !fan_out::has_lost(id) && all.iter().all(|one| *one == CancelAnswer::Free);
        Ok(if free { CancelAnswer::Free } else { CancelAnswer::NotFree })
    }
}

impl Provider for Replicate {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Replicate knows no idempotency key; its list shows model, inputs and time of each prediction.
    fn ambiguity(&self, _vendor_model: &str) -> Ambiguity {
        Ambiguity::Lookup
    }

    /// Small pictures go inside the request all the same.
    fn input_form(&self, _vendor_model: &str) -> InputForm {
        InputForm::Url
    }

    fn submit(
        &self,
        job: Job,
        _on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<SubmitAnswer, ProviderError>> {
        Box::pin(self.make(job))
    }

    fn poll(
        &self,
        job: Job,
        provider_task_id: String,
        _on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<PollAnswer, ProviderError>> {
        Box::pin(async move {
            let calls = self.names(&job.vendor_model).map_or(job.count, |names| names.calls(job.count));
            if calls == 1 {
                return self.poll_whole(&job, &provider_task_id).await;
            }
            let job = &job;
            let ask = |id: String| async move { self.poll_part(job, &id).await };
            fan_out::poll(&provider_task_id, POLL_AFTER_MS, job.is_over, |id| Box::pin(ask(id))).await
        })
    }

    fn look_up(&self, job: Job, started_at_ms: i64) -> BoxFuture<'_, Result<LookUpAnswer, ProviderError>> {
        Box::pin(self.find(job, started_at_ms))
    }

    fn cancel(
        &self,
        _vendor_model: String,
        provider_task_id: Option<String>,
    ) -> BoxFuture<'_, Result<CancelAnswer, ProviderError>> {
        Box::pin(async move {
            match provider_task_id {
                Some(id) => self.take_all_back(&id).await,
                None => Ok(CancelAnswer::NotFree),
            }
        })
    }

    fn fetch<'a>(
        &'a self,
        url: String,
        limits: FetchLimits,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move { self.upstream.fetch_into(&url, &limits, sink).await })
    }

    fn hear(&self, callback: Callback) -> BoxFuture<'_, Result<Heard, CallbackError>> {
        Box::pin(async move { hear::hear(self.webhook_secret.as_ref(), &callback) })
    }
}
