//! Budgets, as whoever administers sets them.
//!
//! Invariant: a budget's subject belongs to its account. Not here: what budgets refuse (`core::ledger`).

use super::Admin;
use crate::{
    app::{Error, audit_log::note, bind},
    entropy,
};
use rynjer_core::{
    budget::{Budget, Period, Subject},
    credits::Credits,
    id::{AccountId, BudgetId},
};
use rynjer_store::budget;
use serde_json::json;

impl Admin {
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
        self.reach.check(Some(account))?;
        let now_ms = self.clock.now_ms();
        let fresh = BudgetId::new(now_ms, entropy::id());
        let (owner, subject_id, by) = (account.clone(), subject_id.to_owned(), self.by.clone());
        self.store
            .write(move |tx| {
                if !bind::owns_subject(tx, &owner, subject, &subject_id)? {
                    return Err(Error::field(subject.as_str(), "does not belong to that account"));
                }
                budget::set(tx, &owner, &fresh, (subject, &subject_id), period, limit, now_ms)?;
                let detail = json!({ "period": period.as_str(), "limit": limit.0 });
                Ok::<_, Error>(note(tx, now_ms, &by, Some(&owner), "budget.set", &subject_id, &detail)?)
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
}
