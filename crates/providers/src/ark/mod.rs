//! Volcengine's Ark and BytePlus' ModelArk: Seedance's clips, as tasks.
//!
//! Invariant: every call makes one clip, and no word of a prompt is read as an option. Not here: retries.
//!
//! The catalog names the ids of BytePlus. With a base URL of `volces.com`, the same house in China, the
//! adapter puts `doubao-` before them; ids that begin with `ep-` are endpoints of the operator and stay as
//! they are.

mod map;
mod wire;

use crate::{
    Ambiguity, Callback, CallbackError, CancelAnswer, Heard, Job, OnProgress, PollAnswer, Provider,
    ProviderError, Sink, SubmitAnswer,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    upstream::{Call, KeyStyle, Upstream, VendorSettings},
};
use futures::future::BoxFuture;
use reqwest::Method;

/// How long a submit may take.
const SUBMIT_TIMEOUT_MS: u32 = 60_000;
const POLL_AFTER_MS: u32 = 5_000;
const TASKS: &str = "/contents/generations/tasks";

/// Ark or ModelArk.
pub struct Ark {
    upstream: Upstream,
}

impl Ark {
    /// # Errors
    /// As [`Upstream::new`].
    pub fn new(settings: VendorSettings) -> Result<Self, GuardError> {
        Ok(Self { upstream: Upstream::new(settings, KeyStyle::Bearer, &[])? })
    }

    fn model(&self, vendor_model: &str) -> String {
        map::model(&self.upstream.settings().base_url, vendor_model)
    }

    async fn make_one(&self, job: &Job) -> Result<Part, ProviderError> {
        let call = Call::submit(self.upstream.url(TASKS)).timeout_ms(SUBMIT_TIMEOUT_MS);
        let body = map::body(job, &self.model(&job.vendor_model));
        wire::accepted(&self.upstream.send(call.json(body)).await?)
    }

    async fn ask(&self, id: &str) -> Result<wire::Task, ProviderError> {
        wire::task(&self.upstream.send(Call::get(self.upstream.url(&format!("{TASKS}/{id}")))).await?)
    }

    /// A `DELETE` takes back what is queued, but of what is done it removes the record and with it the clip:
    /// so the state is asked for before, and what became of it after.
    async fn take_back(&self, provider_task_id: &str) -> Result<CancelAnswer, ProviderError> {
        for id in fan_out::jobs(provider_task_id) {
            let state = self.ask(id).await?.state();
            if state == wire::State::Queued {
                let call = Call::ask(Method::DELETE, self.upstream.url(&format!("{TASKS}/{id}")));
                self.upstream.send(call).await?;
                if self.ask(id).await?.state() == wire::State::Stopped {
                    continue;
                }
            } else if state == wire::State::Stopped || state == wire::State::Failed {
                // Only clips that were made are billed.
                continue;
            }
            return Ok(CancelAnswer::NotFree);
        }
        let in_doubt = fan_out::has_lost(provider_task_id);
        Ok(if in_doubt { CancelAnswer::NotFree } else { CancelAnswer::Free })
    }
}

impl Provider for Ark {
    fn name(&self) -> &'static str {
        "ark"
    }

    /// N: the list tells neither prompt nor picture, and is not documented to tell the callback URL. The
    /// `safety_identifier` is the same for all tasks of an agent, so that one task would get another's clip.
    /// A callback of a task whose submit was cut off tells its id all the same.
    fn ambiguity(&self, _vendor_model: &str) -> Ambiguity {
        Ambiguity::Neither
    }

    fn submit(
        &self,
        job: Job,
        _on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<SubmitAnswer, ProviderError>> {
        Box::pin(async move {
            let job = &job;
            let call = |_| -> BoxFuture<'_, Result<Part, ProviderError>> { Box::pin(self.make_one(job)) };
            fan_out::submit(job.count, POLL_AFTER_MS, call).await
        })
    }

    fn poll(
        &self,
        job: Job,
        provider_task_id: String,
        _on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<PollAnswer, ProviderError>> {
        Box::pin(async move {
            let call = |id: String| -> BoxFuture<'_, Result<PartAnswer, ProviderError>> {
                Box::pin(async move { Ok(self.ask(&id).await?.part()) })
            };
            fan_out::poll(&provider_task_id, POLL_AFTER_MS, job.is_over, call).await
        })
    }

    fn cancel(
        &self,
        _vendor_model: String,
        provider_task_id: Option<String>,
    ) -> BoxFuture<'_, Result<CancelAnswer, ProviderError>> {
        Box::pin(async move {
            match provider_task_id {
                Some(id) => self.take_back(&id).await,
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

    /// There is no signature: the secret of the URL was checked before.
    fn hear(&self, callback: Callback) -> BoxFuture<'_, Result<Heard, CallbackError>> {
        Box::pin(std::future::ready(wire::heard(&callback)))
    }
}
