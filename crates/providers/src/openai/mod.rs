//! OpenAI's images and videos, and every server that speaks the same.
//!
//! Invariant: one submit of pictures is one call, answered at once. It has no job id and no look-up, so one
//! without an answer is never sent again, unless the operator says that the server knows `Idempotency-Key`.
//! Not here: retries. Routes: `ID` is the images protocol, `videos:ID` the videos protocol.

mod map;
mod videos;
mod wire;

use crate::{
    Ambiguity, Job, LookUpAnswer, OnProgress, PollAnswer, Provider, ProviderError, Sink, SubmitAnswer,
    TaskError,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    look_up::Finds,
    upstream::{Call, KeyStyle, Poured, Upstream, VendorSettings},
};
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicU32, Ordering};
use url::Url;

/// How long a server may take to answer with the id of a job.
const ACCEPT_TIMEOUT_MS: u32 = 60_000;
/// Between two polls, where the server does not say.
const POLL_AFTER_MS: u32 = 5_000;
/// Pages of a hundred clips that are looked through for one.
const PAGES_MAX: usize = 10;

/// OpenAI, or a server that is compatible with it.
pub struct OpenAi {
    upstream: Upstream,
    /// The server answers a repeated `Idempotency-Key` with what it made the first time. OpenAI's own does
    /// not say so: its SDK sends none.
    knows_idempotency_key: bool,
}

impl OpenAi {
    /// # Errors
    /// As [`Upstream::new`].
    pub fn new(settings: VendorSettings, knows_idempotency_key: bool) -> Result<Self, GuardError> {
        Ok(Self { upstream: Upstream::new(settings, KeyStyle::Bearer, &[])?, knows_idempotency_key })
    }

    async fn pictures(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        let edits = !job.input_images.is_empty();
        let path = if edits { "/images/edits" } else { "/images/generations" };
        let call = Call::submit(self.upstream.url(path))
            .timeout_ms(self.upstream.settings().submit_timeout_ms)
            .bytes_max(map::answer_bytes_max(&job));
        let call = self.keyed(call, job.nonce.clone());
        let call = if edits { call.form(map::form(&job)?) } else { call.json(map::json(&job)) };
        wire::finished(&self.upstream.send(call).await?, job.count)
    }

    fn keyed(&self, call: Call, key: String) -> Call {
        if self.knows_idempotency_key { call.header("idempotency-key", key) } else { call }
    }

    async fn clip(&self, job: &Job, index: u32) -> Result<Part, ProviderError> {
        let call = Call::submit(self.upstream.url("/videos")).timeout_ms(ACCEPT_TIMEOUT_MS);
        let call = self.keyed(call, format!("{}-{index}", job.nonce)).form(videos::form(job)?);
        videos::accepted(&self.upstream.send(call).await?)
    }

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        if videos::model(&job.vendor_model).is_none() {
            return self.pictures(job).await;
        }
        fan_out::submit(job.count, POLL_AFTER_MS, |index| Box::pin(self.clip(&job, index))).await
    }

    async fn ask(&self, id: String, wait_ms: &AtomicU32) -> Result<PartAnswer, ProviderError> {
        let answer = self.upstream.send(Call::get(self.upstream.url(&format!("/videos/{id}")))).await?;
        if let Some(asked_ms) = videos::poll_after_ms(&answer) {
            wait_ms.store(asked_ms, Ordering::Relaxed);
        }
        let content_url = self.upstream.url(&format!("/videos/{id}/content?variant=video"));
        videos::polled(&answer, content_url.into())
    }

    async fn ask_all(&self, job: Job, ids: String) -> Result<PollAnswer, ProviderError> {
        if videos::model(&job.vendor_model).is_none() {
            let message = "this protocol answers at once and has no jobs".to_owned();
            return Err(ProviderError::Refused { error: TaskError::ProviderFailed, message, cost: None });
        }
        let wait_ms = AtomicU32::new(POLL_AFTER_MS);
        let answer =
            fan_out::poll(&ids, POLL_AFTER_MS, job.is_over, |id| Box::pin(self.ask(id, &wait_ms))).await?;
        Ok(match answer {
            PollAnswer::Pending { progress, .. } => {
                PollAnswer::Pending { poll_after_ms: wait_ms.into_inner(), progress }
            }
            finished @ PollAnswer::Finished { .. } => finished,
        })
    }

    /// Whatever goes wrong here, the outcome stays unknown.
    async fn find(&self, job: Job, started_at_ms: i64) -> Result<LookUpAnswer, ProviderError> {
        let unknown = |message: &str| ProviderError::Ambiguous { message: message.to_owned() };
        fan_out::may_be_looked_up(job.count)?;
        if job.has_pictures() {
            return Err(unknown("the list of clips does not tell which picture one starts from"));
        }
        let mut finds = Finds::new(started_at_ms, job.now_ms);
        let mut path = "/videos?limit=100&order=desc".to_owned();
        for _ in 0..PAGES_MAX {
            let call = Call::get(self.upstream.url(&path));
            let answer = self.upstream.send(call).await.map_err(|failure| unknown(&failure.to_string()))?;
            finds.compare_clocks(&answer)?;
            let page = videos::found(&answer, &job, &mut finds);
            let after = page.ok_or_else(|| unknown("the list of clips could not be read"))?;
            let Some(after) = after else { break };
            path = format!("/videos?limit=100&order=desc&after={after}");
        }
        let provider_task_ids = finds.ids()?;
        if provider_task_ids.is_empty() {
            // Not `Absent`: a list may lag, and not every server of this protocol keeps one.
            return Err(unknown("the clip is not in the provider's list"));
        }
        Ok(LookUpAnswer::Found { provider_task_ids, poll_after_ms: POLL_AFTER_MS })
    }

    /// The files of clips need the key; all others are fetched as if a stranger had named them.
    async fn file(&self, url: String, limits: FetchLimits, sink: &mut dyn Sink) -> Result<(), FetchError> {
        let ours = self.upstream.url("/videos/");
        let is_ours = |url: &Url| self.upstream.trusts(url) && url.path().starts_with(ours.path());
        let Some(content_url) = Url::parse(&url).ok().filter(is_ours) else {
            return self.upstream.fetch_into(&url, &limits, sink).await;
        };
        let call = Call::get(content_url.clone())
            .header("accept", "application/binary")
            .timeout_ms(self.upstream.settings().fetch_timeout_ms);
        let poured = self.upstream.pour(call, limits.max_bytes, sink).await?;
        let Poured::Else(answer) = poured else { return Ok(()) };
        let moved = answer.header("location").and_then(|place| content_url.join(place).ok());
        match (answer.status, moved) {
            // The key stays behind.
            (301..=308, Some(place)) => self.upstream.fetch_into(place.as_str(), &limits, sink).await,
            (status, _) => {
                Err(FetchError::Unreachable(format!("the provider answered with {status} instead of a file")))
            }
        }
    }
}

impl Provider for OpenAi {
    // No `cancel`: pictures are made while one waits, and a clip can be deleted, but nothing says that one
    // which is not done costs nothing then.

    fn name(&self) -> &'static str {
        "openai"
    }

    /// Clips can be found in a list by what was asked; pictures leave nothing that could be found.
    fn ambiguity(&self, vendor_model: &str) -> Ambiguity {
        match (self.knows_idempotency_key, videos::model(vendor_model)) {
            (true, _) => Ambiguity::Key,
            (false, Some(_)) => Ambiguity::Lookup,
            (false, None) => Ambiguity::Neither,
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
        Box::pin(self.ask_all(job, provider_task_id))
    }

    fn look_up(&self, job: Job, started_at_ms: i64) -> BoxFuture<'_, Result<LookUpAnswer, ProviderError>> {
        Box::pin(self.find(job, started_at_ms))
    }

    fn fetch<'a>(
        &'a self,
        url: String,
        limits: FetchLimits,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(self.file(url, limits, sink))
    }
}
