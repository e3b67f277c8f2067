//! The rows of attempts: one for each time that a task was begun.
//!
//! Invariant: an attempt that a provider may have heard of is never deleted. Not here: when one begins or
//! ends (`lease`, `ledger`).

use crate::{error::StoreError, lease::Holder, tx::Tx};

/// Closes an attempt with how it ended.
pub(crate) fn close(
    tx: &mut dyn Tx,
    holder: &Holder,
    attempt: i64,
    state: &str,
    detail: Option<&str>,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE attempts SET state = $4, detail = $5, ended_at = $6 \
         WHERE account_id = $1 AND task_id = $2 AND number = $3",
        &[
            holder.account.as_str().into(),
            holder.id.as_str().into(),
            attempt.into(),
            state.into(),
            detail.into(),
            now_ms.into(),
        ],
    )
    .map(drop)
}

/// Deletes an attempt that ended before anybody was asked.
pub(crate) fn forget(tx: &mut dyn Tx, holder: &Holder, number: i64) -> Result<(), StoreError> {
    tx.exec(
        "DELETE FROM attempts WHERE account_id = $1 AND task_id = $2 AND number = $3",
        &[holder.account.as_str().into(), holder.id.as_str().into(), number.into()],
    )
    .map(drop)
}
