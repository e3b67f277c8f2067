//! News for owners: what they should hear about, and whether they did.
//!
//! Invariant: a row is written in the commit of what it tells of, once per name (`once`). This table is the
//! outbox too: webhooks will read from it what they have to deliver, so nothing has to be decided twice. Not
//! here: writing news of budgets, which is a part of the ledger's save (`ledger`).

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::{AccountId, NoticeId};

/// A piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    pub id: NoticeId,
    pub at_ms: i64,
    /// Such as `budget.threshold`.
    pub kind: String,
    /// A JSON object.
    pub detail: String,
    pub read_at_ms: Option<i64>,
}

fn notice_of(row: &Row) -> Result<NoticeRow, StoreError> {
    Ok(NoticeRow {
        id: NoticeId::from_stored(row.text(0)?),
        at_ms: row.int(1)?,
        kind: row.text(2)?,
        detail: row.text(3)?,
        read_at_ms: row.opt_int(4)?,
    })
}

/// The news of an account, newest first, older than the one of id `before`.
pub fn of_account(
    tx: &mut dyn Tx,
    account: &AccountId,
    before: Option<&NoticeId>,
    limit: u32,
) -> Result<Vec<NoticeRow>, StoreError> {
    let before = before.map(NoticeId::as_str);
    let rows = tx.all(
        "SELECT id, at, kind, detail, read_at FROM notices \
         WHERE account_id = $1 AND (CAST($2 AS TEXT) IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        &[account.as_str().into(), before.into(), limit.into()],
    )?;
    rows.iter().map(notice_of).collect()
}

/// How much of an account's news nobody has read.
pub fn unread(tx: &mut dyn Tx, account: &AccountId) -> Result<i64, StoreError> {
    let row = tx.one(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM notices WHERE account_id = $1 AND read_at IS NULL",
        &[account.as_str().into()],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Marks an account's news read, up to the one of an id, and all of it without an id; how many there were.
pub fn mark_read(
    tx: &mut dyn Tx,
    account: &AccountId,
    newest: Option<&NoticeId>,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let newest = newest.map(NoticeId::as_str);
    tx.exec(
        "UPDATE notices SET read_at = $3 WHERE account_id = $1 AND read_at IS NULL \
         AND (CAST($2 AS TEXT) IS NULL OR id <= $2)",
        &[account.as_str().into(), newest.into(), now_ms.into()],
    )
}
