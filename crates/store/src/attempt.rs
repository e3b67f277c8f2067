//! The rows of attempts: one for each time that a task was begun.
//!
//! Invariant: an attempt that a provider may have heard of is never deleted. Not here: when one begins or
//! ends (`lease`, `ledger`).

use crate::{
    batch::{Rows, with_keys},
    dialect::Type,
    error::StoreError,
    lease::Holder,
    tx::{Row, Tx},
};
use rynjer_core::{
    id::{AccountId, AttemptId, TaskId},
    job_id,
};
use std::collections::{HashMap, HashSet};

/// The ids of attempts by their task, given as account, task and number. A statement of its own: one that
/// locks tasks may see a task's newest state beside attempts of a moment before.
pub(crate) fn ids<'a>(
    tx: &mut dyn Tx,
    wanted: impl Iterator<Item = Result<(&'a str, &'a str, i64), StoreError>>,
) -> Result<HashMap<String, AttemptId>, StoreError> {
    let mut keys = Rows::new(3);
    for attempt in wanted {
        let (account, task, number) = attempt?;
        keys.push([account.into(), task.into(), number.into()]);
    }
    let sql = "SELECT a.task_id, a.id FROM keys JOIN attempts a ON a.account_id = keys.account_id \
               AND a.task_id = keys.task_id AND a.number = keys.number";
    let types = [Type::Text, Type::Text, Type::Int];
    let rows = with_keys(tx, "account_id, task_id, number", &types, &keys, sql)?;
    rows.iter().map(|row| Ok((row.text(0)?, AttemptId::from_stored(row.text(1)?)))).collect()
}

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

/// How far from a job's attempt that of another may have begun which has the same job: far longer than any
/// submit takes, clocks that differ included.
const JOINED_WITHIN_MS: i64 = 3_600_000;

/// A provider's job that no attempt has yet, of the candidates the first one; they are looked for by an
/// attempt that began at `started_at_ms`. A job may be one of several that an attempt has.
pub fn first_free(
    tx: &mut dyn Tx,
    provider: &str,
    provider_task_ids: &[String],
    started_at_ms: i64,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT provider_task_id FROM attempts WHERE provider = $1 AND provider_task_id LIKE '%,%' \
               AND started_at BETWEEN $2 AND $3";
    let (from_ms, to_ms) = (started_at_ms - JOINED_WITHIN_MS, started_at_ms + JOINED_WITHIN_MS);
    let joined = tx.all(sql, &[provider.into(), from_ms.into(), to_ms.into()])?;
    let joined: Vec<String> = joined.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let taken: HashSet<&str> = joined.iter().flat_map(|id| job_id::each(id)).collect();
    for id in provider_task_ids.iter().filter(|id| !taken.contains(id.as_str())) {
        let sql = "SELECT 1 FROM attempts WHERE provider = $1 AND provider_task_id = $2";
        if tx.one(sql, &[provider.into(), id.into()])?.is_none() {
            return Ok(Some(id.clone()));
        }
    }
    Ok(None)
}

/// What was asked for by jobs that are being handed over to a model right now: what they are made of upstream
/// is theirs, may be in its list, and is not written down yet.
pub fn bodies_under_way(
    tx: &mut dyn Tx,
    provider: &str,
    vendor_model: &str,
    now_ms: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT body FROM tasks WHERE provider = $1 AND finished_at IS NULL AND due_at > $3 \
               AND step = 'submitting' AND vendor_model = $2 AND body IS NOT NULL";
    let rows = tx.all(sql, &[provider.into(), vendor_model.into(), now_ms.into()])?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// When an attempt began.
pub fn started_at_ms(tx: &mut dyn Tx, holder: &Holder, number: i64) -> Result<i64, StoreError> {
    let sql = "SELECT started_at FROM attempts WHERE account_id = $1 AND task_id = $2 AND number = $3";
    let params = [holder.account.as_str().into(), holder.id.as_str().into(), number.into()];
    tx.one(sql, &params)?.map_or(Ok(0), |row| row.int(0))
}

/// One try of a task at one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    pub number: i64,
    pub provider: String,
    /// `open`, `accepted`, `finished`, `failed`, `canceled`, `refused` or `ambiguous`.
    pub state: String,
    pub started_at_ms: i64,
    pub ended_at_ms: Option<i64>,
    pub provider_task_id: Option<String>,
    pub detail: Option<String>,
}

/// How often a task was tried, as its owner reads it.
pub fn of_task(tx: &mut dyn Tx, account: &AccountId, task: &TaskId) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = "SELECT number, provider, state, started_at, ended_at, provider_task_id, detail FROM attempts \
               WHERE account_id = $1 AND task_id = $2 ORDER BY number";
    let attempt_of = |row: &Row| {
        Ok(AttemptRow {
            number: row.int(0)?,
            provider: row.text(1)?,
            state: row.text(2)?,
            started_at_ms: row.int(3)?,
            ended_at_ms: row.opt_int(4)?,
            provider_task_id: row.opt_text(5)?,
            detail: row.opt_text(6)?,
        })
    };
    tx.all(sql, &[account.as_str().into(), task.as_str().into()])?.iter().map(attempt_of).collect()
}
