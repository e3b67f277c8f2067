//! Receipts: one usage event with its ledger lines, signed, so that it can be shown to others.
//!
//! Invariant: the lines add up to the event's credits, or no receipt is made; the signature covers everything
//! but itself. Not here: verifying, which needs only `core::canonical` and `core::signature`.

use crate::{
    app::{Error, caller::Caller, usage::shown},
    keyring::Purpose,
    state::App,
};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use rynjer_api::{ReceiptAnswer, ReceiptLine, ReceiptTotals};
use rynjer_core::{
    canonical::signed_bytes,
    credits::Credits,
    id::UsageId,
    ledger::{Book, EntryKind},
    scope::Scope,
    time::rfc3339,
};
use rynjer_store::usage::{self, LineRow, UsageRow};
use serde_json::Value;

const RECEIPT_VERSION: u32 = 1;

/// The receipt of an event as it stands now.
pub(crate) async fn receipt(app: &App, caller: &Caller, id: &str) -> Result<ReceiptAnswer, Error> {
    caller.needs(Scope::CreditsRead)?;
    let id = UsageId::parse(id).ok_or(Error::NotFound)?;
    let (account, agent) = (caller.account.clone(), caller.agent.as_ref().map(ToString::to_string));
    let found = app
        .store
        .read(move |tx| {
            let Some(row) = usage::event(tx, &account, agent.as_deref(), &id)? else { return Ok(None) };
            let lines = usage::lines(tx, &account, &row, |lines| are_all(&row, lines))?;
            Ok::<_, Error>(Some((row, lines)))
        })
        .await?;
    let (row, lines) = found.ok_or(Error::NotFound)?;
    let lines = if are_all(&row, &lines) { from_ledger(&lines) } else { from_task(&row) };
    let totals = totals(&lines);
    let (reserved, held) = (reserved(&row).0, row.held.0);
    if (totals.reserved, totals.held, totals.net) != (reserved, held, row.charged.0 - row.refunded.0) {
        return Err(Error::internal(format!("the lines of {} do not add up to its credits", row.task_id)));
    }
    sign(app, caller, &row, lines, totals)
}

/// What was held when the task was accepted.
fn reserved(row: &UsageRow) -> Credits {
    row.unit_price.checked_mul(row.count).unwrap_or_default()
}

/// Whether these are all lines that moved the owner's credits for this task.
pub(crate) fn are_all(row: &UsageRow, lines: &[LineRow]) -> bool {
    let sum = |kind| lines.iter().filter(|line| line.kind == kind).map(|line| line.amount.0).sum::<i64>();
    let sums = [EntryKind::Hold, EntryKind::Capture, EntryKind::Release, EntryKind::Refund].map(sum);
    sums == [reserved(row).0, row.charged.0, row.released.0, row.refunded.0]
}

/// The ledger's lines. What the house lost to a vendor moves no credits of the owner.
fn from_ledger(lines: &[LineRow]) -> Vec<ReceiptLine> {
    let owners = lines.iter().filter(|line| line.kind != EntryKind::Loss);
    let shown = |line: &LineRow| ReceiptLine {
        sequence: Some(line.sequence),
        at: rfc3339(line.at_ms),
        kind: line.kind.as_str().to_owned(),
        from: line.from.clone(),
        to: line.to.clone(),
        amount: line.amount.0,
        hash: Some(HEXLOWER.encode(&line.hash)),
    };
    owners.map(shown).collect()
}

/// The same from the task's own sums, without places in the ledger: its lines lie where nobody looks for
/// them, such as after a clock that was set back.
fn from_task(row: &UsageRow) -> Vec<ReceiptLine> {
    let finished_ms = row.finished_at_ms.unwrap_or(row.created_at_ms);
    let line = |kind: EntryKind, from: Book, to: Book, amount: Credits, at_ms: i64| ReceiptLine {
        sequence: None,
        at: rfc3339(at_ms),
        kind: kind.as_str().to_owned(),
        from: from.as_str().to_owned(),
        to: to.as_str().to_owned(),
        amount: amount.0,
        hash: None,
    };
    let lines = [
        line(EntryKind::Hold, Book::Available, Book::Held, reserved(row), row.created_at_ms),
        line(EntryKind::Capture, Book::Held, Book::Revenue, row.charged, finished_ms),
        line(EntryKind::Release, Book::Held, Book::Available, row.released, finished_ms),
        line(EntryKind::Refund, Book::Revenue, Book::Available, row.refunded, finished_ms),
    ];
    lines.into_iter().filter(|line| line.amount > 0).collect()
}

fn totals(lines: &[ReceiptLine]) -> ReceiptTotals {
    let sum = |kind: EntryKind| {
        lines.iter().filter(|line| line.kind == kind.as_str()).map(|line| line.amount).sum::<i64>()
    };
    let (reserved, charged) = (sum(EntryKind::Hold), sum(EntryKind::Capture));
    let (released, refunded) = (sum(EntryKind::Release), sum(EntryKind::Refund));
    let held = reserved - charged - released;
    ReceiptTotals { reserved, charged, released, refunded, held, net: charged - refunded }
}

fn sign(
    app: &App,
    caller: &Caller,
    row: &UsageRow,
    lines: Vec<ReceiptLine>,
    totals: ReceiptTotals,
) -> Result<ReceiptAnswer, Error> {
    let (key_id, seed) = app.keyring.current(Purpose::Receipt)?;
    let key = SigningKey::from_bytes(&seed);
    let mut receipt = ReceiptAnswer {
        receipt_version: RECEIPT_VERSION,
        account_id: caller.account.to_string(),
        usage_event: shown(row),
        lines,
        totals,
        issued_at: rfc3339(app.now_ms()),
        base_url: app.base_url().to_owned(),
        key_id,
        public_key: HEXLOWER.encode(key.verifying_key().as_bytes()),
        signature: String::new(),
    };
    let Value::Object(object) = serde_json::to_value(&receipt).map_err(Error::internal)? else {
        return Err(Error::internal("a receipt is an object"));
    };
    let message = signed_bytes(&object).map_err(Error::internal)?;
    receipt.signature = HEXLOWER.encode(&key.sign(&message).to_bytes());
    Ok(receipt)
}
