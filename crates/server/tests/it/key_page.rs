//! The page of account keys: made, shown once, revoked.
//!
//! Invariant: a key's text is in one answer alone. Not here: what keys may do (`identity`), keys of agents
//! (`agent_page`).

use crate::{
    agent_page::log_of,
    support::{HOUR, TestApp, browser::PASSWORD, client::picture},
};

const PATH: &str = "/settings/apikeys";

/// The key's text on a page; empty where there is none.
fn secret(html: &str) -> String {
    let text = html.split("ryn_test_").nth(1).unwrap_or_default();
    let body: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
    if body.len() > 20 { format!("ryn_test_{body}") } else { String::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    owner.get(PATH).await.shows("Keys of this test account start with ryn_test_");
    let fields = [
        ("name", " nightly job "),
        ("scopes", "image"),
        ("expires_in_days", "30"),
        ("limit", "10"),
        ("period", "day"),
    ];
    let page = owner.submit(PATH, &fields).await;
    assert_eq!((page.status, page.headers["cache-control"].to_str().unwrap()), (200, "no-store"));
    assert!(page.headers.get("set-cookie").is_none());
    page.shows("it is shown this once").shows("May use image Expires 2025-04-17 Limit 10 credits per day");
    let text = secret(&page.html);
    let key = app.bearer(&text);
    key.post("/v1/generate", &picture("k", "[[instant]]")).await.ok();
    app.settle().await;
    let over = key.post("/v1/generate", &picture("k2", "[[instant]]")).await;
    assert_eq!(over.refusal(), "402 budget_exceeded");
    let page = owner.get(PATH).await;
    page.shows("nightly job").shows("8 of 10 credits per day · nearly used up").shows("just now");
    assert_eq!(secret(&page.html), "");
    let id = key.get("/v1/me").await.ok()["key"]["key_id"].as_str().unwrap().to_owned();
    let gone = owner.submit(&format!("{PATH}/{id}/revoke"), &[]).await;
    assert_eq!((gone.status, gone.location.as_str()), (303, PATH));
    assert_eq!(key.get("/v1/me").await.refusal(), "401 invalid_token");
    owner.get(PATH).await.shows("Keys that ended (1)");
    assert_eq!(log_of(&app, &id).await, ["owner key.created", "owner key.revoked"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_takes_the_place_of_the_old_one() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let keys = app.admin().key_list(&app.account).await.unwrap();
    let id = keys.iter().find(|key| key.agent_id.is_none()).unwrap().id.to_string();
    let rotate = format!("{PATH}/{id}/rotate");
    owner.get(PATH).await;
    let page = owner.submit(&rotate, &[("overlap_hours", "25")]).await;
    assert_eq!(page.status, 400);
    page.shows("Overlap hours must be one of those offered.");
    app.advance(HOUR);
    assert_eq!(owner.submit(&rotate, &[("overlap_hours", "24")]).await.status, 401);
    let fields = [("overlap_hours", "24"), ("confirm_password", PASSWORD)];
    let page = owner.submit(&rotate, &fields).await;
    assert_eq!(page.status, 200);
    let new = app.bearer(&secret(page.shows("Your new key").html.as_str()));
    let csrf = owner.csrf().await;
    let of_agent = format!("{PATH}/{}/rotate", app.agent.key_id);
    let page = owner.post(&of_agent, &[("csrf".to_owned(), csrf)]).await;
    assert_eq!(page.status, 400);
    page.shows("Key is an agent's: the agent makes its own.");
    app.advance(23 * HOUR);
    new.get("/v1/me").await.ok();
    app.account_key().get("/v1/me").await.ok();
    app.advance(HOUR);
    new.get("/v1/me").await.ok();
    assert_eq!(app.account_key().get("/v1/me").await.refusal(), "401 expired_token");
    assert_eq!(log_of(&app, &id).await, ["command_line key.created", "owner key.rotated"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_needs_a_fresh_password_and_whole_fields() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.advance(HOUR);
    let before = app.admin().key_list(&app.account).await.unwrap().len();
    let good =
        [("name", "mine"), ("scopes", "music"), ("expires_in_days", ""), ("limit", ""), ("period", "day")];
    owner.get(PATH).await.shows("Your password");
    for (password, told) in
        [("", "Type your password as well."), ("wrong horse battery", "That is not your password.")]
    {
        let mut fields = good.to_vec();
        fields.push(("confirm_password", password));
        let page = owner.submit(PATH, &fields).await;
        assert_eq!(page.status, 401);
        page.shows(told);
        assert!(page.html.contains(r#"value="mine""#) && page.html.contains(r#"value="music" checked"#));
    }
    for (field, value, told) in [
        ("name", "", "Name must be 1 to 100 characters, without control characters."),
        ("scopes", "admin", "Scopes unknown scope \"admin\"."),
        ("expires_in_days", "31", "Expires in days must be one of those offered."),
        ("limit", "-1", "Limit must be 0 or more."),
        ("limit", "much", "Limit must be a whole number."),
        ("period", "year", "Period must be a day, a month or the total."),
    ] {
        let mut fields = good.to_vec();
        fields.retain(|(name, _)| *name != field);
        fields.extend([(field, value), ("confirm_password", PASSWORD)]);
        let page = owner.submit(PATH, &fields).await;
        assert_eq!(page.status, 400, "{field}");
        page.shows(told);
    }
    assert_eq!(app.admin().key_list(&app.account).await.unwrap().len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_forms_of_the_owner_make_and_revoke() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let mut other = app.invited("other@example.com", false).await;
    let before = app.admin().key_list(&app.account).await.unwrap();
    let id = before.iter().find(|key| key.agent_id.is_none()).unwrap().id.to_string();
    let revoke = format!("{PATH}/{id}/revoke");
    let rotate = format!("{PATH}/{id}/rotate");
    let form = |csrf: &str| vec![("csrf".to_owned(), csrf.to_owned()), ("name".to_owned(), "x".to_owned())];
    let others = other.csrf().await;
    for change in [&revoke, &rotate] {
        assert_eq!(other.post(change, &form(&others)).await.status, 404);
        assert_eq!(owner.post(change, &form(&others)).await.status, 403);
        assert_eq!(owner.get(change).await.status, 405);
    }
    assert!(!other.get(PATH).await.html.contains(&id));
    for csrf in ["", &others] {
        assert_eq!(owner.post(&revoke, &form(csrf)).await.status, 403);
        assert_eq!(owner.post(PATH, &form(csrf)).await.status, 403);
    }
    let after = app.admin().key_list(&app.account).await.unwrap();
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|key| key.revoked_at_ms.is_none()));
}
