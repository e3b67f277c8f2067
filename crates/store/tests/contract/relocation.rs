//! Installations in other databases: moved, copied, restored.
//!
//! Invariant: what arrives is what left, to the byte, and what was left behind takes nothing more. Not here:
//! the command line.

use crate::{
    database::{self, TestDatabase},
    stage::{
        NOON_MS, Stage, accept, account_id, agent_id, all_at_once, capture, claim_at, release, settings_of,
        task_id,
    },
};
use rynjer_core::ledger::{Guard, Outcome};
use rynjer_store::{
    Database, Link, Store, StoreError, Tx, account, admin, installation, latest_schema, lease,
    node::{self, NodeRow},
    relocation::{self, Kind, NOT_COPIED, Relocated, RelocationError, TABLES},
};
use std::collections::{BTreeSet, HashMap};

fn database_of(url: &str) -> Database {
    match url.strip_prefix("sqlite:") {
        Some(path) => Database::Sqlite(path.into()),
        None => Database::Postgres(Box::new(Link::parse(url).unwrap())),
    }
}

/// Tasks in every state, with what hangs on them.
async fn busy_stage() -> Stage {
    let stage = Stage::with_accounts(2, 1000).await;
    stage
        .write(|tx| {
            tx.exec(
                "INSERT INTO agents (id, public_key, account_id, name, version, created_at, registered_at, \
             registration_hash, registration_expires_at, user_code_hash, user_code_expires_at) \
             VALUES ($1, 'ab', NULL, 'ägent', '1', 1, 1, $2, 2, $2, 2)",
                &[agent_id(0).as_str().into(), (&[0u8; 32]).into()],
            )?;
            tx.exec("INSERT INTO nonces (public_key, nonce, expires_at) VALUES ('ab', 'n', 1)", &[])?;
            rynjer_store::price::compare_or_store(tx, "p", &[7; 32], "text", NOON_MS)?;
            Ok(())
        })
        .await;
    stage.generate(0, 1, 5, 2).await;
    for id in 2..=5 {
        stage.submit(accept(0, id, 3, 1)).await;
    }
    let claimed = stage.claim(claim_at(NOON_MS, 4, 100)).await.tasks;
    // Submitted; lost; failed with a loss; still submitting.
    let holder = claimed[0].holder();
    stage.write(move |tx| lease::submitted(tx, &holder, 1, "job-1", NOON_MS + 1)).await;
    let holder = claimed[1].holder();
    stage.write(move |tx| lease::await_late_answer(tx, &holder, 1, NOON_MS + 9, NOON_MS)).await;
    stage.submit(release(0, 4, Guard::Fence(claimed[2].fence), Some(102))).await;
    // Queued, and more of them than one page.
    for id in 6..=700 {
        stage.submit(accept(1, id, 1, 1)).await;
    }
    stage
}

fn open(url: &str) -> Result<Store, StoreError> {
    Store::open(&settings_of(url), NOON_MS)
}

/// An empty database of the other kind, where the run has a server.
fn other_database() -> TestDatabase {
    let Ok(server) = std::env::var("RYNJER_TEST_POSTGRES") else { return TestDatabase::Sqlite };
    if database::is_postgres() {
        return TestDatabase::Sqlite;
    }
    let name = format!("move{}_{}", std::process::id(), NOON_MS);
    database::on_server(&server, format!("DROP DATABASE IF EXISTS {name}"));
    database::on_server(&server, format!("CREATE DATABASE {name}"));
    TestDatabase::Postgres { server, name }
}

fn relocate(from: &str, to: &str, name: &str) -> Result<Relocated, RelocationError> {
    relocation::relocate(&database_of(from), &database_of(to), name, NOON_MS)
}

#[tokio::test]
async fn there_and_back_again() {
    let stage = busy_stage().await;
    let (url, other, fresh) = (stage.url(), other_database(), TestDatabase::fresh());
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (middle, last) = (other.url(folders.0.path()), fresh.url(folders.1.path()));
    let there = relocate(&url, &middle, "postgres://b").unwrap();
    assert_eq!((there.accounts, there.was_there, there.findings.len()), (2, false, 0));
    let full = there.tables.iter().filter(|(_, digest)| digest.rows > 0);
    let full: Vec<_> = full.map(|(name, digest)| (*name, digest.rows)).collect();
    let expected = [
        ("accounts", 2),
        ("entries", 705),
        ("agents", 1),
        ("nonces", 1),
        ("tasks", 700),
        ("attempts", 5),
        ("outputs", 1),
        ("price_versions", 1),
    ];
    assert_eq!(full, expected);
    // The source takes nothing more, from a process that had it open either, and is opened by nobody.
    let late = stage.store.submit(NOON_MS, accept(0, 900, 1, 1)).await;
    assert!(late.is_err(), "{late:?}");
    let claim = |tx: &mut dyn Tx| lease::claim(tx, &claim_at(NOON_MS, 1, 900));
    let late: Result<_, StoreError> = stage.store.write(claim).await;
    assert!(matches!(late, Err(StoreError::Constraint(_))), "{late:?}");
    assert_eq!(open(&url).err(), Some(StoreError::Moved("postgres://b".into())));
    let again = relocate(&url, &middle, "x").unwrap_err();
    assert_eq!(again, RelocationError::Source(StoreError::Moved("postgres://b".into())));
    // The target works on: what is repeated is the same task.
    let store = open(&middle).unwrap();
    let repeated = store.submit(NOON_MS, accept(1, 6, 1, 1)).await.unwrap();
    assert_eq!(repeated, Outcome::Replayed { task: task_id(6) });
    drop(store);
    let back = relocate(&middle, &last, "sqlite:c").unwrap();
    assert_eq!(back.tables, there.tables);
}

#[tokio::test]
async fn a_run_that_was_cut_short_is_finished_by_the_next() {
    let stage = busy_stage().await;
    let folder = tempfile::tempdir().unwrap();
    let target = format!("sqlite:{}", folder.path().join("a.db").display());
    let moved = relocate(&stage.url(), &target, "sqlite:b").unwrap();
    // As if the source had not been marked.
    stage.write(|tx| tx.exec("DELETE FROM installation WHERE name = 'moved_to'", &[])).await;
    let again = relocate(&stage.url(), &target, "sqlite:b").unwrap();
    assert!(again.was_there);
    assert_eq!(again.tables, moved.tables);
    assert_eq!(open(&stage.url()).err(), Some(StoreError::Moved("sqlite:b".into())));
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let stage = busy_stage().await;
    let (url, folder) = (stage.url(), tempfile::tempdir().unwrap());
    let target = format!("sqlite:{}", folder.path().join("a.db").display());
    let other = open(&target).unwrap();
    let occupied = |tx: &mut dyn Tx| account::create(tx, &account_id(7), "x@b.example", "test", 1);
    other.write(occupied).await.unwrap();
    assert_eq!(relocate(&url, &target, "t").unwrap_err(), RelocationError::NotEmpty("accounts"));
    drop(other);
    let beat = |seen_at_ms| {
        let (id, role, version) = ("n1".to_owned(), "api".to_owned(), "1".to_owned());
        NodeRow { id, role, version, started_at_ms: 1, seen_at_ms }
    };
    let now_ms = stage.read(node::database_now_ms).await.unwrap_or(NOON_MS);
    stage.write(move |tx| node::beat(tx, &beat(now_ms - 5_000))).await;
    let target = format!("sqlite:{}", folder.path().join("b.db").display());
    let alive = RelocationError::Alive { role: "api".into(), id: "n1".into() };
    assert_eq!(relocate(&url, &target, "t").unwrap_err(), alive);
    stage.write(|tx| node::remove(tx, "n1")).await;
    stage.write(|tx| tx.exec("DELETE FROM schema_migrations WHERE number > 2", &[])).await;
    let older = relocate(&url, &target, "t").unwrap_err();
    assert_eq!(older, RelocationError::Schema { found: 2, latest: latest_schema() });
    assert_eq!(stage.audit().await, []);
}

#[tokio::test]
async fn a_backup_of_either_kind_is_restored_to_either() {
    let stage = busy_stage().await;
    let (backup, other) = (stage.beside("backup.db"), other_database());
    stage.store.backup(backup.clone(), NOON_MS).await.unwrap();
    assert!(!stage.beside("backup.db-wal").exists());
    let folder = tempfile::tempdir().unwrap();
    let target = other.url(folder.path());
    let restored = relocation::restore(&backup, &database_of(&target), NOON_MS).unwrap();
    assert_eq!((restored.accounts, restored.findings.len()), (2, 0));
    let store = open(&target).unwrap();
    let heads = stage.read(admin::chain_heads).await;
    assert_eq!(store.read(admin::chain_heads).await.unwrap(), heads);
    assert_eq!(store.read(installation::restored_at_ms).await.unwrap(), Some(NOON_MS));
    assert!(!store.write(installation::end_restoration_if_settled).await.unwrap());
    assert!(store.write(installation::end_restoration).await.unwrap());
}

/// A migration that adds a column or a table must add it to the list too.
#[tokio::test]
async fn the_list_is_the_schema() {
    let stage = crate::stage::fresh_store();
    let sql = if database::is_postgres() {
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT) \
         FROM information_schema.columns WHERE table_schema = current_schema()"
    } else {
        "SELECT m.name, c.name, lower(c.type) FROM sqlite_master m, pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    };
    let kinds = |kind: &str| match kind {
        "text" => Kind::Text,
        "integer" | "bigint" => Kind::Int,
        "blob" | "bytea" => Kind::Bytes,
        other => panic!("a column of type {other}"),
    };
    let rows = stage.read(move |tx| tx.all(sql, &[])).await;
    let line = |table: &str, column: &str, kind| format!("{table}.{column} {kind:?}");
    let found = rows.iter().filter(|row| !NOT_COPIED.contains(&row.str(0).unwrap()));
    let found: BTreeSet<String> =
        found.map(|row| line(row.str(0).unwrap(), row.str(1).unwrap(), kinds(row.str(2).unwrap()))).collect();
    let listed = TABLES.iter().flat_map(|table| table.columns.iter().map(|(c, k)| line(table.name, c, *k)));
    assert_eq!(listed.collect::<BTreeSet<_>>(), found);
}

/// How long a big one takes; run by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_hundred_thousand_tasks() {
    let stage = Stage::with_accounts(1, 10_000_000).await;
    for thousand in 0..100 {
        let ids = thousand * 1000 + 1..=thousand * 1000 + 1000;
        all_at_once(&stage.store, ids.map(|id| accept(0, id, 1, 1)).collect()).await;
        let leased = stage.claim(claim_at(NOON_MS, 1000, 1_000_000 + thousand * 1000)).await.tasks;
        let ids: HashMap<String, i64> =
            (thousand * 1000 + 1..=thousand * 1000 + 1000).map(|id| (task_id(id).to_string(), id)).collect();
        let id_of = |task: &lease::Leased| ids[task.id.as_str()];
        let captured = leased.iter().map(|task| capture(0, id_of(task), task.fence, 1));
        all_at_once(&stage.store, captured.collect()).await;
    }
    let before = stage.audit().await;
    let (other, folder) = (other_database(), tempfile::tempdir().unwrap());
    let began = std::time::Instant::now();
    let moved = relocate(&stage.url(), &other.url(folder.path()), "there").unwrap();
    let rows: u64 = moved.tables.iter().map(|(_, digest)| digest.rows).sum();
    eprintln!("{rows} rows in {:?}; findings {} and {}", began.elapsed(), before.len(), moved.findings.len());
    assert_eq!(moved.findings, before);
}
