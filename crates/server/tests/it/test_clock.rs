//! The test mode over the API: triggers, and a clock that a test account moves.
//!
//! Invariant: for anybody else nothing of it exists, and what time brings has happened when the call answers.
//! Not here: what triggers do (`task`).

use crate::support::{CREDITS, DAY, TestApp, agent::text, client::picture};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    scope::Scopes,
};
use serde_json::{Value, json};
use std::time::Duration;

const CLOCK: &str = "/v1/test/clock";

/// Moves the gateway's clock by its own call.
async fn advance(app: &TestApp, by: Duration) -> Value {
    app.account_key().post(CLOCK, &json!({"advance_seconds": by.as_secs()})).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_are_explained_to_test_accounts() {
    let app = TestApp::sqlite().await;
    let answer = app.agent_token().get("/v1/test/triggers").await.ok();
    assert_eq!((&answer["enabled"], &answer["mode"]), (&json!(true), &json!("test")));
    assert_eq!(
        answer["triggers"][0],
        json!({
            "trigger": "[[reject]]", "example": "A red fox [[reject]]",
            "effect": "the task fails with content_rejected", "task_error": "content_rejected",
        })
    );
    for trigger in answer["triggers"].as_array().expect("triggers") {
        let name = text(trigger, "trigger");
        if !["[[reject]]", "[[fail]]", "[[crash]]"].contains(&name.as_str()) {
            continue;
        }
        app.agent_token().picture(&name.replace(['[', ']'], ""), &text(trigger, "example")).await;
        let task = app.agent_token().finish(&name.replace(['[', ']'], "")).await;
        assert_eq!(task["error"]["error"], trigger["task_error"], "{name}");
    }
    let live = app.admin().account_create("live@example.com", true, 0).await.expect("an account").id;
    let key = app.admin().key_create(&live, Scopes::ALL, "k").await.expect("a key").1;
    let live = app.bearer(key.expose());
    assert_eq!(live.get("/v1/test/triggers").await.refusal(), "404 not_found");
    assert_eq!(app.anonymous().get("/v1/test/triggers").await.refusal(), "401 missing_credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_moves_forward_only_and_only_where_it_may() {
    let app = TestApp::sqlite().await;
    assert_eq!(app.account_key().get(CLOCK).await.refusal(), "404 not_found");
    let by_a_day = json!({"advance_seconds": 86_400});
    assert_eq!(app.account_key().post(CLOCK, &by_a_day).await.refusal(), "404 not_found");
    drop(app);

    let app = TestApp::with_moving_clock("").await;
    let owner = app.account_key();
    let before = owner.get(CLOCK).await.ok();
    let after = owner.post(CLOCK, &json!({"advance_seconds": 86_400, "zone": "x"})).await.ok();
    let seconds = |answer: &Value, name: &str| answer[name].as_i64().expect("seconds");
    assert_eq!(seconds(&after, "moved_seconds") - seconds(&before, "moved_seconds"), 86_400);
    let passed = seconds(&after, "unix_seconds") - seconds(&before, "unix_seconds");
    assert!((86_400..86_460).contains(&passed), "{passed}");
    assert_eq!(after["warnings"], json!(["unknown field `zone` was ignored"]));
    assert!(text(&after, "now") > text(&before, "now"));
    for (body, problem) in [
        (json!({}), "advance_seconds: is required"),
        (json!({"advance_seconds": 0}), "advance_seconds: must be 1 to 34560000"),
        (json!({"advance_seconds": -60}), "advance_seconds: must be 1 to 34560000"),
        (json!({"advance_seconds": 34_560_001}), "advance_seconds: must be 1 to 34560000"),
        (json!({"advance_seconds": "60"}), "advance_seconds: must be a whole number"),
    ] {
        assert_eq!(owner.post(CLOCK, &body).await.problems(), [problem], "{body}");
    }
    let far = json!({"advance_seconds": 34_560_000});
    let mut refused = owner.post(CLOCK, &far).await;
    for _ in 0..100 {
        if refused.status == 200 {
            refused = owner.post(CLOCK, &far).await;
        }
    }
    let problem = "advance_seconds: would be a hundred years in all; restart the gateway to begin again";
    assert_eq!(refused.problems(), [problem]);
    let live = app.admin().account_create("live@example.com", true, 0).await.expect("an account").id;
    let key = app.admin().key_create(&live, Scopes::ALL, "k").await.expect("a key").1;
    assert_eq!(app.bearer(key.expose()).post(CLOCK, &by_a_day).await.refusal(), "404 not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_can_be_seen() {
    let app = TestApp::with_moving_clock("").await;
    let owner = app.account_key();
    let body = json!({"request_id": "old", "model": "google/nano-banana", "prompt": "[[instant]] a secret"});
    owner.generate(&body).await;
    let fresh = owner.finish("old").await;
    let url = text(&fresh["outputs"][0], "url");
    assert_eq!(app.anonymous().get(&url).await.status, 200);

    advance(&app, DAY * 7 + Duration::from_secs(60)).await;
    assert_eq!(app.anonymous().get(&url).await.refusal(), "404 not_found");
    let url = text(&owner.poll("old").await["outputs"][0], "url");
    assert_eq!(app.anonymous().get(&url).await.status, 200);

    advance(&app, DAY * 23).await;
    let output = owner.poll("old").await["outputs"][0].take();
    assert_eq!((&output["url"], &output["sha256"]), (&Value::Null, &fresh["outputs"][0]["sha256"]));
    assert!(output["deleted_at"].is_string(), "{output:#}");
    assert_eq!(app.anonymous().get(&url).await.refusal(), "404 not_found");

    advance(&app, DAY * 60).await;
    let replayed = owner.post("/v1/generate", &body).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    let replayed = replayed.ok();
    assert_eq!((&replayed["task_id"], replayed.get("units")), (&fresh["task_id"], None));
    let other = json!({"request_id": "old", "model": "google/nano-banana", "prompt": "another"});
    assert_eq!(owner.post("/v1/generate", &other).await.refusal(), "422 request_id_reused");
    assert_eq!(app.books().await, (CREDITS - 8, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotes_and_tokens_expire() {
    let app = TestApp::with_moving_clock("").await;
    let owner = app.account_key();
    let token = app.agent_token();
    let quote = text(
        &owner.post("/v1/credits/estimate", &json!({"model": "google/nano-banana"})).await.ok(),
        "quote_id",
    );
    let body = |request_id: &str| {
        let mut body = picture(request_id, "[[instant]]");
        body["quote_id"] = json!(quote);
        body
    };
    advance(&app, Duration::from_secs(14 * 60)).await;
    assert_eq!(owner.generate(&body("q-1")).await["credits"]["held"], 8);
    owner.finish("q-1").await;
    assert_eq!(token.get("/v1/models/list").await.status, 200);
    advance(&app, Duration::from_secs(61)).await;
    assert_eq!(owner.post("/v1/generate", &body("q-2")).await.refusal(), "409 quote_expired");
    assert_eq!(token.get("/v1/models/list").await.refusal(), "401 expired_token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_days_budget_begins_again_at_midnight() {
    let app = TestApp::with_moving_clock("").await;
    let owner = app.account_key();
    let account = app.account.to_string();
    app.admin()
        .budget_set(&app.account, Subject::Account, &account, Period::Day, Credits(8))
        .await
        .expect("a budget");
    owner.picture("d-1", "[[instant]]").await;
    owner.finish("d-1").await;
    let refused = owner.post("/v1/generate", &picture("d-2", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "402 budget_exceeded");
    let now = owner.get(CLOCK).await.ok()["unix_seconds"].as_i64().expect("seconds");
    let left = u64::try_from(86_400 - now.rem_euclid(86_400)).expect("seconds");
    // A minute of the machine's time may pass meanwhile.
    advance(&app, Duration::from_secs(left - 60)).await;
    assert_eq!(
        owner.post("/v1/generate", &picture("d-2", "[[instant]]")).await.refusal(),
        "402 budget_exceeded"
    );
    advance(&app, Duration::from_secs(60)).await;
    assert_eq!(owner.generate(&picture("d-2", "[[instant]]")).await["credits"]["held"], 8);
}
