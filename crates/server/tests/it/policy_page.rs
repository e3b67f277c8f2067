//! The page of policies: what an owner lets the account, an agent or a key ask for.
//!
//! Invariant: what the page shows is what the next request is held to. Not here: the rule itself (`policy`).

use crate::support::{
    HOUR, TestApp,
    browser::{Browser, PASSWORD, Page},
    client::picture,
};
use serde_json::{Value, json};

/// Policies as the command line lists them.
async fn policies(app: &TestApp) -> Vec<String> {
    let rows = app.admin().policy_list(&app.account).await.expect("policies");
    let shown = rows.iter().map(|row| {
        let models = row.policy.models.as_ref().map(|names| names.join(","));
        let price = row.policy.max_price.map(|price| price.0);
        format!("{} {models:?} {price:?}", row.policy.subject.as_str())
    });
    shown.collect()
}

/// Sends the form with these models ticked.
async fn send(
    owner: &mut Browser,
    path: &str,
    (which, models, price): (&str, &[&str], &str),
    password: &str,
) -> Page {
    let csrf = owner.csrf().await;
    let single = [("csrf", &*csrf), ("which", which), ("max_price", price), ("confirm_password", password)];
    let ticked = models.iter().map(|model| ("models", *model));
    let fields: Vec<_> =
        single.into_iter().chain(ticked).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    owner.post(path, &fields).await
}

fn dear(id: &str) -> Value {
    json!({"request_id": id, "model": "google/nano-banana", "prompt": "[[instant]]", "units": {"count": 4}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_held_to_what_its_owner_ticks() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let agent = app.agent_token();
    let page = format!("/settings/agents/{}", app.agent.id);
    let path = format!("/settings/policies/{}", app.agent.id);
    owner.get(&page).await.shows("Models all One generation any");
    let form = owner.get(&path).await;
    form.shows("What Demo Agent may ask for").shows("google/nano-banana from 8 credits").shows("Music");
    assert!(!form.html.contains("Take this away"));

    let sent = send(&mut owner, &path, ("only", &["google/nano-banana"], "16"), "").await;
    assert_eq!((sent.status, sent.location.as_str()), (303, page.as_str()));
    owner
        .get(&page)
        .await
        .shows("Models google/nano-banana One generation at most 16 credits")
        .shows("You: allowed only google/nano-banana, at most 16 credits for one generation");
    let refused =
        agent.post("/v1/generate", &json!({"request_id": "a", "model": "z-image", "prompt": "a"})).await;
    assert_eq!(refused.refusal(), "400 model_unavailable");
    assert_eq!(agent.post("/v1/generate", &dear("b")).await.refusal(), "409 price_above_max_credits");
    agent.post("/v1/generate", &picture("c", "[[instant]]")).await.ok();
    let form = owner.get(&path).await;
    assert!(form.html.contains(r#"value="google/nano-banana" checked"#), "{}", form.html);
    assert!(form.html.contains(r#"name="max_price" value="16""#));
    owner
        .get("/audit")
        .await
        .shows("allowed only google/nano-banana, at most 16 credits for one generation, for");

    owner.get(&path).await;
    assert_eq!(owner.submit(&format!("{path}/remove"), &[]).await.status, 303);
    agent.post("/v1/generate", &dear("b")).await.ok();
    assert_eq!(policies(&app).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allowing_more_needs_the_password_and_less_does_not() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    app.advance(HOUR);
    let path = format!("/settings/policies/{}", app.account);
    owner.get(&path).await.shows("Your password only needed to allow more");
    let narrow = ("only", ["z-image", "google/nano-banana"].as_slice(), "20");
    assert_eq!(send(&mut owner, &path, narrow, "").await.location, "/settings/account");
    owner
        .get("/settings/account")
        .await
        .shows("z-image, google/nano-banana One generation at most 20 credits");
    let held = policies(&app).await;
    assert_eq!(held, [r#"account Some("z-image,google/nano-banana") Some(20)"#]);
    for wider in [
        ("only", ["z-image", "V5"].as_slice(), "20"),
        ("only", ["z-image"].as_slice(), "21"),
        ("only", ["z-image"].as_slice(), ""),
        ("all", [].as_slice(), "20"),
    ] {
        for (password, told) in
            [("", "Type your password as well."), ("wrong horse battery", "That is not your password.")]
        {
            let page = send(&mut owner, &path, wider, password).await;
            assert_eq!(page.status, 401, "{wider:?}");
            page.shows(told);
        }
    }
    owner.get(&path).await;
    assert_eq!(owner.submit(&format!("{path}/remove"), &[]).await.status, 401);
    assert_eq!(policies(&app).await, held);
    assert_eq!(send(&mut owner, &path, ("only", &["z-image"], "5"), "").await.status, 303);
    assert_eq!(send(&mut owner, &path, ("all", &["z-image"], "5"), PASSWORD).await.status, 303);
    assert_eq!(policies(&app).await, ["account None Some(5)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_have_policies_too() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let keys = app.admin().key_list(&app.account).await.expect("keys");
    for (of_agent, back) in
        [(true, format!("/settings/agents/{}", app.agent.id)), (false, "/settings/apikeys".to_owned())]
    {
        let key = keys.iter().find(|key| key.agent_id.is_some() == of_agent).expect("a key");
        let path = format!("/settings/policies/{}", key.id);
        owner.get(&back).await.shows("Restrict");
        assert_eq!(send(&mut owner, &path, ("only", &["z-image"], ""), "").await.location, back);
        owner.get(&back).await.shows("z-image, any Change");
    }
    for caller in [app.account_key(), app.agent_key()] {
        let refused = caller.post("/v1/generate", &picture("k", "[[instant]]")).await;
        assert_eq!(refused.refusal(), "400 model_unavailable");
    }
    assert_eq!(policies(&app).await, [r#"key Some("z-image") None"#; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_that_say_two_things_or_belong_to_others_change_nothing() {
    let app = TestApp::sqlite().await;
    let mut owner = app.owner().await;
    let mut other = app.invited("other@example.com", false).await;
    let path = format!("/settings/policies/{}", app.agent.id);
    for (fields, told) in [
        (("all", ["z-image"].as_slice(), ""), "Models are ticked, and all are chosen"),
        (("only", [].as_slice(), ""), "Models must be at least one"),
        (("some", [].as_slice(), ""), "Which must be all models, or only those ticked."),
        (("all", [].as_slice(), "-1"), "Max price must be 0 or more."),
        (("all", [].as_slice(), "much"), "Max price must be a whole number."),
    ] {
        let page = send(&mut owner, &path, fields, "").await;
        assert_eq!(page.status, 400, "{fields:?}");
        page.shows(told).shows("What Demo Agent may ask for");
    }
    let unknown = send(&mut owner, &path, ("only", &["z-imag"], ""), "").await;
    assert_eq!(unknown.status, 400);
    for subject in [app.agent.id.as_str(), app.agent.key_id.as_str(), app.account.as_str(), "agt_x", "x"] {
        let path = format!("/settings/policies/{subject}");
        assert_eq!(other.get(&path).await.status, 404, "{subject}");
        assert_eq!(send(&mut other, &path, ("all", &[], "1"), "").await.status, 404, "{subject}");
    }
    assert_eq!(policies(&app).await, Vec::<String>::new());
}
