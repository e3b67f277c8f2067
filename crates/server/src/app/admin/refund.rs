//! Credits that go back: given back after a charge, or taken back after a grant.
//!
//! Invariant: each has a reference, and the same reference never moves credits twice; the ledger's entry
//! and the line of the log are one commit. Not here: refunds of payments (`topup`).

use super::{Admin, check_reference};
use crate::app::{Error, actor::Actor, audit_log::note, moves};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, TaskId},
    ledger::{Clawback, Command, Outcome, Refund},
};
use rynjer_store::{Tx, admin, moved_before};
use serde_json::{Value, json};

/// What a refund did.
#[derive(Debug, Clone)]
pub struct Refunded {
    pub account: AccountId,
    pub amount: Credits,
    /// An earlier call with the same reference did it.
    pub replayed: bool,
}

impl Admin {
    /// Takes credits back from an account; what is spent already is owed and freezes it. Tells whether the
    /// same reference took them before.
    ///
    /// # Errors
    /// No such account; more than was ever granted; a reference that was used for another amount.
    pub async fn account_clawback(
        &self,
        id: &AccountId,
        amount: i64,
        reference: &str,
    ) -> Result<bool, Error> {
        check_reference(reference)?;
        self.reach.check_all()?;
        let (now_ms, by, account, name) =
            (self.clock.now_ms(), self.by.clone(), id.clone(), reference.to_owned());
        let unit = move |tx: &mut dyn Tx| {
            let reference = format!("clawback:{name}");
            let (account, amount) = (account.clone(), Credits(amount));
            let command = Command::Clawback(Clawback { account: account.clone(), amount, reference });
            let replayed = moved(tx, now_ms, &by, &command)?;
            if !replayed {
                let detail = json!({ "credits": amount.0, "reference": name });
                note(tx, now_ms, &by, Some(&account), "account.clawed_back", account.as_str(), &detail)?;
            }
            Ok(replayed)
        };
        moves::unit(&self.store, id, unit).await
    }

    /// Gives back what a task was charged: so many credits, or with none all that is left of the charge.
    ///
    /// # Errors
    /// No such task; more than is left of its charge; a reference that was used for something else.
    pub async fn task_refund(
        &self,
        id: &TaskId,
        amount: Option<i64>,
        reference: &str,
    ) -> Result<Refunded, Error> {
        check_reference(reference)?;
        self.reach.check_all()?;
        let (now_ms, by, task, name) =
            (self.clock.now_ms(), self.by.clone(), id.clone(), reference.to_owned());
        let payee = self.task_show(id).await?.account;
        let unit = move |tx: &mut dyn Tx| {
            let row = admin::task(tx, &task)?.ok_or(Error::NotFound)?;
            let (account, reference) = (row.account, format!("refund:{name}"));
            let left = Credits(row.charged.0.saturating_sub(row.refunded.0));
            // Said again, all that is left is what it was the first time.
            let before = moved_before(tx, &account, &reference)?;
            let amount = amount.map(Credits).or(before).unwrap_or(left);
            let refund = Refund { account: account.clone(), task: task.clone(), amount, reference };
            let replayed = moved(tx, now_ms, &by, &Command::Refund(refund))?;
            if !replayed {
                let detail: Value = json!({ "credits": amount.0, "reference": name });
                note(tx, now_ms, &by, Some(&account), "task.refunded", task.as_str(), &detail)?;
            }
            Ok(Refunded { account, amount, replayed })
        };
        moves::unit(&self.store, &payee, unit).await
    }
}

/// Moves credits within the unit; tells whether an earlier command had.
pub(super) fn moved(tx: &mut dyn Tx, now_ms: i64, by: &Actor, command: &Command) -> Result<bool, Error> {
    match moves::decide(tx, now_ms, by, command)? {
        Outcome::Moved { replayed, .. } => Ok(replayed),
        other => Err(Error::internal(format!("credits ended as {other:?}"))),
    }
}
