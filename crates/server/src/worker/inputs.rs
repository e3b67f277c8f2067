//! The pictures that a task starts from, brought into memory before a provider is called.
//!
//! Invariant: a task takes its share of the memory before it reads a byte, and only keys below its
//! account's own folders read an object. Not here: which pictures a task may name (`app::input`), the memory
//! (`memory`).

use super::memory::{Memory, Share};
use crate::{
    app::{body::TaskBody, upstream_input},
    entropy, objects,
    state::App,
};
use bytes::Bytes;
use data_encoding::BASE64;
use object_store::{ObjectStoreExt, path::Path};
use rynjer_core::{id::AccountId, task::Step};
use rynjer_providers::{
    Ambiguity, InputImage, TaskError,
    guarded::{FetchError, FetchLimits, GuardError, GuardSettings, GuardedClient, inspect_image},
};
use rynjer_store::lease::Leased;
use std::{pin::pin, sync::Arc, time::Duration};

/// How often a picture that could not be reached is tried again, and the pause before, each time longer.
const RETRIES: u32 = 2;
const PAUSE_MS: u32 = 250;

/// What fetches pictures, and the memory for them.
pub(crate) struct InputSource {
    client: GuardedClient,
    memory: Arc<Memory>,
}

impl InputSource {
    pub(crate) fn new(settings: &crate::config::Inputs) -> Result<Self, GuardError> {
        let guard =
            GuardSettings { allow_hosts: settings.allow_hosts.clone(), timeout_ms: settings.timeout_ms };
        Ok(Self { client: GuardedClient::new(guard)?, memory: Arc::new(Memory::new(settings.memory_bytes)) })
    }

    /// Whether the operator allowed what a URL names, public or not.
    pub(crate) fn is_allowed(&self, url: &url::Url) -> bool {
        self.client.is_allowed(url)
    }
}

/// The body of a task and its pictures, which count as memory until this is dropped.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) body: TaskBody,
    pub(super) images: Vec<InputImage>,
    /// When it was decided which pictures are needed.
    pub(super) now_ms: i64,
    _memory: Option<Share>,
}

/// Why a task can't have its pictures.
pub(super) enum NotLoaded {
    /// Others have the memory: nothing was read.
    Busy,
    /// Stored pictures can't be read now.
    Away,
    Unusable {
        error: TaskError,
        message: String,
    },
}

/// Whether the next step of a task calls a provider that needs the pictures.
pub(super) fn are_needed(app: &App, task: &Leased, body: &TaskBody, now_ms: i64) -> bool {
    let Some(provider) = app.providers.get(&task.provider) else { return false };
    let in_time = now_ms < task.deadline_at_ms;
    !task.poisoned
        && !body.input_image_urls.is_empty()
        && match task.step {
            Step::Queued => in_time,
            Step::Submitting => in_time && provider.ambiguity(&task.vendor_model) == Ambiguity::Key,
            Step::Submitted | Step::Storing => {
                task.provider_task_id.as_deref().is_some_and(|id| provider.poll_needs_inputs(id, now_ms))
            }
            // A look-up compares what was sent, which the vendor has by now.
            Step::Unknown => false,
        }
}

/// Where a picture is.
enum Place<'a> {
    Url(&'a str),
    /// Of a task that was accepted when such texts were stored with it.
    Data(&'a str),
    Object(Path),
}

/// Whatever is no key of the account is a URL, which the guarded client refuses if it is none.
fn place<'a>(account: &AccountId, reference: &'a str) -> Place<'a> {
    let below = reference.strip_prefix("files/").unwrap_or(reference);
    let is_own = below.strip_prefix(account.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if is_own {
        Place::Object(Path::from(reference))
    } else if reference.starts_with("data:") {
        Place::Data(reference)
    } else {
        Place::Url(reference)
    }
}

/// Brings the pictures of a task into memory, in the order of the request.
pub(super) async fn load(app: &App, task: &Leased, body: TaskBody, now_ms: i64) -> Result<Loaded, NotLoaded> {
    let settings = &app.config.inputs;
    let places: Vec<Place<'_>> =
        body.input_image_urls.iter().map(|reference| place(&task.account, reference)).collect();
    let wanted = expected_bytes(app, &places).await;
    let memory = app.inputs.memory.take(&task.account, wanted, tasks_max(app, task)).await;
    let mut memory = memory.ok_or(NotLoaded::Busy)?;
    // One time for all of them: a slot of the worker is not kept by servers that are slow in turn.
    let mut time = pin!(tokio::time::sleep(Duration::from_millis(u64::from(settings.task_timeout_ms))));
    let mut images: Vec<InputImage> = Vec::with_capacity(places.len());
    let mut left_bytes = memory.bytes();
    for (index, place) in places.iter().enumerate() {
        let limits =
            FetchLimits { max_bytes: one_bytes(app).min(left_bytes), max_pixels: settings.max_pixels };
        let read = tokio::select! {
            read = with_retries(app, place, &limits) => read,
            () = &mut time => Err(NotRead::Picture(too_slow(app))),
        };
        let image = read.map_err(|error| match error {
            NotRead::Away => NotLoaded::Away,
            NotRead::Picture(error) => unusable(index, error),
        })?;
        left_bytes = left_bytes.saturating_sub(image.bytes.len() as u64);
        images.push(image);
    }
    if upstream_input::are_fetched(app, task)
        && let Err(error) = upstream_input::hand_over(app, task, &mut images).await
    {
        tracing::warn!(?error, task = %task.id, "pictures could not be stored for their vendor");
        return Err(NotLoaded::Away);
    }
    memory.shrink_to(memory.bytes() - left_bytes);
    drop(places);
    Ok(Loaded { body, images, now_ms, _memory: Some(memory) })
}

/// The largest picture that any way of naming one gives.
fn one_bytes(app: &App) -> u64 {
    app.config.inputs.max_bytes.max(u64::try_from(app.config.limits.file_bytes).unwrap_or(u64::MAX))
}

/// How many tasks of one account may have pictures in memory: half of the places that their provider has, so
/// that an account whose pictures come slowly leaves the other half.
fn tasks_max(app: &App, task: &Leased) -> usize {
    let capacity = app.providers.get(&task.provider).map_or(usize::MAX, |provider| provider.capacity());
    (capacity.min(app.config.worker.concurrency) / 2).max(1)
}

/// What the pictures need in memory: the worst case where nobody knows the size yet.
async fn expected_bytes(app: &App, places: &[Place<'_>]) -> u64 {
    let most = one_bytes(app);
    let mut bytes = 0u64;
    for place in places {
        let expected = match place {
            Place::Url(_) => most,
            Place::Data(text) => (text.len() as u64).min(most),
            Place::Object(key) => app.outputs.head(key).await.map_or(most, |found| found.size.min(most)),
        };
        bytes = bytes.saturating_add(expected);
    }
    bytes.min(app.config.inputs.task_bytes())
}

fn too_slow(app: &App) -> FetchError {
    let most_ms = app.config.inputs.task_timeout_ms;
    FetchError::Unreachable(format!("The pictures of the request did not come within {most_ms} ms together."))
}

/// A body whose pictures nobody needs now.
pub(super) fn none(body: TaskBody, now_ms: i64) -> Loaded {
    Loaded { body, now_ms, ..Loaded::default() }
}

/// Tells which of the pictures it is, in the words of the request.
fn unusable(index: usize, error: FetchError) -> NotLoaded {
    let (error, message) = match error {
        FetchError::Unreachable(message)
        | FetchError::Forbidden(message)
        | FetchError::Unwritten(message) => (TaskError::InputUnreachable, message),
        FetchError::Rejected(message) => (TaskError::InputRejected, message),
    };
    NotLoaded::Unusable { error, message: format!("input_image_urls.{index}: {message}") }
}

/// Why a picture was not read.
enum NotRead {
    Picture(FetchError),
    /// The object storage did not answer.
    Away,
}

impl From<FetchError> for NotRead {
    fn from(error: FetchError) -> Self {
        Self::Picture(error)
    }
}

async fn with_retries(app: &App, place: &Place<'_>, limits: &FetchLimits) -> Result<InputImage, NotRead> {
    let mut tries = 0;
    loop {
        let read = match place {
            Place::Url(url) => fetched(app, url, limits).await.map_err(NotRead::from),
            Place::Data(text) => picture(text, limits).map_err(NotRead::from),
            Place::Object(key) => object(app, key, limits).await,
        };
        match read {
            Err(NotRead::Picture(FetchError::Unreachable(_)))
                if tries < RETRIES && !matches!(place, Place::Data(_)) =>
            {
                tries += 1;
                let jitter_ms = u32::from_be_bytes(entropy::bytes()) % PAUSE_MS;
                let pause_ms = PAUSE_MS.saturating_mul(tries).saturating_add(jitter_ms);
                tokio::time::sleep(Duration::from_millis(u64::from(pause_ms))).await;
            }
            read => return read,
        }
    }
}

async fn fetched(app: &App, url: &str, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    looked_into(&app.inputs.client.fetch(url, limits).await?, limits)
}

/// What follows the picture's end is let go, so that what counts as memory is all that there is.
fn looked_into(bytes: &Bytes, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    let image = inspect_image(bytes, limits)?;
    if image.bytes.len() == bytes.len() {
        return Ok(image);
    }
    Ok(InputImage { bytes: Bytes::copy_from_slice(&image.bytes), ..image })
}

async fn object(app: &App, key: &Path, limits: &FetchLimits) -> Result<InputImage, NotRead> {
    let gone = |error: object_store::Error| {
        if !matches!(error, object_store::Error::NotFound { .. }) {
            objects::failed("read", &error);
            return NotRead::Away;
        }
        tracing::warn!(%error, %key, "an input picture could not be read");
        FetchError::Unreachable("The file is no longer there.".to_owned()).into()
    };
    let found = app.outputs.get(key).await.map_err(gone)?;
    if found.meta.size > limits.max_bytes {
        let most = limits.max_bytes;
        return Err(
            FetchError::Rejected(format!("The pictures have more than {most} bytes together.")).into()
        );
    }
    let bytes = found.bytes().await.map_err(gone)?;
    Ok(looked_into(&bytes, limits)?)
}

fn picture(text: &str, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    let data = text.split_once(',').map_or("", |(_, data)| data);
    let bytes = BASE64
        .decode(data.as_bytes())
        .map_err(|_| FetchError::Rejected("The data: URI does not hold standard base64.".to_owned()))?;
    looked_into(&Bytes::from(bytes), limits)
}
