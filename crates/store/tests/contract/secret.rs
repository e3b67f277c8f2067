//! Sealed keys: many nodes, one set.
//!
//! Invariant: of any number of nodes that add a key of one purpose at once, one adds it. Not here: sealing.

use crate::stage::{NOON_MS, fresh_store};
use rynjer_store::{
    StoreError, Tx,
    secret::{self, Candidate},
};
use tokio::task::JoinSet;

fn candidate(purpose: &'static str, id: &str, if_made_until_ms: i64) -> Candidate {
    Candidate { purpose, id: id.into(), sealed: id.as_bytes().to_vec(), if_made_until_ms }
}

#[tokio::test]
async fn a_purpose_gets_a_key_when_it_needs_one() {
    let stage = fresh_store();
    let ids = async |candidates: Vec<Candidate>, now_ms| {
        let rows = stage.write(move |tx| secret::renew(tx, &candidates, now_ms)).await;
        rows.into_iter()
            .map(|row| format!("{} {} {}", row.purpose, row.id, row.created_at_ms - NOON_MS))
            .collect()
    };
    let rows: Vec<_> =
        ids(vec![candidate("url", "a", i64::MIN), candidate("token", "b", i64::MIN)], NOON_MS).await;
    assert_eq!(rows, ["token b 0", "url a 0"]);
    let rows: Vec<_> = ids(vec![candidate("url", "c", NOON_MS - 1)], NOON_MS + 9).await;
    assert_eq!(rows, ["token b 0", "url a 0"]);
    let rows: Vec<_> = ids(vec![candidate("url", "c", NOON_MS)], NOON_MS + 9).await;
    assert_eq!(rows, ["token b 0", "url a 0", "url c 9"]);
    let rows: Vec<_> = ids(vec![candidate("url", "d", NOON_MS)], NOON_MS + 19).await;
    assert_eq!(rows, ["token b 0", "url a 0", "url c 9"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_end_with_one_set_of_keys() {
    let stage = fresh_store();
    let stores = [stage.store.clone(), stage.second_store(), stage.second_store()];
    let mut starts = JoinSet::new();
    for node in 0..12 {
        let store = stores[node % 3].clone();
        let unit = move |tx: &mut dyn Tx| {
            let made = ["token", "url"].map(|purpose| candidate(purpose, &format!("{node}"), i64::MIN));
            secret::renew(tx, &made, NOON_MS)
        };
        starts.spawn(async move { store.write::<_, StoreError>(unit).await.unwrap() });
    }
    let sets: Vec<Vec<_>> = starts
        .join_all()
        .await
        .into_iter()
        .map(|rows| rows.into_iter().map(|row| row.id).collect())
        .collect();
    assert_eq!(sets[0].len(), 2);
    assert!(sets.iter().all(|set| *set == sets[0]), "{sets:?}");
}
