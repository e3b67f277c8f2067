//! `admin key`: make, rotate, list and revoke API keys.
//!
//! Invariant: a key's text is printed once, where it is made. Not here: keys that agents make for
//! themselves.

use super::{account_id, moment, open, rfc3339, scopes};
use crate::{
    cli::{admin::Key, value::AccountName},
    failure::Failure,
    print,
    table::{page, table},
    words::count,
};
use rynjer_core::{
    id::{AgentId, KeyId},
    scope::Scopes,
};
use rynjer_server::app::admin::Admin;
use rynjer_store::key::KeyRow;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

/// Runs `rynjer admin key …`.
pub(super) async fn run(command: Key, json: bool) -> Result<(), Failure> {
    match command {
        Key::Create { account, scopes, name, place } => {
            create(&open(&place)?, &account, scopes.unwrap_or(Scopes::ALL), &name, json).await
        }
        Key::List { account, place } => list(&open(&place)?, &account, json).await,
        Key::Rotate { key, overlap_hours, place } => rotate(&open(&place)?, &key, overlap_hours, json).await,
        Key::Revoke { key, place } => revoke(&open(&place)?, &key, json).await,
    }
}

async fn create(
    admin: &Admin,
    account: &AccountName,
    granted: Scopes,
    name: &str,
    json: bool,
) -> Result<(), Failure> {
    let account = account_id(admin, account).await?;
    let (row, secret) = admin.key_create(&account, granted, name).await?;
    let mut value = object(&row, admin.clock.now_ms());
    value["api_key"] = secret.expose().into();
    print::answer(json, &value, |style| {
        page(
            style,
            &[
                ("key", row.id.to_string()),
                ("account", row.account_id.to_string()),
                ("name", row.name.clone()),
                ("scopes", scopes(&row.scopes).join(", ")),
                ("api key", secret.expose().to_owned()),
            ],
        )
    })?;
    print::hint(json, "keep the API key safe: it is shown this once");
    Ok(())
}

async fn rotate(admin: &Admin, key: &KeyId, overlap_hours: i64, json: bool) -> Result<(), Failure> {
    let overlap_ms = overlap_hours * HOUR_MS;
    let old_ends_at_ms = Some(admin.clock.now_ms() + overlap_ms);
    let rotated = admin.key_rotate(key, overlap_ms).await;
    let (row, secret) = rotated.map_err(|error| Failure::from(error).naming(&format!("key {key}")))?;
    let mut value = object(&row, admin.clock.now_ms());
    value["api_key"] = secret.expose().into();
    value["old_key_id"] = key.as_str().into();
    value["old_key_ends_at"] = rfc3339(old_ends_at_ms).into();
    print::answer(json, &value, |style| {
        page(
            style,
            &[
                ("key", row.id.to_string()),
                ("name", row.name.clone()),
                ("scopes", scopes(&row.scopes).join(", ")),
                ("expires", moment(row.expires_at_ms)),
                ("api key", secret.expose().to_owned()),
                ("old key", key.to_string()),
                ("old key ends", moment(old_ends_at_ms)),
            ],
        )
    })?;
    print::hint(json, "keep the API key safe: it is shown this once");
    Ok(())
}

async fn list(admin: &Admin, account: &AccountName, json: bool) -> Result<(), Failure> {
    let account = account_id(admin, account).await?;
    let rows = admin.key_list(&account).await?;
    let now_ms = admin.clock.now_ms();
    let objects: Vec<Value> = rows.iter().map(|row| object(row, now_ms)).collect();
    print::answer(json, &json!({"account_id": account.as_str(), "keys": objects}), |style| {
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.name.clone(),
                row.prefix.clone(),
                row.agent_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                scopes(&row.scopes).join(","),
                state(row, now_ms).to_owned(),
                moment(row.last_used_at_ms),
                moment(row.expires_at_ms),
            ]
        });
        let headings = ["KEY", "NAME", "STARTS WITH", "AGENT", "SCOPES", "STATE", "LAST USED", "EXPIRES"];
        table(style, &headings, &cells.collect::<Vec<_>>())
    })?;
    print::hint(json, &count(rows.len(), "key", "keys"));
    Ok(())
}

async fn revoke(admin: &Admin, key: &KeyId, json: bool) -> Result<(), Failure> {
    let revoked = admin.key_revoke(key).await;
    let at_ms = revoked.map_err(|error| Failure::from(error).naming(&format!("key {key}")))?;
    let value = json!({"key_id": key.as_str(), "revoked": true, "revoked_at": rfc3339(Some(at_ms))});
    print::answer(json, &value, |style| {
        page(style, &[("key", key.to_string()), ("revoked", moment(Some(at_ms)))])
    })
}

fn state(row: &KeyRow, now_ms: i64) -> &'static str {
    if row.revoked_at_ms.is_some() {
        "revoked"
    } else if row.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
        "expired"
    } else {
        "active"
    }
}

/// A key for programs, without its secret.
fn object(row: &KeyRow, now_ms: i64) -> Value {
    json!({
        "key_id": row.id.as_str(),
        "key_name": row.name,
        "account_id": row.account_id.as_str(),
        "agent_id": row.agent_id.as_ref().map(AgentId::as_str),
        "prefix": row.prefix,
        "scopes": scopes(&row.scopes),
        "status": state(row, now_ms),
        "created_at": rfc3339(Some(row.created_at_ms)),
        "expires_at": rfc3339(row.expires_at_ms),
        "last_used_at": rfc3339(row.last_used_at_ms),
        "revoked_at": rfc3339(row.revoked_at_ms),
    })
}
