//! Signing in, and what a signed-in browser may do.
//!
//! Invariant: a session is a secret of its own for each sign-in, dies with its idle time, its whole life, its
//! owner's disabling or a new password, and is asked of the store at each request. Not here: cookies and
//! forms (`console`), how passwords are checked (`password`).

use crate::{
    app::{
        Error,
        actor::{Actor, Reach},
        admin::Admin,
        audit_log::note,
        owner as owners, second_step,
    },
    entropy,
    state::App,
};
use rynjer_core::{
    id::AccountId,
    key::{ApiKey, KeyKind, constant_time_eq},
    throttle::Throttle,
    time::DAY_MS,
};
use rynjer_store::{
    Tx,
    account::AccountRow,
    owner::{self, OwnerRow},
    session::{self, SessionRow},
    throttle,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

const MINUTE_MS: i64 = 60_000;
/// A use is written down at most this often.
const TOUCHED_EVERY_MS: i64 = MINUTE_MS;
/// How long a typed password counts for changes that need it.
const CONFIRMED_MS: i64 = 15 * MINUTE_MS;

/// The time of confirmation of a session whose second step is awaited, and how long it is.
const AWAITED: i64 = 0;
const WAITING_MS: i64 = 10 * MINUTE_MS;

/// Who is signed in, and which account they look at.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) owner: OwnerRow,
    /// The owner's own accounts, oldest first.
    pub(crate) accounts: Vec<AccountRow>,
    /// The one that pages show.
    pub(crate) account: Option<AccountRow>,
    pub(crate) hash: [u8; 32],
    /// What forms of this session carry.
    pub(crate) csrf: String,
    #[allow(dead_code, reason = "pages that use it are being built")]
    pub(crate) address: Option<IpAddr>,
    confirmed_at_ms: i64,
}

impl Session {
    pub(crate) fn is_operator(&self) -> bool {
        self.owner.role == "operator"
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Owner { id: self.owner.id.clone(), operator: self.is_operator(), address: self.address }
    }

    /// The account that pages show.
    pub(crate) fn account_id(&self) -> Result<AccountId, Error> {
        self.account.as_ref().map(|row| row.id.clone()).ok_or(Error::NotFound)
    }

    /// Whether nothing is left to sign in for once the account that pages show is closed.
    pub(crate) fn ends_with_account(&self) -> bool {
        let is_other = |row: &&AccountRow| self.account.as_ref().is_none_or(|shown| shown.id != row.id);
        !self.is_operator() && !self.accounts.iter().filter(is_other).any(|row| row.closed_at_ms.is_none())
    }

    /// What this person may change in the account that they look at.
    pub(crate) fn hand(&self, app: &App) -> Result<Admin, Error> {
        let own = Actor::Owner { id: self.owner.id.clone(), operator: false, address: self.address };
        Ok(Admin::within(app, own, Reach::Account(self.account_id()?)))
    }

    /// What an operator may change; for others there is nothing.
    pub(crate) fn operator_hand(&self, app: &App) -> Result<Admin, Error> {
        if self.is_operator() {
            Ok(Admin::within(app, self.actor(), Reach::All))
        } else {
            Err(Error::NotFound)
        }
    }

    /// Whether the password was typed lately enough for a change that needs it.
    pub(crate) fn is_confirmed(&self, now_ms: i64) -> bool {
        now_ms - self.confirmed_at_ms < CONFIRMED_MS
    }
}

/// A sign-in that succeeded: the secret for the cookie.
pub(crate) struct Started {
    pub(crate) secret: ApiKey,
}

/// How long to wait before another guess at this person or from this address.
fn wait_ms(tx: &mut dyn Tx, subjects: &[(String, Throttle)], now_ms: i64) -> Result<Option<i64>, Error> {
    let mut longest = None;
    for (subject, limit) in subjects {
        longest = longest.max(limit.wait_ms(throttle::get(tx, subject)?, now_ms));
    }
    Ok(longest)
}

/// Who is guessed at, and who guesses.
fn subjects(email: &str, address: Option<IpAddr>) -> Vec<(String, Throttle)> {
    let Some(address) = address else { return vec![(person(email), Throttle::PERSON)] };
    let network = network(address);
    vec![
        // Whoever guesses from elsewhere keeps nobody out of their own place soon.
        (format!("{}:{network}", person(email)), Throttle::PERSON),
        (person(email), Throttle::PERSON_FROM_ANYWHERE),
        (format!("address:{network}"), Throttle::ADDRESS),
    ]
}

/// What guesses at somebody are counted by; the address itself is not written down.
pub(crate) fn person(email: &str) -> String {
    let hash = Sha256::digest(email.as_bytes());
    format!("person:{}", data_encoding::HEXLOWER.encode(&hash[..16]))
}

/// An address as it counts: of IPv6 the first half, which one customer has to themselves.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

/// Checks a guess at somebody's password. Each guess is counted before it is checked, so that many at once
/// are no more than many one by one.
pub(crate) async fn guess(
    app: &App,
    email: &str,
    password: &str,
    address: Option<IpAddr>,
) -> Result<OwnerRow, Error> {
    let now_ms = app.now_ms();
    let (asked, counted) = (email.to_owned(), subjects(email, address));
    let known = app
        .store
        .write(move |tx| {
            if let Some(wait_ms) = wait_ms(tx, &counted, now_ms)? {
                return Ok::<_, Error>(Err(wait_ms));
            }
            for (subject, limit) in &counted {
                throttle::add(tx, subject, limit.since_ms(now_ms), now_ms, now_ms + limit.window_ms)?;
            }
            Ok(Ok(owner::by_email(tx, &asked)?))
        })
        .await?;
    let known = known.map_err(|wait_ms| Error::TooManyGuesses { wait_s: whole_seconds(wait_ms) })?;
    let stored = known.as_ref().filter(|owner| owner.disabled_at_ms.is_none());
    let stored = stored.and_then(|owner| owner.password_hash.clone());
    match app.passwords.verify(password, stored).await {
        Ok(true) => {}
        Ok(false) => return Err(Error::SignInRefused),
        Err(error) => {
            // It was not looked at, so it was no wrong guess.
            let counted = subjects(email, address);
            let undo = app.store.write(move |tx| {
                counted.iter().try_for_each(|(subject, _)| throttle::take_back(tx, subject))
            });
            undo.await?;
            return Err(error);
        }
    }
    let owner = known.ok_or(Error::SignInRefused)?;
    let counted = subjects(email, address);
    app.store
        .write(move |tx| {
            for (at, (subject, _)) in counted.iter().enumerate() {
                if at == 0 { throttle::clear(tx, subject)? } else { throttle::take_back(tx, subject)? }
            }
            Ok::<_, Error>(())
        })
        .await?;
    Ok(owner)
}

pub(crate) fn whole_seconds(wait_ms: i64) -> u64 {
    u64::try_from((wait_ms + 999) / 1000).unwrap_or_default().max(1)
}

/// Starts a session of somebody who proved who they are. An older one of the same browser ends. Where a
/// second step is due, the session is good for nothing else. `is_fresh`: they were asked just now, so that
/// nothing needs to ask them again at once.
pub(crate) async fn start(
    app: &App,
    owner: &OwnerRow,
    older: Option<[u8; 32]>,
    address: Option<IpAddr>,
    is_fresh: bool,
) -> Result<Started, Error> {
    if owner.totp_enabled_at_ms.is_some() {
        return insert(app, owner, older, None, (false, is_fresh)).await;
    }
    begin(app, owner, older, address, (false, is_fresh)).await
}

/// Starts the session of somebody who took the second step, in the place of the one that waited for it.
pub(crate) async fn complete(
    app: &App,
    waiting: &Waiting,
    address: Option<IpAddr>,
) -> Result<Started, Error> {
    begin(app, &waiting.owner, Some(waiting.hash), address, (true, true)).await
}

async fn begin(
    app: &App,
    owner: &OwnerRow,
    older: Option<[u8; 32]>,
    address: Option<IpAddr>,
    kind: (bool, bool),
) -> Result<Started, Error> {
    if let Err(error) = owners::welcome_again(app, &owner.id).await {
        // Nobody is kept out because free credits did not come.
        tracing::warn!(?error, owner = %owner.id, "an account got no welcome");
    }
    let by = Actor::Owner { id: owner.id.clone(), operator: owner.role == "operator", address };
    insert(app, owner, older, Some(by), kind).await
}

/// Writes a session; of somebody who is in, or with none of somebody whose second step is awaited.
async fn insert(
    app: &App,
    owner: &OwnerRow,
    older: Option<[u8; 32]>,
    by: Option<Actor>,
    (awaited, is_fresh): (bool, bool),
) -> Result<Started, Error> {
    let secret = ApiKey::new(KeyKind::Session, entropy::bytes());
    let now_ms = app.now_ms();
    let whole_ms = i64::from(app.config.console.session_days) * DAY_MS;
    let row = SessionRow {
        hash: secret.hash(),
        owner_id: owner.id.clone(),
        account_id: None,
        created_at_ms: now_ms,
        seen_at_ms: now_ms,
        confirmed_at_ms: match (&by, is_fresh) {
            (None, _) => AWAITED,
            (Some(_), true) => now_ms,
            (Some(_), false) => now_ms - CONFIRMED_MS,
        },
        expires_at_ms: now_ms + if by.is_some() { whole_ms } else { WAITING_MS },
    };
    let proven = owner.clone();
    app.store
        .write(move |tx| {
            let now = owner::lock(tx, &row.owner_id)?.ok_or(Error::SignInRefused)?;
            if !is_as_proven(&proven, &now) {
                return Err(Error::SignInRefused);
            }
            let ended = older.as_ref().map_or(Ok(false), |older| session::delete(tx, older))?;
            if awaited && !ended {
                return Err(Error::SignInRefused);
            }
            session::insert(tx, &row)?;
            let Some(by) = &by else { return Ok(()) };
            owner::signed_in(tx, &row.owner_id, now_ms)?;
            Ok(note(tx, now_ms, by, None, "owner.signed_in", row.owner_id.as_str(), &json!({}))?)
        })
        .await?;
    Ok(Started { secret })
}

/// Whether what somebody proved is still what is asked for: meanwhile a new password may have come, the
/// second step, or their end.
fn is_as_proven(proven: &OwnerRow, now: &OwnerRow) -> bool {
    let stored = |row: &OwnerRow| row.password_hash.clone().unwrap_or_default();
    now.disabled_at_ms.is_none()
        && constant_time_eq(stored(proven).as_bytes(), stored(now).as_bytes())
        && proven.totp_enabled_at_ms == now.totp_enabled_at_ms
}

/// Somebody who proved to know the password, and whose second step is awaited.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) owner: OwnerRow,
    hash: [u8; 32],
}

/// The sign-in of a cookie that waits for its second step.
pub(crate) async fn waiting(app: &App, cookie: &str) -> Result<Option<Waiting>, Error> {
    let Some(parsed) = ApiKey::parse(cookie).ok().filter(|parsed| parsed.kind == KeyKind::Session) else {
        return Ok(None);
    };
    let (hash, now_ms) = (parsed.hash, app.now_ms());
    let read = app.store.read(move |tx| {
        let row = session::get(tx, &hash)?;
        let row = row.filter(|row| row.expires_at_ms > now_ms && row.confirmed_at_ms == AWAITED);
        let Some(row) = row else { return Ok::<_, Error>(None) };
        Ok(owner::get(tx, &row.owner_id)?.filter(|owner| owner.disabled_at_ms.is_none()))
    });
    Ok(read.await?.map(|owner| Waiting { owner, hash }))
}

/// The session of a cookie; none where it is over or nobody's. A page that only refreshes itself does not use
/// it, or an open window would keep it alive.
pub(crate) async fn find(
    app: &App,
    cookie: &str,
    address: Option<IpAddr>,
    is_used: bool,
) -> Result<Option<Session>, Error> {
    let Some(parsed) = ApiKey::parse(cookie).ok().filter(|parsed| parsed.kind == KeyKind::Session) else {
        return Ok(None);
    };
    let (hash, now_ms) = (parsed.hash, app.now_ms());
    let idle_ms = i64::from(app.config.console.session_idle_minutes) * MINUTE_MS;
    let read = app.store.read(move |tx| {
        let Some(row) = session::get(tx, &hash)? else { return Ok::<_, Error>(None) };
        let over = row.expires_at_ms <= now_ms || row.seen_at_ms + idle_ms <= now_ms;
        let over = over || row.confirmed_at_ms == AWAITED;
        let owner = owner::get(tx, &row.owner_id)?.filter(|owner| !over && owner.disabled_at_ms.is_none());
        let Some(owner) = owner else { return Ok(None) };
        let accounts = owner::accounts(tx, &owner.id)?;
        Ok(Some((row, owner, accounts)))
    });
    let Some((row, owner, accounts)) = read.await? else { return Ok(None) };
    if is_used && now_ms - row.seen_at_ms >= TOUCHED_EVERY_MS {
        app.store.write(move |tx| session::touch(tx, &hash, now_ms)).await?;
    }
    let chosen = accounts.iter().find(|account| Some(&account.id) == row.account_id.as_ref());
    let account = chosen.or_else(|| accounts.first()).cloned();
    let csrf = Sha256::new().chain_update(b"rynjer form v1\0").chain_update(cookie.as_bytes()).finalize();
    let csrf = data_encoding::BASE64URL_NOPAD.encode(&csrf[..24]);
    let confirmed_at_ms = row.confirmed_at_ms;
    Ok(Some(Session { owner, accounts, account, hash, csrf, address, confirmed_at_ms }))
}

/// Ends the session of somebody who signs out.
pub(crate) async fn end(app: &App, session: &Session) -> Result<(), Error> {
    let (hash, id, by, now_ms) = (session.hash, session.owner.id.clone(), session.actor(), app.now_ms());
    let write = app.store.write(move |tx| {
        if session::delete(tx, &hash)? {
            note(tx, now_ms, &by, None, "owner.signed_out", id.as_str(), &json!({}))?;
        }
        Ok::<_, Error>(())
    });
    write.await
}

/// An owner's sessions, newest first.
pub(crate) async fn list(app: &App, session: &Session) -> Result<Vec<SessionRow>, Error> {
    let (id, now_ms) = (session.owner.id.clone(), app.now_ms());
    let idle_ms = i64::from(app.config.console.session_idle_minutes) * MINUTE_MS;
    let rows = app.store.read(move |tx| Ok::<_, Error>(session::of_owner(tx, &id)?)).await?;
    let is_over = |row: &SessionRow| row.expires_at_ms <= now_ms || row.seen_at_ms + idle_ms <= now_ms;
    Ok(rows.into_iter().filter(|row| !is_over(row) && row.confirmed_at_ms != AWAITED).collect())
}

/// What pages call a session.
pub(crate) fn reference(hash: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(&hash[..8])
}

/// Ends one of the owner's other sessions, or with none all of them; tells how many.
pub(crate) async fn end_others(app: &App, session: &Session, only: Option<&str>) -> Result<usize, Error> {
    let (id, by, now_ms, own) = (session.owner.id.clone(), session.actor(), app.now_ms(), session.hash);
    let only = only.map(str::to_owned);
    let write = app.store.write(move |tx| {
        let mut rows = session::of_owner(tx, &id)?;
        rows.retain(|row| {
            let shown = reference(&row.hash);
            !constant_time_eq(&row.hash, &own) && only.as_ref().is_none_or(|one| *one == shown)
        });
        for row in &rows {
            session::delete(tx, &row.hash)?;
        }
        if !rows.is_empty() {
            let detail = json!({ "sessions": rows.len() });
            note(tx, now_ms, &by, None, "owner.sessions_ended", id.as_str(), &detail)?;
        }
        Ok::<_, Error>(rows.len())
    });
    write.await
}

/// Proves once more that the owner is there, by the password and the second step if there is one.
pub(crate) async fn confirm(app: &App, session: &Session, password: &str, code: &str) -> Result<(), Error> {
    if session.owner.totp_enabled_at_ms.is_some() && code.trim().is_empty() {
        return Err(Error::field("code", "of your app is needed as well"));
    }
    guess(app, &session.owner.email, password, session.address).await?;
    if session.owner.totp_enabled_at_ms.is_some() {
        let checked = second_step::check(app, &session.owner, code, session.address).await;
        checked.map_err(|error| match error {
            Error::SignInRefused => Error::field("code", "is wrong, or was used already"),
            other => other,
        })?;
    }
    let (hash, now_ms) = (session.hash, app.now_ms());
    Ok(app.store.write(move |tx| session::confirm(tx, &hash, now_ms)).await?)
}

/// The account that pages of this session show from now on; only one of the owner's own.
pub(crate) async fn choose(app: &App, session: &Session, account: &str) -> Result<(), Error> {
    let own = session.accounts.iter().find(|row| row.id.as_str() == account).ok_or(Error::NotFound)?;
    let (hash, id) = (session.hash, own.id.clone());
    Ok(app.store.write(move |tx| session::choose(tx, &hash, &id)).await?)
}

#[cfg(test)]
mod tests;
