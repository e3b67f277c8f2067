//! Becoming an owner, signing in and out.
//!
//! Invariant: what a page refuses changes nothing. Not here: second factors, letters, other providers.

use crate::support::{BASE_URL, DAY, HOUR, TestApp, browser::PASSWORD};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_comes_by_a_link_that_works_once() {
    let app = TestApp::sqlite().await;
    let other_link = app.admin().setup_link(BASE_URL).await.unwrap().unwrap();
    let mut operator = app.operator().await;
    let page = operator.get("/").await;
    page.shows("Dashboard").shows("operator@example.com").shows("Available 1 000 credits");
    assert!(app.admin().setup_link(BASE_URL).await.unwrap().is_none());
    let mut late = app.browser();
    let page = late.get(&other_link).await;
    assert_eq!(page.status, 404);
    page.shows("This link no longer works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_sent_to_sign_in_and_on_to_where_they_wanted() {
    let app = TestApp::sqlite().await;
    drop(app.owner().await);
    let mut browser = app.browser();
    let page = browser.get("/").await;
    assert_eq!((page.status, page.location.as_str()), (303, "/login"));
    assert_eq!(browser.get("/en/").await.location, "/login");
    assert_eq!(browser.get("/login").await.status, 200);
    browser.get("/login?next=/%3Fa").await;
    let wrong = [("email", "owner@example.com"), ("password", "wrong horse battery")];
    let page = browser.submit("/login", &wrong).await;
    assert_eq!(page.status, 401);
    page.shows("The e-mail address, the password or the code is wrong.");
    let page = browser.submit("/login", &[("email", "Owner@Example.com "), ("password", PASSWORD)]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/?a"));
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-rynjer=ryn_session_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    browser.get("/").await.shows("100 000 credits");
    let out = browser.submit("/logout", &[]).await;
    assert_eq!((out.status, out.location.as_str()), (303, "/login?out=1"));
    assert!(browser.cookies.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_by_idleness_and_by_age() {
    let app = TestApp::sqlite().await;
    let mut browser = app.owner().await;
    for _ in 0..13 {
        app.advance(Duration::from_secs(11 * 3600));
        assert_eq!(browser.get("/").await.status, 200);
    }
    app.advance(DAY);
    assert_eq!(browser.get("/").await.status, 303);
    let mut browser = app.browser();
    browser.get("/login").await;
    browser.submit("/login", &[("email", "owner@example.com"), ("password", PASSWORD)]).await;
    for _ in 0..15 {
        app.advance(11 * HOUR);
        browser.get("/").await;
    }
    app.advance(3 * HOUR);
    assert_eq!(browser.get("/").await.status, 303, "seven days have passed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_a_person_are_throttled() {
    let app = TestApp::sqlite().await;
    drop(app.owner().await);
    let mut browser = app.browser();
    browser.get("/login").await;
    for _ in 0..10 {
        let fields = [("email", "owner@example.com"), ("password", "wrong horse battery")];
        assert_eq!(browser.submit("/login", &fields).await.status, 401);
    }
    let right = [("email", "owner@example.com"), ("password", PASSWORD)];
    let page = browser.submit("/login", &right).await;
    assert_eq!((page.status, page.headers["retry-after"].to_str().unwrap()), (429, "900"));
    app.advance(Duration::from_secs(900));
    browser.get("/login").await;
    assert_eq!(browser.submit("/login", &right).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_joins_without_leave_or_with_a_bad_password() {
    let app = TestApp::sqlite().await;
    let mut browser = app.browser();
    assert_eq!(browser.get("/signup").await.status, 404);
    let link = app.admin().invite(BASE_URL, "New@Example.com", false).await.unwrap();
    browser.get(&link).await.shows("You are invited");
    let page = browser.submit("/invitation", &[("password", "short")]).await;
    assert_eq!(page.status, 400);
    page.shows("Password must have at least 12 characters.");
    assert_eq!(browser.submit("/invitation", &[("password", PASSWORD)]).await.status, 303);
    let mut again = app.browser();
    assert_eq!(again.get(&link).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_sign_up_never_takes_what_is_somebody_elses() {
    let app = TestApp::with("[console]\nsign_up = \"open\"\nlive_accounts = true").await;
    let mut browser = app.browser();
    browser.get("/signup").await;
    // The operator made that account for somebody who has not come yet.
    let page = browser.submit("/signup", &[("email", "owner@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 400);
    page.shows("Email can't be used here; ask the operator for an invitation.");
    let page = browser.submit("/signup", &[("email", "me@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 303);
    browser.get("/").await.shows("live · me@example.com");
}
