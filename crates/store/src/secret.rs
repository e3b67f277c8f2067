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

/// Writes a new sealed key.
pub fn insert(
    tx: &mut dyn Tx,
    purpose: &str,
    id: &str,
    sealed: &[u8],
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO secrets (purpose, id, sealed, created_at) VALUES ($1, $2, $3, $4)",
        &[purpose.into(), id.into(), sealed.into(), now_ms.into()],
    )
    .map(drop)
}
