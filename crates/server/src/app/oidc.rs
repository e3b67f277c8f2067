//! Signing in by an identity that another service vouches for.
//!
//! Invariant: an identity is tied to an owner by issuer and subject alone; an e-mail address opens no account
//! that is there, and lets somebody in anew only where the provider verified it and the operator invited it.
//! Not here: the flow (`peers::oidc`), cookies (`console`).

use crate::{
    app::{
        Error,
        audit_log::note,
        owner::{Newcomer, email_of, welcome},
        session::Session,
    },
    config::Config,
    entropy,
    gateway::StartError,
    keyring::Small,
    state::App,
};
use rynjer_core::key::constant_time_eq;
use rynjer_peers::oidc::{Identity, Oidc, OidcError, OidcSettings, Secrets};
use rynjer_store::{
    Tx,
    owner::{self, OwnerRow},
    ticket,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

/// How long somebody may take at the provider.
const FLOW_MS: i64 = 600_000;

/// The provider that the settings name.
pub(crate) fn open(config: &Config) -> Result<Option<Oidc>, StartError> {
    let own = &config.oidc;
    if !own.is_on() {
        return Ok(None);
    }
    let client_secret = match &own.client_secret_file {
        Some(path) => {
            let refused = |error| StartError::Oidc(format!("{} can't be read: {error}", path.display()));
            std::fs::read_to_string(path).map_err(refused)?.trim().to_owned()
        }
        None => own.client_secret.expose().to_owned(),
    };
    let settings =
        OidcSettings { issuer: own.issuer.clone(), client_id: own.client_id.clone(), client_secret };
    Oidc::open(settings).map(Some).map_err(|error| StartError::Oidc(error.to_string()))
}

/// What a browser keeps while it is at the provider, sealed.
#[derive(Serialize, Deserialize)]
struct Flow {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    /// To link an identity to who is signed in, not to sign in.
    link: bool,
    anew: bool,
    until_ms: i64,
}

/// Where the browser goes, and what it keeps meanwhile.
pub(crate) struct Departure {
    pub(crate) url: String,
    pub(crate) kept: String,
}

/// What somebody wants at the provider.
pub(crate) struct Wish<'a> {
    pub(crate) next: &'a str,
    pub(crate) link: bool,
    /// To be asked again, though the provider knows them.
    pub(crate) anew: bool,
}

fn provider(app: &App) -> Result<&Oidc, Error> {
    app.oidc.as_ref().ok_or(Error::NotFound)
}

fn redirect_url(app: &App) -> String {
    format!("{}/login/oidc/callback", app.public_url())
}

fn refused(error: &OidcError) -> Error {
    tracing::warn!(%error, "a sign-in by the provider did not work");
    match error {
        OidcError::Unreachable(_) => Error::Overloaded,
        OidcError::Issuer | OidcError::Code(_) | OidcError::Token(_) => failed(),
    }
}

/// Begins a sign-in, or the linking of an identity.
pub(crate) async fn depart(app: &App, wish: &Wish<'_>) -> Result<Departure, Error> {
    let random = || data_encoding::BASE64URL_NOPAD.encode(&entropy::bytes::<32>());
    let flow = Flow {
        state: random(),
        nonce: random(),
        verifier: random(),
        next: wish.next.to_owned(),
        link: wish.link,
        anew: wish.anew,
        until_ms: app.now_ms() + FLOW_MS,
    };
    let started = provider(app)?.start(&redirect_url(app), &secrets(app, &flow), wish.anew).await;
    let url = started.map_err(|error| refused(&error))?;
    Ok(Departure { url, kept: sealed(app, "flow", &flow)? })
}

fn secrets(app: &App, flow: &Flow) -> Secrets {
    let (state, nonce, verifier) = (flow.state.clone(), flow.nonce.clone(), flow.verifier.clone());
    Secrets { state, nonce, verifier, now_ms: app.now_ms() }
}

fn sealed(app: &App, id: &str, value: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_vec(value).map_err(Error::internal)?;
    Ok(data_encoding::BASE64URL_NOPAD.encode(&app.keyring.seal(Small::Provider, id, &text)?))
}

fn unsealed<T: for<'a> Deserialize<'a>>(app: &App, id: &str, text: &str) -> Option<T> {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    serde_json::from_slice(&app.keyring.unseal(Small::Provider, id, bytes).ok()?).ok()
}

/// Who came back from the provider.
pub(crate) enum Arrival {
    /// To sign in, and go on there.
    In {
        owner: Box<OwnerRow>,
        next: String,
        /// The provider asked them just now, as it was told to.
        is_fresh: bool,
    },
    /// To be linked to who is signed in, once they say yes: what the form carries, and the address to show.
    Link { carried: String, email: String },
}

/// Takes what the provider sent back.
pub(crate) async fn arrive(
    app: &App,
    kept: Option<&str>,
    (state, code): (&str, &str),
    session: Option<&Session>,
    address: IpAddr,
) -> Result<Arrival, Error> {
    let oidc = provider(app)?;
    let flow: Flow = kept.and_then(|kept| unsealed(app, "flow", kept)).ok_or_else(failed)?;
    if !constant_time_eq(flow.state.as_bytes(), state.as_bytes()) || flow.until_ms <= app.now_ms() {
        return Err(failed());
    }
    let finished = oidc.finish(&redirect_url(app), code, &secrets(app, &flow)).await;
    let identity = finished.map_err(|error| refused(&error))?;
    if !flow.link {
        // A provider that knows its user asks nothing, and that proves no more than an open browser.
        let asked_at_ms = identity.auth_time_s.map(|at_s| at_s.saturating_mul(1000));
        let is_fresh = flow.anew && asked_at_ms.is_some_and(|at_ms| at_ms >= app.now_ms() - FLOW_MS);
        let owner = Box::new(owner_of(app, identity, address).await?);
        return Ok(Arrival::In { owner, next: flow.next, is_fresh });
    }
    let session = session.ok_or_else(failed)?;
    let email = identity.email.clone().unwrap_or_else(|| identity.subject.clone());
    let link = Link { issuer: identity.issuer, subject: identity.subject, until_ms: app.now_ms() + FLOW_MS };
    Ok(Arrival::Link { carried: sealed(app, session.owner.id.as_str(), &link)?, email })
}

/// An identity that waits for a yes, sealed for one owner.
#[derive(Serialize, Deserialize)]
struct Link {
    issuer: String,
    subject: String,
    until_ms: i64,
}

/// Ties an identity to who is signed in.
pub(crate) async fn link(app: &App, session: &Session, carried: &str) -> Result<(), Error> {
    let (id, by, now_ms) = (session.owner.id.clone(), session.actor(), app.now_ms());
    let link: Option<Link> = unsealed(app, id.as_str(), carried);
    let link = link.filter(|link| link.until_ms > now_ms).ok_or_else(failed)?;
    let write = app.store.write(move |tx| {
        let other = owner::by_identity(tx, &link.issuer, &link.subject)?;
        if other.is_some_and(|other| other.id != id) {
            return Err(Error::field("", "that identity belongs to somebody else here"));
        }
        owner::set_identity(tx, &id, Some((&link.issuer, &link.subject)))?;
        let detail = linked(&link.issuer, &link.subject);
        Ok::<_, Error>(note(tx, now_ms, &by, None, "owner.identity_linked", id.as_str(), &detail)?)
    });
    write.await
}

/// Takes the identity away again; only of somebody who has a password.
pub(crate) async fn unlink(app: &App, session: &Session) -> Result<(), Error> {
    if session.owner.password_hash.is_none() {
        return Err(Error::field("", "set a password first: without both you could not sign in"));
    }
    let (id, by, now_ms) = (session.owner.id.clone(), session.actor(), app.now_ms());
    let write = app.store.write(move |tx| {
        let known = owner::lock(tx, &id)?.ok_or(Error::NotFound)?;
        owner::set_identity(tx, &id, None)?;
        let detail = json!({ "subject": known.oidc_subject });
        Ok::<_, Error>(note(tx, now_ms, &by, None, "owner.identity_unlinked", id.as_str(), &detail)?)
    });
    write.await
}

/// What the log says of an identity.
fn linked(issuer: &str, subject: &str) -> Value {
    json!({ "issuer": issuer, "subject": subject })
}

/// Whose identity it is; somebody new where the operator invited that address, or all of its domain.
async fn owner_of(app: &App, identity: Identity, address: IpAddr) -> Result<OwnerRow, Error> {
    let domains = app.config.oidc.allowed_domains.clone();
    let email = identity.email.as_deref().filter(|_| identity.email_verified);
    let email = email.and_then(|email| email_of(email).ok());
    let newcomers = email.map(|email| {
        [false, true].map(|operator| Newcomer::new(app, email.clone(), operator, None, Some(address)))
    });
    let now_ms = app.now_ms();
    let write = app.store.write(move |tx| {
        if let Some(known) = owner::by_identity(tx, &identity.issuer, &identity.subject)? {
            let known = Some(known).filter(|owner| owner.disabled_at_ms.is_none());
            return Ok((known.ok_or_else(failed)?, Vec::new()));
        }
        let Some([new_owner, new_operator]) = &newcomers else { return Err(not_invited()) };
        let operator = admitted(tx, new_owner.email(), &domains, now_ms)?;
        let newcomer = if operator { new_operator } else { new_owner };
        let (id, accounts) = newcomer.join(tx, true)?;
        owner::set_identity(tx, &id, Some((&identity.issuer, &identity.subject)))?;
        let detail = linked(&identity.issuer, &identity.subject);
        note(tx, now_ms, &newcomer.actor(), None, "owner.identity_linked", id.as_str(), &detail)?;
        Ok::<_, Error>((owner::get(tx, &id)?.ok_or(Error::NotFound)?, accounts))
    });
    let (owner, accounts) = write.await?;
    welcome(app, &accounts).await?;
    Ok(owner)
}

/// Whether somebody of an address may come in, and whether as an operator; spends their invitation.
fn admitted(tx: &mut dyn Tx, email: &str, domains: &[String], now_ms: i64) -> Result<bool, Error> {
    if owner::by_email(tx, email)?.is_some() {
        // Somebody with a password: whoever the provider says it is must prove to be them first.
        return Err(Error::field(
            "",
            "sign in with your password first, and link the provider under Security",
        ));
    }
    if let Some(invitation) = ticket::invitation_of(tx, email, now_ms)? {
        if !ticket::spend(tx, &invitation.hash, now_ms)? {
            return Err(not_invited());
        }
        return Ok(invitation.role == "operator");
    }
    let domain = email.split_once('@').map(|(_, domain)| domain).unwrap_or_default();
    if domains.iter().any(|allowed| allowed == domain) { Ok(false) } else { Err(not_invited()) }
}

fn failed() -> Error {
    Error::field("", "the sign-in at the provider did not work; begin again")
}

fn not_invited() -> Error {
    Error::field("", "nobody invited that identity here; ask the operator for an invitation")
}
