//! Upstreams that make media, behind one trait: what a vendor is asked, and what it can answer.
//!
//! Invariant: vendor JSON and vendor hosts are named nowhere else, and every answer of a vendor is one of the
//! cases of [`SubmitAnswer`], [`PollAnswer`] or [`ProviderError`]. Not here: retries, leases, money, storage
//! of outputs.

pub mod ark;
pub mod dashscope;
pub mod fal;
mod fan_out;
pub mod google;
pub mod guarded;
pub mod host;
mod job;
pub mod kie;
mod look_up;
pub mod media;
pub mod openai;
pub mod replicate;
pub mod sandbox;
mod sink;
pub mod upstream;
pub mod xai;

pub use job::{InputImage, Job, OutputSource, TaskError, Unit};
pub use sink::{Length, Sink};

use futures::future::BoxFuture;
use guarded::{FetchError, FetchLimits};
use std::{collections::BTreeMap, sync::Arc};

/// What happens to a submit whose answer never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    /// K: the provider de-duplicates by our key; resend with the same one.
    Key,
    /// L: the job can be looked up by our nonce.
    Lookup,
    /// N: neither; never resend.
    Neither,
}

/// Answer to a submit.
#[derive(Debug, Clone)]
pub enum SubmitAnswer {
    /// Accepted upstream; ask again after the given time.
    Accepted { provider_task_id: String, poll_after_ms: u32 },
    /// Done at once: one entry per asked unit, in order.
    Finished { provider_task_id: Option<String>, units: Vec<Unit>, cost: Cost },
}

/// Answer to a poll.
#[derive(Debug, Clone)]
pub enum PollAnswer {
    /// Not done; `progress` from 0.0 to 1.0 where known.
    Pending { poll_after_ms: u32, progress: Option<f32> },
    /// One entry per asked unit, in order.
    Finished { units: Vec<Unit>, cost: Cost },
}

/// What the vendor says that it bills, in millionths of a US dollar; `None` where it does not say.
pub type Cost = Option<i64>;

/// Why a call upstream gave no answer of use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProviderError {
    /// Final: this request will never succeed anywhere. `cost` if it is billed all the same.
    #[error("refused: {message}")]
    Refused { error: TaskError, message: String, cost: Cost },
    /// Nothing was accepted upstream; may be tried again after the time.
    #[error("not now: {message}")]
    NotNow { retry_after_ms: Option<u32>, message: String },
    /// Nothing was accepted, and nothing of this route will be until its operator does something: a wrong
    /// key, an empty purse, a retired model. The message is for the operator.
    #[error("the route is unusable: {message}")]
    Unusable { message: String },
    /// We have no place for the call now: nothing was sent, and the vendor has no part in it.
    #[error("no place for a call: {message}")]
    Busy { message: String },
    /// It is unknown whether the provider accepted the job.
    #[error("unknown outcome: {message}")]
    Ambiguous { message: String },
}

/// Answer to a look-up of a job whose submit was ambiguous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUpAnswer {
    /// Jobs upstream that are this one by all that the vendor tells, the likeliest first. One that belongs to
    /// another attempt is passed over by whoever asks.
    Found { provider_task_ids: Vec<String>, poll_after_ms: u32 },
    /// There is none, and there will be none.
    Absent,
}

/// Answer to a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAnswer {
    /// Nothing is billed, and nothing more will come of the job.
    Free,
    /// It can't be taken back, or would be billed all the same.
    NotFree,
}

/// How a provider takes the pictures that a job starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputForm {
    /// In the request.
    Bytes,
    /// As a URL that the vendor fetches: it must be able to reach this gateway.
    Url,
}

/// What a vendor sent to the callback URL of an attempt.
#[derive(Debug, Clone)]
pub struct Callback {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: bytes::Bytes,
    /// Seconds since 1970.
    pub now_s: i64,
}

impl Callback {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a callback tells. It is a hint and no more: the job is asked for all the same, so that one that comes
/// twice, late or out of order changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The vendor's id of the job, which may not be known yet.
    pub provider_task_id: Option<String>,
}

/// Why a callback is not listened to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// Its signature is missing or wrong, or it is too old.
    #[error("the callback's signature is not valid")]
    Forged,
    /// It could not be checked now: the vendor sends it again.
    #[error("the callback could not be checked: {0}")]
    NotNow(String),
}

/// Reports progress from 0.0 to 1.0 while a call is under way; `false` asks the provider to stop.
pub type OnProgress = Arc<dyn Fn(f32) -> bool + Send + Sync>;

/// An upstream.
pub trait Provider: Send + Sync {
    /// The name in routes of the catalog.
    fn name(&self) -> &'static str;
    /// Whether it can serve a route with what its operator configured.
    fn serves(&self, vendor_model: &str) -> bool {
        let _ = vendor_model;
        true
    }
    /// How many jobs it works on at once. More are not claimed, so that a task that only waits for its turn
    /// is not in an active step when a worker dies.
    fn capacity(&self) -> usize {
        usize::MAX
    }
    /// The class of an ambiguous submit to a model.
    fn ambiguity(&self, vendor_model: &str) -> Ambiguity;
    /// How it takes pictures for a model.
    fn input_form(&self, vendor_model: &str) -> InputForm {
        let _ = vendor_model;
        InputForm::Bytes
    }
    /// Hands a job over. The attempt is durable before this is called.
    fn submit(&self, job: Job, on_progress: OnProgress)
    -> BoxFuture<'_, Result<SubmitAnswer, ProviderError>>;
    /// Asks for a job that was accepted.
    fn poll(
        &self,
        job: Job,
        provider_task_id: String,
        on_progress: OnProgress,
    ) -> BoxFuture<'_, Result<PollAnswer, ProviderError>>;
    /// Whether a poll at that time works on the input pictures once more, so that they must be at hand.
    fn poll_needs_inputs(&self, provider_task_id: &str, now_ms: i64) -> bool {
        let _ = (provider_task_id, now_ms);
        false
    }
    /// Looks for a job whose submit was ambiguous, begun at `started_at_ms`; for [`Ambiguity::Lookup`] only.
    fn look_up(&self, job: Job, started_at_ms: i64) -> BoxFuture<'_, Result<LookUpAnswer, ProviderError>> {
        let _ = (job, started_at_ms);
        let message = "this provider has no look-up".to_owned();
        Box::pin(std::future::ready(Err(ProviderError::Ambiguous { message })))
    }
    /// Takes a job back. Without an id its submit is under way, or its outcome is unknown. A vendor that has
    /// no call for it, or of which nobody knows what a canceled job costs, is not asked.
    fn cancel(
        &self,
        vendor_model: String,
        provider_task_id: Option<String>,
    ) -> BoxFuture<'_, Result<CancelAnswer, ProviderError>> {
        let _ = (vendor_model, provider_task_id);
        Box::pin(std::future::ready(Ok(CancelAnswer::NotFree)))
    }
    /// Fetches an output that it named by URL. What the sink got is the output only if this succeeds.
    fn fetch<'a>(
        &'a self,
        url: String,
        limits: FetchLimits,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        let _ = (url, limits, sink);
        let message = "this provider names no URLs".to_owned();
        Box::pin(std::future::ready(Err(FetchError::Unreachable(message))))
    }
    /// Checks and reads a callback.
    fn hear(&self, callback: Callback) -> BoxFuture<'_, Result<Heard, CallbackError>> {
        let _ = callback;
        Box::pin(std::future::ready(Err(CallbackError::Forged)))
    }
}

/// The providers of this process, by name.
#[derive(Clone, Default)]
pub struct Registry {
    providers: BTreeMap<&'static str, Arc<dyn Provider>>,
}

impl Registry {
    /// Adds a provider under its name.
    #[must_use]
    pub fn with(mut self, provider: Arc<dyn Provider>) -> Self {
        self.providers.insert(provider.name(), provider);
        self
    }

    /// The provider of that name, if this process has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.providers.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.providers.keys().copied()
    }
}
