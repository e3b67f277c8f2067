//! Codes that stand in for a lost second step.
//!
//! Invariant: a code is stored as its hash, and spent by one commit at most. Not here: what a code looks like
//! (`core::totp`).

use crate::{error::StoreError, tx::Tx};
use rynjer_core::id::OwnerId;

/// Replaces an owner's codes.
pub fn replace(tx: &mut dyn Tx, owner: &OwnerId, hashes: &[[u8; 32]]) -> Result<(), StoreError> {
    tx.exec("DELETE FROM recovery_codes WHERE owner_id = $1", &[owner.as_str().into()])?;
    for hash in hashes {
        let sql = "INSERT INTO recovery_codes (owner_id, hash) VALUES ($1, $2)";
        tx.exec(sql, &[owner.as_str().into(), hash.into()])?;
    }
    Ok(())
}

/// Spends a code; tells whether it was one that nobody had used.
pub fn spend(tx: &mut dyn Tx, owner: &OwnerId, hash: &[u8; 32], now_ms: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE recovery_codes SET used_at = $3 WHERE owner_id = $1 AND hash = $2 AND used_at IS NULL";
    Ok(tx.exec(sql, &[owner.as_str().into(), hash.into(), now_ms.into()])? == 1)
}

/// How many codes are left.
pub fn left(tx: &mut dyn Tx, owner: &OwnerId) -> Result<i64, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM recovery_codes WHERE owner_id = $1 AND used_at IS NULL";
    tx.one(sql, &[owner.as_str().into()])?.map_or(Ok(0), |row| row.int(0))
}
