//! Agents that Moltbook vouches for, and the key that stands for each.
//!
//! Invariant: one agent per Moltbook id. Not here: asking Moltbook.

use crate::{error::StoreError, tx::Tx};
use rynjer_core::id::{AgentId, KeyId};

/// The key that an identity was last exchanged through, if it was.
pub fn key(tx: &mut dyn Tx, moltbook_id: &str) -> Result<Option<KeyId>, StoreError> {
    let row = tx.one("SELECT key_id FROM moltbook_agents WHERE moltbook_id = $1", &[moltbook_id.into()])?;
    Ok(row.map_or(Ok(None), |row| row.opt_text(0))?.map(KeyId::from_stored))
}

/// Remembers the agent of an id. A new agent, after an old one was forgotten, begins without a key.
pub fn register(tx: &mut dyn Tx, moltbook_id: &str, agent: &AgentId, now_ms: i64) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO moltbook_agents (moltbook_id, agent_id, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (moltbook_id) DO UPDATE SET agent_id = excluded.agent_id, key_id = NULL, \
         created_at = excluded.created_at WHERE moltbook_agents.agent_id <> excluded.agent_id",
        &[moltbook_id.into(), agent.as_str().into(), now_ms.into()],
    )
    .map(drop)
}

/// The key that its tokens hang on from now on.
pub fn set_key(tx: &mut dyn Tx, moltbook_id: &str, key: &KeyId) -> Result<(), StoreError> {
    let params = [moltbook_id.into(), key.as_str().into()];
    tx.exec("UPDATE moltbook_agents SET key_id = $2 WHERE moltbook_id = $1", &params).map(drop)
}
