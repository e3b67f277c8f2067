//! Signing keys in turn, on one node and on many.
//!
//! Invariant: what was signed is good as long as it says, whichever key and node signed it. Not here: what
//! tokens, links, quotes and receipts say.

use crate::support::{
    Agent, DAY, HOUR, TestApp, agent::text, client::Client, client::picture, neighbour::SHARED, until,
};
use rynjer_server::gateway::Role;
use serde_json::{Value, json};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The ids of all published keys.
async fn published(client: &Client) -> Vec<String> {
    let keys = client.get("/.well-known/jwks.json").await.json();
    keys["keys"].as_array().expect("keys").iter().map(|key| text(key, "kid")).collect()
}

/// The id of the key that signed an access token.
fn signer_of(token: &str) -> String {
    let header = token.split('.').next().expect("a header");
    let header = data_encoding::BASE64URL_NOPAD.decode(header.as_bytes()).expect("base64");
    text(&serde_json::from_slice(&header).expect("a header"), "kid")
}

async fn token(agent: &Agent, client: &Client, now_s: i64) -> String {
    let mut agent = agent.clone();
    agent.signer.set_time(now_s);
    agent.make_token(client).await;
    agent.access_token
}

async fn quote(client: &Client) -> String {
    text(&client.post("/v1/credits/estimate", &json!({"model": "google/nano-banana"})).await.ok(), "quote_id")
}

fn quoted(request_id: &str, quote: &str) -> Value {
    let mut body = picture(request_id, "[[instant]]");
    body["quote_id"] = json!(quote);
    body
}

async fn models(app: &TestApp, token: &str) -> String {
    app.bearer(token).get("/v1/models/list").await.refusal()
}

/// A gateway whose keys are 90 days old and have just got successors, and a fresh agent with a key.
async fn rotated(settings: &str) -> (TestApp, Agent) {
    let app = TestApp::with(settings).await;
    app.advance(DAY * 90 - SECOND);
    assert!(app.gateway().rotate_keys().await);
    assert_eq!(published(&app.anonymous()).await.len(), 2);
    app.advance(SECOND);
    assert!(app.gateway().rotate_keys().await);
    let agent = app.another_agent(9).await;
    (app, agent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_outlive_their_keys_turn_and_no_more() {
    let (app, agent) = rotated("").await;
    let stranger = app.anonymous();
    let keys = published(&stranger).await;
    let [old, new, receipts @ ..] = keys.as_slice() else { panic!("{keys:?}") };
    assert_eq!(receipts.len(), 2);
    app.advance(Duration::from_millis(119_999));
    let last_of_old = token(&agent, &stranger, app.now_s()).await;
    assert_eq!(&signer_of(&last_of_old), old);
    app.advance(Duration::from_millis(1));
    let first_of_new = token(&agent, &stranger, app.now_s()).await;
    assert_eq!(&signer_of(&first_of_new), new);
    app.advance(SECOND * 898);
    for token in [&last_of_old, &first_of_new] {
        assert_eq!(app.bearer(token).get("/v1/models/list").await.status, 200);
    }
    app.advance(HOUR - SECOND * 898 - Duration::from_millis(1));
    assert_eq!(models(&app, &last_of_old).await, "401 expired_token");
    assert_eq!(published(&stranger).await, keys);
    app.advance(Duration::from_millis(1));
    assert_eq!(models(&app, &last_of_old).await, "401 invalid_token");
    assert_eq!(models(&app, &first_of_new).await, "401 expired_token");
    // What signed receipts is listed for ever.
    assert_eq!(published(&stranger).await, [std::slice::from_ref(new), receipts].concat());
    app.gateway().rotate_keys().await;
    assert_eq!(published(&stranger).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotes_outlive_their_keys_turn_and_no_more() {
    let (app, _) = rotated("").await;
    let owner = app.account_key();
    app.advance(SECOND * 119);
    let [used, late, gone] = [quote(&owner).await, quote(&owner).await, quote(&owner).await];
    let key_of = |quote: &str| quote.split('.').nth(1).map(str::to_owned);
    app.advance(SECOND);
    assert_ne!(key_of(&quote(&owner).await), key_of(&used));
    app.advance(SECOND * 890);
    assert_eq!(owner.generate(&quoted("q-1", &used)).await["credits"]["held"], 8);
    app.advance(HOUR - SECOND * 891);
    assert_eq!(owner.post("/v1/generate", &quoted("q-2", &late)).await.refusal(), "409 quote_expired");
    app.advance(SECOND);
    assert_eq!(owner.post("/v1/generate", &quoted("q-3", &gone)).await.refusal(), "409 quote_mismatch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_outlive_their_keys_turn_and_no_more() {
    let (app, _) = rotated("").await;
    let (owner, stranger) = (app.account_key(), app.anonymous());
    app.advance(SECOND * 119);
    owner.picture("u-1", "[[instant]]").await;
    let url = text(&owner.finish("u-1").await["outputs"][0], "url");
    app.advance(SECOND);
    let newer = text(&owner.poll("u-1").await["outputs"][0], "url");
    let key_of = |url: &str| url.split("key=").nth(1).map(|rest| rest[..12].to_owned());
    assert_ne!(key_of(&url), key_of(&newer));
    app.advance(DAY * 7 - SECOND * 2);
    assert_eq!(stranger.get(&url).await.status, 200);
    let message = async |url: &str| text(&stranger.get(url).await.error(), "message");
    app.advance(HOUR + SECOND);
    assert_eq!(message(&url).await, "The link has expired");
    app.advance(SECOND);
    assert_eq!(message(&url).await, "There is nothing at that address for this credential");
    assert_eq!(message(&newer).await, "The link has expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_not_rotated_where_that_is_off() {
    let app = TestApp::with("[keys]\nrotate_days = 0").await;
    app.advance(DAY * 36_500);
    assert!(app.gateway().rotate_keys().await);
    assert_eq!(published(&app.anonymous()).await.len(), 2);
}

/// Refresh tokens are derived under a key that stays: a retry gets the same successor before and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_across_a_rotation_gets_the_same_successor() {
    let (app, agent) = rotated("").await;
    let stranger = app.anonymous();
    app.advance(SECOND * 110);
    agent.signer.set_time(app.now_s());
    let body = agent.signer.sign(&json!({"refresh_token": agent.refresh_token}));
    let first = stranger.post("/api/v1/agents/auth/refresh", &body).await.ok();
    app.advance(SECOND * 20);
    agent.signer.set_time(app.now_s());
    let body = agent.signer.sign(&json!({"refresh_token": agent.refresh_token}));
    let retried = stranger.post("/api/v1/agents/auth/refresh", &body).await.ok();
    assert_eq!(retried["refresh_token"], first["refresh_token"]);
    let signers = [&first, &retried].map(|answer| signer_of(&text(answer, "access_token")));
    assert_ne!(signers[0], signers[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_signs_the_others_know() {
    let app = TestApp::with(SHARED).await;
    let other = app.neighbour(Role::Api).await;
    assert_eq!(published(&other.anonymous()).await, published(&app.anonymous()).await);
    // A key of the other node, which it signs with before this one has read the keys again.
    app.advance(DAY * 90);
    assert!(other.gateway.rotate_keys().await);
    assert!(!app.gateway().rotate_keys().await);
    let agent = app.another_agent(9).await;
    app.advance(SECOND * 120);
    let access_token = token(&agent, &other.anonymous(), app.now_s()).await;
    assert!(published(&other.anonymous()).await.contains(&signer_of(&access_token)));
    let known = async || {
        let answer = app.bearer(&access_token).get("/v1/models/list").await;
        (answer.status == 200).then_some(())
    };
    until("a token of the other node is known", known).await;
    let theirs = quote(&other.bearer(&agent.api_key)).await;
    let bearer = app.bearer(&agent.api_key);
    assert_eq!(bearer.generate(&quoted("q-1", &theirs)).await["credits"]["held"], 8);
    bearer.finish("q-1").await;
    let task = other.bearer(&agent.api_key).poll("q-1").await;
    assert_eq!(app.anonymous().get(&text(&task["outputs"][0], "url")).await.status, 200);
    assert_eq!(published(&other.anonymous()).await, published(&app.anonymous()).await);
    other.stop().await;
}

/// Each kind of signature makes a node look for a key that it doesn't know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotes_and_links_of_unknown_keys_are_looked_up() {
    let app = TestApp::with(SHARED).await;
    let other = app.neighbour(Role::Api).await;
    let owner = app.account_key();
    owner.picture("u-1", "[[instant]]").await;
    owner.finish("u-1").await;
    let another = other.bearer(app.account_key_text());
    app.advance(DAY * 20);
    for rotation in 1..=2 {
        app.advance(DAY * 90);
        assert!(other.gateway.rotate_keys().await);
        app.advance(SECOND * 120);
        if rotation == 1 {
            let theirs = quote(&another).await;
            let taken = async || {
                let answer = owner.post("/v1/generate", &quoted("q-1", &theirs)).await;
                (answer.status == 200).then_some(())
            };
            until("a quote of the other node is known", taken).await;
            owner.finish("q-1").await;
        } else {
            owner.picture("u-2", "[[instant]]").await;
            owner.finish("u-2").await;
            let url = text(&another.poll("u-2").await["outputs"][0], "url");
            let opened = async || (app.anonymous().get(&url).await.status == 200).then_some(());
            until("a link of the other node is known", opened).await;
        }
    }
    other.stop().await;
}
