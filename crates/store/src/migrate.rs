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
    /// The oldest program, by the newest step that it knows, which may run on a database with this step. A
    /// step that only adds names its predecessor: then processes are replaced one after the other.
    oldest_program: i64,
}

const STEPS: &[Step] = &[
    Step {
        number: 1,
        text: include_str!("migrations/0001_base.sql"),
        append_only: &["entries"],
        oldest_program: 1,
    },
    Step { number: 2, text: include_str!("migrations/0002_files.sql"), append_only: &[], oldest_program: 2 },
    Step { number: 3, text: include_str!("migrations/0003_nodes.sql"), append_only: &[], oldest_program: 3 },
    Step { number: 4, text: include_str!("migrations/0004_owners.sql"), append_only: &[], oldest_program: 4 },
    Step { number: 5, text: include_str!("migrations/0005_trails.sql"), append_only: &[], oldest_program: 4 },
    Step {
        number: 6,
        text: include_str!("migrations/0006_joined_jobs.sql"),
        append_only: &[],
        oldest_program: 4,
    },
];

/// The step that made the table `installation`.
const FIRST_WITH_WORD: i64 = 3;

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
    if !takes(connection.as_tx(), newest, latest())? {
        return Err(StoreError::SchemaTooNew { found: newest, known: latest() });
    }
    Ok(applied)
}

/// The newest step in the database.
pub(crate) fn current(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let row = tx.one("SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM schema_migrations", &[])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Whether a database of the step `newest` takes a program that knows the steps up to `known`: an older one
/// goes on where the newer, which made that step, left word.
pub(crate) fn takes(tx: &mut dyn Tx, newest: i64, known: i64) -> Result<bool, StoreError> {
    if newest <= known {
        return Ok(true);
    }
    if known < FIRST_WITH_WORD {
        return Ok(false);
    }
    let word = tx.one("SELECT value FROM installation WHERE name = 'oldest_program'", &[])?;
    let word = word.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    Ok((1..=known).any(|oldest| word == word_of(newest, oldest)))
}

/// "Of step 4, for programs from 3 on."
fn word_of(step: i64, oldest_program: i64) -> String {
    format!("{step}:{oldest_program}")
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
    if step.number >= FIRST_WITH_WORD {
        let oldest = word_of(step.number, step.oldest_program);
        connection.exec(
            "INSERT INTO installation (name, value) VALUES ('oldest_program', $1) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &[(&oldest).into()],
        )?;
    }
    let params = [step.number.into(), Param::from(&checksum), now_ms.into()];
    connection
        .exec("INSERT INTO schema_migrations (number, checksum, applied_at) VALUES ($1, $2, $3)", &params)?;
    Ok(true)
}
