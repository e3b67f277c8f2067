//! Operators' pages.
//!
//! Invariant: what a page refuses changes nothing. Not here: who may open them (`matrix`).

use crate::support::{
    BASE_URL, TestApp,
    browser::{Browser, PASSWORD, Page},
};
use rynjer_server::app::admin::Admin;
use std::time::Duration;

/// What is newer has a greater id only in another millisecond.
const SECOND: Duration = Duration::from_secs(1);

/// A test's gateway with its operator.
async fn operated() -> (TestApp, Browser) {
    let app = TestApp::sqlite().await;
    let operator = app.invited("operator@example.com", true).await;
    app.advance(SECOND);
    (app, operator)
}

fn account_path(app: &TestApp) -> String {
    format!("/operator/accounts/{}", app.account)
}

/// The newest line of the log; of an account, or with none of the installation.
async fn newest(admin: &Admin, account: Option<&rynjer_core::id::AccountId>) -> String {
    let lines = admin.audit_lines(account, None, 1).await.unwrap();
    format!("{} {} {}", lines[0].actor_kind, lines[0].action, lines[0].detail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_found_by_what_they_are() {
    let (app, mut operator) = operated().await;
    drop(app.owner().await);
    let page = operator.get("/operator/accounts").await;
    page.shows("owner@example.com").shows("other@example.com").shows("operator@example.com");
    page.shows("100 000").shows("nobody");
    let page = operator.get("/operator/accounts?search=OWNER%40").await;
    page.shows("owner@example.com");
    assert!(!page.html.contains("other@example.com"));
    let page = operator.get(&format!("/operator/accounts?search={}", app.other)).await;
    page.shows("other@example.com");
    assert!(!page.html.contains("owner@example.com"));
    operator.get("/operator/accounts?mode=live").await.shows("No account is like that.");
    operator.get("/operator/accounts?search=%25").await.shows("No account is like that.");
    app.admin().account_freeze(&app.other, Some("unpaid".to_owned())).await.unwrap();
    let page = operator.get("/operator/accounts?state=frozen").await;
    page.shows("other@example.com");
    assert!(!page.html.contains("owner@example.com"));
    app.admin().account_freeze(&app.other, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_go_on_where_they_ended() {
    let (app, mut operator) = operated().await;
    for at in 0..50 {
        app.admin().account_create(&format!("p{at:02}@example.com"), false, 0).await.unwrap();
    }
    let first = operator.get("/operator/accounts?mode=test").await;
    let next = first.html.split("/operator/accounts?mode=test&#38;before=").nth(1);
    let next = next.expect("another page").split('"').next().unwrap();
    assert!(!first.html.contains("other@example.com"));
    let second = operator.get(&format!("/operator/accounts?mode=test&before={next}")).await;
    second.shows("other@example.com").shows("Newest");
    assert!(!second.html.contains("p49@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_are_granted_once_by_a_reference() {
    let (app, mut operator) = operated().await;
    let path = account_path(&app);
    let grant = format!("{path}/grant");
    operator.get(&path).await.shows("owner@example.com test active").shows("100 000");
    let page = operator.submit(&grant, &[("credits", "500"), ("reference", "invoice 7")]).await;
    assert_eq!((page.status, page.location), (303, format!("{path}?done=grant")));
    assert_eq!(app.books().await, (100_500, 0));
    let by = newest(app.admin(), Some(&app.account)).await;
    assert_eq!(by, r#"operator account.granted {"credits":500,"reference":"invoice 7"}"#);
    operator.get(&path).await.shows("grant:invoice 7");
    let again = operator.submit(&grant, &[("credits", "500"), ("reference", "invoice 7")]).await;
    assert_eq!(again.location, format!("{path}?done=again"));
    operator.get(&again.location).await.shows("Nothing more was granted");
    for (credits, reference, problem) in [
        ("0", "a", "Credits must be 1 or more."),
        ("-5", "a", "Credits must be 1 or more."),
        ("five", "a", "Credits must be a whole number."),
        ("5", "", "Reference must be 1 to 200 characters without control characters."),
    ] {
        operator.get(&path).await;
        let page = operator.submit(&grant, &[("credits", credits), ("reference", reference)]).await;
        assert_eq!(page.status, 400);
        page.shows(problem);
    }
    let reused = operator.submit(&grant, &[("credits", "6"), ("reference", "invoice 7")]).await;
    assert_eq!(reused.status, 400);
    assert_eq!(app.books().await, (100_500, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_needs_the_password_once_it_was_typed_long_ago() {
    let (app, mut operator) = operated().await;
    app.advance(Duration::from_secs(900));
    let path = account_path(&app);
    let grant = format!("{path}/grant");
    assert!(operator.get(&path).await.html.contains("name=\"confirm_password\""));
    let form = [("credits", "500"), ("reference", "r")];
    let page = operator.submit(&grant, &form).await;
    assert_eq!(page.status, 401);
    page.shows("Type your password as well.");
    let wrong = operator.submit(&grant, &[form[0], form[1], ("confirm_password", "wrong")]).await;
    assert_eq!(wrong.status, 401);
    wrong.shows("That is not your password.");
    assert_eq!(app.books().await, (100_000, 0));
    let right = operator.submit(&grant, &[form[0], form[1], ("confirm_password", PASSWORD)]).await;
    assert_eq!(right.status, 303);
    assert_eq!(app.books().await, (100_500, 0));
    assert!(!operator.get(&path).await.html.contains("confirm_password"), "it counts for a while");
}

/// What lets somebody do more than before needs the operator's password; what stops needs none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_go_on_needs_the_password_once_it_was_typed_long_ago() {
    let (app, _) = operated().await;
    drop(app.owner().await);
    let owner = app.admin().owner_named("owner@example.com").await.unwrap().id.to_string();
    let (account, freeze) = (account_path(&app), format!("{}/freeze", account_path(&app)));
    let (model, live) = ([("kind", "model"), ("name", "z-image")], [("email", "a@b.c"), ("mode", "live")]);
    let provider = [("kind", "provider"), ("name", "sandbox")];
    let disable = [("owner", owner.as_str()), ("enable", "")];
    let enable = [("owner", owner.as_str()), ("enable", "1")];
    for (page, form, fields, asks) in [
        (&*account, &*freeze, [("reason", "unpaid"), ("thaw", "")].as_slice(), false),
        (&account, &freeze, [("thaw", "1")].as_slice(), true),
        ("/operator/accounts", "/operator/accounts", live.as_slice(), true),
        ("/operator/catalog", "/operator/pause", model.as_slice(), false),
        ("/operator/catalog", "/operator/resume", model.as_slice(), true),
        ("/operator/providers", "/operator/pause", provider.as_slice(), false),
        ("/operator/providers", "/operator/resume", provider.as_slice(), true),
        ("/operator/owners", "/operator/owners/disable", disable.as_slice(), true),
        ("/operator/owners", "/operator/owners/disable", enable.as_slice(), true),
    ] {
        let mut operator = app.browser();
        operator.get("/login").await;
        let right = [("email", "operator@example.com"), ("password", PASSWORD)];
        assert_eq!(operator.submit("/login", &right).await.status, 303);
        app.advance(Duration::from_secs(900));
        operator.get(page).await;
        if asks {
            for (typed, told) in
                [("", "Type your password as well."), ("wrong", "That is not your password.")]
            {
                let typed = [fields, [("confirm_password", typed)].as_slice()].concat();
                let refused = operator.submit(form, &typed).await;
                assert_eq!(refused.status, 401, "{form} {fields:?}");
                refused.shows(told).shows("Your password");
            }
        }
        let password = if asks { PASSWORD } else { "" };
        let typed = [fields, [("confirm_password", password)].as_slice()].concat();
        assert_eq!(operator.submit(form, &typed).await.status, 303, "{form} {fields:?}");
    }
    assert_eq!(app.admin().account_show(&app.account).await.unwrap().frozen_reason, None);
    assert_eq!(app.admin().pause_list().await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_frozen_made_and_given() {
    let (app, mut operator) = operated().await;
    let mut owner = app.owner().await;
    let path = account_path(&app);
    let freeze = format!("{path}/freeze");
    operator.get(&path).await;
    assert_eq!(operator.submit(&freeze, &[]).await.status, 400);
    assert_eq!(operator.submit(&freeze, &[("reason", "unpaid")]).await.status, 303);
    owner.get("/").await.shows("This account is frozen: unpaid");
    operator.get(&path).await.shows("Frozen: unpaid");
    assert_eq!(operator.submit(&freeze, &[]).await.location, format!("{path}?done=thaw"));
    assert!(!owner.get("/").await.text().contains("frozen"));

    operator.get("/operator/accounts").await;
    let made =
        operator.submit("/operator/accounts", &[("email", "Owner@example.com"), ("mode", "live")]).await;
    assert_eq!(made.status, 303);
    owner.get("/").await.shows("live · owner@example.com");
    operator.get("/operator/accounts").await;
    let twice =
        operator.submit("/operator/accounts", &[("email", "owner@example.com"), ("mode", "live")]).await;
    assert_eq!(twice.status, 400);
    twice.shows("Email has a live account already.");

    operator.get(&path).await;
    let give = format!("{path}/owner");
    operator.get(&path).await.shows("Its keys end and its agents are unbound at once, for good");
    let nobody = operator.submit(&give, &[("owner", "nobody@example.com")]).await;
    assert_eq!(nobody.status, 400);
    nobody.shows("Owner is nobody's e-mail address here; invite them first.");
    assert_eq!(operator.submit(&give, &[("owner", "operator@example.com")]).await.status, 303);
    // It is told apart from what the new owner has.
    operator.get("/").await.shows("test · operator@example.com (2)");
    assert!(!owner.get("/").await.text().contains("test · "));
}

/// The link on a page.
fn link(page: &Page) -> String {
    page.html.split("class=\"secret\">").nth(1).expect("a link").split('<').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_invited_and_invitations_canceled() {
    let (app, mut operator) = operated().await;
    let invite = "/operator/owners/invite";
    operator.get("/operator/owners").await.shows("Nobody is invited at the moment.");
    let bad = operator.submit(invite, &[("email", "nonsense")]).await;
    assert_eq!(bad.status, 400);
    let page = operator.submit(invite, &[("email", "New@example.com"), ("role", "operator")]).await;
    assert_eq!(page.status, 200);
    let first = link(&page);
    assert!(first.starts_with("https://gateway.test/invitation?ticket=ryn_ticket_"), "{first}");
    assert!(!operator.get("/operator/owners").await.html.contains("ryn_ticket_"), "it is shown once");
    let second = link(&operator.submit(invite, &[("email", "new@example.com")]).await);
    assert_eq!(app.browser().get(&first).await.status, 404, "the newest one counts");
    operator.get("/operator/owners").await.shows("new@example.com owner");
    app.advance(SECOND);
    assert_eq!(operator.submit("/operator/owners/cancel", &[]).await.status, 303);
    assert_eq!(app.browser().get(&second).await.status, 404);
    assert_eq!(newest(app.admin(), None).await, "operator owner.invitation_canceled {}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_stopped_promoted_and_helped() {
    let (app, mut operator) = operated().await;
    let mut owner = app.owner().await;
    let id = app.admin().owner_named("owner@example.com").await.unwrap().id;
    let of = [("owner", id.as_str())];
    let own = app.admin().owner_named("operator@example.com").await.unwrap().id;
    operator.get("/operator/owners").await;
    for form in ["/operator/owners/disable", "/operator/owners/role"] {
        operator.get("/operator/owners").await;
        let last = operator.submit(form, &[("owner", own.as_str()), ("role", "owner")]).await;
        assert_eq!(last.status, 400);
        last.shows("Owner is the last operator; make another one first.");
    }
    operator.get("/operator/owners").await;
    let reset = link(&operator.submit("/operator/owners/reset", &of).await);
    assert_eq!(app.browser().get(&reset).await.status, 200);
    assert_eq!(operator.submit("/operator/owners/disable", &of).await.status, 303);
    assert_eq!(owner.get("/").await.status, 303, "signed out at once");
    assert_eq!(app.browser().get(&reset).await.status, 404);
    let mut browser = app.browser();
    browser.get("/login").await;
    let right = [("email", "owner@example.com"), ("password", PASSWORD)];
    assert_eq!(browser.submit("/login", &right).await.status, 401);
    operator.get("/operator/owners").await.shows("disabled");
    assert_eq!(operator.submit("/operator/owners/disable", &[of[0], ("enable", "1")]).await.status, 303);
    browser.get("/login").await;
    assert_eq!(browser.submit("/login", &right).await.status, 303);
    assert_eq!(browser.get("/operator/owners").await.status, 404);
    operator.get("/operator/owners").await;
    app.advance(SECOND);
    assert_eq!(operator.submit("/operator/owners/role", &[of[0], ("role", "operator")]).await.status, 303);
    assert_eq!(browser.get("/operator/owners").await.status, 200, "at the next click");
    let by = newest(app.admin(), None).await;
    assert_eq!(by, r#"operator owner.promoted {"email":"owner@example.com","role":"operator"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_catalog_and_log_are_shown() {
    let (app, mut operator) = operated().await;
    let page = operator.get("/operator/providers").await;
    page.shows("sandbox active 0 0").shows("No attempt at a vendor has failed").shows("Processes");
    let page = operator.get("/operator/catalog").await;
    page.shows("2026-02-02-v1 current").shows("nano-banana-pro image").shows("4K: 40");
    page.shows("no vendor key is configured on this gateway");
    let page = operator.get("/operator/audit").await;
    page.shows("owner signed in").shows("owner joined");
    let page = operator.get(&format!("/operator/audit?account={}", app.account)).await;
    page.shows("account granted").shows("credits: 100000");
    assert_eq!(operator.get("/operator/audit?account=acct_x").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_and_providers_are_paused_and_resumed() {
    let (app, mut operator) = operated().await;
    operator.get("/operator/providers").await;
    let sandbox = [("kind", "provider"), ("name", "sandbox")];
    let page = operator.submit("/operator/pause", &[sandbox[0], sandbox[1], ("reason", "repairs")]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/operator/providers"));
    operator.get("/operator/providers").await.shows("sandbox paused").shows("paused by an operator: repairs");
    assert_eq!(operator.submit("/operator/resume", &sandbox).await.status, 303);
    operator.get("/operator/providers").await.shows("sandbox active");
    operator.get("/operator/catalog").await;
    let model = [("kind", "model"), ("name", "z-image")];
    let page = operator.submit("/operator/pause", &model).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/operator/catalog"));
    operator.get("/operator/catalog").await.shows("paused");
    let unknown = operator.post("/operator/pause", &[]).await;
    assert_eq!(unknown.status, 403, "a form without its secret");
    operator.get("/operator/catalog").await;
    assert_eq!(operator.submit("/operator/resume", &model).await.status, 303);
    assert_eq!(app.admin().pause_list().await.unwrap().len(), 0);
}

/// What strangers and agents name themselves is text on operators' pages too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_no_markup() {
    let (app, mut operator) = operated().await;
    let reason = "<script>alert(1)</script>";
    app.admin().account_freeze(&app.account, Some(reason.to_owned())).await.unwrap();
    let page = operator.get(&account_path(&app)).await;
    assert!(!page.html.contains("<script>alert"));
    page.shows(&format!("Frozen: {reason}"));
    let page = operator.get(&format!("/operator/audit?account={}", app.account)).await;
    assert!(!page.html.contains("<script>alert"));
    let page = operator.get("/operator/accounts?search=%22%3E%3Cscript%3Ealert(1)").await;
    assert!(!page.html.contains("<script>alert"));
    let link = app.admin().invite(BASE_URL, "x'onfocus=alert(1)@example.com", false).await.unwrap();
    assert!(!app.browser().get(&link).await.html.contains("value=\"x'onfocus"));
    app.admin().account_freeze(&app.account, None).await.unwrap();
}
