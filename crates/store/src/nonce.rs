//! Nonces of signed requests, remembered while their timestamps would still be believed.
//!
//! Invariant: a nonce is spent in the same commit as the effect of its request. Not here: signatures.

use crate::{error::StoreError, tx::Tx};

/// Spends a nonce of a key; `false` if it was spent before.
pub fn spend(tx: &mut dyn Tx, public_key: &str, nonce: &str, expires_at_ms: i64) -> Result<bool, StoreError> {
    let changed = tx.exec(
        "INSERT INTO nonces (public_key, nonce, expires_at) VALUES ($1, $2, $3) \
         ON CONFLICT (public_key, nonce) DO NOTHING",
        &[public_key.into(), nonce.into(), expires_at_ms.into()],
    )?;
    Ok(changed == 1)
}
