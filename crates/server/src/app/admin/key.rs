//! Keys, as whoever administers makes, lists and revokes them.
//!
//! Invariant: a key's text leaves the process once. Not here: keys that agents make themselves (`key`).

use super::Admin;
use crate::{
    app::{Error, Field, audit_log::note, bind::MOLTBOOK, closure::open_account},
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
    Tx, account, admin, budget, installation,
    key::{self, KeyRow, KeyUse},
    key_line,
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

/// The longest time for which an old key works beside the new one.
const OVERLAP_MAX_MS: i64 = 30 * DAY_MS;

/// Refuses what can't be replaced. A key that was replaced ends soon, and so would one that takes after it.
fn replaceable(tx: &mut dyn Tx, old: &KeyRow, now_ms: i64) -> Result<(), Error> {
    let problem = if old.revoked_at_ms.is_some() {
        "was revoked: make a new one"
    } else if old.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
        "has expired: make a new one"
    } else if old.prefix == MOLTBOOK {
        "stands for a Moltbook identity and has no text"
    } else if key_line::successor(tx, &old.account_id, old.id.as_str())?.is_some() {
        "was replaced before: rotate the key that took its place"
    } else {
        return Ok(());
    };
    Err(Error::field("key", problem))
}

/// Refuses an agent more live keys than `limit`, where there is one.
fn few_enough(tx: &mut dyn Tx, new: &KeyRow, limit: Option<u32>, now_ms: i64) -> Result<(), Error> {
    let (Some(agent), Some(limit)) = (&new.agent_id, limit) else { return Ok(()) };
    let live = key::live_count(tx, agent, now_ms)?;
    if live > i64::from(limit) { Err(Error::TooManyKeys { limit }) } else { Ok(()) }
}

fn kind_of(tx: &mut dyn Tx, old: &KeyRow) -> Result<KeyKind, Error> {
    if old.agent_id.is_some() {
        return Ok(KeyKind::Agent);
    }
    let owner = account::get(tx, &old.account_id)?.ok_or(Error::NotFound)?;
    Ok(if owner.mode == "live" { KeyKind::AccountLive } else { KeyKind::AccountTest })
}

/// The same key with another text, and a whole life before it.
fn successor(old: &KeyRow, id: &KeyId, secret: &ApiKey, now_ms: i64) -> KeyRow {
    KeyRow {
        id: id.clone(),
        prefix: secret.display_prefix(),
        hash: secret.hash(),
        created_at_ms: now_ms,
        expires_at_ms: old.expires_at_ms.map(|at_ms| now_ms + (at_ms - old.created_at_ms)),
        last_used_at_ms: None,
        ..old.clone()
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
                open_account(tx, &stored.account_id)?;
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

    /// Makes a key that takes the place of another one, with its name, scopes, caps and policies. Both work
    /// for `overlap_ms`, then the old one ends with its tokens. They share the caps: what either spends
    /// counts for both.
    ///
    /// # Errors
    /// No such key within reach; one that works no more, was replaced before, or has no text; an agent that
    /// would have too many keys; an installation that is being reconciled.
    pub async fn key_rotate(&self, id: &KeyId, overlap_ms: i64) -> Result<(KeyRow, ApiKey), Error> {
        if !(0..=OVERLAP_MAX_MS).contains(&overlap_ms) {
            return Err(Error::field("overlap", "must be 0 to 720 hours"));
        }
        let (id, now_ms) = (id.clone(), self.clock.now_ms());
        let (reach, by, limit) = (self.reach.clone(), self.by.clone(), self.keys_per_agent());
        let new_id = KeyId::new(now_ms, entropy::id());
        let drawn = entropy::bytes();
        let rotated = self.store.write(move |tx| {
            let account = admin::account_of_key(tx, &id)?.ok_or(Error::NotFound)?;
            reach.check(Some(&account))?;
            if installation::restored_at_ms(tx)?.is_some() {
                return Err(Error::Restoring);
            }
            open_account(tx, &account)?;
            let old = key::lock(tx, &account, &id)?.ok_or(Error::NotFound)?;
            replaceable(tx, &old, now_ms)?;
            let secret = ApiKey::new(kind_of(tx, &old)?, drawn);
            let row = successor(&old, &new_id, &secret, now_ms);
            key::insert(tx, &row)?;
            budget::carry_over(
                tx,
                &account,
                (&id, &new_id),
                || BudgetId::new(now_ms, entropy::id()),
                now_ms,
            )?;
            key::carry_policy(tx, &account, &id, &new_id, now_ms)?;
            key::end_at(tx, &account, &id, now_ms + overlap_ms)?;
            few_enough(tx, &row, limit, now_ms)?;
            let detail = json!({ "name": old.name, "new_key": new_id.as_str(), "overlap_ms": overlap_ms });
            note(tx, now_ms, &by, Some(&account), "key.rotated", id.as_str(), &detail)?;
            Ok::<_, Error>((row, secret))
        });
        let rotated = rotated.await?;
        self.credentials_changed();
        Ok(rotated)
    }

    /// How many live keys an agent may have; the command line, which reads no settings, knows of no limit.
    fn keys_per_agent(&self) -> Option<u32> {
        self.app.as_ref().map(|app| app.config.limits.keys_per_agent)
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
