//! Tasks as their owners see them: polling, waiting, the answer's shape.
//!
//! Invariant: a failed task is an answer, not an error; what isn't the caller's is not found. Not here:
//! moving tasks.

use crate::{
    app::{
        Error,
        body::TaskBody,
        caller::{self, Caller},
        output, queue, vendor,
        watch::{Seat, Watch},
    },
    state::App,
};
use rynjer_api::{
    DurationSeconds, MissingPart, Product, TaskAnswer, TaskCredits, TaskError, TaskErrorCode, TaskStatus,
    Units,
};
use rynjer_core::{
    credits::Credits,
    id::{AgentId, TaskId},
    ledger::NewTask,
    task::{Status, Step},
    time::rfc3339,
};
use rynjer_store::task::{self, TaskRow};
use std::{borrow::Cow, sync::Arc, time::Duration};

/// Bounds of the pace that callers are told to poll at.
const POLL_AFTER_MS: (i64, i64) = (250, 5_000);

/// The task of a request id, or of a task id.
pub(crate) async fn find(app: &App, caller: &Caller, id: &str) -> Result<TaskRow, Error> {
    let (account, agent) = (caller.account.clone(), caller.agent.as_ref().map(ToString::to_string));
    let id = id.to_owned();
    let found = app
        .store
        .read(move |tx| {
            let principal = agent.as_deref().unwrap_or("");
            if let Some(row) = task::by_request(tx, &account, principal, &id)? {
                return Ok::<_, Error>(Some(row));
            }
            match TaskId::parse(&id) {
                // An account key sees all tasks of its account, an agent its own.
                Some(id) => Ok(task::by_id(tx, &account, agent.as_deref(), &id)?),
                None => Ok(None),
            }
        })
        .await?;
    found.ok_or(Error::NotFound)
}

/// A task of the caller by its own id alone, which no request id can stand in for.
pub(crate) async fn by_id(app: &App, caller: &Caller, id: &TaskId) -> Result<TaskRow, Error> {
    let (account, agent) = (caller.account.clone(), caller.agent.as_ref().map(ToString::to_string));
    let id = id.clone();
    let found = app.store.read(move |tx| Ok::<_, Error>(task::by_id(tx, &account, agent.as_deref(), &id)?));
    found.await?.ok_or(Error::NotFound)
}

/// The current state of a task; waits up to `wait` for its end. Who was revoked meanwhile sees nothing of it.
pub(crate) async fn poll(
    app: &App,
    caller: &Caller,
    bearer: &str,
    row: TaskRow,
    wait: Duration,
    draining: impl Future<Output = ()>,
) -> Result<TaskAnswer, Error> {
    let mut row = Arc::new(row);
    if !row.status.is_final() && !wait.is_zero() {
        let _seat = Seat::take(app, caller)?;
        row = wait_for_end(app, row, wait, draining).await?;
        caller::authenticate(app, bearer).await?;
    }
    let mut answer = answer(app, caller.live, &row, Vec::new())?;
    answer.queue_position = queue::position(app, &row).await?;
    Ok(answer)
}

async fn wait_for_end(
    app: &App,
    row: Arc<TaskRow>,
    wait: Duration,
    draining: impl Future<Output = ()>,
) -> Result<Arc<TaskRow>, Error> {
    let mut watch = Watch::new(app, TaskRow::clone(&row));
    let ended = async {
        while !watch.row().await?.status.is_final() {
            watch.changed().await;
        }
        Ok::<(), Error>(())
    };
    tokio::select! {
        ended = ended => ended?,
        () = tokio::time::sleep(wait) => {}
        () = draining => {}
    }
    if !app.hub.is_alone() {
        // Others may have changed it since somebody here looked.
        watch.look_again();
    }
    watch.row().await
}

/// The row of a task that was accepted a moment ago.
pub(crate) fn fresh_row(caller: &Caller, new: &NewTask, run_id: Option<String>, now_ms: i64) -> TaskRow {
    TaskRow {
        id: new.id.clone(),
        account: caller.account.clone(),
        agent_id: new.agent.as_ref().map_or("", AgentId::as_str).to_owned(),
        request_id: new.request_id.clone(),
        fingerprint: String::new(),
        usage_id: new.usage_id.to_string(),
        model: new.model.clone(),
        product: new.product.to_owned(),
        mode: new.mode.to_owned(),
        provider: new.provider.clone(),
        vendor_model: new.vendor_model.clone(),
        price_version: new.price_version.clone(),
        unit_price: new.unit_price,
        count: new.count,
        held: new.unit_price.checked_mul(new.count).unwrap_or_default(),
        charged: Credits::ZERO,
        released: Credits::ZERO,
        refunded: Credits::ZERO,
        run_id,
        status: Status::Pending,
        step: Step::Queued,
        fence: 0,
        provider_task_id: None,
        created_at_ms: now_ms,
        finished_at_ms: None,
        progress_permille: None,
        error_code: None,
        error_message: None,
        missing: None,
        body: Some(new.body.clone()),
        metadata: new.metadata.clone(),
        outputs: Vec::new(),
    }
}

/// A task on the wire.
pub(crate) fn answer(
    app: &App,
    live: bool,
    row: &TaskRow,
    warnings: Vec<String>,
) -> Result<TaskAnswer, Error> {
    let body = row.body.as_deref().map(TaskBody::from_stored);
    answer_with(app, live, row, body.as_ref(), warnings)
}

/// A task on the wire, whose body is at hand.
pub(crate) fn answer_with(
    app: &App,
    live: bool,
    row: &TaskRow,
    body: Option<&TaskBody>,
    warnings: Vec<String>,
) -> Result<TaskAnswer, Error> {
    let over = row.status.is_final();
    let progress = app.hub.progress(&row.id).map(i64::from).or(row.progress_permille);
    let metadata = row.metadata.as_deref().map(serde_json::from_str).transpose();
    let missing: Vec<MissingPart> = row
        .missing
        .as_deref()
        .map_or_else(|| Ok(Vec::new()), serde_json::from_str)
        .map_err(Error::internal)?;
    Ok(TaskAnswer {
        task_id: row.id.to_string(),
        provider_task_id: row.provider_task_id.clone(),
        status: status(row.status),
        usage_event_id: row.usage_id.clone(),
        request_id: row.request_id.clone(),
        model: row.model.clone(),
        routed: body.and_then(|body| body.routed.clone()),
        served_by: Some(vendor::shown(&row.provider, &row.vendor_model)),
        mode: if live { rynjer_api::Mode::Live } else { rynjer_api::Mode::Test },
        credits: TaskCredits {
            held: row.held.0,
            charged: row.charged.0,
            released: row.released.0,
            refunded: row.refunded.0,
        },
        poll_after_ms: (!over).then(|| poll_after_ms(app, row)),
        product: product(&row.product),
        units: body.map(|body| units(row.count, body)),
        outputs: output::answers(app, row)?,
        missing,
        error: row.error_code.as_deref().map(|code| error(code, row.error_message.as_deref())),
        progress: if over {
            None
        } else {
            progress.map(|p| f64::from(u16::try_from(p).unwrap_or(1000)) / 1000.0)
        },
        queue_position: None,
        created_at: rfc3339(row.created_at_ms),
        finished_at: row.finished_at_ms.map(rfc3339),
        metadata: metadata.map_err(Error::internal)?,
        run_id: row.run_id.clone(),
        warnings,
    })
}

/// A stored product.
pub(crate) fn product(stored: &str) -> Product {
    match stored {
        "video" => Product::Video,
        "music" => Product::Music,
        _ => Product::Image,
    }
}

fn units(count: u32, body: &TaskBody) -> Units {
    Units {
        count: Some(count),
        resolution: body.resolution.clone(),
        duration: body.duration_seconds.map(DurationSeconds::Number),
        aspect_ratio: body.aspect_ratio.clone(),
        preset: body.preset.clone(),
    }
}

pub(crate) fn status(status: Status) -> TaskStatus {
    match status {
        Status::Pending => TaskStatus::Pending,
        Status::Processing => TaskStatus::Processing,
        Status::Success => TaskStatus::Success,
        Status::Failed => TaskStatus::Failed,
        Status::Canceled => TaskStatus::Canceled,
    }
}

fn error(code: &str, message: Option<&str>) -> TaskError {
    let known = TaskErrorCode::parse(code).map(TaskError::new);
    let mut error = known.unwrap_or_else(|| TaskError {
        error: Cow::Owned(code.to_owned()),
        ..TaskError::new(TaskErrorCode::ProviderFailed)
    });
    if let Some(message) = message {
        message.clone_into(&mut error.message);
    }
    error
}

/// When to poll again: near the usual end, and then at a growing pace, so that a task of any length is polled
/// a few times and its end is known within a tenth of its time.
pub(crate) fn poll_after_ms(app: &App, row: &TaskRow) -> i64 {
    let usual_ms = if row.provider == super::model::SANDBOX {
        sandbox_usual_ms(&row.product)
    } else {
        let typical_s = app.catalog.model(&row.model).map_or(10, |model| model.typical_seconds);
        i64::from(typical_s) * 1000
    };
    let elapsed_ms = app.now_ms().saturating_sub(row.created_at_ms).max(0);
    let left_ms = usual_ms - elapsed_ms;
    let next_ms = if left_ms > 0 { left_ms } else { elapsed_ms / 10 };
    next_ms.clamp(POLL_AFTER_MS.0, POLL_AFTER_MS.1)
}

/// The sandbox is much faster than the vendors, and its pace hangs on what it makes.
fn sandbox_usual_ms(product: &str) -> i64 {
    match product {
        "video" => 3000,
        "music" => 2000,
        _ => 250,
    }
}
