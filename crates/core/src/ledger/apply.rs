//! Decides one command against the rows of its batch.
//!
//! Invariant: a refused command changes nothing; a broken invariant freezes its account, refuses the command
//! and leaves every other account alone. Not here: acceptance (`accept`), captures and releases (`settle`).

use super::{
    accept::accept,
    book::{Book, EntryKind, Fault, Line},
    command::{Clawback, Command, Grant, Loss, LostUnits, Outcome, Refund, Refusal, loss_reference},
    settle::{capture, release},
    working::{Account, Reference, TaskMoney, Working},
};
use crate::{credits::Credits, id::AccountId};

/// Why an account is frozen that owes what was taken back. It is the one freeze that the ledger ends itself.
pub const OWING: &str = "clawback: credits were spent that were taken back";

/// Outcome, or a broken invariant.
pub(super) type Decision = Result<Outcome, Fault>;

/// Decides `command` at `now_ms` and records the change in `working`.
pub fn apply(working: &mut Working, now_ms: i64, command: &Command) -> Outcome {
    let account_id = command.account();
    let Some(account) = working.accounts.get(account_id) else {
        return Outcome::Refused(Refusal::AccountUnknown);
    };
    if let Some(fault) = &account.fault {
        return Outcome::Refused(Refusal::LedgerFault { detail: fault.to_string() });
    }
    if let Err(fault) = account.books.check() {
        return freeze(working, command, &fault);
    }
    let before = account.clone();
    let task_before = command.task().and_then(|id| working.tasks.get(id).cloned());
    let mark = working.mark();
    let decision = match command {
        Command::Accept(c) => accept(working, now_ms, c),
        Command::Capture(c) => capture(working, now_ms, c),
        Command::Release(c) => release(working, now_ms, c),
        Command::Grant(c) => grant(working, now_ms, c),
        Command::Refund(c) => refund(working, now_ms, c),
        Command::Loss(c) => loss(working, now_ms, c),
        Command::Clawback(c) => clawback(working, now_ms, c),
    };
    decision.unwrap_or_else(|fault| {
        working.rewind(&mark);
        working.accounts.insert(account_id.clone(), before);
        if let Some(task) = task_before {
            working.tasks.insert(task.id.clone(), task);
        }
        freeze(working, command, &fault)
    })
}

/// Why an account is frozen whose invariant broke.
#[must_use]
pub fn fault_reason(detail: &str) -> String {
    format!("ledger_fault: {detail}")
}

fn freeze(working: &mut Working, command: &Command, fault: &Fault) -> Outcome {
    if let Some(account) = working.accounts.get_mut(command.account()) {
        account.frozen_reason = Some(fault_reason(&fault.to_string()));
        account.fault = Some(fault.clone());
        account.changed = true;
    }
    Outcome::Refused(Refusal::LedgerFault { detail: fault.to_string() })
}

/// An amount must be above zero and at most `most`.
fn amount_refused(amount: Credits, most: Credits) -> Option<Outcome> {
    let valid = amount > Credits::ZERO && amount <= most;
    (!valid).then_some(Outcome::Refused(Refusal::AmountInvalid { most }))
}

/// What an earlier command under the same reference did, if there was one. Only the very same move is a
/// repetition: another kind, task or amount under a used reference is refused, never taken for done.
fn replayed(working: &Working, account: &Account, reference: &str, asked: &Reference) -> Option<Outcome> {
    let earlier = working.references.get(&(account.id.clone(), reference.to_owned()))?;
    Some(if earlier == asked {
        Outcome::Moved { replayed: true, available: account.books.available }
    } else {
        Outcome::Refused(Refusal::ReferenceReused)
    })
}

/// Credits above this can't be granted to one account, so that no sum of books leaves 64 bits.
const GRANTED_MAX: Credits = Credits(1 << 53);

fn grant(working: &mut Working, now_ms: i64, command: &Grant) -> Decision {
    let Some(account) = working.accounts.get(&command.account) else {
        return Ok(Outcome::Refused(Refusal::AccountUnknown));
    };
    let asked = Reference { kind: EntryKind::Grant, task: None, amount: command.amount };
    if let Some(outcome) = replayed(working, account, &command.reference, &asked) {
        return Ok(outcome);
    }
    if account.closed {
        return Ok(Outcome::Refused(Refusal::AccountClosed));
    }
    let most = Credits(GRANTED_MAX.0.saturating_add(account.books.issued.0));
    if let Some(outcome) = amount_refused(command.amount, most) {
        return Ok(outcome);
    }
    let debt = Credits(account.books.owed.0.saturating_neg().clamp(0, command.amount.0));
    let line = |from, to, amount, reference| Line {
        kind: EntryKind::Grant,
        from,
        to,
        amount,
        task: None,
        reference,
    };
    // One line carries the reference and the whole amount; what was owed is paid out of it in a second.
    let whole = line(Book::Issued, Book::Available, command.amount, Some(command.reference.as_str()));
    post(working, now_ms, &command.account, &whole)?;
    if debt > Credits::ZERO {
        post(working, now_ms, &command.account, &line(Book::Available, Book::Owed, debt, None))?;
    }
    if let Some(account) = working.accounts.get_mut(&command.account)
        && account.books.owed == Credits::ZERO
        && account.frozen_reason.as_deref() == Some(OWING)
    {
        // Nothing else froze it, and this was the last of the debt.
        account.frozen_reason = None;
        account.changed = true;
    }
    Ok(moved(working, &command.account, &command.reference, asked))
}

fn refund(working: &mut Working, now_ms: i64, command: &Refund) -> Decision {
    let Some(account) = working.accounts.get(&command.account) else {
        return Ok(Outcome::Refused(Refusal::AccountUnknown));
    };
    let task = Some(command.task.clone());
    let asked = Reference { kind: EntryKind::Refund, task, amount: command.amount };
    if let Some(outcome) = replayed(working, account, &command.reference, &asked) {
        return Ok(outcome);
    }
    let Some(task) = working.tasks.get_mut(&command.task).filter(|t| t.account == command.account) else {
        return Ok(Outcome::Refused(Refusal::TaskUnknown));
    };
    let most = task.charged.checked_sub(task.refunded).ok_or(Fault::Overflow)?;
    if let Some(outcome) = amount_refused(command.amount, most) {
        return Ok(outcome);
    }
    task.refunded = task.refunded.checked_add(command.amount).ok_or(Fault::Overflow)?;
    task.changed = true;
    let line = Line {
        kind: EntryKind::Refund,
        from: Book::Revenue,
        to: Book::Available,
        amount: command.amount,
        task: Some(&command.task),
        reference: Some(&command.reference),
    };
    post(working, now_ms, &command.account, &line)?;
    Ok(moved(working, &command.account, &command.reference, asked))
}

fn loss(working: &mut Working, now_ms: i64, command: &Loss) -> Decision {
    let Some(task) = working.tasks.get(&command.task).filter(|t| t.account == command.account) else {
        return Ok(Outcome::Refused(Refusal::TaskUnknown));
    };
    let task = task.clone();
    let replayed = !post_loss(working, now_ms, &task, &command.lost)?;
    let available = working.accounts.get(&command.account).map_or(Credits::ZERO, |a| a.books.available);
    Ok(Outcome::Moved { replayed, available })
}

/// Books a loss once per attempt; tells whether this call did.
pub(super) fn post_loss(
    working: &mut Working,
    now_ms: i64,
    task: &TaskMoney,
    lost: &LostUnits,
) -> Result<bool, Fault> {
    let amount = task.unit_price.checked_mul(lost.units.min(task.count)).ok_or(Fault::Overflow)?;
    let account = &task.account;
    let reference = loss_reference(&lost.attempt);
    if working.references.contains_key(&(account.clone(), reference.clone())) {
        return Ok(false);
    }
    let line = Line {
        kind: EntryKind::Loss,
        from: Book::Revenue,
        to: Book::ProviderLoss,
        amount,
        task: Some(&task.id),
        reference: Some(&reference),
    };
    post(working, now_ms, account, &line)?;
    let booked = Reference { kind: EntryKind::Loss, task: Some(task.id.clone()), amount };
    working.references.insert((account.clone(), reference), booked);
    Ok(true)
}

fn clawback(working: &mut Working, now_ms: i64, command: &Clawback) -> Decision {
    let Some(account) = working.accounts.get(&command.account) else {
        return Ok(Outcome::Refused(Refusal::AccountUnknown));
    };
    let asked = Reference { kind: EntryKind::Clawback, task: None, amount: command.amount };
    if let Some(outcome) = replayed(working, account, &command.reference, &asked) {
        return Ok(outcome);
    }
    let most = Credits(account.books.issued.0.saturating_neg());
    if let Some(outcome) = amount_refused(command.amount, most) {
        return Ok(outcome);
    }
    let taken = account.books.available.min(command.amount);
    let debt = Credits(command.amount.0 - taken.0);
    if debt > Credits::ZERO
        && let Some(account) = working.accounts.get_mut(&command.account)
        && account.frozen_reason.is_none()
    {
        // Whoever froze it before had a reason that a paid debt does not end.
        account.frozen_reason = Some(OWING.to_owned());
        account.changed = true;
    }
    let line = |from, to, amount, reference| Line {
        kind: EntryKind::Clawback,
        from,
        to,
        amount,
        task: None,
        reference,
    };
    if debt > Credits::ZERO {
        post(working, now_ms, &command.account, &line(Book::Owed, Book::Available, debt, None))?;
    }
    let whole = line(Book::Available, Book::Issued, command.amount, Some(command.reference.as_str()));
    post(working, now_ms, &command.account, &whole)?;
    Ok(moved(working, &command.account, &command.reference, asked))
}

/// Posts a line to an account of the batch.
pub(super) fn post(
    working: &mut Working,
    now_ms: i64,
    account: &AccountId,
    line: &Line<'_>,
) -> Result<(), Fault> {
    if let Some(account) = working.accounts.get_mut(account) {
        let entry = account.post(now_ms, line)?;
        working.entries.push(entry);
    }
    Ok(())
}

fn moved(working: &mut Working, account: &AccountId, reference: &str, asked: Reference) -> Outcome {
    working.references.insert((account.clone(), reference.to_owned()), asked);
    let available = working.accounts.get(account).map_or(Credits::ZERO, |a| a.books.available);
    Outcome::Moved { replayed: false, available }
}
