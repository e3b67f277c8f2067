//! Upstreams that make media, behind one trait: what a vendor is asked, and what it can answer.
//!
//! Invariant: vendor JSON and vendor hosts are named nowhere else, and every answer of a vendor is one of the
//! cases of [`SubmitAnswer`], [`PollAnswer`] or [`ProviderError`]. Not here: retries, leases, money, storage
//! of outputs.

pub mod guarded;
pub mod media;
pub mod sandbox;

use futures::future::BoxFuture;
use rynjer_core::catalog::{Mode, Product};
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

/// One attempt at one task, as a provider sees it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Our id of the attempt; the idempotency key or the look-up nonce upstream.
    pub nonce: String,
    /// Milliseconds since 1970, for providers that plan with time.
    pub now_ms: i64,
    pub product: Product,
    pub mode: Mode,
    /// The vendor's id of the model, from the catalog's route.
    pub vendor_model: String,
    pub prompt: String,
    pub negative_prompt: Option<String>,
    pub count: u32,
    /// Pixels; zero for music.
    pub width: u32,
    pub height: u32,
    /// Length in milliseconds; zero for pictures.
    pub duration_ms: u32,
    pub aspect_ratio: Option<String>,
    pub resolution: Option<String>,
    pub seed: u64,
    /// The pictures to start from, in the order of the request.
    pub input_images: Vec<InputImage>,
}

/// A picture that a job starts from: fetched, and looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputImage {
    pub bytes: bytes::Bytes,
    /// From its bytes, never from what a server said.
    pub mime: &'static str,
    pub width: u32,
    pub height: u32,
}

/// Where the bytes of an output are.
#[derive(Debug, Clone)]
pub enum OutputSource {
    /// In memory already.
    Bytes(bytes::Bytes),
    /// To be fetched by the guarded client.
    Url(String),
}

/// One asked unit: delivered, or refused with a task error code and a human sentence.
#[derive(Debug, Clone)]
pub enum Unit {
    Delivered(OutputSource),
    Refused { error: TaskError, message: String },
}

/// Error codes of a failed task or a missing unit (contract §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskError {
    ContentRejected,
    ProviderFailed,
    TimedOut,
    InputUnreachable,
    InputRejected,
}

impl TaskError {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ContentRejected => "content_rejected",
            Self::ProviderFailed => "provider_failed",
            Self::TimedOut => "timed_out",
            Self::InputUnreachable => "input_unreachable",
            Self::InputRejected => "input_rejected",
        }
    }
}

/// Answer to a submit.
#[derive(Debug, Clone)]
pub enum SubmitAnswer {
    /// Accepted upstream; ask again after the given time.
    Accepted { provider_task_id: String, poll_after_ms: u32 },
    /// Done at once: one entry per asked unit, in order.
    Finished { provider_task_id: Option<String>, units: Vec<Unit> },
}

/// Answer to a poll.
#[derive(Debug, Clone)]
pub enum PollAnswer {
    /// Not done; `progress` from 0.0 to 1.0 where known.
    Pending { poll_after_ms: u32, progress: Option<f32> },
    /// One entry per asked unit, in order.
    Finished { units: Vec<Unit> },
}

/// Why a call upstream gave no answer of use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProviderError {
    /// Final: this request will never succeed. Nothing is billed.
    #[error("refused: {message}")]
    Refused { error: TaskError, message: String },
    /// Nothing was accepted upstream; may be tried again after the time.
    #[error("not now: {message}")]
    NotNow { retry_after_ms: Option<u32>, message: String },
    /// It is unknown whether the provider accepted the job.
    #[error("unknown outcome: {message}")]
    Ambiguous { message: String },
}

/// Answer to a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAnswer {
    /// Nothing is billed, and nothing more will come of the job.
    Free,
    /// It can't be taken back, or would be billed all the same.
    NotFree,
}

/// Reports progress from 0.0 to 1.0 while a call is under way; `false` asks the provider to stop.
pub type OnProgress = Arc<dyn Fn(f32) -> bool + Send + Sync>;

/// An upstream.
pub trait Provider: Send + Sync {
    /// The name in routes of the catalog.
    fn name(&self) -> &'static str;
    /// How many jobs it works on at once. More are not claimed, so that a task that only waits for its turn
    /// is not in an active step when a worker dies.
    fn capacity(&self) -> usize {
        usize::MAX
    }
    /// The class of an ambiguous submit.
    fn ambiguity(&self) -> Ambiguity;
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
    /// Takes a job back. Without an id its submit is under way, or its outcome is unknown.
    fn cancel(
        &self,
        vendor_model: String,
        provider_task_id: Option<String>,
    ) -> BoxFuture<'_, Result<CancelAnswer, ProviderError>>;
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
