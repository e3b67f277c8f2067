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

use std::path::Path;

/// What a look at a database found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The newest migration in it.
    pub schema: i64,
    /// Whether this program may run on it.
    pub takes_this_program: bool,
    /// What is wrong with the file, if anything.
    pub damage: Option<String>,
    /// The sealed keys of the installation.
    pub secrets: Vec<SecretRow>,
    /// Name and canonical text of each price version.
    pub prices: Vec<(String, String)>,
}

/// The newest migration of a server's database; none if it has no schema yet. Blocks.
pub fn schema_of(database: &Database) -> Result<Option<i64>, StoreError> {
    let link = match database {
        Database::Sqlite(path) => return schema(path),
        Database::Postgres(link) => Link::clone(link),
    };
    // The connection blocks, which a runtime's threads must not.
    let look = move || {
        let mut server = Postgres::new(link, Use::Read);
        server.begin()?;
        let known = server.one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[])?;
        if !known.map_or(Ok(false), |row| row.bool(0))? {
            return Ok(None);
        }
        Ok(Some(migrate::current(&mut server)?).filter(|number| *number > 0))
    };
    std::thread::spawn(look).join().map_err(|_| StoreError::Panicked("see the log".to_owned()))?
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

/// Looks at a database; at every page where it is a file. Blocks.
pub fn inspect(database: &Database) -> Result<Inspection, StoreError> {
    match database {
        Database::Sqlite(path) => {
            let mut file = Sqlite::open_reader(path)?;
            let damage = file.integrity_check()?;
            contents(&mut file, damage)
        }
        Database::Postgres(link) => {
            let mut server = Postgres::new(Link::clone(link), Use::Write);
            server.connect()?;
            server.check_server()?;
            let known = server.one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[])?;
            if !known.map_or(Ok(false), |row| row.bool(0))? {
                let (secrets, prices) = (Vec::new(), Vec::new());
                return Ok(Inspection { schema: 0, takes_this_program: true, damage: None, secrets, prices });
            }
            contents(&mut server, None)
        }
    }
}

fn contents(database: &mut dyn Tx, damage: Option<String>) -> Result<Inspection, StoreError> {
    let schema = migrate::current(database)?;
    let secrets = secret::all(database)?;
    let rows = database.all("SELECT name, text FROM price_versions ORDER BY name", &[])?;
    let prices = rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?)));
    let takes_this_program = migrate::takes(database, schema, migrate::latest())?;
    Ok(Inspection {
        schema,
        takes_this_program,
        damage,
        secrets,
        prices: prices.collect::<Result<_, StoreError>>()?,
    })
}
