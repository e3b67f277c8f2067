//! Ledger batches against a real database: group commit, twins, guilty commands, append-only entries.
//!
//! Invariant: after each test the audit finds nothing. Not here: the rules one by one (`core`).

use crate::database::is_postgres;
use crate::stage::{
    NOON_MS, Stage, accept, accepted, account_id, all_at_once, attempt_id, budget_id, capture, claim_at,
    clawback, grant, in_one_batch, loss, moved, new_accept, refund, release, settled, task_id,
};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::AuditId,
    ledger::{Command, Guard, Outcome, Refusal, RunLimit, Trail},
    task::Status,
};
use rynjer_store::{StoreError, audit_log, budget, lease};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_at_once_on_credit_for_ten() {
    let stage = Stage::with_accounts(1, 100).await;
    let commands = (1..=200).map(|id| accept(0, id, 5, 2)).collect();
    let answers = all_at_once(&stage.store, commands).await;
    let short = Outcome::Refused(Refusal::InsufficientCredits {
        required: Credits(10),
        available: Credits(0),
        spendable: Credits(0),
    });
    assert_eq!(answers.iter().filter(|a| **a == Ok(accepted(10))).count(), 10);
    assert_eq!(answers.iter().filter(|a| **a == Ok(short.clone())).count(), 190);
    let books = stage.account(0).await.books;
    assert_eq!((books.available, books.held), (Credits(0), Credits(100)));
    assert_eq!(stage.number("SELECT COUNT(*) FROM tasks").await, 10);
    stage.assert_clean().await;
}

#[tokio::test]
async fn one_batch_carries_many_accounts_and_more_rows_than_a_statement() {
    let stage = Stage::with_accounts(20, 1_000).await;
    let commands = (0..300i64).map(|id| accept(u8::try_from(id % 20).unwrap(), id, 3, 2)).collect();
    let batches = "SELECT batch FROM writer_batches WHERE writer IN ('test', 'testledger')";
    let before = stage.number(batches).await;
    let answers = in_one_batch(&stage.store, commands).await;
    assert!(answers.iter().all(|a| *a == Ok(accepted(6))));
    // The batch that was held up, and this one.
    let step = if is_postgres() { 2 } else { 1 };
    assert_eq!(stage.number(batches).await, before + 2 * step);
    assert_eq!(stage.account(7).await.books.held, Credits(90));
    stage.assert_clean().await;
}

#[tokio::test]
async fn twins_in_one_batch_and_across_batches_are_one_task() {
    let stage = Stage::with_accounts(1, 100).await;
    let twin = |id: i64, fingerprint: &str| {
        let mut accept = new_accept(0, id, 10, 1);
        accept.task.request_id = "same".into();
        accept.task.fingerprint.push_str(fingerprint);
        Command::Accept(Box::new(accept))
    };
    let other = ",seed:6b86b273ff34fce1";
    let reused = Outcome::Refused(Refusal::RequestIdReused { fields: vec!["seed".into()] });
    let replayed = Outcome::Replayed { task: task_id(1) };
    let answers = in_one_batch(&stage.store, vec![twin(1, ""), twin(2, ""), twin(3, other)]).await;
    assert_eq!(answers, [Ok(accepted(10)), Ok(replayed.clone()), Ok(reused.clone())]);
    assert_eq!(stage.submit(twin(4, "")).await, replayed);
    assert_eq!(stage.submit(twin(5, other)).await, reused);
    let stage = stage.reopen();
    assert_eq!(stage.submit(twin(6, "")).await, replayed);
    assert_eq!(stage.account(0).await.books.held, Credits(10));
    stage.assert_clean().await;
}

#[tokio::test]
async fn a_guilty_command_is_refused_alone() {
    let stage = Stage::with_accounts(2, 100).await;
    stage.submit(accept(0, 1, 10, 1)).await;
    // The id of a stored task under a new request id: no rule sees it, the table's key does.
    let mut guilty = new_accept(0, 1, 10, 1);
    guilty.task.request_id = "another".into();
    let commands =
        vec![accept(0, 2, 10, 1), Command::Accept(Box::new(guilty)), accept(1, 3, 10, 1), grant(0, 5, "g")];
    let answers = in_one_batch(&stage.store, commands).await;
    assert!(matches!(&answers[1], Err(StoreError::Constraint(_))), "{answers:?}");
    assert_eq!(
        (&answers[0], &answers[2], &answers[3]),
        (&Ok(accepted(10)), &Ok(accepted(10)), &Ok(moved(false, 85)))
    );
    assert_eq!(stage.account(0).await.books.held, Credits(20));
    assert_eq!(stage.account(0).await.open_tasks, 2);
    stage.assert_clean().await;
}

#[tokio::test]
async fn the_whole_life_of_two_tasks() {
    let stage = Stage::with_accounts(1, 100).await;
    let mut first = new_accept(0, 1, 7, 8);
    first.run = Some(RunLimit { run_id: "run".into(), max_credits: Some(Credits(60)) });
    let key = first.task.key.clone();
    let set = move |tx: &mut dyn rynjer_store::Tx| {
        let subject = (Subject::Key, key.as_str());
        budget::set(tx, &account_id(0), &budget_id(1), subject, Period::Month, Credits(70), NOON_MS)
    };
    stage.write(set).await;
    assert_eq!(stage.submit(Command::Accept(Box::new(first))).await, accepted(56));
    let over = stage.submit(accept(0, 2, 15, 1)).await;
    assert!(matches!(over, Outcome::Refused(Refusal::BudgetExceeded { subject: "key", .. })), "{over:?}");
    let leased = stage.claim(claim_at(NOON_MS, 1, 1)).await.tasks.remove(0);
    assert_eq!(stage.submit_at(NOON_MS + 9, capture(0, 1, leased.fence, 5)).await, settled(35, 21));
    let row = stage.task(0, 1).await;
    assert_eq!((row.status, row.charged, row.released), (Status::Success, Credits(35), Credits(21)));
    assert_eq!((row.finished_at_ms, row.outputs.len()), (Some(NOON_MS + 9), 1));
    assert_eq!(row.outputs[0].created_at_ms, NOON_MS + 9);
    assert_eq!(stage.number("SELECT spent FROM runs").await, 35);
    assert_eq!(stage.number("SELECT spent FROM budgets").await, 35);
    let again = stage.submit(capture(0, 1, leased.fence, 5)).await;
    assert_eq!(again, Outcome::Stale { status: Status::Success });

    assert_eq!(stage.submit(accept(0, 2, 30, 1)).await, accepted(30));
    let leased = stage.claim(claim_at(NOON_MS, 1, 2)).await.tasks.remove(0);
    assert_eq!(leased.attempt_id, attempt_id(2));
    assert_eq!(stage.submit(release(0, 2, Guard::Fence(leased.fence), Some(2))).await, settled(0, 30));
    assert_eq!(stage.submit(loss(0, 2, 2)).await, moved(true, 65));
    let row = stage.task(0, 2).await;
    assert_eq!((row.status, row.error_code.as_deref()), (Status::Failed, Some("provider_failed")));
    assert_eq!(stage.submit(refund(0, 1, 35, "sorry")).await, moved(false, 100));
    assert_eq!(stage.submit(refund(0, 1, 35, "sorry")).await, moved(true, 100));
    let reused = Outcome::Refused(Refusal::ReferenceReused);
    assert_eq!(stage.submit(grant(0, 35, "sorry")).await, reused);
    assert_eq!(stage.submit(clawback(0, 100, "back")).await, moved(false, 0));
    let books = stage.account(0).await.books;
    assert_eq!((books.revenue, books.provider_loss, books.issued), (Credits(-30), Credits(30), Credits(0)));
    assert_eq!(stage.number("SELECT spent FROM budgets").await, 35);
    stage.assert_clean().await;
}

#[tokio::test]
async fn a_debt_freezes_and_is_paid_first_by_an_idempotent_grant() {
    let stage = Stage::with_accounts(1, 50).await;
    stage.generate(0, 1, 40, 1).await;
    assert_eq!(stage.submit(clawback(0, 50, "back")).await, moved(false, 0));
    let account = stage.account(0).await;
    assert_eq!((account.books.owed, account.frozen_reason.is_some()), (Credits(-40), true));
    let stage = stage.reopen();
    assert_eq!(stage.submit(accept(0, 2, 1, 1)).await, Outcome::Refused(Refusal::AccountFrozen));
    assert_eq!(stage.submit(grant(0, 45, "paid")).await, moved(false, 5));
    assert_eq!(stage.submit(grant(0, 45, "paid")).await, moved(true, 5));
    assert_eq!(stage.account(0).await.frozen_reason, None);
    assert_eq!(stage.submit(accept(0, 2, 1, 1)).await, accepted(1));
    stage.assert_clean().await;
}

/// Each command of a batch has its own time, and midnight may fall between two of them.
#[tokio::test]
async fn a_task_is_created_at_its_own_commands_time() {
    let stage = Stage::with_accounts(1, 50).await;
    let held = crate::stage::hold_up(&stage.store).await;
    let mut set = tokio::task::JoinSet::new();
    for id in [1, 2] {
        let store = stage.store.clone();
        set.spawn(async move { store.submit(NOON_MS + id * 1000, accept(0, id, 1, 1)).await });
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    held.let_go().await;
    set.join_all().await;
    for id in [1, 2] {
        assert_eq!(stage.task(0, id).await.created_at_ms, NOON_MS + id * 1000);
    }
    let due = stage.read(|tx| lease::next_due_ms(tx, "sandbox")).await;
    assert_eq!(due, Some(NOON_MS + 1000));
}

#[tokio::test]
async fn entries_can_be_neither_updated_nor_deleted() {
    let stage = Stage::with_accounts(1, 50).await;
    for sql in [
        "UPDATE entries SET amount = 5000",
        "DELETE FROM entries",
        if is_postgres() {
            "TRUNCATE entries"
        } else {
            "INSERT OR REPLACE INTO entries SELECT * FROM entries"
        },
        "UPDATE accounts SET available = 51",
        "UPDATE accounts SET available = -1, issued = 1",
    ] {
        let refused = stage.store.write(move |tx| tx.exec(sql, &[])).await;
        assert!(matches!(&refused, Err(StoreError::Constraint(_))), "{sql}: {refused:?}");
    }
    stage.assert_clean().await;
}

/// Who ended a task is written with its end, and not where it had ended before.
#[tokio::test]
async fn a_release_and_its_line_are_one_commit() {
    let stage = Stage::with_accounts(1, 100).await;
    stage.submit(accept(0, 1, 5, 1)).await;
    let canceled = |id: u8| {
        let Command::Release(mut release) = release(0, 1, Guard::NotSubmitted, None) else { unreachable!() };
        release.trail = Some(Trail {
            id: AuditId::new(NOON_MS, [id; 10]),
            actor_kind: "agent",
            actor_id: "agt".into(),
            action: "task.canceled",
            detail: "{}".into(),
            address: None,
        });
        Command::Release(release)
    };
    let outcomes = in_one_batch(&stage.store, vec![canceled(1), canceled(2)]).await;
    assert!(matches!(outcomes[..], [Ok(Outcome::Settled { .. }), Ok(Outcome::Stale { .. })]), "{outcomes:?}");
    let lines = stage.read(|tx| audit_log::of_account(tx, account_id(0).as_str(), None, 9)).await;
    let told: Vec<_> = lines.iter().map(|line| (line.at_ms, line.subject_id.clone())).collect();
    assert_eq!(told, [(NOON_MS, task_id(1).to_string())]);
}
