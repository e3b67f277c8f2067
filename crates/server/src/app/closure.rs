//! Closing an account for good.
//!
//! Invariant: one commit ends everything that could spend, and nothing is open then; the ledger, ids and
//! hashes stay, with the credits that were left, and nobody's address. What follows that commit is done in
//! pieces, which can be cut short. Not here: exporting before (`export`).

use crate::app::{
    Error,
    admin::Admin,
    audit_log::{note, trail},
    upstream_input,
};
use rynjer_core::{
    id::{AccountId, TaskId},
    ledger::{Command, Guard, Outcome, Release},
    task::Status,
};
use rynjer_store::{
    StoreError, Tx,
    account::{self, AccountRow},
    audit_log::{self, Leaver},
    closure,
};
use serde_json::json;
use std::{collections::HashMap, time::Duration};
use tokio_util::task::TaskTracker;

/// How long a stop waits for closures.
const PATIENCE: Duration = Duration::from_secs(10);

/// Closures that go on although whoever asked for them has gone.
#[derive(Debug, Default)]
pub(crate) struct Closures(TaskTracker);

impl Closures {
    /// Closes an account to the end.
    pub(crate) async fn run(&self, hand: Admin, id: AccountId) -> Result<AccountRow, Error> {
        let closing = self.0.spawn(async move { hand.account_close(&id).await });
        closing.await.map_err(Error::internal)?
    }

    /// Waits a while for those that have begun. The sweep finishes the others.
    pub(crate) async fn close(&self) {
        self.0.close();
        drop(tokio::time::timeout(PATIENCE, self.0.wait()).await);
    }
}

/// The account, kept as it is until the unit is over, unless it is closed.
pub(crate) fn open_account(tx: &mut dyn Tx, id: &AccountId) -> Result<AccountRow, Error> {
    let row = account::lock(tx, id)?.ok_or_else(|| Error::field("account", "does not exist"))?;
    match row.closed_at_ms {
        Some(_) => Err(Error::field("account", "is closed")),
        None => Ok(row),
    }
}

impl Admin {
    /// Closes an account: pauses it, cancels what no provider was handed, then ends its keys, tokens and
    /// bindings at once; then forgets whose it was, and erases what its tasks hold. What is closed already is
    /// only forgotten and erased again.
    ///
    /// # Errors
    /// No such account; tasks that a provider has. The account stays paused then.
    pub async fn account_close(&self, id: &AccountId) -> Result<AccountRow, Error> {
        let row = self.account_show(id).await?;
        if row.closed_at_ms.is_none() {
            self.account_pause(id, true).await?;
            self.cancel_queued(id).await?;
            self.close(id).await?;
            self.credentials_changed();
        }
        self.finish_closing(id).await?;
        self.account_show(id).await
    }

    /// What a closed account leaves behind, a piece at a time; the sweep goes on where this was cut short.
    pub(crate) async fn finish_closing(&self, id: &AccountId) -> Result<(), Error> {
        self.forget_person(id).await?;
        self.erase(id).await
    }

    /// Of accounts that were closed since then, finishes all.
    pub(crate) async fn finish_closings(&self, since_ms: i64) -> Result<(), Error> {
        let closed = self.store.read(move |tx| Ok::<_, Error>(closure::closed_since(tx, since_ms)?)).await?;
        for id in closed {
            self.finish_closing(&id).await?;
        }
        Ok(())
    }

    async fn close(&self, id: &AccountId) -> Result<(), Error> {
        let (id, by, now_ms) = (id.clone(), self.by.clone(), self.clock.now_ms());
        let unit = self.store.write(move |tx| {
            let row = open_account(tx, &id)?;
            if row.open_tasks > 0 {
                let problem = format!(
                    "has {} unfinished tasks that a provider works on; it is paused now, so close it again \
                     when they are over",
                    row.open_tasks
                );
                return Err(Error::field("account", problem));
            }
            closure::close(tx, &id, now_ms)?;
            let detail = json!({ "credits_left": row.books.available.0 });
            Ok::<_, Error>(note(tx, now_ms, &by, Some(&id), "account.closed", id.as_str(), &detail)?)
        });
        unit.await
    }

    /// Logs come first, as the rows say whom to look for.
    async fn forget_person(&self, id: &AccountId) -> Result<(), Error> {
        let account = id.clone();
        let leaving = self.store.write(move |tx| Ok::<_, Error>(closure::leaving(tx, &account)?)).await?;
        let Some(leaving) = leaving else { return Ok(()) };
        let mut seen = HashMap::new();
        for log in leaving.logs {
            let last = self.forget_in_log(&log, &leaving.leaver).await?;
            seen.insert(log, last);
        }
        let (id, now_ms) = (id.clone(), self.clock.now_ms());
        Ok(self.store.write(move |tx| closure::forget_person(tx, &id, &seen, now_ms)).await?)
    }

    /// Takes somebody out of one log, without holding the writer for long; the last line that was looked at.
    pub(crate) async fn forget_in_log(&self, log: &str, leaver: &Leaver) -> Result<String, Error> {
        let mut after = String::new();
        loop {
            let (log, leaver, from) = (log.to_owned(), leaver.clone(), after.clone());
            let piece = move |tx: &mut dyn Tx| audit_log::forget(tx, &log, &leaver, &from);
            let last: Result<_, StoreError> = self.store.write(piece).await;
            let Some(last) = last? else { return Ok(after) };
            after = last;
        }
    }

    async fn cancel_queued(&self, id: &AccountId) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let (account, from) = (id.clone(), after.clone());
            let tasks: Vec<TaskId> =
                self.store.read(move |tx| Ok::<_, Error>(closure::queued(tx, &account, &from)?)).await?;
            let Some(last) = tasks.last() else { return Ok(()) };
            after = last.to_string();
            for task in tasks {
                self.cancel(id, task).await?;
            }
        }
    }

    /// A task that a worker took meanwhile stays as it is.
    async fn cancel(&self, account: &AccountId, task: TaskId) -> Result<(), Error> {
        let (now_ms, detail) = (self.clock.now_ms(), json!({ "because": "the account was closed" }));
        let release = Release {
            account: account.clone(),
            task: task.clone(),
            guard: Guard::NotSubmitted,
            status: Status::Canceled,
            error: "canceled",
            message: "the account was closed".to_owned(),
            missing: None,
            loss: None,
            vendor_cost_micro_usd: None,
            trail: Some(trail(now_ms, &self.by, "task.canceled", &detail)),
        };
        let command = Command::Release(Box::new(release));
        let outcome = self.store.submit(now_ms, command).await?;
        if let (Outcome::Settled { .. }, Some(app)) = (outcome, &self.app) {
            app.hub.task_changed(&task);
        }
        Ok(())
    }

    /// Blanks prompts and deletes files, a piece at a time. Files that this process can't reach are orphans
    /// now, and a gateway's sweep takes them.
    async fn erase(&self, id: &AccountId) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let (account, from, now_ms) = (id.clone(), after.clone(), self.clock.now_ms());
            let unit = move |tx: &mut dyn Tx| closure::erase(tx, &account, &from, now_ms);
            let erased: Result<_, StoreError> = self.store.write(unit).await;
            let erased = erased?;
            if let Some(app) = &self.app {
                app.outputs.remove_all(&erased.object_keys).await;
            }
            let Some(last) = erased.last else { break };
            after = last.to_string();
        }
        if let Some(app) = &self.app {
            upstream_input::forget_all(app, id).await;
        }
        Ok(())
    }
}
