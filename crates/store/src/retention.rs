//! What grows old: nonces, spent tokens, unbound agents, prompts, outputs, uploads, news and audit lines.
//!
//! Invariant: task rows and entries are never deleted; each sweep takes a bounded number of rows. Not here:
//! deleting objects, whose keys are returned.

use crate::{
    error::StoreError,
    tx::{Param, Tx},
};
use rynjer_core::id::{AccountId, TaskId};

/// Rows that one sweep touches at most, so that it never holds up the writer.
const SWEEP_MAX: i64 = 500;

/// How long events of the payment service are remembered. It sends one again for days, or by hand for a
/// month; after that the ledger's references still tell.
const PAYMENT_EVENTS_MS: i64 = 60 * 86_400_000;

/// Times before which things are old, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Horizons {
    pub now_ms: i64,
    pub bodies_before_ms: i64,
    pub unbound_agents_before_ms: i64,
}

/// Deletes expired nonces and tokens and unbound agents, and blanks old prompts; how many rows it touched.
pub fn sweep(tx: &mut dyn Tx, horizons: Horizons) -> Result<u64, StoreError> {
    let now = Param::Int(horizons.now_ms);
    let most = Param::Int(SWEEP_MAX);
    let mut touched = tx.exec(
        "DELETE FROM nonces WHERE (public_key, nonce) IN \
         (SELECT public_key, nonce FROM nonces WHERE expires_at < $1 LIMIT $2)",
        &[now, most],
    )?;
    touched += tx.exec(
        "DELETE FROM refresh_tokens WHERE family_id IN \
         (SELECT id FROM token_families WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        &[now, most],
    )?;
    touched += tx.exec(
        "DELETE FROM token_families WHERE expires_at < $1 AND id IN \
         (SELECT id FROM token_families WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        &[now, most],
    )?;
    touched += forget_agents(tx, horizons.unbound_agents_before_ms)?;
    touched += tx.exec(
        "UPDATE tasks SET body = NULL, metadata = NULL WHERE (account_id, id) IN \
         (SELECT account_id, id FROM tasks WHERE created_at < $1 AND body IS NOT NULL \
          AND finished_at IS NOT NULL LIMIT $2)",
        &[Param::Int(horizons.bodies_before_ms), most],
    )?;
    touched += tx.exec(
        "DELETE FROM payment_events WHERE id IN \
         (SELECT id FROM payment_events WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
        &[Param::Int(horizons.now_ms - PAYMENT_EVENTS_MS), most],
    )?;
    for (table, key, column) in [
        ("sessions", "hash", "expires_at"),
        ("tickets", "hash", "expires_at"),
        ("throttles", "subject", "until_at"),
    ] {
        let old = format!("SELECT {key} FROM {table} WHERE {column} < $1 ORDER BY {column} LIMIT $2");
        let sql = format!("DELETE FROM {table} WHERE {key} IN ({old})");
        touched += tx.exec(&sql, &[now, most])?;
    }
    Ok(touched)
}

/// Deletes agents that found no owner, with what another network said of them.
fn forget_agents(tx: &mut dyn Tx, before_ms: i64) -> Result<u64, StoreError> {
    let forgotten = tx.all(
        // Said again outside: where a server waits for another change of the row, it looks at no more.
        "DELETE FROM agents WHERE account_id IS NULL AND registered_at < $1 AND id IN \
         (SELECT id FROM agents WHERE account_id IS NULL AND registered_at < $1 \
          AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.agent_id = agents.id) LIMIT $2) \
         RETURNING id, public_key",
        &[before_ms.into(), SWEEP_MAX.into()],
    )?;
    for row in &forgotten {
        if row.text(1)?.starts_with("moltbook:") {
            tx.exec("DELETE FROM moltbook_agents WHERE agent_id = $1", &[(&row.text(0)?).into()])?;
        }
    }
    Ok(u64::try_from(forgotten.len()).unwrap_or(u64::MAX))
}

/// Deletes old news; how much.
pub fn expire_notices(tx: &mut dyn Tx, before_ms: i64) -> Result<u64, StoreError> {
    tx.exec(
        "DELETE FROM notices WHERE (account_id, id) IN \
         (SELECT account_id, id FROM notices WHERE at < $1 ORDER BY at LIMIT $2)",
        &[before_ms.into(), SWEEP_MAX.into()],
    )
}

/// Deletes old lines of the audit log; how many. Nothing may be decided from a line, since it goes.
pub fn expire_audit_lines(tx: &mut dyn Tx, before_ms: i64) -> Result<u64, StoreError> {
    tx.exec(
        "DELETE FROM audit_log WHERE (account_id, id) IN \
         (SELECT account_id, id FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2)",
        &[before_ms.into(), SWEEP_MAX.into()],
    )
}

/// Marks old outputs deleted and returns the keys of their files.
pub fn expire_outputs(tx: &mut dyn Tx, before_ms: i64, now_ms: i64) -> Result<Vec<String>, StoreError> {
    let rows = tx.all(
        "UPDATE outputs SET deleted_at = $2 WHERE (account_id, task_id, output_index) IN \
         (SELECT account_id, task_id, output_index FROM outputs WHERE created_at < $1 \
          AND deleted_at IS NULL ORDER BY created_at LIMIT $3) RETURNING object_key",
        &[before_ms.into(), now_ms.into(), SWEEP_MAX.into()],
    )?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Blanks what a finished task holds of its caller, marks its outputs deleted and returns the keys of their
/// files; nothing for an open task. Ids, hashes and money stay.
pub fn erase_task(
    tx: &mut dyn Tx,
    account: &AccountId,
    task: &TaskId,
    now_ms: i64,
) -> Result<Vec<String>, StoreError> {
    let erased = tx.exec(
        "UPDATE tasks SET body = NULL, metadata = NULL \
         WHERE account_id = $1 AND id = $2 AND finished_at IS NOT NULL",
        &[account.as_str().into(), task.as_str().into()],
    )?;
    if erased == 0 {
        return Ok(Vec::new());
    }
    let rows = tx.all(
        "UPDATE outputs SET deleted_at = $3 WHERE account_id = $1 AND task_id = $2 AND deleted_at IS NULL \
         RETURNING object_key",
        &[account.as_str().into(), task.as_str().into(), now_ms.into()],
    )?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Which of the given object keys no output row names.
pub fn orphans(tx: &mut dyn Tx, keys: &[(String, String, String)]) -> Result<Vec<String>, StoreError> {
    let mut orphans = Vec::new();
    for (account, task, key) in keys {
        let known = tx.one(
            "SELECT 1 FROM outputs WHERE account_id = $1 AND task_id = $2 AND object_key = $3 \
             AND deleted_at IS NULL",
            &[account.into(), task.into(), key.into()],
        )?;
        if known.is_none() {
            orphans.push(key.clone());
        }
    }
    Ok(orphans)
}

/// Which of the given object keys (account, task, key) belong to no unfinished task.
pub fn inputs_of_finished(
    tx: &mut dyn Tx,
    keys: &[(String, String, String)],
) -> Result<Vec<String>, StoreError> {
    let mut left = Vec::new();
    for (account, task, key) in keys {
        let open = tx.one(
            "SELECT 1 FROM tasks WHERE account_id = $1 AND id = $2 AND finished_at IS NULL",
            &[account.into(), task.into()],
        )?;
        if open.is_none() {
            left.push(key.clone());
        }
    }
    Ok(left)
}

/// Deletes the rows of files whose life is over and returns the keys of their objects.
pub fn expire_files(tx: &mut dyn Tx, now_ms: i64) -> Result<Vec<String>, StoreError> {
    let rows = tx.all(
        "DELETE FROM files WHERE expires_at <= $1 AND (account_id, id) IN \
         (SELECT account_id, id FROM files WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) \
         RETURNING object_key",
        &[now_ms.into(), SWEEP_MAX.into()],
    )?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// Which of the given object keys (account, file, key) no file's row names.
pub fn orphan_files(tx: &mut dyn Tx, keys: &[(String, String, String)]) -> Result<Vec<String>, StoreError> {
    let mut orphans = Vec::new();
    for (account, file, key) in keys {
        let known = tx.one(
            "SELECT 1 FROM files WHERE account_id = $1 AND id = $2 AND object_key = $3",
            &[account.into(), file.into(), key.into()],
        )?;
        if known.is_none() {
            orphans.push(key.clone());
        }
    }
    Ok(orphans)
}
