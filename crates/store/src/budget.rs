//! Budgets: rows that the ledger counts in.
//!
//! Invariant: `spent` is changed by the ledger alone, except at a budget's birth, when what its subject has
//! spent in the current window is counted once. Not here: the checks.

use crate::{error::StoreError, key_line, ledger::charge_text, tx::Tx};
use rynjer_core::{
    budget::{Budget, Charge, Period, Subject},
    credits::Credits,
    id::{AccountId, BudgetId, KeyId},
};

/// Whose row a subject's budget is: caps of a key that was replaced are its successor's.
pub fn holder(
    tx: &mut dyn Tx,
    account: &AccountId,
    (subject, subject_id): (Subject, &str),
) -> Result<String, StoreError> {
    let successor = match subject {
        Subject::Key => key_line::successor(tx, account, subject_id)?,
        Subject::Account | Subject::Agent => None,
    };
    Ok(successor.map_or_else(|| subject_id.to_owned(), |key| key.to_string()))
}

/// Sets the limit of a subject over a period; a new budget counts what was spent since its window began.
pub fn set(
    tx: &mut dyn Tx,
    account: &AccountId,
    fresh: &BudgetId,
    (subject, subject_id): (Subject, &str),
    period: Period,
    limit: Credits,
    now_ms: i64,
) -> Result<BudgetId, StoreError> {
    crate::account::lock(tx, account)?;
    let holder = holder(tx, account, (subject, subject_id))?;
    let subject_id = holder.as_str();
    let known = tx.one(
        "UPDATE budgets SET limit_credits = $5 WHERE account_id = $1 AND subject = $2 AND subject_id = $3 \
         AND period = $4 RETURNING id",
        &[
            account.as_str().into(),
            subject.as_str().into(),
            subject_id.into(),
            period.as_str().into(),
            limit.into(),
        ],
    )?;
    if let Some(row) = known {
        return Ok(BudgetId::from_stored(row.text(0)?));
    }
    let window_start_ms = period.window_start_ms(now_ms);
    let spent = spent_since(tx, account, subject, subject_id, window_start_ms)?;
    tx.exec(
        "INSERT INTO budgets (id, account_id, subject, subject_id, period, limit_credits, window_start, \
         spent, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            fresh.as_str().into(),
            account.as_str().into(),
            subject.as_str().into(),
            subject_id.into(),
            period.as_str().into(),
            limit.into(),
            window_start_ms.into(),
            spent.into(),
            now_ms.into(),
        ],
    )?;
    charge_open_tasks(tx, account, fresh, (subject, subject_id), window_start_ms)?;
    Ok(fresh.clone())
}

/// Takes a limit away; whether there was one. What open tasks were counted in it is forgotten with it.
pub fn remove(
    tx: &mut dyn Tx,
    account: &AccountId,
    (subject, subject_id): (Subject, &str),
    period: Period,
) -> Result<bool, StoreError> {
    crate::account::lock(tx, account)?;
    let holder = holder(tx, account, (subject, subject_id))?;
    let subject_id = holder.as_str();
    let removed = tx.one(
        "DELETE FROM budgets WHERE account_id = $1 AND subject = $2 AND subject_id = $3 AND period = $4 \
         RETURNING id",
        &[account.as_str().into(), subject.as_str().into(), subject_id.into(), period.as_str().into()],
    )?;
    Ok(removed.is_some())
}

/// The condition that selects a subject's tasks; `$1` is the account, `$2` the subject's id.
fn tasks_of(subject: Subject) -> &'static str {
    match subject {
        Subject::Account => "account_id = $2",
        Subject::Agent => "agent_id = $2",
        Subject::Key => {
            "(key_id = $2 OR key_id IN (SELECT s.key_id FROM key_successors s WHERE s.account_id = $1 \
             AND s.newest_id = $2))"
        }
    }
}

fn spent_since(
    tx: &mut dyn Tx,
    account: &AccountId,
    subject: Subject,
    subject_id: &str,
    window_start_ms: i64,
) -> Result<i64, StoreError> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(held + charged), 0) AS BIGINT) FROM tasks \
         WHERE account_id = $1 AND {} AND created_at >= $3",
        tasks_of(subject)
    );
    let params = [account.as_str().into(), subject_id.into(), window_start_ms.into()];
    tx.one(&sql, &params)?.map_or(Ok(0), |row| row.int(0))
}

/// Lets what open tasks release flow back to the new budget.
fn charge_open_tasks(
    tx: &mut dyn Tx,
    account: &AccountId,
    budget: &BudgetId,
    (subject, subject_id): (Subject, &str),
    window_start_ms: i64,
) -> Result<(), StoreError> {
    let charge = charge_text(&[Charge { budget: budget.clone(), window_start_ms }]);
    let sql = format!(
        "UPDATE tasks SET budget_charges = CASE budget_charges WHEN '' THEN $4 \
         ELSE budget_charges || ',' || $4 END \
         WHERE account_id = $1 AND {} AND finished_at IS NULL AND created_at >= $3",
        tasks_of(subject)
    );
    let params = [account.as_str().into(), subject_id.into(), window_start_ms.into(), (&charge).into()];
    tx.exec(&sql, &params).map(drop)
}

/// All budgets of an account, for a unit that decides from them: nobody else changes one before it is over.
pub fn lock_of_account(tx: &mut dyn Tx, account: &AccountId) -> Result<Vec<Budget>, StoreError> {
    crate::account::lock(tx, account)?;
    of_account(tx, account)
}

/// Gives a key the caps of another one, which it takes the place of. They go on counting where they are, and
/// get back what the other's open tasks release. The other's own rows stay for a program that knows no lines.
pub fn carry_over(
    tx: &mut dyn Tx,
    account: &AccountId,
    (from, to): (&KeyId, &KeyId),
    fresh: impl Fn() -> BudgetId,
    now_ms: i64,
) -> Result<(), StoreError> {
    crate::account::lock(tx, account)?;
    let caps = of_account(tx, account)?;
    key_line::replace(tx, account, (from, to), now_ms)?;
    for cap in caps.iter().filter(|cap| cap.subject == Subject::Key && cap.subject_id == from.as_str()) {
        let id = fresh();
        tx.exec(
            "INSERT INTO budgets (id, account_id, subject, subject_id, period, limit_credits, window_start, \
             spent, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                id.as_str().into(),
                account.as_str().into(),
                Subject::Key.as_str().into(),
                to.as_str().into(),
                cap.period.as_str().into(),
                cap.limit.into(),
                cap.window_start_ms.into(),
                cap.spent.into(),
                now_ms.into(),
            ],
        )?;
        charge_open_tasks(tx, account, &id, (Subject::Key, to.as_str()), cap.window_start_ms)?;
    }
    Ok(())
}

/// All budgets of an account; those of a line of keys stand under its newest.
pub fn of_account(tx: &mut dyn Tx, account: &AccountId) -> Result<Vec<Budget>, StoreError> {
    let rows = tx.all(
        "SELECT id, account_id, subject, subject_id, period, limit_credits, window_start, spent FROM budgets \
         WHERE account_id = $1 AND NOT EXISTS (SELECT 1 FROM key_successors s \
         WHERE s.account_id = budgets.account_id AND s.key_id = budgets.subject_id) \
         ORDER BY subject, subject_id, period",
        &[account.as_str().into()],
    )?;
    rows.iter().map(crate::ledger::budget_of).collect()
}
