//! Who calls: from a bearer credential to a principal with its scopes.
//!
//! Invariant: a credential that was revoked on this node is refused from the next request on, on others
//! within one second; a malformed one costs no look-up. Not here: which scope a call needs.

use crate::{app::Error, app::token, state::App};
use moka::sync::Cache;
use rynjer_core::{
    id::{AccountId, AgentId, FamilyId, KeyId},
    key::{ApiKey, KeyError, KeyKind},
    policy::Policies,
    scope::{Scope, Scopes},
};
use rynjer_store::{
    StoreError,
    key::{self, Credential},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::OnceCell;

/// How long a credential's state is believed without asking the store.
const BELIEVED_MS: i64 = 1000;
/// `last_used_at` is written at most this often per key.
const TOUCHED_EVERY_MS: i64 = 60_000;
const CACHED_MAX: u64 = 100_000;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
    pub(crate) live: bool,
    pub(crate) agent: Option<AgentId>,
    pub(crate) agent_paused: bool,
    pub(crate) key: KeyId,
    /// What its owner lets it ask for.
    pub(crate) policies: Arc<Policies>,
    pub(crate) scopes: Scopes,
    /// What an agent's API key (not its tokens) may be exchanged for.
    pub(crate) is_key: bool,
    expires_at_ms: Option<i64>,
    loaded_at_ms: i64,
    generation: u64,
}

impl Caller {
    /// The agent's id as text, or empty for an account key.
    pub(crate) fn principal(&self) -> &str {
        self.agent.as_ref().map_or("", AgentId::as_str)
    }

    /// Who is counted against limits: an agent whatever its keys, or an account's key.
    pub(crate) fn counted_as(&self) -> &str {
        self.agent.as_ref().map_or(self.key.as_str(), AgentId::as_str)
    }

    /// Refuses a call that needs a scope which the credential lacks.
    pub(crate) fn needs(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(Error::ScopeNotAllowed { needed: scope.as_str().to_owned() })
    }

    /// The account's mode as the API shows it.
    pub(crate) fn mode(&self) -> rynjer_api::Mode {
        if self.live { rynjer_api::Mode::Live } else { rynjer_api::Mode::Test }
    }
}

/// Credentials seen lately.
pub(crate) struct Callers {
    cache: Cache<[u8; 32], Arc<Caller>>,
    generation: AtomicU64,
    /// Look-ups under way, so that many requests of one credential ask the store once. A look-up that began
    /// before a revocation is of an older generation, and nobody joins it after.
    flights: Mutex<HashMap<([u8; 32], u64), Flight>>,
}

type Flight = Arc<OnceCell<Arc<Caller>>>;

impl Callers {
    pub(crate) fn new() -> Self {
        Self { cache: Cache::new(CACHED_MAX), generation: AtomicU64::new(0), flights: Mutex::default() }
    }

    fn join(&self, key: ([u8; 32], u64)) -> Flight {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(flights.entry(key).or_default())
    }

    fn landed(&self, key: &([u8; 32], u64), flight: &Flight) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            flights.remove(key);
        }
    }

    /// Makes every cached credential ask the store again.
    pub(crate) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

/// A place in a look-up under way. The look-up is forgotten with the first that leaves, also where its
/// request was dropped: later ones look up anew.
struct Boarded<'a> {
    callers: &'a Callers,
    key: ([u8; 32], u64),
    flight: Flight,
}

impl<'a> Boarded<'a> {
    fn new(callers: &'a Callers, key: ([u8; 32], u64)) -> Self {
        Self { callers, key, flight: callers.join(key) }
    }
}

impl Drop for Boarded<'_> {
    fn drop(&mut self) {
        self.callers.landed(&self.key, &self.flight);
    }
}

/// The caller of a bearer credential: an access token, an agent's key or an account's key.
pub(crate) async fn authenticate(app: &App, bearer: &str) -> Result<Arc<Caller>, Error> {
    let digest: [u8; 32] = Sha256::digest(bearer.as_bytes()).into();
    let now_ms = app.now_ms();
    let generation = app.callers.generation.load(Ordering::SeqCst);
    if let Some(caller) = app.callers.cache.get(&digest) {
        let fresh = caller.generation == generation
            && (0..BELIEVED_MS).contains(&(now_ms - caller.loaded_at_ms))
            && caller.expires_at_ms.is_none_or(|at| now_ms < at);
        if fresh {
            return Ok(caller);
        }
    }
    let boarded = Boarded::new(&app.callers, (digest, generation));
    let looked_up = async { Ok(Arc::new(look_up(app, bearer, now_ms, generation).await?)) };
    let caller: Result<_, Error> = boarded.flight.get_or_try_init(|| looked_up).await.cloned();
    drop(boarded);
    let caller = caller?;
    app.callers.cache.insert(digest, Arc::clone(&caller));
    Ok(caller)
}

async fn look_up(app: &App, bearer: &str, now_ms: i64, generation: u64) -> Result<Caller, Error> {
    if bearer.contains('.') {
        let claims = token::verify(app, bearer).await?;
        let family = FamilyId::parse(&claims.fam).ok_or(Error::InvalidToken { hint: None })?;
        let read = app.store.read(move |tx| key::credential_by_family(tx, &family)).await;
        let credential = read.map_err(Error::from)?.ok_or(Error::InvalidToken { hint: None })?;
        let granted = Scopes::from_text(&claims.scope).unwrap_or(Scopes::NONE);
        let mut caller = caller_of(&credential, now_ms, generation)?;
        caller.scopes = caller.scopes.intersection(granted);
        caller.is_key = false;
        caller.expires_at_ms = Some(claims.exp * 1000);
        return Ok(caller);
    }
    let parsed = ApiKey::parse(bearer).map_err(|error| malformed(&error))?;
    if !matches!(parsed.kind, KeyKind::Agent | KeyKind::AccountTest | KeyKind::AccountLive) {
        return Err(Error::InvalidToken { hint: Some("this is not an API key or access token") });
    }
    let hash = parsed.hash;
    let read = app.store.read(move |tx| key::credential_by_hash(tx, &hash)).await;
    let credential = read.map_err(Error::from)?.ok_or(Error::InvalidToken { hint: None })?;
    let caller = caller_of(&credential, now_ms, generation)?;
    touch(app, &credential, now_ms).await;
    Ok(caller)
}

fn malformed(error: &KeyError) -> Error {
    let hint = match error {
        KeyError::UnexpandedVariable => return Error::UnexpandedToken,
        KeyError::WrongLength | KeyError::WrongChecksum => {
            Some("it is not whole: characters are missing or changed")
        }
        KeyError::WrongPrefix => None,
    };
    Error::InvalidToken { hint }
}

fn caller_of(credential: &Credential, now_ms: i64, generation: u64) -> Result<Caller, Error> {
    let key = &credential.key;
    let revoked = key.revoked_at_ms.is_some()
        || credential.family.as_ref().is_some_and(|family| family.revoked)
        || credential
            .agent
            .as_ref()
            .is_some_and(|agent| agent.revoked || agent.account_id.as_ref() != Some(&key.account_id));
    if revoked {
        return Err(Error::InvalidToken { hint: None });
    }
    if key.expires_at_ms.is_some_and(|at| at <= now_ms) {
        return Err(Error::ExpiredToken);
    }
    let mut scopes = Scopes::from_text(&key.scopes).unwrap_or(Scopes::NONE);
    if let Some(agent) = &credential.agent {
        scopes = scopes.intersection(Scopes::from_text(&agent.scopes).unwrap_or(Scopes::NONE));
    }
    if let Some(family) = &credential.family {
        scopes = scopes.intersection(Scopes::from_text(&family.scopes).unwrap_or(Scopes::NONE));
    }
    Ok(Caller {
        account: key.account_id.clone(),
        live: credential.account_mode == "live",
        agent: key.agent_id.clone(),
        agent_paused: credential.agent.as_ref().is_some_and(|agent| agent.paused),
        key: key.id.clone(),
        policies: Arc::new(credential.policies.clone()),
        scopes,
        is_key: true,
        expires_at_ms: key.expires_at_ms,
        loaded_at_ms: now_ms,
        generation,
    })
}

async fn touch(app: &App, credential: &Credential, now_ms: i64) {
    if credential.key.last_used_at_ms.is_some_and(|at| now_ms - at < TOUCHED_EVERY_MS) {
        return;
    }
    let id = credential.key.id.clone();
    // A list that shows an older time of use harms nobody; the request goes on.
    drop(app.store.write(move |tx| key::touch(tx, &id, now_ms)).await as Result<(), StoreError>);
}
