//! Links that do one thing once: the first set-up, an invitation, a new password.
//!
//! Invariant: a ticket is spent by one commit at most, and only before it expires. Not here: what it opens.

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::OwnerId;

/// A ticket's row.
#[derive(Debug, Clone)]
pub struct TicketRow {
    pub hash: [u8; 32],
    /// `setup`, `invitation` or `reset`.
    pub kind: String,
    /// Whom it was made for; empty for the set-up.
    pub email: String,
    pub role: String,
    /// Whose password a `reset` changes.
    pub owner_id: Option<OwnerId>,
    pub created_by: String,
    pub created_at_ms: i64,
    pub expires_at_ms: i64,
    pub used_at_ms: Option<i64>,
}

const COLUMNS: &str = "hash, kind, email, role, owner_id, created_by, created_at, expires_at, used_at";

fn ticket_of(row: &Row) -> Result<TicketRow, StoreError> {
    Ok(TicketRow {
        hash: row.hash(0)?,
        kind: row.text(1)?,
        email: row.text(2)?,
        role: row.text(3)?,
        owner_id: row.opt_text(4)?.map(OwnerId::from_stored),
        created_by: row.text(5)?,
        created_at_ms: row.int(6)?,
        expires_at_ms: row.int(7)?,
        used_at_ms: row.opt_int(8)?,
    })
}

/// Writes a new ticket.
pub fn insert(tx: &mut dyn Tx, row: &TicketRow) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO tickets (hash, kind, email, role, owner_id, created_by, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            (&row.hash).into(),
            (&row.kind).into(),
            (&row.email).into(),
            (&row.role).into(),
            row.owner_id.as_ref().map(OwnerId::as_str).into(),
            (&row.created_by).into(),
            row.created_at_ms.into(),
            row.expires_at_ms.into(),
        ],
    )
    .map(drop)
}

/// A ticket that can still be spent.
pub fn live(tx: &mut dyn Tx, hash: &[u8; 32], now_ms: i64) -> Result<Option<TicketRow>, StoreError> {
    let live = "hash = $1 AND used_at IS NULL AND expires_at > $2";
    let sql = format!("SELECT {COLUMNS} FROM tickets WHERE {live}");
    tx.one(&sql, &[hash.into(), now_ms.into()])?.as_ref().map(ticket_of).transpose()
}

/// Invitations that wait, newest first.
pub fn waiting(tx: &mut dyn Tx, now_ms: i64) -> Result<Vec<TicketRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tickets WHERE kind = 'invitation' AND used_at IS NULL AND expires_at > $1 \
         ORDER BY created_at DESC, hash LIMIT 200"
    );
    tx.all(&sql, &[now_ms.into()])?.iter().map(ticket_of).collect()
}

/// The newest invitation of an address that waits.
pub fn invitation_of(tx: &mut dyn Tx, email: &str, now_ms: i64) -> Result<Option<TicketRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tickets WHERE kind = 'invitation' AND email = $1 AND used_at IS NULL \
         AND expires_at > $2 ORDER BY created_at DESC, hash LIMIT 1"
    );
    tx.one(&sql, &[email.into(), now_ms.into()])?.as_ref().map(ticket_of).transpose()
}

/// Spends it; tells whether nobody had before.
pub fn spend(tx: &mut dyn Tx, hash: &[u8; 32], now_ms: i64) -> Result<bool, StoreError> {
    let params = [hash.into(), now_ms.into()];
    let sql = "UPDATE tickets SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2";
    Ok(tx.exec(sql, &params)? == 1)
}

/// Ends all tickets of a kind that nobody used; those of one e-mail address, or all.
pub fn cancel(tx: &mut dyn Tx, kind: &str, email: Option<&str>, now_ms: i64) -> Result<u64, StoreError> {
    tx.exec(
        "UPDATE tickets SET used_at = $3 WHERE kind = $1 AND used_at IS NULL \
         AND (CAST($2 AS TEXT) IS NULL OR email = $2)",
        &[kind.into(), email.into(), now_ms.into()],
    )
}

/// Ends all tickets that somebody made and nobody used: their word counts no more.
pub fn cancel_made_by(tx: &mut dyn Tx, owner: &str, now_ms: i64) -> Result<u64, StoreError> {
    // Who made a ticket is told as a kind and an id.
    let made_by = [format!("operator {owner}"), format!("owner {owner}")];
    tx.exec(
        "UPDATE tickets SET used_at = $3 WHERE created_by IN ($1, $2) AND used_at IS NULL",
        &[(&made_by[0]).into(), (&made_by[1]).into(), now_ms.into()],
    )
}
