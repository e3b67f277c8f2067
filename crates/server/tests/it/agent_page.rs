//! The pages of agents: what owners see, change and end.
//!
//! Invariant: every change is the owner's own, by a form of their own page, with its line in the log. Not
//! here: the binding of agents (`bind_page`), what paused and revoked agents may do (`identity`).

use crate::support::{BASE_URL, HOUR, TestApp, browser::PASSWORD, client::picture};
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
};
use std::time::Duration;

/// What was done to something of the account. Time stands still in tests, so lines have no order.
pub(crate) async fn log_of(app: &TestApp, subject: &str) -> Vec<String> {
    let lines = app.admin().audit_lines_of(&app.account, subject, 50).await.expect("lines");
    let mut told: Vec<_> = lines.iter().map(|line| format!("{} {}", line.actor_kind, line.action)).collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_listed_with_what_they_may_and_did() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let id = app.agent.id.as_str();
    let set =
        app.admin().budget_set(&app.account, Subject::Agent, id, Period::Day, Credits(80)).await.unwrap();
    assert_eq!(set.len(), 1);
    app.agent_key().picture("a", "[[instant]]").await;
    app.settle().await;
    app.advance(Duration::from_secs(180));
    let page = owner.get("/settings/agents").await;
    page.shows("Demo Agent 0.1.0 active").shows("8 of 80 credits per day starts again in 14 hours");
    page.shows("Bound 2025-03-18 09:50").shows("Last used 3 minutes ago");
    page.shows("May use image, video, music, credits:read");
    assert!(page.html.contains(r#"<rect class="fill-1" width="10""#), "{}", page.html);
    let page = owner.get(&format!("/en/settings/agents/{id}")).await;
    page.shows("Live keys 1")
        .shows("demo-key")
        .shows("2025-06-16")
        .shows("The operator's command: set a limit of 80 credits per day");
    let mut other = app.invited("other@example.com", false).await;
    other.get("/settings/agents").await.shows("No agent spends from this account yet.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_resume_and_revoke_hold_at_once() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let (id, agent) = (app.agent.id.as_str(), app.agent_token());
    owner.get("/settings/agents").await;
    let page = owner.submit(&format!("/settings/agents/{id}/pause"), &[]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/agents"));
    let refused = agent.post("/v1/generate", &picture("paused", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "403 agent_paused");
    owner.get(&format!("/settings/agents/{id}")).await.shows("While it is paused");
    let page = owner.submit(&format!("/settings/agents/{id}/resume"), &[]).await;
    assert_eq!(page.location, format!("/settings/agents/{id}"));
    agent.post("/v1/generate", &picture("resumed", "[[instant]]")).await.ok();
    owner.get(&format!("/settings/agents/{id}/end")).await.shows("1 live key");
    let page = owner.submit(&format!("/settings/agents/{id}/revoke"), &[]).await;
    assert_eq!(page.location, format!("/settings/agents/{id}"));
    assert_eq!(agent.get("/v1/me").await.refusal(), "401 invalid_token");
    owner.get("/settings/agents").await.shows("Revoked agents (1)");
    owner.get(&format!("/settings/agents/{id}")).await.shows("All its keys are dead.");
    let told = log_of(&app, id).await;
    assert_eq!(
        told,
        ["command_line agent.bound", "owner agent.paused", "owner agent.resumed", "owner agent.revoked"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_asks_nothing_and_going_on_asks_for_the_password() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.advance(HOUR);
    let page = format!("/settings/agents/{}", app.agent.id);
    let resume = format!("{page}/resume");
    owner.get("/settings/agents").await;
    assert_eq!(owner.submit(&format!("{page}/pause"), &[]).await.status, 303);
    owner.get("/settings/agents").await.shows("Resume Demo Agent Your password");
    for (password, told) in
        [("", "Type your password as well."), ("wrong horse battery", "That is not your password.")]
    {
        let refused = owner.submit(&resume, &[("confirm_password", password)]).await;
        assert_eq!(refused.status, 401);
        refused.shows(told).shows("While it is paused");
    }
    let refused = app.agent_key().post("/v1/generate", &picture("paused", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "403 agent_paused");
    assert_eq!(owner.submit(&resume, &[("confirm_password", PASSWORD)]).await.location, page);
    app.agent_key().picture("resumed", "[[instant]]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unbound_agent_is_gone_from_the_account() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let id = app.agent.id.as_str();
    owner.get(&format!("/settings/agents/{id}/end")).await;
    let page = owner.submit(&format!("/settings/agents/{id}/unbind"), &[]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/agents"));
    assert_eq!(app.agent_key().get("/v1/me").await.refusal(), "401 invalid_token");
    assert_eq!(owner.get(&format!("/settings/agents/{id}")).await.status, 404);
    assert_eq!(log_of(&app, id).await, ["command_line agent.bound", "owner agent.unbound"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_scopes_hold_at_once_and_more_need_the_password() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.advance(HOUR);
    let id = app.agent.id.as_str();
    let (page, action) = (format!("/settings/agents/{id}"), format!("/settings/agents/{id}/scopes"));
    owner.get(&page).await.shows("Your password only needed to allow more");
    assert_eq!(owner.submit(&action, &[("scopes", "image")]).await.status, 303);
    assert_eq!(app.agent_key().get("/v1/credits/balance").await.refusal(), "403 scope_not_allowed");
    let csrf = owner.csrf().await;
    let wider = |password: &str| {
        let fields = [
            ("csrf", &*csrf),
            ("scopes", "image"),
            ("scopes", "credits:read"),
            ("confirm_password", password),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let refused = owner.post(&action, &wider("")).await;
    assert_eq!(refused.status, 401);
    refused.shows("Type your password as well.");
    let refused = owner.post(&action, &wider("wrong horse battery")).await;
    assert_eq!(refused.status, 401);
    refused.shows("That is not your password.");
    assert_eq!(app.agent_key().get("/v1/credits/balance").await.refusal(), "403 scope_not_allowed");
    assert_eq!(owner.post(&action, &wider(PASSWORD)).await.status, 303);
    app.agent_key().get("/v1/credits/balance").await.ok();
    owner.get(&page).await.shows("You: allowed image, credits:read instead of image");
    let none = owner.submit(&action, &[]).await;
    assert_eq!(none.status, 400);
    none.shows("Scopes must be at least one: tick a box.");
    let told = log_of(&app, id).await;
    assert_eq!(
        told,
        ["command_line agent.bound", "owner agent.scopes_changed", "owner agent.scopes_changed"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_of_an_agent_is_revoked_alone() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let mut spare = app.agent.clone();
    spare.make_key(&app.anonymous(), &["image"]).await;
    let page = format!("/settings/agents/{}", app.agent.id);
    owner.get(&page).await.shows("Live keys 2");
    let gone = owner.submit(&format!("/settings/apikeys/{}/revoke", spare.key_id), &[]).await;
    assert_eq!((gone.status, gone.location.as_str()), (303, page.as_str()));
    assert_eq!(app.bearer(&spare.api_key).get("/v1/me").await.refusal(), "401 invalid_token");
    app.agent_key().get("/v1/me").await.ok();
    assert_eq!(log_of(&app, &spare.key_id).await, ["agent key.created", "owner key.revoked"]);
    owner.get(&page).await.shows("Keys that ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_theirs_is_not_there_and_no_link_changes_anything() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let mut other = app.invited("other@example.com", false).await;
    let id = app.agent.id.as_str();
    let base = format!("/settings/agents/{id}");
    let (csrf, others) = (owner.csrf().await, other.csrf().await);
    for page in [base.clone(), format!("{base}/end"), "/settings/agents/agt_x".to_owned()] {
        assert_eq!(other.get(&page).await.status, 404, "{page}");
    }
    let key = format!("/settings/apikeys/{}/revoke", app.agent.key_id);
    let changes = ["pause", "resume", "unbind", "revoke", "scopes", "budgets"];
    let changes = changes.into_iter().map(|name| format!("{base}/{name}")).chain([key]);
    let form = |csrf: &str| {
        let fields = [("csrf", csrf), ("scopes", "image"), ("day", "5")];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    for change in changes {
        assert_eq!(other.post(&change, &form(&others)).await.status, 404, "{change}");
        assert_eq!(owner.post(&change, &form("")).await.status, 403, "{change}");
        assert_eq!(owner.post(&change, &form(&others)).await.status, 403, "{change}");
        assert_eq!(owner.get(&change).await.status, 405, "{change}");
        owner.headers.push(("origin".to_owned(), "https://evil.example".to_owned()));
        assert_eq!(owner.post(&change, &form(&csrf)).await.status, 400, "{change}");
        owner.headers.pop();
        let stranger = app.browser().post(&change, &form(&csrf)).await;
        assert_eq!((stranger.status, stranger.location.as_str()), (303, "/login"), "{change}");
    }
    assert_eq!(log_of(&app, id).await, ["command_line agent.bound"]);
    app.agent_key().get("/v1/credits/balance").await.ok();
    assert!(owner.get(&format!("{BASE_URL}{base}")).await.html.contains("active"));
}
