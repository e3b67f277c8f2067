//! `admin pause` and `admin resume`: accounts, models and providers.
//!
//! Invariant: a running gateway obeys within a second. Not here: agents (`agent`), freezes (`account`).

use super::{account_id, moment, open, prices::catalog, rfc3339};
use crate::{
    cli::admin::{Pause, Resume},
    failure::Failure,
    print,
    table::{page, table},
};
use rynjer_server::app::{admin::Admin, pause::Kind};
use serde_json::{Value, json};

/// Runs `rynjer admin pause …`.
pub(super) async fn run(command: Pause, json: bool) -> Result<(), Failure> {
    match command {
        Pause::Account { account, place } => {
            let admin = open(&place)?;
            let id = account_id(&admin, &account).await?;
            admin.account_pause(&id, true).await?;
            told(json, "account", id.as_str(), true)
        }
        Pause::Model { name, reason, place } => {
            open(&place)?.pause_set(&catalog(&place)?, Kind::Model, &name, &reason).await?;
            told(json, "model", &name, true)
        }
        Pause::Provider { name, reason, place } => {
            open(&place)?.pause_set(&catalog(&place)?, Kind::Provider, &name, &reason).await?;
            told(json, "provider", &name, true)
        }
        Pause::List { place } => list(&open(&place)?, json).await,
    }
}

/// Runs `rynjer admin resume …`.
pub(super) async fn resume(command: Resume, json: bool) -> Result<(), Failure> {
    let (kind, name, place) = match command {
        Resume::Account { account, place } => {
            let admin = open(&place)?;
            let id = account_id(&admin, &account).await?;
            admin.account_pause(&id, false).await?;
            return told(json, "account", id.as_str(), false);
        }
        Resume::Model { name, place } => (Kind::Model, name, place),
        Resume::Provider { name, place } => (Kind::Provider, name, place),
    };
    if !open(&place)?.pause_clear(kind, &name).await? {
        return Err(Failure::not_found(format!("the {} {name} is not paused", kind.as_str()))
            .suggest("`rynjer admin pause list` shows what is"));
    }
    told(json, kind.as_str(), &name, false)
}

fn told(json: bool, kind: &'static str, name: &str, paused: bool) -> Result<(), Failure> {
    let value = json!({"kind": kind, "name": name, "paused": paused});
    let state = if paused { "paused" } else { "works" };
    print::answer(json, &value, |style| page(style, &[(kind, name.to_owned()), ("state", state.to_owned())]))
}

async fn list(admin: &Admin, json: bool) -> Result<(), Failure> {
    let mut rows: Vec<(String, String, String, i64)> = Vec::new();
    for account in admin.account_list().await? {
        if let Some(at_ms) = account.paused_at_ms {
            rows.push(("account".to_owned(), account.id.to_string(), String::new(), at_ms));
        }
    }
    let stopped = admin.pause_list().await?;
    rows.extend(stopped.into_iter().map(|row| (row.kind, row.name, row.reason, row.created_at_ms)));
    let objects = rows.iter().map(|(kind, name, reason, at_ms)| {
        json!({"kind": kind, "name": name, "reason": reason, "paused_at": rfc3339(Some(*at_ms))})
    });
    let objects: Vec<Value> = objects.collect();
    print::answer(json, &json!({"paused": objects}), |style| {
        let cells = rows.iter().map(|(kind, name, reason, at_ms)| {
            vec![kind.clone(), name.clone(), moment(Some(*at_ms)), reason.clone()]
        });
        table(style, &["KIND", "NAME", "SINCE", "REASON"], &cells.collect::<Vec<_>>())
    })
}
