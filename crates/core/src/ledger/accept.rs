//! Decides whether a generation is accepted: idempotency first, then account, budgets and hold, in that
//! order.
//!
//! Invariant: the order of the checks is the contract's; a repeated request id is answered before anything
//! that may have changed since. Not here: prices and scopes, which the command brings decided.

use super::{
    apply::{Decision, post},
    book::{Book, EntryKind, Line},
    command::{Accept, Outcome, Refusal},
    notice,
    working::{AcceptedTask, Account, Run, Working},
};
use crate::{
    budget::{Budget, Charge, Subject},
    credits::Credits,
    fingerprint::Fingerprint,
    id::{AgentId, KeyId},
};

pub(super) fn accept(working: &mut Working, now_ms: i64, command: &Accept) -> Decision {
    let task = &command.task;
    let principal = task.agent.as_ref().map_or("", AgentId::as_str).to_owned();
    let request = (command.account.clone(), principal.clone(), task.request_id.clone());
    if let Some((existing, fingerprint)) = working.requests.get(&request) {
        return Ok(replay(existing, fingerprint, &task.fingerprint));
    }
    let price = task.unit_price.checked_mul(task.count).filter(|price| *price > Credits::ZERO);
    let Some(price) = price else {
        // The command is wrong, not the account's books: refused, and nobody is frozen.
        return Ok(Outcome::Refused(Refusal::AmountInvalid { most: Credits(i64::MAX) }));
    };
    let run_key = command.run.as_ref().map(|run| (command.account.clone(), principal, run.run_id.clone()));
    let run = run_key.as_ref().and_then(|key| working.runs.get(key));
    let Some(account) = working.accounts.get(&command.account) else {
        return Ok(Outcome::Refused(Refusal::AccountUnknown));
    };
    if let Some(refusal) = refused(account, run, command, price, now_ms) {
        return Ok(Outcome::Refused(refusal));
    }
    let line = Line {
        kind: EntryKind::Hold,
        from: Book::Available,
        to: Book::Held,
        amount: price,
        task: Some(&task.id),
        reference: None,
    };
    post(working, now_ms, &command.account, &line)?;
    let charges = charge_budgets(working, command, price, now_ms);
    if let (Some(key), Some(limit)) = (run_key, &command.run) {
        let fresh = Run { max_credits: limit.max_credits, spent: Credits::ZERO, changed: true };
        let run = working.runs.entry(key).or_insert(fresh);
        run.spent = Credits(run.spent.0.saturating_add(price.0));
        run.changed = true;
    }
    working.requests.insert(request, (task.id.clone(), task.fingerprint.clone()));
    let run_id = command.run.as_ref().map(|run| run.run_id.clone());
    working.new_tasks.push(AcceptedTask {
        account: command.account.clone(),
        task: task.clone(),
        charges,
        run_id,
        at_ms: now_ms,
    });
    Ok(Outcome::Accepted { held: price })
}

fn replay(existing: &crate::id::TaskId, stored: &str, sent: &str) -> Outcome {
    if stored == sent {
        return Outcome::Replayed { task: existing.clone() };
    }
    let fields = match (Fingerprint::decode(stored), Fingerprint::decode(sent)) {
        (Some(stored), Some(sent)) => stored.differing_fields(&sent),
        _ => Vec::new(),
    };
    Outcome::Refused(Refusal::RequestIdReused { fields })
}

fn refused(
    account: &Account,
    run: Option<&Run>,
    command: &Accept,
    price: Credits,
    now_ms: i64,
) -> Option<Refusal> {
    if account.frozen_reason.is_some() {
        return Some(Refusal::AccountFrozen);
    }
    if account.paused {
        return Some(Refusal::AccountPaused);
    }
    if account.open_tasks >= command.open_tasks_max {
        return Some(Refusal::TooManyOpenTasks { open: account.open_tasks, max: command.open_tasks_max });
    }
    if let Some(refusal) = run_refused(run, command, price) {
        return Some(refusal);
    }
    let available = account.books.available;
    let mut spendable = available;
    let cap_key = cap_key(account, command);
    // The rows come in no order of meaning; the answer names the widest subject and the shortest period.
    let mut budgets: Vec<&Budget> = account.budgets.iter().filter(|b| limits(b, command, &cap_key)).collect();
    budgets.sort_unstable_by_key(|b| (b.subject, b.period));
    for budget in budgets {
        let spent = budget.spent_at(now_ms);
        if !budget.allows(price, now_ms) {
            return Some(Refusal::BudgetExceeded {
                subject: budget.subject.as_str(),
                period: budget.period.as_str(),
                limit: budget.limit,
                spent,
                resets_at_ms: budget.resets_at_ms(now_ms),
            });
        }
        spendable = spendable.min(Credits(budget.limit.0 - spent.0));
    }
    (available < price).then_some(Refusal::InsufficientCredits { required: price, available, spendable })
}

fn run_refused(run: Option<&Run>, command: &Accept, price: Credits) -> Option<Refusal> {
    let asked = command.run.as_ref()?;
    let (limit, spent) = run.map_or((asked.max_credits, Credits::ZERO), |r| (r.max_credits, r.spent));
    if asked.max_credits.is_some() && asked.max_credits != limit {
        return Some(Refusal::RunLimitFixed { limit });
    }
    let limit = limit?;
    let fits = spent.checked_add(price).is_some_and(|sum| sum <= limit);
    (!fits).then_some(Refusal::BudgetExceeded {
        subject: "run",
        period: "total",
        limit,
        spent,
        resets_at_ms: None,
    })
}

fn limits(budget: &Budget, command: &Accept, cap_key: &KeyId) -> bool {
    match budget.subject {
        Subject::Account => true,
        Subject::Agent => command.task.agent.as_ref().is_some_and(|a| a.as_str() == budget.subject_id),
        Subject::Key => cap_key.as_str() == budget.subject_id,
    }
}

/// The key whose caps limit the command: a cap belongs to a line of keys, and the newest one has it.
fn cap_key(account: &Account, command: &Accept) -> KeyId {
    account.successors.get(&command.task.key).unwrap_or(&command.task.key).clone()
}

fn charge_budgets(working: &mut Working, command: &Accept, price: Credits, now_ms: i64) -> Vec<Charge> {
    let Some(account) = working.accounts.get_mut(&command.account) else {
        return Vec::new();
    };
    account.open_tasks += 1;
    let cap_key = cap_key(account, command);
    let mut charges = Vec::new();
    for (index, budget) in account.budgets.iter_mut().enumerate() {
        if limits(budget, command, &cap_key) {
            let before = budget.spent_at(now_ms);
            charges.push(budget.charge(price, now_ms));
            account.budgets_changed.insert(index);
            working.notices.extend(notice::crossed(&command.account, budget, before, now_ms));
        }
    }
    charges
}
