//! From a provider's units to durable, verified files, and then the charge.
//!
//! Invariant: nothing is captured before its bytes are verified, hashed and durable; objects of a run that
//! did not end the task are removed or swept. Not here: which hosts may be fetched from (`providers`).

use super::{
    settle,
    spool::{self, Arrived, Looked, NotLooked, Spool},
};
use crate::{objects, state::App};
use rynjer_api::MissingPart;
use rynjer_core::{
    catalog::Product,
    ledger::{Capture, Guard, LostUnits, NewOutput},
    time::rfc3339,
};
use rynjer_providers::{
    Cost, OutputSource, TaskError, Unit,
    guarded::{FetchError, FetchLimits},
    media::{self, Kind},
};
use rynjer_store::{StoreError, lease::Leased};
use std::{borrow::Cow, time::Duration};
use tokio::sync::SemaphorePermit;

/// The largest picture that is believed.
const PIXELS_MAX: u64 = 100_000_000;

/// The longest file that is fetched for a picture. The largest pictures that vendors make have half of it.
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

/// Why a delivered file is not here.
enum NotArrived {
    /// It is not usable, in a sentence.
    Failed(String),
    Away,
}

/// Stores every delivered unit and ends the task. Where it `is_last`, a file that can't be had is a missing
/// part: nobody asks for it again.
pub(super) async fn store_and_capture(
    app: &App,
    task: &Leased,
    provider_task_id: Option<String>,
    units: &[Unit],
    cost: Cost,
    is_last: bool,
) -> Result<Stored, StoreError> {
    let mut outputs: Vec<NewOutput> = Vec::new();
    let mut missing = Vec::new();
    for index in 0..task.count {
        let unit = units.get(index as usize);
        match store_unit(app, task, index, unit, is_last).await {
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
    is_last: bool,
) -> Result<NewOutput, NotStored> {
    let missing = |error, message| NotStored::Missing(missing_part(index, error, message));
    let failed = |message: String| missing(TaskError::ProviderFailed, message);
    let (looked, place) = match unit {
        Some(Unit::Delivered(source)) => match arrive(app, task, source, is_last).await {
            Ok(arrived) => arrived,
            Err(NotArrived::Away) => return Err(NotStored::Away),
            Err(NotArrived::Failed(message)) => return Err(failed(message)),
        },
        Some(Unit::Refused { error, message }) => return Err(missing(*error, message.clone())),
        Some(Unit::Lost { message }) => return Err(missing(TaskError::OutcomeUnknown, message.clone())),
        None => return Err(failed("the provider did not deliver this one".to_owned())),
    };
    let Looked { media, sha256, bytes, arrived } = looked;
    let wanted = wanted(task);
    if media.kind.name() != wanted {
        return Err(failed(format!("the provider delivered {} instead of {wanted}", media.kind.name())));
    }
    let object_key = object_key(app, task, index, media.extension);
    let put = match arrived {
        Arrived::Held(file) => {
            // Small files may wait for the storage beside those that arrive.
            drop(place);
            app.outputs.put(&object_key, media.mime, &file).await
        }
        Arrived::Staged(staged) => app.outputs.put_staged(&object_key, media.mime, *staged).await,
    };
    if let Err(error) = put {
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
        bytes,
        sha256,
    })
}

/// Outputs of a day share a folder: one for each task would take two more syncs, and stay behind empty.
fn object_key(app: &App, task: &Leased, index: u32, extension: &str) -> String {
    let now = rfc3339(app.now_ms());
    let date = now.split_once('T').map_or("day", |(date, _)| date);
    format!("{}/{date}/{}-{}-{index}.{extension}", task.account, task.id, task.fence)
}

/// The kind of file that the task asks for.
fn wanted(task: &Leased) -> &'static str {
    match Product::parse(&task.product) {
        Some(Product::Video) => Kind::Video.name(),
        Some(Product::Music) => Kind::Audio.name(),
        Some(Product::Image) | None => Kind::Image.name(),
    }
}

/// Brings a delivered file here and looks into it, with its place where it was fetched.
async fn arrive<'a>(
    app: &'a App,
    task: &Leased,
    source: &OutputSource,
    is_last: bool,
) -> Result<(Looked, Option<SemaphorePermit<'a>>), NotArrived> {
    let limits = media::Limits { max_bytes: app.config.storage.max_output_bytes, max_pixels: PIXELS_MAX };
    let url = match source {
        OutputSource::Bytes(bytes) => {
            let bytes = bytes.clone();
            return look(move || spool::look_held(bytes, &limits)).await.map(|looked| (looked, None));
        }
        OutputSource::Url(url) => url,
    };
    let failed = |message: &str| NotArrived::Failed(message.to_owned());
    let place = app.fetches.acquire().await.map_err(|_| failed("the gateway stops"))?;
    match fetch(app, task, url).await {
        Ok(spool) => look(move || spool.look(&limits)).await.map(|looked| (looked, Some(place))),
        // What is there may be had at the next poll.
        Err(FetchError::Unreachable(_))
            if !is_last && task.provider_task_id.is_some() && task.tries < FETCH_POLLS =>
        {
            Err(NotArrived::Away)
        }
        Err(FetchError::Unreachable(_) | FetchError::Forbidden(_)) => {
            Err(failed("the provider's file could not be fetched"))
        }
        Err(FetchError::Rejected(reason)) => Err(unusable(&reason)),
        Err(FetchError::Unwritten(reason)) => {
            tracing::warn!(reason, "an output could not be staged");
            Err(NotArrived::Away)
        }
    }
}

/// How long a file that a vendor names may be.
fn bytes_max(app: &App, task: &Leased) -> u64 {
    let max = app.config.storage.max_output_bytes;
    if task.product == "image" { max.min(PICTURE_BYTES_MAX) } else { max }
}

/// A file that the vendor named by URL. A server that stumbles is asked again: what it made is billed. An
/// address that may not be asked is refused once and for all.
async fn fetch(app: &App, task: &Leased, url: &str) -> Result<Spool, FetchError> {
    let gone = || FetchError::Unreachable("the vendor is gone".to_owned());
    let provider = app.providers.get(&task.provider).ok_or_else(gone)?;
    let limits = FetchLimits { max_bytes: bytes_max(app, task), max_pixels: PIXELS_MAX };
    let mut pause_ms = FETCH_PAUSE_MS;
    let mut tries = 1;
    loop {
        let mut spool = Spool::new(app.outputs.staging().clone(), wanted(task));
        match provider.fetch(url.to_owned(), limits, &mut spool).await {
            Ok(()) => return Ok(spool),
            Err(FetchError::Unreachable(_)) if tries < FETCH_TRIES => {}
            Err(error) => return Err(error),
        }
        drop(spool);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms *= 4;
        tries += 1;
    }
}

/// Looks into a file. Films are large: they would hold up everything else on this thread.
async fn look(
    look: impl FnOnce() -> Result<Looked, NotLooked> + Send + 'static,
) -> Result<Looked, NotArrived> {
    let looked = tokio::task::spawn_blocking(look).await;
    let failed = |_| NotArrived::Failed("the provider's file could not be looked into".to_owned());
    looked.map_err(failed)?.map_err(|error| match error {
        NotLooked::Unusable(error) => unusable(&error.to_string()),
        NotLooked::Unread => {
            tracing::warn!("a staged output could not be read");
            NotArrived::Away
        }
    })
}

fn unusable(reason: &str) -> NotArrived {
    NotArrived::Failed(format!("the provider's file is not usable: {reason}"))
}
