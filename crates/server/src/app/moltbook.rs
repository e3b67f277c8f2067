//! Agents that Moltbook vouches for: an identity token for an access token.
//!
//! Invariant: a Moltbook id is one agent, which gets a token only while an owner has bound it; its tokens
//! hang on a key that nobody holds, so whatever stops keys stops them. Not here: asking Moltbook (`peers`).

use crate::{
    app::{
        Error, Refused,
        actor::Actor,
        agent::{begin, bind_url},
        audit_log::note,
        bind::MOLTBOOK,
        request::Fields,
        restoration, signed, token,
    },
    entropy,
    state::App,
};
use rynjer_api::{MoltbookExchangeRequest, TokenAnswer};
use rynjer_core::id::{AccountId, FamilyId, KeyId};
use rynjer_peers::moltbook::{Identity, Problem};
use rynjer_store::{
    Tx, account,
    agent::{self, AgentRow, Registration},
    key::{self, KeyRow},
    moltbook,
    token::FamilyRow,
};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Longest identity token that is sent on.
const TOKEN_LETTERS_MAX: usize = 4096;

fn refused(reason: &'static str) -> Error {
    Error::MoltbookRefused { refused: Refused::Invalid, reason }
}

/// The identity token of a request. What can't be one is not sent to Moltbook.
fn identity_token<'a>(header: Option<&'a str>, fields: &'a Fields) -> Result<&'a str, Error> {
    let mut problems = Vec::new();
    let field = fields.opt_str("identity_token", &mut problems);
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let token = match (header.map(str::trim).filter(|token| !token.is_empty()), field) {
        (Some(header), Some(field)) if header != field => {
            return Err(Error::field("identity_token", "differs from the header X-Moltbook-Identity"));
        }
        (Some(token), _) | (None, Some(token)) => token,
        (None, None) => {
            let reason = "send the identity token in the header X-Moltbook-Identity";
            return Err(Error::MoltbookRefused { refused: Refused::Missing, reason });
        }
    };
    if token.starts_with('$') {
        return Err(Error::UnexpandedToken);
    }
    if token.starts_with("moltbook_") || token.starts_with("moltdev_") {
        return Err(refused(
            "that is a Moltbook API key, which belongs to Moltbook alone: replace it there, and send an \
             identity token",
        ));
    }
    if token.len() > TOKEN_LETTERS_MAX || !token.bytes().all(|letter| letter.is_ascii_graphic()) {
        return Err(refused("it is not an identity token"));
    }
    Ok(token)
}

/// Exchanges an identity token for an access token of 15 minutes.
pub(crate) async fn exchange(app: &App, header: Option<&str>, fields: &Fields) -> Result<TokenAnswer, Error> {
    let peer = app.moltbook.as_ref().ok_or(Error::MoltbookOff)?;
    let token = identity_token(header, fields)?;
    let identity = peer.verify(token, signed::host(app)).await.map_err(|problem| of_problem(&problem))?;
    let now_ms = app.now_ms();
    let public_key = format!("{MOLTBOOK}{}", identity.id);
    let (registration, codes) = begin(now_ms, public_key, &identity.name, "moltbook");
    let fresh = Fresh {
        registration,
        key: KeyId::new(now_ms, entropy::id()),
        // Nobody ever sees what this is the hash of.
        hash: Sha256::digest(entropy::bytes::<32>()).into(),
        family: FamilyId::new(now_ms, entropy::id()),
        restoring: restoration::refuse(app).err(),
    };
    let unit = move |tx: &mut dyn Tx| exchanged(tx, &identity, &fresh, now_ms);
    match app.store.write(unit).await? {
        Exchanged::Token { family, live } => {
            token::answer(app, &family, None, live, fields.unknown(MoltbookExchangeRequest::FIELDS))
        }
        Exchanged::NotBound(agent) => {
            Err(Error::MoltbookNotBound { agent_id: agent.id.to_string(), bind_url: bind_url(app), codes })
        }
    }
}

/// What the agent can mend is told to it; the rest is the operator's to mend, or passes.
fn of_problem(problem: &Problem) -> Error {
    match problem {
        Problem::Expired => {
            Error::MoltbookRefused { refused: Refused::Expired, reason: "the token has expired" }
        }
        Problem::Invalid => refused("Moltbook does not know the token"),
        Problem::WrongAudience => refused("the token was made for another service"),
        Problem::AgentGone => refused("Moltbook has no such agent any more"),
        Problem::Name => refused("the agent's name there holds characters that are not taken here"),
        Problem::TooOften { retry_after_s } => Error::MoltbookAway { retry_after_s: *retry_after_s },
        Problem::AppKey => {
            tracing::error!("Moltbook does not take this gateway's app key: set RYNJER_MOLTBOOK_APP_KEY");
            Error::MoltbookAway { retry_after_s: 60 }
        }
        Problem::Away(_) => {
            tracing::warn!(%problem, "an identity could not be verified");
            Error::MoltbookAway { retry_after_s: 5 }
        }
    }
}

/// What an exchange may need, drawn before its unit.
struct Fresh {
    registration: Registration,
    key: KeyId,
    hash: [u8; 32],
    family: FamilyId,
    /// Set while nothing new is taken.
    restoring: Option<Error>,
}

/// How an exchange ended. That the agent has no owner is no error inside the unit: its codes are kept.
enum Exchanged {
    Token { family: FamilyRow, live: bool },
    NotBound(AgentRow),
}

fn exchanged(tx: &mut dyn Tx, identity: &Identity, fresh: &Fresh, now_ms: i64) -> Result<Exchanged, Error> {
    let known = match agent::by_public_key(tx, &fresh.registration.public_key)? {
        Some(agent) => agent::lock(tx, &agent.id)?,
        None => None,
    };
    if known.as_ref().is_some_and(|agent| agent.revoked_at_ms.is_some()) {
        return Err(refused("the agent was revoked here"));
    }
    let bound = known.and_then(|agent| agent.account_id.clone().map(|account| (agent, account)));
    let Some((agent, account_id)) = bound else {
        if let Some(restoring) = &fresh.restoring {
            return Err(restoring.clone());
        }
        let agent = agent::register(tx, &fresh.registration)?;
        moltbook::register(tx, &identity.id, &agent.id, now_ms)?;
        return Ok(Exchanged::NotBound(agent));
    };
    if agent.paused_at_ms.is_some() {
        return Err(Error::AgentPaused);
    }
    let key_id = standing_key(tx, identity, &agent, &account_id, fresh, now_ms)?;
    key::touch(tx, &key_id, now_ms)?;
    let family = FamilyRow {
        id: fresh.family.clone(),
        account_id: account_id.clone(),
        agent_id: agent.id,
        key_id,
        scopes: agent.scopes,
        created_at_ms: now_ms,
        expires_at_ms: now_ms + token::ACCESS_SECONDS * 1000,
        revoked_at_ms: None,
    };
    rynjer_store::token::insert_family(tx, &family)?;
    let live = account::get(tx, &account_id)?.is_some_and(|account| account.mode == "live");
    Ok(Exchanged::Token { family, live })
}

/// The key of the agent's present bond, with the scopes that it has now; made at the first exchange.
fn standing_key(
    tx: &mut dyn Tx,
    identity: &Identity,
    agent: &AgentRow,
    account: &AccountId,
    fresh: &Fresh,
    now_ms: i64,
) -> Result<KeyId, Error> {
    let known = match moltbook::key(tx, &identity.id)? {
        Some(id) => key::get(tx, account, &id)?,
        None => None,
    };
    if let Some(known) = known {
        let since_bound = |at_ms: i64| agent.bound_at_ms.is_none_or(|bound| at_ms > bound);
        match known.revoked_at_ms {
            None if known.scopes != agent.scopes => {
                key::set_scopes(tx, &known.id, &agent.scopes)?;
                return Ok(known.id);
            }
            None => return Ok(known.id),
            Some(at_ms) if since_bound(at_ms) => {
                return Err(refused("its key was revoked here; the owner can bind the agent again"));
            }
            // Revoked with an earlier bond.
            Some(_) => {}
        }
    }
    let row = KeyRow {
        id: fresh.key.clone(),
        account_id: account.clone(),
        agent_id: Some(agent.id.clone()),
        name: "Moltbook".to_owned(),
        prefix: MOLTBOOK.to_owned(),
        hash: fresh.hash,
        scopes: agent.scopes.clone(),
        created_at_ms: now_ms,
        expires_at_ms: None,
        last_used_at_ms: None,
        revoked_at_ms: None,
    };
    key::insert(tx, &row)?;
    moltbook::set_key(tx, &identity.id, &row.id)?;
    let by = Actor::Agent(agent.id.clone());
    let detail = json!({ "name": row.name, "scopes": row.scopes });
    note(tx, now_ms, &by, Some(account), "key.created", row.id.as_str(), &detail)?;
    Ok(row.id)
}
