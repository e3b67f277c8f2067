//! Closing an account: everything that could spend ends with it, and what its tasks hold is erased.
//!
//! Invariant: entries, task rows and their ids and hashes stay. Not here: ending open tasks, which is the
//! ledger's.

use crate::{error::StoreError, tx::Tx};
use rynjer_core::id::{AccountId, TaskId};

/// Tasks that one piece of the erasure touches at most.
const ERASED_AT_ONCE: i64 = 200;

/// Closes an account that the unit has locked: its keys and tokens die, its agents belong to nobody.
pub fn close(tx: &mut dyn Tx, account: &AccountId, now_ms: i64) -> Result<(), StoreError> {
    let params = [account.as_str().into(), now_ms.into()];
    tx.exec("UPDATE accounts SET closed_at = $2, frozen_reason = 'closed' WHERE id = $1", &params)?;
    evict(tx, account, now_ms)?;
    tx.exec("UPDATE files SET expires_at = $2 WHERE account_id = $1 AND expires_at > $2", &params).map(drop)
}

/// Takes an account out of all hands: its keys and tokens die, its agents belong to nobody.
pub fn evict(tx: &mut dyn Tx, account: &AccountId, now_ms: i64) -> Result<(), StoreError> {
    for sql in [
        // Agents come before keys: one that makes a key at this moment holds its own row until it has.
        // Their codes are dead from now on, as after every unbinding.
        "UPDATE agents SET account_id = NULL, scopes = '', bound_at = NULL, registration_expires_at = $2, \
         user_code_expires_at = $2 WHERE account_id = $1",
        "UPDATE keys SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL",
        "UPDATE token_families SET revoked_at = $2 WHERE account_id = $1 AND revoked_at IS NULL",
    ] {
        tx.exec(sql, &[account.as_str().into(), now_ms.into()])?;
    }
    Ok(())
}

/// Tasks of an account that no provider was handed, with ids beyond `after_id`.
pub fn queued(tx: &mut dyn Tx, account: &AccountId, after_id: &str) -> Result<Vec<TaskId>, StoreError> {
    let sql = "SELECT id FROM tasks WHERE account_id = $1 AND finished_at IS NULL AND step = 'queued' \
               AND id > $2 ORDER BY id LIMIT 500";
    let rows = tx.all(sql, &[account.as_str().into(), after_id.into()])?;
    rows.iter().map(|row| Ok(TaskId::from_stored(row.text(0)?))).collect()
}

/// A piece of the erasure.
#[derive(Debug, Clone, Default)]
pub struct Erased {
    /// The task to go on after; none once all is erased.
    pub last: Option<TaskId>,
    /// Keys of the objects that no row names any more.
    pub object_keys: Vec<String>,
}

/// Blanks what the next finished tasks of an account hold of their callers, and marks their outputs deleted.
pub fn erase(
    tx: &mut dyn Tx,
    account: &AccountId,
    after_id: &str,
    now_ms: i64,
) -> Result<Erased, StoreError> {
    let account = account.as_str();
    let rows = tx.all(
        "SELECT id FROM tasks WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        &[account.into(), after_id.into(), ERASED_AT_ONCE.into()],
    )?;
    let Some(last) = rows.last() else { return Ok(Erased::default()) };
    let last = TaskId::from_stored(last.text(0)?);
    tx.exec(
        "UPDATE tasks SET body = NULL, metadata = NULL WHERE account_id = $1 AND id > $2 AND id <= $3 \
         AND finished_at IS NOT NULL AND (body IS NOT NULL OR metadata IS NOT NULL)",
        &[account.into(), after_id.into(), last.as_str().into()],
    )?;
    let gone = tx.all(
        "UPDATE outputs SET deleted_at = $4 WHERE account_id = $1 AND task_id > $2 AND task_id <= $3 \
         AND deleted_at IS NULL RETURNING object_key",
        &[account.into(), after_id.into(), last.as_str().into(), now_ms.into()],
    )?;
    let object_keys: Result<_, _> = gone.iter().map(|row| row.text(0)).collect();
    Ok(Erased { last: Some(last), object_keys: object_keys? })
}
