//! What the operator does on the database itself, also while gateways run on it.
//!
//! Invariant: money moves only through the ledger; every change is one unit of work. Not here: printing, and
//! where the database is.

use crate::{
    app::{Error, bind},
    clock::Clock,
    entropy,
};
use rynjer_core::{
    budget::{Budget, Period, Subject},
    credits::Credits,
    id::{AccountId, AgentId, BudgetId, KeyId, TaskId},
    key::{ApiKey, KeyKind},
    ledger::{Command, Grant, Outcome},
    scope::Scopes,
};
use rynjer_store::{
    Finding, Store, account,
    account::AccountRow,
    admin,
    agent::{self, AgentRow},
    budget,
    key::{self, KeyRow},
    task::TaskRow,
};

/// The operator's hand on a database.
#[derive(Clone)]
pub struct Admin {
    pub store: Store,
    pub clock: Clock,
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
    /// Makes an account, and grants it credits if asked.
    ///
    /// # Errors
    /// A second account of the same e-mail and mode; a wrong amount.
    pub async fn account_create(&self, email: &str, live: bool, credits: i64) -> Result<AccountRow, Error> {
        let (mode, now_ms) = (if live { "live" } else { "test" }, self.clock.now_ms());
        if !email.contains('@')
            || email.len() > 254
            || email.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(Error::field("email", "is not an e-mail address"));
        }
        if credits < 0 {
            return Err(Error::field("credits", "must be 0 or more"));
        }
        let id = AccountId::new(now_ms, entropy::id());
        let (row_id, email) = (id.clone(), email.to_owned());
        self.store
            .write(move |tx| {
                if admin::account_by_email(tx, &email, mode)?.is_some() {
                    return Err(Error::field("email", format!("has a {mode} account already")));
                }
                Ok(account::create(tx, &row_id, &email, mode, now_ms)?)
            })
            .await?;
        if credits > 0 {
            self.account_grant(&id, credits, "account-create").await?;
        }
        self.account_show(&id).await
    }

    /// An account by its id.
    ///
    /// # Errors
    /// No such account.
    pub async fn account_show(&self, id: &AccountId) -> Result<AccountRow, Error> {
        let id = id.clone();
        self.store.read(move |tx| account::get(tx, &id)?.ok_or(Error::NotFound)).await
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn account_list(&self) -> Result<Vec<AccountRow>, Error> {
        self.store.read(|tx| Ok(admin::accounts(tx)?)).await
    }

    /// Freezes an account with a reason, or thaws it with none.
    ///
    /// # Errors
    /// No such account.
    pub async fn account_freeze(&self, id: &AccountId, reason: Option<String>) -> Result<AccountRow, Error> {
        let account_id = id.clone();
        self.store
            .write(move |tx| {
                let known = account::set_frozen(tx, &account_id, reason.as_deref())?;
                if known { Ok(()) } else { Err(Error::NotFound) }
            })
            .await?;
        self.account_show(id).await
    }

    /// Grants credits; the same reference never grants twice. Tells whether it was granted before.
    ///
    /// # Errors
    /// No such account; a wrong amount; a reference that was used for another amount.
    pub async fn account_grant(&self, id: &AccountId, amount: i64, reference: &str) -> Result<bool, Error> {
        if reference.is_empty() || reference.len() > 200 || reference.chars().any(char::is_control) {
            return Err(Error::field("reference", "must be 1 to 200 characters without control characters"));
        }
        let grant =
            Grant { account: id.clone(), amount: Credits(amount), reference: format!("grant:{reference}") };
        match self.store.submit(self.clock.now_ms(), Command::Grant(grant)).await? {
            Outcome::Moved { replayed, .. } => Ok(replayed),
            Outcome::Refused(refusal) => Err(refusal.into()),
            other => Err(Error::internal(format!("a grant ended as {other:?}"))),
        }
    }

    /// Binds the agent of a registration code to an account, with the scopes that its keys may ask for.
    ///
    /// # Errors
    /// A code that is wrong, expired or used by another account; no such account.
    pub async fn agent_bind(
        &self,
        code: &str,
        account: &AccountId,
        scopes: Scopes,
        limit: Option<(Credits, Period)>,
    ) -> Result<AgentRow, Error> {
        bind::bind(&self.store, &self.clock, code, account, scopes, limit).await
    }

    /// Agents, newest first, of one account or of all.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn agent_list(&self, account: Option<AccountId>) -> Result<Vec<AgentRow>, Error> {
        self.store.read(move |tx| Ok(admin::agents(tx, account.as_ref())?)).await
    }

    /// Pauses or resumes an agent.
    ///
    /// # Errors
    /// No such agent.
    pub async fn agent_pause(&self, id: &AgentId, paused: bool) -> Result<AgentRow, Error> {
        let now_ms = self.clock.now_ms();
        self.agent_change(id, move |tx, agent| {
            Ok(agent::set_paused(tx, &agent.id, paused.then_some(now_ms))?)
        })
        .await
    }

    /// Ends an agent for good, with all its keys and tokens.
    ///
    /// # Errors
    /// No such agent.
    pub async fn agent_revoke(&self, id: &AgentId) -> Result<AgentRow, Error> {
        let now_ms = self.clock.now_ms();
        self.agent_change(id, move |tx, agent| {
            key::revoke_all_of_agent(tx, &agent.id, now_ms)?;
            Ok(agent::revoke(tx, &agent.id, now_ms)?)
        })
        .await
    }

    /// Takes an agent from its account and revokes all its keys and tokens.
    ///
    /// # Errors
    /// No such agent.
    pub async fn agent_unbind(&self, id: &AgentId) -> Result<AgentRow, Error> {
        let now_ms = self.clock.now_ms();
        self.agent_change(id, move |tx, agent| {
            key::revoke_all_of_agent(tx, &agent.id, now_ms)?;
            Ok(agent::unbind(tx, &agent.id, now_ms)?)
        })
        .await
    }

    /// Gives a bound agent to another account; its keys, tokens and registration code die, old tasks stay
    /// behind.
    ///
    /// # Errors
    /// No such agent or account.
    pub async fn agent_transfer(&self, id: &AgentId, to: &AccountId) -> Result<AgentRow, Error> {
        let (now_ms, to) = (self.clock.now_ms(), to.clone());
        self.agent_change(id, move |tx, agent| {
            if account::get(tx, &to)?.is_none() {
                return Err(Error::field("account", "does not exist"));
            }
            if agent.account_id.is_none() || agent.revoked_at_ms.is_some() {
                return Err(Error::field("agent", "is not bound to an account, or was revoked"));
            }
            key::revoke_all_of_agent(tx, &agent.id, now_ms)?;
            agent::unbind(tx, &agent.id, now_ms)?;
            Ok(agent::bind(tx, &agent.id, &to, &agent.scopes, now_ms)?)
        })
        .await
    }

    async fn agent_change(
        &self,
        id: &AgentId,
        change: impl Fn(&mut dyn rynjer_store::Tx, &AgentRow) -> Result<(), Error> + Send + 'static,
    ) -> Result<AgentRow, Error> {
        let id = id.clone();
        self.store
            .write(move |tx| {
                let agent = agent::lock(tx, &id)?.ok_or(Error::NotFound)?;
                change(tx, &agent)?;
                agent::get(tx, &id)?.ok_or(Error::NotFound)
            })
            .await
    }

    /// Makes an account key; its text is shown once.
    ///
    /// # Errors
    /// No such account.
    pub async fn key_create(
        &self,
        account: &AccountId,
        scopes: Scopes,
        name: &str,
    ) -> Result<(KeyRow, ApiKey), Error> {
        let owner = self.account_show(account).await?;
        let kind = if owner.mode == "live" { KeyKind::AccountLive } else { KeyKind::AccountTest };
        let secret = ApiKey::new(kind, entropy::bytes());
        let now_ms = self.clock.now_ms();
        let row = KeyRow {
            id: KeyId::new(now_ms, entropy::id()),
            account_id: account.clone(),
            agent_id: None,
            name: name.to_owned(),
            prefix: secret.display_prefix(),
            hash: secret.hash(),
            scopes: scopes.to_text(),
            created_at_ms: now_ms,
            expires_at_ms: None,
            last_used_at_ms: None,
            revoked_at_ms: None,
        };
        let stored = row.clone();
        self.store.write(move |tx| Ok::<_, Error>(key::insert(tx, &stored)?)).await?;
        Ok((row, secret))
    }

    /// Keys of an account and its agents, newest first.
    ///
    /// # Errors
    /// No such account.
    pub async fn key_list(&self, account: &AccountId) -> Result<Vec<KeyRow>, Error> {
        self.account_show(account).await?;
        let account = account.clone();
        self.store.read(move |tx| Ok(key::of_account(tx, &account)?)).await
    }

    /// Revokes a key with its tokens; returns when it was first revoked, in milliseconds.
    ///
    /// # Errors
    /// No such key.
    pub async fn key_revoke(&self, id: &KeyId) -> Result<i64, Error> {
        let (id, now_ms) = (id.clone(), self.clock.now_ms());
        self.store
            .write(move |tx| {
                let account = admin::account_of_key(tx, &id)?.ok_or(Error::NotFound)?;
                key::revoke(tx, &account, &id, now_ms)?.ok_or(Error::NotFound)
            })
            .await
    }

    /// Sets the limit of an account, agent or key over a period.
    ///
    /// # Errors
    /// A subject that is not the account's; a negative limit.
    pub async fn budget_set(
        &self,
        account: &AccountId,
        subject: Subject,
        subject_id: &str,
        period: Period,
        limit: Credits,
    ) -> Result<Vec<Budget>, Error> {
        if limit < Credits::ZERO {
            return Err(Error::field("limit", "must be 0 or more"));
        }
        let now_ms = self.clock.now_ms();
        let fresh = BudgetId::new(now_ms, entropy::id());
        let (owner, subject_id) = (account.clone(), subject_id.to_owned());
        self.store
            .write(move |tx| {
                if !bind::owns_subject(tx, &owner, subject, &subject_id)? {
                    return Err(Error::field(subject.as_str(), "does not belong to that account"));
                }
                budget::set(tx, &owner, &fresh, (subject, &subject_id), period, limit, now_ms)?;
                Ok::<_, Error>(())
            })
            .await?;
        self.budget_list(account).await
    }

    /// All budgets of an account.
    ///
    /// # Errors
    /// No such account.
    pub async fn budget_list(&self, account: &AccountId) -> Result<Vec<Budget>, Error> {
        self.account_show(account).await?;
        let account = account.clone();
        self.store.read(move |tx| Ok(budget::of_account(tx, &account)?)).await
    }

    /// A task by its id, with its outputs.
    ///
    /// # Errors
    /// No such task.
    pub async fn task_show(&self, id: &TaskId) -> Result<TaskRow, Error> {
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
