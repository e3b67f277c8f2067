//! From a provider's units to durable, verified files, and then the charge.
//!
//! Invariant: nothing is captured before its bytes are verified, hashed and durable; objects of a run that
//! did not end the task are removed or swept. Not here: which hosts may be fetched from (`providers`).

use super::settle;
use crate::{objects, state::App};
use bytes::Bytes;
use rynjer_api::MissingPart;
use rynjer_core::ledger::{Capture, Guard, LostUnits, NewOutput};
use rynjer_providers::{
    Cost, OutputSource, TaskError, Unit,
    guarded::{FetchError, FetchLimits},
    media::{self, Media},
};
use rynjer_store::{StoreError, lease::Leased};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, time::Duration};

/// The largest picture that is believed.
const PIXELS_MAX: u64 = 100_000_000;

/// The longest file that is fetched for a picture, since all of it is held in memory. The largest pictures
/// that vendors make have half of it.
const PICTURE_BYTES_MAX: u64 = 48 << 20;

/// How often a file is tried to be fetched, and the first pause between, four times longer each time.
const FETCH_TRIES: u32 = 3;
const FETCH_PAUSE_MS: u64 = 250;
/// And how often the whole is asked for again where the vendor still has it.
const FETCH_POLLS: i64 = 4;

/// What there is of a job once its files are stored.
struct Made<'a> {
    provider_task_id: Option<String>,
    units: &'a [Unit],
    outputs: Vec<NewOutput>,
    missing: Vec<MissingPart>,
    cost: Cost,
}

/// What became of a finished job.
#[must_use]
pub(super) enum Stored {
    /// The task has ended.
    Ended,
    /// The files can't be stored now: nothing has changed, and the same may be tried again.
    Away,
}

/// Why a unit is not stored.
enum NotStored {
    Missing(MissingPart),
    Away,
}

/// Stores every delivered unit and ends the task.
pub(super) async fn store_and_capture(
    app: &App,
    task: &Leased,
    provider_task_id: Option<String>,
    units: &[Unit],
    cost: Cost,
) -> Result<Stored, StoreError> {
    let mut outputs: Vec<NewOutput> = Vec::new();
    let mut missing = Vec::new();
    for index in 0..task.count {
        let unit = units.get(index as usize);
        match store_unit(app, task, index, unit).await {
            Ok(output) => outputs.push(output),
            Err(NotStored::Missing(refused)) => missing.push(refused),
            Err(NotStored::Away) => {
                let keys: Vec<String> = outputs.into_iter().map(|output| output.object_key).collect();
                app.outputs.remove_all(&keys).await;
                return Ok(Stored::Away);
            }
        }
    }
    let made = Made { provider_task_id, units, outputs, missing, cost };
    end(app, task, made).await.map(|()| Stored::Ended)
}

/// Charges for what is stored, or gives everything back.
async fn end(app: &App, task: &Leased, made: Made<'_>) -> Result<(), StoreError> {
    let Made { provider_task_id, units, outputs, missing, cost } = made;
    let lost_units = lost_units(task, units, outputs.len());
    let missing_text = if missing.is_empty() { None } else { serde_json::to_string(&missing).ok() };
    let Ok(delivered) = u32::try_from(outputs.len()) else { return Ok(()) };
    if delivered == 0 {
        let (error, message) = end_of(&missing);
        let ending = settle::Ending { lost_units, missing: missing_text, cost };
        return settle::fail_with(app, task, error, &message, ending).await;
    }
    let capture = Capture {
        account: task.account.clone(),
        task: task.id.clone(),
        guard: Guard::Fence(task.fence),
        delivered,
        outputs,
        missing: missing_text,
        provider_task_id,
        loss: (lost_units > 0).then(|| LostUnits { attempt: task.attempt_id.clone(), units: lost_units }),
        vendor_cost_micro_usd: cost,
    };
    // Files of a capture that came too late are orphans, and the sweep takes them.
    settle::capture(app, task, capture).await
}

/// Units that the provider may bill although the caller gets nothing for them: those in doubt, and those
/// that it delivered and that are not stored.
fn lost_units(task: &Leased, units: &[Unit], stored: usize) -> u32 {
    let asked = units.iter().take(task.count as usize);
    let (mut delivered, mut lost) = (0usize, 0usize);
    for unit in asked {
        match unit {
            Unit::Delivered(_) => delivered += 1,
            Unit::Lost { .. } => lost += 1,
            Unit::Refused { .. } => {}
        }
    }
    u32::try_from(delivered.saturating_sub(stored) + lost).unwrap_or(task.count)
}

/// The code of a task without any output: that of its first missing unit.
fn end_of(missing: &[MissingPart]) -> (&'static str, String) {
    let first = missing.first();
    let known =
        |part: &MissingPart| TaskError::ALL.into_iter().map(TaskError::code).find(|code| *code == part.error);
    let code = first.and_then(known).unwrap_or(TaskError::ProviderFailed.code());
    (code, first.map_or_else(|| "the provider delivered nothing".to_owned(), |part| part.message.clone()))
}

fn missing_part(index: u32, error: TaskError, message: String) -> MissingPart {
    MissingPart { index, error: Cow::Borrowed(error.code()), message }
}

async fn store_unit(
    app: &App,
    task: &Leased,
    index: u32,
    unit: Option<&Unit>,
) -> Result<NewOutput, NotStored> {
    let missing = |error, message| NotStored::Missing(missing_part(index, error, message));
    let failed = |message: String| missing(TaskError::ProviderFailed, message);
    let bytes = match unit {
        Some(Unit::Delivered(OutputSource::Bytes(bytes))) => bytes.clone(),
        Some(Unit::Delivered(OutputSource::Url(url))) => match fetch(app, task, url).await {
            Ok(bytes) => bytes,
            // What is there may be had at the next poll.
            Err(FetchError::Unreachable(_))
                if task.provider_task_id.is_some() && task.tries < FETCH_POLLS =>
            {
                return Err(NotStored::Away);
            }
            Err(FetchError::Unreachable(_)) => {
                return Err(failed("the provider's file could not be fetched".to_owned()));
            }
            Err(FetchError::Rejected(reason)) => {
                return Err(failed(format!("the provider's file is not usable: {reason}")));
            }
        },
        Some(Unit::Refused { error, message }) => return Err(missing(*error, message.clone())),
        Some(Unit::Lost { message }) => return Err(missing(TaskError::OutcomeUnknown, message.clone())),
        None => return Err(failed("the provider did not deliver this one".to_owned())),
    };
    let (media, sha256) = look(app, &bytes).await.map_err(failed)?;
    let wanted = if task.product == "music" { "audio" } else { task.product.as_str() };
    if media.kind.name() != wanted {
        return Err(failed(format!("the provider delivered {} instead of {wanted}", media.kind.name())));
    }
    let object_key = format!("{}/{}/{}-{index}.{}", task.account, task.id, task.fence, media.extension);
    if let Err(error) = app.outputs.put(&object_key, media.mime, &bytes).await {
        objects::failed("write", &error);
        return Err(NotStored::Away);
    }
    Ok(NewOutput {
        index,
        object_key,
        kind: media.kind.name(),
        mime: media.mime.to_owned(),
        width: media.width,
        height: media.height,
        duration_ms: media.duration_ms,
        bytes: bytes.len() as u64,
        sha256,
    })
}

/// How long a file that a vendor names may be.
fn bytes_max(app: &App, task: &Leased) -> u64 {
    let max = app.config.storage.max_output_bytes;
    if task.product == "image" { max.min(PICTURE_BYTES_MAX) } else { max }
}

/// A file that the vendor named by URL. A server that stumbles is asked again: what it made is billed.
async fn fetch(app: &App, task: &Leased, url: &str) -> Result<Bytes, FetchError> {
    let gone = || FetchError::Unreachable("the vendor is gone".to_owned());
    let provider = app.providers.get(&task.provider).ok_or_else(gone)?;
    // Films are large, and all of one is in memory at once.
    let _place = app.fetches.acquire().await.map_err(|_| gone())?;
    let limits = FetchLimits { max_bytes: bytes_max(app, task), max_pixels: PIXELS_MAX };
    let mut pause_ms = FETCH_PAUSE_MS;
    for _ in 1..FETCH_TRIES {
        match provider.fetch(url.to_owned(), limits).await {
            Err(FetchError::Unreachable(_)) => tokio::time::sleep(Duration::from_millis(pause_ms)).await,
            answer => return answer,
        }
        pause_ms *= 4;
    }
    provider.fetch(url.to_owned(), limits).await
}

/// What a file is, and its hash. Films are large: they would hold up everything else on this thread.
async fn look(app: &App, bytes: &Bytes) -> Result<(Media, String), String> {
    let limits = media::Limits { max_bytes: app.config.storage.max_output_bytes, max_pixels: PIXELS_MAX };
    let bytes = bytes.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let media = media::inspect(&bytes, &limits)?;
        Ok((media, Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()))
    });
    let looked = looked.await.map_err(|_| "the provider's file could not be looked into".to_owned())?;
    looked.map_err(|error: media::MediaError| format!("the provider's file is not usable: {error}"))
}
