//! Saying yes to an agent on the page: what is approved is what was shown, by whom it was shown to.
//!
//! Invariant: no link, code, session or delay makes an owner approve something else than they saw. Not here:
//! the rules of codes (`bind`).

use crate::{
    agent_page::log_of,
    support::{
        Agent, HOUR, Signer, TestApp,
        agent::text,
        browser::{Browser, PASSWORD},
    },
};
use serde_json::{Value, json};
use std::time::Duration;

const ASK: &str = "/settings/agents/bind";
const YES: &str = "/settings/agents/bind/confirm";
const DEAD: &str = "No agent waits for this code.";
/// Of the key with the seed 40, as `sha256sum` says.
const FINGERPRINT: &str = "4bd5 ff18 f53e aaad 39fa 12bc db89 a9bd";

/// Registers the agent of that key and tells what it got.
async fn registered(app: &TestApp, seed: u8) -> Value {
    let signer = Signer::at(seed, app.now_s());
    app.anonymous().post("/api/v1/agents/register", &signer.registration()).await.ok()
}

/// Types a code.
async fn look_up(owner: &mut Browser, code: &str) -> crate::support::browser::Page {
    owner.get(ASK).await;
    owner.submit(ASK, &[("code", code)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_binds_what_the_page_shows() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    for (seed, which) in [(40, "user_code"), (42, "registration_code")] {
        let data = registered(&app, seed).await;
        let (code, id) = (text(&data, which), text(&data, "agent_id"));
        app.advance(Duration::from_secs(180));
        let page = owner.get(&format!("{ASK}?code={code}")).await;
        assert!(page.html.contains(&format!("value=\"{code}\"")), "{}", page.html);
        let page = owner.submit(ASK, &[("code", &code)]).await;
        assert_eq!(page.status, 200);
        page.shows("Is this your agent?").shows("Name it gives itself Demo Agent Version 0.1.0");
        page.shows("Registered 3 minutes ago").shows("Say yes only to an agent that you started yourself");
        page.shows("Spends from owner@example.com test 100 000 credits available");
        if seed == 40 {
            page.shows(&format!("Key's fingerprint {FINGERPRINT}"));
        }
        let checked = page.html.matches(" checked").count();
        assert_eq!((checked, page.html.contains(r#"name="limit" value="100""#)), (1, true));
        let csp = page.headers["content-security-policy"].to_str().unwrap();
        assert!(csp.contains("frame-ancestors 'none'") && csp.contains("script-src 'self'"), "{csp}");
        assert_eq!(page.headers["x-frame-options"].to_str().unwrap(), "DENY");
        let fields = [("scopes", "image"), ("limit", "100"), ("period", "day")];
        let bound = owner.submit(YES, &fields).await;
        assert_eq!((bound.status, bound.location.as_str()), (303, format!("/settings/agents/{id}").as_str()));
        owner
            .get(&bound.location)
            .await
            .shows("0 of 100 credits per day")
            .shows("You: bound it, allowing image");
        assert_eq!(log_of(&app, &id).await, ["owner agent.bound"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dead_code_gets_one_answer_and_tries_are_few() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let mut other = app.invited("other@example.com", false).await;
    let expired = text(&registered(&app, 40).await, "user_code");
    app.advance(Duration::from_secs(600));
    let used = text(&registered(&app, 42).await, "user_code");
    look_up(&mut owner, &used).await.shows("Is this your agent?");
    owner.submit(YES, &[("scopes", "image"), ("limit", "1"), ("period", "day")]).await;
    let foreign = app.agent.code.clone();
    for code in [expired.as_str(), &used, "BCDF-GHJK"] {
        let page = look_up(&mut owner, code).await;
        assert_eq!(page.status, 403, "{code}");
        page.shows(DEAD);
    }
    let page = look_up(&mut other, &foreign).await;
    assert_eq!(page.status, 403);
    page.shows(DEAD);
    for guess in ["ryn_reg_x", "<b>", "$CODE"] {
        assert_eq!(look_up(&mut owner, guess).await.status, 403, "a slip of the hand counts for nothing");
    }
    for guess in ["BCDF-GHJL", "BCDF-GHJM"] {
        assert_eq!(look_up(&mut owner, guess).await.status, 403);
    }
    let alive = text(&registered(&app, 43).await, "user_code");
    let page = look_up(&mut owner, &alive).await;
    assert_eq!((page.status, page.headers["retry-after"].to_str().unwrap()), (429, "600"));
    look_up(&mut other, &alive).await.shows("Is this your agent?");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_or_swapped_consent_binds_nothing() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let mut other = app.invited("other@example.com", false).await;
    let good = registered(&app, 40).await;
    let evil = registered(&app, 42).await;
    let terms = [("scopes", "image"), ("limit", "5"), ("period", "day")];
    // The page of one agent, sent with the code or the id of another.
    look_up(&mut owner, &text(&good, "registration_code")).await;
    for swapped in [("code", text(&evil, "registration_code")), ("agent", text(&evil, "agent_id"))] {
        look_up(&mut owner, &text(&good, "registration_code")).await;
        let mut fields = terms.to_vec();
        fields.push((swapped.0, &swapped.1));
        let page = owner.submit(YES, &fields).await;
        assert_eq!(page.status, 403);
        page.shows(DEAD);
    }
    // Another session's form.
    look_up(&mut owner, &text(&good, "registration_code")).await;
    let mut cookies = other.cookies.clone();
    std::mem::swap(&mut owner.cookies, &mut cookies);
    assert_eq!(owner.submit(YES, &terms).await.status, 403);
    std::mem::swap(&mut owner.cookies, &mut cookies);
    // The code was renewed in between.
    look_up(&mut owner, &text(&good, "registration_code")).await;
    let renewed = registered(&app, 40).await;
    let page = owner.submit(YES, &terms).await;
    assert_eq!(page.status, 403);
    page.shows(DEAD);
    // Two owners look; the first yes counts.
    look_up(&mut owner, &text(&renewed, "registration_code")).await;
    look_up(&mut other, &text(&renewed, "registration_code")).await.shows("other@example.com");
    assert_eq!(owner.submit(YES, &terms).await.status, 303);
    assert_eq!(other.submit(YES, &terms).await.status, 403);
    assert_eq!(owner.get(YES).await.status, 405);
    assert_eq!(log_of(&app, &text(&evil, "agent_id")).await, Vec::<String>::new());
    assert_eq!(log_of(&app, &text(&good, "agent_id")).await, ["owner agent.bound"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binding_needs_a_fresh_password_and_the_account_that_was_shown() {
    let app = TestApp::with("[console]\nlive_accounts = true").await;
    let mut owner = app.owner().await;
    app.advance(HOUR);
    let data = registered(&app, 40).await;
    let code = text(&data, "registration_code");
    let terms = [("scopes", "music"), ("limit", "7"), ("period", "month"), ("code", code.as_str())];
    look_up(&mut owner, &code).await.shows("Your password");
    let page = owner.submit(YES, &terms).await;
    assert_eq!(page.status, 401);
    page.shows("Type your password as well.").shows("Is this your agent?").shows("The code, once more");
    assert!(!page.html.contains(&code), "a page of an error repeats no secret");
    assert!(page.html.contains(r#"value="music" checked"#) && page.html.contains(r#"value="7""#));
    let mut wrong = terms.to_vec();
    wrong.push(("confirm_password", "wrong horse battery"));
    assert_eq!(owner.submit(YES, &wrong).await.status, 401);
    let mut right = terms.to_vec();
    right.push(("confirm_password", PASSWORD));
    // In another tab the owner goes over to their live account.
    let shown = owner.get("/").await.html;
    let option = |mode: &str| {
        let option = shown.split("<option value=\"").find(|rest| rest.contains(&format!(">{mode} ")));
        option.and_then(|rest| rest.split('"').next()).expect("an account of that mode").to_owned()
    };
    let (test_account, live) = (option("test"), option("live"));
    owner.submit("/account", &[("account", &live)]).await;
    look_up(&mut owner, &code).await;
    right.push(("account", &test_account));
    let page = owner.submit(YES, &right).await;
    assert_eq!(page.status, 409);
    page.shows("Another account is shown now").shows("this browser shows owner@example.com live now");
    right.retain(|(name, _)| *name != "account");
    look_up(&mut owner, &code).await;
    assert_eq!(owner.submit(YES, &right).await.status, 303);
    let agents = app.admin().agent_list(None).await.unwrap();
    let bound = agents.iter().find(|agent| agent.id.as_str() == text(&data, "agent_id")).unwrap();
    assert_eq!((bound.account_id.as_ref().unwrap().as_str(), &*bound.scopes), (live.as_str(), "music"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_text_whatever_they_say() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let signer = Signer::at(50, app.now_s());
    let body = signer.sign(&json!({
        "public_key": signer.public_hex(),
        "agent_name": "<script>alert(1)</script>",
        "agent_version": "\"><img src=x>",
    }));
    let data = app.anonymous().post("/api/v1/agents/register", &body).await.ok();
    let page = look_up(&mut owner, &text(&data, "registration_code")).await;
    page.shows("<script>alert(1)</script>");
    assert!(!page.html.contains("<script>alert") && !page.html.contains("<img src=x"));
    owner.submit(YES, &[("scopes", "image"), ("period", "day"), ("limit", "")]).await;
    let id = text(&data, "agent_id");
    for path in [
        "/settings/agents".to_owned(),
        format!("/settings/agents/{id}"),
        format!("/settings/agents/{id}/end"),
    ] {
        let page = owner.get(&path).await;
        page.shows("<script>alert(1)</script>");
        assert!(!page.html.contains("<script>alert") && !page.html.contains("<img src=x"), "{path}");
    }
    owner.get(&format!("/settings/agents/{id}")).await.shows("It has no limit of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_come_back_to_the_code_after_signing_in() {
    let app = TestApp::sqlite().await;
    drop(app.owner().await);
    let agent = Agent::registered(&app.anonymous(), Signer::at(51, app.now_s())).await;
    let mut browser = app.browser();
    let page = browser.get(&format!("/en{ASK}?code={}", agent.code)).await;
    let next = format!("/login?next=%2Fsettings%2Fagents%2Fbind%3Fcode%3D{}", agent.code);
    assert_eq!((page.status, page.location), (303, next));
}
