//! Agents: one per public key, bound, unbound, paused and revoked.
//!
//! Invariant: registering again changes the code and never the id or the account. Not here: signatures.

use crate::stage::{NOON_MS, Stage, account_id, agent_id, fresh_store};
use rynjer_store::{Tx, agent};

pub(crate) fn registration(n: u8, code: u8, now_ms: i64) -> agent::Registration {
    agent::Registration {
        id: agent_id(n),
        public_key: format!("{n:064}"),
        name: format!("agent {n}"),
        version: "1".into(),
        now_ms,
        registration_hash: [code; 32],
        registration_expires_at_ms: now_ms + 1000,
        user_code_hash: [code; 32],
        user_code_expires_at_ms: now_ms + 1000,
    }
}

pub(crate) async fn add_agent(stage: &Stage, n: u8, code: u8, now_ms: i64) -> agent::AgentRow {
    stage.write(move |tx| agent::register(tx, &registration(n, code, now_ms))).await
}

#[tokio::test]
async fn one_agent_per_public_key() {
    let stage = Stage::with_accounts(1, 0).await;
    let first = add_agent(&stage, 1, 1, NOON_MS).await;
    assert_eq!((first.id.clone(), first.account_id), (agent_id(1), None));
    stage.write(|tx| agent::bind(tx, &agent_id(1), &account_id(0), "generate", NOON_MS + 1)).await;
    let mut again = registration(1, 2, NOON_MS + 2);
    again.id = agent_id(7);
    let again = stage.write(move |tx| agent::register(tx, &again)).await;
    assert_eq!(
        (again.id, again.account_id, again.created_at_ms),
        (agent_id(1), Some(account_id(0)), NOON_MS)
    );
    assert!(stage.read(|tx| agent::by_registration(tx, &[1; 32])).await.is_none());
    let found = stage.read(|tx| agent::by_registration(tx, &[2; 32])).await.unwrap();
    assert_eq!((found.id, found.scopes.as_str()), (agent_id(1), "generate"));
    assert!(stage.read(|tx| agent::get(tx, &agent_id(7))).await.is_none());
}

#[tokio::test]
async fn unbinding_pausing_and_revoking() {
    let stage = Stage::with_accounts(1, 0).await;
    add_agent(&stage, 1, 1, NOON_MS).await;
    let change = |tx: &mut dyn Tx| {
        agent::bind(tx, &agent_id(1), &account_id(0), "generate", NOON_MS + 1)?;
        agent::set_paused(tx, &agent_id(1), Some(NOON_MS + 2))?;
        agent::revoke(tx, &agent_id(1), NOON_MS + 3)?;
        agent::revoke(tx, &agent_id(1), NOON_MS + 4)?;
        agent::unbind(tx, &agent_id(1), NOON_MS + 5)
    };
    stage.write(change).await;
    let row = stage.read(|tx| agent::get(tx, &agent_id(1))).await.unwrap();
    assert_eq!((row.paused_at_ms, row.revoked_at_ms), (Some(NOON_MS + 2), Some(NOON_MS + 3)));
    assert_eq!((row.account_id, row.bound_at_ms, row.scopes.as_str()), (None, None, ""));
    assert_eq!(row.registration_expires_at_ms, NOON_MS + 5);
}

#[tokio::test]
async fn an_agent_is_bound_to_an_account_that_exists() {
    let stage = fresh_store();
    add_agent(&stage, 1, 1, NOON_MS).await;
    let bound = stage.store.write(|tx| agent::bind(tx, &agent_id(1), &account_id(9), "", NOON_MS)).await;
    assert!(matches!(bound, Err(rynjer_store::StoreError::Constraint(_))), "{bound:?}");
}

#[tokio::test]
async fn a_code_that_people_type() {
    let stage = Stage::with_accounts(1, 0).await;
    let typed = async |code: u8, now_ms: i64| {
        stage.read(move |tx| agent::by_user_code(tx, &[code; 32], now_ms)).await.map(|agent| agent.id)
    };
    add_agent(&stage, 1, 1, NOON_MS).await;
    assert_eq!(typed(1, NOON_MS + 999).await, Some(agent_id(1)));
    assert_eq!((typed(1, NOON_MS + 1000).await, typed(2, NOON_MS).await), (None, None));
    // Of two agents that were given the same by chance, none is meant.
    let twin = agent::Registration { registration_hash: [9; 32], ..registration(2, 1, NOON_MS) };
    stage.write(move |tx| agent::register(tx, &twin)).await;
    assert_eq!(typed(1, NOON_MS).await, None);
    add_agent(&stage, 2, 2, NOON_MS).await;
    assert_eq!(typed(1, NOON_MS).await, Some(agent_id(1)));
    // Binding spends it, unbinding kills it.
    stage.write(|tx| agent::bind(tx, &agent_id(1), &account_id(0), "image", NOON_MS)).await;
    assert_eq!(typed(1, NOON_MS).await, None);
    stage.write(|tx| agent::unbind(tx, &agent_id(2), NOON_MS)).await;
    assert_eq!(typed(2, NOON_MS).await, None);
}
