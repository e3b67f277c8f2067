//! The schema, as numbered steps that only go forward.
//!
//! Invariant: a step that was applied is never edited (its checksum is stored), and each step is one
//! transaction. Not here: backups before a step, which the caller takes.

use crate::{
    error::StoreError,
    tx::{Connection, Param, Tx},
};
use sha2::{Digest, Sha256};

struct Step {
    number: i64,
    text: &'static str,
    append_only: &'static [&'static str],
}

const STEPS: &[Step] = &[
    Step { number: 1, text: include_str!("migrations/0001_base.sql"), append_only: &["entries"] },
    Step { number: 2, text: include_str!("migrations/0002_files.sql"), append_only: &[] },
    Step { number: 3, text: include_str!("migrations/0003_nodes.sql"), append_only: &[] },
];

/// The newest step this program knows.
#[must_use]
pub fn latest() -> i64 {
    STEPS.last().map_or(0, |step| step.number)
}

/// Brings the schema up to date; returns the numbers of the steps that were applied.
pub(crate) fn migrate(connection: &mut dyn Connection, now_ms: i64) -> Result<Vec<i64>, StoreError> {
    let own = "CREATE TABLE IF NOT EXISTS schema_migrations (number {int} NOT NULL PRIMARY KEY, \
               checksum TEXT NOT NULL, applied_at {int} NOT NULL)";
    connection.run_script(&connection.dialect().ddl(own))?;
    let mut applied = Vec::new();
    for step in STEPS {
        connection.begin()?;
        match apply(connection, step, now_ms) {
            Ok(fresh) => {
                connection.commit(None)?;
                applied.extend(fresh.then_some(step.number));
            }
            Err(error) => {
                connection.rollback()?;
                return Err(error);
            }
        }
    }
    let newest = current(connection.as_tx())?;
    if newest > latest() {
        return Err(StoreError::SchemaTooNew { found: newest, known: latest() });
    }
    Ok(applied)
}

/// The newest step in the database.
pub(crate) fn current(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let row = tx.one("SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM schema_migrations", &[])?;
    row.map_or(Ok(0), |row| row.int(0))
}

fn apply(connection: &mut dyn Connection, step: &Step, now_ms: i64) -> Result<bool, StoreError> {
    let checksum: String = Sha256::digest(step.text).iter().map(|byte| format!("{byte:02x}")).collect();
    let stored =
        connection.one("SELECT checksum FROM schema_migrations WHERE number = $1", &[step.number.into()])?;
    if let Some(row) = stored {
        if row.str(0)? != checksum {
            return Err(StoreError::Corrupt(format!("migration {} was edited after it ran", step.number)));
        }
        return Ok(false);
    }
    let dialect = connection.dialect();
    connection.run_script(&dialect.ddl(step.text))?;
    for table in step.append_only {
        connection.run_script(&dialect.append_only(table))?;
    }
    let params = [step.number.into(), Param::from(&checksum), now_ms.into()];
    connection
        .exec("INSERT INTO schema_migrations (number, checksum, applied_at) VALUES ($1, $2, $3)", &params)?;
    Ok(true)
}
