//! Reads of everything that an account has, in pages, oldest first.
//!
//! Invariant: every read names the account and gives no secret. Not here: what an export looks like.

use crate::{
    error::StoreError,
    output::{self, OutputRow},
    task::{self, TaskRow},
    tx::Tx,
};
use rynjer_core::id::{AccountId, TaskId};

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    pub sequence: i64,
    pub at_ms: i64,
    pub kind: String,
    pub from_book: String,
    pub to_book: String,
    pub amount: i64,
    pub task_id: Option<String>,
    pub reference: Option<String>,
    pub hash: [u8; 32],
}

/// Tasks with their outputs, beyond the id `after`.
pub fn tasks(
    tx: &mut dyn Tx,
    account: &AccountId,
    after: &str,
    limit: u32,
) -> Result<Vec<TaskRow>, StoreError> {
    let columns = task::COLUMNS;
    let sql = format!("SELECT {columns} FROM tasks WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    let rows = tx.all(&sql, &[account.as_str().into(), after.into(), limit.into()])?;
    rows.into_iter().map(|row| task::with_outputs(tx, row)).collect()
}

/// Entries of the ledger with their hashes, beyond a sequence.
pub fn entries(
    tx: &mut dyn Tx,
    account: &AccountId,
    after: i64,
    limit: u32,
) -> Result<Vec<EntryRow>, StoreError> {
    let rows = tx.all(
        "SELECT sequence, at, kind, from_book, to_book, amount, task_id, reference, hash FROM entries \
         WHERE account_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
        &[account.as_str().into(), after.into(), limit.into()],
    )?;
    let entry = |row: &crate::tx::Row| {
        Ok(EntryRow {
            sequence: row.int(0)?,
            at_ms: row.int(1)?,
            kind: row.text(2)?,
            from_book: row.text(3)?,
            to_book: row.text(4)?,
            amount: row.int(5)?,
            task_id: row.opt_text(6)?,
            reference: row.opt_text(7)?,
            hash: row.hash(8)?,
        })
    };
    rows.iter().map(entry).collect()
}

/// Outputs of an account that are still there, of the tasks beyond the id `after`; whole tasks only.
pub fn outputs(
    tx: &mut dyn Tx,
    account: &AccountId,
    after: &str,
    tasks: u32,
) -> Result<Vec<(TaskId, Vec<OutputRow>)>, StoreError> {
    let rows = tx.all(
        "SELECT DISTINCT task_id FROM outputs WHERE account_id = $1 AND task_id > $2 \
         AND deleted_at IS NULL ORDER BY task_id LIMIT $3",
        &[account.as_str().into(), after.into(), tasks.into()],
    )?;
    let mut all = Vec::new();
    for row in &rows {
        let id = TaskId::from_stored(row.text(0)?);
        let mut outputs = output::of_task(tx, account, &id)?;
        outputs.retain(|output| output.deleted_at_ms.is_none());
        all.push((id, outputs));
    }
    Ok(all)
}
