//! Refresh tokens and nonces: whatever is to happen once happens once.
//!
//! Invariant: of any number of callers at once, one wins. Not here: what a second use means.

use crate::stage::{NOON_MS, Stage, account_id, agent_id, family_id, fresh_store, key_id};
use rynjer_store::{Store, StoreError, Tx, nonce, token};
use tokio::task::JoinSet;

pub(crate) async fn add_family(stage: &Stage, n: u8, expires_at_ms: i64) {
    let family = token::FamilyRow {
        id: family_id(n),
        account_id: account_id(0),
        agent_id: agent_id(0),
        key_id: key_id(0),
        scopes: "generate".into(),
        created_at_ms: NOON_MS,
        expires_at_ms,
        revoked_at_ms: None,
    };
    let insert = move |tx: &mut dyn Tx| {
        token::insert_family(tx, &family)?;
        token::insert_refresh(tx, &family.id, &[n; 32], NOON_MS)
    };
    stage.write(insert).await;
}

async fn winners(store: &Store, unit: fn(&mut dyn Tx) -> Result<bool, StoreError>) -> usize {
    let mut set = JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        set.spawn(async move { store.write(unit).await.unwrap() });
    }
    set.join_all().await.into_iter().filter(|won| *won).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_token_is_spent_once_by_a_hundred() {
    let stage = fresh_store();
    add_family(&stage, 1, NOON_MS + 1).await;
    assert_eq!(winners(&stage.store, |tx| token::spend(tx, &[1; 32], NOON_MS)).await, 1);
    let row = stage.read(|tx| token::refresh(tx, &[1; 32])).await.unwrap();
    assert_eq!((row.family.id, row.used_at_ms), (family_id(1), Some(NOON_MS)));
    assert!(!stage.write(|tx| token::spend(tx, &[9; 32], NOON_MS)).await);
    assert!(stage.read(|tx| token::refresh(tx, &[9; 32])).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_nonce_is_spent_once_by_a_hundred() {
    let stage = fresh_store();
    assert_eq!(winners(&stage.store, |tx| nonce::spend(tx, "key", "nonce", NOON_MS)).await, 1);
    assert!(stage.write(|tx| nonce::spend(tx, "other key", "nonce", NOON_MS)).await);
}

/// Spending the old token and writing the new one are one unit: if the second fails, the first is not done.
#[tokio::test]
async fn a_rotation_is_whole_or_nothing() {
    let stage = fresh_store();
    add_family(&stage, 1, NOON_MS + 1).await;
    let rotate = |tx: &mut dyn Tx| {
        assert!(token::spend(tx, &[1; 32], NOON_MS)?);
        token::insert_refresh(tx, &family_id(1), &[2; 32], NOON_MS)?;
        token::insert_refresh(tx, &family_id(1), &[2; 32], NOON_MS)
    };
    let refused = stage.store.write(rotate).await;
    assert!(matches!(refused, Err(StoreError::Constraint(_))), "{refused:?}");
    assert_eq!(stage.read(|tx| token::refresh(tx, &[1; 32])).await.unwrap().used_at_ms, None);
    assert!(stage.read(|tx| token::refresh(tx, &[2; 32])).await.is_none());
}

#[tokio::test]
async fn a_family_dies_once_and_as_a_whole() {
    let stage = fresh_store();
    add_family(&stage, 1, NOON_MS + 1).await;
    for at_ms in [NOON_MS + 5, NOON_MS + 9] {
        stage.write(move |tx| token::revoke_family(tx, &family_id(1), at_ms)).await;
    }
    let row = stage.read(|tx| token::refresh(tx, &[1; 32])).await.unwrap();
    assert_eq!(row.family.revoked_at_ms, Some(NOON_MS + 5));
}
