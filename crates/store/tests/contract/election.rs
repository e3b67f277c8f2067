//! Elections: one node has a duty at a time.
//!
//! Invariant: of any number that ask at once, one is told yes. Not here: the duties.

use crate::stage::{NOON_MS, Stage, fresh_store};
use rynjer_store::{StoreError, Tx, election};
use tokio::task::JoinSet;

async fn hold(stage: &Stage, duty: &'static str, node: &'static str, now_ms: i64) -> bool {
    stage.write(move |tx| election::hold(tx, duty, node, now_ms, 100)).await
}

#[tokio::test]
async fn a_duty_is_held_renewed_and_lost() {
    let stage = fresh_store();
    assert!(hold(&stage, "sweep", "a", NOON_MS).await);
    assert!(!hold(&stage, "sweep", "b", NOON_MS + 99).await);
    assert!(hold(&stage, "keys", "b", NOON_MS + 99).await);
    assert!(hold(&stage, "sweep", "a", NOON_MS + 99).await);
    // A renewal that was overtaken takes nothing back.
    assert!(hold(&stage, "sweep", "a", NOON_MS + 98).await);
    assert!(!hold(&stage, "sweep", "b", NOON_MS + 198).await);
    assert!(hold(&stage, "sweep", "b", NOON_MS + 199).await);
    assert!(!hold(&stage, "sweep", "a", NOON_MS + 199).await);
}

#[tokio::test]
async fn a_duty_is_given_back_by_its_holder_alone() {
    let stage = fresh_store();
    assert!(hold(&stage, "sweep", "a", NOON_MS).await && hold(&stage, "keys", "a", NOON_MS).await);
    assert!(!stage.write(|tx| election::resign(tx, "sweep", "b")).await);
    assert!(!hold(&stage, "sweep", "b", NOON_MS).await);
    assert!(stage.write(|tx| election::resign(tx, "sweep", "a")).await);
    assert!(!stage.write(|tx| election::resign(tx, "sweep", "a")).await);
    assert!(hold(&stage, "sweep", "b", NOON_MS).await);
    assert_eq!(stage.write(|tx| election::resign_all(tx, "a")).await, 1);
    assert!(hold(&stage, "keys", "b", NOON_MS).await && !hold(&stage, "sweep", "a", NOON_MS).await);
}

/// Each node has a store of its own; all ask at once for a free duty, then for one that has run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_ask_at_once_one_is_elected() {
    let stage = fresh_store();
    let stores = [stage.store.clone(), stage.second_store(), stage.second_store()];
    for round in 0..20 {
        let now_ms = NOON_MS + round * 100;
        let mut asked = JoinSet::new();
        for node in 0..12 {
            let (store, id) = (stores[node % 3].clone(), format!("node{node}"));
            let unit = move |tx: &mut dyn Tx| election::hold(tx, "sweep", &id, now_ms, 100);
            asked.spawn(async move { store.write::<_, StoreError>(unit).await.unwrap() });
        }
        let elected = asked.join_all().await.into_iter().filter(|yes| *yes).count();
        assert_eq!(elected, 1, "round {round}");
    }
}
