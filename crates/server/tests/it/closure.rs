//! Closing an account for good.
//!
//! Invariant: what could spend ends at once, and the ledger stays whole. Not here: what is exported before.

use crate::support::{
    BASE_URL, CREDITS, TestApp, agent::text, browser::PASSWORD, client::picture, files_below,
};
use rynjer_core::{id::AgentId, scope::Scopes};
use rynjer_server::{app::Error, gateway::Role};
use rynjer_store::{
    StoreError, closure,
    relocation::{Kind, TABLES},
};
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

/// Somebody who leaves leaves an id: their address is free, and nowhere in the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_is_forgotten_and_may_come_again() {
    let app = TestApp::with("[console]\nsign_up = \"open\"\nlive_accounts = true\n").await;
    let admin = app.admin();
    let mut browser = app.browser();
    let joined = [("email", "Leaver@example.com"), ("password", PASSWORD)];
    browser.get("/signup").await;
    assert_eq!(browser.submit("/signup", &joined).await.status, 303);
    let owner = admin.owner_named("leaver@example.com").await.expect("an owner");
    let link = admin.reset_link(BASE_URL, &owner.id).await.expect("a link");
    let of = async |email: &str| {
        let mut rows = admin.account_list().await.expect("accounts");
        rows.retain(|row| row.email == email);
        rows
    };
    let accounts = of("leaver@example.com").await;
    assert_eq!(accounts.len(), 2);
    // With one account left they stay.
    admin.account_close(&accounts[0].id).await.expect("closed");
    assert_eq!(of("leaver@example.com").await.len(), 1);
    assert_eq!(browser.get("/").await.status, 200);
    admin.account_close(&accounts[1].id).await.expect("closed");
    assert_eq!(browser.get("/").await.status, 303);
    assert_eq!(app.browser().get(&link).await.status, 404);
    let mut again = app.browser();
    again.get("/login").await;
    assert_eq!(again.submit("/login", &joined).await.status, 401);
    assert_eq!(named(&app, "leaver@example.com").await, [] as [String; 0]);
    for account in &accounts {
        let row = admin.account_show(&account.id).await.expect("the account");
        assert_eq!(row.email, format!("closed:{}", row.id));
    }
    let lines = admin.audit_lines(None, None, 50).await.expect("lines");
    let line = lines.iter().find(|line| line.action == "owner.joined").expect("a line");
    assert_eq!((line.subject_id.as_str(), line.address.as_deref()), (owner.id.as_str(), None));
    assert_eq!(line.detail, format!("{{\"email\":\"closed:{}\",\"role\":\"owner\"}}", owner.id));
    again.get("/signup").await;
    assert_eq!(again.submit("/signup", &joined).await.status, 303);
    let new = admin.owner_named("leaver@example.com").await.expect("an owner");
    assert_ne!(new.id, owner.id);
    // A second closing of the old one takes nothing from the new one.
    admin.account_close(&accounts[1].id).await.expect("closed");
    assert_eq!(again.get("/").await.status, 200);
}

/// A process that is killed in the middle of a closure leaves nothing for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_closure_left_is_finished_by_the_sweep() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let mut owner = app.owner().await;
    app.account_key().picture("k-1", "[[instant]] a secret garden").await;
    let task = app.account_key().finish("k-1").await;
    let folder = app.data_dir().join("outputs");
    let handed = folder.join(format!("inputs/{}/{}/00.png", app.account, text(&task, "task_id")));
    std::fs::create_dir_all(handed.parent().expect("a folder")).expect("the folder");
    std::fs::write(&handed, b"x").expect("written");
    let (id, now_ms) = (app.account.clone(), app.now_ms());
    let closed: Result<(), StoreError> = admin.store.write(move |tx| closure::close(tx, &id, now_ms)).await;
    closed.expect("closed");
    assert_eq!(owner.get("/").await.status, 200);
    app.gateway().sweep_orphans().await.expect("a sweep");
    let id = rynjer_core::id::TaskId::parse(&text(&task, "task_id")).expect("an id");
    assert_eq!(admin.task_show(&id).await.expect("the task").body, None);
    assert_eq!(files_below(&folder), [] as [String; 0]);
    assert_eq!(named(&app, "owner@example.com").await, [] as [String; 0]);
    assert_eq!(owner.get("/").await.status, 303);
}

/// Who has an account now does not see where the one before was, nor what they are called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_changes_hands_forgets_the_one_before() {
    let app = TestApp::sqlite().await;
    let admin = app.admin();
    let mut before = app.owner().await;
    before.get("/settings/account").await;
    assert_eq!(before.submit("/settings/account/pause", &[]).await.status, 303);
    let from = async || {
        let lines = admin.audit_lines(Some(&app.account), None, 100).await.expect("lines");
        let paused = lines.into_iter().find(|line| line.action == "account.paused").expect("a line");
        (paused.actor_kind, paused.address)
    };
    assert_eq!(from().await, ("owner".to_owned(), Some("127.0.0.1".to_owned())));
    app.invited("after@example.com", false).await;
    let after = admin.owner_named("after@example.com").await.expect("an owner");
    admin.account_give(&app.account, &after.id).await.expect("given");
    assert_eq!(from().await, ("owner".to_owned(), None));
    assert_eq!(admin.account_show(&app.account).await.expect("the account").email, "after@example.com (2)");
    let lines = admin.audit_lines(Some(&app.account), None, 100).await.expect("lines");
    assert!(lines.iter().all(|line| !format!("{line:?}").contains("owner@example.com")), "{lines:?}");
}

/// The columns of the database that hold a text.
async fn named(app: &TestApp, text: &'static str) -> Vec<String> {
    let read = app.admin().store.read(move |tx| {
        let mut found = Vec::new();
        for table in TABLES {
            for (column, _) in table.columns.iter().filter(|(_, kind)| *kind == Kind::Text) {
                let name = table.name;
                let sql = format!("SELECT 1 FROM {name} WHERE LOWER({column}) LIKE '%' || $1 || '%' LIMIT 1");
                if tx.one(&sql, &[text.into()])?.is_some() {
                    found.push(format!("{name}.{column}"));
                }
            }
        }
        Ok::<_, StoreError>(found)
    });
    read.await.expect("the store")
}
