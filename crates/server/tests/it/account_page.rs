//! The account's own pages: taking everything away, and closing it.
//!
//! Invariant: neither happens without the password. Not here: what an archive holds (`export`), what a
//! closure ends (`closure`), pausing (`owner`).

use crate::support::{CREDITS, HOUR, TestApp, agent::text, browser::PASSWORD, client::picture, until};
use rynjer_server::gateway::Role;
use std::process::Command;

const EXPORT: &str = "/settings/account/export";
const CLOSE: &str = "/settings/account/close";

/// How often something stands in the account's log.
async fn told(app: &TestApp, action: &str) -> usize {
    let lines = app.admin().audit_lines(Some(&app.account), None, 100).await.expect("lines");
    lines.iter().filter(|line| line.action == action).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_takes_everything_with_them() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.agent_key().picture("e-1", "[[instant]] a fox").await;
    let task = app.agent_key().finish("e-1").await;
    app.advance(HOUR);
    owner.get("/settings/account").await.shows("Take everything with you");
    owner.get(EXPORT).await.shows("tasks.jsonl").shows("Your password");
    for (password, problem) in
        [("", "Type your password as well."), ("wrong horse battery", "That is not your password.")]
    {
        let page = owner.submit(EXPORT, &[("confirm_password", password)]).await;
        assert_eq!(page.status, 401);
        page.shows(problem);
    }
    assert_eq!(told(&app, "account.export_begun").await, 0);

    let archive = owner.submit(EXPORT, &[("confirm_password", PASSWORD)]).await;
    assert_eq!(
        (archive.status, archive.headers["content-type"].to_str().unwrap()),
        (200, "application/x-tar")
    );
    let name = archive.headers["content-disposition"].to_str().unwrap();
    assert_eq!(name, "attachment; filename=\"rynjer-test-2025-03-18.tar\"");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.tar");
    std::fs::write(&file, &archive.body).expect("written");
    let ran = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(folder.path()).status();
    assert!(ran.expect("tar runs").success());
    let picture = folder.path().join(format!("files/{}/0.png", text(&task, "task_id")));
    let bytes = std::fs::metadata(picture).expect("the picture").len();
    assert_eq!(serde_json::json!(bytes), task["outputs"][0]["bytes"]);
    let tasks = std::fs::read_to_string(folder.path().join("tasks.jsonl")).expect("tasks");
    assert!(tasks.contains("[[instant]] a fox"));
    assert_eq!((told(&app, "account.export_begun").await, told(&app, "account.exported").await), (1, 1));
    owner.get("/audit").await.shows("You began to download everything of this account");
    let left: Vec<_> = crate::support::files_below(&app.data_dir().join("outputs"));
    assert!(left.iter().all(|name| !name.contains('#')), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_closes_the_account_for_good() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.agent_key().picture("c-1", "[[instant]]").await;
    app.agent_key().finish("c-1").await;
    app.advance(HOUR);
    let page = owner.get(CLOSE).await;
    page.shows("1 agent and 2 keys lose the account")
        .shows("99 992 credits are left")
        .shows("No task is open.")
        .shows("Your sign-in ends , since this is your last account.");
    for (name, password, status, problem) in [
        ("", PASSWORD, 400, "Name is not that of this account: type owner@example.com."),
        ("other@example.com", PASSWORD, 400, "Name is not that of this account"),
        ("owner@example.com", "", 401, "Type your password as well."),
        ("owner@example.com", "wrong horse battery", 401, "That is not your password."),
    ] {
        let page = owner.submit(CLOSE, &[("name", name), ("confirm_password", password)]).await;
        assert_eq!(page.status, status, "{name} {password}");
        page.shows(problem);
    }
    app.agent_key().get("/v1/me").await.ok();
    let typed = [("name", "Owner@example.com"), ("confirm_password", PASSWORD)];
    let page = owner.submit(CLOSE, &typed).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/login?out=closed"));
    assert_eq!(app.agent_key().get("/v1/me").await.refusal(), "401 invalid_token");
    owner.get("/login?out=closed").await.shows("The account is closed, and your sign-in has ended with it.");
    assert_eq!(owner.get("/settings/account").await.status, 303);
    assert_eq!(app.books().await, (CREDITS - 8, 0));
}

/// Whoever has another account reads on what is closed, and takes it along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_account_is_still_read_by_whoever_has_another() {
    let app = TestApp::sqlite().await;
    app.admin().account_create("owner@example.com", true, 0).await.expect("a second account");
    let mut owner = app.owner().await;
    owner.get("/settings/account").await;
    let chosen = owner.submit("/account", &[("account", app.account.as_str())]).await;
    assert_eq!(chosen.status, 303);
    let page = owner.get(CLOSE).await;
    page.shows("You can still sign in and read them.");
    let typed = [("name", "owner@example.com"), ("confirm_password", PASSWORD)];
    let page = owner.submit(CLOSE, &typed).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/account"));
    let page = owner.get("/settings/account").await;
    page.shows("This account is closed for good.").shows("Closed 2025-03-18");
    assert!(!page.html.contains("/settings/account/pause"), "{}", page.html);
    owner.get(CLOSE).await.shows("It is closed already.");
    owner.get("/audit").await.shows("You closed this account, with 100 000 credits left");
    owner.get(EXPORT).await;
    assert_eq!(owner.submit(EXPORT, &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_works_on_keeps_the_account_open() {
    let app = TestApp::start("", Role::All).await;
    let mut owner = app.owner().await;
    app.account_key().picture("o-1", "[[timeout]]").await;
    until("it is handed over", async || {
        (app.account_key().poll("o-1").await["status"] == "processing").then_some(())
    })
    .await;
    owner.get(CLOSE).await.shows("1 open task:");
    let page = owner.submit(CLOSE, &[("name", "owner@example.com")]).await;
    assert_eq!(page.status, 400);
    page.shows("Account has 1 unfinished tasks that a provider works on; it is paused now")
        .shows("Look at them");
    let refused = app.account_key().post("/v1/generate", &picture("o-2", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "403 account_frozen");
    let canceled = app.account_key().post("/v1/generate/o-1/cancel", &serde_json::json!({})).await;
    assert_eq!(canceled.status, 200);
    owner.get(CLOSE).await.shows("No task is open.");
    assert_eq!(owner.submit(CLOSE, &[("name", "owner@example.com")]).await.status, 303);
    assert_eq!(app.books().await, (CREDITS, 0));
}
