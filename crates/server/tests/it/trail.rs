//! What people and agents leave in the audit log, and how long it stays there.
//!
//! Invariant: a change and its line are one commit, and nothing is decided from a line. Not here: the page of
//! the log (`audit_log`), keys (`key`).

use crate::support::{CREDITS, DAY, TestApp, agent::text, browser::PASSWORD};
use rynjer_core::scope::Scopes;
use rynjer_server::{app::Error, gateway::Role};
use rynjer_store::audit_log::AuditLine;
use serde_json::json;
use std::time::Duration;

async fn lines(app: &TestApp, action: &str) -> Vec<AuditLine> {
    let mut all = app.admin().audit_lines(Some(&app.account), None, 200).await.expect("lines");
    all.extend(app.admin().audit_lines(None, None, 200).await.expect("lines"));
    all.retain(|line| line.action == action);
    all
}

/// Who did it to what, and what it says.
fn told(line: &AuditLine) -> (&str, &str, &str, &str) {
    (&line.actor_kind, &line.actor_id, &line.subject_id, &line.detail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cancels_is_in_the_log_once() {
    let app = TestApp::start("", Role::Api).await;
    let task = text(&app.agent_key().picture("t-1", "a").await, "task_id");
    for _ in 0..2 {
        app.agent_key().post("/v1/generate/t-1/cancel", &json!({})).await.ok();
    }
    let detail = r#"{"credits":8,"model":"google/nano-banana"}"#;
    let found = lines(&app, "task.canceled").await;
    assert_eq!(found.iter().map(told).collect::<Vec<_>>(), [("agent", &*app.agent.id, &*task, detail)]);
    assert_eq!(found[0].at_ms, app.now_ms());

    let (key, secret) = app.admin().key_create(&app.account, Scopes::ALL, "ci").await.expect("a key");
    let caller = app.bearer(secret.expose());
    let task = text(&caller.picture("t-2", "a").await, "task_id");
    caller.post("/v1/generate/t-2/cancel", &json!({})).await.ok();
    let found = lines(&app, "task.canceled").await;
    assert_eq!(told(&found[0]), ("key", key.id.as_str(), &*task, detail));

    app.account_key().picture("t-3", "a").await;
    app.admin().account_close(&app.account).await.expect("closed");
    let found = lines(&app, "task.canceled").await;
    assert_eq!((found.len(), found[0].actor_kind.as_str()), (3, "command_line"));
    assert_eq!(app.books().await, (CREDITS, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_out_is_in_the_log() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let id = app.admin().owner_named("owner@example.com").await.expect("an owner").id;
    owner.get("/").await;
    assert_eq!(owner.submit("/logout", &[]).await.status, 303);
    let found = lines(&app, "owner.signed_out").await;
    assert_eq!(found.iter().map(told).collect::<Vec<_>>(), [("owner", id.as_str(), id.as_str(), "{}")]);
    assert!(found[0].address.is_some());
}

/// Many lines of one millisecond are read in the order in which they were written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_one_moment_have_an_order() {
    let app = TestApp::sqlite().await;
    for number in 0..40 {
        app.admin().account_freeze(&app.account, Some(format!("{number}"))).await.expect("frozen");
    }
    let found = lines(&app, "account.frozen").await;
    let reasons: Vec<String> = found.iter().rev().map(|line| line.detail.clone()).collect();
    let expected: Vec<String> = (0..40).map(|number| format!("{{\"reason\":\"{number}\"}}")).collect();
    assert_eq!(reasons, expected);
    app.admin().account_freeze(&app.account, None).await.expect("thawed");
}

/// Lines go when they are old; that a key was replaced is known without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_lines_go_and_nothing_was_decided_from_them() {
    let app = TestApp::with("[retention]\naudit_days = 10\n").await;
    let admin = app.admin();
    let (old, _) = admin.key_create(&app.account, Scopes::ALL, "ci").await.expect("a key");
    admin.key_rotate(&old.id, 30 * 86_400_000).await.expect("rotated");
    app.advance(DAY * 10);
    assert!(app.gateway().sweep().await.expect("a sweep"));
    assert_eq!(lines(&app, "key.rotated").await.len(), 1);
    app.advance(Duration::from_millis(1));
    assert!(app.gateway().sweep().await.expect("a sweep"));
    assert_eq!(lines(&app, "key.rotated").await.len(), 0);
    let refused = admin.key_rotate(&old.id, 0).await.err();
    let again = Error::field("key", "was replaced before: rotate the key that took its place");
    assert_eq!(refused, Some(again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_kept_for_ever_where_the_operator_wants_it() {
    let app = TestApp::with("[retention]\naudit_days = 0\n").await;
    app.advance(DAY * 4_000);
    assert!(app.gateway().sweep().await.expect("a sweep"));
    assert!(!lines(&app, "account.created").await.is_empty());
}

/// Guesses count by network: of IPv6 the half that one customer has to themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_are_counted_by_network() {
    let app = TestApp::with("[server]\ntrusted_proxies = [\"127.0.0.0/8\", \"::1/128\"]\n").await;
    drop(app.owner().await);
    let sign_in = async |address: String, email: &str, password: &str| {
        let mut browser = app.browser();
        browser.headers.push(("x-forwarded-for".to_owned(), address));
        browser.get("/login").await;
        browser.submit("/login", &[("email", email), ("password", password)]).await.status
    };
    // Thirty wrong guesses at as many people, each from another address of one network.
    for number in 0..30 {
        let address = format!("2001:db8:1:2:{number:x}::{number:x}");
        assert_eq!(sign_in(address, &format!("p{number}@example.com"), "wrong horse").await, 401, "{number}");
    }
    let right = ("owner@example.com", PASSWORD);
    assert_eq!(sign_in("2001:db8:1:2:ffff::1".to_owned(), right.0, right.1).await, 429);
    for elsewhere in ["2001:db8:1:3::1", "192.0.2.1"] {
        assert_eq!(sign_in(elsewhere.to_owned(), right.0, right.1).await, 303, "{elsewhere}");
    }
    // Ten at one person lock that person out of this network alone.
    for number in 0..10 {
        let address = format!("2001:db8:7:7::{number:x}");
        assert_eq!(sign_in(address, right.0, "wrong horse battery").await, 401, "{number}");
    }
    assert_eq!(sign_in("2001:db8:7:7:8::".to_owned(), right.0, right.1).await, 429);
    assert_eq!(sign_in("2001:db8:7:8::".to_owned(), right.0, right.1).await, 303);
}
