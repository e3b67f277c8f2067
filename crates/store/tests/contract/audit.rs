//! The audit, shown every kind of damage that a file can carry.
//!
//! Invariant: silent on a sound database, and each kind of damage gives the number of its invariant. Not
//! here: repairs.

use crate::{
    database::{is_postgres, on_server},
    stage::{Stage, accept, accepted, account_id, grant, release},
};
use rusqlite::Connection;
use rynjer_core::ledger::{Guard, Outcome, Refusal};

/// Account 0: task 1 captured, 2 failed, 3 open; account 1 has one open task.
async fn full_stage() -> Stage {
    let stage = Stage::with_accounts(2, 100).await;
    stage.generate(0, 1, 5, 2).await;
    stage.submit(accept(0, 2, 5, 2)).await;
    stage.submit(release(0, 2, Guard::NotSubmitted, None)).await;
    stage.submit(accept(0, 3, 5, 2)).await;
    stage.submit(accept(1, 4, 5, 2)).await;
    stage
}

/// Edits the database below the store, without its checks and triggers.
fn damage(stage: &Stage, sql: &str) {
    if is_postgres() {
        let unguarded = "SET session_replication_role = replica; \
                         DO $$ DECLARE c record; BEGIN \
                         FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
                         WHERE contype = 'c' AND connamespace = 'public'::regnamespace LOOP \
                         EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); \
                         END LOOP; END $$;";
        let sql = sql.replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')");
        return on_server(&stage.url(), format!("{unguarded} {sql}"));
    }
    let connection = Connection::open(stage.path()).unwrap();
    connection
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; \
             DROP TRIGGER IF EXISTS entries_no_update; DROP TRIGGER IF EXISTS entries_no_delete;",
        )
        .unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn every_kind_of_damage_is_found_in_its_account_alone() {
    let of_zero = format!("account_id = '{}'", account_id(0));
    let zero = format!("id = '{}'", account_id(0));
    let task = |n: i64| format!("{of_zero} AND id = '{}'", crate::stage::task_id(n));
    let entry = "INSERT INTO entries SELECT account_id, sequence + 100, at, kind, from_book, to_book, \
                 amount, task_id, NULL, hash FROM entries";
    let cases: Vec<(&str, String, &[u8])> = vec![
        ("an amount", format!("UPDATE entries SET amount = 101 WHERE {of_zero} AND sequence = 1"), &[5, 6]),
        ("a time", format!("UPDATE entries SET at = at + 1 WHERE {of_zero} AND sequence = 2"), &[5]),
        ("a reference", format!("UPDATE entries SET reference = 'x' WHERE {of_zero} AND sequence = 1"), &[5]),
        ("a book", format!("UPDATE entries SET to_book = 'x' WHERE {of_zero} AND sequence = 3"), &[5, 6]),
        ("a hash", format!("UPDATE entries SET hash = zeroblob(32) WHERE {of_zero} AND sequence = 2"), &[5]),
        ("the first entry gone", format!("DELETE FROM entries WHERE {of_zero} AND sequence = 1"), &[5, 6]),
        ("one in the middle gone", format!("DELETE FROM entries WHERE {of_zero} AND sequence = 3"), &[5, 6]),
        ("the last gone", format!("DELETE FROM entries WHERE {of_zero} AND sequence = 6"), &[5, 6]),
        ("all gone", format!("DELETE FROM entries WHERE {of_zero}"), &[5, 6]),
        ("a hold twice", format!("{entry} WHERE {of_zero} AND sequence = 2"), &[3, 5, 6]),
        ("a capture twice", format!("{entry} WHERE {of_zero} AND kind = 'capture'"), &[3, 5, 6]),
        ("a release twice", format!("{entry} WHERE {of_zero} AND kind = 'release'"), &[3, 5, 6]),
        ("a balance", format!("UPDATE accounts SET available = available + 1 WHERE {zero}"), &[6]),
        (
            "a balanced lie",
            format!("UPDATE accounts SET available = available + 1, issued = issued - 1 WHERE {zero}"),
            &[6],
        ),
        ("the head's hash", format!("UPDATE accounts SET entry_hash = zeroblob(32) WHERE {zero}"), &[5]),
        ("the head's number", format!("UPDATE accounts SET entry_sequence = 5 WHERE {zero}"), &[5]),
        ("the count of open tasks", format!("UPDATE accounts SET open_tasks = 0 WHERE {zero}"), &[6]),
        ("a task's price", format!("UPDATE tasks SET unit_price = 6 WHERE {}", task(1)), &[4, 6]),
        ("a task's charge", format!("UPDATE tasks SET charged = 9, released = 1 WHERE {}", task(1)), &[6]),
        ("a task's refund", format!("UPDATE tasks SET refunded = 1 WHERE {}", task(1)), &[6]),
        ("a task gone", format!("DELETE FROM tasks WHERE {}", task(1)), &[7]),
        ("an output gone", format!("DELETE FROM outputs WHERE {of_zero}"), &[8]),
        ("an output's hash", format!("UPDATE outputs SET sha256 = '' WHERE {of_zero}"), &[8]),
        ("success without charge", format!("UPDATE tasks SET status = 'success' WHERE {}", task(2)), &[8]),
        ("charged but failed", format!("UPDATE tasks SET status = 'failed' WHERE {}", task(1)), &[8, 9]),
        ("failed but open", format!("UPDATE tasks SET status = 'failed' WHERE {}", task(3)), &[9]),
        ("reopened", format!("UPDATE tasks SET status = 'pending' WHERE {}", task(2)), &[9]),
        ("a forgotten task", format!("UPDATE tasks SET deadline_at = 5 WHERE {}", task(3)), &[12]),
    ];
    for (what, sql, invariants) in cases {
        let stage = full_stage().await;
        assert_eq!(stage.audit().await, [], "{what}: before");
        damage(&stage, &sql);
        let findings = stage.audit().await;
        let mut found: Vec<u8> = findings.iter().map(|f| f.invariant).collect();
        found.sort_unstable();
        found.dedup();
        for invariant in invariants {
            assert!(found.contains(invariant), "{what}: {findings:#?}");
        }
        assert!(findings.iter().all(|f| f.account_id == account_id(0).to_string()), "{what}: {findings:#?}");
    }
}

/// The money path itself refuses an account whose books don't add up, and freezes it for good.
#[tokio::test]
async fn a_damaged_account_is_frozen_and_others_are_served() {
    let stage = full_stage().await;
    damage(&stage, &format!("UPDATE accounts SET available = available + 1 WHERE id = '{}'", account_id(0)));
    let answers = crate::stage::in_one_batch(
        &stage.store,
        vec![accept(1, 10, 1, 1), accept(0, 11, 1, 1), grant(0, 5, "g"), accept(1, 12, 1, 1)],
    )
    .await;
    let fault = Outcome::Refused(Refusal::LedgerFault { detail: "books sum to 1 instead of zero".into() });
    assert_eq!(answers, [Ok(accepted(1)), Ok(fault.clone()), Ok(fault), Ok(accepted(1))]);
    let reason = stage.account(0).await.frozen_reason;
    assert_eq!(reason.as_deref(), Some("ledger_fault: books sum to 1 instead of zero"));
    let findings = stage.audit().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
}
