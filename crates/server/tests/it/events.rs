//! Watching a task: the stream of its events, long polls, and what they cost.
//!
//! Invariant: no event is told twice and the end always is. Not here: polling (`task`).

use crate::support::{TestApp, agent::text, client::picture, until};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// An open event stream over a socket.
struct Stream {
    reader: BufReader<TcpStream>,
    head: String,
}

impl Stream {
    async fn open(address: SocketAddr, token: &str, id: &str, last: Option<i64>) -> Self {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        let request = format!(
            "GET /v1/generate/{id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{last}\r\n"
        );
        socket.write_all(request.as_bytes()).await.expect("sent");
        let (mut reader, mut head) = (BufReader::new(socket), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).await.expect("a line") > 0, "{head}");
        }
        Self { reader, head }
    }

    /// Number and data of the next event; none at the end.
    async fn next(&mut self) -> Option<(i64, Value)> {
        let (mut id, mut name) = (0, String::new());
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).await.expect("a line") == 0 || line == "0\r\n" {
                return None;
            }
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.trim().parse().expect("a number");
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.trim().clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("data: ") {
                assert_eq!(name, "task");
                return Some((id, serde_json::from_str(text).expect("JSON")));
            }
        }
    }

    /// Everything up to the end.
    async fn rest(mut self) -> Vec<(i64, Value)> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

async fn open(app: &TestApp, id: &str, last: Option<i64>) -> Stream {
    Stream::open(app.gateway().address().expect("an address"), &app.agent.api_key, id, last).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_tells_each_state_once() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let task_id = text(&agent.picture("slow", "[[slow=10]] [[instant]]").await, "task_id");
    let begun = async || agent.poll("slow").await["provider_task_id"].is_string().then_some(());
    until("it has begun", begun).await;
    let mut stream = open(&app, "slow", None).await;
    let head = stream.head.to_lowercase();
    for line in [
        "http/1.1 200 ok",
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let (id, state) = stream.next().await.expect("the state now");
    assert_eq!((id, &state["status"], state.get("progress")), (20_001, &json!("processing"), None));
    for (seconds, id, share) in [(3, 20_601, 0.3), (4, 21_401, 0.7)] {
        app.advance(Duration::from_secs(seconds));
        let (seen, state) = stream.next().await.expect("an event");
        assert_eq!((seen, &state["progress"]), (id, &json!(share)));
    }
    app.advance(Duration::from_secs(3));
    let rest = stream.rest().await;
    // The data is what a poll answers.
    assert_eq!(rest, [(30_000, agent.poll(&task_id).await)]);
    assert_eq!(rest[0].1["status"], "success");

    let all = open(&app, &task_id, None).await.rest().await;
    assert_eq!(all, rest);
    for (last, expected) in [(20_601, &rest[..]), (7, &rest[..]), (99_999, &rest[..])] {
        assert_eq!(open(&app, "slow", Some(last)).await.rest().await, expected, "{last}");
    }
    let seen = agent.with("last-event-id", "30000").get("/v1/generate/slow/events").await;
    assert_eq!((seen.status, seen.body.len()), (204, 0));
    let text = agent.with("last-event-id", "x").get("/v1/generate/slow/events").await;
    let body = String::from_utf8(text.body.to_vec()).expect("text");
    assert!(body.starts_with("retry: 2000\n\nevent: task\nid: 30000\ndata: {"), "{body}");
    assert!(body.ends_with("}\n\n"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_after_a_restart() {
    let mut app = TestApp::sqlite().await;
    let agent = app.agent_key();
    agent.picture("slow", "[[slow=10]] [[instant]]").await;
    until("it has begun", async || agent.poll("slow").await["provider_task_id"].is_string().then_some(()))
        .await;
    let mut stream = open(&app, "slow", None).await;
    let (last, _) = stream.next().await.expect("the state now");
    let (rest, ()) = tokio::join!(stream.rest(), app.restart());
    assert_eq!(rest, []);
    let stream = open(&app, "slow", Some(last)).await;
    app.advance(Duration::from_secs(10));
    let ids: Vec<i64> = stream.rest().await.into_iter().map(|(id, _)| id).collect();
    assert!(ids.iter().all(|id| *id > last) && ids.last() == Some(&30_000), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_sees_nothing_more() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    agent.picture("slow", "[[slow=10]] [[instant]]").await;
    until("it has begun", async || agent.poll("slow").await["provider_task_id"].is_string().then_some(()))
        .await;
    let mut stream = open(&app, "slow", None).await;
    stream.next().await.expect("the state now");
    let revoke = json!({"agent_id": app.agent.id, "key_id": app.agent.key_id});
    assert_eq!(agent.post("/api/v1/agents/keys/revoke", &revoke).await.status, 200);
    app.advance(Duration::from_secs(10));
    assert_eq!(stream.rest().await, []);
    assert_eq!(app.account_key().get("/v1/generate/slow/events").await.refusal(), "404 not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_may_wait_and_no_more() {
    let app = TestApp::with("[limits]\nwaits_per_principal = 2").await;
    let agent = app.agent_key();
    agent.picture("slow", "[[slow=10]] [[instant]]").await;
    let (mut first, mut second) = (open(&app, "slow", None).await, open(&app, "slow", None).await);
    assert!(first.next().await.is_some() && second.next().await.is_some());
    for path in ["/v1/generate/slow/events", "/v1/generate/slow?wait=60"] {
        let refused = agent.get(path).await;
        assert_eq!(refused.refusal(), "429 rate_limited");
        assert_eq!(
            refused.error()["message"],
            "2 requests wait for tasks already, which is the most allowed"
        );
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    // A generation that was accepted is answered, only not waited for.
    let accepted = agent.with("prefer", "wait=60").post("/v1/generate", &picture("b", "[[slow=10]]")).await;
    assert_eq!((accepted.status, accepted.header("preference-applied")), (200, None));
    assert_eq!(app.account_key().get("/v1/generate/b?wait=1").await.refusal(), "404 not_found");
    assert_eq!(agent.get("/v1/generate/slow").await.status, 200);

    drop(second);
    app.advance(Duration::from_secs(10));
    first.rest().await;
    until("the places are free", async || {
        (agent.get("/v1/generate/b?wait=1").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_read_once_for_all_who_wait() {
    const WAITERS: u64 = 200;
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    agent.picture("slow", "[[slow=10]] [[instant]]").await;
    until("it has begun", async || agent.poll("slow").await["provider_task_id"].is_string().then_some(()))
        .await;
    let reads = || app.admin().store.reads_begun();
    let before = reads();
    let waits = (0..WAITERS).map(|_| agent.get("/v1/generate/slow?wait=60"));
    let driven = async {
        // Each looks the task up by its name, once.
        until("all wait", async || (reads() > before + WAITERS).then_some(())).await;
        let before = reads();
        app.advance(Duration::from_secs(10));
        before
    };
    let (answers, before) = tokio::join!(futures::future::join_all(waits), driven);
    for answer in answers {
        assert_eq!(answer.ok()["status"], "success");
    }
    // One for each change of the task; the others are the worker's.
    assert!(reads() - before < WAITERS / 4, "{} reads", reads() - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_task_tells_its_place() {
    let app = TestApp::start("", rynjer_server::gateway::Role::Api).await;
    let agent = app.agent_key();
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        agent.picture(name, "[[instant]]").await;
        assert_eq!(agent.poll(name).await["queue_position"], place);
        app.advance(Duration::from_secs(1));
    }
    assert_eq!(agent.poll("a").await["queue_position"], 0);
    let (id, state) = open(&app, "c", None).await.next().await.expect("the state now");
    assert_eq!((id, &state["status"], &state["queue_position"]), (10_000, &json!("pending"), &json!(2)));
    let stranger = app.other_account();
    stranger.picture("mine", "[[instant]]").await;
    assert_eq!(stranger.poll("mine").await["queue_position"], 0);
}

/// A head alone, as for HEAD and a client that leaves at once, keeps no place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_gives_the_place_back() {
    let app = TestApp::with("[limits]\nwaits = 1").await;
    let agent = app.agent_key();
    agent.picture("slow", "[[slow=600]]").await;
    for _ in 0..3 {
        let mut stream = until("a place is free", async || {
            let stream = open(&app, "slow", None).await;
            stream.head.starts_with("HTTP/1.1 200").then_some(stream)
        })
        .await;
        assert!(stream.next().await.is_some());
        let mut socket = stream.reader.into_inner();
        socket.shutdown().await.expect("closed");
        drop(socket.read(&mut [0; 16]).await);
    }
}
