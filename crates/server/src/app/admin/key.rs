//! Keys, as whoever administers makes, lists and revokes them.
//!
//! Invariant: a key's text leaves the process once. Not here: keys that agents make themselves (`key`).

use super::Admin;
use crate::{
    app::{Error, Field, audit_log::note},
    entropy,
};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::{AccountId, AgentId, BudgetId, KeyId},
    key::{ApiKey, KeyKind},
    scope::Scopes,
    time::DAY_MS,
};
use rynjer_store::{
    admin, budget,
    key::{self, KeyRow, KeyUse},
};
use serde_json::json;
use std::collections::HashMap;

/// An account key that somebody wants.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub name: String,
    pub scopes: Scopes,
    /// None lives until it is revoked.
    pub expires_in_days: Option<i64>,
    pub limit: Option<(Credits, Period)>,
}

impl NewKey {
    fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            problems.push(Field::new("name", "must be 1 to 100 characters, without control characters"));
        }
        if self.scopes.is_empty() {
            problems.push(Field::new("scopes", "must name at least one scope"));
        }
        if self.expires_in_days.is_some_and(|days| !(1..=365).contains(&days)) {
            problems.push(Field::new("expires_in_days", "must be 1 to 365"));
        }
        if self.limit.is_some_and(|(limit, _)| limit < Credits::ZERO) {
            problems.push(Field::new("limit", "must be 0 or more"));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
    }
}

impl Admin {
    /// Makes an account key with an end and a budget; its text is shown once.
    ///
    /// # Errors
    /// No such account; a wrong name, end or limit; no scope.
    pub async fn key_make(&self, account: &AccountId, new: NewKey) -> Result<(KeyRow, ApiKey), Error> {
        new.check()?;
        self.key_write(account, new).await
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
        let new = NewKey { name: name.to_owned(), scopes, expires_in_days: None, limit: None };
        self.key_write(account, new).await
    }

    async fn key_write(&self, account: &AccountId, new: NewKey) -> Result<(KeyRow, ApiKey), Error> {
        let owner = self.account_show(account).await?;
        let kind = if owner.mode == "live" { KeyKind::AccountLive } else { KeyKind::AccountTest };
        let secret = ApiKey::new(kind, entropy::bytes());
        let now_ms = self.clock.now_ms();
        let row = KeyRow {
            id: KeyId::new(now_ms, entropy::id()),
            account_id: account.clone(),
            agent_id: None,
            name: new.name.trim().to_owned(),
            prefix: secret.display_prefix(),
            hash: secret.hash(),
            scopes: new.scopes.to_text(),
            created_at_ms: now_ms,
            expires_at_ms: new.expires_in_days.map(|days| now_ms + days * DAY_MS),
            last_used_at_ms: None,
            revoked_at_ms: None,
        };
        let (stored, by, limit) = (row.clone(), self.by.clone(), new.limit);
        let fresh = BudgetId::new(now_ms, entropy::id());
        self.store
            .write(move |tx| {
                key::insert(tx, &stored)?;
                let (account, id) = (&stored.account_id, stored.id.as_str());
                if let Some((limit, period)) = limit {
                    budget::set(tx, account, &fresh, (Subject::Key, id), period, limit, now_ms)?;
                }
                let detail = json!({
                    "name": stored.name,
                    "scopes": stored.scopes,
                    "expires_in_days": new.expires_in_days,
                    "limit": limit.map(|(limit, period)| format!("{}/{}", limit.0, period.as_str())),
                });
                Ok::<_, Error>(note(tx, now_ms, &by, Some(account), "key.created", id, &detail)?)
            })
            .await?;
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

    /// One key of an account.
    ///
    /// # Errors
    /// No such key.
    pub async fn key_show(&self, account: &AccountId, id: &KeyId) -> Result<KeyRow, Error> {
        self.reach.check(Some(account))?;
        let (account, id) = (account.clone(), id.clone());
        self.store.read(move |tx| key::get(tx, &account, &id)?.ok_or(Error::NotFound)).await
    }

    /// Keys of an account that belong to none of its agents, newest first.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn key_list_of_account(&self, account: &AccountId) -> Result<Vec<KeyRow>, Error> {
        self.reach.check(Some(account))?;
        let account = account.clone();
        self.store.read(move |tx| Ok(key::of_account_itself(tx, &account)?)).await
    }

    /// Keys of an agent of an account, newest first.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn key_list_of_agent(
        &self,
        account: &AccountId,
        agent: &AgentId,
    ) -> Result<Vec<KeyRow>, Error> {
        self.reach.check(Some(account))?;
        let (account, agent) = (account.clone(), agent.clone());
        self.store.read(move |tx| Ok(key::of_agent(tx, &account, &agent)?)).await
    }

    /// How the keys of each agent of an account are used.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn key_use(&self, account: &AccountId) -> Result<HashMap<AgentId, KeyUse>, Error> {
        self.reach.check(Some(account))?;
        let (account, now_ms) = (account.clone(), self.clock.now_ms());
        self.store.read(move |tx| Ok(key::use_of_agents(tx, &account, now_ms)?)).await
    }

    /// Revokes a key with its tokens; returns when it was first revoked, in milliseconds.
    ///
    /// # Errors
    /// No such key.
    pub async fn key_revoke(&self, id: &KeyId) -> Result<i64, Error> {
        let (id, now_ms) = (id.clone(), self.clock.now_ms());
        let (reach, by) = (self.reach.clone(), self.by.clone());
        let revoked = self.store.write(move |tx| {
            let account = admin::account_of_key(tx, &id)?.ok_or(Error::NotFound)?;
            reach.check(Some(&account))?;
            let at_ms = key::revoke(tx, &account, &id, now_ms)?.ok_or(Error::NotFound)?;
            if at_ms == now_ms {
                note(tx, now_ms, &by, Some(&account), "key.revoked", id.as_str(), &json!({}))?;
            }
            Ok::<_, Error>(at_ms)
        });
        let revoked = revoked.await?;
        self.credentials_changed();
        Ok(revoked)
    }
}
