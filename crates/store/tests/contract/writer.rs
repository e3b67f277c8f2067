//! The writer and the readers: what one job's failure does to the others, full queues, binding by name.
//!
//! Invariant: a job takes back itself and nothing else. Not here: what jobs do.

use crate::database::is_postgres;
use crate::stage::{NOON_MS, Stage, accept, account_id, fresh_store, grant, hold_up, moved, stage_with};
use rynjer_core::ledger::{Command, Grant};
use rynjer_store::{Param, StoreError, Tx, Value, account, nonce};
use tokio::task::JoinSet;

#[tokio::test]
async fn parameters_are_bound_by_the_number_in_their_name() {
    let stage = fresh_store();
    let sql = "SELECT CAST($2 AS TEXT), CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT)";
    let row = stage.read(|tx| tx.one(sql, &[Param::Int(1), Param::Text("two"), Param::Null])).await.unwrap();
    assert_eq!(row.0, [Value::Text("two".into()), Value::Int(1), Value::Text("two".into()), Value::Null]);
    for sql in ["SELECT $2", "SELECT ?", "SELECT :name"] {
        let refused = stage.store.read(move |tx| tx.one(sql, &[Param::Int(1)])).await;
        assert!(matches!(refused, Err(StoreError::Other(_))), "{sql}");
    }
}

#[tokio::test]
async fn failing_units_take_back_only_themselves() {
    let stage = Stage::with_accounts(1, 10).await;
    let held = hold_up(&stage.store).await;
    let mut set = JoinSet::new();
    for n in 0..5u8 {
        let store = stage.store.clone();
        set.spawn(async move {
            let unit = move |tx: &mut dyn Tx| {
                nonce::spend(tx, "key", &format!("nonce{n}"), NOON_MS)?;
                match n {
                    1 => panic!("a unit that panics on purpose"),
                    2 => Err(StoreError::Other("on purpose".into())),
                    3 => tx.exec("INSERT INTO nonces VALUES ('key', 'nonce3', 1)", &[]).map(|_| n),
                    _ => Ok(n),
                }
            };
            (n, store.write(unit).await)
        });
    }
    let store = stage.store.clone();
    let mut command = JoinSet::new();
    command.spawn(async move { store.submit(NOON_MS, grant(0, 5, "beside")).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    held.let_go().await;
    let mut answers = set.join_all().await;
    answers.sort_by_key(|(n, _)| *n);
    let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
    assert_eq!((&answers[0], &answers[4]), (&Ok(0), &Ok(4)));
    assert!(matches!(answers[1], Err(StoreError::Panicked(_))), "{:?}", answers[1]);
    assert_eq!(answers[2], Err(StoreError::Other("on purpose".into())));
    assert!(matches!(answers[3], Err(StoreError::Constraint(_))), "{:?}", answers[3]);
    assert_eq!(command.join_all().await, [Ok(moved(false, 15))]);
    let stored = stage.read(|tx| tx.all("SELECT nonce FROM nonces ORDER BY nonce", &[])).await;
    let stored: Vec<_> = stored.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(stored, ["nonce0", "nonce4"]);
}

/// A program has few reader threads; one bad read after the other must not use them up.
#[tokio::test]
async fn a_panicking_read_ends_no_thread() {
    let stage = fresh_store();
    for _ in 0..5 {
        let answer: Result<(), StoreError> =
            stage.store.read(|_| panic!("a read that panics on purpose")).await;
        assert!(matches!(answer, Err(StoreError::Panicked(_))), "{answer:?}");
    }
    assert_eq!(stage.number("SELECT COUNT(*) FROM accounts").await, 0);
}

/// An owner's export reads whole tables.
#[tokio::test]
async fn a_read_at_length_keeps_no_reader_from_the_others() {
    if is_postgres() {
        return;
    }
    let stage = stage_with(|settings| settings.reader_threads = 1);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut long = JoinSet::new();
    let store = stage.store.clone();
    long.spawn(async move {
        let read = move |tx: &mut dyn Tx| {
            tx.all("SELECT 1", &[])?;
            began.send(()).unwrap();
            wait.recv().unwrap();
            tx.exec("UPDATE accounts SET email = 'x'", &[])
        };
        store.read_at_length(read).await
    });
    begun.await.unwrap();
    assert_eq!(stage.number("SELECT COUNT(*) FROM accounts").await, 0);
    go.send(()).unwrap();
    let refused = long.join_all().await;
    assert!(matches!(refused[..], [Err(StoreError::Unavailable(_))]), "it may not write either: {refused:?}");
}

#[tokio::test]
async fn a_reader_can_not_write() {
    let stage = Stage::with_accounts(1, 10).await;
    let refused = stage.store.read(|tx| tx.exec("UPDATE accounts SET email = 'x'", &[])).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_read_sees_one_snapshot() {
    let stage = Stage::with_accounts(1, 10).await;
    let (store, (go, wait)) = (stage.store.clone(), std::sync::mpsc::channel::<()>());
    let (began, begun) = tokio::sync::oneshot::channel();
    let mut set = JoinSet::new();
    set.spawn(async move {
        let unit = move |tx: &mut dyn Tx| {
            let before = account::get(tx, &account_id(0))?.unwrap().books;
            began.send(()).unwrap();
            wait.recv().unwrap();
            Ok::<_, StoreError>((before, account::get(tx, &account_id(0))?.unwrap().books))
        };
        store.read(unit).await.unwrap()
    });
    begun.await.unwrap();
    assert_eq!(stage.submit(grant(0, 5, "meanwhile")).await, moved(false, 15));
    go.send(()).unwrap();
    let (before, after) = set.join_next().await.unwrap().unwrap();
    assert_eq!(before, after);
    assert_eq!(stage.account(0).await.books.available.0, 15);
}

#[tokio::test]
async fn a_dropped_callers_command_stands() {
    let stage = Stage::with_accounts(1, 10).await;
    let held = hold_up(&stage.store).await;
    let mut gone = JoinSet::new();
    for id in 1..=3 {
        let store = stage.store.clone();
        gone.spawn(async move { store.submit(NOON_MS, accept(0, id, 1, 1)).await });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gone.shutdown().await;
    held.let_go().await;
    assert_eq!(stage.submit(grant(0, 1, "after")).await, moved(false, 8));
    assert_eq!(stage.number("SELECT COUNT(*) FROM tasks").await, 3);
    stage.assert_clean().await;
}

#[tokio::test]
async fn a_full_queue_is_overloaded_and_loses_nothing() {
    let stage = stage_with(|settings| settings.queue_capacity = 4);
    stage.add_accounts(1, 10).await;
    let held = hold_up(&stage.store).await;
    let mut set = JoinSet::new();
    for id in 1..=9 {
        let store = stage.store.clone();
        set.spawn(async move { store.submit(NOON_MS, accept(0, id, 1, 1)).await });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    held.let_go().await;
    let answers = set.join_all().await;
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 4);
    assert_eq!(answers.iter().filter(|a| **a == Err(StoreError::Overloaded)).count(), 5);
    assert!(StoreError::Overloaded.is_passing());
    assert_eq!(stage.number("SELECT COUNT(*) FROM tasks").await, 4);
}

#[tokio::test]
async fn dropping_the_store_finishes_what_is_queued() {
    let stage = Stage::with_accounts(1, 10).await;
    let held = hold_up(&stage.store).await;
    let mut set = JoinSet::new();
    for id in 1..=5 {
        let store = stage.store.clone();
        set.spawn(async move { store.submit(NOON_MS, accept(0, id, 1, 1)).await });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    set.shutdown().await;
    held.let_go().await;
    let stage = stage.reopen();
    assert_eq!(stage.number("SELECT COUNT(*) FROM tasks").await, 5);
}

#[tokio::test]
async fn an_unknown_account_is_an_answer() {
    let stage = fresh_store();
    let unknown =
        Grant { account: account_id(9), amount: rynjer_core::credits::Credits(1), reference: "r".into() };
    let outcome = stage.submit(Command::Grant(unknown)).await;
    let refusal = rynjer_core::ledger::Refusal::AccountUnknown;
    assert_eq!(outcome, rynjer_core::ledger::Outcome::Refused(refusal));
}

/// Readers serve several who wait in one snapshot; it must be younger than what each of them wrote.
#[tokio::test]
async fn everybody_sees_his_own_commits_however_many_read() {
    let stage = fresh_store();
    let mut set = JoinSet::new();
    for task in 0..16 {
        let store = stage.store.clone();
        set.spawn(async move {
            for turn in 0..20 {
                let nonce = format!("{task}-{turn}");
                let written = nonce.clone();
                store.write(move |tx| nonce::spend(tx, "key", &written, NOON_MS)).await.unwrap();
                let sql = "SELECT COUNT(*) FROM nonces WHERE public_key = 'key' AND nonce = $1";
                let read = move |tx: &mut dyn Tx| tx.one(sql, &[Param::from(&nonce)]);
                let found: Result<_, StoreError> = store.read(read).await;
                assert_eq!(found.unwrap().unwrap().int(0).unwrap(), 1, "{task}-{turn}");
            }
        });
    }
    set.join_all().await;
}

/// What fails, or panics, in a snapshot that others share is its own failure.
#[tokio::test]
async fn failing_reads_spoil_no_others() {
    let stage = fresh_store();
    let mut set = JoinSet::new();
    for n in 0..60 {
        let store = stage.store.clone();
        set.spawn(async move {
            let read = move |tx: &mut dyn Tx| match n % 3 {
                0 => tx.one("SELECT nothing FROM nowhere", &[]).map(|_| 0),
                1 => panic!("a read that panics on purpose"),
                _ => tx.one("SELECT COUNT(*) FROM accounts", &[])?.unwrap().int(0),
            };
            (n % 3, store.read(read).await)
        });
    }
    for (kind, answer) in set.join_all().await {
        match kind {
            0 => assert!(matches!(answer, Err(StoreError::Other(_))), "{answer:?}"),
            1 => assert!(matches!(answer, Err(StoreError::Panicked(_))), "{answer:?}"),
            _ => assert_eq!(answer, Ok(0)),
        }
    }
}

/// Writers that share a queue hand its lock from one to the other: a unit that one of them has taken must not
/// wait until another unit wakes the next.
#[tokio::test]
async fn a_unit_never_waits_for_the_next_one() {
    let stage = stage_with(|settings| settings.writer_threads = 16);
    let patience = std::time::Duration::from_secs(10);
    for unit in 0..5_000 {
        let answer = stage.store.write(move |_| Ok::<_, StoreError>(unit));
        assert_eq!(tokio::time::timeout(patience, answer).await, Ok(Ok(unit)), "unit {unit} hangs");
    }
}
