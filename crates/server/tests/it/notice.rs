//! What owners hear of their budgets.
//!
//! Invariant: a threshold is news once per window, from the commit that passed it. Not here: thresholds one
//! by one (`core::ledger`), reading pages of news (`store`).

use crate::support::{DAY, TestApp, client::picture};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
};
use serde_json::{Value, json};
use std::time::Duration;

async fn told(app: &TestApp) -> Vec<Value> {
    let rows = app.admin().notice_list(&app.account, None, 100).await.expect("news");
    rows.iter().map(|row| serde_json::from_str(&row.detail).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_day() {
    let app = TestApp::sqlite().await;
    let (agent, admin) = (app.agent_key(), app.admin());
    let subject = (Subject::Agent, app.agent.id.clone());
    let set = admin.budget_set(&app.account, subject.0, &subject.1, Period::Day, Credits(16)).await;
    set.expect("a budget");
    agent.picture("n-1", "[[instant]]").await;
    let half = json!({
        "subject": "agent", "subject_id": app.agent.id, "period": "day", "percent": 50, "limit": 16,
        "spent": 8, "resets_at": "2025-03-19T00:00:00.000Z",
    });
    assert_eq!(told(&app).await, [half]);
    app.advance(Duration::from_millis(1));
    agent.picture("n-2", "[[instant]]").await;
    let refused = agent.post("/v1/generate", &picture("n-3", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "402 budget_exceeded");
    let mut percents: Vec<_> = told(&app).await.iter().map(|one| one["percent"].clone()).collect();
    percents.sort_by_key(Value::as_i64);
    assert_eq!(percents, [50, 80, 100]);
    app.advance(DAY);
    agent.picture("n-3", "[[instant]]").await;
    assert_eq!(told(&app).await.len(), 4);
    // Another account hears nothing, and what was read is not unread.
    assert_eq!(admin.notice_list(&app.other, None, 100).await.expect("news"), []);
    assert_eq!(admin.notices_unread(&app.account).await, Ok(4));
    assert_eq!(admin.notices_read(&app.account, None).await, Ok(4));
    assert_eq!(admin.notices_unread(&app.account).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_news_goes() {
    let app = TestApp::sqlite().await;
    let account = app.account.to_string();
    let set =
        app.admin().budget_set(&app.account, Subject::Account, &account, Period::Total, Credits(10)).await;
    set.expect("a budget");
    app.account_key().picture("n-1", "[[instant]]").await;
    app.account_key().finish("n-1").await;
    app.advance(DAY * 90);
    assert!(app.gateway().sweep().await.expect("a sweep"));
    assert_eq!(told(&app).await.len(), 2);
    app.advance(Duration::from_millis(1));
    assert!(app.gateway().sweep().await.expect("a sweep"));
    assert_eq!(told(&app).await.len(), 0);
}
