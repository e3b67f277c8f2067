//! Many nodes on one database: who is counted, who has which duty, whose clock is believed.
//!
//! Invariant: a node that stops leaves nothing behind. Not here: shared keys (`keyring`).

use crate::support::{START_S, TestApp, client::Client, neighbour::SHARED, until};
use rynjer_server::{
    clock::{Clock, Shared},
    gateway::{Role, StartError},
};
use rynjer_store::{StoreError, election, node};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What a node says that it allows.
async fn policy(client: &Client) -> String {
    let answer = client.get("/v1/models/list").await;
    assert_eq!(answer.status, 200);
    answer.header("ratelimit-policy").expect("a policy").to_owned()
}

async fn roles(app: &TestApp) -> Vec<String> {
    let read = app.admin().store.read(|tx| node::live(tx, 0));
    let nodes: Result<_, StoreError> = read.await;
    let mut roles: Vec<_> = nodes.expect("nodes").into_iter().map(|node| node.role).collect();
    roles.sort();
    roles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_rate_limits() {
    let app = TestApp::with(&format!("{SHARED}[limits]\nrate_limits = true")).await;
    let first = app.agent_token();
    assert_eq!(policy(&first).await, "\"default\";q=500;w=1");
    let worker = app.neighbour(Role::Worker).await;
    let api = app.neighbour(Role::Api).await;
    // A node counts the others before its first answer; those that answer no requests have no share.
    assert_eq!(policy(&api.bearer(&app.agent.access_token)).await, "\"default\";q=250;w=1");
    let halved = async || (policy(&first).await == "\"default\";q=250;w=1").then_some(());
    until("the first node knows of the second", halved).await;
    assert_eq!(roles(&app).await, ["all", "api", "worker"]);
    api.stop().await;
    assert_eq!(roles(&app).await, ["all", "worker"]);
    let whole = async || (policy(&first).await == "\"default\";q=500;w=1").then_some(());
    until("the first node knows that the second has left", whole).await;
    worker.stop().await;
    assert_eq!(roles(&app).await, ["all"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_start_is_not_counted() {
    let app = TestApp::with(&format!("{SHARED}[limits]\nrate_limits = true")).await;
    let taken = app.gateway().address().expect("an address");
    let refused = app.stranger(app.data_dir(), taken).await.err().expect("a refusal");
    assert!(matches!(refused, StartError::Listen(_)), "{refused}");
    assert_eq!(roles(&app).await, ["all"]);
    assert_eq!(policy(&app.agent_token()).await, "\"default\";q=500;w=1");
}

/// As a process leaves it that died with a clock that tests had moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_the_future_is_not_counted() {
    let app = TestApp::with(&format!("{SHARED}[limits]\nrate_limits = true")).await;
    let seen_at_ms = app.now_ms() + 86_400_000;
    let dead = move |tx: &mut dyn rynjer_store::Tx| {
        let (id, role, version) = ("n1".to_owned(), "api".to_owned(), "0.1.0".to_owned());
        node::beat(tx, &node::NodeRow { id, role, version, started_at_ms: seen_at_ms, seen_at_ms })
    };
    let written: Result<(), StoreError> = app.admin().store.write(dead).await;
    written.expect("a row");
    let api = app.neighbour(Role::Api).await;
    assert_eq!(policy(&api.bearer(&app.agent.access_token)).await, "\"default\";q=250;w=1");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_clock_leaves_no_duty_behind() {
    let app = TestApp::with_moving_clock(SHARED).await;
    app.advance(Duration::from_secs(86_400));
    assert!(app.gateway().sweep().await.expect("a sweep"));
    assert!(!app.gateway().rotate_keys().await);
    for duty in ["retention", "keys"] {
        let free = app.admin().store.write(move |tx| election::hold(tx, duty, "n1", 0, 1));
        let free: Result<bool, StoreError> = free.await;
        assert!(free.expect("a duty"), "{duty}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_the_master_key_makes_none() {
    let app = TestApp::with(SHARED).await;
    let folder = tempfile::tempdir().expect("a folder");
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    let refused = app.stranger(folder.path(), anywhere).await.err().expect("a refusal");
    assert!(matches!(refused, StartError::NoMasterKey(_)), "{refused}");
    assert!(refused.to_string().contains("RYNJER_MASTER_KEY"), "{refused}");
    assert!(!folder.path().join("master.key").exists());
    assert_eq!(roles(&app).await, ["all"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_seen_is_not_counted() {
    let app = TestApp::with(&format!("{SHARED}[limits]\nrate_limits = true")).await;
    let seen_at_ms = app.now_ms();
    let dead = move |tx: &mut dyn rynjer_store::Tx| {
        let (id, role, version) = ("n1".to_owned(), "api".to_owned(), "0.1.0".to_owned());
        node::beat(tx, &node::NodeRow { id, role, version, started_at_ms: seen_at_ms, seen_at_ms })
    };
    let written: Result<(), StoreError> = app.admin().store.write(dead).await;
    written.expect("a row");
    let first = app.agent_token();
    let counted = async || (policy(&first).await == "\"default\";q=250;w=1").then_some(());
    until("the other node counts", counted).await;
    app.advance(Duration::from_millis(5001));
    let gone = async || (policy(&first).await == "\"default\";q=500;w=1").then_some(());
    until("the other node counts no more", gone).await;
    app.advance(Duration::from_secs(86_400));
    assert!(app.gateway().sweep().await.expect("a sweep"));
    until("one row is left", async || (roles(&app).await == ["all"]).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_sweeps() {
    let app = TestApp::with(SHARED).await;
    let other = app.neighbour(Role::Worker).await;
    let sweeps = async || {
        let own = app.gateway().sweep().await.expect("a sweep");
        (own, other.gateway.sweep().await.expect("a sweep"))
    };
    assert_eq!(sweeps().await, (true, false));
    app.advance(Duration::from_secs(89));
    assert_eq!(sweeps().await, (true, false));
    app.advance(Duration::from_secs(90));
    assert!(other.gateway.sweep().await.expect("a sweep"));
    assert_eq!(sweeps().await, (false, true));
    assert!(!app.gateway().sweep_orphans().await.expect("a look"));
    // Whoever stops gives its duties back.
    other.stop().await;
    assert!(app.gateway().sweep().await.expect("a sweep"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_alone_asks_nobody() {
    let app = TestApp::sqlite().await;
    assert!(app.gateway().sweep().await.expect("a sweep") && app.gateway().rotate_keys().await);
    assert_eq!(roles(&app).await, Vec::<String>::new());
}

/// Time is the database's; a machine that has another one gets no requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_is_far_off_is_not_ready() {
    let sent = Instant::now();
    let clock = Clock::Shared(Arc::new(Shared::new(START_S * 1000, sent, sent)));
    let app = TestApp::at(SHARED, Role::All, clock).await;
    let refused = app.anonymous().get("/readyz").await;
    assert_eq!((refused.status, refused.error()["error"].as_str()), (503, Some("overloaded")));
    let message = refused.error()["message"].as_str().expect("a message").to_owned();
    assert!(message.starts_with("This node's clock is "), "{message}");
    assert!(message.ends_with(" s ahead of the database's"), "{message}");
    assert!((0..60).contains(&(app.now_s() - START_S)));
    assert_eq!(app.anonymous().get("/livez").await.status, 200);
}
