//! Owners, as an operator lets them in, stops them and gives them accounts.
//!
//! Invariant: there is always an operator who can sign in; whoever is stopped is signed out in the same
//! commit. Not here: invitations and joining (`app::owner`), passwords (`new_password`).

use super::Admin;
use crate::app::{Error, audit_log::note, owner::email_of, second_step};
use rynjer_core::id::{AccountId, OwnerId};
use rynjer_store::{
    Tx, account,
    account::AccountRow,
    audit_log::Leaver,
    closure,
    owner::{self, OwnerRow},
    session, ticket,
};
use serde_json::{Value, json};

impl Admin {
    /// The owner of an id or an e-mail address.
    ///
    /// # Errors
    /// Nobody of that name.
    pub async fn owner_named(&self, name: &str) -> Result<OwnerRow, Error> {
        self.reach.check_all()?;
        let name = name.trim().to_lowercase();
        let read = self.store.read(move |tx| {
            let found = match OwnerId::parse(&name) {
                Some(id) => owner::get(tx, &id)?,
                None => owner::by_email(tx, &name)?,
            };
            found.ok_or(Error::NotFound)
        });
        read.await
    }

    /// The accounts of an owner, oldest first.
    ///
    /// # Errors
    /// Only of the store; not for an owner.
    pub async fn owner_accounts(&self, id: &OwnerId) -> Result<Vec<AccountRow>, Error> {
        self.reach.check_all()?;
        let id = id.clone();
        self.store.read(move |tx| Ok(owner::accounts(tx, &id)?)).await
    }

    /// Ends the invitation of an address; tells whether there was one.
    ///
    /// # Errors
    /// Not an e-mail address.
    pub async fn invitation_cancel(&self, email: &str) -> Result<bool, Error> {
        self.reach.check_all()?;
        let (email, by, now_ms) = (email_of(email)?, self.by.clone(), self.clock.now_ms());
        let write = self.store.write(move |tx| {
            let ended = ticket::cancel(tx, "invitation", Some(&email), now_ms)? > 0;
            if ended {
                note(tx, now_ms, &by, None, "owner.invitation_canceled", &email, &json!({}))?;
            }
            Ok::<_, Error>(ended)
        });
        write.await
    }

    /// Stops somebody, who is signed out at once, or lets them sign in again.
    ///
    /// # Errors
    /// No such owner; the last operator.
    pub async fn owner_disable(&self, id: &OwnerId, disabled: bool) -> Result<OwnerRow, Error> {
        let now_ms = self.clock.now_ms();
        let action = if disabled { "owner.disabled" } else { "owner.enabled" };
        self.owner_change(id, action, json!({}), move |tx, row| {
            if disabled {
                keep_an_operator(tx, &row.id)?;
                session::delete_of_owner(tx, &row.id, None)?;
                ticket::cancel(tx, "reset", Some(&row.email), now_ms)?;
                ticket::cancel_made_by(tx, row.id.as_str(), now_ms)?;
            }
            Ok(owner::set_disabled(tx, &row.id, disabled.then_some(now_ms))?)
        })
        .await
    }

    /// Takes somebody's second step away, who can't take it any more; they are signed out at once, and sign
    /// in by their password alone from then on.
    ///
    /// # Errors
    /// No such owner; one without a second step.
    pub async fn owner_remove_second_step(&self, id: &OwnerId) -> Result<OwnerRow, Error> {
        self.owner_change(id, "owner.second_step_removed", json!({}), |tx, row| {
            if row.totp_enabled_at_ms.is_none() {
                return Err(Error::field("user", "has no second step"));
            }
            second_step::forget(tx, &row.id)?;
            Ok(session::delete_of_owner(tx, &row.id, None).map(drop)?)
        })
        .await
    }

    /// Makes somebody an operator, or an owner like others.
    ///
    /// # Errors
    /// No such owner; the last operator.
    pub async fn owner_promote(&self, id: &OwnerId, operator: bool) -> Result<OwnerRow, Error> {
        let now_ms = self.clock.now_ms();
        let action = if operator { "owner.promoted" } else { "owner.demoted" };
        let role = if operator { "operator" } else { "owner" };
        self.owner_change(id, action, json!({ "role": role }), move |tx, row| {
            if !operator {
                keep_an_operator(tx, &row.id)?;
                ticket::cancel_made_by(tx, row.id.as_str(), now_ms)?;
            }
            Ok(owner::set_role(tx, &row.id, role)?)
        })
        .await
    }

    /// Gives an account to an owner, whoever had it before.
    ///
    /// # Errors
    /// No such account or owner.
    pub async fn account_give(&self, account: &AccountId, to: &OwnerId) -> Result<(), Error> {
        self.reach.check_all()?;
        let (id, to, by, now_ms) = (account.clone(), to.clone(), self.by.clone(), self.clock.now_ms());
        let write = self.store.write(move |tx| {
            let account = &id;
            let named = owner::lock(tx, &to)?.ok_or_else(|| Error::field("owner", "does not exist"))?;
            if named.disabled_at_ms.is_some() {
                return Err(Error::field("owner", "is disabled"));
            }
            account::get(tx, account)?.ok_or(Error::NotFound)?;
            let before = owner::of_account(tx, account)?.filter(|before| *before != to);
            let before = before.map(|before| owner::lock(tx, &before)).transpose()?.flatten();
            if before.is_some() {
                // Whoever had it before keeps no hand in it, nor is its name theirs any more.
                closure::evict(tx, account, now_ms)?;
                account::rename(tx, account, &named.email)?;
            }
            owner::take_account(tx, &to, account)?;
            let from = before.as_ref().map(|before| before.id.to_string());
            let detail = json!({ "owner": named.email, "from": from });
            note(tx, now_ms, &by, Some(account), "account.given", account.as_str(), &detail)?;
            Ok::<_, Error>(before)
        });
        let before = write.await?;
        self.credentials_changed();
        let Some(before) = before else { return Ok(()) };
        // The new owner reads that log.
        let emails = vec![(before.email, before.id.to_string())];
        let leaver = Leaver { emails, owner: Some(before.id.to_string()) };
        self.forget_in_log(account.as_str(), &leaver).await.map(drop)
    }

    /// Makes an account for an address, which whoever signs in with that address owns at once.
    ///
    /// # Errors
    /// As of [`Admin::account_create`].
    pub async fn account_create_for(&self, email: &str, live: bool) -> Result<AccountId, Error> {
        let email = email_of(email)?;
        let made = self.account_create(&email, live, 0).await?.id;
        let asked = email.clone();
        let owner = self.store.read(move |tx| Ok::<_, Error>(owner::by_email(tx, &asked)?)).await?;
        if let Some(owner) = owner {
            self.account_give(&made, &owner.id).await?;
        }
        Ok(made)
    }

    /// Changes an owner, with its line in the log.
    pub(crate) async fn owner_change(
        &self,
        id: &OwnerId,
        action: &'static str,
        detail: Value,
        change: impl Fn(&mut dyn Tx, &OwnerRow) -> Result<(), Error> + Send + 'static,
    ) -> Result<OwnerRow, Error> {
        self.reach.check_all()?;
        let (id, by, now_ms) = (id.clone(), self.by.clone(), self.clock.now_ms());
        let write = self.store.write(move |tx| {
            let row = owner::lock(tx, &id)?.ok_or(Error::NotFound)?;
            change(tx, &row)?;
            note(tx, now_ms, &by, None, action, id.as_str(), &with_email(&detail, &row.email))?;
            owner::get(tx, &id)?.ok_or(Error::NotFound)
        });
        write.await
    }
}

fn with_email(detail: &Value, email: &str) -> Value {
    let mut detail = detail.clone();
    detail["email"] = email.into();
    detail
}

/// Refuses a change that would leave nobody who can run the gateway.
fn keep_an_operator(tx: &mut dyn Tx, but: &OwnerId) -> Result<(), Error> {
    let operators = owner::operators(tx)?;
    if operators.iter().any(|id| id == but) && operators.len() == 1 {
        return Err(Error::field("owner", "is the last operator; make another one first"));
    }
    Ok(())
}
