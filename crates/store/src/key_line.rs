//! Lines of keys: which key took the place of which.
//!
//! Invariant: a replaced key names the newest of its line, however many came in between. Not here: the keys
//! themselves (`key`), and their caps, which the newest one has (`budget`).

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::{AccountId, KeyId};

/// Writes that `new` took the place of `old`, and of whatever `old` took the place of.
pub fn replace(
    tx: &mut dyn Tx,
    account: &AccountId,
    (old, new): (&KeyId, &KeyId),
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE key_successors SET newest_id = $3 WHERE account_id = $1 AND newest_id = $2",
        &[account.as_str().into(), old.as_str().into(), new.as_str().into()],
    )?;
    tx.exec(
        "INSERT INTO key_successors (account_id, key_id, newest_id, replaced_at) VALUES ($1, $2, $3, $4)",
        &[account.as_str().into(), old.as_str().into(), new.as_str().into(), now_ms.into()],
    )
    .map(drop)
}

/// The newest key of the line of a key that was replaced; none for every other key.
pub fn successor(tx: &mut dyn Tx, account: &AccountId, key: &str) -> Result<Option<KeyId>, StoreError> {
    let row = tx.one(
        "SELECT newest_id FROM key_successors WHERE account_id = $1 AND key_id = $2",
        &[account.as_str().into(), key.into()],
    )?;
    row.map(|row| Ok(KeyId::from_stored(row.text(0)?))).transpose()
}

/// Replaced keys of an account that still work, each with the newest of its line.
pub fn overlapping(
    tx: &mut dyn Tx,
    account: &AccountId,
    now_ms: i64,
) -> Result<Vec<(KeyId, KeyId)>, StoreError> {
    let rows = tx.all(
        "SELECT s.key_id, s.newest_id FROM key_successors s JOIN keys k ON k.id = s.key_id \
         AND k.account_id = s.account_id WHERE s.account_id = $1 AND k.revoked_at IS NULL \
         AND k.expires_at > $2 ORDER BY s.key_id",
        &[account.as_str().into(), now_ms.into()],
    )?;
    let pair = |row: &Row| Ok((KeyId::from_stored(row.text(0)?), KeyId::from_stored(row.text(1)?)));
    rows.iter().map(pair).collect()
}
