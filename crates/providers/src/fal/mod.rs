//! fal's queue, for LTX-2.
//!
//! Routes are `PROTOCOL:ENDPOINT`: `ltx-2:` makes a wide clip from one picture, `ltx-2.3:` one of the shape
//! that is asked for. A job is handed over at its endpoint and asked for at the endpoint's first two parts,
//! its app; its id is fal's request id, behind `APP/requests/` where the reply named another app.
//!
//! fal's own retries of what broke on its side stay on: they aren't billed, and a job that fails is final
//! here.
//!
//! Invariant: a submit is sent once. fal de-duplicates nothing and lists nothing, so one without an answer is
//! never sent again; only a callback may still bring its id. Not here: retries.

mod hear;
mod map;
mod wire;

use crate::{
    Ambiguity, Callback, CallbackError, CancelAnswer, Heard, Job, OnProgress, PollAnswer, Provider,
    ProviderError, Sink, SubmitAnswer,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    upstream::{Call, KeyStyle, Upstream, VendorSettings, plain_id},
};
use futures::future::{BoxFuture, join_all};
use hear::Keys;
use map::Endpoint;
use reqwest::Method;
use serde_json::Value;
use url::Url;
use wire::Status;

/// fal answers a submit with an id, never with the clip.
const SUBMIT_TIMEOUT_MS: u32 = 60_000;
const POLL_AFTER_MS: u32 = 2_000;

/// fal.
pub struct Fal {
    upstream: Upstream,
    keys: Keys,
}

impl Fal {
    /// `jwks_url` is where fal publishes the keys that it signs callbacks with; our key isn't sent there.
    ///
    /// # Errors
    /// As [`Upstream::new`].
    pub fn new(settings: VendorSettings, jwks_url: Url) -> Result<Self, GuardError> {
        Ok(Self { upstream: Upstream::new(settings, KeyStyle::Key, &[])?, keys: Keys::new(jwks_url) })
    }

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        let endpoint = endpoint(&job.vendor_model)?;
        let input = map::json(&job, endpoint)?;
        let callback_url = job.callback_url.as_deref();
        fan_out::submit(job.count, POLL_AFTER_MS, |_| {
            Box::pin(self.make_one(endpoint, input.clone(), callback_url))
        })
        .await
    }

    async fn make_one(
        &self,
        endpoint: Endpoint<'_>,
        input: Value,
        callback_url: Option<&str>,
    ) -> Result<Part, ProviderError> {
        let mut url = self.upstream.url(&format!("/{}", endpoint.id));
        if let Some(callback_url) = callback_url {
            url.query_pairs_mut().append_pair("fal_webhook", callback_url);
        }
        let call = Call::submit(url).timeout_ms(SUBMIT_TIMEOUT_MS).json(input);
        let (id, app) = wire::accepted(&self.upstream.send(call).await?)?;
        let id = match app {
            Some(app) if app != endpoint.app => plain_id(&format!("{app}/requests/{id}")),
            _ => Some(id),
        };
        let message = || "the answer names no place where the job can be asked for".to_owned();
        id.map(|id| Part::Accepted { id }).ok_or_else(|| ProviderError::Ambiguous { message: message() })
    }

    /// Where a job is asked for; `None` if fal can't have given that id.
    fn job_url(&self, app: &str, id: &str, behind: &str) -> Option<Url> {
        plain_id(id)?;
        let path = if id.contains('/') { id.to_owned() } else { format!("{app}/requests/{id}") };
        Some(self.upstream.url(&format!("/{path}{behind}")))
    }

    async fn status(&self, app: &str, id: &str) -> Result<Status, ProviderError> {
        let Some(url) = self.job_url(app, id, "/status?logs=0") else { return Ok(Status::Unknown) };
        wire::status(&self.upstream.send(Call::get(url)).await?)
    }

    async fn ask(&self, app: &str, id: &str) -> Result<PartAnswer, ProviderError> {
        let failure = match self.status(app, id).await? {
            Status::Queued | Status::Running => return Ok(PartAnswer::Pending { progress: None }),
            Status::Unknown => return Err(wire::unknown()),
            Status::Answered { failure } => failure,
        };
        let Some(url) = self.job_url(app, id, "") else { return Err(wire::unknown()) };
        wire::result(&self.upstream.send(Call::get(url)).await?, failure)
    }

    /// Only a job that was still in the queue, and is gone from it afterwards, is free. One that runs is
    /// billed whether it is stopped or not, so it is left alone and delivered.
    async fn take_back(&self, app: &str, id: &str) -> Result<CancelAnswer, ProviderError> {
        if self.status(app, id).await? != Status::Queued {
            return Ok(CancelAnswer::NotFree);
        }
        let taken = self.stop(app, id).await?;
        let gone = self.status(app, id).await? == Status::Unknown;
        Ok(if taken && gone { CancelAnswer::Free } else { CancelAnswer::NotFree })
    }

    async fn stop(&self, app: &str, id: &str) -> Result<bool, ProviderError> {
        let Some(url) = self.job_url(app, id, "/cancel") else { return Ok(false) };
        Ok(wire::is_canceling(&self.upstream.send(Call::ask(Method::PUT, url)).await?))
    }

    async fn take_all_back(&self, vendor_model: &str, id: &str) -> Result<CancelAnswer, ProviderError> {
        let app = endpoint(vendor_model)?.app;
        let all = join_all(fan_out::jobs(id).map(|id| self.take_back(app, id))).await;
        let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
        let free = !fan_out::has_lost(id) && all.iter().all(|one| *one == CancelAnswer::Free);
        Ok(if free { CancelAnswer::Free } else { CancelAnswer::NotFree })
    }
}

fn endpoint(vendor_model: &str) -> Result<Endpoint<'_>, ProviderError> {
    Endpoint::parse(vendor_model).ok_or_else(|| {
        let message = format!("`{vendor_model}` names no protocol of this adapter: ltx-2:ID or ltx-2.3:ID");
        ProviderError::Unusable { message }
    })
}

impl Provider for Fal {
    fn name(&self) -> &'static str {
        "fal"
    }

    /// fal knows no idempotency key, and has no list of requests.
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
        Box::pin(async move {
            let app = endpoint(&job.vendor_model)?.app;
            let ask = |id: String| async move { self.ask(app, &id).await };
            fan_out::poll(&provider_task_id, POLL_AFTER_MS, job.is_over, |id| Box::pin(ask(id))).await
        })
    }

    fn cancel(
        &self,
        vendor_model: String,
        provider_task_id: Option<String>,
    ) -> BoxFuture<'_, Result<CancelAnswer, ProviderError>> {
        Box::pin(async move {
            match provider_task_id {
                Some(id) => self.take_all_back(&vendor_model, &id).await,
                // Whatever its submit made can't be found.
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
        Box::pin(async move { self.keys.hear(&self.upstream, &callback).await })
    }
}
