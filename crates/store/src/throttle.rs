//! Wrong guesses, counted by what is guessed at or by who guesses.
//!
//! Invariant: all nodes count in one place. Not here: how many are allowed (`core::throttle`).

use crate::{error::StoreError, tx::Tx};
use rynjer_core::throttle::Failures;

/// What is known of a subject, such as `email:a@b.example`; nothing is a clean slate.
pub fn get(tx: &mut dyn Tx, subject: &str) -> Result<Failures, StoreError> {
    let sql = "SELECT failures, since_at FROM throttles WHERE subject = $1";
    let row = tx.one(sql, &[subject.into()])?;
    row.map_or(Ok(Failures::default()), |row| Ok(Failures { count: row.count(0)?, since_ms: row.int(1)? }))
}

/// Adds one wrong guess to a subject whose count began at `since_ms` or later; else it begins anew.
pub fn add(
    tx: &mut dyn Tx,
    subject: &str,
    since_ms: i64,
    now_ms: i64,
    until_ms: i64,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO throttles (subject, failures, since_at, until_at) VALUES ($1, 1, $3, $4) \
         ON CONFLICT (subject) DO UPDATE SET \
         failures = CASE WHEN throttles.since_at >= $2 THEN throttles.failures + 1 ELSE 1 END, \
         since_at = CASE WHEN throttles.since_at >= $2 THEN throttles.since_at ELSE $3 END, \
         until_at = $4",
        &[subject.into(), since_ms.into(), now_ms.into(), until_ms.into()],
    )
    .map(drop)
}

/// Takes one guess back that turned out right.
pub fn take_back(tx: &mut dyn Tx, subject: &str) -> Result<(), StoreError> {
    let sql = "UPDATE throttles SET failures = failures - 1 WHERE subject = $1 AND failures > 0";
    tx.exec(sql, &[subject.into()]).map(drop)
}

/// Forgets a subject.
pub fn clear(tx: &mut dyn Tx, subject: &str) -> Result<(), StoreError> {
    tx.exec("DELETE FROM throttles WHERE subject = $1", &[subject.into()]).map(drop)
}
