//! Owners' policies: which models a caller may use, and what one generation may cost.
//!
//! Invariant: what a policy forbids costs nothing and uses up no id; what was accepted before is still
//! answered. Not here: the rule (`core::policy`), how policies are stored (`store`).

use crate::support::{TestApp, client::picture};
use rynjer_core::{budget::Subject, catalog::Catalog, credits::Credits, policy::Policy};
use rynjer_server::app::Error;
use serde_json::{Value, json};

async fn set(app: &TestApp, subject: Subject, models: Option<&[&str]>, max_price: Option<i64>) {
    let id = match subject {
        Subject::Account => app.account.to_string(),
        Subject::Agent => app.agent.id.clone(),
        Subject::Key => app.agent.key_id.clone(),
    };
    let models = models.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let policy = Policy { subject, models, max_price: max_price.map(Credits) };
    let catalog = Catalog::builtin().expect("the catalog");
    app.admin().policy_set(&catalog, &app.account, &id, policy).await.expect("a policy");
}

fn named(list: &Value, model: &str) -> Value {
    let models = list["models"].as_array().expect("models").iter();
    models.clone().find(|one| one["model"] == model).expect("the model").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_an_owner_allows() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let kept = agent.picture("p-0", "[[instant]]").await;
    agent.finish("p-0").await;
    set(&app, Subject::Account, Some(&["z-image", "nano-banana-pro", "V4"]), None).await;
    set(&app, Subject::Agent, Some(&["z-image", "google/nano-banana", "V4"]), None).await;
    let before = app.ledger().await;
    for (model, whose) in [("google/nano-banana", "account"), ("nano-banana-pro", "agent")] {
        let body = json!({"request_id": "p-1", "model": model, "prompt": "[[instant]]"});
        let refused = agent.post("/v1/generate", &body).await;
        assert_eq!(refused.refusal(), "400 model_unavailable");
        let message =
            format!("The model is not available: the owner's policy for this {whose} does not allow it");
        assert_eq!(refused.error()["message"], message);
        assert_eq!(refused.error()["alternatives"], json!(["z-image"]));
    }
    assert_eq!(app.ledger().await, before);
    // A name that does not exist is that first.
    let unknown = json!({"request_id": "p-1", "model": "z-imag", "prompt": "a"});
    assert_eq!(agent.post("/v1/generate", &unknown).await.refusal(), "400 unknown_model");
    // A repetition is its task; the refused id is free.
    assert_eq!(agent.generate(&picture("p-0", "[[instant]]")).await["task_id"], kept["task_id"]);
    agent.generate(&json!({"request_id": "p-1", "model": "z-image", "prompt": "[[instant]]"})).await;

    let list = agent.get("/v1/models/list").await.ok();
    let forbidden = named(&list, "google/nano-banana");
    assert_eq!(
        (&forbidden["available"], &forbidden["reason_unavailable"]),
        (&json!(false), &json!("the owner's policy for this account does not allow it"))
    );
    assert_eq!(named(&list, "z-image")["available"], true);
    let routed = agent.post("/v1/models/route", &json!({})).await.ok();
    assert_eq!(
        (&routed["recommended"], routed["models"].as_array().map(Vec::len)),
        (&json!("z-image"), Some(1))
    );
    let auto = json!({"request_id": "p-2", "model": "auto", "prompt": "[[instant]]"});
    assert_eq!(agent.generate(&auto).await["model"], "z-image");
    // The owner's own key is bound by the account's policy alone; another account by none.
    app.account_key()
        .generate(&json!({"request_id": "p-3", "model": "nano-banana-pro", "prompt": "a"}))
        .await;
    app.other_account().picture("p-4", "[[instant]]").await;
    set(&app, Subject::Account, None, None).await;
    set(&app, Subject::Agent, None, None).await;
    agent.picture("p-5", "[[instant]]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_that_one_generation_may_cost() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    set(&app, Subject::Key, None, Some(16)).await;
    let body = |count: u32| {
        json!({"request_id": format!("m-{count}"), "model": "google/nano-banana", "prompt": "[[instant]]",
            "units": {"count": count}})
    };
    let refused = agent.post("/v1/generate", &body(4)).await;
    assert_eq!(refused.refusal(), "409 price_above_max_credits");
    assert_eq!(
        (refused.error()["message"].clone(), refused.error()["current_price"].clone()),
        (
            json!(
                "It costs 32 credits, and the owner's policy for this key allows at most 16 for one \
                 generation"
            ),
            json!(32)
        )
    );
    agent.generate(&body(2)).await;
    // `auto` takes what the owner allows, and says so where nothing is left.
    let routed = agent.post("/v1/models/route", &json!({})).await.ok();
    assert_eq!(routed["recommended"], "gpt4o_image");
    let dear = routed["not_suitable"].as_array().expect("a list").iter();
    let pro = dear.clone().find(|one| one["model"] == "nano-banana-pro").expect("nano-banana-pro");
    assert_eq!(pro["reason"], "It costs 20 credits, and the owner's policy allows at most 16.");
    let song = json!({"request_id": "m-song", "model": "auto", "product": "music", "prompt": "a"});
    assert_eq!(agent.post("/v1/generate", &song).await.refusal(), "409 price_above_max_credits");
    let asked = json!({"model": "nano-banana-pro"});
    let estimate = agent.post("/v1/credits/estimate", &asked).await.ok();
    assert_eq!((&estimate["estimated_credits"], &estimate["affordable"]), (&json!(20), &json!(false)));
    // An agent's token hangs on its key, and the account's own key does not.
    assert_eq!(
        app.agent_token().post("/v1/generate", &body(8)).await.refusal(),
        "409 price_above_max_credits"
    );
    app.account_key().generate(&body(8)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_set_with_known_names_for_ones_own() {
    let app = TestApp::sqlite().await;
    let catalog = Catalog::builtin().expect("the catalog");
    let policy = |models: &[&str], max_price| Policy {
        subject: Subject::Agent,
        models: Some(models.iter().map(|name| (*name).to_owned()).collect()),
        max_price,
    };
    let admin = app.admin();
    let misspelt = admin.policy_set(&catalog, &app.account, &app.agent.id, policy(&["z-imag"], None)).await;
    assert!(
        matches!(&misspelt, Err(Error::UnknownModel { nearest }) if nearest.contains(&"z-image".to_owned()))
    );
    let negative = policy(&["z-image"], Some(Credits(-1)));
    let negative = admin.policy_set(&catalog, &app.account, &app.agent.id, negative).await;
    assert!(matches!(negative, Err(Error::Invalid(_))), "{negative:?}");
    let foreign = admin.policy_set(&catalog, &app.other, &app.agent.id, policy(&["z-image"], None)).await;
    assert!(matches!(foreign, Err(Error::Invalid(_))), "{foreign:?}");
    let set = admin.policy_set(&catalog, &app.account, &app.agent.id, policy(&["z-image"], None)).await;
    assert_eq!(set.expect("a policy").len(), 1);
    let lines = admin.audit_lines(Some(&app.account), None, 100).await.expect("lines");
    let line = lines.iter().find(|line| line.action == "policy.set").expect("a line");
    assert_eq!(line.subject_id, app.agent.id);
    assert_eq!(line.detail, "{\"max_price\":null,\"models\":[\"z-image\"]}");
}
