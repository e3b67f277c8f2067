//! `admin agent`: bind, list, pause, revoke, unbind, transfer.
//!
//! Invariant: the registration code is shown nowhere. Not here: the agent's own side, which is the API.

use super::{account_id, moment, open, rfc3339, scopes};
use crate::{
    cli::{
        admin::Agent,
        value::{AccountName, Limit},
    },
    failure::Failure,
    print,
    table::{page, table},
    terminal::Style,
    words::{count, credits},
};
use rynjer_core::{id::AccountId, scope::Scopes};
use rynjer_server::app::{Error, admin::Admin};
use rynjer_store::agent::AgentRow;
use serde_json::{Value, json};

/// Runs `rynjer admin agent …`.
pub(super) async fn run(command: Agent, json: bool) -> Result<(), Failure> {
    match command {
        Agent::Bind { code, account, scopes, budget, place } => {
            bind(&open(&place)?, &code, (&account, scopes), budget, json).await
        }
        Agent::List { account, place } => list(&open(&place)?, account.as_ref(), json).await,
        Agent::Pause { agent, resume, place } => {
            let admin = open(&place)?;
            changed(admin.agent_pause(&agent, !resume).await, agent.as_str(), json)
        }
        Agent::Revoke { agent, place } => {
            let admin = open(&place)?;
            changed(admin.agent_revoke(&agent).await, agent.as_str(), json)
        }
        Agent::Unbind { agent, place } => {
            let admin = open(&place)?;
            changed(admin.agent_unbind(&agent).await, agent.as_str(), json)
        }
        Agent::Transfer { agent, to, place } => {
            let admin = open(&place)?;
            let to = account_id(&admin, &to).await?;
            changed(admin.agent_transfer(&agent, &to).await, agent.as_str(), json)
        }
    }
}

async fn bind(
    admin: &Admin,
    code: &str,
    (account, scopes): (&AccountName, Scopes),
    budget: Option<Limit>,
    json: bool,
) -> Result<(), Failure> {
    let account = account_id(admin, account).await?;
    let limit = budget.map(|limit| (limit.credits, limit.period));
    let row = admin.agent_bind(code, &account, scopes, limit).await?;
    let mut value = object(&row);
    if let Some(limit) = budget {
        value["budget"] = json!({"limit": limit.credits.0, "period": limit.period.as_str()});
    }
    print::answer(json, &value, |style| {
        let mut text = one(style, &row);
        if let Some(limit) = budget {
            let period = match limit.period.as_str() {
                "total" => "in total".to_owned(),
                period => format!("per {period}"),
            };
            text.push('\n');
            text.push_str(&page(style, &[("budget  ", format!("{} {period}", credits(limit.credits.0)))]));
        }
        text
    })
}

async fn list(admin: &Admin, account: Option<&AccountName>, json: bool) -> Result<(), Failure> {
    let account = match account {
        Some(name) => Some(account_id(admin, name).await?),
        None => None,
    };
    let rows = admin.agent_list(account).await?;
    let objects: Vec<Value> = rows.iter().map(object).collect();
    print::answer(json, &json!({"agents": objects}), |style| {
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.name.clone(),
                row.version.clone(),
                owner(row),
                scopes(&row.scopes).join(","),
                state(row).to_owned(),
                moment(Some(row.created_at_ms)),
            ]
        });
        let headings = ["AGENT", "NAME", "VERSION", "ACCOUNT", "SCOPES", "STATE", "REGISTERED"];
        table(style, &headings, &cells.collect::<Vec<_>>())
    })?;
    print::hint(json, &count(rows.len(), "agent", "agents"));
    Ok(())
}

fn changed(result: Result<AgentRow, Error>, id: &str, json: bool) -> Result<(), Failure> {
    let row = result.map_err(|error| Failure::from(error).naming(&format!("agent {id}")))?;
    print::answer(json, &object(&row), |style| one(style, &row))
}

fn owner(row: &AgentRow) -> String {
    row.account_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn state(row: &AgentRow) -> &'static str {
    if row.revoked_at_ms.is_some() {
        "revoked"
    } else if row.paused_at_ms.is_some() {
        "paused"
    } else if row.account_id.is_some() {
        "active"
    } else {
        "not bound"
    }
}

/// An agent for programs.
fn object(row: &AgentRow) -> Value {
    json!({
        "agent_id": row.id.as_str(),
        "agent_name": row.name,
        "agent_version": row.version,
        "public_key": row.public_key,
        "account_id": row.account_id.as_ref().map(AccountId::as_str),
        "bound": row.account_id.is_some(),
        "scopes": scopes(&row.scopes),
        "paused": row.paused_at_ms.is_some(),
        "revoked": row.revoked_at_ms.is_some(),
        "created_at": rfc3339(Some(row.created_at_ms)),
        "bound_at": rfc3339(row.bound_at_ms),
        "paused_at": rfc3339(row.paused_at_ms),
        "revoked_at": rfc3339(row.revoked_at_ms),
    })
}

/// An agent for people.
fn one(style: Style, row: &AgentRow) -> String {
    page(
        style,
        &[
            ("agent", row.id.to_string()),
            ("name", format!("{} {}", row.name, row.version).trim_end().to_owned()),
            ("key", row.public_key.clone()),
            ("account", owner(row)),
            ("scopes", scopes(&row.scopes).join(", ")),
            ("state", state(row).to_owned()),
            ("bound", moment(row.bound_at_ms)),
        ],
    )
}
