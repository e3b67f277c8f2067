//! Sessions of signed-in browsers.
//!
//! Invariant: a session is stored as the hash of its secret, so a dump signs nobody in. Not here: how long a
//! session lives.

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::{AccountId, OwnerId};

/// A session's row.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub hash: [u8; 32],
    pub owner_id: OwnerId,
    /// The account that its pages show.
    pub account_id: Option<AccountId>,
    pub created_at_ms: i64,
    pub seen_at_ms: i64,
    /// When its owner last proved to be there; 0 while the second step of signing in is awaited.
    pub confirmed_at_ms: i64,
    pub expires_at_ms: i64,
}

const COLUMNS: &str = "hash, owner_id, account_id, created_at, seen_at, confirmed_at, expires_at";

fn session_of(row: &Row) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        hash: row.hash(0)?,
        owner_id: OwnerId::from_stored(row.text(1)?),
        account_id: row.opt_text(2)?.map(AccountId::from_stored),
        created_at_ms: row.int(3)?,
        seen_at_ms: row.int(4)?,
        confirmed_at_ms: row.int(5)?,
        expires_at_ms: row.int(6)?,
    })
}

/// Writes a new session.
pub fn insert(tx: &mut dyn Tx, row: &SessionRow) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO sessions (hash, owner_id, account_id, created_at, seen_at, confirmed_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            (&row.hash).into(),
            row.owner_id.as_str().into(),
            row.account_id.as_ref().map(AccountId::as_str).into(),
            row.created_at_ms.into(),
            row.seen_at_ms.into(),
            row.confirmed_at_ms.into(),
            row.expires_at_ms.into(),
        ],
    )
    .map(drop)
}

/// The session of a hash.
pub fn get(tx: &mut dyn Tx, hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE hash = $1");
    tx.one(&sql, &[hash.into()])?.as_ref().map(session_of).transpose()
}

/// An owner's sessions, newest first.
pub fn of_owner(tx: &mut dyn Tx, owner: &OwnerId) -> Result<Vec<SessionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE owner_id = $1 ORDER BY created_at DESC, hash");
    tx.all(&sql, &[owner.as_str().into()])?.iter().map(session_of).collect()
}

/// Remembers that it was used.
pub fn touch(tx: &mut dyn Tx, hash: &[u8; 32], now_ms: i64) -> Result<(), StoreError> {
    tx.exec("UPDATE sessions SET seen_at = $2 WHERE hash = $1", &[hash.into(), now_ms.into()]).map(drop)
}

/// Remembers that its owner proved to be there.
pub fn confirm(tx: &mut dyn Tx, hash: &[u8; 32], now_ms: i64) -> Result<(), StoreError> {
    tx.exec("UPDATE sessions SET confirmed_at = $2 WHERE hash = $1", &[hash.into(), now_ms.into()]).map(drop)
}

/// The account that its pages show from now on.
pub fn choose(tx: &mut dyn Tx, hash: &[u8; 32], account: &AccountId) -> Result<(), StoreError> {
    let params = [hash.into(), account.as_str().into()];
    tx.exec("UPDATE sessions SET account_id = $2 WHERE hash = $1", &params).map(drop)
}

/// Ends one session; tells whether there was one.
pub fn delete(tx: &mut dyn Tx, hash: &[u8; 32]) -> Result<bool, StoreError> {
    Ok(tx.exec("DELETE FROM sessions WHERE hash = $1", &[hash.into()])? == 1)
}

/// Ends all sessions of an owner but one, or all.
pub fn delete_of_owner(tx: &mut dyn Tx, owner: &OwnerId, but: Option<&[u8; 32]>) -> Result<u64, StoreError> {
    match but {
        Some(kept) => {
            let params = [owner.as_str().into(), kept.into()];
            tx.exec("DELETE FROM sessions WHERE owner_id = $1 AND hash <> $2", &params)
        }
        None => tx.exec("DELETE FROM sessions WHERE owner_id = $1", &[owner.as_str().into()]),
    }
}
