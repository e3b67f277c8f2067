//! Every form of every page: whose it is, and of which account.
//!
//! Invariant: a form that changes something says which account its page showed, and is refused once another
//! one is shown. Not here: who may send it (`matrix`), what it does (each page's own test).

use crate::{
    matrix::rows::{
        Open::{Form, OperatorForm, OperatorPage, Page as OwnerPage},
        ROWS,
    },
    support::{
        Agent, SECOND, Signer, TestApp,
        agent::text,
        browser::{Browser, PASSWORD, Page},
        shop::Shop,
    },
};
use rynjer_core::{
    budget::{Period, Subject},
    catalog::Catalog,
    credits::Credits,
    id::AgentId,
    policy::Policy,
};
use rynjer_server::app::pause::Kind;
use std::collections::BTreeSet;

/// Forms about the person alone: whichever account is shown, they mean the same.
const PERSONAL: [&str; 3] = ["/logout", "/account", "/settings/security/"];

/// Forms that are not on a page here: another service must have sent the browser back first.
const ELSEWHERE: [&str; 2] = ["/settings/security/provider", "/settings/security/provider/remove"];

fn is_personal(path: &str) -> bool {
    PERSONAL.iter().any(|own| path == *own || (own.ends_with('/') && path.starts_with(own)))
}

/// The forms of a page that change something: where they go to, and what they hold.
fn forms(html: &str) -> Vec<(String, String)> {
    let parts = html.split("<form ").skip(1).filter_map(|rest| rest.split("</form>").next());
    let changing = parts.filter(|form| form.starts_with("method=\"post\""));
    let action = |form: &str| {
        form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
    };
    changing.map(|form| (action(form).expect("an action"), form.to_owned())).collect()
}

/// Looks at the forms of a page, and keeps where they go to.
fn look(page: &Page, place: &str, account: &str, seen: &mut BTreeSet<String>) {
    assert_eq!(page.status, 200, "{place}");
    let found = forms(&page.html);
    assert!(!found.is_empty(), "{place}: one can sign out on every page");
    for (action, form) in found {
        assert!(form.contains("<input type=\"hidden\" name=\"csrf\" value=\""), "{place}: {form}");
        let own = format!("<input type=\"hidden\" name=\"account\" value=\"{account}\">");
        let says = form.contains(&own) || action == "/account";
        assert!(says, "{place}: a form does not say which account it is of: {form}");
        seen.insert(action);
    }
}

/// Whether an address is one of a route such as `/tasks/{task_id}/cancel`.
fn is_of(route: &str, path: &str) -> bool {
    let (route, path) = (route.split('/'), path.split('/'));
    route.clone().count() == path.clone().count()
        && route.zip(path).all(|(name, part)| name.starts_with('{') || name == part)
}

/// An account where something of everything is.
async fn furnished(app: &TestApp) -> (String, String) {
    let admin = app.admin();
    let catalog = Catalog::builtin().expect("the catalog");
    app.agent_key().picture("f-1", "[[instant]]").await;
    let over = text(&app.agent_key().finish("f-1").await, "task_id");
    let budget =
        admin.budget_set(&app.account, Subject::Account, app.account.as_str(), Period::Total, Credits(20));
    budget.await.expect("a budget");
    admin
        .budget_set(&app.account, Subject::Agent, &app.agent.id, Period::Day, Credits(900))
        .await
        .expect("a budget");
    let open = text(&app.account_key().picture("f-2", "[[timeout]]").await, "task_id");
    let policy = Policy { max_price: Some(Credits(50)), ..Policy::none(Subject::Agent) };
    admin.policy_set(&catalog, &app.account, &app.agent.id, policy).await.expect("a policy");
    admin.pause_set(&catalog, Kind::Model, "z-image", "").await.expect("paused");
    admin.invite(crate::support::BASE_URL, "somebody@example.com", false).await.expect("an invitation");
    // The account that is shown is the oldest; of one millisecond they are in no order.
    app.advance(SECOND);
    admin.account_create_for("owner@example.com", true).await.expect("a second account");
    (over, open)
}

/// Every page of the console, at an address of its own.
fn pages(app: &TestApp, (over, open): &(String, String)) -> Vec<String> {
    let shown = ROWS.iter().filter(|row| row.0 == "GET" && matches!(row.2, OwnerPage | OperatorPage));
    let mut paths = Vec::new();
    for (_, route, _) in shown {
        let filled = |task: &str| {
            let path = route.replace("{agent_id}", &app.agent.id).replace("{subject_id}", &app.agent.id);
            path.replace("{account_id}", app.account.as_str()).replace("{task_id}", task)
        };
        paths.push(filled(over));
        if route.contains("{task_id}") {
            paths.push(filled(open));
        }
    }
    // Parts of pages and tables, and what leads to another service, have no frame.
    paths.retain(|path| !["/running", "/usage.csv", "/settings/security/provider"].contains(&&**path));
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_says_which_account_it_is_of() {
    let app = TestApp::sqlite().await;
    let mut owner = app.invited("owner@example.com", true).await;
    let tasks = furnished(&app).await;
    let mut there = app.browser();
    there.get("/login").await;
    let right = [("email", "owner@example.com"), ("password", PASSWORD)];
    assert_eq!(there.submit("/login", &right).await.status, 303);
    let (account, mut seen) = (app.account.as_str(), BTreeSet::new());
    // First as everything goes on, then as everything is stopped.
    let agent = AgentId::parse(&app.agent.id).expect("an id");
    for stopped in [false, true] {
        app.admin().agent_pause(&agent, stopped).await.expect("changed");
        app.admin().account_pause(&app.account, stopped).await.expect("changed");
        app.admin().account_freeze(&app.account, stopped.then(|| "x".to_owned())).await.expect("changed");
        for path in pages(&app, &tasks) {
            let page = owner.get(&path).await;
            if page.status == 303 && path == "/settings/security/second-step" {
                continue;
            }
            look(&page, &path, account, &mut seen);
        }
        if !stopped {
            second_step(&app, &mut owner, &mut seen).await;
        }
    }
    app.admin().account_freeze(&app.account, None).await.expect("thawed");
    let waiting = Agent::registered(&app.anonymous(), Signer::at(61, app.now_s())).await;
    owner.get("/settings/agents/bind").await;
    look(
        &owner.submit("/settings/agents/bind", &[("code", &waiting.code)]).await,
        "consent",
        account,
        &mut seen,
    );
    let mut shop = Shop::open().await;
    look(&shop.owner.get("/topup").await, "top-up", shop.account.as_str(), &mut seen);
    let forms = ROWS.iter().filter(|row| row.0 == "POST" && matches!(row.2, Form | OperatorForm));
    let unseen: Vec<_> = forms
        .map(|row| row.1)
        .filter(|route| !ELSEWHERE.contains(route) && !seen.iter().any(|path| is_of(route, path)))
        .collect();
    assert!(unseen.is_empty(), "forms that no page showed: {unseen:?}");
}

/// The pages of setting up the second step.
async fn second_step(app: &TestApp, owner: &mut Browser, seen: &mut BTreeSet<String>) {
    owner.get("/settings/security").await;
    let begun = owner.submit("/settings/security/second-step", &[]).await;
    let page = owner.get(&begun.location).await;
    look(&page, "second step", app.account.as_str(), seen);
    let key =
        page.html.split("class=\"secret\">").nth(1).and_then(|rest| rest.split('<').next()).expect("a key");
    let key = data_encoding::BASE32_NOPAD.decode(key.replace(' ', "").as_bytes()).expect("base 32");
    let code = rynjer_core::totp::code(&key.try_into().expect("a key"), app.now_s() / 30);
    let page = owner.submit("/settings/security/second-step/enable", &[("code", &code)]).await;
    look(&page, "recovery codes", app.account.as_str(), seen);
    look(&owner.get("/settings/security").await, "security", app.account.as_str(), seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_an_account_that_is_not_shown_any_more_changes_nothing() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.advance(SECOND);
    let live = app.admin().account_create_for("owner@example.com", true).await.expect("a live account");
    let csrf = owner.csrf().await;
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let before = app.admin().audit_lines(Some(&app.account), None, 100).await.expect("lines").len();
    for (_, route, _) in ROWS.iter().filter(|row| row.0 == "POST" && row.2 == Form && !is_personal(row.1)) {
        let path = route.replace("{agent_id}", &app.agent.id).replace("{subject_id}", &app.agent.id);
        let path = path.replace("{key_id}", &app.agent.key_id).replace("{task_id}", "task_x");
        for account in [live.as_str(), app.other.as_str(), ""] {
            let page = owner.post(&path, &[field("csrf", &csrf), field("account", account)]).await;
            assert_eq!(page.status, 409, "{path} {account}");
            page.shows("Another account is shown now").shows("Nothing was changed.");
            let own = page.text().contains("The form that you sent was of owner@example.com live");
            assert_eq!(own, account == live.as_str(), "{path} {account}: {}", page.text());
            assert!(!page.html.contains("other@example.com"), "{path}");
        }
    }
    assert_eq!(app.admin().audit_lines(Some(&app.account), None, 100).await.expect("lines").len(), before);
    // One click goes over to the account that was meant, and the form is good there.
    owner.get("/settings/account").await;
    let stale = [("account", live.as_str())];
    let page = owner.submit("/settings/account/pause", &stale).await;
    assert!(page.html.contains(&format!("<button>Show {} (live)</button>", "owner@example.com")));
    let fields = [field("csrf", &csrf), field("account", live.as_str())];
    assert_eq!(owner.post("/account", &fields).await.status, 303);
    assert_eq!(owner.post("/settings/account/pause", &fields).await.status, 303);
    let paused = app.admin().account_show(&live).await.expect("the account").paused_at_ms;
    assert_eq!(paused, Some(app.now_ms()));
    assert_eq!(app.admin().account_show(&app.account).await.expect("the account").paused_at_ms, None);
}
