//! The tables of an export, row by row.
//!
//! Invariant: a table is read in pages within one snapshot; hashes of keys and codes are left out. Not here:
//! the archive.

use super::{Table, file_name, upload_name};
use crate::app::{Error, csv, usage as events};
use data_encoding::HEXLOWER;
use rynjer_core::{
    id::{AccountId, OwnerId},
    time::rfc3339,
};
use rynjer_store::{
    Tx, account, admin, audit_log, budget, export,
    file::{self, FileRow},
    key::{self, KeyRow},
    list::Filter,
    notice, owner, policy,
    task::TaskRow,
    topup, usage as rows,
};
use serde_json::{Value, json};
use std::io::Write;

/// Rows of one page.
const PAGE: u32 = 500;

/// Tables that are one value each.
pub(super) const SMALL: [(&str, Table); 5] = [
    ("account.json", account),
    ("agents.json", agents),
    ("keys.json", keys),
    ("budgets.json", budgets),
    ("policies.json", policies),
];

fn moment(ms: Option<i64>) -> Option<String> {
    ms.map(rfc3339)
}

fn one(out: &mut dyn Write, value: &Value) -> Result<u64, Error> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(Error::internal)?;
    out.write_all(b"\n").map_err(Error::internal)?;
    Ok(1)
}

fn line(out: &mut dyn Write, value: &Value) -> Result<(), Error> {
    serde_json::to_writer(&mut *out, value).map_err(Error::internal)?;
    out.write_all(b"\n").map_err(Error::internal)
}

/// What is stored as JSON, as JSON.
fn stored(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn account(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let row = account::get(tx, id)?.ok_or(Error::NotFound)?;
    let value = json!({
        "account_id": row.id.as_str(),
        "email": row.email,
        "mode": row.mode,
        "created_at": rfc3339(row.created_at_ms),
        "frozen_reason": row.frozen_reason,
        "paused_at": moment(row.paused_at_ms),
        "closed_at": moment(row.closed_at_ms),
        "currency": "credits",
        "available": row.books.available.0,
        "held": row.books.held.0,
        "charged": row.books.revenue.0,
        "owed": row.books.owed.0,
        "open_tasks": row.open_tasks,
    });
    one(out, &value)
}

fn agents(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let rows = admin::agents(tx, Some(id))?;
    let agents = rows.iter().map(|row| {
        json!({
            "agent_id": row.id.as_str(),
            "agent_name": row.name,
            "agent_version": row.version,
            "public_key": row.public_key,
            "scopes": row.scopes.split_ascii_whitespace().collect::<Vec<_>>(),
            "created_at": rfc3339(row.created_at_ms),
            "bound_at": moment(row.bound_at_ms),
            "paused_at": moment(row.paused_at_ms),
            "revoked_at": moment(row.revoked_at_ms),
        })
    });
    one(out, &Value::Array(agents.collect()))
}

fn keys(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let rows = key::of_account(tx, id)?;
    let shown = |row: &KeyRow| {
        json!({
            "key_id": row.id.as_str(),
            "agent_id": row.agent_id.as_ref().map(rynjer_core::id::AgentId::as_str),
            "key_name": row.name,
            "prefix": row.prefix,
            "scopes": row.scopes.split_ascii_whitespace().collect::<Vec<_>>(),
            "created_at": rfc3339(row.created_at_ms),
            "expires_at": moment(row.expires_at_ms),
            "last_used_at": moment(row.last_used_at_ms),
            "revoked_at": moment(row.revoked_at_ms),
        })
    };
    one(out, &Value::Array(rows.iter().map(shown).collect()))
}

fn budgets(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let rows = budget::of_account(tx, id)?;
    let budgets = rows.iter().map(|row| {
        json!({
            "budget_id": row.id.as_str(),
            "kind": row.subject.as_str(),
            "subject_id": row.subject_id,
            "period": row.period.as_str(),
            "limit": row.limit.0,
            "window_start": rfc3339(row.window_start_ms),
            "spent": row.spent.0,
        })
    });
    one(out, &Value::Array(budgets.collect()))
}

fn policies(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let rows = policy::of_account(tx, id)?;
    let policies = rows.iter().map(|row| {
        json!({
            "kind": row.policy.subject.as_str(),
            "subject_id": row.subject_id,
            "models": row.policy.models,
            "max_price": row.policy.max_price.map(|price| price.0),
            "updated_at": rfc3339(row.updated_at_ms),
        })
    });
    one(out, &Value::Array(policies.collect()))
}

pub(super) fn tasks(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let page = export::tasks(tx, id, &after, PAGE)?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.id.to_string();
        for row in &page {
            line(out, &task(row))?;
            count += 1;
        }
    }
}

fn task(row: &TaskRow) -> Value {
    let outputs = row.outputs.iter().map(|output| {
        json!({
            "file": output.deleted_at_ms.is_none().then(|| file_name(&row.id, output)),
            "type": output.kind,
            "mime": output.mime,
            "width": output.width,
            "height": output.height,
            "duration_ms": output.duration_ms,
            "bytes": output.bytes,
            "sha256": output.sha256,
            "deleted_at": moment(output.deleted_at_ms),
        })
    });
    json!({
        "task_id": row.id.as_str(),
        "request_id": row.request_id,
        "usage_event_id": row.usage_id,
        "agent_id": Some(&row.agent_id).filter(|id| !id.is_empty()),
        "run_id": row.run_id,
        "status": row.status.as_str(),
        "model": row.model,
        "product": row.product,
        "scene": row.mode,
        "provider": row.provider,
        "provider_task_id": row.provider_task_id,
        "price_version": row.price_version,
        "unit_price": row.unit_price.0,
        "count": row.count,
        "held": row.held.0,
        "charged": row.charged.0,
        "released": row.released.0,
        "refunded": row.refunded.0,
        "created_at": rfc3339(row.created_at_ms),
        "finished_at": moment(row.finished_at_ms),
        "error": row.error_code,
        "error_message": row.error_message,
        "request": stored(row.body.as_deref()),
        "metadata": stored(row.metadata.as_deref()),
        "outputs": Value::Array(outputs.collect()),
    })
}

pub(super) fn ledger(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let (mut after, mut count) = (0, 0);
    loop {
        let page = export::entries(tx, id, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.sequence;
        for row in &page {
            let value = json!({
                "sequence": row.sequence,
                "at": rfc3339(row.at_ms),
                "at_ms": row.at_ms,
                "kind": row.kind,
                "from": row.from_book,
                "to": row.to_book,
                "amount": row.amount,
                "task_id": row.task_id,
                "reference": row.reference,
                "hash": HEXLOWER.encode(&row.hash),
            });
            line(out, &value)?;
            count += 1;
        }
    }
}

/// Newest first, as the report has it.
pub(super) fn usage(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let mut writer = csv::writer(out)?;
    let (mut filter, mut count) = (Filter::default(), 0);
    loop {
        let page = rows::events(tx, id, &filter, usize::try_from(PAGE).unwrap_or(usize::MAX))?;
        for row in &page.rows {
            csv::write(&mut writer, &events::shown(row))?;
            count += 1;
        }
        if page.next_before.is_none() {
            writer.flush().map_err(Error::internal)?;
            return Ok(count);
        }
        filter.before = page.next_before;
    }
}

/// Newest first, as the log is read.
pub(super) fn audit(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let owner = owner::of_account(tx, id)?;
    let owner = owner.as_ref().map(OwnerId::as_str);
    let (mut before, mut count) = (None, 0);
    loop {
        let page = audit_log::of_account(tx, id.as_str(), before.as_deref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(count) };
        before = Some(last.id.clone());
        for row in &page {
            let value = json!({
                "id": row.id,
                "at": rfc3339(row.at_ms),
                "actor": row.actor_kind,
                "actor_id": row.actor_id,
                "action": row.action,
                "subject_id": row.subject_id,
                "detail": stored(Some(&row.detail)),
                "address": row.address_for(owner),
            });
            line(out, &value)?;
            count += 1;
        }
    }
}

/// What was bought, newest first, each with what was heard of its money going back.
pub(super) fn purchases(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let (mut before, mut count) = (None, 0);
    loop {
        let page = topup::of_account(tx, id, before.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(count) };
        before = Some(last.id.clone());
        for row in &page {
            let reversals = topup::reversals(tx, id, &row.id)?;
            let reversal = |heard: &rynjer_core::topup::Reversal| {
                json!({
                    "reversal_id": heard.id,
                    "kind": heard.kind.as_str(),
                    "amount_minor": heard.amount_minor,
                    "standing": heard.standing.as_str(),
                })
            };
            let value = json!({
                "topup_id": row.id.as_str(),
                "state": row.state.as_str(),
                "credits": row.bought.credits.0,
                "amount_minor": row.bought.amount_minor,
                "currency": row.currency,
                "checkout_id": row.checkout_id,
                "payment_id": row.payment_id,
                "credits_taken_back": row.taken_back.0,
                "created_at": rfc3339(row.created_at_ms),
                "paid_at": moment(row.paid_at_ms),
                "reversals": reversals.iter().map(reversal).collect::<Vec<_>>(),
            });
            line(out, &value)?;
            count += 1;
        }
    }
}

/// News, newest first.
pub(super) fn notices(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let (mut before, mut count) = (None, 0);
    loop {
        let page = notice::of_account(tx, id, before.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(count) };
        before = Some(last.id.clone());
        for row in &page {
            let value = json!({
                "id": row.id.as_str(),
                "at": rfc3339(row.at_ms),
                "kind": row.kind,
                "detail": stored(Some(&row.detail)),
                "read_at": moment(row.read_at_ms),
            });
            line(out, &value)?;
            count += 1;
        }
    }
}

/// Uploaded pictures, oldest first.
pub(super) fn uploads(tx: &mut dyn Tx, id: &AccountId, out: &mut dyn Write) -> Result<u64, Error> {
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let page = file::of_account(tx, id, &after, PAGE)?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.id.to_string();
        for row in &page {
            line(out, &upload(row))?;
            count += 1;
        }
    }
}

fn upload(row: &FileRow) -> Value {
    json!({
        "file_id": row.id.as_str(),
        "file": upload_name(row),
        "agent_id": Some(&row.agent_id).filter(|id| !id.is_empty()),
        "mime": row.mime,
        "width": row.width,
        "height": row.height,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "created_at": rfc3339(row.created_at_ms),
        "expires_at": rfc3339(row.expires_at_ms),
    })
}
