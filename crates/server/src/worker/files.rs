//! From a provider's units to durable, verified files, and then the charge.
//!
//! Invariant: nothing is captured before its bytes are verified, hashed and durable; objects of a run that
//! did not end the task are removed or swept. Not here: fetching from URLs (with the vendors).

use super::settle;
use crate::{objects, state::App};
use bytes::Bytes;
use rynjer_api::MissingPart;
use rynjer_core::ledger::{Capture, Guard, NewOutput};
use rynjer_providers::{
    OutputSource, TaskError, Unit,
    media::{self, Media},
};
use rynjer_store::{StoreError, lease::Leased};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The largest picture that is believed.
const PIXELS_MAX: u64 = 100_000_000;

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
    end(app, task, provider_task_id, units, outputs, missing).await.map(|()| Stored::Ended)
}

/// Charges for what is stored, or gives everything back.
async fn end(
    app: &App,
    task: &Leased,
    provider_task_id: Option<String>,
    units: &[Unit],
    outputs: Vec<NewOutput>,
    missing: Vec<MissingPart>,
) -> Result<(), StoreError> {
    let missing_text = if missing.is_empty() { None } else { serde_json::to_string(&missing).ok() };
    let Ok(delivered) = u32::try_from(outputs.len()) else { return Ok(()) };
    if delivered == 0 {
        let (error, message) = end_of(&missing);
        // The provider did work that it may bill, unless it refused every unit itself.
        let loss = units.iter().any(|unit| matches!(unit, Unit::Delivered(_)));
        return settle::fail_with(app, task, error, &message, loss, missing_text).await;
    }
    let capture = Capture {
        account: task.account.clone(),
        task: task.id.clone(),
        guard: Guard::Fence(task.fence),
        delivered,
        outputs,
        missing: missing_text,
        provider_task_id,
    };
    // Files of a capture that came too late are orphans, and the sweep takes them.
    settle::capture(app, task, capture).await
}

/// The code of a task without any output: that of its first missing unit.
fn end_of(missing: &[MissingPart]) -> (&'static str, String) {
    let first = missing.first();
    let all = [
        TaskError::ContentRejected,
        TaskError::ProviderFailed,
        TaskError::TimedOut,
        TaskError::InputUnreachable,
        TaskError::InputRejected,
    ];
    let known = |part: &MissingPart| all.into_iter().map(TaskError::code).find(|code| *code == part.error);
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
        Some(Unit::Delivered(OutputSource::Bytes(bytes))) => bytes,
        Some(Unit::Delivered(OutputSource::Url(_))) => {
            return Err(failed("the output could not be fetched".to_owned()));
        }
        Some(Unit::Refused { error, message }) => return Err(missing(*error, message.clone())),
        None => return Err(failed("the provider did not deliver this one".to_owned())),
    };
    let (media, sha256) = look(app, bytes).await.map_err(failed)?;
    let wanted = if task.product == "music" { "audio" } else { task.product.as_str() };
    if media.kind.name() != wanted {
        return Err(failed(format!("the provider delivered {} instead of {wanted}", media.kind.name())));
    }
    let object_key = format!("{}/{}/{}-{index}.{}", task.account, task.id, task.fence, media.extension);
    if let Err(error) = app.outputs.put(&object_key, media.mime, bytes).await {
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
