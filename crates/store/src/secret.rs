//! Sealed keys of the installation: token signing, URL signing, refresh derivation, quotes.
//!
//! Invariant: only sealed bytes are stored; a dump mints nothing. Not here: the master key and unsealing.

use crate::{error::StoreError, tx::Tx};

/// A sealed key.
#[derive(Debug, Clone)]
pub struct SecretRow {
    pub purpose: String,
    pub id: String,
    pub sealed: Vec<u8>,
    pub created_at_ms: i64,
    pub retired_at_ms: Option<i64>,
}

/// All sealed keys, oldest first.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<SecretRow>, StoreError> {
    let rows = tx.all(
        "SELECT purpose, id, sealed, created_at, retired_at FROM secrets ORDER BY purpose, created_at, id",
        &[],
    )?;
    let secret_of = |row: &crate::tx::Row| {
        Ok(SecretRow {
            purpose: row.text(0)?,
            id: row.text(1)?,
            sealed: row.bytes(2)?,
            created_at_ms: row.int(3)?,
            retired_at_ms: row.opt_int(4)?,
        })
    };
    rows.iter().map(secret_of).collect()
}

/// A key that was made and sealed, and is stored if its purpose needs one.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub purpose: &'static str,
    pub id: String,
    pub sealed: Vec<u8>,
    /// The purpose needs a key if its newest was made then or earlier, or if it has none.
    pub if_made_until_ms: i64,
}

/// Stores the candidates that are needed, and returns all keys as [`all`] does. Of any number of nodes that
/// do this at once, one stores its key of a purpose, and all return the same.
pub fn renew(tx: &mut dyn Tx, candidates: &[Candidate], now_ms: i64) -> Result<Vec<SecretRow>, StoreError> {
    // Rows that are not there yet can't be locked. This one makes writers wait for each other.
    tx.exec(
        "INSERT INTO installation (name, value) VALUES ('keys', 'locked to add one') \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[],
    )?;
    let known = all(tx)?;
    for candidate in candidates {
        let made_ms =
            known.iter().filter(|row| row.purpose == candidate.purpose).map(|row| row.created_at_ms);
        if made_ms.max().is_none_or(|made_ms| made_ms <= candidate.if_made_until_ms) {
            tx.exec(
                "INSERT INTO secrets (purpose, id, sealed, created_at) VALUES ($1, $2, $3, $4)",
                &[
                    candidate.purpose.into(),
                    (&candidate.id).into(),
                    candidate.sealed.as_slice().into(),
                    now_ms.into(),
                ],
            )?;
        }
    }
    all(tx)
}
