//! Keys, as whoever administers makes, lists and revokes them.
//!
//! Invariant: a key's text leaves the process once. Not here: keys that agents make themselves (`key`).

use super::Admin;
use crate::{
    app::{Error, audit_log::note, bind::MOLTBOOK},
    entropy,
};
use rynjer_core::{
    id::{AccountId, BudgetId, KeyId},
    key::{ApiKey, KeyKind},
    scope::Scopes,
    time::DAY_MS,
};
use rynjer_store::{
    Tx, account, admin, audit_log, budget,
    key::{self, KeyRow},
};
use serde_json::json;

/// The longest time for which an old key works beside the new one.
const OVERLAP_MAX_MS: i64 = 30 * DAY_MS;
const ROTATED: &str = "key.rotated";

/// Refuses what can't be replaced. A key that was replaced ends soon, and so would one that takes after it.
fn replaceable(tx: &mut dyn Tx, old: &KeyRow, now_ms: i64) -> Result<(), Error> {
    let problem = if old.revoked_at_ms.is_some() {
        "was revoked: make a new one"
    } else if old.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
        "has expired: make a new one"
    } else if old.prefix == MOLTBOOK {
        "stands for a Moltbook identity and has no text"
    } else if audit_log::was_done(tx, old.account_id.as_str(), ROTATED, old.id.as_str())? {
        "was replaced before: rotate the key that took its place"
    } else {
        return Ok(());
    };
    Err(Error::field("key", problem))
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
        let (stored, by) = (row.clone(), self.by.clone());
        self.store
            .write(move |tx| {
                key::insert(tx, &stored)?;
                let detail = json!({ "name": stored.name, "scopes": stored.scopes });
                let (account, id) = (Some(&stored.account_id), stored.id.as_str());
                Ok::<_, Error>(note(tx, now_ms, &by, account, "key.created", id, &detail)?)
            })
            .await?;
        Ok((row, secret))
    }

    /// Makes a key that takes the place of another one, with its name, scopes, caps and policies. Both work
    /// for `overlap_ms`, then the old one ends with its tokens. In between each has the caps for itself; the
    /// new one begins with what the old one has spent.
    ///
    /// # Errors
    /// No such key within reach; one that works no more, was replaced before, or has no text.
    pub async fn key_rotate(&self, id: &KeyId, overlap_ms: i64) -> Result<(KeyRow, ApiKey), Error> {
        if !(0..=OVERLAP_MAX_MS).contains(&overlap_ms) {
            return Err(Error::field("overlap", "must be 0 to 720 hours"));
        }
        let (id, now_ms) = (id.clone(), self.clock.now_ms());
        let (reach, by) = (self.reach.clone(), self.by.clone());
        let new_id = KeyId::new(now_ms, entropy::id());
        let drawn = entropy::bytes();
        let rotated = self.store.write(move |tx| {
            let account = admin::account_of_key(tx, &id)?.ok_or(Error::NotFound)?;
            reach.check(Some(&account))?;
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
            let detail = json!({ "name": old.name, "new_key": new_id.as_str(), "overlap_ms": overlap_ms });
            note(tx, now_ms, &by, Some(&account), ROTATED, id.as_str(), &detail)?;
            Ok::<_, Error>((row, secret))
        });
        let rotated = rotated.await?;
        self.credentials_changed();
        Ok(rotated)
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
