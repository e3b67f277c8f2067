//! Proves the ledger from its entries: every invariant of the design, account by account.
//!
//! Invariant: reads only; an empty list of findings means that the audit recomputed everything and found it
//! equal. Not here: repairs.

use crate::{
    error::StoreError,
    tx::{Param, Row, Tx},
};
use rynjer_core::{
    credits::Credits,
    id::AccountId,
    ledger::{Book, Books, chain_hash},
};

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Number of the invariant in the architecture document.
    pub invariant: u8,
    pub account_id: String,
    pub detail: String,
}

/// Entries read at a time, so that an audit's memory is bounded.
const PAGE: i64 = 5_000;

/// All account ids, for auditing them one by one.
pub fn audit_accounts(tx: &mut dyn Tx) -> Result<Vec<AccountId>, StoreError> {
    let rows = tx.all("SELECT id FROM accounts ORDER BY id", &[])?;
    rows.iter().map(|row| Ok(AccountId::from_stored(row.text(0)?))).collect()
}

/// Recomputes an account's chain and books from its entries and compares them with the cached ones.
pub fn audit_account(tx: &mut dyn Tx, account: &AccountId) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let mut found = |invariant, detail: String| {
        findings.push(Finding { invariant, account_id: account.to_string(), detail });
    };
    let mut books = Books::default();
    let mut head = [0u8; 32];
    let mut sequence = 0;
    loop {
        let rows = tx.all(
            "SELECT sequence, at, kind, from_book, to_book, amount, task_id, reference, hash FROM entries \
             WHERE account_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
            &[account.as_str().into(), sequence.into(), PAGE.into()],
        )?;
        for row in &rows {
            if let Err(detail) = replay_entry(account, row, sequence, &mut head, &mut books)? {
                found(5, detail);
            }
            sequence = row.int(0)?;
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            break;
        }
    }
    let Some(row) = tx.one(
        "SELECT available, held, revenue, provider_loss, issued, owed, entry_sequence, entry_hash, \
         open_tasks \
         FROM accounts WHERE id = $1",
        &[account.as_str().into()],
    )?
    else {
        return Ok(findings);
    };
    if let Err(fault) = books.check() {
        found(1, fault.to_string());
    }
    for (column, book) in Book::ALL.into_iter().enumerate() {
        let (cached, recomputed) = (Credits(row.int(column)?), books.get(book));
        if cached != recomputed {
            found(6, format!("{} is {cached}, entries give {recomputed}", book.as_str()));
        }
    }
    if row.int(6)? != sequence || row.hash(7)? != head {
        found(5, "the account's chain head is not its last entry".to_owned());
    }
    Ok(findings)
}

fn replay_entry(
    account: &AccountId,
    row: &Row,
    previous: i64,
    head: &mut [u8; 32],
    books: &mut Books,
) -> Result<Result<(), String>, StoreError> {
    let sequence = row.int(0)?;
    let amount = row.int(5)?;
    let hash = chain_hash(
        head,
        &[
            account.as_str(),
            &sequence.to_string(),
            &row.int(1)?.to_string(),
            row.str(2)?,
            row.str(3)?,
            row.str(4)?,
            &amount.to_string(),
            row.opt_text(6)?.as_deref().unwrap_or(""),
            row.opt_text(7)?.as_deref().unwrap_or(""),
        ],
    );
    let intact = hash == row.hash(8)? && sequence == previous + 1;
    *head = row.hash(8)?;
    if let (Some(from), Some(to)) = (Book::parse(row.str(3)?), Book::parse(row.str(4)?)) {
        if let Err(fault) = books.transfer(from, to, Credits(amount)) {
            return Ok(Err(format!("entry {sequence}: {fault}")));
        }
    } else {
        return Ok(Err(format!("entry {sequence} names an unknown book")));
    }
    Ok(if intact { Ok(()) } else { Err(format!("the chain breaks at entry {sequence}")) })
}

/// Tasks against entries and outputs, in one account. `now_ms` finds holds that should be long over.
pub fn audit_tasks(tx: &mut dyn Tx, account: &AccountId, now_ms: i64) -> Result<Vec<Finding>, StoreError> {
    let checks: [(u8, &str, &str); 8] = [
        (
            3,
            "it is held, captured or released more than once",
            "SELECT task_id FROM entries WHERE account_id = $1 AND kind IN ('hold', 'capture', 'release') \
             AND task_id IS NOT NULL GROUP BY task_id, kind HAVING COUNT(*) > 1",
        ),
        (
            4,
            "held, charged and released do not add up to its price",
            "SELECT id FROM tasks WHERE account_id = $1 AND held + charged + released <> unit_price * count",
        ),
        (
            6,
            "its columns differ from its entries",
            "SELECT t.id FROM tasks t LEFT JOIN (SELECT task_id, \
               CAST(SUM(CASE kind WHEN 'hold' THEN amount ELSE 0 END) AS BIGINT) AS holds, \
               CAST(SUM(CASE kind WHEN 'capture' THEN amount ELSE 0 END) AS BIGINT) AS captures, \
               CAST(SUM(CASE kind WHEN 'release' THEN amount ELSE 0 END) AS BIGINT) AS releases, \
               CAST(SUM(CASE kind WHEN 'refund' THEN amount ELSE 0 END) AS BIGINT) AS refunds \
             FROM entries WHERE account_id = $1 AND task_id IS NOT NULL GROUP BY task_id) e ON e.task_id \
             = t.id \
             WHERE t.account_id = $1 AND (COALESCE(e.holds, 0) <> t.unit_price * t.count \
               OR COALESCE(e.captures, 0) <> t.charged OR COALESCE(e.releases, 0) <> t.released \
               OR COALESCE(e.refunds, 0) <> t.refunded)",
        ),
        (
            7,
            "an entry names a task that does not exist",
            "SELECT e.task_id FROM entries e WHERE e.account_id = $1 AND e.task_id IS NOT NULL AND NOT \
             EXISTS \
             (SELECT 1 FROM tasks t WHERE t.account_id = $1 AND t.id = e.task_id)",
        ),
        (
            8,
            "success without charge and output, or the reverse",
            "SELECT t.id FROM tasks t WHERE t.account_id = $1 AND (t.status = 'success') <> \
             (t.charged > 0 AND EXISTS (SELECT 1 FROM outputs o WHERE o.account_id = $1 AND o.task_id = t.id \
              AND LENGTH(o.sha256) = 64))",
        ),
        (
            9,
            "failed or canceled without its whole price released",
            "SELECT id FROM tasks WHERE account_id = $1 AND status IN ('failed', 'canceled') \
             AND (released <> unit_price * count OR finished_at IS NULL)",
        ),
        (
            9,
            "open but not holding its price",
            "SELECT id FROM tasks WHERE account_id = $1 AND status IN ('pending', 'processing') \
             AND (held <> unit_price * count OR finished_at IS NOT NULL)",
        ),
        (
            12,
            "still open long after its time limit",
            "SELECT id FROM tasks \
             WHERE account_id = $1 AND finished_at IS NULL AND deadline_at + 3600000 < $2",
        ),
    ];
    let mut findings = Vec::new();
    for (invariant, what, sql) in checks {
        let params: [Param<'_>; 2] = [account.as_str().into(), now_ms.into()];
        for row in tx.all(sql, &params)? {
            let detail = format!("task {}: {what}", row.text(0)?);
            findings.push(Finding { invariant, account_id: account.to_string(), detail });
        }
    }
    findings.extend(audit_open_count(tx, account)?);
    Ok(findings)
}

fn audit_open_count(tx: &mut dyn Tx, account: &AccountId) -> Result<Option<Finding>, StoreError> {
    let row = tx.one(
        "SELECT a.open_tasks, a.held, CAST(COUNT(t.id) AS BIGINT), CAST(COALESCE(SUM(t.held), 0) AS BIGINT) \
         FROM accounts a LEFT JOIN tasks t ON t.account_id = a.id AND t.finished_at IS NULL \
         WHERE a.id = $1 GROUP BY a.id, a.open_tasks, a.held",
        &[account.as_str().into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let equal = row.int(0)? == row.int(2)? && row.int(1)? == row.int(3)?;
    Ok((!equal).then(|| Finding {
        invariant: 6,
        account_id: account.to_string(),
        detail: "open tasks or the held book differ from the open tasks' holds".to_owned(),
    }))
}
