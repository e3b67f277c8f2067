//! Nodes: they are there while they are seen.
//!
//! Invariant: nobody is counted who was not seen lately. Not here: how often they beat.

use crate::stage::{NOON_MS, fresh_store};
use rynjer_store::{
    Tx,
    node::{self, NodeRow},
};

fn node_at(id: &str, role: &str, seen_at_ms: i64) -> NodeRow {
    NodeRow {
        id: id.into(),
        role: role.into(),
        version: "0.1.0".into(),
        started_at_ms: NOON_MS - i64::from(id.as_bytes()[0]),
        seen_at_ms,
    }
}

#[tokio::test]
async fn a_node_lives_while_it_is_seen() {
    let stage = fresh_store();
    let rows =
        [node_at("a", "all", NOON_MS), node_at("b", "api", NOON_MS + 1), node_at("c", "worker", NOON_MS)];
    let beats = rows.clone();
    stage.write(move |tx| beats.iter().try_for_each(|row| node::beat(tx, row))).await;
    let all = stage.read(|tx| node::live(tx, NOON_MS)).await;
    assert_eq!(all, [rows[2].clone(), rows[1].clone(), rows[0].clone()]);
    assert_eq!(stage.read(|tx| node::live(tx, NOON_MS + 1)).await, [rows[1].clone()]);

    let again = NodeRow { version: "0.2.0".into(), role: "api".into(), ..node_at("a", "api", NOON_MS + 9) };
    let beat = again.clone();
    stage.write(move |tx| node::beat(tx, &beat)).await;
    assert_eq!(stage.read(|tx| node::live(tx, NOON_MS + 2)).await, [again]);

    assert!(stage.write(|tx| node::remove(tx, "a")).await);
    assert!(!stage.write(|tx| node::remove(tx, "a")).await);
    assert_eq!(stage.write(|tx| node::forget(tx, NOON_MS + 1)).await, 1);
    assert_eq!(stage.read(|tx| node::live(tx, 0)).await, [rows[1].clone()]);
}

/// A database on the same machine has no other time than the machine; any other tells its own.
#[tokio::test]
async fn a_database_elsewhere_tells_its_time() {
    let stage = fresh_store();
    let now_ms = stage.read(|tx: &mut dyn Tx| node::database_now_ms(tx)).await;
    assert!(now_ms.is_none_or(|now_ms| now_ms > NOON_MS), "{now_ms:?}");
}
