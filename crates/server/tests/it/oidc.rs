//! Sign-in by an OpenID Connect provider.
//!
//! Invariant: only the signed token of this very sign-in lets anybody in, and an e-mail address alone opens
//! no account that is there. Not here: a provider that is not ours, which `scripts/peers` has.

use crate::support::{
    BASE_URL, TestApp,
    browser::{Browser, PASSWORD, Page},
};
use rynjer_emulator::{OIDC_CLIENT, OidcPerson, OidcProvider};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn served(more: &str) -> (TestApp, OidcProvider) {
    let provider = OidcProvider::start().await.unwrap();
    let (id, secret) = OIDC_CLIENT;
    let settings = format!(
        "[oidc]\nissuer = \"{}\"\nclient_id = \"{id}\"\nclient_secret = \"{secret}\"\n\
         name = \"Example ID\"\n{more}",
        provider.issuer()
    );
    (TestApp::with(&settings).await, provider)
}

fn person(subject: &str, email: &str) -> OidcPerson {
    OidcPerson {
        subject: subject.to_owned(),
        email: email.to_owned(),
        email_verified: true,
        ..OidcPerson::default()
    }
}

/// What the provider sends a browser back to.
async fn at_provider(url: &str) -> String {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let back = answer.lines().find_map(|line| line.strip_prefix("location: "));
    back.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// What the log says of identities, newest first.
async fn identities(app: &TestApp) -> Vec<String> {
    let lines = app.admin().audit_lines(None, None, 100).await.unwrap();
    let of_identity = lines.iter().filter(|line| line.action.starts_with("owner.identity"));
    of_identity.map(|line| format!("{} {} {}", line.actor_kind, line.action, line.detail)).collect()
}

fn linked(provider: &OidcProvider, subject: &str) -> String {
    let detail = json!({"issuer": provider.issuer(), "subject": subject});
    format!("owner owner.identity_linked {detail}")
}

/// Goes to the provider and comes back.
async fn round_trip(browser: &mut Browser, from: &str) -> Page {
    let away = browser.get(from).await;
    assert_eq!(away.status, 303);
    let back = at_provider(&away.location).await;
    browser.get(&back).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_invited_comes_in_by_the_provider() {
    let (app, provider) = served("").await;
    app.admin().invite(BASE_URL, "owner@example.com", false).await.unwrap();
    provider.set_person(person("s-1", "Owner@example.com"));
    let mut browser = app.browser();
    browser.get("/login").await.shows("Sign in by Example ID");
    let page = round_trip(&mut browser, "/login/oidc?next=/settings/security").await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/security"), "{}", page.text());
    browser.get("/").await.shows("100 000 credits");
    assert_eq!(identities(&app).await, [linked(&provider, "s-1")]);
    browser.get("/settings/security").await.shows("Example ID linked");
    assert!(!browser.cookies.keys().any(|name| name.contains("flow")), "{:?}", browser.cookies);
    // Again by the same identity, whatever its address is now.
    provider.set_person(person("s-1", "renamed@example.com"));
    let mut again = app.browser();
    assert_eq!(round_trip(&mut again, "/login/oidc").await.status, 303);
    again.get("/").await.shows("owner@example.com");
    let id = app.admin().owner_named("owner@example.com").await.unwrap().id;
    app.admin().owner_disable(&id, true).await.unwrap();
    assert_eq!(round_trip(&mut app.browser(), "/login/oidc").await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_alone_opens_nothing() {
    let (app, provider) = served("allowed_domains = [\"corp.example\"]\n").await;
    drop(app.owner().await);
    app.admin().invite(BASE_URL, "invited@example.com", true).await.unwrap();
    for (email, verified, says) in [
        ("owner@example.com", true, "Sign in with your password first"),
        ("nobody@example.com", true, "Nobody invited that identity here"),
        ("invited@example.com", false, "Nobody invited that identity here"),
        ("me@corp.example", false, "Nobody invited that identity here"),
        ("me@sub.corp.example", true, "Nobody invited that identity here"),
    ] {
        provider.set_person(OidcPerson { email_verified: verified, ..person("s-2", email) });
        let mut browser = app.browser();
        let page = round_trip(&mut browser, "/login/oidc").await;
        assert_eq!(page.status, 400, "{email}");
        page.shows(says);
        assert_eq!(browser.get("/").await.status, 303);
    }
    provider.set_person(person("s-3", "me@corp.example"));
    let mut browser = app.browser();
    assert_eq!(round_trip(&mut browser, "/login/oidc").await.status, 303);
    browser.get("/").await.shows("me@corp.example");
    assert_eq!(browser.get("/operator/owners").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_counts_in_the_browser_that_went() {
    let (app, provider) = served("allowed_domains = [\"corp.example\"]\n").await;
    provider.set_person(person("s-4", "me@corp.example"));
    let mut went = app.browser();
    let away = went.get("/login/oidc").await;
    assert!(away.location.contains("redirect_uri=https%3A%2F%2Fgateway.test%2Flogin%2Foidc%2Fcallback"));
    assert!(away.location.contains("code_challenge_method=S256"));
    let back = at_provider(&away.location).await;
    // A link that is sent to somebody else.
    let mut victim = app.browser();
    assert_eq!(victim.get(&back).await.status, 400);
    victim.get("/login/oidc").await;
    assert_eq!(victim.get(&back).await.status, 400, "with a flow of their own");
    let forged = back.replace("state=", "state=x");
    assert_eq!(went.get(&forged).await.status, 400);
    assert_eq!(went.get("/login/oidc/callback").await.status, 400);
    assert_eq!(went.get(&back).await.status, 303, "{back}");
    let mut late = app.browser();
    let away = late.get("/login/oidc").await;
    let back = at_provider(&away.location).await;
    app.advance(Duration::from_secs(600));
    assert_eq!(late.get(&back).await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_lie_are_refused() {
    let (app, provider) = served("allowed_domains = [\"corp.example\"]\n").await;
    let honest = person("s-5", "me@corp.example");
    let lies = [
        ("nonce", json!("another")),
        ("aud", json!("another client")),
        ("iss", json!("https://evil.example")),
        ("exp", json!(1_700_000_000)),
    ];
    for (name, value) in lies {
        provider.set_person(OidcPerson { lie: Some((name.to_owned(), value)), ..honest.clone() });
        let page = round_trip(&mut app.browser(), "/login/oidc").await;
        assert_eq!(page.status, 400, "{name}");
        page.shows("The sign-in at the provider did not work; begin again.");
    }
    provider.set_person(OidcPerson { foreign_key: true, ..honest });
    assert_eq!(round_trip(&mut app.browser(), "/login/oidc").await.status, 400);
    assert!(app.admin().owner_list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_links_an_identity_and_takes_it_away() {
    let (app, provider) = served("").await;
    let mut owner = app.owner().await;
    provider.set_person(person("s-6", "other-name@example.net"));
    let page = round_trip(&mut owner, "/settings/security/provider").await;
    assert_eq!(page.status, 200);
    page.shows("other-name@example.net at Example ID signs in as owner@example.com here");
    assert_eq!(round_trip(&mut app.browser(), "/login/oidc").await.status, 400, "not before the yes");
    owner.get("/").await;
    let page = round_trip(&mut owner, "/settings/security/provider").await;
    assert_eq!(page.status, 200);
    let page = owner.submit("/settings/security/provider", &[]).await;
    assert_eq!(page.location, "/settings/security?done=linked");
    let mut browser = app.browser();
    assert_eq!(round_trip(&mut browser, "/login/oidc").await.status, 303);
    browser.get("/").await.shows("owner@example.com");
    // What was meant for one person is not another's.
    let mut other = app.invited("other@example.com", false).await;
    let page = round_trip(&mut other, "/settings/security/provider").await;
    assert_eq!(page.status, 200);
    let page = other.submit("/settings/security/provider", &[]).await;
    assert_eq!(page.status, 400);
    page.shows("That identity belongs to somebody else here.");
    owner.get("/settings/security").await;
    let page = owner.submit("/settings/security/provider/remove", &[]).await;
    assert_eq!(page.location, "/settings/security?done=unlinked");
    assert_eq!(round_trip(&mut app.browser(), "/login/oidc").await.status, 400);
    let gone = "owner owner.identity_unlinked {\"subject\":\"s-6\"}".to_owned();
    assert_eq!(identities(&app).await, [gone, linked(&provider, "s-6")]);
}

/// A provider that knows its user asks nothing: that is no typed password, whoever sits there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_round_trip_confirms_nothing() {
    let (app, provider) = served("").await;
    app.admin().invite(BASE_URL, "owner@example.com", false).await.unwrap();
    let honest = person("s-7", "owner@example.com");
    let asked_at = |ago_s: i64| OidcPerson {
        lie: Some(("auth_time".to_owned(), json!(app.now_s() - ago_s))),
        ..honest.clone()
    };
    let never = OidcPerson { lie: Some(("auth_time".to_owned(), json!(null))), ..honest.clone() };
    // What a dangerous act says after such a sign-in.
    let act = async |from: &str, person: OidcPerson| {
        provider.set_person(person);
        let mut browser = app.browser();
        assert_eq!(round_trip(&mut browser, from).await.status, 303);
        browser.get("/settings/apikeys").await;
        let fields = [("name", "ci"), ("scopes", "image"), ("expires_in_days", "30"), ("period", "total")];
        browser.submit("/settings/apikeys", &fields).await.status
    };
    for (from, person, status) in [
        ("/login/oidc", asked_at(0), 401),
        ("/login/oidc", asked_at(3600), 401),
        ("/login/oidc?anew=1", asked_at(601), 401),
        ("/login/oidc?anew=1", never, 401),
        ("/login/oidc?anew=1", asked_at(599), 200),
    ] {
        let shown = format!("{from} {:?}", person.lie);
        assert_eq!(act(from, person).await, status, "{shown}");
    }
    // It was asked for: the provider must ask its user again.
    let away = app.browser().get("/login/oidc?anew=1").await.location;
    assert!(away.contains("max_age=0") && away.contains("prompt=login"), "{away}");
    assert!(!app.browser().get("/login/oidc").await.location.contains("max_age"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_there_is_no_such_page() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    for path in ["/login/oidc", "/login/oidc/callback"] {
        assert_eq!(owner.get(path).await.status, 404, "{path}");
    }
    assert_eq!(owner.get("/settings/security/provider").await.location, "/settings/security");
    let mut browser = app.browser();
    assert!(!browser.get("/login").await.html.contains("/login/oidc"));
    let right = [("email", "owner@example.com"), ("password", PASSWORD)];
    assert_eq!(browser.submit("/login", &right).await.status, 303);
}
