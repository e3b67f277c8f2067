//! Which files are opened, and which are refused untouched.
//!
//! Invariant: a file that isn't ours, or is newer, edited or damaged, is refused and left as it was. Not
//! here: crashes.

use crate::stage::{NOON_MS, Stage, fresh_store, settings};
use rusqlite::Connection;
use rynjer_store::{Store, StoreError, latest_schema};

fn error_of(path: std::path::PathBuf) -> StoreError {
    match Store::open(&settings(path), NOON_MS) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn opens_its_own_file_again_and_again() {
    let stage = Stage::with_accounts(1, 7).await.reopen().reopen();
    assert_eq!(stage.account(0).await.books.available.0, 7);
    assert_eq!(stage.number("SELECT MAX(number) FROM schema_migrations").await, latest_schema());
}

#[test]
fn refuses_another_programs_database_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [
        ("tables.db", "CREATE TABLE theirs (x)"),
        ("marked.db", "PRAGMA application_id = 42; CREATE TABLE theirs (x)"),
        ("empty.db", "PRAGMA application_id = 42"),
    ] {
        let path = folder.path().join(name);
        Connection::open(&path).unwrap().execute_batch(script).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = error_of(path.clone());
        assert!(matches!(error, StoreError::Corrupt(_)), "{name}: {error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
    }
}

#[test]
fn refuses_what_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "buy milk, ".repeat(1000)).unwrap();
    let error = error_of(path);
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    let error = error_of(folder.path().join("no such folder").join("rynjer.db"));
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn refuses_a_newer_schema() {
    let stage = fresh_store();
    let newer = latest_schema() + 1;
    let sql = format!("INSERT INTO schema_migrations VALUES ({newer}, 'x', 0)");
    stage.write(move |tx| tx.exec(&sql, &[])).await;
    let path = stage.path();
    assert_eq!(error_of(path), StoreError::SchemaTooNew { found: newer, known: newer - 1 });
}

/// Processes are replaced one after the other: the older ones go on where the newer left word that they may.
#[tokio::test]
async fn goes_on_under_a_newer_schema_that_takes_it() {
    let stage = Stage::with_accounts(1, 7).await;
    let known = latest_schema();
    let newer = format!("INSERT INTO schema_migrations VALUES ({}, 'x', 0)", known + 1);
    stage.write(move |tx| tx.exec(&newer, &[])).await;
    let word = |oldest: i64| {
        let word = format!("{}:{oldest}", known + 1);
        format!("UPDATE installation SET value = '{word}' WHERE name = 'oldest_program'")
    };
    let takes = word(known);
    stage.write(move |tx| tx.exec(&takes, &[])).await;
    assert_eq!(Store::open(&settings(stage.path()), NOON_MS).map(drop), Ok(()));
    let refuses = word(known + 1);
    stage.write(move |tx| tx.exec(&refuses, &[])).await;
    assert_eq!(error_of(stage.path()), StoreError::SchemaTooNew { found: known + 1, known });
}

#[tokio::test]
async fn refuses_a_migration_that_was_edited() {
    let stage = fresh_store();
    stage.write(|tx| tx.exec("UPDATE schema_migrations SET checksum = 'x' WHERE number = 1", &[])).await;
    let path = stage.path();
    let error = error_of(path);
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

/// A page in the middle of the file is overwritten: the integrity check says so, and reading it is an error.
#[tokio::test]
async fn a_damaged_page_is_found() {
    let stage = Stage::with_accounts(3, 100).await;
    for id in 1..=50 {
        stage.submit(crate::stage::accept(0, id, 1, 1)).await;
    }
    let (path, keep) = (stage.path(), stage.beside("damaged.db"));
    let pages = {
        let connection = Connection::open(&path).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let sql = "SELECT rootpage FROM sqlite_master WHERE name = 'entries'";
        connection.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from(pages - 1).unwrap() * 4096;
    bytes[start..start + 4096].fill(0xa5);
    std::fs::write(&keep, bytes).unwrap();
    let store = Store::open(&settings(keep), NOON_MS).unwrap();
    assert!(!matches!(store.integrity_check().await, Ok(None)));
    let read = store.read(|tx| tx.all("SELECT * FROM entries", &[])).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
}
