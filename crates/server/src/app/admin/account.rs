//! Accounts, as whoever administers makes, freezes and fills them.
//!
//! Invariant: credits come only through the ledger. Not here: what owners see of their account (`account`).

use super::{Admin, check_reference, refund::moved};
use crate::{
    app::{Error, audit_log::note, moves, owner::check_email},
    entropy,
};
use rynjer_core::{
    credits::Credits,
    id::AccountId,
    ledger::{Command, Grant, OWING},
};
use rynjer_store::{
    Tx,
    account::{self, AccountRow},
    admin,
};
use serde_json::json;

impl Admin {
    /// Makes an account, and grants it credits if asked.
    ///
    /// # Errors
    /// A second account of the same e-mail and mode; a wrong amount.
    pub async fn account_create(&self, email: &str, live: bool, credits: i64) -> Result<AccountRow, Error> {
        let (mode, now_ms) = (if live { "live" } else { "test" }, self.clock.now_ms());
        check_email(email)?;
        if credits < 0 {
            return Err(Error::field("credits", "must be 0 or more"));
        }
        self.reach.check_all()?;
        let id = AccountId::new(now_ms, entropy::id());
        let (row_id, email, by) = (id.clone(), email.to_owned(), self.by.clone());
        self.store
            .write(move |tx| {
                if admin::account_by_email(tx, &email, mode)?.is_some() {
                    return Err(Error::field("email", format!("has a {mode} account already")));
                }
                account::create(tx, &row_id, &email, mode, now_ms)?;
                let detail = json!({ "email": email, "mode": mode });
                Ok(note(tx, now_ms, &by, Some(&row_id), "account.created", row_id.as_str(), &detail)?)
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
        self.reach.check(Some(id))?;
        let id = id.clone();
        self.store.read(move |tx| account::get(tx, &id)?.ok_or(Error::NotFound)).await
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn account_list(&self) -> Result<Vec<AccountRow>, Error> {
        self.reach.check_all()?;
        self.store.read(|tx| Ok(admin::accounts(tx)?)).await
    }

    /// Freezes an account with a reason, or thaws it with none.
    ///
    /// # Errors
    /// No such account.
    pub async fn account_freeze(&self, id: &AccountId, reason: Option<String>) -> Result<AccountRow, Error> {
        self.reach.check_all()?;
        let (account_id, by, now_ms) = (id.clone(), self.by.clone(), self.clock.now_ms());
        self.store
            .write(move |tx| {
                let row = account::lock(tx, &account_id)?.ok_or(Error::NotFound)?;
                if row.closed_at_ms.is_some() {
                    return Err(Error::field("account", "is closed, and stays so"));
                }
                if reason.as_deref() == Some(OWING) {
                    return Err(Error::field("reason", "is the ledger's own, which ends with the debt"));
                }
                account::set_frozen(tx, &account_id, reason.as_deref())?;
                let action = if reason.is_some() { "account.frozen" } else { "account.thawed" };
                let detail = json!({ "reason": reason });
                Ok(note(tx, now_ms, &by, Some(&account_id), action, account_id.as_str(), &detail)?)
            })
            .await?;
        self.account_show(id).await
    }

    /// Grants credits; the same reference never grants twice. Tells whether it was granted before.
    ///
    /// # Errors
    /// No such account; a wrong amount; a reference that was used for another amount.
    pub async fn account_grant(&self, id: &AccountId, amount: i64, reference: &str) -> Result<bool, Error> {
        check_reference(reference)?;
        self.reach.check_all()?;
        let (now_ms, by, account, name) =
            (self.clock.now_ms(), self.by.clone(), id.clone(), reference.to_owned());
        let unit = move |tx: &mut dyn Tx| {
            let (amount, reference) = (Credits(amount), format!("grant:{name}"));
            let command = Command::Grant(Grant { account: account.clone(), amount, reference });
            let replayed = moved(tx, now_ms, &by, &command)?;
            if !replayed {
                let detail = json!({ "credits": amount.0, "reference": name });
                note(tx, now_ms, &by, Some(&account), "account.granted", account.as_str(), &detail)?;
            }
            Ok(replayed)
        };
        moves::unit(&self.store, id, unit).await
    }
}
