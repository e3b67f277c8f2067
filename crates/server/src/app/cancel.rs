//! Canceling a task, and deleting what a finished one holds.
//!
//! Invariant: a task is canceled only where nobody bills for it, in one ledger command that gives the whole
//! price back; whoever ends the task first wins. Not here: what a provider can take back (`providers`).

use crate::{
    app::{
        Error,
        actor::Actor,
        audit_log::{note, trail},
        caller::Caller,
        task, upstream_input, vendor_cancel,
    },
    metrics,
    state::App,
};
use rynjer_api::TaskAnswer;
use rynjer_core::{
    ledger::{Command, Guard, Outcome, Release},
    task::{Status, Step},
};
use rynjer_providers::CancelAnswer;
use rynjer_store::{
    retention,
    task::{self as stored, TaskRow},
};
use serde_json::json;

/// How often a cancel looks again at a task that moved under it.
const LOOKS: u32 = 8;

/// Ends a task before its time and gives its whole price back. A canceled one stays as it is.
pub(crate) async fn cancel(app: &App, caller: &Caller, id: &str) -> Result<TaskAnswer, Error> {
    let row = take_back(app, task::find(app, caller, id).await?, &Actor::of_caller(caller)).await?;
    task::answer(app, caller.live, &row, Vec::new())
}

/// The same with a task that was found for whoever may cancel it. Who it was is written with the release.
pub(crate) async fn take_back(app: &App, mut row: TaskRow, by: &Actor) -> Result<TaskRow, Error> {
    for _ in 0..LOOKS {
        if row.status == Status::Canceled {
            return Ok(row);
        }
        let guard = guard_of(app, &row).await?;
        let (now_ms, detail) = (app.now_ms(), json!({ "model": row.model, "credits": row.held.0 }));
        let release = Release {
            account: row.account.clone(),
            task: row.id.clone(),
            guard,
            status: Status::Canceled,
            error: "canceled",
            message: "the task was canceled on request".to_owned(),
            missing: None,
            loss: None,
            vendor_cost_micro_usd: None,
            trail: Some(trail(now_ms, by, "task.canceled", &detail)),
        };
        match app.store.submit(now_ms, Command::Release(Box::new(release))).await? {
            Outcome::Settled { .. } => {
                metrics::task_finished(&row.product, Status::Canceled);
                app.hub.stop_work(&row.id);
                app.hub.task_changed(&row.id);
                if row.step != Step::Queued {
                    upstream_input::forget(app, &row.account, &row.id).await;
                }
            }
            // It moved on in between: look again where it is now.
            Outcome::Stale { .. } => {}
            Outcome::Refused(refusal) => return Err(Error::Ledger(refusal)),
            other => return Err(Error::internal(format!("a cancel ended as {other:?}"))),
        }
        row = now(app, &row).await?;
    }
    Err(Error::NotCancelable)
}

/// The task as it is now.
async fn now(app: &App, row: &TaskRow) -> Result<TaskRow, Error> {
    let (account, id) = (row.account.clone(), row.id.clone());
    let read = app.store.read(move |tx| Ok::<_, Error>(stored::by_id(tx, &account, None, &id)?));
    read.await?.ok_or(Error::NotFound)
}

/// What must still hold when the ledger decides, or why the task can't be taken back.
async fn guard_of(app: &App, row: &TaskRow) -> Result<Guard, Error> {
    if row.status.is_final() {
        return Err(Error::NotCancelable);
    }
    if row.step == Step::Queued {
        return Ok(Guard::NotSubmitted);
    }
    let provider = app.providers.get(&row.provider).ok_or(Error::NotCancelable)?;
    match vendor_cancel::ask(app, provider.as_ref(), row).await {
        CancelAnswer::Free => Ok(Guard::Fence(row.fence)),
        CancelAnswer::NotFree => Err(Error::NotCancelable),
    }
}

/// Blanks prompt, inputs and notes of a finished task and deletes its files, for good. Charges stay.
pub(crate) async fn delete(app: &App, caller: &Caller, id: &str) -> Result<TaskAnswer, Error> {
    let row = task::find(app, caller, id).await?;
    erase(app, &row, None).await?;
    let row = task::by_id(app, caller, &row.id).await?;
    task::answer(app, caller.live, &row, Vec::new())
}

/// The same with a task that was found for whoever may delete what it holds; a person's deed is written down.
pub(crate) async fn erase(app: &App, row: &TaskRow, by: Option<Actor>) -> Result<(), Error> {
    if !row.status.is_final() {
        return Err(Error::TaskOpen);
    }
    let (account, task, now_ms) = (row.account.clone(), row.id.clone(), app.now_ms());
    let detail = json!({ "model": row.model });
    let keys = app.store.write(move |tx| {
        if let Some(by) = &by {
            note(tx, now_ms, by, Some(&account), "task.erased", task.as_str(), &detail)?;
        }
        retention::erase_task(tx, &account, &task, now_ms)
    });
    let keys = keys.await;
    upstream_input::forget(app, &row.account, &row.id).await;
    // A file that resists is an orphan from here on, and the sweep takes it.
    app.outputs.remove_all(&keys.map_err(Error::from)?).await;
    Ok(())
}
