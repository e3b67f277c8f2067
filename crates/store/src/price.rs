//! Price versions, as they were first seen.
//!
//! Invariant: a stored version never changes; another text under the same name is refused. Not here: prices.

use crate::{error::StoreError, tx::Tx};

/// What comparing a version with its stored text found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// First seen now, and stored.
    New,
    Same,
    /// The stored text differs.
    Changed {
        stored_text: String,
    },
}

/// Stores a version's canonical text and hash, or compares them with what is stored.
pub fn compare_or_store(
    tx: &mut dyn Tx,
    name: &str,
    hash: &[u8; 32],
    text: &str,
    now_ms: i64,
) -> Result<Comparison, StoreError> {
    let stored = tx.exec(
        "INSERT INTO price_versions (name, hash, text, stored_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name) DO NOTHING",
        &[name.into(), hash.into(), text.into(), now_ms.into()],
    )?;
    if stored == 1 {
        return Ok(Comparison::New);
    }
    let row = tx.one("SELECT hash, text FROM price_versions WHERE name = $1", &[name.into()])?;
    let row = row.ok_or_else(|| StoreError::Other("a price version is there and is not".to_owned()))?;
    let same = row.hash(0)? == *hash;
    Ok(if same { Comparison::Same } else { Comparison::Changed { stored_text: row.text(1)? } })
}

/// The names of all stored versions, oldest first.
pub fn names(tx: &mut dyn Tx) -> Result<Vec<String>, StoreError> {
    let rows = tx.all("SELECT name FROM price_versions ORDER BY stored_at, name", &[])?;
    rows.iter().map(|row| row.text(0)).collect()
}
