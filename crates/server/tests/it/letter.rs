//! Letters: invitations, and links for new passwords.
//!
//! Invariant: who asks for a letter learns nothing, and its link is built from the gateway's own name. Not
//! here: TLS and other servers, which `scripts/peers` has.

use crate::support::{
    HOUR, TestApp,
    browser::{Browser, PASSWORD},
    until,
};
use rynjer_emulator::{Letter, SmtpServer};

const TOLD: &str = "If somebody with that address is here, a letter is under way to them.";
const SETTINGS: &str = "[smtp]\nurl = \"{url}\"\nuser = \"gate\"\npassword = \"s3cret=\"\nfrom = \
                        \"Gateway <gate@example.com>\"\n";

async fn served() -> (TestApp, SmtpServer) {
    let server = SmtpServer::start().await.unwrap();
    let app = TestApp::with(&SETTINGS.replace("{url}", &server.url())).await;
    (app, server)
}

async fn arrived(server: &SmtpServer, count: usize) -> Vec<Letter> {
    until("the letters have arrived", async || {
        let letters = server.letters();
        (letters.len() == count).then_some(letters)
    })
    .await
}

fn link(letter: &Letter) -> String {
    let text = letter.plain();
    let link = text.lines().find(|line| line.starts_with("https://")).expect("a link");
    link.to_owned()
}

async fn ask(browser: &mut Browser, email: &str) -> u16 {
    browser.get("/forgot").await;
    let page = browser.submit("/forgot", &[("email", email)]).await;
    if page.status == 200 {
        page.shows(TOLD);
    }
    page.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_password_is_replaced_by_a_letter() {
    let (app, server) = served().await;
    drop(app.owner().await);
    let mut browser = app.browser();
    browser.get("/login").await.shows("Forgotten the password?");
    // What the request calls the gateway counts for nothing.
    for (name, value) in [("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")] {
        browser.headers.push((name.to_owned(), value.to_owned()));
    }
    assert_eq!(ask(&mut browser, "Owner@example.com ").await, 200);
    assert_eq!(ask(&mut browser, "nobody@example.com").await, 200, "the same answer");
    let letters = arrived(&server, 1).await;
    assert_eq!((letters[0].from.as_str(), letters[0].to.as_str()), ("gate@example.com", "owner@example.com"));
    assert_eq!(letters[0].credentials, Some(("gate".to_owned(), "s3cret=".to_owned())));
    assert!(letters[0].text.contains("Subject: Your new password\n"), "{}", letters[0].text);
    assert!(!letters[0].text.contains("evil"));
    let link = link(&letters[0]);
    assert!(link.starts_with("https://gateway.test/reset?ticket=ryn_ticket_"), "{link}");
    browser.get(&link).await;
    assert_eq!(browser.submit("/reset", &[("password", PASSWORD)]).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_few() {
    let (app, server) = served().await;
    drop(app.owner().await);
    let mut browser = app.browser();
    for at in 1..=5 {
        assert_eq!(ask(&mut browser, "owner@example.com").await, 200);
        // The third is the last for an hour, and nobody is told so.
        arrived(&server, at.min(3)).await;
    }
    let letters = server.letters();
    let works = async |at: usize| app.browser().get(&link(&letters[at])).await.status;
    assert_eq!((works(0).await, works(1).await, works(2).await), (404, 404, 200));
    for at in 0..7 {
        assert_eq!(ask(&mut browser, &format!("nobody{at}@example.com")).await, 200);
    }
    browser.get("/forgot").await;
    let page = browser.submit("/forgot", &[("email", "another@example.com")]).await;
    assert_eq!((page.status, page.headers["retry-after"].to_str().unwrap()), (429, "3600"));
    app.advance(HOUR);
    assert_eq!(ask(&mut browser, "owner@example.com").await, 200);
    arrived(&server, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_disabled_gets_no_letter() {
    let (app, server) = served().await;
    drop(app.owner().await);
    let owner = app.admin().owner_named("owner@example.com").await.unwrap();
    app.admin().owner_disable(&owner.id, true).await.unwrap();
    assert_eq!(ask(&mut app.browser(), "owner@example.com").await, 200);
    drop(app);
    assert_eq!(server.letters(), Vec::new(), "the gateway waits for its letters when it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invitations_are_sent() {
    let (app, server) = served().await;
    let mut operator = app.operator().await;
    operator.get("/operator/owners").await;
    let page = operator.submit("/operator/owners/invite", &[("email", "new@example.com")]).await;
    page.shows("A letter is sent.");
    let letters = arrived(&server, 1).await;
    assert_eq!(letters[0].to, "new@example.com");
    app.browser().get(&link(&letters[0])).await.shows("You are invited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_there_is_no_such_page() {
    let app = TestApp::sqlite().await;
    let mut browser = app.browser();
    assert!(!browser.get("/login").await.html.contains("/forgot"));
    assert_eq!(browser.get("/forgot").await.status, 404);
    let fields = [("email".to_owned(), "owner@example.com".to_owned())];
    assert_eq!(browser.post("/forgot", &fields).await.status, 404);
}
