//! What an account spent, by day, agent, model and product: for charts and the usage page.
//!
//! Invariant: every read names the account and looks at no more than [`SPEND_SCAN_MAX`] of its newest tasks,
//! and says so where there were more. Not here: single events (`usage`).

use crate::{
    error::StoreError,
    list::{self, Filter},
    tx::{Param, Row, Tx},
};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, TaskId},
    time::DAY_MS,
};

/// How many tasks one report may look at.
pub const SPEND_SCAN_MAX: u32 = 200_000;

/// What tasks of one kind and day did with credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendRow {
    /// The first millisecond of the day, in UTC.
    pub day_ms: i64,
    /// The agent's id, or empty for account keys.
    pub agent_id: String,
    pub model: String,
    pub product: String,
    pub tasks: i64,
    pub failed: i64,
    /// Charged, less what was given back.
    pub spent: Credits,
    pub held: Credits,
}

/// What was spent in a period.
#[derive(Debug, Clone, Default)]
pub struct Spend {
    pub rows: Vec<SpendRow>,
    /// Where there were more tasks than one report looks at: the oldest that it counts.
    pub since: Option<TaskId>,
}

/// What the tasks that a filter names did with credits, by the day on which they were accepted.
pub fn by_kind(
    tx: &mut dyn Tx,
    account: &AccountId,
    filter: &Filter,
    scan_max: u32,
) -> Result<Spend, StoreError> {
    let (low, high) = list::bounds(filter);
    let since = oldest(tx, account, (&low, &high), scan_max)?;
    let sql = "SELECT created_at / $8, agent_id, model, product, CAST(COUNT(*) AS BIGINT), \
               CAST(SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS BIGINT), \
               CAST(SUM(charged - refunded) AS BIGINT), CAST(SUM(held) AS BIGINT) \
               FROM tasks WHERE account_id = $1 AND id >= $2 AND id < $3 \
               AND created_at >= $4 AND created_at < $5 AND (CAST($6 AS TEXT) IS NULL OR agent_id = $6) \
               AND (CAST($7 AS TEXT) IS NULL OR model = $7) \
               AND (CAST($9 AS TEXT) IS NULL OR product = $9) \
               GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4";
    let params: [Param<'_>; 9] = [
        account.as_str().into(),
        since.as_deref().unwrap_or(&low).into(),
        high.as_str().into(),
        filter.from_ms.unwrap_or(0).into(),
        filter.to_ms.unwrap_or(i64::MAX).into(),
        filter.agent_id.as_deref().into(),
        filter.model.as_deref().into(),
        DAY_MS.into(),
        filter.product.as_deref().into(),
    ];
    let rows: Result<_, _> = tx.all(sql, &params)?.iter().map(row_of).collect();
    Ok(Spend { rows: rows?, since: since.map(TaskId::from_stored) })
}

/// The task at which a report ends, if there are more than it may look at.
fn oldest(
    tx: &mut dyn Tx,
    account: &AccountId,
    (low, high): (&str, &str),
    scan_max: u32,
) -> Result<Option<String>, StoreError> {
    let Some(last) = scan_max.checked_sub(1) else { return Ok(None) };
    let sql = "SELECT id FROM tasks WHERE account_id = $1 AND id >= $2 AND id < $3 \
               ORDER BY id DESC LIMIT 2 OFFSET $4";
    let rows = tx.all(sql, &[account.as_str().into(), low.into(), high.into(), last.into()])?;
    match rows.as_slice() {
        [last, _one_more] => last.text(0).map(Some),
        _ => Ok(None),
    }
}

fn row_of(row: &Row) -> Result<SpendRow, StoreError> {
    Ok(SpendRow {
        day_ms: row.int(0)? * DAY_MS,
        agent_id: row.text(1)?,
        model: row.text(2)?,
        product: row.text(3)?,
        tasks: row.int(4)?,
        failed: row.int(5)?,
        spent: Credits(row.int(6)?),
        held: Credits(row.int(7)?),
    })
}
