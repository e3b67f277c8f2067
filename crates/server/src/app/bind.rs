//! Binding an agent to an account: the owner's yes, with scopes and a budget.
//!
//! Invariant: a code binds only before it expires, only the agent that was shown, and never one that belongs
//! to somebody else; whoever types codes has few wrong tries. Not here: who may say yes (`admin`), pages.

use crate::{
    app::{
        Error,
        actor::{Actor, Reach},
        audit_log::note,
        closure::open_account,
    },
    clock::Clock,
    entropy,
};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::{AccountId, AgentId, BudgetId, KeyId},
    key::{self, ApiKey, KeyKind, constant_time_eq},
    scope::Scopes,
    throttle::Throttle,
};
use rynjer_store::{Store, Tx, account, admin, agent, agent::AgentRow, budget, owner, throttle};
use serde_json::json;
use sha2::{Digest, Sha256};

/// What an agent's public key begins with if another network vouches for it. It never reads as hex.
pub(crate) const MOLTBOOK: &str = "moltbook:";

/// An agent as its owner sees it before saying yes.
#[derive(Debug, Clone)]
pub struct Shown {
    pub agent: AgentRow,
    /// Sixteen bytes of the SHA-256 of its public key, in groups of hex digits.
    pub fingerprint: String,
    /// Who it is at Moltbook, if Moltbook vouches for it.
    pub moltbook_id: Option<String>,
}

impl Shown {
    fn of(agent: AgentRow) -> Self {
        let fingerprint = fingerprint(&agent.public_key);
        let moltbook_id = agent.public_key.strip_prefix(MOLTBOOK).map(str::to_owned);
        Self { agent, fingerprint, moltbook_id }
    }
}

/// What tells two public keys apart: `sha256sum` of the key's bytes begins with the same digits.
pub(crate) fn fingerprint(public_key: &str) -> String {
    let bytes = HEXLOWER_PERMISSIVE.decode(public_key.as_bytes());
    let digest = Sha256::digest(bytes.as_deref().unwrap_or(public_key.as_bytes()));
    let groups: Vec<String> = digest.chunks(2).take(8).map(|pair| HEXLOWER.encode(pair)).collect();
    groups.join(" ")
}

/// Which agent an owner says yes to: the code again, and what the page has shown for it.
#[derive(Debug, Clone)]
pub struct Confirmed {
    pub code: String,
    pub agent: AgentId,
    pub fingerprint: String,
}

/// What the agent gets.
#[derive(Debug, Clone)]
pub struct Granted {
    pub account: AccountId,
    pub scopes: Scopes,
    pub limit: Option<(Credits, Period)>,
}

/// Whoever binds.
#[derive(Clone)]
pub(crate) struct Binder {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) by: Actor,
    pub(crate) reach: Reach,
}

/// A code as it is looked up.
#[derive(Debug, Clone, Copy)]
enum Code {
    Registration([u8; 32]),
    User([u8; 32]),
}

impl Code {
    /// What is no code costs no look-up and no try: it is a slip of the hand, never a guess that could hit.
    fn parse(text: &str) -> Result<Self, Error> {
        if let Some(code) = key::parse_user_code(text) {
            return Ok(Self::User(Sha256::digest(code.as_bytes()).into()));
        }
        match ApiKey::parse(text.trim()) {
            Ok(parsed) if parsed.kind == KeyKind::RegistrationCode => Ok(Self::Registration(parsed.hash)),
            _ => Err(Error::RegistrationCodeInvalid),
        }
    }

    /// The agent that the code can bind now, locked. Wrong, expired, used and foreign look the same.
    fn agent(self, tx: &mut dyn Tx, reach: &Reach, now_ms: i64) -> Result<AgentRow, Error> {
        let invalid = || Error::RegistrationCodeInvalid;
        let named = match self {
            Self::Registration(hash) => agent::by_registration(tx, &hash)?,
            Self::User(hash) => agent::by_user_code(tx, &hash, now_ms)?,
        };
        let found = agent::lock(tx, &named.ok_or_else(invalid)?.id)?.ok_or_else(invalid)?;
        let (hash, own, expires_at_ms) = match &self {
            Self::Registration(hash) => (hash, &found.registration_hash, found.registration_expires_at_ms),
            Self::User(hash) => (hash, &found.user_code_hash, found.user_code_expires_at_ms),
        };
        // A fresh code may have come before the lock.
        let fits = constant_time_eq(hash, own) && now_ms < expires_at_ms;
        let foreign = found.account_id.as_ref().is_some_and(|account| reach.check(Some(account)).is_err());
        if !fits || foreign || found.revoked_at_ms.is_some() {
            return Err(invalid());
        }
        Ok(found)
    }
}

/// Runs a try of somebody who types codes, which is counted if it was wrong. The outer error undoes the unit,
/// the inner one is an answer that is committed with its count.
fn counted<T>(
    tx: &mut dyn Tx,
    by: &Actor,
    now_ms: i64,
    attempt: impl FnOnce(&mut dyn Tx) -> Result<T, Error>,
) -> Result<Result<T, Error>, Error> {
    const LIMIT: Throttle = Throttle::USER_CODE;
    let Actor::Owner { id, .. } = by else { return attempt(tx).map(Ok) };
    // Of two tries at once, the second sees what the first has counted.
    owner::lock(tx, id)?.ok_or(Error::NotFound)?;
    let subject = format!("user_code:{id}");
    if let Some(wait_ms) = LIMIT.wait_ms(throttle::get(tx, &subject)?, now_ms) {
        let wait_s = u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000);
        return Ok(Err(Error::TooManyGuesses { wait_s }));
    }
    match attempt(tx) {
        Err(Error::RegistrationCodeInvalid) => {
            throttle::add(tx, &subject, LIMIT.since_ms(now_ms), now_ms, now_ms + LIMIT.window_ms)?;
            Ok(Err(Error::RegistrationCodeInvalid))
        }
        other => other.map(Ok),
    }
}

/// The agent of a registration code or a user code, for its owner to look at.
pub(crate) async fn find(binder: &Binder, text: &str) -> Result<Shown, Error> {
    let code = Code::parse(text)?;
    let (by, reach, now_ms) = (binder.by.clone(), binder.reach.clone(), binder.clock.now_ms());
    let look = move |tx: &mut dyn Tx| counted(tx, &by, now_ms, |tx| code.agent(tx, &reach, now_ms));
    Ok(Shown::of(binder.store.write(look).await??))
}

/// Gives the agent that was shown to an account. The code is tried again: it may be dead by now.
pub(crate) async fn confirm(
    binder: &Binder,
    confirmed: &Confirmed,
    granted: &Granted,
) -> Result<AgentRow, Error> {
    let code = Code::parse(&confirmed.code)?;
    let shown = Some((confirmed.agent.clone(), confirmed.fingerprint.clone()));
    change(binder, code, shown, granted).await
}

/// Gives the agent of a code to an account, for those who see no page.
pub(crate) async fn bind(binder: &Binder, code: &str, granted: &Granted) -> Result<AgentRow, Error> {
    change(binder, Code::parse(code)?, None, granted).await
}

async fn change(
    binder: &Binder,
    code: Code,
    shown: Option<(AgentId, String)>,
    granted: &Granted,
) -> Result<AgentRow, Error> {
    let now_ms = binder.clock.now_ms();
    let fresh = BudgetId::new(now_ms, entropy::id());
    let (by, granted) = (binder.by.clone(), granted.clone());
    let unit = move |tx: &mut dyn Tx| {
        if granted.limit.is_some_and(|(limit, _)| limit < Credits::ZERO) {
            return Err(Error::field("limit", "must be 0 or more"));
        }
        open_account(tx, &granted.account)?;
        // An agent may be bound again, with other scopes, where it is bound already.
        let reach = Reach::Account(granted.account.clone());
        let found = counted(tx, &by, now_ms, |tx| {
            let found = code.agent(tx, &reach, now_ms)?;
            let as_shown = shown.as_ref().is_none_or(|(id, shown)| {
                *id == found.id
                    && constant_time_eq(shown.as_bytes(), fingerprint(&found.public_key).as_bytes())
            });
            if as_shown { Ok(found) } else { Err(Error::RegistrationCodeInvalid) }
        })?;
        match found {
            Ok(found) => grant(tx, &by, &found, &granted, &fresh, now_ms).map(Ok),
            Err(refused) => Ok(Err(refused)),
        }
    };
    binder.store.write(unit).await?
}

fn grant(
    tx: &mut dyn Tx,
    by: &Actor,
    found: &AgentRow,
    granted: &Granted,
    fresh: &BudgetId,
    now_ms: i64,
) -> Result<AgentRow, Error> {
    let Granted { account, scopes, limit } = granted;
    agent::bind(tx, &found.id, account, &scopes.to_text(), now_ms)?;
    if let Some((limit, period)) = limit {
        budget::set(tx, account, fresh, (Subject::Agent, found.id.as_str()), *period, *limit, now_ms)?;
    }
    let detail = json!({
        "name": found.name,
        "scopes": scopes.to_text(),
        "limit": limit.map(|(limit, period)| format!("{}/{}", limit.0, period.as_str())),
        "fingerprint": fingerprint(&found.public_key),
    });
    note(tx, now_ms, by, Some(account), "agent.bound", found.id.as_str(), &detail)?;
    agent::get(tx, &found.id)?.ok_or(Error::NotFound)
}

/// Whether a budget's subject belongs to an account.
pub(crate) fn owns_subject(
    tx: &mut dyn Tx,
    owner: &AccountId,
    subject: Subject,
    subject_id: &str,
) -> Result<bool, Error> {
    Ok(match subject {
        Subject::Account => subject_id == owner.as_str() && account::get(tx, owner)?.is_some(),
        Subject::Agent => match AgentId::parse(subject_id) {
            Some(id) => agent::get(tx, &id)?.is_some_and(|a| a.account_id.as_ref() == Some(owner)),
            None => false,
        },
        Subject::Key => match KeyId::parse(subject_id) {
            Some(id) => admin::account_of_key(tx, &id)?.as_ref() == Some(owner),
            None => false,
        },
    })
}
