//! Writes what a batch of commands changed, in a few statements over many rows.
//!
//! Invariant: entries are inserted, never updated; only changed rows are written. Not here: decisions.

use crate::{
    audit_log::{self, AuditLine},
    batch::{Rows, insert, with_keys},
    dialect::Type,
    error::StoreError,
    tx::{Param, Tx},
};
use rynjer_core::{
    budget::Charge,
    id::{AgentId, NoticeId, TaskId},
    ledger::{BUDGET_THRESHOLD, TaskMoney, Working},
    task::{Status, Step},
};

pub(super) fn save(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    save_tasks(tx, working)?;
    save_new_tasks(tx, working)?;
    save_entries(tx, working)?;
    save_accounts(tx, working)?;
    save_budgets(tx, working)?;
    save_runs(tx, working)?;
    save_outputs(tx, working)?;
    save_notices(tx, working)?;
    save_trails(tx, working)
}

/// The column of the windows that a hold was counted in.
pub(crate) fn charge_text(charges: &[Charge]) -> String {
    Charge::to_text(charges)
}

fn save_new_tasks(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let charges: Vec<String> = working.new_tasks.iter().map(|new| charge_text(&new.charges)).collect();
    let mut rows = Rows::new(26);
    for (new, charges) in working.new_tasks.iter().zip(&charges) {
        let task = &new.task;
        let held = task.unit_price.checked_mul(task.count).unwrap_or_default();
        rows.push([
            new.account.as_str().into(),
            task.id.as_str().into(),
            task.agent.as_ref().map_or("", AgentId::as_str).into(),
            task.key.as_str().into(),
            Param::from(&task.request_id),
            Param::from(&task.fingerprint),
            task.usage_id.as_str().into(),
            Param::from(&task.model),
            task.product.into(),
            task.mode.into(),
            Param::from(&task.provider),
            Param::from(&task.vendor_model),
            Param::from(&task.price_version),
            task.unit_price.into(),
            task.count.into(),
            held.into(),
            Param::from(charges),
            new.run_id.as_deref().into(),
            Status::Pending.as_str().into(),
            Step::Queued.as_str().into(),
            new.at_ms.into(),
            task.deadline_at_ms.into(),
            new.at_ms.into(),
            Param::from(&task.body),
            task.metadata.as_deref().into(),
            Param::Int(0),
        ]);
    }
    let names = "account_id, id, agent_id, key_id, request_id, fingerprint, usage_id, model, product, \
                mode, provider, vendor_model, price_version, unit_price, count, held, budget_charges, \
                run_id, \
                status, step, created_at, deadline_at, due_at, body, metadata, fence";
    let types = [
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Text,
        Type::Text,
        Type::Int,
    ];
    insert(tx, "tasks", names, &types, &rows, "").map(drop)
}

fn save_entries(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let mut rows = Rows::new(10);
    for entry in &working.entries {
        rows.push([
            entry.account().as_str().into(),
            entry.sequence().into(),
            entry.at_ms().into(),
            entry.kind().as_str().into(),
            entry.from().as_str().into(),
            entry.to().as_str().into(),
            entry.amount().into(),
            entry.task().map(TaskId::as_str).into(),
            entry.reference().into(),
            entry.hash().into(),
        ]);
    }
    let names = "account_id, sequence, at, kind, from_book, to_book, amount, task_id, reference, hash";
    let types = [
        Type::Text,
        Type::Int,
        Type::Int,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Int,
        Type::Text,
        Type::Text,
        Type::Bytes,
    ];
    insert(tx, "entries", names, &types, &rows, "").map(drop)
}

fn save_accounts(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let mut rows = Rows::new(11);
    for account in working.accounts.values().filter(|a| a.changed || !a.budgets_changed.is_empty()) {
        if account.books.check().is_err() {
            // Damaged books would break the table's own check; only the freeze is written.
            let params = [account.id.as_str().into(), account.frozen_reason.as_deref().into()];
            tx.exec("UPDATE accounts SET frozen_reason = $2 WHERE id = $1", &params)?;
            continue;
        }
        rows.push([
            account.id.as_str().into(),
            account.frozen_reason.as_deref().into(),
            account.books.available.into(),
            account.books.held.into(),
            account.books.revenue.into(),
            account.books.provider_loss.into(),
            account.books.issued.into(),
            account.books.owed.into(),
            account.sequence.into(),
            Param::from(&account.head_hash),
            account.open_tasks.into(),
        ]);
    }
    let names =
        "id, frozen_reason, available, held, revenue, provider_loss, issued, owed, sequence, hash, open";
    let types = [
        Type::Text,
        Type::OptText,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Bytes,
        Type::Int,
    ];
    let sql = "UPDATE accounts SET frozen_reason = keys.frozen_reason, available = keys.available, \
               held = keys.held, revenue = keys.revenue, provider_loss = keys.provider_loss, \
               issued = keys.issued, owed = keys.owed, entry_sequence = keys.sequence, \
               entry_hash = keys.hash, open_tasks = keys.open FROM keys WHERE accounts.id = keys.id";
    with_keys(tx, names, &types, &rows, sql).map(drop)
}

fn save_tasks(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let mut rows = Rows::new(12);
    for task in working.tasks.values().filter(|t| t.changed) {
        rows.push(task_row(task));
    }
    let names = "account_id, id, status, held, charged, released, refunded, finished_at, error_code, \
                 error_message, missing, provider_task_id";
    let types = [
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::OptText,
        Type::OptText,
        Type::OptText,
        Type::OptText,
    ];
    let sql = "UPDATE tasks SET status = keys.status, held = keys.held, charged = keys.charged, \
               released = keys.released, refunded = keys.refunded, finished_at = keys.finished_at, \
               error_code = COALESCE(keys.error_code, tasks.error_code), \
               error_message = COALESCE(keys.error_message, tasks.error_message), \
               missing = COALESCE(keys.missing, tasks.missing), \
               provider_task_id = COALESCE(keys.provider_task_id, tasks.provider_task_id), \
               lease_owner = NULL, progress_permille = NULL \
               FROM keys WHERE tasks.account_id = keys.account_id AND tasks.id = keys.id";
    with_keys(tx, names, &types, &rows, sql)?;
    close_attempts(tx, working)
}

/// A task that is over has no open attempt.
fn close_attempts(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    for task in working.tasks.values().filter(|t| t.changed) {
        let state = match task.status {
            Status::Success => "finished",
            Status::Canceled => "canceled",
            Status::Pending | Status::Processing | Status::Failed => "failed",
        };
        rows.push([
            task.account.as_str().into(),
            task.id.as_str().into(),
            state.into(),
            task.finished_at_ms.into(),
            task.vendor_cost_micro_usd.into(),
        ]);
    }
    let types = [Type::Text, Type::Text, Type::Text, Type::Int, Type::Int];
    let sql = "UPDATE attempts SET state = keys.state, ended_at = keys.ended_at, \
               vendor_cost_micro_usd = CASE WHEN attempts.number = (SELECT t.attempt FROM tasks t \
               WHERE t.account_id = keys.account_id AND t.id = keys.id) \
               THEN COALESCE(CAST(keys.cost AS BIGINT), attempts.vendor_cost_micro_usd) \
               ELSE attempts.vendor_cost_micro_usd END FROM keys \
               WHERE attempts.account_id = keys.account_id AND attempts.task_id = keys.id \
               AND attempts.ended_at IS NULL";
    with_keys(tx, "account_id, id, state, ended_at, cost", &types, &rows, sql).map(drop)
}

fn task_row(task: &TaskMoney) -> [Param<'_>; 12] {
    [
        task.account.as_str().into(),
        task.id.as_str().into(),
        task.status.as_str().into(),
        task.held.into(),
        task.charged.into(),
        task.released.into(),
        task.refunded.into(),
        task.finished_at_ms.into(),
        task.error.as_ref().map(|(code, _)| *code).into(),
        task.error.as_ref().map(|(_, message)| message.as_str()).into(),
        task.missing.as_deref().into(),
        task.provider_task_id.as_deref().into(),
    ]
}

fn save_budgets(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let mut rows = Rows::new(4);
    for account in working.accounts.values() {
        let mut changed: Vec<_> =
            account.budgets_changed.iter().filter_map(|index| account.budgets.get(*index)).collect();
        changed.sort_by(|a, b| a.id.cmp(&b.id));
        for budget in changed {
            rows.push([
                account.id.as_str().into(),
                budget.id.as_str().into(),
                budget.window_start_ms.into(),
                budget.spent.into(),
            ]);
        }
    }
    let sql = "UPDATE budgets SET window_start = keys.window_start, spent = keys.spent FROM keys \
               WHERE budgets.account_id = keys.account_id AND budgets.id = keys.id";
    let types = [Type::Text, Type::Text, Type::Int, Type::Int];
    with_keys(tx, "account_id, id, window_start, spent", &types, &rows, sql).map(drop)
}

fn save_runs(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let mut rows = Rows::new(5);
    for ((account, agent, run_id), run) in working.runs.iter().filter(|(_, run)| run.changed) {
        rows.push([
            account.as_str().into(),
            Param::from(agent),
            Param::from(run_id),
            run.max_credits.into(),
            run.spent.into(),
        ]);
    }
    let tail = "ON CONFLICT (account_id, agent_id, run_id) DO UPDATE SET spent = excluded.spent";
    let types = [Type::Text, Type::Text, Type::Text, Type::Int, Type::Int];
    insert(tx, "runs", "account_id, agent_id, run_id, max_credits, spent", &types, &rows, tail).map(drop)
}

fn save_outputs(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let mut rows = Rows::new(12);
    for new in &working.new_outputs {
        let output = &new.output;
        rows.push([
            new.account.as_str().into(),
            new.task.as_str().into(),
            output.index.into(),
            Param::from(&output.object_key),
            output.kind.into(),
            Param::from(&output.mime),
            output.width.into(),
            output.height.into(),
            output.duration_ms.and_then(|ms| i64::try_from(ms).ok()).into(),
            i64::try_from(output.bytes).unwrap_or(i64::MAX).into(),
            Param::from(&output.sha256),
            new.at_ms.into(),
        ]);
    }
    let names = "account_id, task_id, output_index, object_key, kind, mime, width, height, \
                duration_ms, bytes, sha256, created_at";
    let types = [
        Type::Text,
        Type::Text,
        Type::Int,
        Type::Text,
        Type::Text,
        Type::Text,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Int,
        Type::Text,
        Type::Int,
    ];
    insert(tx, "outputs", names, &types, &rows, "").map(drop)
}

/// Nothing is sent where there is no news, which is nearly always. Old news stays as it was.
fn save_notices(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    let texts: Vec<(NoticeId, String, String)> =
        working.notices.iter().map(|notice| (notice.id(), notice.once(), notice.detail())).collect();
    let mut rows = Rows::new(6);
    for (notice, (id, once, detail)) in working.notices.iter().zip(&texts) {
        rows.push([
            notice.account.as_str().into(),
            id.as_str().into(),
            notice.at_ms.into(),
            BUDGET_THRESHOLD.into(),
            Param::from(once),
            Param::from(detail),
        ]);
    }
    let types = [Type::Text, Type::Text, Type::Int, Type::Text, Type::Text, Type::Text];
    let tail = "ON CONFLICT DO NOTHING";
    insert(tx, "notices", "account_id, id, at, kind, once, detail", &types, &rows, tail).map(drop)
}

/// Lines are few: people and agents cancel now and then.
fn save_trails(tx: &mut dyn Tx, working: &Working) -> Result<(), StoreError> {
    for line in &working.trails {
        let trail = &line.trail;
        let line = AuditLine {
            account_id: line.account.to_string(),
            id: trail.id.to_string(),
            at_ms: line.at_ms,
            actor_kind: trail.actor_kind.to_owned(),
            actor_id: trail.actor_id.clone(),
            action: trail.action.to_owned(),
            subject_id: line.task.to_string(),
            detail: trail.detail.clone(),
            address: trail.address.clone(),
        };
        audit_log::insert(tx, &line)?;
    }
    Ok(())
}
