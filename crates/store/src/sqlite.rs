//! SQLite as a [`Tx`]: binding by name, rows, pragmas read back, online backup.
//!
//! Invariant: a connection that writes is WAL with `synchronous=FULL`, read back, or it is refused. Not here:
//! group commit (`writer`).

use crate::{
    checkpoint::{self, Checkpoints},
    dialect::Dialect,
    error::StoreError,
    tx::{Connection, MARK, Mark, Param, Row, Tx, Value},
};
use rusqlite::{CachedStatement, OpenFlags, ffi::ErrorCode, types::ValueRef};
use std::{collections::HashMap, path::Path, time::Duration};

/// Marks a file as ours: "rynj" in ASCII.
const APPLICATION_ID: i64 = 0x7279_6e6a;
/// How long a writer waits for another process (an `admin` command, a backup) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENTS_CACHED: usize = 256;
/// How much of the file a reader maps. Each commit of the writer makes a reader's own cache worthless, and
/// without the map every page would be a system call and a copy.
const MAPPED_BYTES: i64 = 64 << 20;

/// A connection to a SQLite file.
pub(crate) struct Sqlite {
    /// Goes before the connection, which closes last.
    checkpoints: Option<Checkpoints>,
    connection: rusqlite::Connection,
    /// For each statement, the number in the name of each parameter in SQLite's order; asking SQLite for a
    /// name walks the names before it.
    numbers: HashMap<Box<str>, Box<[usize]>>,
    begin: &'static str,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Constraint(text),
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory,
            ) => Self::Unavailable(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            _ => Self::Other(text),
        }
    }
}

impl Sqlite {
    /// Opens, or creates, the file for writing.
    pub(crate) fn open_writer(path: &Path) -> Result<Self, StoreError> {
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        let found: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))?;
        if found != APPLICATION_ID && (found != 0 || tables != 0) {
            return Err(StoreError::Corrupt(format!("{} is another program's database", path.display())));
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Without it INSERT OR REPLACE deletes rows of append-only tables without asking their triggers.
        connection.pragma_update(None, "recursive_triggers", true)?;
        connection.pragma_update(None, "cache_size", -64_000)?;
        connection.pragma_update(None, "wal_autocheckpoint", checkpoint::BEGIN_PAGES)?;
        let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        if journal != "wal" || synchronous < 2 {
            return Err(StoreError::NotDurable(format!(
                "SQLite runs with journal_mode={journal}, synchronous={synchronous}, not wal and 2 (FULL)"
            )));
        }
        // A deferred transaction that reads first fails with BUSY at its first write, whatever the time-out.
        Ok(Self { checkpoints: None, connection, numbers: HashMap::new(), begin: "BEGIN IMMEDIATE" })
    }

    /// Leaves most of each checkpoint to a thread beside this writer.
    pub(crate) fn checkpoint_beside(&mut self, path: &Path) -> Result<(), StoreError> {
        self.checkpoints = Some(Checkpoints::take_over(&mut self.connection, path)?);
        Ok(())
    }

    /// Opens the file for reading only.
    pub(crate) fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -16_000)?;
        connection.query_row(&format!("PRAGMA mmap_size={MAPPED_BYTES}"), [], |_| Ok(()))?;
        Ok(Self { checkpoints: None, connection, numbers: HashMap::new(), begin: "BEGIN" })
    }

    /// Copies the database into a new file while others write, then checks the copy.
    pub(crate) fn backup_to(&self, target: &Path) -> Result<(), StoreError> {
        let mut copy = rusqlite::Connection::open(target)?;
        // One snapshot for all pages. Without it every commit of the writer would start the copy again from
        // page one.
        let snapshot = self.connection.unchecked_transaction()?;
        self.connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |_| Ok(()))?;
        let backup = rusqlite::backup::Backup::new(&self.connection, &mut copy)?;
        backup.run_to_completion(1024, Duration::from_millis(1), None)?;
        drop(backup);
        snapshot.finish()?;
        let verdict: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt(format!("the copy fails its integrity check: {verdict}")));
        }
        // One file, without a -wal beside it, is what people copy away.
        copy.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
        Ok(())
    }

    /// Brings what is beside a file into it: one file is what people copy away.
    pub(crate) fn make_one_file(path: &Path) -> Result<(), StoreError> {
        let connection = rusqlite::Connection::open(path)?;
        connection.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
        Ok(())
    }

    /// Reads every page and index and tells what is wrong, if anything.
    pub(crate) fn integrity_check(&self) -> Result<Option<String>, StoreError> {
        let verdict: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((verdict != "ok").then_some(verdict))
    }

    fn prepare(&mut self, sql: &str, params: &[Param<'_>]) -> Result<CachedStatement<'_>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        if !self.numbers.contains_key(sql) {
            if self.numbers.len() >= STATEMENTS_CACHED {
                self.numbers.clear();
            }
            self.numbers.insert(sql.into(), numbers(&statement)?);
        }
        let numbers = self.numbers.get(sql).map_or(&[][..], |numbers| numbers);
        for (index, number) in (1..).zip(numbers) {
            let param = params
                .get(number - 1)
                .ok_or_else(|| StoreError::Other(format!("parameter ${number} has no value")))?;
            match param {
                Param::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
                Param::Int(value) => statement.raw_bind_parameter(index, value)?,
                Param::Bool(value) => statement.raw_bind_parameter(index, value)?,
                Param::Text(value) => statement.raw_bind_parameter(index, value)?,
                Param::Bytes(value) => statement.raw_bind_parameter(index, value)?,
            }
        }
        Ok(statement)
    }
}

/// SQLite numbers `$2 … $1` by first appearance; the number in the name is what the unit meant.
fn numbers(statement: &CachedStatement<'_>) -> Result<Box<[usize]>, StoreError> {
    let number = |index: usize| {
        let name = statement.parameter_name(index)?.strip_prefix('$')?;
        name.parse().ok().filter(|number| *number > 0)
    };
    let numbered =
        |index| number(index).ok_or_else(|| StoreError::Other(format!("parameter {index} is not named $N")));
    (1..=statement.parameter_count()).map(numbered).collect()
}

impl Tx for Sqlite {
    fn all(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare(sql, params)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(match row.get_ref(column)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::Int(number),
                    ValueRef::Text(text) => Value::Text(
                        String::from_utf8(text.to_vec()).map_err(|_| StoreError::column(column, "UTF-8"))?,
                    ),
                    ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
                    ValueRef::Real(_) => return Err(StoreError::column(column, "a type that we store")),
                });
            }
            out.push(Row(values));
        }
        Ok(out)
    }

    fn exec(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let changed = self.prepare(sql, params)?.raw_execute()?;
        Ok(changed as u64)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }
}

impl Connection for Sqlite {
    fn begin(&mut self) -> Result<(), StoreError> {
        self.exec(self.begin, &[]).map(drop)
    }
    fn commit(&mut self, mark: Option<Mark<'_>>) -> Result<(), StoreError> {
        if let Some(Mark { writer, batch }) = mark {
            self.exec(MARK, &[writer.into(), batch.into()])?;
        }
        self.exec("COMMIT", &[]).map(drop)
    }
    fn rollback(&mut self) -> Result<(), StoreError> {
        self.exec("ROLLBACK", &[]).map(drop)
    }
    fn savepoint(&mut self) -> Result<(), StoreError> {
        self.exec("SAVEPOINT unit", &[]).map(drop)
    }
    fn release_savepoint(&mut self) -> Result<(), StoreError> {
        self.exec("RELEASE SAVEPOINT unit", &[]).map(drop)
    }
    fn rollback_to_savepoint(&mut self) -> Result<(), StoreError> {
        self.exec("ROLLBACK TO SAVEPOINT unit", &[])?;
        self.release_savepoint()
    }
    fn between_transactions(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.between_commits(&mut self.connection);
        }
    }
    fn rests_after(&self) -> Option<Duration> {
        self.checkpoints.as_ref().and_then(Checkpoints::rests_after)
    }
    fn rest(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.rest();
        }
    }
    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
    fn take_failure(&mut self) -> Option<StoreError> {
        // One writer meets nobody.
        None
    }
    fn run_script(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(sql)?)
    }
    fn as_tx(&mut self) -> &mut dyn Tx {
        self
    }
}
