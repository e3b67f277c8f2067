//! Accounts: who owns credits, and in which mode.
//!
//! Invariant: balances are read here and written only by the ledger's batches. Not here: lists of all
//! accounts (`admin`).

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::{credits::Credits, id::AccountId, ledger::Books};

/// An account with its cached balances.
#[derive(Debug, Clone)]
pub struct AccountRow {
    pub id: AccountId,
    pub email: String,
    /// `test` or `live`, from birth.
    pub mode: String,
    pub created_at_ms: i64,
    pub frozen_reason: Option<String>,
    pub books: Books,
    pub open_tasks: i64,
    /// Since when its owner lets it spend nothing.
    pub paused_at_ms: Option<i64>,
    pub closed_at_ms: Option<i64>,
}

pub(crate) const COLUMNS: &str = "id, email, mode, created_at, frozen_reason, available, held, revenue, \
                                  provider_loss, issued, owed, open_tasks, paused_at, closed_at";

pub(crate) fn account_of(row: &Row) -> Result<AccountRow, StoreError> {
    Ok(AccountRow {
        id: AccountId::from_stored(row.text(0)?),
        email: row.text(1)?,
        mode: row.text(2)?,
        created_at_ms: row.int(3)?,
        frozen_reason: row.opt_text(4)?,
        books: Books {
            available: Credits(row.int(5)?),
            held: Credits(row.int(6)?),
            revenue: Credits(row.int(7)?),
            provider_loss: Credits(row.int(8)?),
            issued: Credits(row.int(9)?),
            owed: Credits(row.int(10)?),
        },
        open_tasks: row.int(11)?,
        paused_at_ms: row.opt_int(12)?,
        closed_at_ms: row.opt_int(13)?,
    })
}

/// Writes a new account with empty books. A second one of the same e-mail and mode is a constraint error.
pub fn create(
    tx: &mut dyn Tx,
    id: &AccountId,
    email: &str,
    mode: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO accounts (id, email, mode, created_at, entry_hash) VALUES ($1, $2, $3, $4, $5)",
        &[id.as_str().into(), email.into(), mode.into(), now_ms.into(), (&[0u8; 32]).into()],
    )
    .map(drop)
}

/// Gives an account the address of whoever has it now. One address has one account of a mode; a further one
/// is told apart by a number, which no address has.
pub fn rename(tx: &mut dyn Tx, id: &AccountId, email: &str) -> Result<(), StoreError> {
    let taken = "SELECT 1 FROM accounts a JOIN accounts own ON own.id = $1 AND own.mode = a.mode \
                 WHERE a.email = $2 AND a.id <> $1";
    let (mut name, mut number) = (email.to_owned(), 1);
    while tx.one(taken, &[id.as_str().into(), (&name).into()])?.is_some() {
        number += 1;
        name = format!("{email} ({number})");
    }
    tx.exec("UPDATE accounts SET email = $2 WHERE id = $1", &[id.as_str().into(), (&name).into()]).map(drop)
}

/// The account of that id.
pub fn get(tx: &mut dyn Tx, id: &AccountId) -> Result<Option<AccountRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE id = $1");
    tx.one(&sql, &[id.as_str().into()])?.as_ref().map(account_of).transpose()
}

/// The same for a unit that decides from it, or sums up what is in the account: it stands until the unit is
/// over.
pub fn lock(tx: &mut dyn Tx, id: &AccountId) -> Result<Option<AccountRow>, StoreError> {
    let lock = tx.dialect().for_update("accounts");
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE id = $1 {lock}");
    tx.one(&sql, &[id.as_str().into()])?.as_ref().map(account_of).transpose()
}

/// Freezes with a reason, or thaws with none; tells whether the account exists.
pub fn set_frozen(tx: &mut dyn Tx, id: &AccountId, reason: Option<&str>) -> Result<bool, StoreError> {
    let params = [id.as_str().into(), reason.into()];
    Ok(tx.exec("UPDATE accounts SET frozen_reason = $2 WHERE id = $1", &params)? == 1)
}

/// Pauses at a time, or resumes with none; tells whether the account exists.
pub fn set_paused(tx: &mut dyn Tx, id: &AccountId, at_ms: Option<i64>) -> Result<bool, StoreError> {
    let params = [id.as_str().into(), at_ms.into()];
    Ok(tx.exec("UPDATE accounts SET paused_at = $2 WHERE id = $1", &params)? == 1)
}
