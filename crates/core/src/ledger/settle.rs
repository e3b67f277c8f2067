//! Ends a task: capture what was delivered, or release everything.
//!
//! Invariant: a hold is resolved once, 0 ≤ captured ≤ held, the rest is released in the same decision, and a
//! final status never changes. Not here: whether outputs are really stored, which the caller has made sure
//! of.

use super::{
    apply::{Decision, post, post_loss},
    book::{Book, EntryKind, Fault, Line},
    command::{Capture, Guard, Outcome, Refusal, Release},
    working::{CapturedOutput, TaskMoney, TrailLine, Working},
};
use crate::{
    credits::Credits,
    id::{AccountId, TaskId},
    task::{Status, Step},
};

pub(super) fn capture(working: &mut Working, now_ms: i64, command: &Capture) -> Decision {
    let task = match owned(working, &command.account, &command.task, &command.guard) {
        Ok(task) => task,
        Err(outcome) => return Ok(outcome),
    };
    let most = Credits(i64::from(task.count));
    if command.delivered == 0 || command.delivered > task.count || command.outputs.is_empty() {
        return Ok(Outcome::Refused(Refusal::AmountInvalid { most }));
    }
    let charged = task.unit_price.checked_mul(command.delivered).ok_or(Fault::Overflow)?;
    let released = task.held.checked_sub(charged).ok_or(Fault::Overflow)?;
    if released < Credits::ZERO {
        return Err(Fault::HoldMissing(task.id.to_string(), charged.0));
    }
    if let Some(lost) = &command.loss {
        post_loss(working, now_ms, &task, lost)?;
    }
    let task = end(working, now_ms, &task, Status::Success, charged, released)?;
    task.vendor_cost_micro_usd = command.vendor_cost_micro_usd;
    task.missing.clone_from(&command.missing);
    if command.provider_task_id.is_some() {
        task.provider_task_id.clone_from(&command.provider_task_id);
    }
    for output in &command.outputs {
        working.new_outputs.push(CapturedOutput {
            account: command.account.clone(),
            task: command.task.clone(),
            output: output.clone(),
            at_ms: now_ms,
        });
    }
    Ok(Outcome::Settled { charged, released })
}

pub(super) fn release(working: &mut Working, now_ms: i64, command: &Release) -> Decision {
    let task = match owned(working, &command.account, &command.task, &command.guard) {
        Ok(task) => task,
        Err(outcome) => return Ok(outcome),
    };
    if !matches!(command.status, Status::Failed | Status::Canceled) {
        return Ok(Outcome::Stale { status: task.status });
    }
    let released = task.held;
    if let Some(lost) = &command.loss {
        post_loss(working, now_ms, &task, lost)?;
    }
    let task = end(working, now_ms, &task, command.status, Credits::ZERO, released)?;
    task.vendor_cost_micro_usd = command.vendor_cost_micro_usd;
    task.error = Some((command.error, command.message.clone()));
    task.missing.clone_from(&command.missing);
    working.trails.extend(command.trail.clone().map(|trail| TrailLine {
        account: command.account.clone(),
        task: command.task.clone(),
        trail,
        at_ms: now_ms,
    }));
    Ok(Outcome::Settled { charged: Credits::ZERO, released })
}

/// The open task, if the caller still owns it.
fn owned(working: &Working, account: &AccountId, task: &TaskId, guard: &Guard) -> Result<TaskMoney, Outcome> {
    let Some(task) = working.tasks.get(task).filter(|t| &t.account == account) else {
        return Err(Outcome::Refused(Refusal::TaskUnknown));
    };
    let owns = match guard {
        Guard::Fence(fence) => task.fence == *fence,
        Guard::NotSubmitted => task.step == Step::Queued,
    };
    if task.status.is_final() || !owns {
        return Err(Outcome::Stale { status: task.status });
    }
    Ok(task.clone())
}

/// Resolves the hold, frees the budgets of what is released and closes the task.
fn end<'a>(
    working: &'a mut Working,
    now_ms: i64,
    task: &TaskMoney,
    status: Status,
    charged: Credits,
    released: Credits,
) -> Result<&'a mut TaskMoney, Fault> {
    for (kind, to, amount) in
        [(EntryKind::Capture, Book::Revenue, charged), (EntryKind::Release, Book::Available, released)]
    {
        if amount > Credits::ZERO {
            let line = Line { kind, from: Book::Held, to, amount, task: Some(&task.id), reference: None };
            post(working, now_ms, &task.account, &line)?;
        }
    }
    if let Some(account) = working.accounts.get_mut(&task.account) {
        account.give_back(released, &task.charges);
        account.open_tasks -= 1;
        account.changed = true;
    }
    if let Some(run_id) = &task.run_id {
        let key = (task.account.clone(), task.principal.clone(), run_id.clone());
        if let Some(run) = working.runs.get_mut(&key) {
            run.spent = Credits((run.spent.0 - released.0).max(0));
            run.changed = true;
        }
    }
    let missing = || Fault::HoldMissing(task.id.to_string(), task.held.0);
    let task = working.tasks.get_mut(&task.id).ok_or_else(missing)?;
    task.status = status;
    task.held = Credits::ZERO;
    task.charged = charged;
    task.released = released;
    task.finished_at_ms = Some(now_ms);
    task.changed = true;
    Ok(task)
}
