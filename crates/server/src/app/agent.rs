//! Registration: an agent proves that it holds its key and gets a code for its owner.
//!
//! Invariant: the same key is the same agent, and each registration makes the earlier code useless. Not here:
//! binding (`bind`).

use crate::{
    app::{Error, Field, request::Fields, restoration, signed},
    entropy,
    state::App,
};
use rynjer_api::{RegisterAnswer, RegisterRequest};
use rynjer_core::{
    id::AgentId,
    key::{self, ApiKey, KeyKind},
    signature::PublicKey,
    time::rfc3339,
};
use rynjer_store::agent::{self, Registration};
use sha2::{Digest, Sha256};
use std::fmt;

/// How long a code can bind.
const CODE_LIVES_MS: i64 = 24 * 3_600_000;
/// How long the short code for human eyes lives.
const USER_CODE_LIVES_MS: i64 = 600_000;

/// Registers a public key, or gives a known one's agent a fresh code.
pub(crate) async fn register(app: &App, fields: &Fields) -> Result<RegisterAnswer, Error> {
    restoration::refuse(app)?;
    let mut problems = Vec::new();
    let public_key = fields.required_str("public_key", &mut problems);
    let name = fields.label("agent_name", 100, &mut problems);
    let version = fields.label("agent_version", 50, &mut problems);
    let public_key = public_key.and_then(|text| {
        PublicKey::parse_hex(text).map_err(|e| problems.push(Field::new("public_key", e.to_string()))).ok()
    });
    let (Some(public_key), Some(name), Some(version)) = (public_key, name, version) else {
        return Err(Error::Invalid(problems));
    };
    let signed = signed::verify(app, fields, &public_key)?;
    let (registration, codes) = begin(app.now_ms(), public_key.to_hex(), name, version);
    let agent = signed::commit(app, Some(signed), move |tx| {
        let known = agent::by_public_key(tx, &registration.public_key)?;
        if known.is_some_and(|agent| agent.revoked_at_ms.is_some()) {
            return Err(Error::InvalidSignature { reason: "the agent of this key was revoked".into() });
        }
        Ok(agent::register(tx, &registration)?)
    })
    .await?;
    Ok(RegisterAnswer {
        agent_id: agent.id.to_string(),
        registration_code: codes.registration,
        expires_at: codes.expires_at,
        bind_url: bind_url(app),
        user_code: codes.user,
        bound: agent.account_id.is_some(),
        warnings: fields.unknown(RegisterRequest::FIELDS),
    })
}

/// What an agent gives its owner, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Codes {
    pub registration: String,
    pub user: String,
    /// The registration code's end.
    pub expires_at: String,
}

impl fmt::Debug for Codes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Codes").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A registration with fresh codes.
pub(crate) fn begin(now_ms: i64, public_key: String, name: &str, version: &str) -> (Registration, Codes) {
    let code = ApiKey::new(KeyKind::RegistrationCode, entropy::bytes());
    let user_code = key::user_code(entropy::bytes());
    let expires_at_ms = now_ms + CODE_LIVES_MS;
    let registration = Registration {
        id: AgentId::new(now_ms, entropy::id()),
        public_key,
        name: name.to_owned(),
        version: version.to_owned(),
        now_ms,
        registration_hash: code.hash(),
        registration_expires_at_ms: expires_at_ms,
        user_code_hash: Sha256::digest(user_code.as_bytes()).into(),
        user_code_expires_at_ms: now_ms + USER_CODE_LIVES_MS,
    };
    let registration_code = code.expose().to_owned();
    let expires_at = rfc3339(expires_at_ms);
    (registration, Codes { registration: registration_code, user: user_code, expires_at })
}

/// Where the owner says yes.
pub(crate) fn bind_url(app: &App) -> String {
    format!("{}/settings/agents/bind", app.base_url())
}
