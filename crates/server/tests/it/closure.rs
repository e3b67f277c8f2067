//! Closing an account for good.
//!
//! Invariant: what could spend ends at once, and the ledger stays whole. Not here: what is exported before.

use crate::support::{CREDITS, TestApp, agent::text, client::picture, files_below};
use rynjer_core::{id::AgentId, scope::Scopes};
use rynjer_server::{app::Error, gateway::Role};
use serde_json::json;

fn problem(error: &Error) -> String {
    match error {
        Error::Invalid(fields) => format!("{} {}", fields[0].field, fields[0].problem),
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_could_spend_ends_and_the_ledger_stays() {
    let app = TestApp::sqlite().await;
    let (agent, owner, admin) = (app.agent_token(), app.account_key(), app.admin());
    owner.picture("c-1", "[[instant]] a secret garden").await;
    let task = owner.finish("c-1").await;
    let url = text(&task["outputs"][0], "url");
    assert_eq!(app.anonymous().get(&url).await.status, 200);
    let closed = admin.account_close(&app.account).await.expect("closed");
    assert_eq!((closed.closed_at_ms, closed.frozen_reason.as_deref()), (Some(app.now_ms()), Some("closed")));
    assert_eq!(closed.books.available.0, CREDITS - 8);
    for caller in [&agent, &owner, &app.agent_key()] {
        assert_eq!(caller.get("/v1/me").await.refusal(), "401 invalid_token");
    }
    assert_eq!(app.anonymous().get(&url).await.status, 404);
    assert!(files_below(&app.data_dir().join("outputs")).is_empty());
    let id = rynjer_core::id::TaskId::parse(&text(&task, "task_id")).expect("an id");
    let row = admin.task_show(&id).await.expect("the task");
    assert_eq!((row.body, row.charged.0, row.outputs.len()), (None, 8, 1));
    let row = admin.agent_list(None).await.expect("agents").remove(0);
    assert_eq!((row.account_id, row.id.to_string()), (None, app.agent.id.clone()));
    let lines = admin.audit_lines(Some(&app.account), None, 100).await.expect("lines");
    let line = lines.iter().find(|line| line.action == "account.closed").expect("a line");
    assert_eq!(line.detail, format!("{{\"credits_left\":{}}}", CREDITS - 8));
    // Closing again finds nothing to do, and another account goes on.
    assert_eq!(admin.account_close(&app.account).await.expect("closed").closed_at_ms, closed.closed_at_ms);
    app.other_account().picture("c-1", "[[instant]]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_stays_closed() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let mut stranger =
        crate::support::Agent::registered(&app.anonymous(), crate::support::Signer::new(77)).await;
    let other = app.another_agent(78).await;
    let other = AgentId::parse(&other.id).expect("an id");
    admin.agent_transfer(&other, &app.other).await.expect("transferred");
    admin.account_close(&app.account).await.expect("closed");
    let grant = admin.account_grant(&app.account, 5, "more").await.expect_err("refused");
    assert_eq!(grant, Error::Ledger(rynjer_core::ledger::Refusal::AccountClosed));
    let bound = admin.agent_bind(&stranger.code, &app.account, Scopes::ALL, None).await;
    assert_eq!(problem(&bound.expect_err("refused")), "account is closed");
    let moved = admin.agent_transfer(&other, &app.account).await;
    assert_eq!(problem(&moved.expect_err("refused")), "account is closed");
    let key = admin.key_create(&app.account, Scopes::ALL, "late").await;
    assert_eq!(problem(&key.map(|_| ()).expect_err("refused")), "account is closed");
    for reason in [None, Some("again".to_owned())] {
        let thawed = admin.account_freeze(&app.account, reason).await;
        assert_eq!(problem(&thawed.expect_err("refused")), "account is closed, and stays so");
    }
    // The agents of the closed account may belong to another one.
    stranger = crate::support::Agent::registered(&app.anonymous(), crate::support::Signer::new(1)).await;
    assert_eq!(stranger.id, app.agent.id);
    admin.agent_bind(&stranger.code, &app.other, Scopes::ALL, None).await.expect("bound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_tasks_are_canceled_or_waited_for() {
    let mut app = TestApp::start("", Role::Api).await;
    app.account_key().picture("o-1", "[[instant]]").await;
    let closed = app.admin().account_close(&app.account).await.expect("closed");
    assert_eq!((closed.books.available.0, closed.books.held.0, closed.open_tasks), (CREDITS, 0, 0));

    app.other_account().picture("o-2", "[[timeout]]").await;
    app.restart_as(Role::All).await;
    let other = app.other_account();
    crate::support::until("it is handed over", async || {
        (other.poll("o-2").await["status"] == "processing").then_some(())
    })
    .await;
    let refused = app.admin().account_close(&app.other).await.expect_err("refused");
    assert!(problem(&refused).starts_with("account has 1 unfinished tasks"), "{refused:?}");
    let paused = other.post("/v1/generate", &picture("o-3", "[[instant]]")).await;
    assert_eq!(paused.refusal(), "403 account_frozen");
    assert_eq!(other.post("/v1/generate/o-2/cancel", &json!({})).await.status, 200);
    let closed = app.admin().account_close(&app.other).await.expect("closed");
    assert_eq!((closed.books.available.0, closed.books.held.0), (1000, 0));
}
