//! The page of budgets: every limit of an account, set, raised and taken away.
//!
//! Invariant: more can be spent only with a fresh password; what is not the account's can't be limited. Not
//! here: what limits refuse (`budget`).

use crate::{
    agent_page::log_of,
    support::{HOUR, TestApp, browser::PASSWORD, client::picture},
};

const PATH: &str = "/settings/budgets";
const ACCOUNT: &str = "/settings/budgets/account";
const REMOVE: &str = "/settings/budgets/remove";

/// All limits, as `subject period limit spent`.
async fn limits(app: &TestApp) -> Vec<String> {
    let budgets = app.admin().budget_list(&app.account).await.expect("budgets");
    let shown = budgets.iter().map(|row| {
        format!("{} {} {} {}", row.subject.as_str(), row.period.as_str(), row.limit.0, row.spent.0)
    });
    shown.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_account_agents_and_keys_are_set_and_taken_away() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.agent_key().picture("a", "[[instant]]").await;
    app.settle().await;
    owner.get(PATH).await.shows("No limit but the balance.");
    let set = owner.submit(ACCOUNT, &[("day", "10"), ("month", ""), ("total", "1000")]).await;
    assert_eq!((set.status, set.location.as_str()), (303, PATH));
    let agent = format!("agent {}", app.agent.id);
    owner
        .get(PATH)
        .await
        .shows("8 of 10 credits per day · nearly used up")
        .shows("8 of 1 000 credits in total");
    for (subject, limit, period) in
        [(&agent, "8", "total"), (&format!("key {}", app.agent.key_id), "9", "month")]
    {
        let fields = [("subject", subject.as_str()), ("limit", limit), ("period", period)];
        assert_eq!(owner.submit(PATH, &fields).await.status, 303);
    }
    assert_eq!(
        limits(&app).await,
        ["account day 10 8", "account total 1000 8", "agent total 8 8", "key month 9 8"]
    );
    owner.get(PATH).await.shows("8 of 8 credits in total · used up");
    let over = app.agent_key().post("/v1/generate", &picture("b", "[[instant]]")).await;
    assert_eq!(over.refusal(), "402 budget_exceeded");
    for (subject, period) in [(&agent, "total"), (&format!("key {}", app.agent.key_id), "month")] {
        assert_eq!(owner.submit(REMOVE, &[("subject", subject), ("period", period)]).await.status, 303);
    }
    assert_eq!(owner.submit(ACCOUNT, &[("day", ""), ("month", ""), ("total", "")]).await.status, 303);
    assert_eq!(limits(&app).await, Vec::<String>::new());
    app.agent_key().picture("c", "[[instant]]").await;
    let told = ["command_line agent.bound", "owner budget.removed", "owner budget.set"];
    assert_eq!(log_of(&app, &app.agent.id).await, told);
    let told = ["owner budget.removed", "owner budget.removed", "owner budget.set", "owner budget.set"];
    assert_eq!(log_of(&app, app.account.as_str()).await[2..], told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn less_holds_at_once_and_more_needs_the_password() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.advance(HOUR);
    let path = format!("/settings/agents/{}", app.agent.id);
    let action = format!("{path}/budgets");
    owner.get(&path).await;
    for (day, status) in [("100", 303), ("50", 303), ("50", 303), ("51", 401), ("", 401)] {
        let page = owner.submit(&action, &[("day", day)]).await;
        assert_eq!(page.status, status, "{day:?}");
        owner.get(&path).await;
    }
    assert_eq!(limits(&app).await, ["agent day 50 0"]);
    owner.get(PATH).await;
    let subject = format!("agent {}", app.agent.id);
    let remove = [("subject", subject.as_str()), ("period", "day")];
    let page = owner.submit(REMOVE, &remove).await;
    assert_eq!(page.status, 401);
    page.shows("Type your password as well.").shows("0 of 50 credits per day");
    owner.get(&path).await;
    let raise = [("day", "60"), ("month", "500"), ("confirm_password", PASSWORD)];
    assert_eq!(owner.submit(&action, &raise).await.status, 303);
    assert_eq!(limits(&app).await, ["agent day 60 0", "agent month 500 0"]);
    // The password was typed just now.
    owner.get(PATH).await;
    assert_eq!(owner.submit(REMOVE, &remove).await.status, 303);
    assert_eq!(limits(&app).await, ["agent month 500 0"]);
    let mut told = vec!["command_line agent.bound", "owner budget.removed"];
    told.extend(["owner budget.set"; 4]);
    assert_eq!(log_of(&app, &app.agent.id).await, told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gone_agent_leaves_behind_can_be_taken_away() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    owner.get(PATH).await;
    let subject = format!("agent {}", app.agent.id);
    let set = [("subject", subject.as_str()), ("limit", "5"), ("period", "day")];
    assert_eq!(owner.submit(PATH, &set).await.status, 303);
    let id = rynjer_core::id::AgentId::parse(&app.agent.id).unwrap();
    app.admin().agent_unbind(&id).await.unwrap();
    owner.get(PATH).await.shows(&format!("{} gone", app.agent.id));
    assert_eq!(owner.submit(REMOVE, &[("subject", &subject), ("period", "day")]).await.status, 303);
    assert_eq!(limits(&app).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_forms_of_the_owner_change_limits() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let mut other = app.invited("other@example.com", false).await;
    let (csrf, others) = (owner.csrf().await, other.csrf().await);
    let form = |csrf: &str, subject: &str, limit: &str| {
        let fields =
            [("csrf", csrf), ("subject", subject), ("limit", limit), ("period", "day"), ("day", limit)];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    for subject in [format!("agent {}", app.agent.id), format!("key {}", app.agent.key_id)] {
        for path in [PATH, REMOVE] {
            assert_eq!(other.post(path, &form(&others, &subject, "5")).await.status, 404, "{path}");
        }
    }
    for path in [PATH, ACCOUNT, REMOVE] {
        for wrong in ["", &others] {
            assert_eq!(owner.post(path, &form(wrong, "", "5")).await.status, 403, "{path}");
        }
    }
    for path in [ACCOUNT, REMOVE] {
        assert_eq!(owner.get(path).await.status, 405, "{path}");
    }
    let agent = format!("agent {}", app.agent.id);
    for (subject, limit, told) in [
        ("account x", "5", "Subject must be an agent or a key."),
        ("", "5", "Subject must be an agent or a key."),
        (&*agent, "", "Limit is required."),
        (&*agent, "-5", "Limit must be 0 or more."),
        (&*agent, "9223372036854775808", "Limit must be a whole number."),
    ] {
        let page = owner.post(PATH, &form(&csrf, subject, limit)).await;
        assert_eq!(page.status, 400);
        page.shows(told);
    }
    assert_eq!(limits(&app).await, Vec::<String>::new());
}
