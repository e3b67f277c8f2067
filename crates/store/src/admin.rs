//! Reads that no account bounds: for the operator's commands and the metrics.
//!
//! Invariant: no request of an agent or owner reaches these. Not here: writes.

use crate::{
    account::{self, AccountRow},
    agent::{self, AgentRow},
    error::StoreError,
    task::{self, TaskRow},
    topup::{self, TopupRow},
    tx::Tx,
};
use rynjer_core::id::{AccountId, AgentId, KeyId, TaskId, TopupId};

/// All accounts, oldest first.
pub fn accounts(tx: &mut dyn Tx) -> Result<Vec<AccountRow>, StoreError> {
    let sql = format!("SELECT {} FROM accounts ORDER BY id", account::COLUMNS);
    tx.all(&sql, &[])?.iter().map(account::account_of).collect()
}

/// Whether anybody's credits here were paid for.
pub fn has_live_account(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    Ok(tx.one("SELECT 1 FROM accounts WHERE mode = 'live' LIMIT 1", &[])?.is_some())
}

/// The account of an e-mail address and mode.
pub fn account_by_email(tx: &mut dyn Tx, email: &str, mode: &str) -> Result<Option<AccountRow>, StoreError> {
    let sql = format!("SELECT {} FROM accounts WHERE email = $1 AND mode = $2", account::COLUMNS);
    tx.one(&sql, &[email.into(), mode.into()])?.as_ref().map(account::account_of).transpose()
}

/// All agents, newest first, of one account or of all.
pub fn agents(tx: &mut dyn Tx, account: Option<&AccountId>) -> Result<Vec<AgentRow>, StoreError> {
    let rows = tx.all(
        "SELECT id FROM agents WHERE (CAST($1 AS TEXT) IS NULL OR account_id = $1) ORDER BY id DESC",
        &[account.map(AccountId::as_str).into()],
    )?;
    let mut agents = Vec::with_capacity(rows.len());
    for row in &rows {
        agents.extend(agent::get(tx, &AgentId::from_stored(row.text(0)?))?);
    }
    Ok(agents)
}

/// The account that a key belongs to.
pub fn account_of_key(tx: &mut dyn Tx, key: &KeyId) -> Result<Option<AccountId>, StoreError> {
    let row = tx.one("SELECT account_id FROM keys WHERE id = $1", &[key.as_str().into()])?;
    row.map(|row| Ok(AccountId::from_stored(row.text(0)?))).transpose()
}

/// The purchase that a payment was for: its account and id.
pub fn topup_of_payment(
    tx: &mut dyn Tx,
    payment_id: &str,
) -> Result<Option<(AccountId, TopupId)>, StoreError> {
    let sql = "SELECT account_id, id FROM topups WHERE payment_id = $1";
    let row = tx.one(sql, &[payment_id.into()])?;
    row.map(|row| Ok((AccountId::from_stored(row.text(0)?), TopupId::from_stored(row.text(1)?)))).transpose()
}

/// Whether a purchase, or the page where it is paid, is known under whatever account.
pub fn topup_is_known(tx: &mut dyn Tx, id: &TopupId, checkout_id: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM topups WHERE id = $1 OR checkout_id = $2 LIMIT 1";
    Ok(tx.one(sql, &[id.as_str().into(), checkout_id.into()])?.is_some())
}

/// Purchases of all accounts that nobody has told the end of, begun at or after a time, with ids beyond
/// `after_id`.
pub fn open_topups(
    tx: &mut dyn Tx,
    since_ms: i64,
    after_id: &str,
    limit: u32,
) -> Result<Vec<TopupRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM topups WHERE state = 'open' AND created_at >= $1 AND id > $2 ORDER BY id LIMIT $3",
        topup::COLUMNS
    );
    let rows = tx.all(&sql, &[since_ms.into(), after_id.into(), limit.into()])?;
    rows.iter().map(topup::topup_of).collect()
}

/// A task by its id alone.
pub fn task(tx: &mut dyn Tx, id: &TaskId) -> Result<Option<TaskRow>, StoreError> {
    let row = tx.one("SELECT account_id FROM tasks WHERE id = $1", &[id.as_str().into()])?;
    match row {
        Some(row) => task::by_id(tx, &AccountId::from_stored(row.text(0)?), None, id),
        None => Ok(None),
    }
}

/// Open tasks and the oldest due time among them, for metrics.
pub fn queue_depth(tx: &mut dyn Tx) -> Result<(i64, Option<i64>), StoreError> {
    let row =
        tx.one("SELECT CAST(COUNT(*) AS BIGINT), MIN(due_at) FROM tasks WHERE finished_at IS NULL", &[])?;
    row.map_or(Ok((0, None)), |row| Ok((row.int(0)?, row.opt_int(1)?)))
}

/// Open tasks by the step they are in, for metrics.
pub fn open_by_step(tx: &mut dyn Tx) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT step, CAST(COUNT(*) AS BIGINT) FROM tasks WHERE finished_at IS NULL GROUP BY step";
    tx.all(sql, &[])?.iter().map(|row| Ok((row.text(0)?, row.int(1)?))).collect()
}

/// Tasks of all accounts that no provider was handed, with ids beyond `after_id`, so that one which can't be
/// ended keeps no other from its end.
pub fn queued(tx: &mut dyn Tx, after_id: &str) -> Result<Vec<(AccountId, TaskId)>, StoreError> {
    let sql = "SELECT account_id, id FROM tasks WHERE finished_at IS NULL AND step = 'queued' AND id > $1 \
               ORDER BY id LIMIT 500";
    let rows = tx.all(sql, &[after_id.into()])?;
    let of_row =
        |row: &crate::tx::Row| Ok((AccountId::from_stored(row.text(0)?), TaskId::from_stored(row.text(1)?)));
    rows.iter().map(of_row).collect()
}

/// The ledger's chain heads: account id, last sequence, last hash. A backup and its source have equal ones.
pub fn chain_heads(tx: &mut dyn Tx) -> Result<Vec<(String, i64, [u8; 32])>, StoreError> {
    let rows = tx.all("SELECT id, entry_sequence, entry_hash FROM accounts ORDER BY id", &[])?;
    rows.iter().map(|row| Ok((row.text(0)?, row.int(1)?, row.hash(2)?))).collect()
}
