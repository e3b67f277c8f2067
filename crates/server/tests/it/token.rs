//! Access tokens and refresh tokens.
//!
//! Invariant: a refresh token is worth one successor; whoever uses it second ends the family, unless it is
//! the agent itself that signs. Not here: keys (`identity`).

use crate::support::{Agent, DAY, Signer, TestApp, agent::text, client::picture};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

const TOKEN: &str = "/api/v1/agents/auth/token";
const REFRESH: &str = "/api/v1/agents/auth/refresh";

fn refresh_of(token: &Value) -> Value {
    json!({"refresh_token": token})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_refresh_token_kills_its_family() {
    let app = TestApp::sqlite().await;
    let stranger = app.anonymous();
    let first = refresh_of(&json!(app.agent.refresh_token));
    let second = stranger.post(REFRESH, &first).await.ok();
    let third = stranger.post(REFRESH, &refresh_of(&second["refresh_token"])).await.ok();
    let live = [app.agent.access_token.clone(), text(&second, "access_token"), text(&third, "access_token")];
    for token in &live {
        assert_eq!(app.bearer(token).get("/v1/models/list").await.status, 200);
    }
    let reused = stranger.post(REFRESH, &first).await;
    assert_eq!(reused.refusal(), "401 invalid_token");
    assert_eq!(
        reused.error()["message"],
        "The credential is not known here, or was revoked: the refresh token was used before, so all \
         tokens of its family are revoked"
    );
    for token in &live {
        assert_eq!(app.bearer(token).get("/v1/models/list").await.refusal(), "401 invalid_token");
    }
    assert_eq!(
        stranger.post(REFRESH, &refresh_of(&third["refresh_token"])).await.refusal(),
        "401 invalid_token"
    );
    // The key lives, and so do other families of it.
    let mut agent = app.agent.clone();
    agent.make_token(&stranger).await;
    assert_eq!(app.bearer(&agent.access_token).get("/v1/models/list").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_retry_gets_the_same_successor() {
    let app = TestApp::sqlite().await;
    let (stranger, signer) = (app.anonymous(), &app.agent.signer);
    let plain = refresh_of(&json!(app.agent.refresh_token));
    let first = stranger.post(REFRESH, &signer.sign(&plain)).await.ok();
    app.advance(Duration::from_secs(30));
    let retried = stranger.post(REFRESH, &signer.sign(&plain)).await.ok();
    assert_eq!(retried["refresh_token"], first["refresh_token"]);
    for token in [&first, &retried] {
        assert_eq!(app.bearer(&text(token, "access_token")).get("/v1/models/list").await.status, 200);
    }
    // Another agent's signature is no excuse, and costs the owner nothing.
    let other = Signer::new(70);
    assert_eq!(stranger.post(REFRESH, &other.sign(&plain)).await.refusal(), "401 invalid_signature");
    let second = stranger.post(REFRESH, &refresh_of(&first["refresh_token"])).await.ok();
    // The successor is spent: now even a signed retry tells of a thief.
    assert_eq!(stranger.post(REFRESH, &signer.sign(&plain)).await.refusal(), "401 invalid_token");
    assert_eq!(
        app.bearer(&text(&second, "access_token")).get("/v1/models/list").await.refusal(),
        "401 invalid_token"
    );

    let mut agent = app.agent.clone();
    agent.signer.set_time(app.now_s());
    agent.make_token(&stranger).await;
    let plain = refresh_of(&json!(agent.refresh_token));
    stranger.post(REFRESH, &signer.sign(&plain)).await.ok();
    app.advance(Duration::from_secs(31));
    assert_eq!(stranger.post(REFRESH, &signer.sign(&plain)).await.refusal(), "401 invalid_token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_present_one_token() {
    let app = TestApp::sqlite().await;
    let body = refresh_of(&json!(app.agent.refresh_token));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (stranger, body) = (app.anonymous(), body.clone());
        calls.spawn(async move { stranger.post(REFRESH, &body).await });
    }
    let answers = calls.join_all().await;
    let rotated: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(rotated.len(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.refusal() == "401 invalid_token"));
    // The second one killed the family, so that nothing of it lives.
    let successor = rotated[0].ok();
    assert_eq!(
        app.bearer(&text(&successor, "access_token")).get("/v1/models/list").await.refusal(),
        "401 invalid_token"
    );
    assert_eq!(
        app.anonymous().post(REFRESH, &refresh_of(&successor["refresh_token"])).await.refusal(),
        "401 invalid_token"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_token_may_do() {
    let app = TestApp::sqlite().await;
    let (stranger, mut agent) = (app.anonymous(), app.agent.clone());
    agent.make_key(&stranger, &["image"]).await;
    let bearer = app.bearer(&agent.api_key);
    let beyond = bearer.post(TOKEN, &agent.token_request(&["image", "video"])).await;
    assert_eq!(
        (beyond.refusal().as_str(), beyond.problems()),
        ("403 scope_not_allowed", vec!["scopes: needs video".to_owned()])
    );
    let none = bearer.post(TOKEN, &agent.token_request(&[])).await;
    assert_eq!(none.problems(), ["scopes: must name at least one scope"]);
    let all = app.bearer(&app.agent.api_key);
    let narrow = all.post(TOKEN, &app.agent.token_request(&["video"])).await.ok();
    assert_eq!(narrow["scopes"], json!(["video"]));
    let narrow = app.bearer(&text(&narrow, "access_token"));
    assert_eq!(narrow.post("/v1/generate", &picture("n", "a")).await.refusal(), "403 scope_not_allowed");
    assert_eq!(narrow.get("/v1/credits/balance").await.refusal(), "403 scope_not_allowed");
    // A token is no key, and another agent's key is not this agent's.
    let request = agent.token_request(&["image"]);
    assert_eq!(app.bearer(&agent.access_token).post(TOKEN, &request).await.refusal(), "401 invalid_token");
    assert_eq!(app.account_key().post(TOKEN, &request).await.refusal(), "401 invalid_token");
    assert_eq!(stranger.post(TOKEN, &request).await.refusal(), "401 missing_credentials");
    let other = app.another_agent(71).await;
    assert_eq!(app.bearer(&other.api_key).post(TOKEN, &request).await.refusal(), "401 invalid_signature");
    let forged = other.signer.sign(&json!({"agent_id": agent.id, "scopes": ["image"]}));
    assert_eq!(bearer.post(TOKEN, &forged).await.refusal(), "401 invalid_signature");
    bearer.post(TOKEN, &request).await.ok();
    assert_eq!(bearer.post(TOKEN, &request).await.refusal(), "401 nonce_reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lives_of_tokens() {
    let mut app = TestApp::sqlite().await;
    let stranger = app.anonymous();
    app.advance(Duration::from_secs(899));
    assert_eq!(app.agent_token().get("/v1/models/list").await.status, 200);
    app.restart().await;
    assert_eq!(app.agent_token().get("/v1/models/list").await.status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.agent_token().get("/v1/models/list").await.refusal(), "401 expired_token");
    let mut refresh = stranger.post(REFRESH, &refresh_of(&json!(app.agent.refresh_token))).await.ok();
    app.advance(DAY * 29);
    refresh = stranger.post(REFRESH, &refresh_of(&refresh["refresh_token"])).await.ok();
    assert_eq!(refresh["expires_in"], 900);
    app.advance(DAY - Duration::from_secs(900 + 60));
    refresh = stranger.post(REFRESH, &refresh_of(&refresh["refresh_token"])).await.ok();
    assert_eq!(refresh["expires_in"], 60);
    app.advance(Duration::from_secs(60));
    assert_eq!(
        app.bearer(&text(&refresh, "access_token")).get("/v1/models/list").await.refusal(),
        "401 expired_token"
    );
    assert_eq!(
        stranger.post(REFRESH, &refresh_of(&refresh["refresh_token"])).await.refusal(),
        "401 expired_token"
    );

    // A family never outlives its key.
    let mut agent = app.agent.clone();
    agent.signer.set_time(app.now_s());
    let mut request = agent.key_request(&["image"]);
    request.as_object_mut().expect("an object").remove("signature");
    request["expires_in_days"] = json!(1);
    let data = stranger.post("/api/v1/agents/keys/create", &agent.signer.sign(&request)).await.ok();
    agent.api_key = text(&data, "api_key");
    agent.make_token(&stranger).await;
    app.advance(DAY);
    assert_eq!(
        stranger.post(REFRESH, &refresh_of(&json!(agent.refresh_token))).await.refusal(),
        "401 expired_token"
    );
    assert_eq!(app.bearer(&agent.api_key).get("/v1/models/list").await.refusal(), "401 expired_token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_credentials_cost_no_look_up() {
    let app = TestApp::sqlite().await;
    let Agent { api_key, access_token, refresh_token, .. } = app.agent.clone();
    let cut = &api_key[..api_key.len() - 1];
    let mistyped = format!("{}{}", cut, if api_key.ends_with('A') { 'B' } else { 'A' });
    let (head, _) = access_token.rsplit_once('.').expect("a signed token");
    let unsigned = format!("{head}.");
    for token in [cut, &mistyped, &unsigned, "x", "a.b.c", "ryn_agent_v1_", &refresh_token, &app.agent.code] {
        assert_eq!(app.bearer(token).get("/v1/models/list").await.refusal(), "401 invalid_token", "{token}");
    }
    let hint = app.bearer("$RYNJER_ACCESS_TOKEN").get("/v1/models/list").await;
    assert_eq!(hint.refusal(), "401 invalid_token");
    assert_eq!(hint.header("www-authenticate"), Some("Bearer realm=\"rynjer\""));
    let unexpanded = "The shell did not expand the variable: write it in double quotes, and send the same \
                      call again.";
    assert_eq!(hint.error()["suggestion"], unexpanded);
    let answer = app.anonymous().post(REFRESH, &refresh_of(&json!("$RYNJER_REFRESH_TOKEN"))).await;
    assert_eq!(answer.refusal(), "401 invalid_token");
    assert_eq!(answer.error()["suggestion"], unexpanded);
    for header in ["", "Bearer", "Bearer ", "Basic abc", &api_key] {
        let answer = app.anonymous().with("authorization", header).get("/v1/models/list").await;
        assert_eq!(answer.refusal(), "401 invalid_token", "{header}");
    }
    let lower =
        app.anonymous().with("authorization", &format!("bearer  {api_key}")).get("/v1/models/list").await;
    assert_eq!(lower.status, 200);
    assert_eq!(app.anonymous().get("/v1/models/list").await.refusal(), "401 missing_credentials");
    assert_eq!(
        app.anonymous().post(REFRESH, &refresh_of(&json!(api_key))).await.refusal(),
        "401 invalid_token"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_credential_speaks_for() {
    let app = TestApp::sqlite().await;
    let scopes = ["image", "video", "music", "credits:read"];
    let of_agent = json!({"code": 0, "message": "ok", "data": {
        "account": {"account_id": "<account>", "frozen": false},
        "agent": {"agent_id": "<agent>", "agent_name": "Demo Agent", "paused": false},
        "key": {"key_id": "<key>", "key_name": "demo-key", "expires_at": "2025-06-16T09:50:00.000Z"},
        "scopes": scopes, "mode": "test", "budgets": [],
    }});
    assert_eq!(app.agent_token().get("/v1/me").await.redacted(), of_agent);
    assert_eq!(app.agent_key().get("/v1/me").await.redacted(), of_agent);
    let of_account = json!({"code": 0, "message": "ok", "data": {
        "account": {"account_id": "<account>", "frozen": false}, "agent": null,
        "key": {"key_id": "<key>", "key_name": "test", "expires_at": null},
        "scopes": scopes, "mode": "test", "budgets": [],
    }});
    assert_eq!(app.account_key().get("/v1/me").await.redacted(), of_account);
}
