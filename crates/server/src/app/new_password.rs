//! How owners get a new password: by the one they have, or by a link.
//!
//! Invariant: a new password ends every other session and every waiting link, in its own commit; a link
//! changes one password once. Not here: how passwords are stored (`password`), how links are sent.

use crate::{
    app::{
        Error,
        actor::Actor,
        admin::Admin,
        audit_log::note,
        owner::ticket_hash,
        password,
        session::{self, Session},
    },
    state::App,
};
use rynjer_core::id::OwnerId;
use rynjer_store::{
    StoreError, Tx,
    owner::{self, OwnerRow},
    session as sessions, throttle, ticket,
};
use serde_json::json;
use std::net::IpAddr;

/// How long a link for a new password can be used.
const RESET_LIVES_MS: i64 = 3_600_000;

impl Admin {
    /// A link by which somebody chooses a new password within an hour; earlier ones end.
    ///
    /// # Errors
    /// No such owner, or one who may not sign in.
    pub async fn reset_link(&self, base_url: &str, id: &OwnerId) -> Result<String, Error> {
        let now_ms = self.clock.now_ms();
        let changed = self.owner_change(id, "owner.reset_link_made", json!({}), move |tx, row| {
            if row.disabled_at_ms.is_some() {
                return Err(Error::field("owner", "may not sign in; enable them first"));
            }
            ticket::cancel(tx, "reset", Some(&row.email), now_ms)?;
            Ok(())
        });
        let row = changed.await?;
        let secret = self.ticket("reset", &row.email, &row.role, Some(row.id), RESET_LIVES_MS).await?;
        Ok(format!("{base_url}/reset?ticket={}", secret.expose()))
    }
}

/// Changes the password of somebody who is signed in and types the old one.
pub(crate) async fn change(
    app: &App,
    session: &Session,
    (old, code): (&str, &str),
    new: &str,
) -> Result<(), Error> {
    let owner = &session.owner;
    password::check(new, &owner.email)?;
    session::confirm(app, session, old, code).await?;
    let stored = app.passwords.hash(new).await?;
    let (id, kept, by, now_ms) = (owner.id.clone(), session.hash, session.actor(), app.now_ms());
    let write = app.store.write(move |tx| {
        let row = owner::lock(tx, &id)?.ok_or(Error::NotFound)?;
        renew(tx, &row, &stored, Some(&kept), now_ms)?;
        Ok::<_, Error>(note(tx, now_ms, &by, None, "owner.password_changed", id.as_str(), &json!({}))?)
    });
    write.await
}

/// Whose password a link changes; none where it does so no more.
pub(crate) async fn of_ticket(app: &App, ticket_text: &str) -> Result<OwnerRow, Error> {
    let (hash, now_ms) = (ticket_hash(ticket_text)?, app.now_ms());
    app.store.read(move |tx| found(tx, &hash, now_ms)).await
}

fn found(tx: &mut dyn Tx, hash: &[u8; 32], now_ms: i64) -> Result<OwnerRow, Error> {
    let row = ticket::live(tx, hash, now_ms)?.filter(|row| row.kind == "reset");
    let id = row.and_then(|row| row.owner_id).ok_or(Error::TicketInvalid)?;
    let owner = owner::get(tx, &id)?.filter(|owner| owner.disabled_at_ms.is_none());
    owner.ok_or(Error::TicketInvalid)
}

/// Spends a link for a new password. A second step of signing in stays.
pub(crate) async fn by_ticket(app: &App, ticket_text: &str, new: &str, address: IpAddr) -> Result<(), Error> {
    let owner = of_ticket(app, ticket_text).await?;
    password::check(new, &owner.email)?;
    let (hash, stored, now_ms) = (ticket_hash(ticket_text)?, app.passwords.hash(new).await?, app.now_ms());
    let write = app.store.write(move |tx| {
        let owner = found(tx, &hash, now_ms)?;
        if !ticket::spend(tx, &hash, now_ms)? {
            return Err(Error::TicketInvalid);
        }
        renew(tx, &owner, &stored, None, now_ms)?;
        // An identity that somebody else linked would let them in again.
        owner::set_identity(tx, &owner.id, None)?;
        let by =
            Actor::Owner { id: owner.id.clone(), operator: owner.role == "operator", address: Some(address) };
        if let Some(subject) = &owner.oidc_subject {
            let detail = json!({ "subject": subject });
            note(tx, now_ms, &by, None, "owner.identity_unlinked", owner.id.as_str(), &detail)?;
        }
        // Whoever guessed at the old one shall not keep its owner out.
        throttle::clear(tx, &session::person(&owner.email))?;
        Ok::<_, Error>(note(tx, now_ms, &by, None, "owner.password_reset", owner.id.as_str(), &json!({}))?)
    });
    write.await
}

fn renew(
    tx: &mut dyn Tx,
    owner: &OwnerRow,
    stored: &str,
    kept: Option<&[u8; 32]>,
    now_ms: i64,
) -> Result<(), StoreError> {
    owner::set_password(tx, &owner.id, stored)?;
    sessions::delete_of_owner(tx, &owner.id, kept)?;
    ticket::cancel(tx, "reset", Some(&owner.email), now_ms).map(drop)
}
