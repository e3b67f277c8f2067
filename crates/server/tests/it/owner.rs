//! Accounts and the people who come and go: whoever left keeps no hand in anything.
//!
//! Invariant: what was proved once is asked again when it counts. Not here: signing in (`sign_in`), what
//! operators' pages show (`operator`).

use crate::support::{
    BASE_URL, DAY, HOUR, TestApp,
    browser::PASSWORD,
    client::picture,
    shop::{SECRET, Shop, send},
};
use rynjer_core::id::OwnerId;
use rynjer_emulator::stripe_sign;
use rynjer_store::{Tx, owner};

async fn owner_id(app: &TestApp, email: &'static str) -> OwnerId {
    let read = app.admin().store.read(move |tx: &mut dyn Tx| owner::by_email(tx, email));
    let row: Result<_, rynjer_store::StoreError> = read.await;
    row.expect("the store").expect("an owner").id
}

/// A closed account takes no credits, and its owner may still sign in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_account_keeps_nobody_out() {
    let app = TestApp::sqlite().await;
    let empty = app.admin().account_create("closed@example.com", false, 0).await.unwrap().id;
    app.admin().account_close(&empty).await.unwrap();
    drop(app.invited("closed@example.com", false).await);
    let mut browser = app.browser();
    browser.get("/login").await;
    let fields = [("email", "closed@example.com"), ("password", PASSWORD)];
    assert_eq!(browser.submit("/login", &fields).await.status, 303);
}

/// An account that goes to somebody else takes its keys and agents from whoever had it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_given_away_leaves_no_hand_in_it() {
    let app = TestApp::sqlite().await;
    drop(app.owner().await);
    drop(app.invited("new@example.com", false).await);
    let to = owner_id(&app, "new@example.com").await;
    app.account_key().get("/v1/me").await.ok();
    app.admin().account_give(&app.account, &to).await.unwrap();
    assert_eq!(app.account_key().get("/v1/me").await.refusal(), "401 invalid_token");
    assert_eq!(app.agent_token().get("/v1/me").await.refusal(), "401 invalid_token");
}

/// An operator who is one no longer made invitations that count no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dismissed_operators_links_end() {
    let app = TestApp::sqlite().await;
    drop(app.operator().await);
    let mut second = app.invited("second@example.com", true).await;
    second.get("/operator/owners").await;
    let fields = [("email", "friend@example.com"), ("role", "operator"), ("operator", "yes")];
    let page = second.submit("/operator/owners/invite", &fields).await;
    let start = page.html.find("ryn_ticket_").expect("a link");
    let ticket: String = page.html[start..]
        .chars()
        .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        .collect();
    let path = format!("{BASE_URL}/invitation?ticket={ticket}");
    assert_eq!(app.browser().get(&path).await.status, 200);
    let id = owner_id(&app, "second@example.com").await;
    app.admin().owner_disable(&id, true).await.unwrap();
    assert_eq!(app.browser().get(&path).await.status, 404);
}

/// An owner stops the whole account with one click, and goes on with the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_stopped_at_once() {
    let app = TestApp::sqlite().await;
    let mut browser = app.owner().await;
    browser.get("/settings/account").await.shows("Stop everything");
    assert_eq!(browser.submit("/settings/account/pause", &[]).await.location, "/settings/account");
    assert_eq!(
        app.agent_token().post("/v1/generate", &picture("a", "b")).await.refusal(),
        "403 account_frozen"
    );
    browser.get("/").await.shows("This account is paused: nothing new is accepted.");
    app.advance(HOUR);
    browser.get("/settings/account").await.shows("Your password");
    let page =
        browser.submit("/settings/account/resume", &[("confirm_password", "wrong horse battery")]).await;
    assert_eq!(page.status, 401);
    page.shows("That is not your password.");
    let page = browser.submit("/settings/account/resume", &[("confirm_password", PASSWORD)]).await;
    assert_eq!(page.status, 303);
    app.agent_key().picture("a", "[[instant]]").await;
    let lines = app.admin().audit_lines(Some(&app.account), None, 50).await.unwrap();
    let told = |action: &str| lines.iter().filter(|line| line.action == action).count();
    assert_eq!((told("account.paused"), told("account.resumed")), (1, 1));
}

/// What is over is swept, so that guesses fill no table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_and_sessions_of_long_ago_are_swept() {
    let app = TestApp::sqlite().await;
    let mut browser = app.owner().await;
    browser.get("/").await;
    let mut stranger = app.browser();
    stranger.get("/login").await;
    stranger.submit("/login", &[("email", "nobody@example.com"), ("password", PASSWORD)]).await;
    let rows = async || {
        let read = app.admin().store.read(|tx: &mut dyn Tx| {
            let count = |tx: &mut dyn Tx, sql: &str| tx.one(sql, &[]).map(|row| row.expect("a row").int(0));
            let sessions = count(tx, "SELECT COUNT(*) FROM sessions")??;
            Ok::<_, rynjer_store::StoreError>((sessions, count(tx, "SELECT COUNT(*) FROM throttles")??))
        });
        read.await.expect("the store")
    };
    assert_eq!(rows().await, (1, 3));
    app.advance(8 * DAY);
    app.gateway().sweep().await.unwrap();
    assert_eq!(rows().await, (0, 0));
}

/// Money for an account that was closed meanwhile is told of, and heard once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_after_the_closure_is_refused_and_heard() {
    let mut shop = Shop::open().await;
    let paid = shop.paid("1000=999").await;
    shop.app.admin().account_close(&shop.account).await.unwrap();
    let body = shop.body("evt_late", "checkout.session.completed", &paid);
    for _ in 0..2 {
        let signature = stripe_sign(SECRET, shop.app.now_s(), &body);
        assert_eq!(send(&shop.app.anonymous(), &body, &[&signature]).await.status, 200);
    }
    assert_eq!(shop.books().await, (0, 0));
    let lines = shop.app.admin().audit_lines(Some(&shop.account), None, 50).await.unwrap();
    assert_eq!(lines.iter().filter(|line| line.action == "topup.refused").count(), 1);
}
