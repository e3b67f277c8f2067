//! Limits that callers meet: rates, open tasks, budgets, runs, frozen accounts.
//!
//! Invariant: a limit says what it is and when to come back, and refuses without a trace in the ledger. Not
//! here: how rates are counted (`server/src/http/rate.rs`).

use crate::support::{CREDITS, DAY, HOUR, Signer, TestApp, agent::text, client::picture};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_of_principals_and_addresses() {
    let settings =
        "[limits]\nrate_limits = true\nrequests_per_second = 1\nburst = 5\nidentity_per_minute = 5";
    let app = TestApp::with(settings).await;
    let (owner, other) = (app.account_key(), app.other_account());
    let first = owner.get("/v1/models/list").await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"default\";q=1;w=1"));
    assert_eq!(first.header("ratelimit"), Some("\"default\";r=4;t=1"));
    let mut refused = owner.get("/v1/models/list").await;
    for _ in 0..50 {
        if refused.status == 429 {
            break;
        }
        refused = owner.get("/v1/models/list").await;
    }
    assert_eq!(refused.refusal(), "429 rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"default\";r=0;t=1"));
    assert_eq!(
        (refused.error()["retryable"].clone(), refused.error()["retry_after_seconds"].clone()),
        (json!(true), json!(1))
    );
    // Others are not touched.
    assert_eq!(other.get("/v1/models/list").await.status, 200);

    // The agent of the test has used up two of five.
    let register =
        async |seed| app.anonymous().post("/api/v1/agents/register", &Signer::new(seed).registration()).await;
    for seed in 80..83 {
        assert_eq!(register(seed).await.status, 200, "{seed}");
    }
    let refused = register(83).await;
    assert_eq!(refused.refusal(), "429 rate_limited");
    assert_eq!(
        (refused.json()["success"].clone(), refused.header("ratelimit-policy")),
        (json!(false), Some("\"identity\";q=5;w=60"))
    );
    let seconds: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=12).contains(&seconds), "{seconds}");
    let refresh = json!({"refresh_token": app.agent.refresh_token});
    assert_eq!(
        app.anonymous().post("/api/v1/agents/auth/refresh", &refresh).await.refusal(),
        "429 rate_limited"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_tasks_of_an_account() {
    let app = TestApp::with("[limits]\nopen_tasks_per_account = 2").await;
    let agent = app.agent_token();
    agent.picture("o-1", "[[timeout]]").await;
    app.account_key().picture("o-2", "[[timeout]]").await;
    let before = app.ledger().await;
    let refused = agent.post("/v1/generate", &picture("o-3", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "429 too_many_open_tasks");
    assert_eq!(refused.error()["message"], "The account has 2 unfinished tasks; 2 are allowed");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(app.ledger().await, before);
    assert_eq!(agent.generate(&picture("o-1", "[[timeout]]")).await["request_id"], "o-1");
    app.other_account().picture("o-1", "[[instant]]").await;
    app.advance(HOUR);
    app.settle().await;
    app.agent_key().picture("o-3", "[[instant]]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_of_agent_key_and_account() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let set = async |subject: Subject, id: &str, period: Period, limit: i64| {
        app.admin().budget_set(&app.account, subject, id, period, Credits(limit)).await.expect("a budget");
    };
    set(Subject::Agent, &app.agent.id, Period::Day, 20).await;
    agent.picture("b-1", "[[instant]]").await;
    // What fails is given back to the budget that it was taken from.
    agent.picture("b-2", "[[fail]]").await;
    agent.finish("b-2").await;
    agent.picture("b-3", "[[instant]]").await;
    app.settle().await;
    let before = app.ledger().await;
    let refused = agent.post("/v1/generate", &picture("b-4", "a")).await;
    assert_eq!(refused.refusal(), "402 budget_exceeded");
    let budget = json!({"kind": "agent", "period": "day", "limit": 20, "spent": 16,
        "resets_at": "2025-03-19T00:00:00.000Z"});
    assert_eq!(refused.error()["budget"], budget);
    assert_eq!((&refused.error()["held"], &refused.error()["charged"]), (&json!(0), &json!(0)));
    assert_eq!(app.ledger().await, before);
    assert_eq!(agent.get("/v1/credits/balance").await.ok()["budgets"], json!([budget]));
    let estimate = agent.post("/v1/credits/estimate", &json!({"model": "google/nano-banana"})).await.ok();
    assert_eq!(estimate["affordable"], false);
    // Others of the account are not bound by it, and see nothing of it.
    app.account_key().picture("b-4", "[[instant]]").await;
    assert_eq!(app.account_key().get("/v1/credits/balance").await.ok()["budgets"], json!([]));

    app.advance(DAY);
    agent.picture("b-4", "[[instant]]").await;
    // A new cap counts what was spent in its period before.
    set(Subject::Key, &app.agent.key_id, Period::Month, 34).await;
    agent.picture("b-5", "[[instant]]").await;
    let refused = agent.post("/v1/generate", &picture("b-6", "a")).await.error();
    assert_eq!(refused["budget"]["kind"], "agent");
    set(Subject::Agent, &app.agent.id, Period::Day, 1000).await;
    let refused = agent.post("/v1/generate", &picture("b-6", "a")).await.error();
    assert_eq!(
        refused["budget"],
        json!({"kind": "key", "period": "month", "limit": 34, "spent": 32,
            "resets_at": "2025-04-01T00:00:00.000Z"})
    );
    set(Subject::Account, app.account.as_str(), Period::Total, 0).await;
    let refused = app.account_key().post("/v1/generate", &picture("b-6", "a")).await.error();
    assert_eq!(
        (
            refused["budget"]["kind"].clone(),
            refused["budget"]["period"].clone(),
            refused["budget"]["resets_at"].clone()
        ),
        (json!("account"), json!("total"), Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_a_run() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let of_run = |request_id: &str, max: Value| {
        let mut body = picture(request_id, "[[instant]]");
        body["run_id"] = json!("nightly");
        body["run_max_credits"] = max;
        body
    };
    assert_eq!(agent.generate(&of_run("r-1", json!(20))).await["run_id"], "nightly");
    let fixed = agent.post("/v1/generate", &of_run("r-2", json!(21))).await;
    assert_eq!(fixed.problems(), ["run_max_credits: is fixed at the run's first use: 20"]);
    agent.generate(&of_run("r-2", Value::Null)).await;
    let refused = agent.post("/v1/generate", &of_run("r-3", json!(20))).await;
    assert_eq!(refused.refusal(), "402 budget_exceeded");
    assert_eq!(
        (refused.error()["budget"]["kind"].clone(), refused.error()["budget"]["spent"].clone()),
        (json!("run"), json!(16))
    );
    agent.picture("r-3", "[[instant]]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_account() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    agent.picture("z-1", "[[instant]]").await;
    app.admin().account_freeze(&app.account, Some("chargeback".to_owned())).await.expect("frozen");
    let refused = agent.post("/v1/generate", &picture("z-2", "a")).await;
    assert_eq!(refused.refusal(), "403 account_frozen");
    assert!(!refused.json().to_string().contains("chargeback"));
    // What was accepted goes on, and stays visible.
    assert_eq!(agent.finish("z-1").await["status"], "success");
    assert_eq!(agent.balance().await, (CREDITS - 8, 0));
    app.admin().account_freeze(&app.account, None).await.expect("thawed");
    agent.picture("z-2", "[[instant]]").await;
    app.advance(Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_account_is_never_served_by_the_sandbox() {
    let app = TestApp::sqlite().await;
    let live = app.admin().account_create("live@example.com", true, 100).await.expect("an account").id;
    let scopes = rynjer_core::scope::Scopes::ALL;
    let key = app.admin().key_create(&live, scopes, "k").await.expect("a key").1;
    assert!(key.expose().starts_with("ryn_live_"));
    let client = app.bearer(key.expose());
    let refused = client.post("/v1/generate", &picture("l-1", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "400 model_unavailable");
    let list = client.get("/v1/models/list").await.ok();
    assert_eq!(list["mode"], "live");
    for model in list["models"].as_array().expect("models") {
        assert_eq!(
            (&model["available"], &model["served_by"]),
            (&json!(false), &Value::Null),
            "{}",
            text(model, "model")
        );
        assert!(text(model, "reason_unavailable").contains("no vendor key is configured"));
    }
    assert_eq!(client.balance().await, (100, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_refuses_and_loses_nothing() {
    let mut app = TestApp::sqlite().await;
    // Only while the calls run: the set-up and the audit of the test want a store that has room.
    app.restart_with("[database]\nqueue_capacity = 1\nbatch_max = 1\nreader_threads = 1").await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let owner = app.account_key();
        let body = picture(&format!("q-{number}"), "[[instant]]");
        calls.spawn(async move {
            let mut refusals = 0;
            loop {
                let answer = owner.post("/v1/generate", &body).await;
                if answer.status == 200 {
                    return refusals;
                }
                assert_eq!(answer.refusal(), "503 overloaded");
                assert_eq!(answer.header("retry-after"), Some("1"));
                refusals += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    let refusals: usize = calls.join_all().await.into_iter().sum();
    assert!(refusals > 0, "the queue was never full");
    app.restart_with("").await;
    crate::support::until("everything is charged", async || {
        let rows = app.admin().account_list().await.ok()?;
        let row = rows.into_iter().find(|row| row.id == app.account)?;
        (row.books.revenue.0 == 8 * 200 && row.open_tasks == 0).then_some(())
    })
    .await;
}
