//! What a vendor's callback changes: when a job is asked for next, and the id of one that was in doubt.
//!
//! Invariant: only an open task that nobody holds, in the attempt that the callback is about, is touched; its
//! outcome never is. Not here: whether a callback is genuine.

use crate::{error::StoreError, tx::Tx};
use rynjer_core::id::{AccountId, TaskId};

/// The attempt that a callback is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    pub account: AccountId,
    pub task: TaskId,
    pub attempt: i64,
}

/// What came of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Something is due now.
    Changed,
    /// It told nothing new.
    Nothing,
    /// A worker has the task, and has not said yet what came of its submit.
    TooEarly,
}

/// Brings the next poll forward; gives a job in doubt its id.
pub fn heard(
    tx: &mut dyn Tx,
    of: &Addressed,
    provider: &str,
    provider_task_id: Option<&str>,
    now_ms: i64,
) -> Result<Effect, StoreError> {
    let (account, task) = (of.account.as_str(), of.task.as_str());
    let sql = "UPDATE tasks SET due_at = $5 WHERE account_id = $1 AND id = $2 AND attempt = $3 \
               AND provider = $4 AND step = 'submitted' AND finished_at IS NULL AND lease_owner IS NULL \
               AND due_at > $5";
    let keys = [account.into(), task.into(), of.attempt.into(), provider.into(), now_ms.into()];
    if tx.exec(sql, &keys)? == 1 {
        return Ok(Effect::Changed);
    }
    let Some(id) = provider_task_id else { return Ok(Effect::Nothing) };
    let taken = "SELECT 1 FROM attempts WHERE provider = $1 AND provider_task_id = $2";
    if tx.one(taken, &[provider.into(), id.into()])?.is_some() {
        return Ok(Effect::Nothing);
    }
    // A job of several calls has several ids, and one of them is not the whole.
    let sql = "UPDATE tasks SET step = 'submitted', provider_task_id = $6, due_at = $5, tries = 0 \
               WHERE account_id = $1 AND id = $2 AND attempt = $3 AND provider = $4 AND step = 'unknown' \
               AND count = 1 AND finished_at IS NULL AND lease_owner IS NULL";
    let keys = [account.into(), task.into(), of.attempt.into(), provider.into(), now_ms.into(), id.into()];
    if tx.exec(sql, &keys)? == 0 {
        let early = "SELECT 1 FROM tasks WHERE account_id = $1 AND id = $2 AND attempt = $3 \
                     AND finished_at IS NULL AND lease_owner IS NOT NULL \
                     AND step IN ('submitting', 'unknown')";
        let keys = [account.into(), task.into(), of.attempt.into()];
        return Ok(if tx.one(early, &keys)?.is_some() { Effect::TooEarly } else { Effect::Nothing });
    }
    let sql = "UPDATE attempts SET state = 'accepted', provider_task_id = $4, ended_at = NULL \
               WHERE account_id = $1 AND task_id = $2 AND number = $3";
    tx.exec(sql, &[account.into(), task.into(), of.attempt.into(), id.into()])?;
    Ok(Effect::Changed)
}
