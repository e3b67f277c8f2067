//! What stands still because its owner or the operator said so.
//!
//! Invariant: a pause refuses what is new without a trace in the ledger, and lets go on what was accepted.
//! Not here: pauses of agents (`identity`).

use crate::support::{
    DAY, TestApp,
    client::picture,
    neighbour::SHARED,
    until,
    vendor::{LIVE_CREDITS, Vendors},
};
use rynjer_core::{budget::Subject, catalog::Catalog, credits::Credits, policy::Policy};
use rynjer_emulator::{Expected, Fault, Vendor};
use rynjer_server::{
    app::{Error, pause::Kind},
    gateway::Role,
};
use serde_json::{Value, json};
use std::time::Duration;

async fn pause(app: &TestApp, kind: Kind, name: &str, reason: &str) {
    let catalog = Catalog::builtin().expect("the catalog");
    app.admin().pause_set(&catalog, kind, name, reason).await.expect("paused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_by_its_owner() {
    let app = TestApp::sqlite().await;
    let (agent, admin) = (app.agent_token(), app.admin());
    agent.picture("a-1", "[[timeout]]").await;
    admin.account_pause(&app.account, true).await.expect("paused");
    let before = app.ledger().await;
    let refused = agent.post("/v1/generate", &picture("a-2", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "403 account_frozen");
    assert_eq!(refused.error()["message"], "The account is paused by its owner: nothing new is accepted");
    assert_eq!(app.ledger().await, before);
    // Reading, repeating and canceling go on.
    assert_eq!(agent.get("/v1/me").await.ok()["account"]["frozen"], true);
    agent.picture("a-1", "[[timeout]]").await;
    assert_eq!(agent.get("/v1/generate/a-1").await.status, 200);
    app.other_account().picture("a-1", "[[instant]]").await;
    // An owner can't thaw what the operator froze.
    admin.account_freeze(&app.account, Some("fraud".to_owned())).await.expect("frozen");
    let resumed = admin.account_pause(&app.account, false).await.expect("resumed");
    assert_eq!((resumed.paused_at_ms, resumed.frozen_reason.as_deref()), (None, Some("fraud")));
    let frozen = agent.post("/v1/generate", &picture("a-2", "[[instant]]")).await;
    assert_eq!(
        (frozen.refusal(), frozen.error()["message"].clone()),
        (refused.refusal(), json!("The account is frozen"))
    );
    admin.account_freeze(&app.account, None).await.expect("thawed");
    agent.picture("a-2", "[[instant]]").await;
    let lines = admin.audit_lines(Some(&app.account), None, 100).await.expect("lines");
    let told = |action: &str| lines.iter().filter(|line| line.action == action).count();
    assert_eq!(["account.paused", "account.resumed"].map(told), [1, 1]);
    app.advance(DAY);
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_by_the_operator() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    agent.picture("m-1", "[[instant]]").await;
    pause(&app, Kind::Model, "google/nano-banana", "it draws six fingers").await;
    let refused = agent.post("/v1/generate", &picture("m-2", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "400 model_unavailable");
    assert_eq!(
        refused.error()["message"],
        "The model is not available: the operator has paused it for a while (it draws six fingers)"
    );
    let alternatives = refused.error()["alternatives"].as_array().expect("a list").clone();
    assert!(alternatives.contains(&json!("z-image")) && !alternatives.contains(&json!("google/nano-banana")));
    let fast = json!({"request_id": "m-3", "model": "auto", "quality_mode": "fast", "prompt": "[[instant]]"});
    assert_eq!(agent.generate(&fast).await["model"], "xai/grok-imagine-image");
    let list = agent.get("/v1/models/list").await.ok();
    let unavailable =
        list["models"].as_array().expect("models").iter().filter(|one| one["available"] == false);
    assert_eq!(unavailable.count(), 1);
    // What was accepted before is made.
    assert_eq!(agent.finish("m-1").await["status"], "success");
    assert_eq!(app.admin().pause_clear(Kind::Model, "google/nano-banana").await, Ok(true));
    assert_eq!(app.admin().pause_clear(Kind::Model, "google/nano-banana").await, Ok(false));
    agent.picture("m-2", "[[instant]]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_waits_with_what_it_has_not_begun() {
    let mut app = TestApp::start("", Role::Api).await;
    app.agent_key().picture("s-1", "[[instant]]").await;
    app.agent_key().picture("s-2", "[[instant]]").await;
    pause(&app, Kind::Provider, "sandbox", "").await;
    let agent = app.agent_key();
    let refused = agent.post("/v1/generate", &picture("s-3", "[[instant]]")).await;
    assert_eq!(
        (refused.refusal(), refused.error()["message"].clone()),
        (
            "400 model_unavailable".to_owned(),
            json!("The model is not available: the operator has paused sandbox for a while")
        )
    );
    app.restart_as(Role::All).await;
    let agent = app.agent_key();
    for _ in 0..20 {
        app.advance(Duration::from_secs(1));
        assert_eq!(agent.poll("s-1").await["status"], "pending");
    }
    assert_eq!(agent.post("/v1/generate/s-2/cancel", &json!({})).await.status, 200);
    assert_eq!(app.admin().pause_clear(Kind::Provider, "sandbox").await, Ok(true));
    app.gateway().wake_worker();
    assert_eq!(agent.finish("s-1").await["status"], "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_vendor_is_passed_over() {
    let vendors = Vendors::with(&[Vendor::OpenAi, Vendor::Kie], "").await;
    pause(&vendors.app, Kind::Provider, "openai", "its bill").await;
    let task = vendors.made(&json!({"request_id": "v-1", "model": "gpt4o_image", "prompt": "a fox"})).await;
    assert_eq!((&task["status"], &task["served_by"]), (&json!("success"), &json!("kie/gpt-4o-image")));
    assert_eq!(vendors.emulator(Vendor::OpenAi).world().seen().len(), 0);
    pause(&vendors.app, Kind::Provider, "kie", "its bill too").await;
    let body = json!({"request_id": "v-2", "model": "gpt4o_image", "prompt": "a fox"});
    let refused = vendors.live.post("/v1/generate", &body).await;
    assert_eq!(
        (refused.refusal(), refused.error()["message"].clone()),
        (
            "400 model_unavailable".to_owned(),
            json!("The model is not available: the operator has paused openai for a while (its bill)")
        )
    );
}

/// What was accepted for a vendor that is paused before it was handed over goes on at the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_vendor_takes_what_a_paused_one_has_not_got() {
    let mut vendors = Vendors::with(&[Vendor::OpenAi, Vendor::Kie], "").await;
    vendors.app.restart_as(Role::Api).await;
    let body = json!({"request_id": "n-1", "model": "gpt4o_image", "prompt": "a fox"});
    assert_eq!(vendors.live.generate(&body).await["served_by"], "openai/gpt-image-2.6-flare");
    pause(&vendors.app, Kind::Provider, "openai", "").await;
    vendors.app.restart_as(Role::All).await;
    let task = vendors.finish("n-1").await;
    assert_eq!((&task["status"], &task["served_by"]), (&json!("success"), &json!("kie/gpt-4o-image")));
    assert_eq!(vendors.emulator(Vendor::OpenAi).world().seen().len(), 0);
}

/// A task that a vendor put off stays in the queue while that vendor is paused, and nobody else takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_paused_vendor_waits() {
    let vendors = Vendors::with(&[Vendor::OpenAi, Vendor::Kie], "[worker]\nlease_seconds = 3600").await;
    let busy = vendors.emulator(Vendor::Kie);
    let errors = Vendor::Kie.errors();
    let not_now = errors
        .into_iter()
        .find(|case| case.expected == Expected::NotNow && matches!(case.fault, Fault::Answer { .. }));
    // Held up at the last route: it has been refused once, and waits in the queue.
    pause(&vendors.app, Kind::Provider, "openai", "").await;
    busy.world().fault(not_now.expect("a documented error").fault);
    let body = json!({"request_id": "w-1", "model": "gpt4o_image", "prompt": "a fox"});
    vendors.live.generate(&body).await;
    until("it was refused", async || {
        let refused = vendors.attempts().await == 1 && vendors.at_step("queued").await == 1;
        refused.then_some(())
    })
    .await;
    pause(&vendors.app, Kind::Provider, "kie", "").await;
    let calls = busy.world().seen().len();
    for _ in 0..5 {
        vendors.app.advance(Duration::from_secs(20));
        vendors.app.gateway().wake_worker();
        assert_eq!(vendors.live.poll("w-1").await["finished_at"], Value::Null);
    }
    assert_eq!(busy.world().seen().len(), calls);
    assert_eq!(vendors.app.admin().pause_clear(Kind::Provider, "kie").await, Ok(true));
    assert_eq!(vendors.finish("w-1").await["status"], "success");
    assert_eq!(vendors.books().await.1, 0);
    assert!(vendors.books().await.0 < LIVE_CREDITS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_obeys_within_a_second() {
    let app = TestApp::with(SHARED).await;
    let second = app.neighbour(Role::Api).await;
    let there = second.bearer(app.account_key_text());
    there.picture("t-1", "[[instant]]").await;
    pause(&app, Kind::Model, "google/nano-banana", "").await;
    let policy = Policy { subject: Subject::Account, models: None, max_price: Some(Credits(30)) };
    let catalog = Catalog::builtin().expect("the catalog");
    app.admin().policy_set(&catalog, &app.account, app.account.as_str(), policy).await.expect("a policy");
    app.advance(Duration::from_secs(1));
    let refused = there.post("/v1/generate", &picture("t-2", "[[instant]]")).await;
    assert_eq!(refused.refusal(), "400 model_unavailable");
    let dear = json!({"request_id": "t-3", "model": "z-image", "prompt": "a", "units": {"count": 2}});
    assert_eq!(there.post("/v1/generate", &dear).await.refusal(), "409 price_above_max_credits");
    // An account is asked for in the accepting commit itself.
    app.admin().account_pause(&app.account, true).await.expect("paused");
    let single = json!({"request_id": "t-4", "model": "z-image", "prompt": "a"});
    assert_eq!(there.post("/v1/generate", &single).await.refusal(), "403 account_frozen");
    assert_eq!(app.admin().pause_clear(Kind::Model, "google/nano-banana").await, Ok(true));
    app.settle().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_known_names_are_paused() {
    let app = TestApp::sqlite().await;
    let catalog = Catalog::builtin().expect("the catalog");
    let model = app.admin().pause_set(&catalog, Kind::Model, "z-imag", "").await;
    assert!(
        matches!(&model, Err(Error::UnknownModel { nearest }) if nearest.contains(&"z-image".to_owned()))
    );
    let vendor = app.admin().pause_set(&catalog, Kind::Provider, "opnai", "").await;
    assert!(
        matches!(&vendor, Err(Error::Invalid(fields)) if fields[0].allowed.contains(&"openai".to_owned()))
    );
    let long = app.admin().pause_set(&catalog, Kind::Model, "z-image", &"x".repeat(201)).await;
    assert!(matches!(long, Err(Error::Invalid(_))), "{long:?}");
    assert_eq!(app.admin().pause_list().await, Ok(vec![]));
    pause(&app, Kind::Model, "z-image", "x").await;
    let lines = app.admin().audit_lines(None, None, 100).await.expect("lines");
    let line = lines.iter().find(|line| line.action == "model.paused").expect("a line");
    assert_eq!((line.subject_id.as_str(), line.detail.as_str()), ("z-image", "{\"reason\":\"x\"}"));
}
