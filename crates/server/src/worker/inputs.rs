//! The pictures that a task starts from, brought into memory before a provider is called.
//!
//! Invariant: what tasks hold in memory together stays within `inputs.memory_bytes`; each takes its share
//! before it reads a byte, so that none waits for another while both hold a part. Not here: which pictures a
//! task may name (`app::input`).

use crate::{app::body::TaskBody, entropy, state::App};
use bytes::Bytes;
use data_encoding::BASE64;
use object_store::{ObjectStoreExt, path::Path};
use rynjer_core::task::Step;
use rynjer_providers::{
    Ambiguity, InputImage, TaskError,
    guarded::{FetchError, FetchLimits, GuardError, GuardSettings, GuardedClient, inspect_image},
};
use rynjer_store::lease::Leased;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How often a picture that could not be reached is tried again, and the pause before, each time longer.
const RETRIES: u32 = 2;
const PAUSE_MS: u32 = 250;
/// What one permit of the memory stands for.
const PERMIT_BYTES: u64 = 1024;

/// What fetches pictures, and the memory for them.
pub(crate) struct InputSource {
    client: GuardedClient,
    memory: Arc<Semaphore>,
}

impl InputSource {
    pub(crate) fn new(settings: &crate::config::Inputs) -> Result<Self, GuardError> {
        let guard =
            GuardSettings { allow_hosts: settings.allow_hosts.clone(), timeout_ms: settings.timeout_ms };
        let permits = usize::try_from(settings.memory_bytes / PERMIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        let memory = Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Ok(Self { client: GuardedClient::new(guard)?, memory })
    }
}

/// The body of a task and its pictures, which count as memory until this is dropped.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) body: TaskBody,
    pub(super) images: Vec<InputImage>,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Why a task can't have its pictures.
pub(super) struct Unusable {
    pub(super) error: TaskError,
    pub(super) message: String,
}

/// Whether the next step of a task calls a provider that needs the pictures.
pub(super) fn are_needed(app: &App, task: &Leased, body: &TaskBody) -> bool {
    let Some(provider) = app.providers.get(&task.provider) else { return false };
    let now_ms = app.now_ms();
    let in_time = now_ms < task.deadline_at_ms;
    !task.poisoned
        && !body.input_image_urls.is_empty()
        && match task.step {
            Step::Queued => in_time,
            Step::Submitting => in_time && provider.ambiguity() == Ambiguity::Key,
            Step::Submitted | Step::Storing => {
                task.provider_task_id.as_deref().is_some_and(|id| provider.poll_needs_inputs(id, now_ms))
            }
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

fn place(reference: &str) -> Place<'_> {
    if reference.starts_with("http://") || reference.starts_with("https://") {
        Place::Url(reference)
    } else if reference.starts_with("data:") {
        Place::Data(reference)
    } else {
        Place::Object(Path::from(reference))
    }
}

/// Brings the pictures of a task into memory, in the order of the request.
pub(super) async fn load(app: &App, body: TaskBody) -> Result<Loaded, Unusable> {
    let count = u64::try_from(body.input_image_urls.len()).unwrap_or(u64::MAX);
    let settings = &app.config.inputs;
    let file_bytes = u64::try_from(app.config.limits.file_bytes).unwrap_or(u64::MAX);
    let one_bytes = settings.max_bytes.max(file_bytes);
    let task_bytes = settings.task_bytes();
    // The worst case at first: nobody knows the size of what is behind a URL.
    let reserved = task_bytes.min(one_bytes.saturating_mul(count));
    let Some(mut memory) = reserve(app, reserved).await else { return Err(stopping()) };
    let mut images: Vec<InputImage> = Vec::with_capacity(body.input_image_urls.len());
    let mut left_bytes = task_bytes;
    for (index, reference) in body.input_image_urls.iter().enumerate() {
        let limits = FetchLimits { max_bytes: one_bytes.min(left_bytes), max_pixels: settings.max_pixels };
        let image = with_retries(app, &place(reference), &limits).await;
        let image = image.map_err(|error| unusable(index, error))?;
        left_bytes = left_bytes.saturating_sub(image.bytes.len() as u64);
        images.push(image);
    }
    let spare = permits(reserved).saturating_sub(permits(task_bytes - left_bytes));
    drop(memory.split(usize::try_from(spare).unwrap_or(0)));
    Ok(Loaded { body, images, _memory: Some(memory) })
}

/// A body whose pictures nobody needs now.
pub(super) fn none(body: TaskBody) -> Loaded {
    Loaded { body, ..Loaded::default() }
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX)
}

async fn reserve(app: &App, bytes: u64) -> Option<OwnedSemaphorePermit> {
    Arc::clone(&app.inputs.memory).acquire_many_owned(permits(bytes)).await.ok()
}

fn stopping() -> Unusable {
    Unusable { error: TaskError::InputUnreachable, message: "the gateway is stopping".to_owned() }
}

/// Tells which of the pictures it is, in the words of the request.
fn unusable(index: usize, error: FetchError) -> Unusable {
    let (error, message) = match error {
        FetchError::Unreachable(message) => (TaskError::InputUnreachable, message),
        FetchError::Rejected(message) => (TaskError::InputRejected, message),
    };
    Unusable { error, message: format!("input_image_urls.{index}: {message}") }
}

async fn with_retries(app: &App, place: &Place<'_>, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    let mut tries = 0;
    loop {
        let read = match place {
            Place::Url(url) => fetched(app, url, limits).await,
            Place::Data(text) => picture(text, limits),
            Place::Object(key) => object(app, key, limits).await,
        };
        match read {
            Err(FetchError::Unreachable(_)) if tries < RETRIES && !matches!(place, Place::Data(_)) => {
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

async fn object(app: &App, key: &Path, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    let gone = |error: object_store::Error| {
        tracing::warn!(%error, %key, "an input picture could not be read");
        FetchError::Unreachable("The file is no longer there.".to_owned())
    };
    let found = app.outputs.get(key).await.map_err(gone)?;
    if found.meta.size > limits.max_bytes {
        let most = limits.max_bytes;
        return Err(FetchError::Rejected(format!("The pictures have more than {most} bytes together.")));
    }
    let bytes = found.bytes().await.map_err(gone)?;
    looked_into(&bytes, limits)
}

fn picture(text: &str, limits: &FetchLimits) -> Result<InputImage, FetchError> {
    let data = text.split_once(',').map_or("", |(_, data)| data);
    let bytes = BASE64
        .decode(data.as_bytes())
        .map_err(|_| FetchError::Rejected("The data: URI does not hold standard base64.".to_owned()))?;
    looked_into(&Bytes::from(bytes), limits)
}
