//! Canceling and deleting tasks.
//!
//! Invariant: a task ends once, and credits follow that one end; what is deleted does not come back, and its
//! request id still stands for it. Not here: retention by age (`task`).

use crate::support::{CREDITS, Client, DAY, TestApp, agent::text, client::picture, files_below};
use http::Method;
use rynjer_server::gateway::Role;
use serde_json::{Value, json};
use std::sync::Arc;

fn cancel_path(id: &str) -> String {
    format!("/v1/generate/{id}/cancel")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_task_is_canceled_and_paid_back() {
    let mut app = TestApp::start("", Role::Api).await;
    let agent = app.agent_key();
    agent.picture("c-1", "[[instant]]").await;
    let pending = agent.picture("c-2", "[[instant]]").await;
    assert_eq!(app.books().await, (CREDITS - 16, 16));
    let canceled = agent.post(&cancel_path("c-1"), &json!({})).await.ok();
    assert_eq!((&canceled["status"], &canceled["outputs"]), (&json!("canceled"), &json!([])));
    assert_eq!(canceled["credits"], json!({"held": 0, "charged": 0, "released": 8, "refunded": 0}));
    assert_eq!(canceled["error"]["error"], "canceled");
    assert_eq!(canceled["poll_after_ms"], Value::Null);
    assert_eq!(app.books().await, (CREDITS - 8, 8));

    // Again, without a body, by task id: the same.
    let by_id =
        app.account_key().request(Method::POST, &cancel_path(&text(&canceled, "task_id")), None).await;
    assert_eq!(by_id.ok(), canceled);
    assert_eq!(agent.poll("c-1").await["status"], "canceled");
    // The name stays used: the same request is the same canceled task.
    let replay = agent.post("/v1/generate", &picture("c-1", "[[instant]]")).await;
    assert_eq!(replay.header("idempotent-replayed"), Some("true"));
    assert_eq!(replay.ok()["status"], "canceled");

    // A worker that comes later finds only the other one.
    app.restart_as(Role::All).await;
    let agent = app.agent_key();
    assert_eq!(agent.finish("c-2").await["task_id"], pending["task_id"]);
    assert_eq!(agent.poll("c-1").await["status"], "canceled");
    assert_eq!(app.books().await, (CREDITS - 8, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sandbox_works_on_is_canceled_too() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    agent.picture("slow", "[[slow=600]]").await;
    agent.picture("lost", "[[timeout]]").await;
    // A long film is being rendered when it is canceled.
    let film = json!({"request_id": "film", "model": "veo3", "prompt": "waves", "resolution": "1080p"});
    agent.generate(&film).await;
    let begun = async || {
        for id in ["slow", "lost", "film"] {
            if agent.poll(id).await["status"] != "processing" {
                return None;
            }
        }
        Some(())
    };
    crate::support::until("all three have begun", begun).await;
    for id in ["slow", "lost", "film"] {
        let canceled = agent.post(&cancel_path(id), &json!({})).await.ok();
        assert_eq!(
            (&canceled["status"], &canceled["credits"]["held"]),
            (&json!("canceled"), &json!(0)),
            "{id}"
        );
        assert_eq!(canceled["credits"]["charged"], 0, "{id}");
    }
    assert_eq!(app.books().await, (CREDITS, 0));
    app.advance(DAY);
    agent.picture("after", "[[instant]]").await;
    agent.finish("after").await;
    for id in ["slow", "lost", "film"] {
        assert_eq!(agent.poll(id).await["status"], "canceled", "{id}");
    }
    // Nobody is billed for what the sandbox did not finish.
    let books = app.admin().account_show(&app.account).await.expect("the account").books;
    assert_eq!((books.available.0, books.provider_loss.0, books.revenue.0), (CREDITS - 8, 0, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_or_somebody_elses_is_not_canceled() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    for (id, prompt) in [("done", "[[instant]]"), ("broken", "[[fail]]")] {
        agent.picture(id, prompt).await;
        agent.finish(id).await;
        let refused = agent.post(&cancel_path(id), &json!({})).await;
        assert_eq!(refused.refusal(), "409 not_cancelable", "{id}");
    }
    let stranger = app.another_agent(70).await;
    let before = app.ledger().await;
    for caller in [app.bearer(&stranger.api_key), app.other_account()] {
        assert_eq!(caller.post(&cancel_path("done"), &json!({})).await.refusal(), "404 not_found");
        let deleted = caller.request(Method::DELETE, "/v1/generate/done", None).await;
        assert_eq!(deleted.refusal(), "404 not_found");
    }
    assert_eq!(agent.post(&cancel_path("never"), &json!({})).await.refusal(), "404 not_found");
    assert_eq!(app.ledger().await, before);
}

/// How often a cancel and the end of a task meet.
const RACES: usize = 10_000;
const LANES: usize = 50;

/// Runs one lane's races and counts those that the cancel won.
async fn race(agent: Arc<Client>, lane: usize) -> usize {
    let mut canceled = 0;
    for round in 0..RACES / LANES {
        let id = format!("race-{lane}-{round}");
        agent.picture(&id, "[[instant]]").await;
        // From at once to about when the file is stored.
        for _ in 0..(round % 40) * 4 {
            tokio::task::yield_now().await;
        }
        let answer = agent.post(&cancel_path(&id), &json!({})).await;
        let task = agent.finish(&id).await;
        let credits = &task["credits"];
        if answer.status == 200 {
            canceled += 1;
            assert_eq!((&task["status"], &credits["released"]), (&json!("canceled"), &json!(8)));
            assert_eq!((&credits["charged"], &task["outputs"]), (&json!(0), &json!([])));
        } else {
            assert_eq!(answer.refusal(), "409 not_cancelable");
            assert_eq!((&task["status"], &credits["charged"]), (&json!("success"), &json!(8)));
        }
        assert_eq!(credits["held"], 0);
    }
    canceled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_the_end_of_a_task_have_one_winner() {
    let app = TestApp::sqlite().await;
    let agent = Arc::new(app.agent_key());
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(race(Arc::clone(&agent), lane));
    }
    let canceled: usize = lanes.join_all().await.into_iter().sum();
    let done = i64::try_from(RACES - canceled).expect("a small number");
    assert!(canceled > 0 && done > 0, "{canceled} canceled, {done} done");
    assert_eq!(app.books().await, (CREDITS - 8 * done, 0));
    let books = app.admin().account_show(&app.account).await.expect("the account").books;
    assert_eq!((books.revenue.0, books.provider_loss.0), (8 * done, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_task_keeps_its_name_and_its_charge() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let mut request = picture("d-1", "a secret [[instant]]");
    request["metadata"] = json!({"for": "nobody"});
    agent.generate(&request).await;
    let done = agent.finish("d-1").await;
    let url = text(&done["outputs"][0], "url");
    assert_eq!(app.anonymous().get(&url).await.status, 200);

    let deleted = agent.request(Method::DELETE, "/v1/generate/d-1", None).await.ok();
    assert_eq!(
        (&deleted["status"], &deleted["metadata"], &deleted["units"]),
        (&json!("success"), &Value::Null, &Value::Null)
    );
    assert_eq!(deleted["credits"], done["credits"]);
    let output = &deleted["outputs"][0];
    assert_eq!((&output["url"], &output["sha256"]), (&Value::Null, &done["outputs"][0]["sha256"]));
    assert_eq!(output["deleted_at"], "2025-03-18T09:50:00.000Z");
    assert_eq!(app.anonymous().get(&url).await.refusal(), "404 not_found");
    assert_eq!(files_below(&app.data_dir().join("outputs")), Vec::<String>::new());
    assert_eq!(agent.request(Method::DELETE, "/v1/generate/d-1", None).await.ok(), deleted);
    // The same request is still the same task, and another one under its name is refused.
    assert_eq!(agent.generate(&request).await["task_id"], done["task_id"]);
    let other = agent.post("/v1/generate", &picture("d-1", "another")).await;
    assert_eq!(other.refusal(), "422 request_id_reused");

    agent.picture("d-2", "[[timeout]]").await;
    let refused = agent.request(Method::DELETE, "/v1/generate/d-2", None).await;
    assert_eq!(refused.refusal(), "409 not_cancelable");
    assert_eq!(
        refused.error()["message"],
        "The task is not finished, and only finished tasks can be deleted"
    );
    agent.post(&cancel_path("d-2"), &json!({})).await.ok();
    let deleted = agent.request(Method::DELETE, "/v1/generate/d-2", None).await.ok();
    assert_eq!((&deleted["status"], &deleted["units"]), (&json!("canceled"), &Value::Null));
}
