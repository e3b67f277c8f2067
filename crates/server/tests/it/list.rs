//! Lists of tasks: pages, filters, and who sees what.
//!
//! Invariant: all pages together hold each task once, newest first; nobody sees more than their own. Not
//! here: credits (`usage`).

use crate::support::{Client, TestApp, agent::text, client::picture};
use rynjer_core::id::TaskId;
use serde_json::{Value, json};
use std::time::Duration;

/// The request ids of a page.
fn ids(page: &Value) -> Vec<String> {
    page["tasks"].as_array().expect("tasks").iter().map(|task| text(task, "request_id")).collect()
}

async fn list(client: &Client, query: &str) -> Vec<String> {
    ids(&client.get(&format!("/v1/generate?{query}")).await.ok())
}

/// Generates pictures one after the other, a second apart.
async fn generate(app: &TestApp, client: &Client, names: &[&str]) {
    for name in names {
        app.advance(Duration::from_secs(1));
        client.picture(name, "[[instant]]").await;
        client.finish(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_stable_under_new_tasks() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let empty = agent.get("/v1/generate").await;
    assert_eq!(empty.json(), json!({"code": 0, "message": "ok", "data": {"tasks": [], "next_cursor": null}}));
    generate(&app, &agent, &["a", "b", "c", "d", "e"]).await;

    let first = agent.get("/v1/generate?limit=2").await.ok();
    assert_eq!(ids(&first), ["e", "d"]);
    // What a list shows of a task is what a poll shows.
    assert_eq!(first["tasks"][0], agent.poll("e").await);
    generate(&app, &agent, &["f"]).await;
    let cursor = text(&first, "next_cursor");
    let second = agent.get(&format!("/v1/generate?limit=2&cursor={cursor}")).await.ok();
    assert_eq!(ids(&second), ["c", "b"]);
    let cursor = text(&second, "next_cursor");
    let third = agent.get(&format!("/v1/generate?cursor={cursor}&limit=2")).await.ok();
    assert_eq!((ids(&third), &third["next_cursor"]), (vec!["a".to_owned()], &Value::Null));
    assert_eq!(list(&agent, "limit=100").await, ["f", "e", "d", "c", "b", "a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_see_their_own_and_owners_all() {
    let app = TestApp::sqlite().await;
    let (agent, owner, stranger) = (app.agent_key(), app.account_key(), app.other_account());
    let other = app.another_agent(2).await;
    let sister = app.bearer(&other.api_key);
    generate(&app, &agent, &["a-1"]).await;
    generate(&app, &sister, &["s-1"]).await;
    generate(&app, &owner, &["o-1"]).await;
    assert_eq!(list(&agent, "").await, ["a-1"]);
    assert_eq!(list(&sister, "").await, ["s-1"]);
    assert_eq!(list(&owner, "").await, ["o-1", "s-1", "a-1"]);
    assert_eq!(list(&owner, &format!("agent_id={}", other.id)).await, ["s-1"]);
    assert_eq!(list(&agent, &format!("agent_id={}", app.agent.id)).await, ["a-1"]);
    assert_eq!(list(&stranger, "").await, Vec::<String>::new());
    assert_eq!(list(&stranger, &format!("agent_id={}", other.id)).await, Vec::<String>::new());
    let refused = agent.get(&format!("/v1/generate?agent_id={}", other.id)).await;
    assert_eq!(refused.problems(), ["agent_id: must be your own: an agent sees its own tasks only"]);

    // A cursor of another account is a place in time and nothing else.
    let page = owner.get("/v1/generate?limit=1").await.ok();
    let cursor = text(&page, "next_cursor");
    assert_eq!(list(&stranger, &format!("cursor={cursor}")).await, Vec::<String>::new());
    assert_eq!(list(&agent, &format!("cursor={cursor}")).await, ["a-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_narrow_a_list() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    generate(&app, &agent, &["good"]).await;
    app.advance(Duration::from_secs(1));
    let mut other = picture("other", "[[instant]]");
    (other["model"], other["run_id"]) = (json!("z-image"), json!("run-7"));
    agent.generate(&other).await;
    agent.finish("other").await;
    app.advance(Duration::from_secs(1));
    agent.picture("bad", "[[fail]]").await;
    agent.finish("bad").await;
    assert_eq!(list(&agent, "status=failed").await, ["bad"]);
    assert_eq!(list(&agent, "status=success").await, ["other", "good"]);
    assert_eq!(list(&agent, "model=z-image").await, ["other"]);
    assert_eq!(list(&agent, "run_id=run-7").await, ["other"]);
    assert_eq!(list(&agent, "model=google%2Fnano-banana&status=success&limit=").await, ["good"]);
    assert_eq!(list(&agent, "model=nobody-knows-it").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_list_is_asked_for_is_checked() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let cursor_of = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let cursor = "cursor: must be `next_cursor` of an earlier page, unchanged";
    let limit = "limit: must be a whole number from 1 to 100";
    let rows = [
        ("cursor=x".to_owned(), cursor),
        (format!("cursor={}", cursor_of("task_x")), cursor),
        (format!("cursor={}", cursor_of("agt_06egn8yc05s33azjcvmtwvh70m")), cursor),
        ("limit=0".to_owned(), limit),
        ("limit=101".to_owned(), limit),
        ("limit=-1".to_owned(), limit),
        ("limit=2.5".to_owned(), limit),
        ("status=done".to_owned(), "status: must be one of pending, processing, success, failed, canceled"),
        ("limti=5".to_owned(), "limti: is not a field; did you mean `limit`?"),
        ("agentid=5".to_owned(), "agentid: is not a field; did you mean `agent_id`?"),
        ("agent_id=me".to_owned(), "agent_id: must be your own: an agent sees its own tasks only"),
        ("limit=5&limit=6".to_owned(), "limit: is given twice"),
        ("model=%00".to_owned(), "model: holds the character U+0000"),
    ];
    for (query, problem) in rows {
        let answer = agent.get(&format!("/v1/generate?{query}")).await;
        assert_eq!(
            (answer.refusal().as_str(), answer.problems()),
            ("400 invalid_request", vec![problem.to_owned()])
        );
    }
    let answer = app.account_key().get("/v1/generate?agent_id=me").await;
    assert_eq!(
        answer.problems(),
        ["agent_id: must be an agent's id, such as agt_06egn8yc05s33azjcvmtwvh70m"]
    );
    let page = agent.get("/v1/generate?colour=blue").await.ok();
    assert_eq!(page["warnings"], json!(["unknown field `colour` was ignored"]));
    let made_up = cursor_of(TaskId::new(1, [0; 10]).as_str());
    assert_eq!(list(&agent, &format!("cursor={made_up}")).await, Vec::<String>::new());
}
