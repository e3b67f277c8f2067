//! Locked and full databases, and files as a crash leaves them.
//!
//! Invariant: a caller is never told that something stands which does not, and afterwards all goes on. Not
//! here: killing processes.

use crate::stage::{
    NOON_MS, Stage, accept, accepted, all_at_once, capture, claim_at, grant, moved, settings, settled,
};
use rusqlite::Connection;
use rynjer_store::{Store, StoreError, Tx, Value, nonce};

#[tokio::test]
async fn a_database_locked_by_another_is_unavailable_and_recovers() {
    let stage = Stage::with_accounts(1, 100).await;
    stage.write(|tx| tx.all("PRAGMA busy_timeout = 20", &[])).await;
    let other = Connection::open(stage.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let command = stage.store.submit(NOON_MS, accept(0, 1, 10, 1)).await;
    assert!(matches!(&command, Err(StoreError::Unavailable(_))), "{command:?}");
    let unit = stage.store.write(|tx| nonce::spend(tx, "key", "nonce", NOON_MS)).await;
    assert!(matches!(&unit, Err(error) if error.is_passing()), "{unit:?}");
    // Reading goes on meanwhile.
    assert_eq!(stage.account(0).await.books.available.0, 100);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(stage.submit(accept(0, 1, 10, 1)).await, accepted(10));
    assert!(stage.write(|tx| nonce::spend(tx, "key", "nonce", NOON_MS)).await);
    stage.assert_clean().await;
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let stage = Stage::with_accounts(1, 100_000).await;
    let pages = stage.number("PRAGMA page_count").await;
    let limit = format!("PRAGMA max_page_count = {}", pages + 3);
    stage.write(move |tx| tx.all(&limit, &[])).await;
    let mut accepted_ids = Vec::new();
    let mut refused = 0;
    for round in 0..10 {
        let ids = round * 50..(round + 1) * 50;
        let answers = all_at_once(&stage.store, ids.clone().map(|id| accept(0, id, 1, 1)).collect()).await;
        for (id, answer) in ids.zip(answers) {
            match answer {
                Ok(outcome) => {
                    assert_eq!(outcome, accepted(1));
                    accepted_ids.push(id);
                }
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    assert!(refused > 0);
    let unit = stage.store.write(|tx: &mut dyn Tx| {
        (0..500).try_for_each(|n| nonce::spend(tx, "key", &format!("{n:0200}"), NOON_MS).map(drop))
    });
    let unit = unit.await;
    assert!(matches!(&unit, Err(StoreError::Unavailable(_))), "{unit:?}");
    assert_eq!(stage.number("SELECT COUNT(*) FROM nonces").await, 0);
    stage.assert_clean().await;

    stage.write(|tx| tx.all("PRAGMA max_page_count = 1000000", &[])).await;
    assert_eq!(stage.submit(accept(0, 9_999, 1, 1)).await, accepted(1));
    let stage = stage.reopen();
    let stored = stage.number("SELECT COUNT(*) FROM tasks").await;
    assert_eq!(usize::try_from(stored).unwrap(), accepted_ids.len() + 1);
    stage.assert_clean().await;
}

/// A unit that rolls back everybody's transaction: nobody of its batch is told that it stands.
#[tokio::test]
async fn a_transaction_that_ends_early_answers_nobody_with_success() {
    let stage = Stage::with_accounts(1, 100).await;
    let before = stage.number("SELECT batch FROM writer_batches").await;
    let held = crate::stage::hold_up(&stage.store).await;
    let mut set = tokio::task::JoinSet::new();
    let store = stage.store.clone();
    set.spawn(async move { store.submit(NOON_MS, grant(0, 5, "g")).await.map(drop) });
    for step in 0..3 {
        let store = stage.store.clone();
        set.spawn(async move {
            let unit = move |tx: &mut dyn Tx| {
                nonce::spend(tx, "key", &step.to_string(), NOON_MS)?;
                if step == 1 { tx.exec("ROLLBACK", &[]).map(drop) } else { Ok(()) }
            };
            store.write(unit).await
        });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    held.let_go().await;
    for answer in set.join_all().await {
        assert!(matches!(&answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    // The held-up unit's batch alone: a batch number is never written without its batch.
    assert_eq!(stage.number("SELECT batch FROM writer_batches").await, before + 1);
    assert_eq!(stage.number("SELECT COUNT(*) FROM nonces").await, 0);
    assert_eq!(stage.submit(grant(0, 5, "g")).await, moved(false, 105));
    stage.assert_clean().await;
}

/// The files as they lie on the disk in the middle of work, with the log beside them, are opened as after a
/// power cut.
#[tokio::test]
async fn files_of_a_dead_process_hold_every_answered_command() {
    let stage = Stage::with_accounts(1, 1_000).await;
    for round in 0..5i64 {
        let commands = (round * 20..(round + 1) * 20).map(|id| accept(0, id, 1, 1)).collect();
        all_at_once(&stage.store, commands).await;
        let leased = stage.claim(claim_at(NOON_MS, 1, round)).await.tasks.remove(0);
        let id =
            stage.read(move |tx| tx.one("SELECT id FROM tasks WHERE fence = 1 AND charged = 0", &[])).await;
        assert_eq!(id.unwrap().0[0], Value::Text(leased.id.to_string()));
        let number = (0..1000).find(|n| crate::stage::task_id(*n) == leased.id).unwrap();
        assert_eq!(stage.submit(capture(0, number, leased.fence, 1)).await, settled(1, 0));

        let copy = stage.beside(&format!("crash{round}.db"));
        std::fs::copy(stage.path(), &copy).unwrap();
        let wal = |path: &std::path::Path| std::path::PathBuf::from(format!("{}-wal", path.display()));
        std::fs::copy(wal(&stage.path()), wal(&copy)).unwrap();
        let store = Store::open(&settings(copy), NOON_MS).unwrap();
        let count = |tx: &mut dyn Tx| tx.one("SELECT COUNT(*) FROM tasks", &[])?.unwrap().int(0);
        assert_eq!(store.read(count).await.unwrap(), (round + 1) * 20);
        assert_eq!(store.integrity_check().await.unwrap(), None);
    }
    stage.assert_clean().await;
}
