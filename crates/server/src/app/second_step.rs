//! The second step of signing in: one-time codes of an app, and recovery codes.
//!
//! Invariant: each code works once; guesses at codes are counted apart from guesses at passwords, so that who
//! knows the password gets no more of them. Not here: the codes' arithmetic (`core::totp`).

use crate::{
    app::{
        Error,
        actor::Actor,
        audit_log::note,
        session::{self, Session},
    },
    entropy,
    keyring::Small,
    state::App,
};
use rynjer_core::{
    id::OwnerId,
    throttle::Throttle,
    totp::{self, TotpKey},
};
use rynjer_store::{
    StoreError, Tx,
    owner::{self, OwnerRow},
    recovery, throttle,
};
use serde_json::json;
use std::net::IpAddr;

const RECOVERY_CODES: usize = 10;

/// A key that waits for its first code.
pub(crate) struct Setup {
    /// What an app's camera reads.
    pub(crate) uri: String,
    /// What people type.
    pub(crate) text: String,
}

/// Makes a new key, which does nothing until a code of it was typed.
pub(crate) async fn begin(app: &App, session: &Session) -> Result<(), Error> {
    let id = session.owner.id.clone();
    let key: TotpKey = entropy::bytes();
    let sealed = app.keyring.seal(Small::OneTimeCodes, id.as_str(), &key)?;
    let write = app.store.write(move |tx| {
        let row = owner::lock(tx, &id)?.ok_or(Error::NotFound)?;
        if row.totp_enabled_at_ms.is_some() {
            return Err(Error::field("code", "is asked for already; turn it off first"));
        }
        Ok(owner::set_totp(tx, &id, Some(&sealed), None)?)
    });
    write.await
}

/// The key that waits; none where there is no such.
pub(crate) fn waiting(app: &App, session: &Session) -> Result<Option<Setup>, Error> {
    let owner = &session.owner;
    if owner.totp_enabled_at_ms.is_some() || owner.totp_sealed.is_none() {
        return Ok(None);
    }
    let key = key_of(app, owner)?;
    let host = url::Url::parse(app.public_url()).ok();
    let host = host.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let uri = totp::key_uri(&key, format!("rynjer {host}").trim(), &owner.email);
    Ok(Some(Setup { uri, text: totp::key_text(&key) }))
}

fn key_of(app: &App, owner: &OwnerRow) -> Result<TotpKey, Error> {
    let sealed = owner.totp_sealed.clone().ok_or_else(|| Error::internal("a key of codes is missing"))?;
    let key = app.keyring.unseal(Small::OneTimeCodes, owner.id.as_str(), sealed)?;
    TotpKey::try_from(key.as_slice()).map_err(|_| Error::internal("a key of codes has another length"))
}

/// Turns the second step on by its first code; the recovery codes are told this once.
pub(crate) async fn enable(app: &App, session: &Session, code: &str) -> Result<Vec<String>, Error> {
    if session.owner.totp_enabled_at_ms.is_some() || session.owner.totp_sealed.is_none() {
        return Err(Error::field("code", "has no key that it could be of; begin again"));
    }
    let (key, now_ms) = (key_of(app, &session.owner)?, app.now_ms());
    let wrong = || Error::field("code", "is not the one that the app shows now");
    let step = totp::step_of_code(&key, code, now_ms).ok_or_else(wrong)?;
    let (codes, hashes) = fresh_codes();
    let (id, sealed, own) = (session.owner.id.clone(), session.owner.totp_sealed.clone(), session.hash);
    let by = session.actor();
    let write = app.store.write(move |tx| {
        let row = owner::lock(tx, &id)?.ok_or(Error::NotFound)?;
        if row.totp_sealed != sealed || row.totp_enabled_at_ms.is_some() {
            return Err(wrong());
        }
        owner::set_totp(tx, &id, sealed.as_deref(), Some(now_ms))?;
        owner::spend_totp_step(tx, &id, step)?;
        recovery::replace(tx, &id, &hashes)?;
        // Others were signed in without it.
        rynjer_store::session::delete_of_owner(tx, &id, Some(&own))?;
        Ok::<_, Error>(note(tx, now_ms, &by, None, "owner.second_step_enabled", id.as_str(), &json!({}))?)
    });
    write.await?;
    Ok(codes)
}

/// Turns the second step off.
pub(crate) async fn remove(app: &App, session: &Session) -> Result<(), Error> {
    let (id, by, now_ms) = (session.owner.id.clone(), session.actor(), app.now_ms());
    let write = app.store.write(move |tx| {
        forget(tx, &id)?;
        note(tx, now_ms, &by, None, "owner.second_step_removed", id.as_str(), &json!({}))
    });
    Ok(write.await?)
}

/// Takes key and codes away.
pub(crate) fn forget(tx: &mut dyn Tx, id: &OwnerId) -> Result<(), StoreError> {
    owner::set_totp(tx, id, None, None)?;
    recovery::replace(tx, id, &[])
}

/// New recovery codes in the place of those that are left.
pub(crate) async fn renew_codes(app: &App, session: &Session) -> Result<Vec<String>, Error> {
    let (codes, hashes) = fresh_codes();
    let (id, by, now_ms) = (session.owner.id.clone(), session.actor(), app.now_ms());
    let write = app.store.write(move |tx| {
        let row = owner::lock(tx, &id)?.ok_or(Error::NotFound)?;
        if row.totp_enabled_at_ms.is_none() {
            return Err(Error::field("", "there is no second step"));
        }
        recovery::replace(tx, &id, &hashes)?;
        Ok::<_, Error>(note(tx, now_ms, &by, None, "owner.recovery_codes_renewed", id.as_str(), &json!({}))?)
    });
    write.await?;
    Ok(codes)
}

fn fresh_codes() -> (Vec<String>, Vec<[u8; 32]>) {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| totp::recovery_code(entropy::bytes())).collect();
    let hashes = codes.iter().filter_map(|code| totp::recovery_hash(code)).collect();
    (codes, hashes)
}

/// How many recovery codes are left.
pub(crate) async fn codes_left(app: &App, session: &Session) -> Result<i64, Error> {
    let id = session.owner.id.clone();
    app.store.read(move |tx| Ok(recovery::left(tx, &id)?)).await
}

/// Checks a code of the app, or a recovery code, and spends it. The guess is counted before.
pub(crate) async fn check(
    app: &App,
    owner: &OwnerRow,
    code: &str,
    address: Option<IpAddr>,
) -> Result<(), Error> {
    let (app, now_ms, code) = (app.clone(), app.now_ms(), code.to_owned());
    let store = app.store.clone();
    let by = Actor::Owner { id: owner.id.clone(), operator: owner.role == "operator", address };
    let id = owner.id.clone();
    let checked = store.write(move |tx| {
        let row = owner::lock(tx, &id)?
            .filter(|row| row.disabled_at_ms.is_none() && row.totp_enabled_at_ms.is_some());
        let row = row.ok_or(Error::SignInRefused)?;
        let (subject, limit) = (format!("code:{id}"), Throttle::PERSON);
        if let Some(wait_ms) = limit.wait_ms(throttle::get(tx, &subject)?, now_ms) {
            return Ok(Err(Error::TooManyGuesses { wait_s: session::whole_seconds(wait_ms) }));
        }
        if spend(&app, tx, (&row, &by), &code, now_ms)? {
            throttle::clear(tx, &subject)?;
            return Ok(Ok(()));
        }
        throttle::add(tx, &subject, limit.since_ms(now_ms), now_ms, now_ms + limit.window_ms)?;
        // The count is kept, so the unit itself must not fail.
        Ok::<_, Error>(Err(Error::SignInRefused))
    });
    checked.await?
}

fn spend(
    app: &App,
    tx: &mut dyn Tx,
    (row, by): (&OwnerRow, &Actor),
    code: &str,
    now_ms: i64,
) -> Result<bool, Error> {
    if let Some(hash) = totp::recovery_hash(code) {
        let spent = recovery::spend(tx, &row.id, &hash, now_ms)?;
        if spent {
            // Its owner should wonder if it was not them.
            let detail = json!({ "left": recovery::left(tx, &row.id)? });
            note(tx, now_ms, by, None, "owner.recovery_code_used", row.id.as_str(), &detail)?;
        }
        return Ok(spent);
    }
    let step = totp::step_of_code(&key_of(app, row)?, code, now_ms).filter(|step| *step > row.totp_step);
    match step {
        Some(step) => Ok(owner::spend_totp_step(tx, &row.id, step)?),
        None => Ok(false),
    }
}
