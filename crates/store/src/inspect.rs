//! A database as it lies there, for diagnosis.
//!
//! Invariant: the file is opened for reading only, so nothing is made, migrated or repaired. Not here: the
//! ledger's audit (`ledger::audit`).

use crate::{
    error::StoreError,
    migrate,
    secret::{self, SecretRow},
    sqlite::Sqlite,
    tx::Tx,
};
use std::path::Path;

/// What a look at a database found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The newest migration in it.
    pub schema: i64,
    /// What is wrong with the file, if anything.
    pub damage: Option<String>,
    /// The sealed keys of the installation.
    pub secrets: Vec<SecretRow>,
    /// Name and canonical text of each price version.
    pub prices: Vec<(String, String)>,
}

/// The newest migration in a file; none if it has no schema yet.
pub fn schema(path: &Path) -> Result<Option<i64>, StoreError> {
    let mut database = Sqlite::open_reader(path)?;
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'";
    if database.one(sql, &[])?.is_none() {
        return Ok(None);
    }
    Ok(Some(migrate::current(&mut database)?).filter(|number| *number > 0))
}

/// Copies a file that others may use into a new one, and checks the copy.
pub fn copy(path: &Path, target: &Path) -> Result<(), StoreError> {
    Sqlite::open_reader(path)?.backup_to(target)
}

/// Looks at every page of a database.
pub fn inspect(path: &Path) -> Result<Inspection, StoreError> {
    let mut database = Sqlite::open_reader(path)?;
    let schema = migrate::current(&mut database)?;
    let damage = database.integrity_check()?;
    let secrets = secret::all(&mut database)?;
    let rows = database.all("SELECT name, text FROM price_versions ORDER BY name", &[])?;
    let prices = rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?)));
    Ok(Inspection { schema, damage, secrets, prices: prices.collect::<Result<_, StoreError>>()? })
}
