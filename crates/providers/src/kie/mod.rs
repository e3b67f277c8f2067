//! kie.ai, a relay: market jobs, Veo, 4o pictures and Suno's music, each submitted and looked up by its id.
//!
//! Invariant: one task of kie is one call, and a call without an answer is never sent again: kie knows no key
//! of ours and has no list of tasks. Not here: the fields of each model (`map`), what answers mean (`wire`),
//! retries, relays that only resemble kie: their codes differ (429 is an empty purse at sunoapi.org).
//!
//! A route's `vendor_model` is `PROTOCOL:ID`. The protocols: `jobs-nano`, `jobs-nano-pro`, `jobs-qwen`,
//! `jobs-qwen-edit`, `jobs-z-image`, `jobs-grok-image`, `jobs-grok-edit`, `jobs-grok-video`, `jobs-wan`,
//! `jobs-seedance` (from a prompt) and `jobs-seedance-image` name the fields of a market job, `veo`, `4o` and
//! `suno` an API of their own. `4o` has one model, which is not sent.

mod callback;
mod failure;
mod map;
mod wire;

use crate::{
    Ambiguity, Callback, CallbackError, Heard, InputForm, Job, OnProgress, OutputSource, PollAnswer,
    Provider, ProviderError, Sink, SubmitAnswer, Unit,
    fan_out::{self, Part, PartAnswer},
    guarded::{FetchError, FetchLimits, GuardError},
    upstream::{ApiKey, Call, KeyStyle, Upstream, VendorSettings},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use map::Shape;
use std::collections::BTreeMap;
use wire::Asked;

/// How long a submit may take: it answers with an id.
const SUBMIT_TIMEOUT_MS: u32 = 60_000;

/// kie.ai. It takes 20 new tasks in 10 seconds for each account: `submits_per_second` should be 2.
pub struct Kie {
    upstream: Upstream,
    /// What kie signs its callbacks with, if that is switched on there.
    webhook_key: Option<ApiKey>,
}

type Answered<'a> = Shared<BoxFuture<'a, Result<Asked, ProviderError>>>;

impl Kie {
    /// # Errors
    /// As [`Upstream::new`].
    pub fn new(settings: VendorSettings, webhook_key: Option<ApiKey>) -> Result<Self, GuardError> {
        Ok(Self { upstream: Upstream::new(settings, KeyStyle::Bearer, &[])?, webhook_key })
    }

    async fn make(&self, job: Job) -> Result<SubmitAnswer, ProviderError> {
        let (shape, model) = map::route(&job.vendor_model)?;
        let body = map::body(shape, model, &job)?;
        let (has_pictures, path) = (!job.input_images.is_empty(), shape.api().submit_path());
        let call = |_| -> BoxFuture<'_, Result<Part, ProviderError>> {
            let call = Call::submit(self.upstream.url(path)).timeout_ms(SUBMIT_TIMEOUT_MS);
            let call = call.json(body.clone());
            Box::pin(async move {
                let answer = self.upstream.send(call).await?;
                Ok(Part::Accepted { id: wire::submitted(&answer, has_pictures)? })
            })
        };
        let answer =
            fan_out::submit(map::tasks(shape, job.count), map::poll_after_ms(job.product), call).await?;
        Ok(match answer {
            // No task was made: what became of each is what became of all its outputs.
            SubmitAnswer::Finished { provider_task_id, units, cost } => {
                let units = map::each_output(shape, units, job.count);
                SubmitAnswer::Finished { provider_task_id, units, cost }
            }
            accepted @ SubmitAnswer::Accepted { .. } => accepted,
        })
    }

    async fn ask(&self, job: Job, provider_task_id: String) -> Result<PollAnswer, ProviderError> {
        let (shape, _) = map::route(&job.vendor_model)?;
        let poll_after_ms = map::poll_after_ms(job.product);
        let has_pictures = !job.input_images.is_empty();
        if shape == Shape::Suno && job.count == 1 {
            return Ok(match self.task(shape, has_pictures, provider_task_id).await? {
                Asked::Pending { progress } => PollAnswer::Pending { poll_after_ms, progress },
                // The first is the unit, the others are given free.
                Asked::Done { urls } => {
                    let units = urls.into_iter().map(|url| Unit::Delivered(OutputSource::Url(url)));
                    let mut units: Vec<Unit> = units.collect();
                    units.resize_with(units.len().max(1), lost);
                    PollAnswer::Finished { units, cost: None }
                }
            });
        }
        let places = map::places(shape, &provider_task_id, job.count);
        let mut tasks: BTreeMap<String, Answered<'_>> = BTreeMap::new();
        for (task, _) in places.iter().filter_map(|place| map::place(place)) {
            let ask = || self.task(shape, has_pictures, task.to_owned()).boxed().shared();
            tasks.entry(task.to_owned()).or_insert_with(ask);
        }
        let call = |place: String| -> BoxFuture<'_, Result<PartAnswer, ProviderError>> {
            let found = map::place(&place).and_then(|(task, at)| Some((tasks.get(task)?.clone(), at)));
            Box::pin(async move {
                match found {
                    Some((task, at)) => task.await.map(|asked| part(asked, at)),
                    None => {
                        let unit = Unit::Lost { message: "the kept id is none of this vendor's".to_owned() };
                        Ok(PartAnswer::Finished { unit, cost: None })
                    }
                }
            })
        };
        fan_out::poll(&places.join(","), poll_after_ms, job.is_over, call).await
    }

    async fn task(&self, shape: Shape, has_pictures: bool, id: String) -> Result<Asked, ProviderError> {
        let api = shape.api();
        let mut url = self.upstream.url(api.look_up_path());
        url.query_pairs_mut().append_pair("taskId", &id);
        let answer = self.upstream.send(Call::get(url)).await?;
        wire::asked(api, &answer, has_pictures)
    }
}

/// The output of a task at one place.
fn part(asked: Asked, at: usize) -> PartAnswer {
    let urls = match asked {
        Asked::Pending { progress } => return PartAnswer::Pending { progress },
        Asked::Done { urls } => urls,
    };
    let unit = urls.into_iter().nth(at).map_or_else(lost, |url| Unit::Delivered(OutputSource::Url(url)));
    PartAnswer::Finished { unit, cost: None }
}

/// A task that is done is billed whole, whatever is missing of it.
fn lost() -> Unit {
    Unit::Lost { message: "the provider finished without a file for this one".to_owned() }
}

impl Provider for Kie {
    fn name(&self) -> &'static str {
        "kie"
    }

    /// N: no idempotency header and no list of tasks is documented. A callback of a task whose submit was cut
    /// off tells its id all the same, since the URL is the attempt's own.
    fn ambiguity(&self, _vendor_model: &str) -> Ambiguity {
        Ambiguity::Neither
    }

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
        Box::pin(self.ask(job, provider_task_id))
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
        Box::pin(std::future::ready(callback::hear(self.webhook_key.as_ref(), &callback)))
    }
}
