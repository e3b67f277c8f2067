//! API keys of agents and accounts, and what a presented credential stands for.
//!
//! Invariant: a key is stored as its SHA-256 and its visible prefix, never itself. Not here: checks of expiry
//! and scope, which need the clock and the rules.

use crate::{
    error::StoreError,
    policy::policy_of,
    tx::{Row, Tx},
};
use rynjer_core::{
    budget::Subject,
    id::{AccountId, AgentId, FamilyId, KeyId},
    policy::Policies,
};

/// A key as it is written and listed.
#[derive(Debug, Clone)]
pub struct KeyRow {
    pub id: KeyId,
    pub account_id: AccountId,
    pub agent_id: Option<AgentId>,
    pub name: String,
    pub prefix: String,
    pub hash: [u8; 32],
    pub scopes: String,
    pub created_at_ms: i64,
    pub expires_at_ms: Option<i64>,
    pub last_used_at_ms: Option<i64>,
    pub revoked_at_ms: Option<i64>,
}

/// A key with the state of everything that it hangs on.
#[derive(Debug, Clone)]
pub struct Credential {
    pub key: KeyRow,
    pub account_mode: String,
    pub account_frozen: bool,
    /// `None` for account keys.
    pub agent: Option<CredentialAgent>,
    /// Set when the credential is an access token of a family.
    pub family: Option<CredentialFamily>,
    /// What its owner lets it ask for.
    pub policies: Policies,
}

/// The agent that a credential belongs to.
#[derive(Debug, Clone)]
pub struct CredentialAgent {
    pub account_id: Option<AccountId>,
    pub scopes: String,
    pub paused: bool,
    pub revoked: bool,
}

/// The family of refresh tokens that an access token came from.
#[derive(Debug, Clone)]
pub struct CredentialFamily {
    pub id: FamilyId,
    pub scopes: String,
    pub revoked: bool,
    pub expires_at_ms: i64,
}

const COLUMNS: &str = "k.id, k.account_id, k.agent_id, k.name, k.prefix, k.hash, k.scopes, k.created_at, \
                       k.expires_at, k.last_used_at, k.revoked_at";

fn key_of(row: &Row) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        id: KeyId::from_stored(row.text(0)?),
        account_id: AccountId::from_stored(row.text(1)?),
        agent_id: row.opt_text(2)?.map(AgentId::from_stored),
        name: row.text(3)?,
        prefix: row.text(4)?,
        hash: row.hash(5)?,
        scopes: row.text(6)?,
        created_at_ms: row.int(7)?,
        expires_at_ms: row.opt_int(8)?,
        last_used_at_ms: row.opt_int(9)?,
        revoked_at_ms: row.opt_int(10)?,
    })
}

/// Writes a new key.
pub fn insert(tx: &mut dyn Tx, key: &KeyRow) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO keys (id, account_id, agent_id, name, prefix, hash, scopes, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            key.id.as_str().into(),
            key.account_id.as_str().into(),
            key.agent_id.as_ref().map(AgentId::as_str).into(),
            (&key.name).into(),
            (&key.prefix).into(),
            (&key.hash).into(),
            (&key.scopes).into(),
            key.created_at_ms.into(),
            key.expires_at_ms.into(),
        ],
    )
    .map(drop)
}

/// Keys of an agent that are neither revoked nor expired.
pub fn live_count(tx: &mut dyn Tx, agent: &AgentId, now_ms: i64) -> Result<i64, StoreError> {
    let row = tx.one(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM keys WHERE agent_id = $1 AND revoked_at IS NULL \
         AND (expires_at IS NULL OR expires_at > $2)",
        &[agent.as_str().into(), now_ms.into()],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// One key of an account.
pub fn get(tx: &mut dyn Tx, account: &AccountId, key: &KeyId) -> Result<Option<KeyRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM keys k WHERE k.account_id = $1 AND k.id = $2");
    tx.one(&sql, &[account.as_str().into(), key.as_str().into()])?.as_ref().map(key_of).transpose()
}

/// All keys of an agent of an account, newest first.
pub fn of_agent(tx: &mut dyn Tx, account: &AccountId, agent: &AgentId) -> Result<Vec<KeyRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM keys k WHERE k.account_id = $1 AND k.agent_id = $2 ORDER BY k.id DESC"
    );
    tx.all(&sql, &[account.as_str().into(), agent.as_str().into()])?.iter().map(key_of).collect()
}

/// All keys of an account, newest first.
pub fn of_account(tx: &mut dyn Tx, account: &AccountId) -> Result<Vec<KeyRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM keys k WHERE k.account_id = $1 ORDER BY k.id DESC");
    tx.all(&sql, &[account.as_str().into()])?.iter().map(key_of).collect()
}

/// Keys of an account that belong to none of its agents, newest first.
pub fn of_account_itself(tx: &mut dyn Tx, account: &AccountId) -> Result<Vec<KeyRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM keys k WHERE k.account_id = $1 AND k.agent_id IS NULL ORDER BY k.id DESC"
    );
    tx.all(&sql, &[account.as_str().into()])?.iter().map(key_of).collect()
}

/// How an agent's keys are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Keys that are neither revoked nor expired.
    pub live: i64,
    pub last_used_at_ms: Option<i64>,
}

/// How the keys of each agent of an account are used; agents that never had one are left out.
pub fn use_of_agents(
    tx: &mut dyn Tx,
    account: &AccountId,
    now_ms: i64,
) -> Result<std::collections::HashMap<AgentId, KeyUse>, StoreError> {
    let rows = tx.all(
        "SELECT agent_id, CAST(SUM(CASE WHEN revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) \
         THEN 1 ELSE 0 END) AS BIGINT), MAX(last_used_at) FROM keys \
         WHERE account_id = $1 AND agent_id IS NOT NULL GROUP BY agent_id",
        &[account.as_str().into(), now_ms.into()],
    )?;
    let of_row = |row: &Row| {
        let used = KeyUse { live: row.int(1)?, last_used_at_ms: row.opt_int(2)? };
        Ok((AgentId::from_stored(row.text(0)?), used))
    };
    rows.iter().map(of_row).collect()
}

/// Revokes a key of an account; the time of its first revocation, or `None` if there is no such key.
pub fn revoke(
    tx: &mut dyn Tx,
    account: &AccountId,
    key: &KeyId,
    now_ms: i64,
) -> Result<Option<i64>, StoreError> {
    let row = tx.one(
        "UPDATE keys SET revoked_at = COALESCE(revoked_at, $3) WHERE account_id = $1 AND id = $2 \
         RETURNING revoked_at",
        &[account.as_str().into(), key.as_str().into(), now_ms.into()],
    )?;
    tx.exec(
        "UPDATE token_families SET revoked_at = $3 WHERE key_id = $2 AND account_id = $1 \
         AND revoked_at IS NULL",
        &[account.as_str().into(), key.as_str().into(), now_ms.into()],
    )?;
    row.map_or(Ok(None), |row| row.opt_int(0))
}

/// Revokes every key and token of an agent.
pub fn revoke_all_of_agent(tx: &mut dyn Tx, agent: &AgentId, now_ms: i64) -> Result<(), StoreError> {
    let params = [agent.as_str().into(), now_ms.into()];
    tx.exec("UPDATE keys SET revoked_at = $2 WHERE agent_id = $1 AND revoked_at IS NULL", &params)?;
    tx.exec("UPDATE token_families SET revoked_at = $2 WHERE agent_id = $1 AND revoked_at IS NULL", &params)
        .map(drop)
}

/// One key of an account, for a unit that decides from it: nobody else changes it before the unit is over.
pub fn lock(tx: &mut dyn Tx, account: &AccountId, key: &KeyId) -> Result<Option<KeyRow>, StoreError> {
    let lock = tx.dialect().for_update("k");
    let sql = format!("SELECT {COLUMNS} FROM keys k WHERE k.account_id = $1 AND k.id = $2 {lock}");
    tx.one(&sql, &[account.as_str().into(), key.as_str().into()])?.as_ref().map(key_of).transpose()
}

/// Ends a key with its tokens at a time, unless they end before.
pub fn end_at(tx: &mut dyn Tx, account: &AccountId, key: &KeyId, at_ms: i64) -> Result<(), StoreError> {
    let params = [account.as_str().into(), key.as_str().into(), at_ms.into()];
    tx.exec(
        "UPDATE keys SET expires_at = $3 WHERE account_id = $1 AND id = $2 \
         AND (expires_at IS NULL OR expires_at > $3)",
        &params,
    )?;
    tx.exec(
        "UPDATE token_families SET expires_at = $3 WHERE account_id = $1 AND key_id = $2 AND expires_at > $3",
        &params,
    )
    .map(drop)
}

/// Gives a key what another one may ask for.
pub fn carry_policy(
    tx: &mut dyn Tx,
    account: &AccountId,
    from: &KeyId,
    to: &KeyId,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO policies (account_id, subject, subject_id, models, max_price, updated_at) \
         SELECT account_id, subject, CAST($3 AS TEXT), models, max_price, CAST($4 AS BIGINT) FROM policies \
         WHERE account_id = $1 AND subject = 'key' AND subject_id = $2",
        &[account.as_str().into(), from.as_str().into(), to.as_str().into(), now_ms.into()],
    )
    .map(drop)
}

/// What the key may be used for from now on.
pub fn set_scopes(tx: &mut dyn Tx, key: &KeyId, scopes: &str) -> Result<(), StoreError> {
    let params = [key.as_str().into(), scopes.into()];
    tx.exec("UPDATE keys SET scopes = $2 WHERE id = $1", &params).map(drop)
}

/// Notes when a key was last used.
pub fn touch(tx: &mut dyn Tx, key: &KeyId, now_ms: i64) -> Result<(), StoreError> {
    let params = [key.as_str().into(), now_ms.into()];
    tx.exec("UPDATE keys SET last_used_at = $2 WHERE id = $1", &params).map(drop)
}

const JOINS: &str = "JOIN accounts a ON a.id = k.account_id LEFT JOIN agents g ON g.id = k.agent_id \
                     LEFT JOIN policies pa ON pa.account_id = k.account_id AND pa.subject = 'account' \
                     AND pa.subject_id = k.account_id \
                     LEFT JOIN policies pg ON pg.account_id = k.account_id AND pg.subject = 'agent' \
                     AND pg.subject_id = k.agent_id \
                     LEFT JOIN policies pk ON pk.account_id = k.account_id AND pk.subject = 'key' \
                     AND pk.subject_id = k.id";
const STATE: &str = "a.mode, a.frozen_reason IS NOT NULL, g.account_id, g.scopes, g.paused_at IS NOT NULL, \
                     g.revoked_at IS NOT NULL, pa.models, pa.max_price, pg.models, pg.max_price, pk.models, \
                     pk.max_price";

/// The first column after [`COLUMNS`] and [`STATE`].
const FAMILY: usize = 23;

fn credential_of(row: &Row, family: Option<CredentialFamily>) -> Result<Credential, StoreError> {
    let key = key_of(row)?;
    let agent = match row.opt_text(14)? {
        Some(scopes) if key.agent_id.is_some() => Some(CredentialAgent {
            account_id: row.opt_text(13)?.map(AccountId::from_stored),
            scopes,
            paused: row.bool(15)?,
            revoked: row.bool(16)?,
        }),
        _ => None,
    };
    let mut policies = Vec::new();
    for (first, subject) in [(17, Subject::Account), (19, Subject::Agent), (21, Subject::Key)] {
        policies.extend(policy_of(row, first, subject)?);
    }
    Ok(Credential {
        key,
        account_mode: row.text(11)?,
        account_frozen: row.bool(12)?,
        agent,
        family,
        policies: Policies(policies),
    })
}

/// What a presented API key stands for.
pub fn credential_by_hash(tx: &mut dyn Tx, hash: &[u8; 32]) -> Result<Option<Credential>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, {STATE} FROM keys k {JOINS} WHERE k.hash = $1");
    tx.one(&sql, &[hash.into()])?.map(|row| credential_of(&row, None)).transpose()
}

/// What an access token of a family stands for.
pub fn credential_by_family(tx: &mut dyn Tx, family: &FamilyId) -> Result<Option<Credential>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, {STATE}, f.id, f.scopes, f.revoked_at IS NOT NULL, f.expires_at \
         FROM token_families f JOIN keys k ON k.id = f.key_id {JOINS} WHERE f.id = $1"
    );
    let Some(row) = tx.one(&sql, &[family.as_str().into()])? else { return Ok(None) };
    let family = CredentialFamily {
        id: FamilyId::from_stored(row.text(FAMILY)?),
        scopes: row.text(FAMILY + 1)?,
        revoked: row.bool(FAMILY + 2)?,
        expires_at_ms: row.int(FAMILY + 3)?,
    };
    credential_of(&row, Some(family)).map(Some)
}
