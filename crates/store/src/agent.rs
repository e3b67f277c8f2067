//! Agents: an Ed25519 key, the account it is bound to, and the code that proves both.
//!
//! Invariant: one agent per public key; secrets are stored as SHA-256 only. Not here: signatures and who may
//! bind.

use crate::{
    error::StoreError,
    tx::{Row, Tx},
};
use rynjer_core::id::{AccountId, AgentId};

/// An agent's row.
#[derive(Debug, Clone)]
pub struct AgentRow {
    pub id: AgentId,
    pub public_key: String,
    pub account_id: Option<AccountId>,
    pub name: String,
    pub version: String,
    pub created_at_ms: i64,
    pub bound_at_ms: Option<i64>,
    pub paused_at_ms: Option<i64>,
    pub revoked_at_ms: Option<i64>,
    /// Scopes that the owner granted, as text.
    pub scopes: String,
    pub registration_hash: [u8; 32],
    pub registration_expires_at_ms: i64,
    pub user_code_hash: [u8; 32],
    pub user_code_expires_at_ms: i64,
    /// When it registered last.
    pub registered_at_ms: i64,
}

/// What a registration writes.
#[derive(Debug, Clone)]
pub struct Registration {
    pub id: AgentId,
    pub public_key: String,
    pub name: String,
    pub version: String,
    pub now_ms: i64,
    pub registration_hash: [u8; 32],
    pub registration_expires_at_ms: i64,
    pub user_code_hash: [u8; 32],
    pub user_code_expires_at_ms: i64,
}

const COLUMNS: &str = "id, public_key, account_id, name, version, created_at, bound_at, paused_at, \
                       revoked_at, \
                       scopes, registration_hash, registration_expires_at, user_code_hash, \
                       user_code_expires_at, registered_at";

fn agent_of(row: &Row) -> Result<AgentRow, StoreError> {
    Ok(AgentRow {
        id: AgentId::from_stored(row.text(0)?),
        public_key: row.text(1)?,
        account_id: row.opt_text(2)?.map(AccountId::from_stored),
        name: row.text(3)?,
        version: row.text(4)?,
        created_at_ms: row.int(5)?,
        bound_at_ms: row.opt_int(6)?,
        paused_at_ms: row.opt_int(7)?,
        revoked_at_ms: row.opt_int(8)?,
        scopes: row.text(9)?,
        registration_hash: row.hash(10)?,
        registration_expires_at_ms: row.int(11)?,
        user_code_hash: row.hash(12)?,
        user_code_expires_at_ms: row.int(13)?,
        registered_at_ms: row.int(14)?,
    })
}

/// Writes a new agent, or gives a known key's agent a fresh code; the id that stands is returned.
pub fn register(tx: &mut dyn Tx, new: &Registration) -> Result<AgentRow, StoreError> {
    tx.exec(
        "INSERT INTO agents (id, public_key, name, version, created_at, registered_at, registration_hash, \
         registration_expires_at, user_code_hash, user_code_expires_at) \
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9) \
         ON CONFLICT (public_key) DO UPDATE SET name = excluded.name, version = excluded.version, \
         registered_at = excluded.registered_at, registration_hash = excluded.registration_hash, \
         registration_expires_at = excluded.registration_expires_at, \
         user_code_hash = excluded.user_code_hash, user_code_expires_at = excluded.user_code_expires_at",
        &[
            new.id.as_str().into(),
            (&new.public_key).into(),
            (&new.name).into(),
            (&new.version).into(),
            new.now_ms.into(),
            (&new.registration_hash).into(),
            new.registration_expires_at_ms.into(),
            (&new.user_code_hash).into(),
            new.user_code_expires_at_ms.into(),
        ],
    )?;
    by_public_key(tx, &new.public_key)?.ok_or_else(|| StoreError::Other("the agent was not written".into()))
}

/// The agent of a public key (64 hex digits, lower case).
pub fn by_public_key(tx: &mut dyn Tx, public_key: &str) -> Result<Option<AgentRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE public_key = $1");
    tx.one(&sql, &[public_key.into()])?.as_ref().map(agent_of).transpose()
}

/// The agent of an id; its account is checked by the caller, who may be the agent itself.
pub fn get(tx: &mut dyn Tx, id: &AgentId) -> Result<Option<AgentRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE id = $1");
    tx.one(&sql, &[id.as_str().into()])?.as_ref().map(agent_of).transpose()
}

/// Ids and names of an account's agents, newest first, at most so many.
pub fn names(tx: &mut dyn Tx, account: &AccountId, most: u32) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT id, name FROM agents WHERE account_id = $1 ORDER BY id DESC LIMIT $2";
    let rows = tx.all(sql, &[account.as_str().into(), most.into()])?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// The same for a unit that decides from it: nobody else changes the agent before this unit is over.
pub fn lock(tx: &mut dyn Tx, id: &AgentId) -> Result<Option<AgentRow>, StoreError> {
    let lock = tx.dialect().for_update("agents");
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE id = $1 {lock}");
    tx.one(&sql, &[id.as_str().into()])?.as_ref().map(agent_of).transpose()
}

/// The agent that a registration code belongs to.
pub fn by_registration(tx: &mut dyn Tx, hash: &[u8; 32]) -> Result<Option<AgentRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE registration_hash = $1");
    tx.one(&sql, &[hash.into()])?.as_ref().map(agent_of).transpose()
}

/// The agent of a code that people type, while the code lives. Two agents may have been given the same code
/// by chance: then it is nobody's.
pub fn by_user_code(tx: &mut dyn Tx, hash: &[u8; 32], now_ms: i64) -> Result<Option<AgentRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM agents WHERE user_code_hash = $1 AND user_code_expires_at > $2 LIMIT 2"
    );
    match tx.all(&sql, &[hash.into(), now_ms.into()])?.as_slice() {
        [row] => agent_of(row).map(Some),
        _ => Ok(None),
    }
}

/// Gives the agent to an account with the scopes that its keys may ask for. The code that people type is
/// spent by it.
pub fn bind(
    tx: &mut dyn Tx,
    id: &AgentId,
    account: &AccountId,
    scopes: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE agents SET account_id = $2, scopes = $3, bound_at = $4, user_code_expires_at = $4 \
         WHERE id = $1",
        &[id.as_str().into(), account.as_str().into(), scopes.into(), now_ms.into()],
    )
    .map(drop)
}

/// Takes the agent from its account; its codes are dead from now on.
pub fn unbind(tx: &mut dyn Tx, id: &AgentId, now_ms: i64) -> Result<(), StoreError> {
    // The expired times make the codes useless; the hash column must stay unique and so is left alone.
    tx.exec(
        "UPDATE agents SET account_id = NULL, scopes = '', bound_at = NULL, registration_expires_at = $2, \
         user_code_expires_at = $2 WHERE id = $1",
        &[id.as_str().into(), now_ms.into()],
    )
    .map(drop)
}

/// What the agent's keys may ask for from now on.
pub fn set_scopes(tx: &mut dyn Tx, id: &AgentId, scopes: &str) -> Result<(), StoreError> {
    let params = [id.as_str().into(), scopes.into()];
    tx.exec("UPDATE agents SET scopes = $2 WHERE id = $1", &params).map(drop)
}

/// Pauses from `paused_at_ms`, or resumes with none.
pub fn set_paused(tx: &mut dyn Tx, id: &AgentId, paused_at_ms: Option<i64>) -> Result<(), StoreError> {
    let params = [id.as_str().into(), paused_at_ms.into()];
    tx.exec("UPDATE agents SET paused_at = $2 WHERE id = $1", &params).map(drop)
}

/// Ends the agent for good.
pub fn revoke(tx: &mut dyn Tx, id: &AgentId, now_ms: i64) -> Result<(), StoreError> {
    let params = [id.as_str().into(), now_ms.into()];
    tx.exec("UPDATE agents SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", &params).map(drop)
}
