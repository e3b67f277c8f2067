//! Usage: what tasks did with credits, and the ledger's lines of one task.
//!
//! Invariant: every read names the account, and none reads more than a bounded part of it. Not here: writing
//! entries (`ledger`).

use crate::{
    error::StoreError,
    list::{self, Filter, Page},
    tx::{Row, Tx},
};
use rynjer_core::{
    credits::Credits,
    id::{AccountId, TaskId, UsageId},
    ledger::EntryKind,
    task::Status,
};
use std::collections::BTreeMap;

/// How far around its time a line is looked for, in entries; each is tried if the one before found too
/// little.
const WINDOWS: [i64; 3] = [64, 1024, 16_384];

/// A task as a usage event.
#[derive(Debug, Clone)]
pub struct UsageRow {
    pub task_id: TaskId,
    pub usage_id: String,
    pub request_id: String,
    pub status: Status,
    pub model: String,
    pub product: String,
    /// The agent's id, or empty for an account key.
    pub agent_id: String,
    pub key_id: String,
    pub run_id: Option<String>,
    pub price_version: String,
    pub unit_price: Credits,
    pub count: u32,
    pub held: Credits,
    pub charged: Credits,
    pub released: Credits,
    pub refunded: Credits,
    pub mode: String,
    pub created_at_ms: i64,
    pub finished_at_ms: Option<i64>,
}

const COLUMNS: &str = "id, usage_id, request_id, status, model, product, agent_id, key_id, run_id, \
                       price_version, unit_price, count, held, charged, released, refunded, mode, \
                       created_at, finished_at";

fn usage_of(row: &Row) -> Result<UsageRow, StoreError> {
    let status = Status::parse(row.str(3)?);
    Ok(UsageRow {
        task_id: TaskId::from_stored(row.text(0)?),
        usage_id: row.text(1)?,
        request_id: row.text(2)?,
        status: status.ok_or_else(|| StoreError::Other("a task has an unknown status".to_owned()))?,
        model: row.text(4)?,
        product: row.text(5)?,
        agent_id: row.text(6)?,
        key_id: row.text(7)?,
        run_id: row.opt_text(8)?,
        price_version: row.text(9)?,
        unit_price: Credits(row.int(10)?),
        count: row.count(11)?,
        held: Credits(row.int(12)?),
        charged: Credits(row.int(13)?),
        released: Credits(row.int(14)?),
        refunded: Credits(row.int(15)?),
        mode: row.text(16)?,
        created_at_ms: row.int(17)?,
        finished_at_ms: row.opt_int(18)?,
    })
}

/// A page of usage events, newest first.
pub fn events(
    tx: &mut dyn Tx,
    account: &AccountId,
    filter: &Filter,
    limit: usize,
) -> Result<Page<UsageRow>, StoreError> {
    let Page { rows, next_before } = list::page(tx, account, filter, limit, COLUMNS)?;
    let rows: Result<_, _> = rows.iter().map(usage_of).collect();
    Ok(Page { rows: rows?, next_before })
}

/// One usage event of an account; an agent (`Some`) sees its own only.
///
/// A task's two ids are made in the same millisecond, so the range of tasks is short and needs no index.
pub fn event(
    tx: &mut dyn Tx,
    account: &AccountId,
    agent_id: Option<&str>,
    id: &UsageId,
) -> Result<Option<UsageRow>, StoreError> {
    let Some(body) = id.as_str().strip_prefix(UsageId::PREFIX) else { return Ok(None) };
    let (low, high) = list::time_range(&format!("{}{body}", TaskId::PREFIX));
    let sql = format!(
        "SELECT {COLUMNS} FROM tasks WHERE account_id = $1 AND id >= $2 AND id <= $3 AND usage_id = $4 \
         AND (CAST($5 AS TEXT) IS NULL OR agent_id = $5)"
    );
    let params = [
        account.as_str().into(),
        low.as_str().into(),
        high.as_str().into(),
        id.as_str().into(),
        agent_id.into(),
    ];
    tx.one(&sql, &params)?.as_ref().map(usage_of).transpose()
}

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRow {
    pub sequence: i64,
    pub at_ms: i64,
    pub kind: EntryKind,
    pub from: String,
    pub to: String,
    pub amount: Credits,
    pub hash: [u8; 32],
}

/// The ledger's lines of a task, as many as are found near its times; `enough` tells when they are all.
///
/// Entries have no index by task, which each accept would have to pay for. They are numbered without gaps and
/// their times rise but for the batches of a few milliseconds, so the place is found by halving.
pub fn lines(
    tx: &mut dyn Tx,
    account: &AccountId,
    task: &UsageRow,
    enough: impl Fn(&[LineRow]) -> bool,
) -> Result<Vec<LineRow>, StoreError> {
    let times = [Some(task.created_at_ms), task.finished_at_ms];
    let mut places = Vec::new();
    for at_ms in times.into_iter().flatten() {
        places.push(first_since(tx, account, at_ms)?);
    }
    let mut found = BTreeMap::new();
    for width in WINDOWS {
        for place in &places {
            for line in window(tx, account, &task.task_id, place - width, place + 2 * width)? {
                found.insert(line.sequence, line);
            }
        }
        let lines: Vec<LineRow> = found.values().cloned().collect();
        if enough(&lines) {
            return Ok(lines);
        }
    }
    Ok(found.into_values().collect())
}

/// The first entry at or after a time.
fn first_since(tx: &mut dyn Tx, account: &AccountId, at_ms: i64) -> Result<i64, StoreError> {
    let row = tx.one("SELECT entry_sequence FROM accounts WHERE id = $1", &[account.as_str().into()])?;
    let (mut low, mut high) = (1, row.map_or(Ok(0), |row| row.int(0))? + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "SELECT at FROM entries WHERE account_id = $1 AND sequence = $2";
        let at = tx.one(sql, &[account.as_str().into(), middle.into()])?;
        match at.map(|row| row.int(0)).transpose()? {
            Some(at) if at < at_ms => low = middle + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

fn window(
    tx: &mut dyn Tx,
    account: &AccountId,
    task: &TaskId,
    from: i64,
    to: i64,
) -> Result<Vec<LineRow>, StoreError> {
    let sql = "SELECT sequence, at, kind, from_book, to_book, amount, hash FROM entries \
               WHERE account_id = $1 AND sequence >= $2 AND sequence <= $3 AND task_id = $4 \
               ORDER BY sequence";
    let params = [account.as_str().into(), from.into(), to.into(), task.as_str().into()];
    let line_of = |row: &Row| {
        let kind = EntryKind::parse(row.str(2)?);
        Ok(LineRow {
            sequence: row.int(0)?,
            at_ms: row.int(1)?,
            kind: kind.ok_or_else(|| StoreError::Other("an entry has an unknown kind".to_owned()))?,
            from: row.text(3)?,
            to: row.text(4)?,
            amount: Credits(row.int(5)?),
            hash: row.hash(6)?,
        })
    };
    tx.all(sql, &params)?.iter().map(line_of).collect()
}
