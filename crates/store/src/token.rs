//! Families of refresh tokens: each token is spent once, and a family dies as a whole.
//!
//! Invariant: tokens are stored as SHA-256; spending and issuing happen in the caller's one unit. Not here:
//! what a second use means (`server::app::token`).

use crate::{error::StoreError, tx::Tx};
use rynjer_core::id::{AccountId, AgentId, FamilyId, KeyId};

/// A family as it is written.
#[derive(Debug, Clone)]
pub struct FamilyRow {
    pub id: FamilyId,
    pub account_id: AccountId,
    pub agent_id: AgentId,
    pub key_id: KeyId,
    pub scopes: String,
    pub created_at_ms: i64,
    pub expires_at_ms: i64,
    pub revoked_at_ms: Option<i64>,
}

/// A refresh token with its family.
#[derive(Debug, Clone)]
pub struct RefreshRow {
    pub family: FamilyRow,
    pub used_at_ms: Option<i64>,
}

/// Writes a new family.
pub fn insert_family(tx: &mut dyn Tx, family: &FamilyRow) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO token_families (id, account_id, agent_id, key_id, scopes, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            family.id.as_str().into(),
            family.account_id.as_str().into(),
            family.agent_id.as_str().into(),
            family.key_id.as_str().into(),
            (&family.scopes).into(),
            family.created_at_ms.into(),
            family.expires_at_ms.into(),
        ],
    )
    .map(drop)
}

/// Writes a token of a family.
pub fn insert_refresh(
    tx: &mut dyn Tx,
    family: &FamilyId,
    hash: &[u8; 32],
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO refresh_tokens (hash, family_id, created_at) VALUES ($1, $2, $3)",
        &[hash.into(), family.as_str().into(), now_ms.into()],
    )
    .map(drop)
}

/// The token of that hash.
pub fn refresh(tx: &mut dyn Tx, hash: &[u8; 32]) -> Result<Option<RefreshRow>, StoreError> {
    let row = tx.one(
        "SELECT f.id, f.account_id, f.agent_id, f.key_id, f.scopes, f.created_at, f.expires_at, \
         f.revoked_at, \
         r.used_at FROM refresh_tokens r JOIN token_families f ON f.id = r.family_id WHERE r.hash = $1",
        &[hash.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let family = FamilyRow {
        id: FamilyId::from_stored(row.text(0)?),
        account_id: AccountId::from_stored(row.text(1)?),
        agent_id: AgentId::from_stored(row.text(2)?),
        key_id: KeyId::from_stored(row.text(3)?),
        scopes: row.text(4)?,
        created_at_ms: row.int(5)?,
        expires_at_ms: row.int(6)?,
        revoked_at_ms: row.opt_int(7)?,
    };
    Ok(Some(RefreshRow { family, used_at_ms: row.opt_int(8)? }))
}

/// Keeps the family of a token until the unit is over: of two that come at once, the second sees what the
/// first has done.
pub fn lock_family(tx: &mut dyn Tx, hash: &[u8; 32]) -> Result<(), StoreError> {
    let lock = tx.dialect().for_update("f");
    let sql = format!(
        "SELECT f.id FROM refresh_tokens r JOIN token_families f ON f.id = r.family_id \
         WHERE r.hash = $1 {lock}"
    );
    tx.one(&sql, &[hash.into()]).map(drop)
}

/// Spends a token; `false` if it was spent already.
pub fn spend(tx: &mut dyn Tx, hash: &[u8; 32], now_ms: i64) -> Result<bool, StoreError> {
    let params = [hash.into(), now_ms.into()];
    Ok(tx.exec("UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1 AND used_at IS NULL", &params)? == 1)
}

/// Ends a family with all its tokens.
pub fn revoke_family(tx: &mut dyn Tx, family: &FamilyId, now_ms: i64) -> Result<(), StoreError> {
    let params = [family.as_str().into(), now_ms.into()];
    tx.exec("UPDATE token_families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", &params)
        .map(drop)
}
