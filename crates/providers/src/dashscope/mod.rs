//! Alibaba's DashScope (Model Studio): Qwen's and Z-Image's pictures, answered at once, and Wan's clips.
//!
//! Invariant: every call makes one output, so a lost answer is one lost output. Not here: retries.
//!
//! Protocols of a route's `PROTOCOL:ID`:
//! - `image`: a picture from a prompt in one of five fixed sizes, answered at once (Qwen-Image).
//! - `free`: a picture from a prompt in any size, no count and no negative prompt (Z-Image).
//! - `edit`: a picture from pictures; the vendor takes its shape from the last one (Qwen-Image-Edit).
//! - `edit-plus`: a picture from pictures in a size of our choice (Qwen-Image-Edit-Plus, -Max).
//! - `text`: a clip from a prompt, a task to be polled (Wan 2.6 t2v).
//! - `first-frame`: a clip from a picture, a task to be polled (Wan 2.6 i2v).
//!
//! It has no callbacks: tasks are polled. Keys belong to one region, and so does the base URL.

mod look_up;
mod map;
mod wire;

use crate::{
    Ambiguity, CancelAnswer, Job, LookUpAnswer, OnProgress, PollAnswer, Provider, ProviderError, Sink,
    SubmitAnswer,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    upstream::{Call, KeyStyle, Upstream, VendorSettings},
};
use futures::future::BoxFuture;
use map::Protocol;
use reqwest::Method;

/// How long a submit may take that answers with a task.
const TASK_TIMEOUT_MS: u32 = 60_000;
/// A clip takes minutes, and an account may ask 20 times in a second.
const POLL_AFTER_MS: u32 = 5_000;

/// DashScope in one region.
pub struct DashScope {
    upstream: Upstream,
}

impl DashScope {
    /// # Errors
    /// As [`Upstream::new`].
    pub fn new(settings: VendorSettings) -> Result<Self, GuardError> {
        Ok(Self { upstream: Upstream::new(settings, KeyStyle::Bearer, &[])? })
    }

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        let protocol = map::protocol(&job.vendor_model)?;
        let job = &job;
        let call = |index| -> BoxFuture<'_, Result<Part, ProviderError>> {
            Box::pin(self.make_one(job, protocol, index))
        };
        fan_out::submit(job.count, POLL_AFTER_MS, call).await
    }

    async fn make_one(&self, job: &Job, protocol: Protocol, index: u32) -> Result<Part, ProviderError> {
        let body = map::body(job, protocol, index)?;
        if protocol.is_task() {
            let url = self.upstream.url("/services/aigc/video-generation/video-synthesis");
            let call = Call::submit(url).timeout_ms(TASK_TIMEOUT_MS).header("x-dashscope-async", "enable");
            return wire::accepted(&self.upstream.send(call.json(body)).await?);
        }
        let url = self.upstream.url("/services/aigc/multimodal-generation/generation");
        let call = Call::submit(url).timeout_ms(self.upstream.settings().submit_timeout_ms);
        wire::picture(&self.upstream.send(call.json(body)).await?)
    }

    async fn ask(&self, task_id: String) -> Result<PartAnswer, ProviderError> {
        wire::task(&self.upstream.send(Call::get(self.task_url(&task_id, ""))).await?)
    }

    fn task_url(&self, task_id: &str, verb: &str) -> reqwest::Url {
        self.upstream.url(&format!("/tasks/{task_id}{verb}"))
    }

    /// Only a task that waits can be taken back, and the vendor refuses the others. What was lost may be made
    /// and billed all the same.
    async fn take_back(&self, provider_task_id: &str) -> Result<CancelAnswer, ProviderError> {
        let in_doubt = fan_out::has_lost(provider_task_id);
        let mut all = if in_doubt { CancelAnswer::NotFree } else { CancelAnswer::Free };
        for task_id in fan_out::jobs(provider_task_id) {
            let call = Call::ask(Method::POST, self.task_url(task_id, "/cancel"));
            if !wire::is_canceled(&self.upstream.send(call).await?)? {
                all = CancelAnswer::NotFree;
            }
        }
        Ok(all)
    }
}

impl Provider for DashScope {
    fn name(&self) -> &'static str {
        "dashscope"
    }

    /// Clips from a prompt are found in the list of tasks, which with the task itself tells model, time,
    /// prompt and size: [`Ambiguity::Lookup`]. Of a clip from a picture nothing tells which picture it was,
    /// so that two of the same words can't be told apart, and one customer would get another's picture:
    /// [`Ambiguity::Neither`]. Pictures are answered at once and leave no trace: the same.
    fn ambiguity(&self, vendor_model: &str) -> Ambiguity {
        match map::protocol(vendor_model) {
            Ok(Protocol::Text) => Ambiguity::Lookup,
            _ => Ambiguity::Neither,
        }
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
            let call = |task_id| -> BoxFuture<'_, _> { Box::pin(self.ask(task_id)) };
            fan_out::poll(&provider_task_id, POLL_AFTER_MS, job.is_over, call).await
        })
    }

    fn look_up(&self, job: Job, started_at_ms: i64) -> BoxFuture<'_, Result<LookUpAnswer, ProviderError>> {
        Box::pin(look_up::find(&self.upstream, job, started_at_ms))
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
}
