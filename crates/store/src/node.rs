//! The processes that live on this database, and the database's own time.
//!
//! Invariant: a node that was not seen lately counts as gone, whether it said good-bye or not. Not here: what
//! only one node may do at a time (`election`).

use crate::{error::StoreError, tx::Tx};

/// A process as it last told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    pub id: String,
    pub role: String,
    pub version: String,
    pub started_at_ms: i64,
    pub seen_at_ms: i64,
}

/// Tells that a node lives.
pub fn beat(tx: &mut dyn Tx, node: &NodeRow) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO nodes (id, role, version, started_at, seen_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET role = excluded.role, version = excluded.version, \
         started_at = excluded.started_at, seen_at = excluded.seen_at",
        &[
            (&node.id).into(),
            (&node.role).into(),
            (&node.version).into(),
            node.started_at_ms.into(),
            node.seen_at_ms.into(),
        ],
    )
    .map(drop)
}

/// Nodes that were seen at that time or later, oldest first.
pub fn live(tx: &mut dyn Tx, since_ms: i64) -> Result<Vec<NodeRow>, StoreError> {
    let rows = tx.all(
        "SELECT id, role, version, started_at, seen_at FROM nodes WHERE seen_at >= $1 \
         ORDER BY started_at, id",
        &[since_ms.into()],
    )?;
    let node_of = |row: &crate::tx::Row| {
        Ok(NodeRow {
            id: row.text(0)?,
            role: row.text(1)?,
            version: row.text(2)?,
            started_at_ms: row.int(3)?,
            seen_at_ms: row.int(4)?,
        })
    };
    rows.iter().map(node_of).collect()
}

/// Takes a node off the list; whether it was there.
pub fn remove(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.exec("DELETE FROM nodes WHERE id = $1", &[id.into()])? > 0)
}

/// Takes off nodes that were last seen before that time; how many.
pub fn forget(tx: &mut dyn Tx, before_ms: i64) -> Result<u64, StoreError> {
    tx.exec("DELETE FROM nodes WHERE seen_at < $1", &[before_ms.into()])
}

/// The database's time in milliseconds since 1970; none where it runs on this very machine.
pub fn database_now_ms(tx: &mut dyn Tx) -> Result<Option<i64>, StoreError> {
    let Some(sql) = tx.dialect().now_ms_sql() else { return Ok(None) };
    tx.one(sql, &[])?.map(|row| row.int(0)).transpose()
}
