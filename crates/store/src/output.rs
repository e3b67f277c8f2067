//! Stored files of tasks.
//!
//! Invariant: rows are written by the ledger's capture alone; here they are read and, when old, marked
//! deleted. Not here: the files themselves.

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::{AccountId, TaskId};

/// An output's row.
#[derive(Debug, Clone)]
pub struct OutputRow {
    pub index: u32,
    pub object_key: String,
    pub kind: String,
    pub mime: String,
    pub width: Option<i64>,
    pub height: Option<i64>,
    pub duration_ms: Option<i64>,
    pub bytes: i64,
    pub sha256: String,
    pub created_at_ms: i64,
    pub deleted_at_ms: Option<i64>,
}

const COLUMNS: &str = "output_index, object_key, kind, mime, width, height, duration_ms, bytes, sha256, \
                       created_at, deleted_at";

fn output_of(row: &Row) -> Result<OutputRow, StoreError> {
    Ok(OutputRow {
        index: row.count(0)?,
        object_key: row.text(1)?,
        kind: row.text(2)?,
        mime: row.text(3)?,
        width: row.opt_int(4)?,
        height: row.opt_int(5)?,
        duration_ms: row.opt_int(6)?,
        bytes: row.int(7)?,
        sha256: row.text(8)?,
        created_at_ms: row.int(9)?,
        deleted_at_ms: row.opt_int(10)?,
    })
}

/// All outputs of a task of an account, in order.
pub fn of_task(tx: &mut dyn Tx, account: &AccountId, task: &TaskId) -> Result<Vec<OutputRow>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM outputs WHERE account_id = $1 AND task_id = $2 ORDER BY output_index");
    tx.all(&sql, &[account.as_str().into(), task.as_str().into()])?.iter().map(output_of).collect()
}

/// One output; the caller holds a signed URL that names its account.
pub fn get(
    tx: &mut dyn Tx,
    account: &AccountId,
    task: &TaskId,
    index: u32,
) -> Result<Option<OutputRow>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM outputs WHERE account_id = $1 AND task_id = $2 AND output_index = $3");
    let params = [account.as_str().into(), task.as_str().into(), index.into()];
    tx.one(&sql, &params)?.as_ref().map(output_of).transpose()
}
