//! Budgets under pressure, over failures, and at the edges of their windows.
//!
//! Invariant: what is held and charged within a window never passes its limit, and what fails frees exactly
//! the window that it was counted in. Not here: how budgets are shown and set (`limits`).

use crate::support::{CREDITS, TestApp, agent::text, client::picture, until};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The gateway's tests begin on 2025-03-18 at 09:50 UTC.
const TO_MIDNIGHT: Duration = Duration::from_secs(14 * 3600 + 10 * 60);
const LAST_MOMENT: Duration = Duration::from_millis(1);
const DAYS_TO_APRIL: u32 = 13;

async fn limit(app: &TestApp, subject: Subject, period: Period, credits: i64) {
    let id = match subject {
        Subject::Account => app.account.to_string(),
        Subject::Agent => app.agent.id.clone(),
        Subject::Key => app.agent.key_id.clone(),
    };
    let set = app.admin().budget_set(&app.account, subject, &id, period, Credits(credits)).await;
    set.expect("a budget");
}

/// How many of 200 requests of 8 credits are accepted when all come at once.
async fn accepted_of_200(app: &TestApp, name: &str, more: Value) -> usize {
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let agent = app.agent_key();
        let mut body = picture(&format!("{name}-{number}"), "[[instant]]");
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        calls.spawn(async move { agent.post("/v1/generate", &body).await });
    }
    let answers = calls.join_all().await;
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.refusal(), "402 budget_exceeded");
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_credits_under_two_hundred_requests_of_eight() {
    for subject in [Subject::Account, Subject::Agent, Subject::Key] {
        let app = TestApp::sqlite().await;
        limit(&app, subject, Period::Total, 100).await;
        assert_eq!(accepted_of_200(&app, "b", json!({})).await, 12, "{subject:?}");
        app.settle().await;
        assert_eq!(app.books().await, (CREDITS - 96, 0));
    }
    let app = TestApp::sqlite().await;
    let run = json!({"run_id": "nightly", "run_max_credits": 100});
    assert_eq!(accepted_of_200(&app, "r", run).await, 12);
    app.settle().await;
    assert_eq!(app.books().await, (CREDITS - 96, 0));
}

/// Waits until a task is at its provider, so that the clock may move.
async fn submitted(app: &TestApp, request_id: &str) {
    let agent = app.agent_key();
    let known = async || agent.poll(request_id).await["provider_task_id"].is_string().then_some(());
    until("the task is at its provider", known).await;
}

async fn refused(app: &TestApp, request_id: &str) -> Value {
    let answer = app.agent_key().post("/v1/generate", &picture(request_id, "[[instant]]")).await;
    assert_eq!(answer.refusal(), "402 budget_exceeded");
    answer.error()["budget"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_canceled_or_partly_made_frees_its_budget() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    for subject in [Subject::Account, Subject::Agent, Subject::Key] {
        limit(&app, subject, Period::Day, 16).await;
    }
    agent.picture("open", "[[slow=600]]").await;
    agent.picture("fails", "[[slow=5]] [[fail]]").await;
    assert_eq!(refused(&app, "more").await["spent"], 16);
    submitted(&app, "fails").await;
    app.advance(Duration::from_secs(6));
    assert_eq!(agent.finish("fails").await["status"], "failed");
    agent.picture("more", "[[instant]]").await;
    assert_eq!(refused(&app, "most").await["spent"], 16);
    agent.post("/v1/generate/open/cancel", &json!({})).await.ok();
    agent.finish("more").await;

    let mut two = picture("half", "[[partial=1]]");
    two["count"] = json!(2);
    let answer = agent.post("/v1/generate", &two).await;
    assert_eq!(
        (answer.refusal().as_str(), &answer.error()["budget"]["spent"]),
        ("402 budget_exceeded", &json!(8))
    );
    limit(&app, Subject::Account, Period::Day, 24).await;
    limit(&app, Subject::Agent, Period::Day, 24).await;
    limit(&app, Subject::Key, Period::Day, 24).await;
    agent.generate(&two).await;
    assert_eq!(agent.finish("half").await["credits"]["charged"], 8);
    agent.picture("last", "[[instant]]").await;
    assert_eq!(refused(&app, "over").await["spent"], 24);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_ends_at_midnight_utc() {
    let app = TestApp::sqlite().await;
    limit(&app, Subject::Agent, Period::Day, 8).await;
    app.advance(TO_MIDNIGHT - LAST_MOMENT);
    // A token would have expired; the key lives.
    let agent = app.agent_key();
    agent.picture("tuesday", "[[slow=60]] [[fail]]").await;
    submitted(&app, "tuesday").await;
    let budget = refused(&app, "wednesday").await;
    assert_eq!((&budget["spent"], &budget["resets_at"]), (&json!(8), &json!("2025-03-19T00:00:00.000Z")));
    app.advance(LAST_MOMENT);
    agent.picture("wednesday", "[[instant]]").await;
    // What was held on Tuesday and fails on Wednesday frees nothing of Wednesday's.
    app.advance(Duration::from_secs(61));
    assert_eq!(agent.finish("tuesday").await["status"], "failed");
    let budget = refused(&app, "too-much").await;
    assert_eq!((&budget["spent"], &budget["resets_at"]), (&json!(8), &json!("2025-03-20T00:00:00.000Z")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_ends_at_its_last_midnight_utc() {
    let app = TestApp::sqlite().await;
    limit(&app, Subject::Account, Period::Month, 8).await;
    app.agent_key().picture("march", "[[instant]]").await;
    app.settle().await;
    app.advance(TO_MIDNIGHT + Duration::from_secs(86_400) * DAYS_TO_APRIL - LAST_MOMENT);
    let budget = refused(&app, "april").await;
    assert_eq!(text(&budget, "resets_at"), "2025-04-01T00:00:00.000Z");
    app.advance(LAST_MOMENT);
    app.agent_key().picture("april", "[[instant]]").await;
    assert_eq!(refused(&app, "too-much").await["resets_at"], "2025-05-01T00:00:00.000Z");
}
