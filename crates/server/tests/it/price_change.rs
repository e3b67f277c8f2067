//! Prices that change while quotes and pins are out.
//!
//! Invariant: a quote is a ceiling until it expires, never a floor. Not here: prices of one version
//! (`price`).

use crate::support::{TestApp, agent::text};
use rynjer_core::catalog::Catalog;
use rynjer_server::app::price::PricesError;
use serde_json::{Value, json};
use std::time::Duration;

const BUILTIN: &str = include_str!("../../../core/src/catalog.toml");
const OLD: &str = "2026-02-02-v1";
const NEW: &str = "2026-05-01-v2";
/// The version of the model that came after the public table, and what stands before it.
const ADDED: &str = "2026-11-23-v1";
const LATER: &str = "\n# Models that came later.";

/// The built-in catalog with a further version, made current, in which google/nano-banana costs that much.
fn dearer_or_cheaper(credits: i64) -> String {
    let start = BUILTIN.find("\n[[price_version]]").expect("prices");
    let (models, prices) = BUILTIN.split_at(start);
    let (old, later) = prices.split_at(prices.find(LATER).expect("the later version"));
    let price = format!("credits = {credits}\nresolutions = {{ \"1K\" = {credits} }}");
    let new = old.replace(OLD, NEW).replacen("credits = 8\nresolutions = { \"1K\" = 8 }", &price, 1);
    format!("{}{old}{later}\n{new}", models.replacen(OLD, NEW, 1))
}

/// Imports a catalog as an operator would, and restarts.
async fn import(app: &mut TestApp, catalog: &str) -> Result<Vec<(String, bool)>, PricesError> {
    let parsed = Catalog::parse(catalog).expect("a catalog");
    let imported = app.admin().prices_import(&parsed, catalog, app.data_dir()).await?;
    assert_eq!(imported.installed, app.data_dir().join("catalog.toml"));
    app.restart().await;
    Ok(imported.versions.into_iter().map(|version| (version.name, version.new)).collect())
}

fn body(request_id: &str, more: &Value) -> Value {
    let mut body = json!({"request_id": request_id, "model": "google/nano-banana", "prompt": "[[instant]]"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_holds_its_price_until_it_expires() {
    let mut app = TestApp::sqlite().await;
    let agent = app.account_key();
    let ask = json!({"model": "google/nano-banana"});
    let quote = text(&agent.post("/v1/credits/estimate", &ask).await.ok(), "quote_id");
    let versions = import(&mut app, &dearer_or_cheaper(12)).await.expect("an import");
    assert_eq!(versions, [(OLD.to_owned(), false), (ADDED.to_owned(), false), (NEW.to_owned(), true)]);

    let list = agent.get("/v1/models/list").await.ok();
    assert_eq!((&list["price_version"], &list["models"][0]["credits"]), (&json!(NEW), &json!(12)));
    assert_eq!(agent.generate(&body("now", &json!({}))).await["credits"]["held"], 12);
    assert_eq!(agent.generate(&body("pinned", &json!({"price_version": OLD}))).await["credits"]["held"], 8);
    assert_eq!(agent.generate(&body("quoted", &json!({"quote_id": quote}))).await["credits"]["held"], 8);
    app.settle().await;
    app.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(agent.generate(&body("late", &json!({"quote_id": quote}))).await["credits"]["held"], 8);
    app.settle().await;
    app.advance(Duration::from_secs(1));
    let before = app.ledger().await;
    let over = agent.post("/v1/generate", &body("over", &json!({"quote_id": quote}))).await;
    assert_eq!(over.refusal(), "409 quote_expired");
    assert_eq!(app.ledger().await, before);
    // Those that were accepted in time stay what they are.
    let again = agent.post("/v1/generate", &body("quoted", &json!({"quote_id": quote}))).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_price_is_charged_though_more_was_quoted() {
    let mut app = TestApp::sqlite().await;
    let agent = app.account_key();
    let quote = text(
        &agent.post("/v1/credits/estimate", &json!({"model": "google/nano-banana"})).await.ok(),
        "quote_id",
    );
    import(&mut app, &dearer_or_cheaper(5)).await.expect("an import");
    let task = agent.generate(&body("quoted", &json!({"quote_id": quote, "max_credits": 5}))).await;
    assert_eq!(task["credits"]["held"], 5);
    assert_eq!(agent.finish("quoted").await["credits"]["charged"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_gone_breaks_nothing() {
    let mut app = TestApp::sqlite().await;
    let agent = app.account_key();
    let quote = text(
        &agent.post("/v1/credits/estimate", &json!({"model": "google/nano-banana"})).await.ok(),
        "quote_id",
    );
    let old = agent.generate(&body("old", &json!({}))).await;
    agent.finish("old").await;
    let both = dearer_or_cheaper(12);
    let start = both.find("\n[[price_version]]").expect("prices");
    let second = both.find(LATER).expect("the later versions");
    let alone = format!("{}{}", &both[..start], &both[second..]);
    let versions = [(ADDED.to_owned(), false), (NEW.to_owned(), true)];
    assert_eq!(import(&mut app, &alone).await.expect("an import"), versions);

    assert_eq!(agent.get("/v1/models/list").await.ok()["price_version"], NEW);
    assert_eq!(agent.poll("old").await["task_id"], old["task_id"]);
    let pin = agent.post("/v1/generate", &body("pin", &json!({"price_version": OLD}))).await;
    assert_eq!(
        (pin.refusal().as_str(), &pin.error()["current_price"]),
        ("409 price_version_unknown", &json!(12))
    );
    // A quote outlives its version, also where the request names that version.
    let quoted = body("quoted", &json!({"quote_id": quote, "price_version": OLD}));
    assert_eq!(agent.generate(&quoted).await["credits"]["held"], 8);
    let before = std::fs::read_to_string(app.data_dir().join("catalog.toml")).expect("the catalog");
    assert_eq!(before, alone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_prices_under_a_stored_name_change_nothing() {
    let mut app = TestApp::sqlite().await;
    let file = BUILTIN.replacen(
        "credits = 8\nresolutions = { \"1K\" = 8 }",
        "credits = 9\nresolutions = { \"1K\" = 9 }",
        1,
    );
    // A new version before the wrong one is not stored either.
    let twice = {
        let start = file.find("\n[[price_version]]").expect("prices");
        let old = &file[start..file.find(LATER).expect("the later version")];
        format!("{}{}\n{}", &file[..start], old.replace(OLD, NEW), &file[start..])
    };
    let refused = import(&mut app, &twice).await.expect_err("a refusal").to_string();
    assert!(refused.starts_with("the prices of version 2026-02-02-v1 differ"), "{refused}");
    assert!(
        refused.contains("stored but not in the file: google/nano-banana 1K text-to-image 8"),
        "{refused}"
    );
    assert!(!app.data_dir().join("catalog.toml").exists());
    let versions = import(&mut app, &dearer_or_cheaper(12)).await.expect("an import");
    assert_eq!(versions, [(OLD.to_owned(), false), (ADDED.to_owned(), false), (NEW.to_owned(), true)]);
}
