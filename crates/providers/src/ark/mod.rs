//! Volcengine's Ark and BytePlus' ModelArk: Seedance's clips, as tasks.
//!
//! Invariant: every call makes one clip, and no word of a prompt is read as an option. Not here: retries.
//!
//! The catalog names the ids of BytePlus. With a base URL of `volces.com`, the same house in China, the
//! adapter puts `doubao-` before them; ids that begin with `ep-` are endpoints of the operator and stay as they are.

mod map;
mod wire;

use crate::{
    Ambiguity, Callback, CallbackError, CancelAnswer, Heard, Job, LookUpAnswer, OnProgress, PollAnswer,
    Provider, ProviderError, SubmitAnswer,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    upstream::{Call, KeyStyle, Upstream, VendorSettings},
};
use futures::future::BoxFuture;
use reqwest::Method;

/// How long a submit may take.
const SUBMIT_TIMEOUT_MS: u32 = 60_000;
const POLL_AFTER_MS: u32 = 5_000;
/// The largest page of the list; it is sent newest first.
const PAGE_SIZE: u32 = 500;
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

    async fn find(&self, job: Job, started_at_ms: i64) -> Result<LookUpAnswer, ProviderError> {
        let model = self.model(&job.vendor_model);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("page_num", "1")
            .append_pair("page_size", &PAGE_SIZE.to_string())
            .append_pair("filter.model", &model)
            .finish();
        let url = self.upstream.url(&format!("{TASKS}?{query}"));
        wire::found(&self.upstream.send(Call::get(url)).await?, &job, &model, started_at_ms)
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
        // What was lost may be made and billed all the same.
        let lost = fan_out::has_lost(provider_task_id);
        Ok(if lost { CancelAnswer::NotFree } else { CancelAnswer::Free })
    }
}

impl Provider for Ark {
    fn name(&self) -> &'static str {
        "ark"
    }

    /// The list tells model, time, size and length of each task, and whose it is by `safety_identifier`, or
    /// the callback URL of the attempt itself. Where it tells neither, nothing counts as found.
    fn ambiguity(&self, _vendor_model: &str) -> Ambiguity {
        Ambiguity::Lookup
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
        _job: Job,
        provider_task_id: String,
        _on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<PollAnswer, ProviderError>> {
        Box::pin(async move {
            let call = |id: String| -> BoxFuture<'_, Result<PartAnswer, ProviderError>> {
                Box::pin(async move { Ok(self.ask(&id).await?.part()) })
            };
            fan_out::poll(&provider_task_id, POLL_AFTER_MS, call).await
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
                Some(id) => self.take_back(&id).await,
                None => Ok(CancelAnswer::NotFree),
            }
        })
    }

    fn fetch(&self, url: String, limits: FetchLimits) -> BoxFuture<'_, Result<bytes::Bytes, FetchError>> {
        Box::pin(async move { self.upstream.fetch(&url, &limits).await })
    }

    /// There is no signature: the secret of the URL was checked before.
    fn hear(&self, callback: Callback) -> BoxFuture<'_, Result<Heard, CallbackError>> {
        Box::pin(std::future::ready(wire::heard(&callback)))
    }
}
