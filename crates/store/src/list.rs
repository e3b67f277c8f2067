//! Pages of an account's tasks, newest first: for the list and for the usage report.
//!
//! Invariant: a page is one range scan over the primary key, and a filtered one looks at no more than
//! [`SCAN_MAX`] rows. Not here: single tasks (`task`), what a cursor looks like.

use crate::{
    error::StoreError,
    task::{self, TaskRow},
    tx::{Param, Row, Tx},
};
use rynjer_core::{
    id::{AccountId, TaskId},
    task::Status,
};

/// How many rows one filtered page may look at.
pub const SCAN_MAX: u32 = 2_000;

/// Letters of an id that tell its time, rounded down to eight milliseconds; the last ones are chance.
const TIME_CHARS: usize = TaskId::PREFIX.len() + 9;
const BODY_END: usize = TaskId::PREFIX.len() + 26;
/// An id is made before its task is accepted, by less than this.
const ID_LEAD_MS: i64 = 10_000;

/// Which tasks of an account.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only tasks with a smaller id: older ones.
    pub before: Option<TaskId>,
    /// Accepted at or after.
    pub from_ms: Option<i64>,
    /// Accepted before.
    pub to_ms: Option<i64>,
    /// The agent's id.
    pub agent_id: Option<String>,
    pub status: Option<Status>,
    pub model: Option<String>,
    /// `image`, `video` or `music`.
    pub product: Option<String>,
    pub run_id: Option<String>,
}

impl Filter {
    /// Whether rows may be passed over, so that a full page can cost many of them.
    fn is_selective(&self) -> bool {
        let words = [&self.agent_id, &self.model, &self.product, &self.run_id];
        self.status.is_some() || words.into_iter().any(Option::is_some)
    }
}

/// Rows, newest first, and where the next page begins.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next_before: Option<TaskId>,
}

/// Tasks with their outputs.
pub fn tasks(
    tx: &mut dyn Tx,
    account: &AccountId,
    filter: &Filter,
    limit: usize,
) -> Result<Page<TaskRow>, StoreError> {
    let Page { rows, next_before } = page(tx, account, filter, limit, task::COLUMNS)?;
    let tasks: Result<_, _> = rows.into_iter().map(|row| task::with_outputs(tx, row)).collect();
    Ok(Page { rows: tasks?, next_before })
}

/// The given columns, of which the first is the id.
pub(crate) fn page(
    tx: &mut dyn Tx,
    account: &AccountId,
    filter: &Filter,
    limit: usize,
    columns: &str,
) -> Result<Page<Row>, StoreError> {
    let (low, high) = bounds(filter);
    let floor = if filter.is_selective() { floor(tx, account, &low, &high)? } else { None };
    let bottom = floor.as_deref().unwrap_or(&low);
    let sql = format!(
        "SELECT {columns} FROM tasks WHERE account_id = $1 AND id >= $2 AND id < $3 \
         AND created_at >= $4 AND created_at < $5 AND (CAST($6 AS TEXT) IS NULL OR agent_id = $6) \
         AND (CAST($7 AS TEXT) IS NULL OR status = $7) AND (CAST($8 AS TEXT) IS NULL OR model = $8) \
         AND (CAST($9 AS TEXT) IS NULL OR run_id = $9) \
         AND (CAST($11 AS TEXT) IS NULL OR product = $11) \
         ORDER BY id DESC LIMIT $10"
    );
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    let params: [Param<'_>; 11] = [
        account.as_str().into(),
        bottom.into(),
        high.as_str().into(),
        filter.from_ms.unwrap_or(i64::MIN).into(),
        filter.to_ms.unwrap_or(i64::MAX).into(),
        filter.agent_id.as_deref().into(),
        filter.status.map(Status::as_str).into(),
        filter.model.as_deref().into(),
        filter.run_id.as_deref().into(),
        one_more.into(),
        filter.product.as_deref().into(),
    ];
    let mut rows = tx.all(&sql, &params)?;
    let next_before = if rows.len() > limit {
        rows.truncate(limit);
        rows.last().map(|row| row.text(0)).transpose()?.map(TaskId::from_stored)
    } else {
        floor.map(TaskId::from_stored)
    };
    Ok(Page { rows, next_before })
}

/// The range of ids: from the first, inclusive, to the second, exclusive.
pub(crate) fn bounds(filter: &Filter) -> (String, String) {
    let first_of = |ms: i64| TaskId::new(ms, [0; 10]).to_string();
    let low = filter.from_ms.map(|ms| first_of(ms.saturating_sub(ID_LEAD_MS)));
    // No letter of an id is above `z`.
    let end = || format!("{}{}", TaskId::PREFIX, "z".repeat(27));
    let high = filter.to_ms.map_or_else(end, first_of);
    let high = match &filter.before {
        Some(before) if before.as_str() < high.as_str() => before.to_string(),
        _ => high,
    };
    (low.unwrap_or_else(|| TaskId::PREFIX.to_owned()), high)
}

/// Where a filtered scan ends, if there are more rows than it may look at. It is the beginning of some
/// milliseconds and not an id of a task: a cursor must not name a task that its bearer can't see.
fn floor(tx: &mut dyn Tx, account: &AccountId, low: &str, high: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT id FROM tasks WHERE account_id = $1 AND id >= $2 AND id < $3 \
               ORDER BY id DESC LIMIT 1 OFFSET $4";
    let row = tx.one(sql, &[account.as_str().into(), low.into(), high.into(), (SCAN_MAX - 1).into()])?;
    Ok(row.map(|row| row.text(0)).transpose()?.map(|id| time_range(&id).0))
}

/// The least and the greatest id of the eight milliseconds in which an id of a task was made.
pub(crate) fn time_range(id: &str) -> (String, String) {
    let time = id.get(..TIME_CHARS).unwrap_or(id);
    let rest = BODY_END.saturating_sub(TIME_CHARS);
    (format!("{time}{}", "0".repeat(rest)), format!("{time}{}", "z".repeat(rest)))
}
