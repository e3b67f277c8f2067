//! The page of the audit log.
//!
//! Invariant: an owner reads the lines of their own account alone, as sentences. Not here: that each change
//! writes its line (`history`, `sign_in` and the pages that change things).

use crate::support::TestApp;
use rynjer_core::{
    budget::{Period, Subject},
    credits::Credits,
    id::AgentId,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_sentences_with_who_and_what() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let agent = AgentId::parse(&app.agent.id).unwrap();
    app.admin().agent_pause(&agent, true).await.unwrap();
    app.admin().account_freeze(&app.account, Some("<b>late</b>".to_owned())).await.unwrap();
    app.admin().account_freeze(&app.account, None).await.unwrap();
    let page = owner.get("/audit").await;
    page.shows("The operator (command line) let this account go on");
    page.shows("The operator (command line) froze this account: <b>late</b>");
    page.shows("The operator (command line) paused agent Demo Agent");
    page.shows("made this test account");
    assert!(!page.html.contains("<b>"));
    let page = owner.get("/audit?about=agent").await;
    page.shows("paused agent Demo Agent");
    assert!(!page.text().contains("froze"));
    owner.get("/audit?about=topup").await.shows("Nothing fits.");
    assert_eq!(owner.get("/audit?about=everything").await.status, 400);
    assert_eq!(owner.get("/audit?before=1").await.status, 400);
    let mut other = app.invited("other@example.com", false).await;
    let page = other.get("/audit").await;
    page.shows("made this test account");
    assert!(!page.text().contains("Demo Agent"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_read_there_and_back() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let agent = AgentId::parse(&app.agent.id).unwrap();
    for number in 0..60 {
        let limit = Credits(number);
        let set = app.admin().budget_set(&app.account, Subject::Agent, agent.as_str(), Period::Day, limit);
        set.await.unwrap();
        app.advance(std::time::Duration::from_secs(1));
    }
    let page = owner.get("/audit?about=budget").await;
    page.shows("set a limit of 59 credits per day for Demo Agent").shows("set a limit of 10 credits");
    assert!(!page.text().contains("Newer") && !page.text().contains("a limit of 9 "));
    let page = owner.get(&link(&page.html, "before")).await;
    page.shows("set a limit of 9 credits").shows("set a limit of 0 credits").shows("Newer");
    assert!(!page.text().contains("Older"));
    let page = owner.get(&link(&page.html, "after")).await;
    page.shows("set a limit of 59 credits").shows("set a limit of 10 credits").shows("Older");
    assert!(!page.text().contains("Newer"));
}

fn link(html: &str, name: &str) -> String {
    let links = html.split("href=\"").filter_map(|rest| rest.split('"').next());
    let link = links.map(|link| link.replace("&#38;", "&")).find(|link| link.contains(&format!("&{name}=")));
    link.expect("a page beside this one")
}
