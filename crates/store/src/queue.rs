//! Queues: the tasks of one account that wait for one provider.
//!
//! Invariant: the order is that in which tasks are claimed, and no more than a bounded part is read. Not
//! here: claiming (`lease`).

use crate::{error::StoreError, tx::Tx};
use rynjer_core::id::{AccountId, TaskId};

/// The first tasks of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub ids: Vec<TaskId>,
    /// Nobody waits behind them.
    pub is_all: bool,
}

/// Tasks that no provider has yet, in the order of their turn, among the first `most` that are open.
pub fn head(tx: &mut dyn Tx, account: &AccountId, provider: &str, most: u32) -> Result<Head, StoreError> {
    let sql = "SELECT id, step FROM tasks WHERE provider = $1 AND account_id = $2 AND finished_at IS NULL \
               ORDER BY due_at, id LIMIT $3";
    let rows = tx.all(sql, &[provider.into(), account.as_str().into(), most.into()])?;
    let is_all = rows.len() < usize::try_from(most).unwrap_or(usize::MAX);
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        if row.str(1)? == "queued" {
            ids.push(TaskId::from_stored(row.text(0)?));
        }
    }
    Ok(Head { ids, is_all })
}
