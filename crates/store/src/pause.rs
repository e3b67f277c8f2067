//! Models and providers that the operator stopped.
//!
//! Invariant: one row per name; what has no row works. Not here: pauses of accounts and agents, which are
//! columns of theirs.

use crate::{error::StoreError, tx::Tx};

/// What the operator stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRow {
    /// `model` or `provider`.
    pub kind: String,
    pub name: String,
    pub reason: String,
    pub created_at_ms: i64,
}

/// Stops a model or provider; one that is stopped gets the new reason.
pub fn set(tx: &mut dyn Tx, kind: &str, name: &str, reason: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO pauses (kind, name, reason, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (kind, name) DO UPDATE SET reason = excluded.reason",
        &[kind.into(), name.into(), reason.into(), now_ms.into()],
    )
    .map(drop)
}

/// Lets it work again; whether it was stopped.
pub fn clear(tx: &mut dyn Tx, kind: &str, name: &str) -> Result<bool, StoreError> {
    Ok(tx.exec("DELETE FROM pauses WHERE kind = $1 AND name = $2", &[kind.into(), name.into()])? == 1)
}

/// All that is stopped.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<PauseRow>, StoreError> {
    let rows = tx.all("SELECT kind, name, reason, created_at FROM pauses ORDER BY kind, name", &[])?;
    let pause = |row: &crate::tx::Row| {
        Ok(PauseRow {
            kind: row.text(0)?,
            name: row.text(1)?,
            reason: row.text(2)?,
            created_at_ms: row.int(3)?,
        })
    };
    rows.iter().map(pause).collect()
}
