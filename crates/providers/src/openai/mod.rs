//! OpenAI's images, and every server that speaks the same: generations and edits, answered at once.
//!
//! Invariant: one submit is one call. There is no job id and no look-up, so a submit without an answer is
//! never sent again, unless the operator says that the server knows `Idempotency-Key`. Not here: retries.

mod map;
mod wire;

use crate::{
    Ambiguity, CancelAnswer, Job, OnProgress, PollAnswer, Provider, ProviderError, SubmitAnswer, TaskError,
    guarded::GuardError,
    upstream::{Call, FILES_BYTES_MAX, KeyStyle, Upstream, VendorSettings},
};
use futures::future::BoxFuture;

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

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        let edits = !job.input_images.is_empty();
        let path = if edits { "/images/edits" } else { "/images/generations" };
        let mut call = Call::submit(self.upstream.url(path))
            .timeout_ms(self.upstream.settings().submit_timeout_ms)
            .bytes_max(FILES_BYTES_MAX);
        if self.knows_idempotency_key {
            call = call.header("idempotency-key", job.nonce.clone());
        }
        let call = if edits { call.form(map::form(&job)?) } else { call.json(map::json(&job)) };
        wire::finished(&self.upstream.send(call).await?, job.count)
    }
}

impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn ambiguity(&self, _vendor_model: &str) -> Ambiguity {
        if self.knows_idempotency_key { Ambiguity::Key } else { Ambiguity::Neither }
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
        _job: Job,
        _provider_task_id: String,
        _on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<PollAnswer, ProviderError>> {
        let error = TaskError::ProviderFailed;
        let message = "this vendor answers at once and has no jobs".to_owned();
        Box::pin(std::future::ready(Err(ProviderError::Refused { error, message, cost: None })))
    }

    fn cancel(
        &self,
        _vendor_model: String,
        _provider_task_id: Option<String>,
    ) -> BoxFuture<'_, Result<CancelAnswer, ProviderError>> {
        Box::pin(std::future::ready(Ok(CancelAnswer::NotFree)))
    }
}
