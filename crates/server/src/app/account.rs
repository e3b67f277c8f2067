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
    scope::Scope,
    time::rfc3339,
};
use rynjer_store::{account, agent, budget as budgets, key};

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

/// Who the credential speaks for and what it may do.
pub(crate) async fn me(app: &App, caller: &Caller) -> Result<MeAnswer, Error> {
    let (id, agent_id, key_id) = (caller.account.clone(), caller.agent.clone(), caller.key.clone());
    let (frozen, agent, keys) = app
        .store
        .read(move |tx| {
            let row = account::get(tx, &id)?.ok_or(Error::NotFound)?;
            let agent = agent_id.map(|id| agent::get(tx, &id)).transpose()?.flatten();
            Ok::<_, Error>((row.frozen_reason.is_some(), agent, key::of_account(tx, &id)?))
        })
        .await?;
    let (_, _, budgets) = books_and_budgets(app, caller).await?;
    let now_ms = app.now_ms();
    Ok(MeAnswer {
        account: MeAccount { account_id: caller.account.to_string(), frozen },
        agent: agent.map(|row| MeAgent {
            agent_id: row.id.to_string(),
            agent_name: row.name,
            paused: row.paused_at_ms.is_some(),
        }),
        key: keys.into_iter().find(|row| row.id == key_id).map(|row| MeKey {
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
