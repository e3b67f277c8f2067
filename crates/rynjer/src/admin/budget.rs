//! `admin budget`: set and list limits.
//!
//! Invariant: what is shown as spent is of the current window. Not here: when a budget refuses
//! (`core::ledger`).

use super::{account_id, moment, open, rfc3339};
use crate::{
    cli::admin::Budget as Command, failure::Failure, print, table::table, terminal::Style, words::grouped,
};
use rynjer_core::budget::{Budget, Subject};
use serde_json::{Value, json};

/// Runs `rynjer admin budget …`.
pub(super) async fn run(command: Command, json: bool) -> Result<(), Failure> {
    let (admin, account, budgets) = match command {
        Command::Set { limit, account, agent, key, place } => {
            let admin = open(&place)?;
            let account = account_id(&admin, &account).await?;
            let (subject, id) = match (&agent, &key) {
                (Some(agent), _) => (Subject::Agent, agent.as_str()),
                (None, Some(key)) => (Subject::Key, key.as_str()),
                (None, None) => (Subject::Account, account.as_str()),
            };
            let budgets = admin.budget_set(&account, subject, id, limit.period, limit.credits).await?;
            (admin, account, budgets)
        }
        Command::List { account, place } => {
            let admin = open(&place)?;
            let account = account_id(&admin, &account).await?;
            let budgets = admin.budget_list(&account).await?;
            (admin, account, budgets)
        }
    };
    let now_ms = admin.clock.now_ms();
    let value = json!({"account_id": account.as_str(), "budgets": objects(&budgets, now_ms)});
    print::answer(json, &value, |style| rows(style, &budgets, now_ms))
}

/// Budgets for programs.
pub(super) fn objects(budgets: &[Budget], now_ms: i64) -> Vec<Value> {
    let object = |budget: &Budget| {
        json!({
            "budget_id": budget.id.as_str(),
            "kind": budget.subject.as_str(),
            "subject_id": budget.subject_id,
            "period": budget.period.as_str(),
            "limit": budget.limit.0,
            "spent": budget.spent_at(now_ms).0,
            "resets_at": rfc3339(budget.period.resets_at_ms(now_ms)),
        })
    };
    budgets.iter().map(object).collect()
}

/// Budgets for people.
pub(super) fn rows(style: Style, budgets: &[Budget], now_ms: i64) -> String {
    let cells = budgets.iter().map(|budget| {
        vec![
            budget.subject.as_str().to_owned(),
            budget.subject_id.clone(),
            budget.period.as_str().to_owned(),
            grouped(budget.limit.0),
            grouped(budget.spent_at(now_ms).0),
            moment(budget.period.resets_at_ms(now_ms)),
        ]
    });
    let headings = ["BUDGET OF", "ID", "PERIOD", ">LIMIT", ">SPENT", "RESETS"];
    table(style, &headings, &cells.collect::<Vec<_>>())
}
