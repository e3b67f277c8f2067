//! An account's money as its callers may see it.
//!
//! Invariant: balances need `credits:read`; what one caller may still spend is told without it. Not here:
//! moving money.

use crate::{
    app::{Error, caller::Caller},
    state::App,
};
use rynjer_api::{BalanceAnswer, Budget, BudgetKind, BudgetPeriod};
use rynjer_core::{
    budget::{self, Period, Subject},
    credits::Credits,
    scope::Scope,
    time::rfc3339,
};
use rynjer_store::{account, budget as budgets};

async fn books_and_budgets(
    app: &App,
    caller: &Caller,
) -> Result<(Credits, Credits, Vec<budget::Budget>), Error> {
    let id = caller.account.clone();
    let (row, mut all) = app
        .store
        .read(move |tx| {
            let row = account::get(tx, &id)?.ok_or(Error::NotFound)?;
            Ok::<_, Error>((row, budgets::of_account(tx, &id)?))
        })
        .await?;
    all.retain(|budget| match budget.subject {
        Subject::Account => true,
        Subject::Agent => budget.subject_id == caller.principal(),
        Subject::Key => budget.subject_id == caller.key.as_str(),
    });
    Ok((row.books.available, row.books.held, all))
}

/// The balance and the budgets that limit this caller.
pub(crate) async fn balance(app: &App, caller: &Caller) -> Result<BalanceAnswer, Error> {
    caller.needs(Scope::CreditsRead)?;
    let (available, held, budgets) = books_and_budgets(app, caller).await?;
    let now_ms = app.now_ms();
    Ok(BalanceAnswer {
        available: available.0,
        held: held.0,
        currency: "credits".to_owned(),
        account_id: caller.account.to_string(),
        mode: caller.mode(),
        budgets: budgets.iter().map(|budget| shown(budget, now_ms)).collect(),
    })
}

/// What this caller could still spend: the balance, or less where a budget says so.
pub(crate) async fn spendable(app: &App, caller: &Caller) -> Result<Credits, Error> {
    let (available, _, budgets) = books_and_budgets(app, caller).await?;
    let now_ms = app.now_ms();
    let rest = |b: &budget::Budget| Credits((b.limit.0 - b.spent_at(now_ms).0).max(0));
    Ok(budgets.iter().map(rest).fold(available, Ord::min))
}

/// A budget as the wire shows it.
pub(crate) fn shown(budget: &budget::Budget, now_ms: i64) -> Budget {
    Budget {
        kind: match budget.subject {
            Subject::Account => BudgetKind::Account,
            Subject::Agent => BudgetKind::Agent,
            Subject::Key => BudgetKind::Key,
        },
        period: match budget.period {
            Period::Day => BudgetPeriod::Day,
            Period::Month => BudgetPeriod::Month,
            Period::Total => BudgetPeriod::Total,
        },
        limit: budget.limit.0,
        spent: budget.spent_at(now_ms).0,
        resets_at: budget.period.resets_at_ms(now_ms).map(rfc3339),
    }
}
