//! Duties that one node has at a time: held for a while, renewed, given back.
//!
//! Invariant: whoever is told that it holds a duty is the only one until the time it was told; one statement
//! decides. Not here: what the duties are.

use crate::{error::StoreError, tx::Tx};

/// Takes or renews a duty until `now_ms + for_ms`; false while another node holds it.
pub fn hold(
    tx: &mut dyn Tx,
    duty: &str,
    node_id: &str,
    now_ms: i64,
    for_ms: i64,
) -> Result<bool, StoreError> {
    // A writer that comes second waits for the first one's row, and then compares what that one wrote. Two
    // renewals of one node may come in the wrong order: what it was told goes on.
    let changed = tx.exec(
        "INSERT INTO elections (duty, node_id, until_at) VALUES ($1, $2, $3) \
         ON CONFLICT (duty) DO UPDATE SET node_id = excluded.node_id, until_at = CASE \
         WHEN elections.node_id = excluded.node_id AND elections.until_at > excluded.until_at \
         THEN elections.until_at ELSE excluded.until_at END \
         WHERE elections.node_id = excluded.node_id OR elections.until_at <= $4",
        &[duty.into(), node_id.into(), now_ms.saturating_add(for_ms).into(), now_ms.into()],
    )?;
    Ok(changed > 0)
}

/// Gives a duty back; whether the node had it.
pub fn resign(tx: &mut dyn Tx, duty: &str, node_id: &str) -> Result<bool, StoreError> {
    let gone =
        tx.exec("DELETE FROM elections WHERE duty = $1 AND node_id = $2", &[duty.into(), node_id.into()])?;
    Ok(gone > 0)
}

/// Gives everything back that a node holds; how many duties.
pub fn resign_all(tx: &mut dyn Tx, node_id: &str) -> Result<u64, StoreError> {
    tx.exec("DELETE FROM elections WHERE node_id = $1", &[node_id.into()])
}
