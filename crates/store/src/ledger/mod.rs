//! Runs a batch of ledger commands: load every row it touches, decide each command, save the difference.
//!
//! Invariant: the rules are `core::ledger`'s alone; nothing here looks at an amount. Not here: begin and
//! commit.

mod audit;
mod load;
pub(crate) use load::budget_of;
mod save;

pub use audit::{Finding, audit_account, audit_accounts, audit_tasks};
pub(crate) use save::charge_text;

use crate::{error::StoreError, tx::Tx};
use rynjer_core::{
    credits::Credits,
    id::AccountId,
    ledger::{Command, Outcome, apply},
};

/// Decides one command inside a unit of work, for what must stand or fall with other rows. Callers that need
/// no such thing submit it to the writer, which shares commits.
pub fn decide_within(tx: &mut dyn Tx, now_ms: i64, command: &Command) -> Result<Outcome, StoreError> {
    let outcomes = run_batch(tx, &[(now_ms, command)])?;
    outcomes.into_iter().next().ok_or_else(|| StoreError::Other("a command had no outcome".to_owned()))
}

/// The amount of the entry under a reference of an account, if there is one.
pub fn moved_before(
    tx: &mut dyn Tx,
    account: &AccountId,
    reference: &str,
) -> Result<Option<Credits>, StoreError> {
    let sql = "SELECT amount FROM entries WHERE account_id = $1 AND reference = $2";
    let row = tx.one(sql, &[account.as_str().into(), reference.into()])?;
    row.map(|row| Ok(Credits(row.int(0)?))).transpose()
}

/// Decides all commands, each at its own time, and writes what changed.
pub(crate) fn run_batch(tx: &mut dyn Tx, commands: &[(i64, &Command)]) -> Result<Vec<Outcome>, StoreError> {
    let mut working = load::load(tx, commands)?;
    let outcomes = commands.iter().map(|(now_ms, command)| apply(&mut working, *now_ms, command)).collect();
    save::save(tx, &working)?;
    Ok(outcomes)
}
