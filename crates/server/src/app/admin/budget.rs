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
use rynjer_store::{Tx, budget, key_line};
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

    /// Sets limits of one subject, and takes away those that are none. What lets more be spent needs the
    /// owner to be there (`confirmed`).
    ///
    /// # Errors
    /// A subject that is not the account's; a negative limit; not confirmed.
    pub async fn budget_change(
        &self,
        account: &AccountId,
        (subject, subject_id): (Subject, &str),
        wanted: Vec<(Period, Option<Credits>)>,
        confirmed: bool,
    ) -> Result<(), Error> {
        self.reach.check(Some(account))?;
        if wanted.iter().any(|(_, limit)| limit.is_some_and(|limit| limit < Credits::ZERO)) {
            return Err(Error::field("limit", "must be 0 or more"));
        }
        let now_ms = self.clock.now_ms();
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(period, limit)| (period, limit, BudgetId::new(now_ms, entropy::id())))
            .collect();
        let (owner, subject_id, by) = (account.clone(), subject_id.to_owned(), self.by.clone());
        let unit = move |tx: &mut dyn Tx| {
            let mut known = budget::lock_of_account(tx, &owner)?;
            let subject_id = budget::holder(tx, &owner, (subject, &subject_id))?;
            known.retain(|row| row.subject == subject && row.subject_id == subject_id);
            // What an agent leaves behind when it goes can still be taken away.
            let owns = bind::owns_subject(tx, &owner, subject, &subject_id)?;
            if !owns && (known.is_empty() || wanted.iter().any(|(_, limit, _)| limit.is_some())) {
                return Err(Error::NotFound);
            }
            for (period, limit, fresh) in &wanted {
                let before = known.iter().find(|row| row.period == *period).map(|row| row.limit);
                if before == *limit {
                    continue;
                }
                if before.is_some_and(|before| limit.is_none_or(|limit| limit > before)) && !confirmed {
                    return Err(Error::NotConfirmed);
                }
                let action = match *limit {
                    Some(limit) => {
                        budget::set(tx, &owner, fresh, (subject, &subject_id), *period, limit, now_ms)?;
                        "budget.set"
                    }
                    None => {
                        budget::remove(tx, &owner, (subject, &subject_id), *period)?;
                        "budget.removed"
                    }
                };
                let detail = json!({
                    "period": period.as_str(),
                    "limit": limit.map(|limit| limit.0),
                    "before": before.map(|limit| limit.0),
                });
                note(tx, now_ms, &by, Some(&owner), action, &subject_id, &detail)?;
            }
            Ok(())
        };
        self.store.write(unit).await
    }

    /// All budgets of an account. A key that was replaced and still works shows those of its successor.
    ///
    /// # Errors
    /// No such account.
    pub async fn budget_list(&self, account: &AccountId) -> Result<Vec<Budget>, Error> {
        self.account_show(account).await?;
        let (account, now_ms) = (account.clone(), self.clock.now_ms());
        let read = self.store.read(move |tx| {
            let mut budgets = budget::of_account(tx, &account)?;
            for (old, newest) in key_line::overlapping(tx, &account, now_ms)? {
                let shared =
                    budgets.iter().filter(|b| b.subject == Subject::Key && b.subject_id == newest.as_str());
                let shared: Vec<_> =
                    shared.map(|b| Budget { subject_id: old.to_string(), ..b.clone() }).collect();
                budgets.extend(shared);
            }
            Ok(budgets)
        });
        read.await
    }
}
