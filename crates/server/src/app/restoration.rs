//! A restored installation: nothing new is taken until what was under way at the backup's time is over.
//!
//! Invariant: no task that was queued then is ever handed to a provider, because it may have been handed over
//! after the backup was taken. Not here: restoring (`store::relocation`), asking providers (`worker`).

use crate::{
    app::{Error, admin::Admin},
    state::App,
};
use futures::future::join_all;
use rynjer_core::{
    id::{AccountId, TaskId},
    ledger::{Command, Guard, Outcome, Release},
    task::Status,
};
use rynjer_store::{Store, StoreError, admin, installation};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether the installation is being reconciled, as this process knows it.
pub(crate) struct Restoration(AtomicBool);

impl Restoration {
    /// It can only begin before any process is there.
    pub(crate) async fn open(store: &Store) -> Result<Self, StoreError> {
        let at_ms = store.read(installation::restored_at_ms).await?;
        if at_ms.is_some() {
            tracing::warn!("restored from a backup: nothing new is taken until no task is open any more");
        }
        Ok(Self(AtomicBool::new(at_ms.is_some())))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Refuses what must wait until the installation is reconciled.
pub(crate) fn refuse(app: &App) -> Result<(), Error> {
    if app.restoration.is_on() { Err(Error::Restoring) } else { Ok(()) }
}

/// Looks until it is over, by whichever process or operator.
pub(crate) async fn follow(app: App) {
    while app.restoration.is_on() {
        let at_ms: Result<_, StoreError> = app.store.read(installation::restored_at_ms).await;
        match at_ms {
            Ok(None) => {
                app.restoration.0.store(false, Ordering::Relaxed);
                tracing::info!("the restored installation is reconciled: everything is taken again");
                return;
            }
            Ok(Some(_)) => {}
            Err(error) => tracing::warn!(%error, "nobody could tell whether the restoration is over"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Ends what was queued, and the restoration with the last open task. Only what this leaves may be claimed.
pub(crate) async fn reconcile(app: &App) -> Result<(), StoreError> {
    if !app.restoration.is_on() {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let from = after.clone();
        let queued = app.store.read(move |tx| admin::queued(tx, &from)).await?;
        let Some((_, last)) = queued.last() else { break };
        after = last.to_string();
        let ended = join_all(queued.into_iter().map(|(account, id)| end(app, account, id))).await;
        ended.into_iter().collect::<Result<(), StoreError>>()?;
    }
    app.store.write(installation::end_restoration_if_settled).await.map(drop)
}

async fn end(app: &App, account: AccountId, id: TaskId) -> Result<(), StoreError> {
    let release = Release {
        account,
        task: id.clone(),
        guard: Guard::NotSubmitted,
        status: Status::Failed,
        error: "outcome_unknown",
        message:
            "the installation was restored from a backup in which this task was queued, so nobody knows \
                  whether it was made since; nothing is charged"
                .to_owned(),
        missing: None,
        loss: None,
        vendor_cost_micro_usd: None,
        trail: None,
    };
    let outcome = app.store.submit(app.now_ms(), Command::Release(Box::new(release))).await?;
    match outcome {
        Outcome::Settled { .. } => app.hub.task_changed(&id),
        Outcome::Stale { .. } => {}
        // Of a frozen ledger nothing is claimed either.
        other => {
            return Err(StoreError::Other(format!("a queued task of before could not be ended: {other:?}")));
        }
    }
    Ok(())
}

impl Admin {
    /// Notes that this database is a backup's content; whether anything in it is to be reconciled.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn restoration_begin(&self) -> Result<bool, Error> {
        let now_ms = self.clock.now_ms();
        Ok(self.store.write(move |tx| installation::set_restored(tx, now_ms)).await?)
    }

    /// Ends the reconciliation, whatever is still open; whether there was one.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn restoration_end(&self) -> Result<bool, Error> {
        Ok(self.store.write(installation::end_restoration).await?)
    }
}
