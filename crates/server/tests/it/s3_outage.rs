//! A bucket that goes away and comes back while tasks, uploads and downloads use it.
//!
//! Invariant: an output is charged once, after it is stored, or never. Not here: a bucket that answers
//! (`s3`).

use crate::{
    s3::large_picture,
    support::{CREDITS, Client, HOUR, TestApp, agent::text, png::png, s3::S3, until, upload::upload},
};
use serde_json::{Value, json};

/// Moves time until the task is over; its steps are tried again in growing pauses.
async fn finish(app: &TestApp, caller: &Client, id: &str) -> Value {
    let over = async || {
        app.advance(std::time::Duration::from_secs(1));
        let task = caller.poll(id).await;
        let status = text(&task, "status");
        matches!(status.as_str(), "success" | "failed").then_some(task)
    };
    until("the task has ended", over).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_waits_for_its_storage() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let agent = app.agent_key();
    agent.picture("before", "a red fox").await;
    let url = text(&agent.finish("before").await["outputs"][0], "url");
    s3.cut_after(-1);
    agent
        .generate(
            &json!({"request_id": "four", "model": "google/nano-banana", "prompt": "four foxes", "count": 4}),
        )
        .await;
    let away =
        async || (app.anonymous().get("/readyz").await.json()["object_storage"] == "away").then_some(());
    until("the outage shows", away).await;
    // Nothing is lost, and nobody is told that something is.
    let down = app.anonymous().get(&url).await;
    assert_eq!((down.refusal().as_str(), down.header("retry-after")), ("503 overloaded", Some("5")));
    let up = upload(&agent, &png(5, 5, 5)).await;
    assert_eq!((up.refusal().as_str(), up.header("retry-after")), ("503 overloaded", Some("5")));
    assert_eq!(up.error()["suggestion"], "Send the same call again after Retry-After seconds.");
    assert_eq!(app.books().await, (CREDITS - 40, 32));
    assert_eq!(agent.poll("four").await["status"], "processing");

    s3.mend();
    let task = finish(&app, &agent, "four").await;
    assert_eq!(task["credits"], json!({"held": 0, "charged": 32, "released": 0, "refunded": 0}), "{task:#}");
    assert_eq!(app.books().await, (CREDITS - 40, 0));
    for output in task["outputs"].as_array().expect("outputs") {
        assert_eq!(app.anonymous().get(&text(output, "url")).await.status, 200);
    }
    // One try of four pictures and no leftovers of others.
    assert_eq!(s3.objects().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_time_is_over_gives_everything_back() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let agent = app.agent_key();
    s3.cut_after(-1);
    agent.picture("p", "a red fox").await;
    let waits = async || (agent.poll("p").await["provider_task_id"].is_string()).then_some(());
    until("the first try has failed", waits).await;
    app.advance(HOUR);
    let task = finish(&app, &agent, "p").await;
    assert_eq!(
        (&task["status"], &task["error"]["error"], &task["credits"]),
        (
            &json!("failed"),
            &json!("timed_out"),
            &json!({"held": 0, "charged": 0, "released": 8, "refunded": 0})
        ),
        "{task:#}"
    );
    s3.mend();
    assert_eq!(app.books().await, (CREDITS, 0));
    assert_eq!(s3.objects(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_is_cut_in_the_middle_of_an_output() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let agent = app.agent_key();
    // Somewhere in the parts: the first of them is whole, the last is not.
    s3.cut_after(9 << 20);
    agent.generate(&large_picture("large")).await;
    until("the wire is cut", async || s3.is_cut().then_some(())).await;
    let waits = async || (agent.poll("large").await["provider_task_id"].is_string()).then_some(());
    until("the first try has failed", waits).await;
    assert_eq!(app.books().await, (CREDITS - 40, 40));
    assert_eq!(s3.objects(), Vec::<String>::new());
    s3.mend();
    let task = finish(&app, &agent, "large").await;
    assert_eq!(task["credits"]["charged"], 40, "{task:#}");
    assert_eq!(app.books().await, (CREDITS - 40, 0));
    assert_eq!(s3.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_is_cut_in_the_middle_of_an_upload() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let agent = app.agent_key();
    let large = [png(8, 8, 1), vec![0; 12 << 20]].concat();
    s3.cut_after(7 << 20);
    assert_eq!(upload(&agent, &large).await.refusal(), "503 overloaded");
    assert!(s3.is_cut());
    assert_eq!(s3.objects(), Vec::<String>::new());
    s3.mend();
    let file = upload(&agent, &large).await.ok();
    assert_eq!(s3.objects(), [format!("files/{}/{}.png", app.account, text(&file, "file_id"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_waits_for_its_input() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let agent = app.agent_key();
    let file = upload(&agent, &png(64, 48, 200)).await.ok();
    s3.cut_after(-1);
    let body = json!({"request_id": "i", "model": "google/nano-banana", "prompt": "a calm sea",
        "input_image_urls": [file["file_id"]]});
    agent.generate(&body).await;
    let away =
        async || (app.anonymous().get("/readyz").await.json()["object_storage"] == "away").then_some(());
    until("the outage shows", away).await;
    s3.mend();
    let task = finish(&app, &agent, "i").await;
    assert_eq!(task["credits"]["charged"], 8, "{task:#}");
    assert_eq!(app.books().await, (CREDITS - 8, 0));
}
