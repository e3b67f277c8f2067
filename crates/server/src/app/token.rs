//! Short-lived access tokens and the refresh tokens behind them.
//!
//! Invariant: a refresh token is spent once; a second use kills its family, unless the agent itself signed
//! the retry within 30 s, which gets the same successor. Not here: the tokens' storage.

use crate::{
    app::{
        Error, Field,
        actor::Actor,
        audit_log::note,
        caller::Caller,
        key::{asked_scopes, named_agent, scope_texts, verify_agent},
        request::Fields,
        signed,
    },
    entropy,
    keyring::Purpose,
    state::App,
};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rynjer_api::{RefreshRequest, TokenAnswer, TokenRequest};
use rynjer_core::{
    id::{AgentId, FamilyId},
    key::{ApiKey, KeyKind},
    scope::Scopes,
    time::DAY_MS,
};
use rynjer_store::{
    Tx, agent, key,
    token::{self, FamilyRow},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// Life of an access token.
pub(crate) const ACCESS_SECONDS: i64 = 900;
/// A signed retry gets the same successor for this long.
const RETRY_MS: i64 = 30_000;

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    acct: String,
    pub(crate) fam: String,
    pub(crate) scope: String,
    iat: i64,
    pub(crate) exp: i64,
    jti: String,
}

/// Exchanges an agent's API key and signature for an access token.
pub(crate) async fn issue(app: &App, caller: &Arc<Caller>, fields: &Fields) -> Result<TokenAnswer, Error> {
    if !caller.is_key || caller.agent.is_none() {
        return Err(Error::InvalidToken {
            hint: Some("send the agent's API key (ryn_agent_v1_…) as the bearer"),
        });
    }
    let mut problems = Vec::new();
    let asked = asked_scopes(fields, &mut problems);
    if asked.is_some_and(Scopes::is_empty) {
        problems.push(Field::new("scopes", "must name at least one scope"));
    }
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let agent = named_agent(app, fields).await?;
    if caller.agent.as_ref() != Some(&agent.id) {
        return Err(Error::InvalidSignature { reason: "the API key belongs to another agent".into() });
    }
    let signed = verify_agent(app, fields, &agent)?;
    let scopes = asked.unwrap_or(caller.scopes);
    let granted = caller.scopes;
    let now_ms = app.now_ms();
    let refresh = ApiKey::new(KeyKind::RefreshToken, entropy::bytes());
    let hash = refresh.hash();
    let lives_ms = i64::from(app.config.retention.refresh_family_days) * DAY_MS;
    let family_id = FamilyId::new(now_ms, entropy::id());
    let key_id = caller.key.clone();
    let account_id = caller.account.clone();
    let family = signed::commit(app, Some(signed), move |tx| {
        if !scopes.is_subset(granted) {
            return Err(Error::ScopeNotAllowed { needed: scopes.without(granted).to_text() });
        }
        let credential = own_key(tx, &account_id, &agent.id, &key_id, now_ms)?;
        let family = FamilyRow {
            id: family_id.clone(),
            account_id: account_id.clone(),
            agent_id: agent.id.clone(),
            key_id: key_id.clone(),
            scopes: scopes.to_text(),
            created_at_ms: now_ms,
            expires_at_ms: credential.map_or(now_ms + lives_ms, |at| at.min(now_ms + lives_ms)),
            revoked_at_ms: None,
        };
        token::insert_family(tx, &family)?;
        token::insert_refresh(tx, &family.id, &hash, now_ms)?;
        Ok(family)
    })
    .await?;
    answer(app, &family, Some(&refresh), caller.live, fields.unknown(TokenRequest::FIELDS))
}

/// When the key expires, if it is still good inside this unit.
fn own_key(
    tx: &mut dyn Tx,
    account: &rynjer_core::id::AccountId,
    agent: &AgentId,
    key_id: &rynjer_core::id::KeyId,
    now_ms: i64,
) -> Result<Option<i64>, Error> {
    let rows = key::of_agent(tx, account, agent)?;
    let row = rows.into_iter().find(|row| row.id == *key_id && row.revoked_at_ms.is_none());
    let row = row.ok_or(Error::InvalidToken { hint: None })?;
    if row.expires_at_ms.is_some_and(|at| at <= now_ms) {
        return Err(Error::ExpiredToken);
    }
    Ok(row.expires_at_ms)
}

/// What a refresh decided inside its unit; a killed family must be committed, so it is no error there.
enum Refreshed {
    Rotated(FamilyRow, bool),
    Killed,
}

/// Spends a refresh token for its successor and a new access token.
pub(crate) async fn refresh(app: &App, fields: &Fields) -> Result<TokenAnswer, Error> {
    let mut problems = Vec::new();
    let text = fields.required_str("refresh_token", &mut problems);
    let Some(text) = text else { return Err(Error::Invalid(problems)) };
    let parsed = ApiKey::parse(text).map_err(|error| match error {
        rynjer_core::key::KeyError::UnexpandedVariable => Error::UnexpandedToken,
        _ => Error::InvalidToken { hint: None },
    })?;
    if parsed.kind != KeyKind::RefreshToken {
        return Err(Error::InvalidToken {
            hint: Some("send the refresh_token of auth/token or auth/refresh"),
        });
    }
    let hash = parsed.hash;
    let signed = match fields.get("signature") {
        None => None,
        Some(_) => Some(verify_owner(app, fields, hash).await?),
    };
    let (_, successor_seed) = app.keyring.sign(Purpose::Refresh, &hash)?;
    let successor_entropy = successor_seed.first_chunk::<24>().copied().unwrap_or_default();
    let successor = ApiKey::new(KeyKind::RefreshToken, successor_entropy);
    let (successor_hash, now_ms) = (successor.hash(), app.now_ms());
    let by_owner = signed.is_some();
    let rotated = move |tx: &mut dyn Tx| rotate(tx, &hash, &successor_hash, by_owner, now_ms);
    let refreshed = signed::commit(app, signed, rotated).await?;
    match refreshed {
        Refreshed::Rotated(family, live) => {
            answer(app, &family, Some(&successor), live, fields.unknown(RefreshRequest::FIELDS))
        }
        Refreshed::Killed => {
            app.credentials_changed();
            Err(Error::InvalidToken {
                hint: Some("the refresh token was used before, so all tokens of its family are revoked"),
            })
        }
    }
}

/// Verifies a signed refresh under the key of the agent that owns the token.
async fn verify_owner(app: &App, fields: &Fields, hash: [u8; 32]) -> Result<signed::Signed, Error> {
    let found = app
        .store
        .read(move |tx| {
            let Some(row) = token::refresh(tx, &hash)? else { return Ok::<_, Error>(None) };
            Ok(agent::get(tx, &row.family.agent_id)?)
        })
        .await?;
    let agent = found.ok_or(Error::InvalidToken { hint: None })?;
    verify_agent(app, fields, &agent)
}

fn rotate(
    tx: &mut dyn Tx,
    hash: &[u8; 32],
    successor: &[u8; 32],
    signed: bool,
    now_ms: i64,
) -> Result<Refreshed, Error> {
    token::lock_family(tx, hash)?;
    let row = token::refresh(tx, hash)?.ok_or(Error::InvalidToken { hint: None })?;
    let family = row.family;
    if family.revoked_at_ms.is_some() {
        return Err(Error::InvalidToken { hint: None });
    }
    if family.expires_at_ms <= now_ms {
        return Err(Error::ExpiredToken);
    }
    let credential = key::credential_by_family(tx, &family.id)?.ok_or(Error::InvalidToken { hint: None })?;
    let agent_gone = credential
        .agent
        .as_ref()
        .is_none_or(|agent| agent.revoked || agent.account_id.as_ref() != Some(&family.account_id));
    if credential.key.revoked_at_ms.is_some() || agent_gone {
        return Err(Error::InvalidToken { hint: None });
    }
    let live = credential.account_mode == "live";
    if token::spend(tx, hash, now_ms)? {
        token::insert_refresh(tx, &family.id, successor, now_ms)?;
        return Ok(Refreshed::Rotated(family, live));
    }
    // An honest agent that lost the answer signs its retry; whoever else comes second has stolen something.
    let recent = row.used_at_ms.is_some_and(|at| now_ms - at <= RETRY_MS);
    let unspent = token::refresh(tx, successor)?.is_some_and(|next| next.used_at_ms.is_none());
    if signed && recent && unspent {
        return Ok(Refreshed::Rotated(family, live));
    }
    token::revoke_family(tx, &family.id, now_ms)?;
    let (account, agent) = (Some(&family.account_id), family.agent_id.as_str());
    let detail = json!({ "key_id": family.key_id.as_str(), "revoked": "all tokens of the family" });
    note(tx, now_ms, &Actor::Gateway, account, "token.reused", agent, &detail)?;
    Ok(Refreshed::Killed)
}

/// A signed access token of a family, with the refresh token that follows it.
pub(crate) fn answer(
    app: &App,
    family: &FamilyRow,
    refresh: Option<&ApiKey>,
    live: bool,
    warnings: Vec<String>,
) -> Result<TokenAnswer, Error> {
    let now_s = app.now_ms() / 1000;
    let exp = (now_s + ACCESS_SECONDS).min(family.expires_at_ms / 1000);
    let jti: [u8; 12] = entropy::bytes();
    let claims = Claims {
        iss: app.base_url().to_owned(),
        aud: signed::host(app).to_owned(),
        sub: family.agent_id.to_string(),
        acct: family.account_id.to_string(),
        fam: family.id.to_string(),
        scope: family.scopes.clone(),
        iat: now_s,
        exp,
        jti: data_encoding::BASE64URL_NOPAD.encode(&jti),
    };
    let (kid, seed) = app.keyring.current(Purpose::Token)?;
    let der = SigningKey::from_bytes(&seed).to_pkcs8_der().map_err(Error::internal)?;
    let header = Header { kid: Some(kid), ..Header::new(Algorithm::EdDSA) };
    let access_token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(der.as_bytes()))
        .map_err(Error::internal)?;
    let scopes = Scopes::from_text(&family.scopes).unwrap_or(Scopes::NONE);
    Ok(TokenAnswer {
        access_token,
        token_type: "Bearer".to_owned(),
        expires_in: exp - now_s,
        refresh_token: refresh.map(|refresh| refresh.expose().to_owned()),
        agent_id: family.agent_id.to_string(),
        account_id: family.account_id.to_string(),
        scopes: scope_texts(scopes),
        mode: Some(if live { rynjer_api::Mode::Live } else { rynjer_api::Mode::Test }),
        warnings,
    })
}

/// Checks an access token's signature, issuer, audience and time; not whether it was revoked.
pub(crate) async fn verify(app: &App, text: &str) -> Result<Claims, Error> {
    let invalid = || Error::InvalidToken { hint: None };
    let header = jsonwebtoken::decode_header(text).map_err(|_| invalid())?;
    let kid = header.kid.ok_or_else(invalid)?;
    app.keyring.meet(Purpose::Token, &kid).await;
    let seed = app.keyring.by_id(Purpose::Token, &kid).ok_or_else(invalid)?;
    let public = SigningKey::from_bytes(&seed).verifying_key();
    let mut validation = Validation::new(Algorithm::EdDSA);
    // The time is ours to check, by the clock that tests can move.
    validation.validate_exp = false;
    validation.set_audience(&[signed::host(app)]);
    validation.set_issuer(&[app.base_url()]);
    let key = DecodingKey::from_ed_der(public.as_bytes());
    let claims = jsonwebtoken::decode::<Claims>(text, &key, &validation).map_err(|_| invalid())?.claims;
    if claims.exp * 1000 <= app.now_ms() {
        return Err(Error::ExpiredToken);
    }
    Ok(claims)
}
