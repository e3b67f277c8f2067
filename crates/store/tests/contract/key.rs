//! API keys: what a hash stands for, and revoking.
//!
//! Invariant: revoking a key ends its tokens in the same commit, and nobody revokes another account's. Not
//! here: expiry and scopes.

use crate::{
    agent::add_agent,
    stage::{NOON_MS, Stage, account_id, agent_id, family_id, key_id},
    token::add_family,
};
use rynjer_core::id::AgentId;
use rynjer_store::{agent, key};

pub(crate) fn key_row(n: u8, account: u8, agent: Option<AgentId>) -> key::KeyRow {
    key::KeyRow {
        id: key_id(n),
        account_id: account_id(account),
        agent_id: agent,
        name: format!("key {n}"),
        prefix: "rk_test_x".into(),
        hash: [n; 32],
        scopes: "generate".into(),
        created_at_ms: NOON_MS,
        expires_at_ms: Some(NOON_MS + 10),
        last_used_at_ms: None,
        revoked_at_ms: None,
    }
}

#[tokio::test]
async fn a_credential_shows_everything_that_it_hangs_on() {
    let stage = Stage::with_accounts(1, 0).await;
    add_agent(&stage, 0, 1, NOON_MS).await;
    stage.write(|tx| agent::bind(tx, &agent_id(0), &account_id(0), "generate", NOON_MS)).await;
    stage.write(|tx| key::insert(tx, &key_row(0, 0, Some(agent_id(0))))).await;
    stage.write(|tx| key::insert(tx, &key_row(1, 0, None))).await;
    add_family(&stage, 1, NOON_MS + 99).await;

    let of_agent = stage.read(|tx| key::credential_by_hash(tx, &[0; 32])).await.unwrap();
    assert_eq!((of_agent.key.id, of_agent.account_mode.as_str()), (key_id(0), "test"));
    let agent = of_agent.agent.unwrap();
    assert_eq!((agent.account_id, agent.paused, agent.revoked), (Some(account_id(0)), false, false));
    let of_account = stage.read(|tx| key::credential_by_hash(tx, &[1; 32])).await.unwrap();
    assert!(of_account.agent.is_none() && of_account.family.is_none());
    assert!(stage.read(|tx| key::credential_by_hash(tx, &[7; 32])).await.is_none());

    stage.write(|tx| agent::set_paused(tx, &agent_id(0), Some(1))).await;
    stage.write(|tx| rynjer_store::account::set_frozen(tx, &account_id(0), Some("x"))).await;
    let by_token = stage.read(|tx| key::credential_by_family(tx, &family_id(1))).await.unwrap();
    assert!(by_token.account_frozen && by_token.agent.unwrap().paused);
    let family = by_token.family.unwrap();
    assert_eq!((family.expires_at_ms, family.revoked), (NOON_MS + 99, false));
}

#[tokio::test]
async fn revoking_a_key_ends_its_tokens_and_keeps_its_first_time() {
    let stage = Stage::with_accounts(2, 0).await;
    add_agent(&stage, 0, 1, NOON_MS).await;
    stage.write(|tx| key::insert(tx, &key_row(0, 0, Some(agent_id(0))))).await;
    add_family(&stage, 1, NOON_MS + 99).await;
    let by_other = stage.write(|tx| key::revoke(tx, &account_id(1), &key_id(0), NOON_MS)).await;
    assert_eq!(by_other, None);
    assert!(
        !stage.read(|tx| key::credential_by_family(tx, &family_id(1))).await.unwrap().family.unwrap().revoked
    );
    for at_ms in [NOON_MS + 1, NOON_MS + 2] {
        let revoked = stage.write(move |tx| key::revoke(tx, &account_id(0), &key_id(0), at_ms)).await;
        assert_eq!(revoked, Some(NOON_MS + 1));
    }
    assert!(
        stage.read(|tx| key::credential_by_family(tx, &family_id(1))).await.unwrap().family.unwrap().revoked
    );
}

#[tokio::test]
async fn live_keys_are_neither_revoked_nor_expired() {
    let stage = Stage::with_accounts(1, 0).await;
    add_agent(&stage, 0, 1, NOON_MS).await;
    for n in 0..3 {
        stage.write(move |tx| key::insert(tx, &key_row(n, 0, Some(agent_id(0))))).await;
    }
    stage.write(|tx| key::revoke(tx, &account_id(0), &key_id(1), NOON_MS)).await;
    for (now_ms, live) in [(NOON_MS + 9, 2), (NOON_MS + 10, 0)] {
        assert_eq!(stage.read(move |tx| key::live_count(tx, &agent_id(0), now_ms)).await, live);
    }
    let listed = stage.read(|tx| key::of_agent(tx, &account_id(0), &agent_id(0))).await;
    assert_eq!(listed.iter().map(|k| k.id.clone()).collect::<Vec<_>>(), [2, 1, 0].map(key_id));
    stage.write(|tx| key::revoke_all_of_agent(tx, &agent_id(0), NOON_MS + 3)).await;
    assert_eq!(stage.read(|tx| key::live_count(tx, &agent_id(0), NOON_MS)).await, 0);
    let twice = stage.store.write(|tx| key::insert(tx, &key_row(0, 0, None))).await;
    assert!(matches!(twice, Err(rynjer_store::StoreError::Constraint(_))));
}
