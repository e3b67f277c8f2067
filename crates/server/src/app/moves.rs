//! Moves of credits inside units of work, for what must stand or fall with other rows.
//!
//! Invariant: a freeze or thaw that a move brings has its line in the log, and the freeze of a broken
//! invariant holds although the unit that met it is taken back. Not here: why credits move.

use crate::app::{Error, actor::Actor, audit_log::note};
use rynjer_core::{
    id::AccountId,
    ledger::{Command, Outcome, Refusal, fault_reason},
};
use rynjer_store::{Store, StoreError, Tx, account, decide_within};
use serde_json::json;

/// Runs a unit that moves an account's credits by [`decide`].
pub(crate) async fn unit<T: Send + 'static>(
    store: &Store,
    account: &AccountId,
    unit: impl FnMut(&mut dyn Tx) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = store.write(unit).await;
    if let Err(Error::Ledger(Refusal::LedgerFault { detail })) = &done {
        let (account, reason) = (account.clone(), fault_reason(detail));
        tracing::error!(%account, detail, "an account's books are broken: it is frozen");
        let freeze = move |tx: &mut dyn Tx| account::set_frozen(tx, &account, Some(&reason));
        let frozen: Result<bool, StoreError> = store.write(freeze).await;
        frozen?;
    }
    done
}

/// Decides a command within the unit; a refusal is the unit's error.
pub(crate) fn decide(tx: &mut dyn Tx, now_ms: i64, by: &Actor, command: &Command) -> Result<Outcome, Error> {
    let id = command.account();
    let before = account::lock(tx, id)?.and_then(|row| row.frozen_reason);
    let outcome = decide_within(tx, now_ms, command)?;
    if let Outcome::Refused(refusal) = outcome {
        return Err(refusal.into());
    }
    let after = account::get(tx, id)?.and_then(|row| row.frozen_reason);
    if before.is_some() != after.is_some() {
        let action = if after.is_some() { "account.frozen" } else { "account.thawed" };
        note(tx, now_ms, by, Some(id), action, id.as_str(), &json!({ "reason": after }))?;
    }
    Ok(outcome)
}
