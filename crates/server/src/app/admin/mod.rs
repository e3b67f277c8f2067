//! The hand on a database of whoever administers: the operator's command line, and people in the console.
//!
//! Invariant: money moves only through the ledger; every change is one unit of work with its line in the
//! audit log, and nobody changes what is out of their reach. Not here: printing, pages, and where the
//! database is.

mod account;
mod agent;
mod budget;
mod key;
mod refund;

use crate::{
    app::{
        Error,
        actor::{Actor, Reach},
        audit_log::note,
    },
    clock::Clock,
    state::App,
};
use rynjer_core::id::{AccountId, TaskId};
use rynjer_store::{Finding, Store, admin, task::TaskRow};
use serde_json::Value;

pub use key::NewKey;

/// Somebody's hand on a database.
#[derive(Clone)]
pub struct Admin {
    pub store: Store,
    pub clock: Clock,
    /// Who does it.
    pub by: Actor,
    /// How far they reach.
    pub reach: Reach,
    /// The process whose caches hear at once what was changed.
    pub(crate) app: Option<App>,
}

/// A name under which credits move once.
fn check_reference(reference: &str) -> Result<(), Error> {
    if reference.is_empty() || reference.len() > 200 || reference.chars().any(char::is_control) {
        return Err(Error::field("reference", "must be 1 to 200 characters without control characters"));
    }
    Ok(())
}

/// What an audit found.
#[derive(Debug, Clone)]
pub struct AuditReport {
    pub accounts: usize,
    pub findings: Vec<Finding>,
    /// What the database itself reports as damaged.
    pub damage: Option<String>,
}

impl Admin {
    /// The hand of whoever may run commands beside the database.
    pub(crate) fn of_command_line(store: Store, clock: Clock) -> Self {
        Self { store, clock, by: Actor::CommandLine, reach: Reach::All, app: None }
    }

    /// The hand of a person or part of a running gateway.
    pub(crate) fn within(app: &App, by: Actor, reach: Reach) -> Self {
        Self { store: app.store.clone(), clock: app.clock.clone(), by, reach, app: Some(app.clone()) }
    }

    /// Makes this process, and through it the others, ask again who its callers are.
    pub(crate) fn credentials_changed(&self) {
        if let Some(app) = &self.app {
            app.credentials_changed();
        }
    }

    /// Writes a line of the audit log whose change is committed already.
    pub(crate) async fn note(
        &self,
        account: Option<&AccountId>,
        action: &'static str,
        subject_id: &str,
        detail: Value,
    ) -> Result<(), Error> {
        let (by, now_ms) = (self.by.clone(), self.clock.now_ms());
        let (account, subject_id) = (account.cloned(), subject_id.to_owned());
        let written =
            self.store.write(move |tx| note(tx, now_ms, &by, account.as_ref(), action, &subject_id, &detail));
        Ok(written.await?)
    }

    /// A task by its id, with its outputs.
    ///
    /// # Errors
    /// No such task.
    pub async fn task_show(&self, id: &TaskId) -> Result<TaskRow, Error> {
        self.reach.check_all()?;
        let id = id.clone();
        self.store.read(move |tx| admin::task(tx, &id)?.ok_or(Error::NotFound)).await
    }

    /// Recomputes the whole ledger from its entries and compares it with what is cached.
    ///
    /// # Errors
    /// Only of the store; broken invariants are in the report.
    pub async fn audit(&self) -> Result<AuditReport, Error> {
        let damage = self.store.integrity_check().await?;
        Ok(AuditReport { damage, ..self.audit_ledger().await? })
    }

    /// Like [`Admin::audit`], without reading every page of the database.
    pub(crate) async fn audit_ledger(&self) -> Result<AuditReport, Error> {
        let accounts = self.store.read(|tx| Ok::<_, Error>(rynjer_store::audit_accounts(tx)?)).await?;
        let now_ms = self.clock.now_ms();
        let mut findings = Vec::new();
        for account in &accounts {
            let id = account.clone();
            let found = self.store.read(move |tx| {
                let mut found = rynjer_store::audit_account(tx, &id)?;
                found.extend(rynjer_store::audit_tasks(tx, &id, now_ms)?);
                Ok::<_, Error>(found)
            });
            findings.extend(found.await?);
        }
        Ok(AuditReport { accounts: accounts.len(), findings, damage: None })
    }
}
