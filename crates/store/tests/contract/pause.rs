//! What the operator stopped, and owners' own pauses.
//!
//! Invariant: a pause and a freeze are two things, and ending one leaves the other. Not here: who obeys.

use crate::stage::{NOON_MS, Stage, accept, accepted, account_id, fresh_store};
use rynjer_core::ledger::{Outcome, Refusal};
use rynjer_store::{account, pause};

#[tokio::test]
async fn models_and_providers_are_stopped_by_name() {
    let stage = fresh_store();
    stage.write(|tx| pause::set(tx, "provider", "openai", "bill", NOON_MS)).await;
    stage.write(|tx| pause::set(tx, "model", "openai", "looks odd", NOON_MS + 1)).await;
    stage.write(|tx| pause::set(tx, "provider", "openai", "no bill", NOON_MS + 2)).await;
    let row = |kind: &str, reason: &str, created_at_ms| pause::PauseRow {
        kind: kind.into(),
        name: "openai".into(),
        reason: reason.into(),
        created_at_ms,
    };
    let stopped = stage.read(pause::all).await;
    assert_eq!(stopped, [row("model", "looks odd", NOON_MS + 1), row("provider", "no bill", NOON_MS)]);
    assert!(stage.write(|tx| pause::clear(tx, "provider", "openai")).await);
    assert!(!stage.write(|tx| pause::clear(tx, "provider", "openai")).await);
    assert_eq!(stage.read(pause::all).await.len(), 1);
}

#[tokio::test]
async fn a_paused_account_accepts_nothing_and_a_freeze_stays_a_freeze() {
    let stage = Stage::with_accounts(1, 100).await;
    assert!(stage.write(|tx| account::set_paused(tx, &account_id(0), Some(NOON_MS))).await);
    assert_eq!(stage.account(0).await.paused_at_ms, Some(NOON_MS));
    assert_eq!(stage.submit(accept(0, 1, 1, 1)).await, Outcome::Refused(Refusal::AccountPaused));
    stage.write(|tx| account::set_frozen(tx, &account_id(0), Some("fraud"))).await;
    assert_eq!(stage.submit(accept(0, 1, 1, 1)).await, Outcome::Refused(Refusal::AccountFrozen));
    assert!(stage.write(|tx| account::set_paused(tx, &account_id(0), None)).await);
    assert_eq!(stage.submit(accept(0, 1, 1, 1)).await, Outcome::Refused(Refusal::AccountFrozen));
    stage.write(|tx| account::set_frozen(tx, &account_id(0), None)).await;
    assert_eq!(stage.submit(accept(0, 1, 1, 1)).await, accepted(1));
    assert!(!stage.write(|tx| account::set_paused(tx, &account_id(9), None)).await);
}
