//! An installation's rows in another database: moved for good, or copied for a backup and back.
//!
//! Invariant: a target is filled in one transaction from one snapshot of its source, and committed only if
//! everything in it equals the source; a moved source takes no more entries or tasks. Not here: outputs and
//! the master key, which stay where they are.

mod copy;
mod tables;

pub use copy::Digest;
pub use tables::{Kind, NOT_COPIED, TABLES, Table};

use crate::{
    admin,
    error::StoreError,
    inspect, installation,
    ledger::{Finding, audit_account, audit_accounts, audit_tasks},
    migrate, node,
    postgres::{Postgres, Use},
    sqlite::Sqlite,
    store::Database,
    tx::{Connection, Tx},
};
use std::path::Path;

/// A process that was seen later than this ago lives.
const LIVE_MS: i64 = 10_000;

/// Why nothing was moved. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelocationError {
    #[error("the source: {0}")]
    Source(StoreError),
    #[error("the target: {0}")]
    Target(StoreError),
    #[error("the source holds no installation")]
    NoInstallation,
    #[error(
        "the source has schema {found}, this program needs {latest}; run `rynjer admin migrate` on it first"
    )]
    Schema { found: i64, latest: i64 },
    #[error(
        "a process of the source ({role} {id}) was seen within the last 10 s; stop every process on it first"
    )]
    Alive { role: String, id: String },
    #[error("the source and the target are the same database")]
    Same,
    #[error("another process is opening the {0}; stop it, then run this again")]
    Busy(&'static str),
    #[error("the target is not empty: it has rows in {0}; name a fresh database")]
    NotEmpty(&'static str),
    #[error("{0} differ between source and target; nothing was changed")]
    Differs(String),
    #[error("the copy failed: {0}")]
    Thread(String),
}

/// What is in the target now.
#[derive(Debug, Clone)]
pub struct Relocated {
    pub tables: Vec<(&'static str, Digest)>,
    pub accounts: usize,
    /// What the audit found, on both sides alike.
    pub findings: Vec<Finding>,
    /// The rows were there already, from a run that was cut short before it marked the source.
    pub was_there: bool,
}

/// Moves an installation and closes its source, which notes `moved_to`. Blocks.
pub fn relocate(
    from: &Database,
    to: &Database,
    moved_to: &str,
    now_ms: i64,
) -> Result<Relocated, RelocationError> {
    let (from, to, moved_to) = (from.clone(), to.clone(), moved_to.to_owned());
    on_a_thread(move || {
        let mut source = closing_source(&from)?;
        refuse_living(source.as_tx(), now_ms).inspect_err(|_| drop(source.rollback()))?;
        // What is being reconciled is not over because it moves.
        let restored = installation::restored_at_ms(source.as_tx()).map_err(RelocationError::Source)?;
        let carry = |tx: &mut dyn Tx| match restored {
            Some(at_ms) => installation::set_restored(tx, at_ms).map(drop),
            None => Ok(()),
        };
        let relocated = filled(source.as_tx(), &to, now_ms, true, carry);
        let relocated = relocated.inspect_err(|_| drop(source.rollback()))?;
        // Between the target's commit and this one both hold the same; the next run finds that and marks.
        close(source.as_mut(), &moved_to).map_err(RelocationError::Source)?;
        Ok(relocated)
    })
}

/// Copies an installation that others use into a fresh file: one moment of it. Blocks.
pub(crate) fn copy_to_file(from: &Database, file: &Path, now_ms: i64) -> Result<Relocated, RelocationError> {
    let (from, file) = (from.clone(), file.to_owned());
    on_a_thread(move || {
        let mut source = reading_source(&from)?;
        let target = Database::Sqlite(file.clone());
        let copied = filled(source.as_tx(), &target, now_ms, false, |_| Ok(()))?;
        drop(source.rollback());
        Sqlite::make_one_file(&file).map_err(RelocationError::Target)?;
        Ok(copied)
    })
}

/// Copies a backup's file into a fresh database, and notes that it was restored. Blocks.
pub fn restore(backup: &Path, to: &Database, now_ms: i64) -> Result<Relocated, RelocationError> {
    let (from, to) = (Database::Sqlite(backup.to_owned()), to.clone());
    on_a_thread(move || {
        let mut source = reading_source(&from)?;
        filled(source.as_tx(), &to, now_ms, true, |tx| installation::set_restored(tx, now_ms).map(drop))
    })
}

/// A server's connection blocks, which a runtime's threads must not.
fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RelocationError> + Send + 'static,
) -> Result<T, RelocationError> {
    std::thread::spawn(work).join().unwrap_or_else(|_| Err(RelocationError::Thread("see the log".to_owned())))
}

/// The source in a transaction that nobody else writes beside.
fn closing_source(from: &Database) -> Result<Box<dyn Connection>, RelocationError> {
    check_schema(from)?;
    let mut source: Box<dyn Connection> = match from {
        Database::Sqlite(path) => {
            let mut file = Sqlite::open_writer(path).map_err(RelocationError::Source)?;
            file.begin().map_err(RelocationError::Source)?;
            Box::new(file)
        }
        Database::Postgres(link) => {
            let mut server = Postgres::new((**link).clone(), Use::Move);
            let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
            let locked = server.begin().and_then(|()| {
                // Before anything is read, so that the snapshot is of a time when nobody writes.
                server.run_script(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", ")))?;
                server.try_lock_schema()
            });
            if !locked.map_err(RelocationError::Source)? {
                return Err(RelocationError::Busy("source"));
            }
            Box::new(server)
        }
    };
    installation::refuse_moved(source.as_tx()).map_err(RelocationError::Source)?;
    Ok(source)
}

/// The source in a transaction that reads one snapshot.
fn reading_source(from: &Database) -> Result<Box<dyn Connection>, RelocationError> {
    check_schema(from)?;
    let mut source: Box<dyn Connection> = match from {
        Database::Sqlite(path) => Box::new(Sqlite::open_reader(path).map_err(RelocationError::Source)?),
        Database::Postgres(link) => Box::new(Postgres::new((**link).clone(), Use::Copy)),
    };
    source.begin().map_err(RelocationError::Source)?;
    installation::refuse_moved(source.as_tx()).map_err(RelocationError::Source)?;
    Ok(source)
}

fn check_schema(from: &Database) -> Result<(), RelocationError> {
    let found = inspect::schema_of(from).map_err(RelocationError::Source)?;
    let (found, latest) = (found.ok_or(RelocationError::NoInstallation)?, migrate::latest());
    if found == latest { Ok(()) } else { Err(RelocationError::Schema { found, latest }) }
}

fn refuse_living(source: &mut dyn Tx, now_ms: i64) -> Result<(), RelocationError> {
    let mut living = || {
        let now_ms = node::database_now_ms(source)?.unwrap_or(now_ms);
        node::live(source, now_ms - LIVE_MS)
    };
    let mut nodes = living().map_err(RelocationError::Source)?;
    nodes.pop().map_or(Ok(()), |node| Err(RelocationError::Alive { role: node.role, id: node.id }))
}

/// Fills a fresh target, compares, and commits. With `audited` both ledgers are audited too.
fn filled(
    source: &mut dyn Tx,
    to: &Database,
    now_ms: i64,
    audited: bool,
    finish: impl FnOnce(&mut dyn Tx) -> Result<(), StoreError>,
) -> Result<Relocated, RelocationError> {
    let mut target = open_target(to, now_ms)?;
    let filled = fill(source, target.as_mut(), now_ms, audited);
    let filled = filled.inspect_err(|_| drop(target.rollback()))?;
    finish(target.as_tx()).and_then(|()| target.commit(None)).map_err(RelocationError::Target)?;
    Ok(filled)
}

/// The target with this program's schema, in a transaction.
fn open_target(to: &Database, now_ms: i64) -> Result<Box<dyn Connection>, RelocationError> {
    match to {
        Database::Sqlite(path) => {
            let opened = Sqlite::open_writer(path).and_then(|mut file| {
                migrate::migrate(&mut file, now_ms)?;
                installation::refuse_moved(&mut file)?;
                file.begin()?;
                Ok(file)
            });
            Ok(Box::new(opened.map_err(RelocationError::Target)?))
        }
        Database::Postgres(link) => {
            let mut server = Postgres::new((**link).clone(), Use::Move);
            let opened = server.connect().and_then(|()| {
                if !server.try_lock_schema()? {
                    return Ok(false);
                }
                server.check_server()?;
                migrate::migrate(&mut server, now_ms)?;
                installation::refuse_moved(&mut server)?;
                server.begin()?;
                // It may have had to connect anew.
                server.try_lock_schema()
            });
            if opened.map_err(RelocationError::Target)? {
                Ok(Box::new(server))
            } else {
                Err(RelocationError::Busy("target"))
            }
        }
    }
}

fn fill(
    source: &mut dyn Tx,
    target: &mut dyn Connection,
    now_ms: i64,
    audited: bool,
) -> Result<Relocated, RelocationError> {
    let was_there = !is_fresh(source, target.as_tx())?;
    let mut done = Vec::new();
    for table in TABLES {
        let read =
            if was_there { copy::digest(source, table) } else { copy::copy(source, target.as_tx(), table) };
        done.push((table.name, read.map_err(RelocationError::Source)?));
    }
    let statistics = target.dialect().planner_statistics();
    target.run_script(statistics).map_err(RelocationError::Target)?;
    for (table, (name, expected)) in TABLES.iter().zip(&done) {
        let found = copy::digest(target.as_tx(), table).map_err(RelocationError::Target)?;
        if found != *expected {
            return Err(RelocationError::Differs(format!("the rows of {name}")));
        }
    }
    let heads = admin::chain_heads(source).map_err(RelocationError::Source)?;
    if heads != admin::chain_heads(target.as_tx()).map_err(RelocationError::Target)? {
        return Err(RelocationError::Differs("the heads of the ledger's chains".to_owned()));
    }
    let mut findings = Vec::new();
    if audited {
        findings = audit(source, now_ms).map_err(RelocationError::Source)?;
        if findings != audit(target.as_tx(), now_ms).map_err(RelocationError::Target)? {
            return Err(RelocationError::Differs("the findings of the audit".to_owned()));
        }
    }
    Ok(Relocated { tables: done, accounts: heads.len(), findings, was_there })
}

/// Whether the target has nothing. One that has this very ledger comes from a run that was cut short.
fn is_fresh(source: &mut dyn Tx, target: &mut dyn Tx) -> Result<bool, RelocationError> {
    let heads = admin::chain_heads(target).map_err(RelocationError::Target)?;
    if !heads.is_empty() && heads == admin::chain_heads(source).map_err(RelocationError::Source)? {
        return Ok(false);
    }
    for table in TABLES {
        if !copy::is_empty(target, table).map_err(RelocationError::Target)? {
            return Err(RelocationError::NotEmpty(table.name));
        }
    }
    Ok(true)
}

fn audit(tx: &mut dyn Tx, now_ms: i64) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    for account in audit_accounts(tx)? {
        findings.extend(audit_account(tx, &account)?);
        findings.extend(audit_tasks(tx, &account, now_ms)?);
    }
    Ok(findings)
}

/// A process that was stopped in its tracks and wakes later must not go on where nobody looks any more.
fn close(source: &mut dyn Connection, moved_to: &str) -> Result<(), StoreError> {
    installation::set_moved(source.as_tx(), moved_to)?;
    let closed = source.dialect().close_tables(&["entries", "tasks"]);
    source.run_script(&closed)?;
    source.commit(None)
}
