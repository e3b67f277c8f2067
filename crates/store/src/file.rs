//! Uploaded files, which requests start from.
//!
//! Invariant: the same bytes of the same caller are one row, and what lives of an account stays within its
//! quota. Not here: the bytes, which stand in object storage before their row does.

use crate::{
    account,
    error::StoreError,
    tx::{Param, Row, Tx},
};
use rynjer_core::id::{AccountId, FileId};

/// What a file counts for at least, so that a quota of bytes also bounds how many files there are.
pub const COUNTED_BYTES_MIN: i64 = 65_536;

/// A file's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    pub account: AccountId,
    pub id: FileId,
    /// Who uploaded it: an agent's id, or empty for an account key.
    pub agent_id: String,
    pub object_key: String,
    pub mime: String,
    pub width: u32,
    pub height: u32,
    pub bytes: i64,
    pub sha256: String,
    pub created_at_ms: i64,
    pub expires_at_ms: i64,
}

/// What became of a file that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It has a row now.
    New,
    /// The same bytes had a row already, whose life was renewed.
    Renewed(FileRow),
    /// It would exceed what the account may have at once.
    OverQuota,
}

const COLUMNS: &str = "account_id, id, agent_id, object_key, mime, width, height, bytes, sha256, created_at, \
                       expires_at";

fn file_of(row: &Row) -> Result<FileRow, StoreError> {
    Ok(FileRow {
        account: AccountId::from_stored(row.text(0)?),
        id: FileId::from_stored(row.text(1)?),
        agent_id: row.text(2)?,
        object_key: row.text(3)?,
        mime: row.text(4)?,
        width: row.count(5)?,
        height: row.count(6)?,
        bytes: row.int(7)?,
        sha256: row.text(8)?,
        created_at_ms: row.int(9)?,
        expires_at_ms: row.int(10)?,
    })
}

/// Writes the row of a stored file, or renews the one that its bytes have.
pub fn keep(
    tx: &mut dyn Tx,
    file: &FileRow,
    now_ms: i64,
    account_bytes_max: i64,
) -> Result<Kept, StoreError> {
    account::lock(tx, &file.account)?;
    let lock = tx.dialect().for_update("files");
    let sql =
        format!("SELECT {COLUMNS} FROM files WHERE account_id = $1 AND agent_id = $2 AND sha256 = $3 {lock}");
    let params = [file.account.as_str().into(), (&file.agent_id).into(), (&file.sha256).into()];
    let known = tx.one(&sql, &params)?.as_ref().map(file_of).transpose()?;
    if known.as_ref().is_none_or(|known| known.expires_at_ms <= now_ms) {
        let more = file.bytes.max(COUNTED_BYTES_MIN);
        if living_bytes(tx, &file.account, now_ms)?.saturating_add(more) > account_bytes_max {
            return Ok(Kept::OverQuota);
        }
    }
    if let Some(known) = known {
        let (account, until_ms) = (&file.account, file.expires_at_ms);
        prolong(tx, account, &known.id, until_ms)?;
        return Ok(Kept::Renewed(FileRow { expires_at_ms: known.expires_at_ms.max(until_ms), ..known }));
    }
    insert(tx, file)?;
    Ok(Kept::New)
}

/// Files of an account, oldest first, beyond the id `after`.
pub fn of_account(
    tx: &mut dyn Tx,
    account: &AccountId,
    after: &str,
    limit: u32,
) -> Result<Vec<FileRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM files WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    tx.all(&sql, &[account.as_str().into(), after.into(), limit.into()])?.iter().map(file_of).collect()
}

fn insert(tx: &mut dyn Tx, file: &FileRow) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO files ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
    let params = [
        file.account.as_str().into(),
        file.id.as_str().into(),
        (&file.agent_id).into(),
        (&file.object_key).into(),
        (&file.mime).into(),
        file.width.into(),
        file.height.into(),
        file.bytes.into(),
        (&file.sha256).into(),
        file.created_at_ms.into(),
        file.expires_at_ms.into(),
    ];
    tx.exec(&sql, &params).map(drop)
}

/// Renews the life of bytes that the caller has there already; `None` if it has to store them.
pub fn renew(
    tx: &mut dyn Tx,
    account: &AccountId,
    agent_id: &str,
    sha256: &str,
    now_ms: i64,
    until_ms: i64,
) -> Result<Option<FileRow>, StoreError> {
    let sql = format!(
        "UPDATE files SET expires_at = CASE WHEN expires_at < $5 THEN $5 ELSE expires_at END \
         WHERE account_id = $1 AND agent_id = $2 AND sha256 = $3 AND expires_at > $4 RETURNING {COLUMNS}"
    );
    let params = [account.as_str().into(), agent_id.into(), sha256.into(), now_ms.into(), until_ms.into()];
    tx.one(&sql, &params)?.as_ref().map(file_of).transpose()
}

/// Lets a file live at least until then; whether it is still there.
pub fn prolong(tx: &mut dyn Tx, account: &AccountId, id: &FileId, until_ms: i64) -> Result<bool, StoreError> {
    let params = [account.as_str().into(), id.as_str().into(), until_ms.into()];
    let changed = tx.exec(
        "UPDATE files SET expires_at = CASE WHEN expires_at < $3 THEN $3 ELSE expires_at END \
         WHERE account_id = $1 AND id = $2",
        &params,
    )?;
    Ok(changed == 1)
}

/// A living file of an account; an agent (`Some`) sees its own only.
pub fn get(
    tx: &mut dyn Tx,
    account: &AccountId,
    agent_id: Option<&str>,
    id: &FileId,
    now_ms: i64,
) -> Result<Option<FileRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM files WHERE account_id = $1 AND id = $2 \
         AND (CAST($3 AS TEXT) IS NULL OR agent_id = $3) \
         AND expires_at > $4"
    );
    let params = [account.as_str().into(), id.as_str().into(), agent_id.into(), now_ms.into()];
    tx.one(&sql, &params)?.as_ref().map(file_of).transpose()
}

/// Deletes a living file's row and returns it; the caller deletes the object.
pub fn delete(
    tx: &mut dyn Tx,
    account: &AccountId,
    agent_id: Option<&str>,
    id: &FileId,
    now_ms: i64,
) -> Result<Option<FileRow>, StoreError> {
    let sql = format!(
        "DELETE FROM files WHERE account_id = $1 AND id = $2 \
         AND (CAST($3 AS TEXT) IS NULL OR agent_id = $3) \
         AND expires_at > $4 RETURNING {COLUMNS}"
    );
    let params = [account.as_str().into(), id.as_str().into(), agent_id.into(), now_ms.into()];
    tx.one(&sql, &params)?.as_ref().map(file_of).transpose()
}

/// What an account's living files count for.
pub fn living_bytes(tx: &mut dyn Tx, account: &AccountId, now_ms: i64) -> Result<i64, StoreError> {
    let row = tx.one(
        "SELECT CAST(COALESCE(SUM(CASE WHEN bytes < $3 THEN $3 ELSE bytes END), 0) AS BIGINT) FROM files \
         WHERE account_id = $1 AND expires_at > $2",
        &[account.as_str().into(), now_ms.into(), Param::Int(COUNTED_BYTES_MIN)],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}
