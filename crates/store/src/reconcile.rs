//! What vendors cost, what was charged for it, and what was paid for nothing, for the operator's reckoning.
//!
//! Invariant: sums of rows that were written when they happened; test accounts and their sandbox are left
//! out. Not here: prices of vendors (the catalog), margins.

use crate::{error::StoreError, tx::Tx};

/// One model in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfModel {
    pub model: String,
    pub tasks: i64,
    pub succeeded: i64,
    /// Credits, less what was refunded.
    pub charged: i64,
    /// What vendors say, or the catalog, in millionths of a US dollar.
    pub vendor_cost_micro_usd: i64,
    /// Successes whose cost nobody knows.
    pub cost_unknown: i64,
}

/// The attempts at one vendor for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfRoute {
    pub provider: String,
    pub model: String,
    /// `finished`, `failed`, `refused`, `ambiguous`, `canceled`, `accepted` or `open`.
    pub state: String,
    pub attempts: i64,
    pub vendor_cost_micro_usd: i64,
}

/// An attempt that a vendor may bill although nothing was charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    pub account: String,
    pub task: String,
    pub attempt: String,
    pub provider: String,
    pub model: String,
    /// Empty if the vendor never named one.
    pub provider_task_id: String,
    pub at_ms: i64,
    /// Credits booked as the house's loss.
    pub loss: i64,
}

/// Each model that vendors made since a time.
pub fn models(tx: &mut dyn Tx, since_ms: i64) -> Result<Vec<OfModel>, StoreError> {
    let sql = "SELECT t.model, COUNT(*), \
               CAST(SUM(CASE WHEN t.status = 'success' THEN 1 ELSE 0 END) AS BIGINT), \
               CAST(COALESCE(SUM(t.charged - t.refunded), 0) AS BIGINT), \
               CAST(COALESCE(SUM((SELECT SUM(a.vendor_cost_micro_usd) FROM attempts a \
               WHERE a.account_id = t.account_id AND a.task_id = t.id)), 0) AS BIGINT), \
               CAST(SUM(CASE WHEN t.status = 'success' AND NOT EXISTS (SELECT 1 FROM attempts a \
               WHERE a.account_id = t.account_id AND a.task_id = t.id \
               AND a.vendor_cost_micro_usd IS NOT NULL) THEN 1 ELSE 0 END) AS BIGINT) \
               FROM tasks t WHERE t.provider <> 'sandbox' AND t.created_at >= $1 \
               GROUP BY t.model ORDER BY t.model";
    let rows = tx.all(sql, &[since_ms.into()])?;
    let of = |row: &crate::tx::Row| {
        Ok(OfModel {
            model: row.text(0)?,
            tasks: row.int(1)?,
            succeeded: row.int(2)?,
            charged: row.int(3)?,
            vendor_cost_micro_usd: row.int(4)?,
            cost_unknown: row.int(5)?,
        })
    };
    rows.iter().map(of).collect()
}

/// Each vendor's attempts since a time, by model and how they ended.
pub fn routes(tx: &mut dyn Tx, since_ms: i64) -> Result<Vec<OfRoute>, StoreError> {
    let sql = "SELECT a.provider, t.model, a.state, COUNT(*), \
               CAST(COALESCE(SUM(a.vendor_cost_micro_usd), 0) AS BIGINT) FROM attempts a \
               JOIN tasks t ON t.account_id = a.account_id AND t.id = a.task_id \
               WHERE a.provider <> 'sandbox' AND a.started_at >= $1 \
               GROUP BY a.provider, t.model, a.state ORDER BY a.provider, t.model, a.state";
    let rows = tx.all(sql, &[since_ms.into()])?;
    let of = |row: &crate::tx::Row| {
        Ok(OfRoute {
            provider: row.text(0)?,
            model: row.text(1)?,
            state: row.text(2)?,
            attempts: row.int(3)?,
            vendor_cost_micro_usd: row.int(4)?,
        })
    };
    rows.iter().map(of).collect()
}

/// The newest attempts since a time that were booked as a loss.
pub fn unmatched(tx: &mut dyn Tx, since_ms: i64, most: i64) -> Result<Vec<Unmatched>, StoreError> {
    let sql = "SELECT e.account_id, e.task_id, e.reference, t.model, e.at, e.amount, a.provider, \
               COALESCE(a.provider_task_id, '') FROM entries e \
               JOIN tasks t ON t.account_id = e.account_id AND t.id = e.task_id \
               JOIN attempts a ON a.account_id = e.account_id AND a.task_id = e.task_id \
               AND e.reference = 'loss:' || a.id \
               WHERE e.kind = 'loss' AND e.at >= $1 AND a.provider <> 'sandbox' \
               ORDER BY e.at DESC LIMIT $2";
    let rows = tx.all(sql, &[since_ms.into(), most.into()])?;
    let of = |row: &crate::tx::Row| {
        Ok(Unmatched {
            account: row.text(0)?,
            task: row.text(1)?,
            attempt: row.text(2)?.trim_start_matches("loss:").to_owned(),
            model: row.text(3)?,
            at_ms: row.int(4)?,
            loss: row.int(5)?,
            provider: row.text(6)?,
            provider_task_id: row.text(7)?,
        })
    };
    rows.iter().map(of).collect()
}
