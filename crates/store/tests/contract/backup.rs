//! Backups taken while the database is in use.
//!
//! Invariant: a copy is one moment of the ledger, audits clean and opens. Not here: where copies are kept.

use crate::stage::{NOON_MS, Stage, accept, account_id, settings};
use rynjer_store::{Store, StoreError, Tx, admin, audit_account, audit_tasks};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_quiet_database_and_its_copy_have_the_same_heads() {
    let stage = Stage::with_accounts(3, 100).await;
    stage.generate(1, 1, 5, 2).await;
    let target = stage.beside("copy.db");
    stage.store.backup(target.clone(), NOON_MS).await.unwrap();
    let copy = Store::open(&settings(target), NOON_MS).unwrap();
    let heads = stage.read(admin::chain_heads).await;
    assert_eq!(copy.read(admin::chain_heads).await.unwrap(), heads);
    assert_eq!(heads.len(), 3);
    assert_eq!(copy.integrity_check().await.unwrap(), None);
}

/// Bigger than one step of the copy, with commits between the steps: it must end, and be one moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_constant_writes_ends_and_is_one_moment() {
    let stage = Stage::with_accounts(1, 1_000_000).await;
    let fill = |tx: &mut dyn Tx| {
        let big = "x".repeat(1_000_000);
        for n in 0..24 {
            let name = n.to_string();
            rynjer_store::price::compare_or_store(tx, &name, &[0; 32], &big, NOON_MS)?;
        }
        Ok(())
    };
    stage.write(fill).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (store, stopped) = (stage.store.clone(), Arc::clone(&stop));
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        let mut id = 0;
        while !stopped.load(Ordering::SeqCst) {
            id += 1;
            store.submit(NOON_MS, accept(0, id, 1, 1)).await.unwrap();
        }
        id
    });
    let target = stage.beside("copy.db");
    let path = target.clone();
    let store = stage.store.clone();
    let copied = tokio::time::timeout(std::time::Duration::from_secs(30), store.backup(path, NOON_MS)).await;
    stop.store(true, Ordering::SeqCst);
    let written = writing.join_all().await.remove(0);
    copied.expect("the copy never ended").unwrap();
    let copy = Store::open(&settings(target), NOON_MS).unwrap();
    let audit = |tx: &mut dyn Tx| {
        let mut findings = audit_account(tx, &account_id(0))?;
        findings.extend(audit_tasks(tx, &account_id(0), NOON_MS)?);
        let tasks = tx.one("SELECT COUNT(*) FROM tasks", &[])?.unwrap().int(0)?;
        Ok::<_, StoreError>((findings, tasks))
    };
    let (findings, tasks) = copy.read(audit).await.unwrap();
    assert_eq!(findings, []);
    assert!((0..=written).contains(&tasks), "{tasks} of {written}");
    stage.assert_clean().await;
}
