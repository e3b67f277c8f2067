//! xAI's Grok Imagine: pictures, answered at once, and clips, one job each.
//!
//! Invariant: one picture's call makes all pictures of a job, one clip's call makes one clip, and a call
//! without an answer is never made again. Not here: retries. The route's `vendor_model` is the vendor's id of
//! the model; the product tells the protocol.

mod map;
mod wire;

use crate::{
    Ambiguity, Job, OnProgress, PollAnswer, Provider, ProviderError, Sink, SubmitAnswer,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    upstream::{Call, KeyStyle, Upstream, VendorSettings},
};
use futures::future::BoxFuture;
use rynjer_core::catalog::Product;
use serde_json::Value;

/// How long the vendor may take to answer with the id of a job.
const ACCEPT_TIMEOUT_MS: u32 = 60_000;
/// The pace of the vendor's REST client.
const POLL_AFTER_MS: u32 = 5_000;

/// xAI.
pub struct Xai {
    upstream: Upstream,
}

impl Xai {
    /// # Errors
    /// As [`Upstream::new`].
    pub fn new(settings: VendorSettings) -> Result<Self, GuardError> {
        Ok(Self { upstream: Upstream::new(settings, KeyStyle::Bearer, &[])? })
    }

    async fn pictures(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        let path = if job.input_images.is_empty() { "/images/generations" } else { "/images/edits" };
        let call = Call::submit(self.upstream.url(path))
            .json(map::image(&job))
            .timeout_ms(self.upstream.settings().submit_timeout_ms)
            .bytes_max(map::answer_bytes_max(&job));
        wire::pictures(&self.upstream.send(call).await?, job.count)
    }

    async fn clip(&self, body: Value) -> Result<Part, ProviderError> {
        let call =
            Call::submit(self.upstream.url("/videos/generations")).json(body).timeout_ms(ACCEPT_TIMEOUT_MS);
        wire::accepted(&self.upstream.send(call).await?)
    }

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        if job.product == Product::Image {
            return self.pictures(job).await;
        }
        let body = map::video(&job);
        fan_out::submit(job.count, POLL_AFTER_MS, |_| Box::pin(self.clip(body.clone()))).await
    }

    async fn ask(&self, id: String) -> Result<PartAnswer, ProviderError> {
        let call = Call::get(self.upstream.url(&format!("/videos/{id}")));
        wire::polled(&self.upstream.send(call).await?)
    }

    async fn ask_all(&self, ids: String, is_over: bool) -> Result<PollAnswer, ProviderError> {
        fan_out::poll(&ids, POLL_AFTER_MS, is_over, |id| Box::pin(self.ask(id))).await
    }
}

impl Provider for Xai {
    fn name(&self) -> &'static str {
        "xai"
    }

    /// No idempotency header is known, and there is no list of requests to find one in.
    fn ambiguity(&self, _vendor_model: &str) -> Ambiguity {
        Ambiguity::Neither
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
        Box::pin(self.ask_all(provider_task_id, job.is_over))
    }

    /// Its files are public for a day: the key stays here.
    fn fetch<'a>(
        &'a self,
        url: String,
        limits: FetchLimits,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move { self.upstream.fetch_into(&url, &limits, sink).await })
    }
}
