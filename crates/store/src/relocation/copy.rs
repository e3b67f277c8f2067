//! One table from one transaction to another, in pages by its key, with a digest of what went by.
//!
//! Invariant: a page is all that is in memory; the digest covers every value of every row in the order of the
//! key. Not here: which tables (`tables`), begin and commit.

use super::tables::{Kind, Table};
use crate::{
    batch::{Rows, insert},
    dialect::Type,
    error::StoreError,
    tx::{Param, Row, Tx, Value},
};
use sha2::{Digest as _, Sha256};

/// Rows in memory at once.
const PAGE: usize = 256;

/// What a table holds, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    pub sha256: [u8; 32],
}

/// Copies all rows.
pub(super) fn copy(from: &mut dyn Tx, to: &mut dyn Tx, table: &Table) -> Result<Digest, StoreError> {
    let (names, types) = (names(table), types(table));
    walk(from, table, |page| {
        let mut rows = Rows::new(table.columns.len());
        for row in page {
            rows.push(row.0.iter().map(param));
        }
        insert(to, table.name, &names, &types, &rows, "").map(drop)
    })
}

/// Reads all rows for their digest.
pub(super) fn digest(tx: &mut dyn Tx, table: &Table) -> Result<Digest, StoreError> {
    walk(tx, table, |_| Ok(()))
}

/// Whether a table has a row.
pub(super) fn is_empty(tx: &mut dyn Tx, table: &Table) -> Result<bool, StoreError> {
    Ok(tx.one(&format!("SELECT 1 FROM {} LIMIT 1", table.name), &[])?.is_none())
}

fn names(table: &Table) -> String {
    table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn types(table: &Table) -> Vec<Type> {
    let type_of = |kind: &Kind| match kind {
        Kind::Text => Type::Text,
        Kind::Int => Type::Int,
        Kind::Bytes => Type::Bytes,
    };
    table.columns.iter().map(|(_, kind)| type_of(kind)).collect()
}

fn param(value: &Value) -> Param<'_> {
    match value {
        Value::Null => Param::Null,
        Value::Int(number) => Param::Int(*number),
        Value::Text(text) => Param::Text(text),
        Value::Bytes(bytes) => Param::Bytes(bytes),
    }
}

fn walk(
    tx: &mut dyn Tx,
    table: &Table,
    mut visit: impl FnMut(&[Row]) -> Result<(), StoreError>,
) -> Result<Digest, StoreError> {
    let key: Vec<&str> = table.columns.iter().take(table.key).map(|(name, _)| *name).collect();
    let key = key.join(", ");
    let marks = (1..=table.key).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    let (names, name) = (names(table), table.name);
    let first = format!("SELECT {names} FROM {name} ORDER BY {key} LIMIT {PAGE}");
    let next = format!("SELECT {names} FROM {name} WHERE ({key}) > ({marks}) ORDER BY {key} LIMIT {PAGE}");
    let (mut hash, mut count) = (Sha256::new(), 0u64);
    let mut rows = tx.all(&first, &[])?;
    while let Some(last) = rows.last() {
        for row in &rows {
            cover(&mut hash, table, row)?;
            count += 1;
        }
        visit(&rows)?;
        if rows.len() < PAGE {
            break;
        }
        let after: Vec<Param<'_>> = last.0.iter().take(table.key).map(param).collect();
        rows = tx.all(&next, &after)?;
    }
    Ok(Digest { rows: count, sha256: hash.finalize().into() })
}

/// Each value with its kind and length, so that no two rows read alike.
fn cover(hash: &mut Sha256, table: &Table, row: &Row) -> Result<(), StoreError> {
    for ((name, kind), value) in table.columns.iter().zip(&row.0) {
        let (tag, bytes) = match (kind, value) {
            (_, Value::Null) => (b'n', &[][..]),
            (Kind::Int, Value::Int(number)) => {
                hash.update(b"i");
                hash.update(number.to_be_bytes());
                continue;
            }
            (Kind::Text, Value::Text(text)) => (b't', text.as_bytes()),
            (Kind::Bytes, Value::Bytes(bytes)) => (b'b', bytes.as_slice()),
            _ => return Err(StoreError::Corrupt(format!("{}.{name} is not {kind:?}", table.name))),
        };
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    Ok(())
}
