//! Retention: what is old is blanked or deleted, a little at a time.
//!
//! Invariant: ledger entries and task rows stay for ever; a sweep never holds the writer for long. Not here:
//! what "old" means, which the configuration says.

use super::Worker;
use crate::{
    app::{
        Error,
        actor::{Actor, Reach},
        admin::Admin,
        node::{self, Duty},
    },
    state::App,
};
use futures::TryStreamExt;
use rynjer_core::{
    id::{AccountId, TaskId},
    ledger::{Command, Guard, LostUnits, Outcome, Release},
    task::{Status, Step},
    time::DAY_MS,
};
use rynjer_store::{
    abandoned::{Abandoned, abandoned},
    retention::{self, Horizons},
};
use std::time::Duration;

/// How long past its time a task of a missing provider is left alone: another process may be ending it.
const ABANDONED_AFTER_MS: i64 = 600_000;
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Objects younger than this may belong to a task that is being stored.
const ORPHAN_AGE_MS: i64 = DAY_MS;
/// Sweeps between looks for orphans, since those list the whole storage.
const ORPHANS_EVERY: u32 = 60;
/// For how long what a closure leaves is looked for: a process that was killed came back long before.
const CLOSED_LATELY_MS: i64 = 7 * DAY_MS;
/// Objects whose rows are looked up at once.
const ORPHANS_AT_ONCE: usize = 200;
/// Sweeps between audits of the whole ledger.
const AUDIT_EVERY: u32 = 60;

/// Sweeps until the worker drains, while this node has that duty.
pub(super) async fn run(worker: &Worker) {
    let app = &worker.0.app;
    let mut number = 1u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = worker.0.draining.cancelled() => return,
        }
        if node::run(app, Duty::Retention, round(app, number)).await.is_some() {
            number = number.wrapping_add(1);
        }
    }
}

async fn round(app: &App, number: u32) {
    let swept = sweep(app).await;
    crate::metrics::swept("retention", swept.is_ok());
    if let Err(error) = swept {
        tracing::warn!(?error, "a sweep failed");
    }
    if number.is_multiple_of(AUDIT_EVERY) {
        audit(app).await;
    }
    if number.is_multiple_of(ORPHANS_EVERY) {
        let swept = sweep_leftovers(app).await;
        crate::metrics::swept("orphans", swept.is_ok());
        if let Err(error) = swept {
            tracing::warn!(?error, "looking for orphaned files failed");
        }
    }
}

/// Recomputes the ledger, one account at a time so that nothing waits long; what is wrong goes to the log and
/// the metrics.
async fn audit(app: &App) {
    let admin = Admin::within(app, Actor::Gateway, Reach::All);
    let audited = admin.audit_ledger().await;
    crate::metrics::swept("audit", audited.is_ok());
    match audited {
        Ok(report) => {
            for finding in &report.findings {
                let (invariant, account, detail) = (finding.invariant, &finding.account_id, &finding.detail);
                tracing::error!(invariant, account, detail, "the ledger audit found a broken invariant");
            }
            let findings = u32::try_from(report.findings.len()).unwrap_or(u32::MAX);
            metrics::gauge!("rynjer_ledger_findings").set(f64::from(findings));
        }
        Err(error) => tracing::warn!(?error, "the ledger audit did not finish"),
    }
}

/// One round: rows first, then files.
pub(super) async fn sweep(app: &App) -> Result<(), Error> {
    let (now_ms, settings) = (app.now_ms(), &app.config.retention);
    let ago = |days: u32| now_ms - i64::from(days) * DAY_MS;
    let horizons = Horizons {
        now_ms,
        bodies_before_ms: ago(settings.body_days),
        unbound_agents_before_ms: ago(settings.unbound_agent_days),
    };
    while app.store.write(move |tx| retention::sweep(tx, horizons)).await.map_err(Error::from)? > 0 {
        tokio::task::yield_now().await;
    }
    sweep_trails(app, now_ms).await?;
    let unseen_since_ms = now_ms - DAY_MS;
    let forgotten = app.store.write(move |tx| rynjer_store::node::forget(tx, unseen_since_ms)).await;
    forgotten.map_err(Error::from)?;
    if let Err(error) = end_abandoned(app).await {
        tracing::warn!(?error, "looking for tasks of missing providers failed");
    }
    let before_ms = ago(settings.output_days);
    loop {
        let keys = app.store.write(move |tx| retention::expire_outputs(tx, before_ms, now_ms)).await;
        if delete(app, &keys.map_err(Error::from)?).await == 0 {
            break;
        }
    }
    loop {
        let keys = app.store.write(move |tx| retention::expire_files(tx, now_ms)).await;
        if delete(app, &keys.map_err(Error::from)?).await == 0 {
            return Ok(());
        }
    }
}

/// News and lines of the audit log, each as long as the settings say.
async fn sweep_trails(app: &App, now_ms: i64) -> Result<(), Error> {
    let settings = &app.config.retention;
    let ago = |days: u32| now_ms - i64::from(days) * DAY_MS;
    let news_before_ms = ago(settings.notice_days);
    let expire = move |tx: &mut dyn rynjer_store::Tx| retention::expire_notices(tx, news_before_ms);
    while app.store.write(expire).await.map_err(Error::from)? > 0 {
        tokio::task::yield_now().await;
    }
    if settings.audit_days == 0 {
        return Ok(());
    }
    let lines_before_ms = ago(settings.audit_days);
    let expire = move |tx: &mut dyn rynjer_store::Tx| retention::expire_audit_lines(tx, lines_before_ms);
    while app.store.write(expire).await.map_err(Error::from)? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Ends tasks of providers that nobody claims for any more, so that their price is not held for ever.
async fn end_abandoned(app: &App) -> Result<(), Error> {
    let known: Vec<&'static str> = app.providers.names().collect();
    let before_ms = app.now_ms() - ABANDONED_AFTER_MS;
    let mut after_id = String::new();
    loop {
        let (known, after) = (known.clone(), after_id.clone());
        let tasks = app.store.read(move |tx| abandoned(tx, &known, before_ms, &after)).await;
        let tasks = tasks.map_err(Error::from)?;
        let Some(last) = tasks.last() else { return Ok(()) };
        after_id = last.id.to_string();
        for task in tasks {
            end(app, task).await;
        }
    }
}

/// Ends one task of a missing provider. One that can't be ended now is tried again by the next sweep.
async fn end(app: &App, task: Abandoned) {
    let queued = task.step == Step::Queued;
    let unknown = matches!(task.step, Step::Submitting | Step::Unknown);
    let release = Release {
        account: task.account,
        task: task.id.clone(),
        guard: if queued { Guard::NotSubmitted } else { Guard::Fence(task.fence) },
        status: Status::Failed,
        error: if unknown { "outcome_unknown" } else { "timed_out" },
        message: "nobody on this gateway serves the task's provider any more".to_owned(),
        missing: None,
        loss: if queued { None } else { task.attempt_id.map(LostUnits::all) },
        vendor_cost_micro_usd: None,
        trail: None,
    };
    let outcome = app.store.submit(app.now_ms(), Command::Release(Box::new(release))).await;
    match outcome {
        Ok(Outcome::Settled { .. }) => {
            let provider = task.provider;
            tracing::warn!(task = %task.id, provider, "a task of a missing provider was ended");
            app.hub.task_changed(&task.id);
        }
        other => {
            tracing::warn!(task = %task.id, outcome = ?other, "a task of a missing provider was not ended");
        }
    }
}

/// Deletes objects and tells how many there were to delete.
async fn delete(app: &App, keys: &[String]) -> usize {
    // One that is gone already, or that resists, is an orphan from here on.
    app.outputs.remove_all(keys).await;
    keys.len()
}

/// What was cut short: closures, and files without a row.
pub(super) async fn sweep_leftovers(app: &App) -> Result<(), Error> {
    let hand = Admin::within(app, Actor::Gateway, Reach::All);
    let finished = hand.finish_closings(app.now_ms() - CLOSED_LATELY_MS).await;
    sweep_orphans(app).await.and(finished)
}

/// Deletes objects that no row names, outputs of tasks and uploaded files, and pictures that were handed to a
/// vendor for a task that is over.
async fn sweep_orphans(app: &App) -> Result<(), Error> {
    // Files carry the machine's time, whatever a test clock says.
    let oldest_ms = app.now_ms() - app.clock.moved_ms().unwrap_or(0) - ORPHAN_AGE_MS;
    app.outputs.sweep_staging(oldest_ms).await;
    let mut objects = app.outputs.list(None);
    let (mut outputs, mut files, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(object) = objects.try_next().await.map_err(|error| Error::storage("list", &error))? {
        if object.last_modified.timestamp_millis() < oldest_ms {
            let key = object.location.to_string();
            match *key.split('/').collect::<Vec<_>>() {
                ["inputs", account, task, _] if AccountId::parse(account).is_some() => {
                    inputs.push((account.to_owned(), task.to_owned(), key.clone()));
                }
                // Of other data in the same place nothing is known, so it is left alone.
                [account, ..] if account != "files" && AccountId::parse(account).is_none() => {}
                ["files", account, _] if AccountId::parse(account).is_none() => {}
                ["files", account, name] => {
                    let id = name.split_once('.').map_or(name, |(id, _)| id);
                    files.push((account.to_owned(), id.to_owned(), key.clone()));
                }
                // Outputs had a folder for each task once.
                [account, folder, name] => {
                    let task = if TaskId::parse(folder).is_some() { folder } else { task_of(name) };
                    outputs.push((account.to_owned(), task.to_owned(), key.clone()));
                }
                [account, task, ..] => outputs.push((account.to_owned(), task.to_owned(), key.clone())),
                _ => {}
            }
        }
        if outputs.len() + files.len() + inputs.len() >= ORPHANS_AT_ONCE {
            let found = [&mut outputs, &mut files, &mut inputs].map(std::mem::take);
            delete_orphans(app, found).await?;
        }
    }
    delete_orphans(app, [outputs, files, inputs]).await
}

/// The task in the name of an output.
fn task_of(name: &str) -> &str {
    name.split_once('-').map_or(name, |(task, _)| task)
}

/// Account, task or file, and key of an object.
type Keys = Vec<(String, String, String)>;

async fn delete_orphans(app: &App, [outputs, files, inputs]: [Keys; 3]) -> Result<(), Error> {
    let find = move |tx: &mut dyn rynjer_store::Tx| {
        let mut orphans = retention::orphans(tx, &outputs)?;
        orphans.extend(retention::orphan_files(tx, &files)?);
        orphans.extend(retention::inputs_of_finished(tx, &inputs)?);
        Ok::<_, Error>(orphans)
    };
    let orphans = app.store.read(find).await?;
    delete(app, &orphans).await;
    Ok(())
}
