//! Keys, as whoever administers makes, lists and revokes them.
//!
//! Invariant: a key's text leaves the process once. Not here: keys that agents make themselves (`key`).

use super::Admin;
use crate::{
    app::{Error, audit_log::note, closure::open_account},
    entropy,
};
use rynjer_core::{
    id::{AccountId, KeyId},
    key::{ApiKey, KeyKind},
    scope::Scopes,
};
use rynjer_store::{
    admin,
    key::{self, KeyRow},
};
use serde_json::json;

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
                open_account(tx, &stored.account_id)?;
                key::insert(tx, &stored)?;
                let detail = json!({ "name": stored.name, "scopes": stored.scopes });
                let (account, id) = (Some(&stored.account_id), stored.id.as_str());
                Ok::<_, Error>(note(tx, now_ms, &by, account, "key.created", id, &detail)?)
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
