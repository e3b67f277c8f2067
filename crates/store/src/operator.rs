//! What operators see of the whole installation.
//!
//! Invariant: reads alone, which no account bounds; a page of a list is bounded by its limit. Not here: what
//! owners see of their account, and the reckoning with vendors (`reconcile`).

use crate::{
    account::{self, AccountRow},
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::AccountId;

/// What a list of accounts shall have; an empty text is anything.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// An id, or a part of an e-mail address.
    pub search: String,
    /// `test` or `live`.
    pub mode: String,
    /// `active`, `frozen`, `paused` or `closed`.
    pub state: String,
    /// The id that the page goes on below.
    pub before: String,
}

/// An account in a list.
#[derive(Debug, Clone)]
pub struct ListedAccount {
    pub row: AccountRow,
    /// The address of whoever owns it; empty if nobody does.
    pub owner_email: String,
    pub state: String,
}

const STATE: &str = "CASE WHEN a.closed_at IS NOT NULL THEN 'closed' WHEN a.frozen_reason IS NOT NULL THEN \
                     'frozen' WHEN a.paused_at IS NOT NULL THEN 'paused' ELSE 'active' END";

fn listed(tx: &mut dyn Tx, rows: &[Row]) -> Result<Vec<ListedAccount>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let account = account::get(tx, &AccountId::from_stored(row.text(0)?))?;
        let (owner_email, state) = (row.text(1)?, row.text(2)?);
        found.extend(account.map(|row| ListedAccount { row, owner_email, state }));
    }
    Ok(found)
}

/// Accounts that a filter lets through, newest first.
pub fn accounts(
    tx: &mut dyn Tx,
    filter: &AccountFilter,
    limit: u32,
) -> Result<Vec<ListedAccount>, StoreError> {
    let sql = format!(
        "SELECT a.id, COALESCE(o.email, ''), {STATE} FROM accounts a LEFT JOIN owners o ON o.id = a.owner_id \
         WHERE ($1 = '' OR a.id = $1 OR LOWER(a.email) LIKE $2 ESCAPE '!' OR o.email LIKE $2 ESCAPE '!') \
         AND ($3 = '' OR a.mode = $3) AND ($4 = '' OR {STATE} = $4) AND ($5 = '' OR a.id < $5) \
         ORDER BY a.id DESC LIMIT $6"
    );
    let search = filter.search.to_lowercase();
    let pattern = search.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let pattern = format!("%{pattern}%");
    let params = [
        (&search).into(),
        (&pattern).into(),
        (&filter.mode).into(),
        (&filter.state).into(),
        (&filter.before).into(),
        limit.into(),
    ];
    let rows = tx.all(&sql, &params)?;
    listed(tx, &rows)
}

/// One account as lists show it.
pub fn account(tx: &mut dyn Tx, id: &AccountId) -> Result<Option<ListedAccount>, StoreError> {
    let sql = format!(
        "SELECT a.id, COALESCE(o.email, ''), {STATE} FROM accounts a LEFT JOIN owners o ON o.id = a.owner_id \
         WHERE a.id = $1"
    );
    let rows = tx.all(&sql, &[id.as_str().into()])?;
    Ok(listed(tx, &rows)?.pop())
}

/// A line of an account's ledger.
#[derive(Debug, Clone)]
pub struct EntryLine {
    pub sequence: i64,
    pub at_ms: i64,
    pub kind: String,
    pub amount: i64,
    pub task_id: Option<String>,
    pub reference: Option<String>,
}

/// An account's newest entries.
pub fn newest_entries(tx: &mut dyn Tx, id: &AccountId, limit: u32) -> Result<Vec<EntryLine>, StoreError> {
    let sql = "SELECT sequence, at, kind, amount, task_id, reference FROM entries WHERE account_id = $1 \
               ORDER BY sequence DESC LIMIT $2";
    let of = |row: &Row| {
        Ok(EntryLine {
            sequence: row.int(0)?,
            at_ms: row.int(1)?,
            kind: row.text(2)?,
            amount: row.int(3)?,
            task_id: row.opt_text(4)?,
            reference: row.opt_text(5)?,
        })
    };
    tx.all(sql, &[id.as_str().into(), limit.into()])?.iter().map(of).collect()
}

/// Open tasks of a provider: how many wait, and how many are under way.
#[derive(Debug, Clone)]
pub struct Queue {
    pub provider: String,
    pub waiting: i64,
    pub under_way: i64,
}

/// The queue of each provider that has any open task.
pub fn queues(tx: &mut dyn Tx) -> Result<Vec<Queue>, StoreError> {
    let sql = "SELECT provider, CAST(SUM(CASE WHEN step = 'queued' THEN 1 ELSE 0 END) AS BIGINT), \
               CAST(SUM(CASE WHEN step = 'queued' THEN 0 ELSE 1 END) AS BIGINT) FROM tasks \
               WHERE finished_at IS NULL GROUP BY provider ORDER BY provider";
    let of = |row: &Row| Ok(Queue { provider: row.text(0)?, waiting: row.int(1)?, under_way: row.int(2)? });
    tx.all(sql, &[])?.iter().map(of).collect()
}

/// An attempt at a provider that did not end well.
#[derive(Debug, Clone)]
pub struct FailedAttempt {
    pub provider: String,
    pub model: String,
    pub state: String,
    pub at_ms: i64,
    /// What the worker wrote down about it.
    pub detail: String,
}

/// The newest attempts since a time that did not end well.
pub fn failed_attempts(tx: &mut dyn Tx, since_ms: i64, limit: u32) -> Result<Vec<FailedAttempt>, StoreError> {
    let sql = "SELECT a.provider, t.model, a.state, a.started_at, COALESCE(a.detail, '') FROM attempts a \
               JOIN tasks t ON t.account_id = a.account_id AND t.id = a.task_id \
               WHERE a.started_at >= $1 AND a.provider <> 'sandbox' \
               AND a.state IN ('failed', 'refused', 'ambiguous') ORDER BY a.started_at DESC LIMIT $2";
    let of = |row: &Row| {
        Ok(FailedAttempt {
            provider: row.text(0)?,
            model: row.text(1)?,
            state: row.text(2)?,
            at_ms: row.int(3)?,
            detail: row.text(4)?,
        })
    };
    tx.all(sql, &[since_ms.into(), limit.into()])?.iter().map(of).collect()
}
