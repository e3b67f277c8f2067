//! What is swept when it is old, and what never is.
//!
//! Invariant: tasks and entries stay. Not here: files.

use crate::{
    agent::add_agent,
    stage::{NOON_MS, Stage, accept, account_id, agent_id, capture, claim_at, key_id, task_id},
    token::add_family,
};
use rynjer_store::{
    Tx, agent, key, nonce,
    retention::{self, Horizons},
};

const HORIZONS: Horizons = Horizons {
    now_ms: NOON_MS + 100,
    bodies_before_ms: NOON_MS + 50,
    unbound_agents_before_ms: NOON_MS + 50,
};

#[tokio::test]
async fn a_sweep_takes_the_old_and_leaves_the_rest() {
    let stage = Stage::with_accounts(1, 100).await;
    stage.submit(accept(0, 1, 1, 1)).await;
    stage.claim(claim_at(NOON_MS, 1, 1)).await;
    stage.submit(capture(0, 1, 1, 1)).await;
    stage.submit(accept(0, 2, 1, 1)).await;
    for (n, at_ms) in [(0, NOON_MS), (1, NOON_MS), (2, NOON_MS), (3, NOON_MS + 60)] {
        add_agent(&stage, n, n, at_ms).await;
    }
    add_family(&stage, 1, NOON_MS + 99).await;
    add_family(&stage, 2, NOON_MS + 100).await;
    let prepare = |tx: &mut dyn Tx| {
        agent::bind(tx, &agent_id(0), &account_id(0), "", NOON_MS)?;
        let key = key::KeyRow {
            id: key_id(1),
            account_id: account_id(0),
            agent_id: Some(agent_id(1)),
            name: String::new(),
            prefix: String::new(),
            hash: [1; 32],
            scopes: String::new(),
            created_at_ms: NOON_MS,
            expires_at_ms: None,
            last_used_at_ms: None,
            revoked_at_ms: None,
        };
        key::insert(tx, &key)?;
        nonce::spend(tx, "key", "old", NOON_MS + 99)?;
        nonce::spend(tx, "key", "young", NOON_MS + 100)
    };
    stage.write(prepare).await;
    // One nonce, one token with its family, agent 2, and the body of task 1.
    assert_eq!(stage.write(|tx| retention::sweep(tx, HORIZONS)).await, 5);
    assert_eq!(stage.write(|tx| retention::sweep(tx, HORIZONS)).await, 0);
    assert_eq!(stage.number("SELECT COUNT(*) FROM nonces WHERE nonce = 'young'").await, 1);
    assert_eq!(stage.number("SELECT COUNT(*) FROM refresh_tokens").await, 1);
    assert_eq!(stage.number("SELECT COUNT(*) FROM token_families").await, 1);
    let agents = stage.read(|tx| tx.all("SELECT id FROM agents ORDER BY id", &[])).await;
    let agents: Vec<_> = agents.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(agents, [0, 1, 3].map(|n| agent_id(n).to_string()));
    assert_eq!(stage.task(0, 1).await.body, None);
    assert_eq!(stage.task(0, 2).await.body.as_deref(), Some("{}"));
    stage.assert_clean().await;
}

#[tokio::test]
async fn a_sweep_is_bounded() {
    let stage = Stage::with_accounts(1, 0).await;
    let many = |tx: &mut dyn Tx| {
        for n in 0..700 {
            nonce::spend(tx, "key", &n.to_string(), NOON_MS)?;
        }
        Ok(())
    };
    stage.write(many).await;
    for left in [500, 200, 0] {
        assert_eq!(stage.write(|tx| retention::sweep(tx, HORIZONS)).await, left);
    }
}

#[tokio::test]
async fn outputs_expire_once_and_their_files_become_orphans() {
    let stage = Stage::with_accounts(1, 100).await;
    stage.generate(0, 1, 1, 1).await;
    let file = |key: &str| (account_id(0).to_string(), task_id(1).to_string(), key.to_owned());
    let files = [file("object1"), file("object2")];
    let orphans = {
        let files = files.clone();
        stage.read(move |tx| retention::orphans(tx, &files)).await
    };
    assert_eq!(orphans, ["object2"]);
    let none = stage.write(|tx| retention::expire_outputs(tx, NOON_MS, NOON_MS + 9)).await;
    assert!(none.is_empty());
    let expired = stage.write(|tx| retention::expire_outputs(tx, NOON_MS + 1, NOON_MS + 9)).await;
    assert_eq!(expired, ["object1"]);
    assert!(stage.write(|tx| retention::expire_outputs(tx, NOON_MS + 1, NOON_MS + 9)).await.is_empty());
    assert_eq!(stage.task(0, 1).await.outputs[0].deleted_at_ms, Some(NOON_MS + 9));
    assert_eq!(stage.read(move |tx| retention::orphans(tx, &files)).await, ["object1", "object2"]);
    stage.assert_clean().await;
}
