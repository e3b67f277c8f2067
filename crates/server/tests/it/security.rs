//! What owners do about their own security, and links for new passwords.
//!
//! Invariant: what a page refuses changes nothing. Not here: the second step of signing in (`second_step`).

use crate::support::{
    BASE_URL, TestApp,
    browser::{Browser, PASSWORD},
};
use std::time::Duration;

const NEW: &str = "a new and longer one";
const MINUTE: Duration = Duration::from_secs(60);

/// Somebody who signs in with a password; what came back.
async fn signed_in(app: &TestApp, password: &str) -> (Browser, u16) {
    let mut browser = app.browser();
    browser.get("/login").await;
    let page = browser.submit("/login", &[("email", "owner@example.com"), ("password", password)]).await;
    let status = page.status;
    (browser, status)
}

async fn reset_link(app: &TestApp) -> String {
    let owner = app.admin().owner_named("owner@example.com").await.unwrap();
    app.admin().reset_link(BASE_URL, &owner.id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_needs_the_old_one_and_ends_other_sessions() {
    let app = TestApp::sqlite().await;
    let mut here = app.owner().await;
    let (mut there, status) = signed_in(&app, PASSWORD).await;
    assert_eq!(status, 303);
    let waiting = reset_link(&app).await;
    here.get("/settings/security").await.shows("this browser").shows("Sign out everywhere else");

    let form = "/settings/security/password";
    let wrong = [("confirm_password", "wrong horse battery"), ("password", NEW)];
    let page = here.submit(form, &wrong).await;
    assert_eq!(page.status, 401);
    page.shows("That is not your password.");
    let page = here.submit(form, &[("confirm_password", PASSWORD), ("password", "short")]).await;
    assert_eq!(page.status, 400);
    page.shows("Password must have at least 12 characters.");
    assert_eq!(there.get("/").await.status, 200);

    let page = here.submit(form, &[("confirm_password", PASSWORD), ("password", NEW)]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/security?done=password"));
    here.get(&page.location).await.shows("signed out everywhere else");
    assert_eq!(there.get("/").await.status, 303);
    assert_eq!(app.browser().get(&waiting).await.status, 404, "links that waited are over");
    assert_eq!((signed_in(&app, PASSWORD).await.1, signed_in(&app, NEW).await.1), (401, 303));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_the_old_password_are_throttled() {
    let app = TestApp::sqlite().await;
    let mut here = app.owner().await;
    here.get("/settings/security").await;
    let form = "/settings/security/password";
    for _ in 0..10 {
        let wrong = [("confirm_password", "wrong horse battery"), ("password", NEW)];
        assert_eq!(here.submit(form, &wrong).await.status, 401);
    }
    let page = here.submit(form, &[("confirm_password", PASSWORD), ("password", NEW)]).await;
    assert_eq!((page.status, page.headers["retry-after"].to_str().unwrap()), (429, "900"));
    app.advance(15 * MINUTE);
    here.get("/settings/security").await;
    assert_eq!(here.submit(form, &[("confirm_password", PASSWORD), ("password", NEW)]).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_ended_one_by_one_or_all_but_this() {
    let app = TestApp::sqlite().await;
    let mut here = app.owner().await;
    let (mut one, _) = signed_in(&app, PASSWORD).await;
    let (mut two, _) = signed_in(&app, PASSWORD).await;
    let mut stranger = app.invited("else@example.com", false).await;
    let form = "/settings/security/sessions";
    let page = stranger.get("/settings/security").await;
    assert!(!page.text().contains("Sign out everywhere else"), "one's own sessions only");
    here.get("/settings/security").await;
    // The first form is of the newest other session.
    assert_eq!(here.submit(form, &[]).await.status, 303);
    let alive = (one.get("/").await.status == 200, two.get("/").await.status == 200);
    assert!(alive.0 != alive.1, "one of the two is over: {alive:?}");
    here.get("/settings/security").await;
    here.submit(form, &[("session", "")]).await;
    assert_eq!((one.get("/").await.status, two.get("/").await.status), (303, 303));
    assert_eq!((here.get("/").await.status, stranger.get("/").await.status), (200, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_link_works_once_within_an_hour_and_signs_out_everywhere() {
    let app = TestApp::sqlite().await;
    let mut here = app.owner().await;
    let late = reset_link(&app).await;
    app.advance(60 * MINUTE);
    assert_eq!(app.browser().get(&late).await.status, 404);
    let older = reset_link(&app).await;
    let link = reset_link(&app).await;
    let mut browser = app.browser();
    assert_eq!(browser.get(&older).await.status, 404, "only the newest one works");
    let page = browser.get(&link).await;
    assert!(page.html.contains("owner@example.com"));
    let page = browser.submit("/reset", &[("password", "short")]).await;
    assert_eq!(page.status, 400);
    page.shows("Password must have at least 12 characters.");
    let page = browser.submit("/reset", &[("password", NEW)]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/login?after=password"));
    assert!(browser.cookies.is_empty(), "nobody is signed in by it");
    browser.get(&page.location).await.shows("Your new password is set.");
    assert_eq!(here.get("/").await.status, 303);
    assert_eq!(browser.get(&link).await.status, 404);
    assert_eq!((signed_in(&app, PASSWORD).await.1, signed_in(&app, NEW).await.1), (401, 303));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_another_kind_changes_no_password() {
    let app = TestApp::sqlite().await;
    drop(app.owner().await);
    let invitation = app.admin().invite(BASE_URL, "new@example.com", false).await.unwrap();
    let ticket = invitation.split_once('=').unwrap().1.to_owned();
    let mut browser = app.browser();
    assert_eq!(browser.get(&format!("/reset?ticket={ticket}")).await.status, 404);
    let fields = [("ticket".to_owned(), ticket), ("password".to_owned(), NEW.to_owned())];
    assert_eq!(browser.post("/reset", &fields).await.status, 404);
    let link = reset_link(&app).await;
    let ticket = link.split_once('=').unwrap().1;
    assert_eq!(browser.get(&format!("/invitation?ticket={ticket}")).await.status, 404);
    let owner = app.admin().owner_named("owner@example.com").await.unwrap();
    app.admin().owner_disable(&owner.id, true).await.unwrap();
    assert_eq!(browser.get(&link).await.status, 404, "whoever is disabled gets no new password");
    assert!(app.admin().reset_link(BASE_URL, &owner.id).await.is_err());
}
