//! `whoami` and `balance`.
//!
//! Invariant: a key's text is never shown. Not here: who may see what (the gateway).

use super::{moment, session::Session};
use crate::{
    failure::Failure,
    print,
    table::page,
    terminal::Style,
    words::{credits, grouped},
};
use rynjer_api::{BalanceAnswer, Budget, BudgetKind, BudgetPeriod, MeAnswer, Mode};
use serde_json::Value;

/// Runs `rynjer whoami`.
pub(super) async fn whoami(mut session: Session, json: bool) -> Result<(), Failure> {
    let me = session.call(|client| async move { client.me().await }).await?;
    let base_url = session.client.base_url().to_owned();
    let mut value = object(&me)?;
    value["base_url"] = base_url.as_str().into();
    print::answer(json, &value, |style| shown(style, &me, &base_url))
}

/// Runs `rynjer balance`.
pub(super) async fn balance(mut session: Session, json: bool) -> Result<(), Failure> {
    let balance = session.call(|client| async move { client.balance().await }).await?;
    print::answer(json, &object(&balance)?, |style| shown_balance(style, &balance))
}

/// An answer as it came.
pub(super) fn object(answer: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|error| Failure::failed(format!("can't print the answer: {error}")))
}

fn shown(style: Style, me: &MeAnswer, base_url: &str) -> String {
    let mut lines = vec![("gateway", base_url.to_owned())];
    let frozen = if me.account.frozen { " (frozen)" } else { "" };
    lines.push(("account", format!("{}{frozen}", me.account.account_id)));
    lines.push(("mode", mode(me.mode).to_owned()));
    if let Some(agent) = &me.agent {
        let paused = if agent.paused { " (paused)" } else { "" };
        lines.push(("agent", format!("{}, {}{paused}", agent.agent_name, agent.agent_id)));
    }
    if let Some(key) = &me.key {
        let until = key.expires_at.as_deref().map(|at| format!(", until {}", moment(at)));
        lines.push(("key", format!("{}, {}{}", key.key_name, key.key_id, until.unwrap_or_default())));
    }
    lines.push(("may use", me.scopes.join(", ")));
    lines.extend(me.budgets.iter().map(|budget| ("budget", budget_line(budget))));
    page(style, &lines)
}

fn shown_balance(style: Style, balance: &BalanceAnswer) -> String {
    let mut lines = vec![
        ("available", credits(balance.available)),
        ("held", credits(balance.held)),
        ("account", balance.account_id.clone()),
        ("mode", mode(balance.mode).to_owned()),
    ];
    lines.extend(balance.budgets.iter().map(|budget| ("budget", budget_line(budget))));
    page(style, &lines)
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Test => "test (free credits, made by the sandbox)",
        Mode::Live => "live",
    }
}

/// A budget in one line.
pub(super) fn budget_line(budget: &Budget) -> String {
    let whose = match budget.kind {
        BudgetKind::Account => "account",
        BudgetKind::Agent => "agent",
        BudgetKind::Key => "key",
        BudgetKind::Run => "run",
    };
    let period = match budget.period {
        BudgetPeriod::Day => " per day",
        BudgetPeriod::Month => " per month",
        BudgetPeriod::Total => " in total",
    };
    let resets = budget.resets_at.as_deref().map(|at| format!(", again from {}", moment(at)));
    let (spent, limit) = (grouped(budget.spent), credits(budget.limit));
    format!("{whose}: {spent} of {limit}{period} spent{}", resets.unwrap_or_default())
}
