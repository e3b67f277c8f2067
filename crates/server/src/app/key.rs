//! An agent's API keys: create, list, revoke.
//!
//! Invariant: a key's scopes never exceed what the owner granted its agent, and its text leaves the process
//! once. Not here: account keys (`admin`).

use crate::{
    app::{
        Error, Field, actor::Actor, agent::bind_url, audit_log::note, caller::Caller, request::Fields,
        restoration, signed,
    },
    entropy,
    state::App,
};
use rynjer_api::{
    KeyCreateAnswer, KeyCreateRequest, KeyListAnswer, KeyListRequest, KeyRevokeAnswer, KeyRevokeRequest,
    KeyStatus, KeySummary,
};
use rynjer_core::{
    id::{AgentId, KeyId},
    key::{ApiKey, KeyKind, constant_time_eq},
    scope::Scopes,
    signature::PublicKey,
    time::{DAY_MS, rfc3339},
};
use rynjer_store::{
    Tx,
    agent::{self, AgentRow},
    key::{self, KeyRow},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The agent that a request names; strangers and unknown ids look the same.
pub(crate) async fn named_agent(app: &App, fields: &Fields) -> Result<AgentRow, Error> {
    let mut problems = Vec::new();
    let Some(text) = fields.required_str("agent_id", &mut problems) else {
        return Err(Error::Invalid(problems));
    };
    let unknown = || Error::InvalidSignature { reason: "no such agent, or its key did not sign this".into() };
    let id = AgentId::parse(text).ok_or_else(|| Error::field("agent_id", "is not an agent id"))?;
    let found = app.store.read(move |tx| Ok::<_, Error>(agent::get(tx, &id)?)).await?;
    found.filter(|agent| agent.revoked_at_ms.is_none()).ok_or_else(unknown)
}

/// Verifies a request under the key of the agent that it names.
pub(crate) fn verify_agent(app: &App, fields: &Fields, agent: &AgentRow) -> Result<signed::Signed, Error> {
    // An agent that another network vouches for has no key, so nothing is signed by it.
    let no_key = |_| Error::InvalidSignature { reason: "no such agent, or its key did not sign this".into() };
    let public_key = PublicKey::parse_hex(&agent.public_key).map_err(no_key)?;
    signed::verify(app, fields, &public_key)
}

/// The scopes that a request asks for.
pub(crate) fn asked_scopes(fields: &Fields, problems: &mut Vec<Field>) -> Option<Scopes> {
    let texts = fields.opt_strings("scopes", problems)?;
    if texts.len() > 16 || texts.iter().any(|text| text.len() > 32) {
        problems.push(Field::new("scopes", "must be at most 16 scopes of at most 32 characters"));
        return None;
    }
    match Scopes::parse(texts) {
        Ok(scopes) => Some(scopes),
        Err(unknown) => {
            problems.push(Field {
                field: "scopes".into(),
                problem: unknown.to_string(),
                allowed: Scopes::ALL.iter().map(|scope| scope.as_str().to_owned()).collect(),
            });
            None
        }
    }
}

/// What a new key is asked to be.
struct Wanted {
    name: String,
    registration_code: String,
    days: i64,
    scopes: Scopes,
}

fn wanted(fields: &Fields) -> Result<Wanted, Error> {
    let mut problems = Vec::new();
    let name = fields.label("key_name", 100, &mut problems).map(str::to_owned);
    let code = fields.required_str("registration_code", &mut problems).map(str::to_owned);
    let days = fields.required_i64("expires_in_days", &mut problems);
    let scopes = asked_scopes(fields, &mut problems);
    if fields.get("scopes").is_none() {
        problems.push(Field::new("scopes", "is required"));
    }
    if scopes.is_some_and(Scopes::is_empty) {
        problems.push(Field::new("scopes", "must name at least one scope"));
    }
    if days.is_some_and(|days| !(1..=365).contains(&days)) {
        problems.push(Field::new("expires_in_days", "must be 1 to 365"));
    }
    match (name, code, days, scopes) {
        (Some(name), Some(registration_code), Some(days), Some(scopes)) if problems.is_empty() => {
            Ok(Wanted { name, registration_code, days, scopes })
        }
        _ => Err(Error::Invalid(problems)),
    }
}

/// Makes a key for a bound agent.
pub(crate) async fn create(app: &App, fields: &Fields) -> Result<KeyCreateAnswer, Error> {
    restoration::refuse(app)?;
    let Wanted { name, registration_code: code, days, scopes } = wanted(fields)?;
    let agent = named_agent(app, fields).await?;
    let signed = verify_agent(app, fields, &agent)?;
    let now_ms = app.now_ms();
    let secret = ApiKey::new(KeyKind::Agent, entropy::bytes());
    let (prefix, hash) = (secret.display_prefix(), secret.hash());
    let (bind_url, limit) = (bind_url(app), app.config.limits.keys_per_agent);
    let expires_at_ms = now_ms + days * DAY_MS;
    let key_id = KeyId::new(now_ms, entropy::id());
    let new_id = key_id.clone();
    signed::commit(app, Some(signed), move |tx| {
        let agent = agent::lock(tx, &agent.id)?.ok_or(Error::RegistrationCodeInvalid)?;
        let proven = ApiKey::parse(&code).is_ok_and(|c| constant_time_eq(&c.hash, &agent.registration_hash));
        // A code that ended before the agent came to its owner was shown to an earlier one.
        let outlived = agent.bound_at_ms.is_some_and(|at| agent.registration_expires_at_ms <= at);
        if !proven || outlived || agent.revoked_at_ms.is_some() {
            return Err(Error::RegistrationCodeInvalid);
        }
        let unbound = || Error::AgentNotBound { bind_url: bind_url.clone() };
        let account_id = agent.account_id.clone().ok_or_else(unbound)?;
        let granted = Scopes::from_text(&agent.scopes).unwrap_or(Scopes::NONE);
        if !scopes.is_subset(granted) {
            return Err(Error::ScopeNotAllowed { needed: scopes.without(granted).to_text() });
        }
        if key::live_count(tx, &agent.id, now_ms)? >= i64::from(limit) {
            return Err(Error::TooManyKeys { limit });
        }
        let row = KeyRow {
            id: new_id.clone(),
            account_id,
            agent_id: Some(agent.id),
            name: name.clone(),
            prefix: prefix.clone(),
            hash,
            scopes: scopes.to_text(),
            created_at_ms: now_ms,
            expires_at_ms: Some(expires_at_ms),
            last_used_at_ms: None,
            revoked_at_ms: None,
        };
        key::insert(tx, &row)?;
        let detail = json!({ "name": row.name, "scopes": row.scopes, "expires_at": rfc3339(expires_at_ms) });
        note_of_agent(tx, now_ms, &row, "key.created", &detail)
    })
    .await?;
    Ok(KeyCreateAnswer {
        key_id: key_id.to_string(),
        api_key: secret.expose().to_owned(),
        scopes: scope_texts(scopes),
        expires_at: rfc3339(expires_at_ms),
        mode: None,
        warnings: fields.unknown(KeyCreateRequest::FIELDS),
    })
}

/// A line about what an agent did to a key of its own.
fn note_of_agent(
    tx: &mut dyn Tx,
    now_ms: i64,
    row: &KeyRow,
    action: &'static str,
    detail: &Value,
) -> Result<(), Error> {
    let Some(agent) = &row.agent_id else { return Ok(()) };
    let by = Actor::Agent(agent.clone());
    Ok(note(tx, now_ms, &by, Some(&row.account_id), action, row.id.as_str(), detail)?)
}

/// Scopes as the wire lists them.
pub(crate) fn scope_texts(scopes: Scopes) -> Vec<String> {
    scopes.iter().map(|scope| scope.as_str().to_owned()).collect()
}

/// The agent that lists or revokes: the bearer's, or the one that signed.
async fn acting_agent(
    app: &App,
    caller: Option<&Arc<Caller>>,
    fields: &Fields,
) -> Result<(AgentRow, Option<signed::Signed>), Error> {
    if let Some(caller) = caller {
        let id =
            caller.agent.clone().ok_or(Error::ScopeNotAllowed { needed: "an agent's credential".into() })?;
        let agent = app.store.read(move |tx| Ok::<_, Error>(agent::get(tx, &id)?)).await?;
        let agent = agent.ok_or(Error::NotFound)?;
        let named = fields.get("agent_id").and_then(|id| id.as_str());
        if named.is_some_and(|named| named != agent.id.as_str()) {
            return Err(Error::NotFound);
        }
        return Ok((agent, None));
    }
    if fields.get("signature").is_none() {
        return Err(Error::MissingCredentials);
    }
    let agent = named_agent(app, fields).await?;
    let signed = verify_agent(app, fields, &agent)?;
    Ok((agent, Some(signed)))
}

/// Lists an agent's keys, without secrets.
pub(crate) async fn list(
    app: &App,
    caller: Option<&Arc<Caller>>,
    fields: &Fields,
) -> Result<KeyListAnswer, Error> {
    let (agent, signed) = acting_agent(app, caller, fields).await?;
    let now_ms = app.now_ms();
    let rows = signed::commit(app, signed, move |tx| match &agent.account_id {
        Some(account) => Ok(key::of_agent(tx, account, &agent.id)?),
        None => Ok(Vec::new()),
    })
    .await?;
    Ok(KeyListAnswer {
        keys: rows.iter().map(|row| summary(row, now_ms)).collect(),
        mode: caller.map(|caller| caller.mode()),
        warnings: fields.unknown(KeyListRequest::FIELDS),
    })
}

fn summary(row: &KeyRow, now_ms: i64) -> KeySummary {
    let status = match (row.revoked_at_ms, row.expires_at_ms) {
        (Some(_), _) => KeyStatus::Revoked,
        (None, Some(at)) if at <= now_ms => KeyStatus::Expired,
        (None, _) => KeyStatus::Active,
    };
    KeySummary {
        key_id: row.id.to_string(),
        key_name: row.name.clone(),
        prefix: row.prefix.clone(),
        scopes: scope_texts(Scopes::from_text(&row.scopes).unwrap_or(Scopes::NONE)),
        created_at: rfc3339(row.created_at_ms),
        expires_at: row.expires_at_ms.map(rfc3339),
        last_used_at: row.last_used_at_ms.map(rfc3339),
        revoked_at: row.revoked_at_ms.map(rfc3339),
        status,
    }
}

/// Revokes a key of the agent, with every token that came from it.
pub(crate) async fn revoke(
    app: &App,
    caller: Option<&Arc<Caller>>,
    fields: &Fields,
) -> Result<KeyRevokeAnswer, Error> {
    let mut problems = Vec::new();
    let key_id = fields.required_str("key_id", &mut problems).map(str::to_owned);
    let Some(key_id) = key_id else { return Err(Error::Invalid(problems)) };
    let (agent, signed) = acting_agent(app, caller, fields).await?;
    let now_ms = app.now_ms();
    let id = KeyId::parse(&key_id);
    let revoked_at_ms = signed::commit(app, signed, move |tx| {
        let (Some(id), Some(account)) = (&id, &agent.account_id) else { return Err(Error::NotFound) };
        let own = key::of_agent(tx, account, &agent.id)?.into_iter().find(|row| row.id == *id);
        let own = own.ok_or(Error::NotFound)?;
        let revoked_at_ms = key::revoke(tx, account, id, now_ms)?.ok_or(Error::NotFound)?;
        if own.revoked_at_ms.is_none() {
            note_of_agent(tx, now_ms, &own, "key.revoked", &json!({}))?;
        }
        Ok(revoked_at_ms)
    })
    .await?;
    app.credentials_changed();
    Ok(KeyRevokeAnswer {
        key_id,
        revoked: true,
        revoked_at: rfc3339(revoked_at_ms),
        mode: caller.map(|caller| caller.mode()),
        warnings: fields.unknown(KeyRevokeRequest::FIELDS),
    })
}
