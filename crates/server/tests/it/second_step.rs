//! The second step of signing in.
//!
//! Invariant: a password alone opens nothing once it is on, and each code works once. Not here: the codes'
//! arithmetic (`core::totp`).

use crate::support::{
    BASE_URL, TestApp,
    browser::{Browser, PASSWORD, Page},
};
use data_encoding::BASE32_NOPAD;
use rynjer_core::totp::{self, TotpKey};
use std::time::Duration;

const STEP: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// The code that the app shows now.
fn code(app: &TestApp, key: &TotpKey) -> String {
    totp::code(key, app.now_s() / 30)
}

/// The key on the page that sets it up.
fn key_on(page: &Page) -> TotpKey {
    let text = page.html.split("class=\"secret\">").nth(1).expect("a key").split('<').next().unwrap();
    BASE32_NOPAD.decode(text.replace(' ', "").as_bytes()).unwrap().try_into().unwrap()
}

/// The codes on the page that shows them.
fn codes_on(page: &Page) -> Vec<String> {
    let items = page.html.split("<li>").map(|rest| rest.split('<').next().unwrap());
    items.filter(|text| text.len() == 19 && text.matches('-').count() == 3).map(str::to_owned).collect()
}

/// The owner with the second step on: their browser, the key and the recovery codes.
async fn secured(app: &TestApp) -> (Browser, TotpKey, Vec<String>) {
    let mut here = app.owner().await;
    here.get("/settings/security").await.shows("Second step off");
    let begun = here.submit("/settings/security/second-step", &[]).await;
    let page = here.get(&begun.location).await;
    assert!(page.html.contains("<path d=\"M4 4h1v1h-1z"), "a picture for the camera");
    let key = key_on(&page);
    let enable = "/settings/security/second-step/enable";
    let wrong = here.submit(enable, &[("code", "000000")]).await;
    assert_eq!(wrong.status, 400);
    wrong.shows("Code is not the one that the app shows now.");
    let page = here.submit(enable, &[("code", &code(app, &key))]).await;
    assert_eq!(page.status, 200);
    let codes = codes_on(&page);
    assert_eq!(codes.len(), 10);
    (here, key, codes)
}

/// A browser after the password, and where it was sent.
async fn after_password(app: &TestApp) -> (Browser, Page) {
    let mut browser = app.browser();
    browser.get("/login?next=/settings/security").await;
    let right = [("email", "owner@example.com"), ("password", PASSWORD)];
    let page = browser.submit("/login", &right).await;
    (browser, page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_alone_opens_nothing() {
    let app = TestApp::sqlite().await;
    let (_, key, _) = secured(&app).await;
    let (mut browser, page) = after_password(&app).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/login/code?next=%2Fsettings%2Fsecurity"));
    let waiting = browser.cookies.clone();
    for path in ["/", "/settings/security", "/settings/security/second-step"] {
        assert!(browser.get(path).await.location.starts_with("/login"), "{path}");
    }
    browser.get(&page.location).await.shows("owner@example.com");
    assert_eq!(browser.submit("/login/code", &[("code", "000000")]).await.status, 401);
    app.advance(STEP);
    let typed = code(&app, &key);
    let page = browser.submit("/login/code", &[("code", &typed)]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/security"));
    assert_ne!(browser.cookies, waiting, "another session after the second step");
    browser.get("/settings/security").await.shows("Second step on").shows("10 recovery codes are left.");
    let mut old = app.browser();
    old.cookies = waiting;
    assert_eq!(old.get("/login/code").await.location, "/login");

    let (mut browser, page) = after_password(&app).await;
    browser.get(&page.location).await;
    let page = browser.submit("/login/code", &[("code", &typed)]).await;
    assert_eq!(page.status, 401, "each code works once");
    app.advance(10 * MINUTE);
    assert_eq!(browser.get("/login/code").await.location, "/login", "it waits for ten minutes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_codes_are_throttled_for_who_knows_the_password_too() {
    let app = TestApp::sqlite().await;
    let (_, key, _) = secured(&app).await;
    app.advance(STEP);
    for at in 0..10 {
        // Each time by a new sign-in, which the password lets begin.
        let (mut browser, page) = after_password(&app).await;
        browser.get(&page.location).await;
        assert_eq!(browser.submit("/login/code", &[("code", "000000")]).await.status, 401, "{at}");
    }
    let (mut browser, page) = after_password(&app).await;
    browser.get(&page.location).await;
    let page = browser.submit("/login/code", &[("code", &code(&app, &key))]).await;
    assert_eq!((page.status, page.headers["retry-after"].to_str().unwrap()), (429, "900"));
    app.advance(15 * MINUTE);
    let (mut browser, page) = after_password(&app).await;
    browser.get(&page.location).await;
    assert_eq!(browser.submit("/login/code", &[("code", &code(&app, &key))]).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_code_works_once() {
    let app = TestApp::sqlite().await;
    let (_, _, codes) = secured(&app).await;
    let (mut browser, page) = after_password(&app).await;
    browser.get(&page.location).await;
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert_eq!(browser.submit("/login/code", &[("code", &typed)]).await.status, 303);
    browser.get("/settings/security").await.shows("9 recovery codes are left.");
    let lines = app.admin().audit_lines(None, None, 50).await.unwrap();
    let used: Vec<_> = lines.iter().filter(|line| line.action == "owner.recovery_code_used").collect();
    assert_eq!((used.len(), used[0].detail.as_str(), used[0].address.is_some()), (1, "{\"left\":9}", true));
    let (mut other, page) = after_password(&app).await;
    other.get(&page.location).await;
    assert_eq!(other.submit("/login/code", &[("code", &codes[3])]).await.status, 401);
    browser.get("/settings/security").await;
    let page = browser.submit("/settings/security/second-step/codes", &[]).await;
    assert_eq!(codes_on(&page).len(), 10);
    let (mut other, page) = after_password(&app).await;
    other.get(&page.location).await;
    assert_eq!(other.submit("/login/code", &[("code", &codes[4])]).await.status, 401, "those are over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sensitive_changes_need_both_and_a_new_password_leaves_the_second_step() {
    let app = TestApp::sqlite().await;
    let (mut here, key, _) = secured(&app).await;
    app.advance(16 * MINUTE);
    let remove = "/settings/security/second-step/remove";
    assert!(here.get("/settings/security").await.html.contains("name=\"confirm_code\""));
    let password = ("confirm_password", PASSWORD);
    assert_eq!(here.submit(remove, &[]).await.status, 401);
    assert_eq!(here.submit(remove, &[password]).await.status, 400);
    let wrong = here.submit(remove, &[password, ("confirm_code", "000000")]).await;
    assert_eq!(wrong.status, 400);
    wrong.shows("Code is wrong, or was used already.");

    let owner = app.admin().owner_named("owner@example.com").await.unwrap();
    let link = app.admin().reset_link(BASE_URL, &owner.id).await.unwrap();
    let mut browser = app.browser();
    browser.get(&link).await;
    assert_eq!(browser.submit("/reset", &[("password", PASSWORD)]).await.status, 303);
    let (mut browser, page) = after_password(&app).await;
    browser.get(&page.location).await;
    assert_eq!(browser.submit("/login/code", &[("code", &code(&app, &key))]).await.status, 303);
    app.advance(16 * MINUTE);
    browser.get("/settings/security").await;
    let typed = code(&app, &key);
    let page = browser.submit(remove, &[password, ("confirm_code", &typed)]).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/security?done=removed"));
    let (_, page) = after_password(&app).await;
    assert_eq!(page.location, "/settings/security");
}
