//! Pictures that come slowly or not at all: they cost others nothing, and their own task only its time.
//!
//! Invariant: what hangs for one account delays no other. Not here: the ways to name a picture (`input`).

use crate::support::{
    CREDITS, Client, TestApp,
    agent::text,
    png::{data_uri, png},
    until,
    web::Web,
};
use serde_json::{Value, json};
use std::{net::TcpListener, time::Duration};

/// A request for one picture of 8 credits from others.
fn from(request_id: &str, inputs: &[&str]) -> Value {
    json!({"request_id": request_id, "model": "google/nano-banana", "prompt": "[[instant]]", "seed": 7,
        "input_image_urls": inputs})
}

/// A server whose connections are made and never answered: the system accepts them, nobody reads.
fn silent() -> std::io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/a.png", listener.local_addr()?);
    Ok((listener, url))
}

fn settings(task_timeout_ms: u32) -> String {
    format!(
        "[limits]\nfile_bytes = 100000\n[inputs]\nmax_bytes = 100000\nmemory_bytes = 400000\n\
         allow_hosts = [\"127.0.0.1\"]\ntimeout_ms = 600000\ntask_timeout_ms = {task_timeout_ms}"
    )
}

async fn made(caller: &Client, body: &Value) -> Value {
    caller.generate(body).await;
    caller.finish(&text(body, "request_id")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_pictures_of_a_task_have_one_time() {
    let (_listener, url) = silent().expect("a port");
    let app = TestApp::with(&settings(200)).await;
    let good = data_uri(&png(4, 4, 1));
    let task = made(&app.agent_key(), &from("slow", &[&good, &url])).await;
    assert_eq!((&task["status"], &task["error"]["error"]), (&json!("failed"), &json!("input_unreachable")));
    let message = "input_image_urls.1: The pictures of the request did not come within 200 ms together.";
    assert_eq!(task["error"]["message"], message);
    assert_eq!(app.books().await, (CREDITS, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_pictures_of_one_account_leave_room_for_others() {
    let (listener, url) = silent().expect("a port");
    // Longer than the test waits: what hangs, hangs until the task's own time is over.
    let app = TestApp::with_moving_clock(&settings(600_000)).await;
    let (greedy, other) = (app.agent_key(), app.other_account());
    // More than the sandbox has places, of the largest size each.
    for number in 0..24 {
        greedy.generate(&from(&format!("slow-{number}"), &[&url])).await;
    }
    other.picture("plain", "[[instant]]").await;
    assert_eq!(other.finish("plain").await["status"], "success");
    for number in 0..4 {
        let small = from(&format!("small-{number}"), &[&data_uri(&png(8, 8, number))]);
        assert_eq!(made(&other, &small).await["status"], "success", "{number}");
    }
    assert_eq!(app.books().await, (CREDITS - 192, 192));
    // Those that were handed back all the time end like those that hung, and nothing stays held.
    app.advance(Duration::from_secs(3600));
    drop(listener);
    app.settle().await;
    assert_eq!(app.books().await, (CREDITS, 0));
    let task = greedy.poll("slow-23").await;
    assert_eq!(task["status"], "failed");
    // The second, if it was just on its way to the listener when that went.
    let ends = [json!("timed_out"), json!("input_unreachable")];
    assert!(ends.contains(&task["error"]["error"]), "{task:#}");
    let books = app.admin().account_show(&app.account).await.expect("the account").books;
    assert_eq!(books.provider_loss.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_in_any_spelling_is_a_url() {
    let page = ("/a.png", "200 OK".to_owned(), png(4, 4, 1));
    let web = Web::new(vec![page]);
    let app = TestApp::with(&settings(60_000)).await;
    let agent = app.agent_key();
    let rest = format!("{}/a.png", web.address);
    for (number, start) in ["HTTP://", " http://", "http:/", "http:\\\\"].into_iter().enumerate() {
        let task = made(&agent, &from(&format!("u-{number}"), &[&format!("{start}{rest}")])).await;
        assert_eq!(task["status"], "success", "{start} {task:#}");
    }
    assert_eq!(web.came(), 4);
    until("all are charged", async || (app.books().await == (CREDITS - 32, 0)).then_some(())).await;
}
