//! An account's money as its callers may see it.
//!
//! Invariant: balances need `credits:read`; what one caller may still spend is told without it. Not here:
//! moving money.

use crate::{
    app::{Error, caller::Caller, key::scope_texts},
    state::App,
};
use rynjer_api::{BalanceAnswer, Budget, BudgetKind, BudgetPeriod, MeAccount, MeAgent, MeAnswer, MeKey};
use rynjer_core::{
    budget::{self, Period, Subject},
    credits::Credits,
    ledger::Books,
    scope::Scope,
    time::rfc3339,
};
use rynjer_store::{Tx, account, agent, budget as budgets, key};

/// The account and the budgets that limit this caller.
fn account_and_budgets(
    tx: &mut dyn Tx,
    caller: &Caller,
) -> Result<(account::AccountRow, Vec<budget::Budget>), Error> {
    let row = account::get(tx, &caller.account)?.ok_or(Error::NotFound)?;
    let mut budgets = budgets::of_account(tx, &caller.account)?;
    let cap_key = budgets::holder(tx, &caller.account, (Subject::Key, caller.key.as_str()))?;
    budgets.retain(|budget| match budget.subject {
        Subject::Account => true,
        Subject::Agent => budget.subject_id == caller.principal(),
        Subject::Key => budget.subject_id == cap_key,
    });
    Ok((row, budgets))
}

async fn books_and_budgets(app: &App, caller: &Caller) -> Result<(Books, Vec<budget::Budget>), Error> {
    let caller = caller.clone();
    let (row, budgets) = app.store.read(move |tx| account_and_budgets(tx, &caller)).await?;
    Ok((row.books, budgets))
}

/// The balance and the budgets that limit this caller.
pub(crate) async fn balance(app: &App, caller: &Caller) -> Result<BalanceAnswer, Error> {
    caller.needs(Scope::CreditsRead)?;
    let (books, budgets) = books_and_budgets(app, caller).await?;
    let now_ms = app.now_ms();
    Ok(BalanceAnswer {
        available: books.available.0,
        held: books.held.0,
        currency: "credits".to_owned(),
        account_id: caller.account.to_string(),
        mode: caller.mode(),
        budgets: budgets.iter().map(|budget| shown(budget, now_ms)).collect(),
    })
}

/// Who the credential speaks for and what it may do.
pub(crate) async fn me(app: &App, caller: &Caller) -> Result<MeAnswer, Error> {
    let whose = caller.clone();
    let (account, budgets, agent, key) = app
        .store
        .read(move |tx| {
            let (account, budgets) = account_and_budgets(tx, &whose)?;
            let agent = whose.agent.as_ref().map(|id| agent::get(tx, id)).transpose()?.flatten();
            Ok::<_, Error>((account, budgets, agent, key::get(tx, &whose.account, &whose.key)?))
        })
        .await?;
    let now_ms = app.now_ms();
    Ok(MeAnswer {
        account: MeAccount {
            account_id: caller.account.to_string(),
            frozen: account.frozen_reason.is_some() || account.paused_at_ms.is_some(),
        },
        agent: agent.map(|row| MeAgent {
            agent_id: row.id.to_string(),
            agent_name: row.name,
            paused: row.paused_at_ms.is_some(),
        }),
        key: key.map(|row| MeKey {
            key_id: row.id.to_string(),
            key_name: row.name,
            expires_at: row.expires_at_ms.map(rfc3339),
        }),
        scopes: scope_texts(caller.scopes),
        mode: caller.mode(),
        budgets: budgets.iter().map(|budget| shown(budget, now_ms)).collect(),
    })
}

/// What this caller could still spend: the balance, or less where a budget says so.
pub(crate) async fn spendable(app: &App, caller: &Caller) -> Result<Credits, Error> {
    let (books, budgets) = books_and_budgets(app, caller).await?;
    let now_ms = app.now_ms();
    let rest = |b: &budget::Budget| Credits((b.limit.0 - b.spent_at(now_ms).0).max(0));
    Ok(budgets.iter().map(rest).fold(books.available, Ord::min))
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
