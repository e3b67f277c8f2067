//! Google: pictures and clips of the Gemini API, and Veo on the cloud platform.
//!
//! Invariant: no call has a key that Google de-duplicates by, and no list shows its jobs, so a submit without
//! an answer is never sent again. Not here: retries, the cloud platform's tokens (`cloud`).
//!
//! The base URL of the Gemini API ends with the version, `/v1beta`; that of the cloud platform has none.
//!
//! A route's vendor model is one of
//! - `ID`: a picture by `generateContent`, made at once, one with each call;
//! - `omni:ID`: a clip by an interaction in the background;
//! - `omni-seeded:ID`: the same for a model that is documented to take a seed;
//! - `veo:ID`: a clip by `predictLongRunning` of the cloud platform, with a service account of its own.

mod cloud;
mod interaction;
mod map;
mod picture;
mod reason;
mod veo;

pub use cloud::{CloudSettings, SetupError};

use crate::{
    Ambiguity, Job, OnProgress, PollAnswer, Provider, ProviderError, Sink, SubmitAnswer, TaskError, Unit,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits},
    upstream::{Call, FILES_BYTES_MAX, KeyStyle, Poured, Upstream, VendorSettings},
};
use cloud::Cloud;
use futures::future::BoxFuture;
use interaction::{Ready, State};
use url::Url;

/// How long a submit that answers with a job's id may take.
const SUBMIT_TIMEOUT_MS: u32 = 60_000;
/// Clips take a minute or more.
const POLL_AFTER_MS: u32 = 5_000;

/// The Gemini API, and the cloud platform where the operator has an identity there.
pub struct Google {
    upstream: Upstream,
    cloud: Option<Cloud>,
}

/// The shape of requests that a route names.
enum Protocol<'a> {
    Picture,
    Omni { model: &'a str, seeded: bool },
    Veo { model: &'a str },
    Unknown,
}

impl<'a> Protocol<'a> {
    fn of(vendor_model: &'a str) -> Self {
        match vendor_model.split_once(':') {
            None => Self::Picture,
            Some(("omni", model)) => Self::Omni { model, seeded: false },
            Some(("omni-seeded", model)) => Self::Omni { model, seeded: true },
            Some(("veo", model)) => Self::Veo { model },
            Some(_) => Self::Unknown,
        }
    }
}

impl Google {
    /// # Errors
    /// As [`Upstream::new`], or the cloud platform's credentials can't be used.
    pub fn new(settings: VendorSettings, cloud: Option<CloudSettings>) -> Result<Self, SetupError> {
        let cloud = cloud.map(|cloud| Cloud::new(&settings, cloud)).transpose()?;
        let upstream = Upstream::new(settings, KeyStyle::Header("x-goog-api-key"), &[])?;
        Ok(Self { upstream, cloud })
    }

    /// Whether `veo:` routes can be served: they need an identity on the cloud platform.
    #[must_use]
    pub fn has_cloud(&self) -> bool {
        self.cloud.is_some()
    }

    fn cloud(&self) -> Result<&Cloud, ProviderError> {
        let message = "Veo needs credentials of the cloud platform, and none are configured".to_owned();
        self.cloud.as_ref().ok_or(ProviderError::Unusable { message })
    }

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        match Protocol::of(&job.vendor_model) {
            Protocol::Picture => {
                fan_out::submit(job.count, POLL_AFTER_MS, |_| Box::pin(self.picture(&job))).await
            }
            Protocol::Omni { model, seeded } => {
                let call = |_| -> BoxFuture<'_, _> { Box::pin(self.begin(&job, model, seeded)) };
                fan_out::submit(job.count, POLL_AFTER_MS, call).await
            }
            Protocol::Veo { model } => {
                let answer = self.cloud()?.submit(model, map::veo(&job), job.now_ms).await?;
                let provider_task_id = veo::name(&answer)?;
                Ok(SubmitAnswer::Accepted { provider_task_id, poll_after_ms: POLL_AFTER_MS })
            }
            Protocol::Unknown => {
                let message = format!("the route's {} is none that Google serves", job.vendor_model);
                Err(ProviderError::Unusable { message })
            }
        }
    }

    async fn picture(&self, job: &Job) -> Result<Part, ProviderError> {
        let path = format!("/models/{}:generateContent", job.vendor_model);
        let call = Call::submit(self.upstream.url(&path))
            .timeout_ms(self.upstream.settings().submit_timeout_ms)
            .bytes_max(FILES_BYTES_MAX)
            .json(map::picture(job));
        let unit = picture::unit(&self.upstream.send(call).await?)?;
        Ok(Part::Finished { unit, cost: None })
    }

    async fn begin(&self, job: &Job, model: &str, seeded: bool) -> Result<Part, ProviderError> {
        let call = Call::submit(self.upstream.url("/interactions"))
            .timeout_ms(SUBMIT_TIMEOUT_MS)
            // The answer may hold the input once more.
            .bytes_max(FILES_BYTES_MAX)
            .json(map::interaction(job, model, seeded));
        let id = interaction::id(&self.upstream.send(call).await?)?;
        Ok(Part::Accepted { id })
    }

    async fn ask(&self, job: Job, provider_task_id: String) -> Result<PollAnswer, ProviderError> {
        match Protocol::of(&job.vendor_model) {
            Protocol::Omni { .. } => {
                let call = |id| -> BoxFuture<'_, _> { Box::pin(self.interaction(id)) };
                fan_out::poll(&provider_task_id, POLL_AFTER_MS, job.is_over, call).await
            }
            Protocol::Veo { model } => {
                let cloud = self.cloud().map_err(reason::later)?;
                let answer = cloud.ask(model, &provider_task_id, job.now_ms).await.map_err(reason::later)?;
                veo::state(&answer, job.count, POLL_AFTER_MS)
            }
            Protocol::Picture | Protocol::Unknown => {
                let error = TaskError::ProviderFailed;
                let message = "this model answers at once and has no jobs".to_owned();
                Err(ProviderError::Refused { error, message, cost: None })
            }
        }
    }

    async fn interaction(&self, id: String) -> Result<PartAnswer, ProviderError> {
        let mut url = self.upstream.url("/interactions");
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&id);
        }
        let answer = self.upstream.send(Call::get(url).bytes_max(FILES_BYTES_MAX)).await?;
        let pending = Ok(PartAnswer::Pending { progress: None });
        match interaction::state(&answer)? {
            State::Running => pending,
            State::Made { unit, url } => match self.ready(url.as_deref()).await {
                Ready::Yes => Ok(PartAnswer::Finished { unit, cost: None }),
                Ready::No => pending,
                Ready::Never => {
                    let unit = Unit::Lost { message: "the provider could not finish the file".to_owned() };
                    Ok(PartAnswer::Finished { unit, cost: None })
                }
            },
        }
    }

    /// A file may be still at work after its interaction. One whose record says nothing of it is ready; one
    /// whose record can't be had is asked for again.
    async fn ready(&self, download: Option<&str>) -> Ready {
        let download = download.and_then(|text| Url::parse(text).ok());
        let file = download.filter(|url| self.upstream.trusts(url));
        let Some(url) = file.as_ref().and_then(interaction::file_of) else { return Ready::Yes };
        let answer = self.upstream.send(Call::get(url)).await;
        answer.map_or(Ready::No, |answer| interaction::ready(&answer))
    }

    /// Google's own files need the key; where it sends on to, nobody gets it.
    async fn file(&self, url: String, limits: FetchLimits, sink: &mut dyn Sink) -> Result<(), FetchError> {
        let own = Url::parse(&url).ok().filter(|url| self.upstream.trusts(url));
        let Some(own) = own else { return self.upstream.fetch_into(&url, &limits, sink).await };
        let call = Call::get(own.clone()).timeout_ms(self.upstream.settings().fetch_timeout_ms);
        let poured = self.upstream.pour(call, limits.max_bytes, sink).await?;
        let Poured::Else(answer) = poured else { return Ok(()) };
        let next = answer.header("location").and_then(|text| own.join(text).ok());
        match (answer.status, next) {
            (301 | 302 | 303 | 307 | 308, Some(next)) => {
                self.upstream.fetch_into(next.as_str(), &limits, sink).await
            }
            (status, _) => {
                let message = format!("the provider answered with status {status} instead of its file");
                Err(FetchError::Unreachable(message))
            }
        }
    }
}

impl Provider for Google {
    // No `cancel`: an interaction can be canceled, but nothing says that what it made until then is free.

    fn name(&self) -> &'static str {
        "google"
    }

    /// No SDK of Google's sends an idempotency key, and neither interactions nor operations can be listed.
    /// Veo runs on the cloud platform alone.
    fn serves(&self, vendor_model: &str) -> bool {
        self.has_cloud() || !vendor_model.starts_with("veo:")
    }

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
        Box::pin(self.ask(job, provider_task_id))
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
