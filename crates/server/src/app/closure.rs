//! Closing an account for good.
//!
//! Invariant: one commit ends everything that could spend, and nothing is open then; the ledger, ids and
//! hashes stay, with the credits that were left. Not here: exporting before (`export`).

use crate::app::{Error, admin::Admin, audit_log::note};
use rynjer_core::{
    id::{AccountId, TaskId},
    ledger::{Command, Guard, Outcome, Release},
    task::Status,
};
use rynjer_store::{
    StoreError, Tx,
    account::{self, AccountRow},
    closure,
};
use serde_json::json;

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
    /// bindings at once, and erases what its tasks hold. What is closed already is only erased again.
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
        self.erase(id).await?;
        self.account_show(id).await
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
            Ok(note(tx, now_ms, &by, Some(&id), "account.closed", id.as_str(), &detail)?)
        });
        unit.await
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
        };
        let command = Command::Release(Box::new(release));
        let outcome = self.store.submit(self.clock.now_ms(), command).await?;
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
            let Some(last) = erased.last else { return Ok(()) };
            after = last.to_string();
        }
    }
}
