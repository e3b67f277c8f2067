//! Policies as they are set, listed and found with a credential.
//!
//! Invariant: a credential brings exactly the policies of its account, agent and key. Not here: the rule.

use crate::{
    agent::add_agent,
    key::key_row,
    stage::{NOON_MS, Stage, account_id, agent_id, family_id, key_id},
    token::add_family,
};
use rynjer_core::{
    budget::Subject,
    credits::Credits,
    policy::{Policies, Policy},
};
use rynjer_store::{agent, key, policy};

fn limits(subject: Subject, models: Option<&[&str]>, max_price: Option<i64>) -> Policy {
    let models = models.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Policy { subject, models, max_price: max_price.map(Credits) }
}

async fn set(stage: &Stage, account: u8, id: &str, policy: &Policy) {
    let (id, policy) = (id.to_owned(), policy.clone());
    stage.write(move |tx| policy::set(tx, &account_id(account), &id, &policy, NOON_MS)).await;
}

#[tokio::test]
async fn a_credential_brings_its_policies() {
    let stage = Stage::with_accounts(2, 0).await;
    add_agent(&stage, 0, 1, NOON_MS).await;
    stage.write(|tx| agent::bind(tx, &agent_id(0), &account_id(0), "generate", NOON_MS)).await;
    stage.write(|tx| key::insert(tx, &key_row(0, 0, Some(agent_id(0))))).await;
    stage.write(|tx| key::insert(tx, &key_row(1, 0, None))).await;
    add_family(&stage, 1, NOON_MS + 99).await;
    let of_account = limits(Subject::Account, Some(&["a", "it\"s"]), Some(40));
    let of_agent = limits(Subject::Agent, None, Some(20));
    let of_key = limits(Subject::Key, Some(&[]), None);
    set(&stage, 0, account_id(0).as_str(), &of_account).await;
    set(&stage, 0, agent_id(0).as_str(), &of_agent).await;
    set(&stage, 0, key_id(1).as_str(), &of_key).await;
    // Another account's word counts for nothing.
    set(&stage, 1, key_id(0).as_str(), &of_key).await;

    let by_key = stage.read(|tx| key::credential_by_hash(tx, &[0; 32])).await.unwrap();
    assert_eq!(by_key.policies, Policies(vec![of_account.clone(), of_agent.clone()]));
    let by_token = stage.read(|tx| key::credential_by_family(tx, &family_id(1))).await.unwrap();
    assert_eq!(by_token.policies, by_key.policies);
    assert_eq!(by_token.family.unwrap().expires_at_ms, NOON_MS + 99);
    let owners = stage.read(|tx| key::credential_by_hash(tx, &[1; 32])).await.unwrap();
    assert_eq!(owners.policies, Policies(vec![of_account, of_key]));
}

#[tokio::test]
async fn a_policy_is_replaced_and_one_without_limits_goes() {
    let stage = Stage::with_accounts(1, 0).await;
    let account = account_id(0).to_string();
    set(&stage, 0, &account, &limits(Subject::Account, None, Some(5))).await;
    set(&stage, 0, &account, &limits(Subject::Account, Some(&["b"]), None)).await;
    let listed = stage.read(|tx| policy::of_account(tx, &account_id(0))).await;
    let policy = limits(Subject::Account, Some(&["b"]), None);
    let row = policy::PolicyRow { subject_id: account.clone(), policy, updated_at_ms: NOON_MS };
    assert_eq!(listed, [row]);
    set(&stage, 0, &account, &limits(Subject::Account, None, None)).await;
    assert_eq!(stage.read(|tx| policy::of_account(tx, &account_id(0))).await, []);
}
