//! A database as it lies there, for diagnosis.
//!
//! Invariant: the file is opened for reading only, so nothing is made, migrated or repaired. Not here: the
//! ledger's audit (`ledger::audit`).

use crate::{
    error::StoreError,
    migrate,
    postgres::{Link, Postgres, Use},
    secret::{self, SecretRow},
    sqlite::Sqlite,
    store::Database,
    tx::{Connection, Tx},
};

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

/// Looks at a database; at every page where it is a file. Blocks.
pub fn inspect(database: &Database) -> Result<Inspection, StoreError> {
    match database {
        Database::Sqlite(path) => {
            let mut file = Sqlite::open_reader(path)?;
            let damage = file.integrity_check()?;
            contents(&mut file, damage)
        }
        Database::Postgres(link) => {
            let mut server = Postgres::new(Link::clone(link), Use::Read);
            server.begin()?;
            contents(&mut server, None)
        }
    }
}

fn contents(database: &mut dyn Tx, damage: Option<String>) -> Result<Inspection, StoreError> {
    let schema = migrate::current(database)?;
    let secrets = secret::all(database)?;
    let rows = database.all("SELECT name, text FROM price_versions ORDER BY name", &[])?;
    let prices = rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?)));
    Ok(Inspection { schema, damage, secrets, prices: prices.collect::<Result<_, StoreError>>()? })
}
