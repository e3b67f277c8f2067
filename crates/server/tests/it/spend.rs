//! Dashboard and usage: what was spent, drawn and in tables, and the same as CSV.
//!
//! Invariant: figures of a page are those of the ledger. Not here: the report of the API (`usage`).

use crate::support::{CREDITS, DAY, TestApp, client::picture};
use serde_json::json;
use std::time::Duration;

/// Two days with charges of the agent and one of an account key.
async fn spent(app: &TestApp) {
    let agent = app.agent_key();
    for name in ["a", "b"] {
        agent.picture(name, "[[instant]]").await;
        agent.finish(name).await;
        app.advance(Duration::from_secs(1));
    }
    agent.picture("bad", "[[fail]]").await;
    agent.finish("bad").await;
    app.advance(DAY);
    let key = app.account_key();
    let song = json!({"request_id": "=song", "run_id": "-2+3", "model": "V4", "prompt": "[[instant]]"});
    key.generate(&song).await;
    key.finish("=song").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_is_told_what_to_do() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let page = owner.get("/").await;
    page.shows("Available 100 000 credits").shows("Held 0 credits").shows("What to do next");
    page.shows("make an API key").shows("Nothing was spent yet.");
    let mut other = app.invited("third@example.com", false).await;
    other.get("/").await.shows("Bind an agent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_shows_what_runs_and_what_was_spent() {
    let app = TestApp::sqlite().await;
    spent(&app).await;
    let mut owner = app.owner().await;
    let agent = app.agent_key();
    agent.picture("slow", "still going [[slow=600]]").await;
    let page = owner.get("/").await;
    page.shows("still going").shows("36 credits for 5 tasks");
    page.shows("API key of the account 20 credits · 1 task").shows("Demo Agent 16 credits · 4 tasks");
    assert!(page.html.contains(
        "role=\"img\" aria-label=\"Spending by day and agent: 36 credits from 2025-02-18 to 2025-03-19. The \
         table below has the figures.\""
    ));
    page.shows("2025-03-19 20 0 20").shows("2025-03-18 0 16 16");
    assert!(page.html.contains("hx-get=\"/running\" hx-trigger=\"every 3s\""));
    let part = owner.get("/running").await;
    part.shows("Held 8 credits").shows("still going");
    assert!(!part.html.contains("<html"));
    assert_eq!(app.books().await, (CREDITS - 44, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_told_by_day_agent_model_and_product() {
    let app = TestApp::sqlite().await;
    spent(&app).await;
    let mut owner = app.owner().await;
    let page = owner.get("/usage").await;
    page.shows("Spent 36 credits").shows("Tasks 4").shows("Failed, not charged 1");
    page.shows("2025-03-19 20 0 1 0").shows("2025-03-18 16 0 3 1");
    page.shows("API key of the account 20 0 1 0").shows("Demo Agent 16 0 3 1");
    page.shows("V4 20 0 1 0").shows("google/nano-banana 16 0 3 1");
    page.shows("music 20 0 1 0").shows("image 16 0 3 1");
    let page = owner.get(&format!("/usage?agent={}", app.agent.id)).await;
    page.shows("Spent 16 credits");
    owner.get("/usage?agent=none&product=music").await.shows("Spent 20 credits");
    owner.get("/usage?from=2025-03-18&to=2025-03-18").await.shows("Spent 16 credits");
    owner.get("/usage?model=V5").await.shows("Spent 0 credits").shows("reset the filters");
    assert_eq!(owner.get("/usage?from=2025-03-20&to=2025-03-18").await.status, 400);
    let mut other = app.invited("other@example.com", false).await;
    other
        .get("/usage")
        .await
        .shows("Spent 0 credits")
        .shows("Nothing was spent from 2025-02-18 to 2025-03-19.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_holds_the_same_events_and_no_formula() {
    let app = TestApp::sqlite().await;
    spent(&app).await;
    let mut owner = app.owner().await;
    let file = owner.get("/usage.csv?from=2025-03-18&to=2025-03-19").await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8; header=present");
    let name = file.headers["content-disposition"].to_str().unwrap();
    assert_eq!(name, "attachment; filename=\"usage-2025-03-18-to-2025-03-19.csv\"");
    let lines: Vec<&str> = file.html.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("usage_event_id,task_id,request_id,"));
    assert!(lines[1].contains(",'=song,success,V4,music,") && lines[1].contains(",'-2+3,"), "{}", lines[1]);
    let rest: Vec<&str> = lines[2..].iter().filter_map(|line| line.split(',').nth(2)).collect();
    assert_eq!(rest, ["bad", "b", "a"]);
    let music = owner.get("/usage.csv?product=music").await;
    assert_eq!(music.html.lines().count(), 2);
    assert_eq!(owner.get("/usage.csv?product=text").await.status, 400);
    let mut other = app.invited("other@example.com", false).await;
    assert_eq!(other.get("/usage.csv").await.html.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_has_all_pages() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let agent = app.agent_key();
    let calls = (0..1005).map(|number| {
        let agent = agent.clone();
        async move { agent.generate(&picture(&format!("n-{number}"), "[[fail]]")).await }
    });
    futures::future::join_all(calls).await;
    app.settle().await;
    let file = owner.get("/usage.csv").await;
    assert_eq!(file.html.lines().count(), 1006);
    owner.get("/usage").await.shows("Tasks 1 005");
}
