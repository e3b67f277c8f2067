//! Choosing a model: the ranked answer, and `model: "auto"` in estimate and generate.
//!
//! Invariant: what the route recommends is what `auto` takes, and a repeated request stays the same task
//! whatever the ranking says since. Not here: the ranking itself (`core::catalog`).

use crate::support::{CREDITS, TestApp, agent::text, client::picture};
use rynjer_core::{
    catalog::Catalog,
    scope::{Scope, Scopes},
};
use serde_json::{Value, json};

const BUILTIN: &str = include_str!("../../../core/src/catalog.toml");

/// Restarts with a catalog in which another model comes first for pictures.
async fn restart_preferring(app: &mut TestApp, model: &str) {
    let text = BUILTIN.replace("models = [\"nano-banana-pro\"]", &format!("models = [\"{model}\"]"));
    let catalog = Catalog::parse(&text).expect("a catalog");
    app.admin().prices_import(&catalog, &text, app.data_dir()).await.expect("an import");
    app.restart().await;
}

fn names(answer: &Value, list: &str) -> Vec<String> {
    answer[list].as_array().expect("a list").iter().map(|one| text(one, "model")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_is_ranked_and_complete() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let before = app.ledger().await;
    let question = json!({"use_case": "E-Commerce", "units": {"count": 2, "aspect_ratio": "4:3"}});
    let answer = agent.post("/v1/models/route", &question).await.ok();
    assert_eq!(
        answer["models"][0],
        json!({
            "rank": 1, "model": "qwen/text-to-image", "product": "image", "credits": 30, "unit_price": 15,
            "price_version": "2026-02-02-v1", "available": true, "served_by": "sandbox",
            "typical_seconds": 15,
            "reason": "First choice for product pictures: clean product pictures and text inside pictures; \
                       30 credits, usually about 15 s.",
            "units": {"count": 2, "resolution": "1K", "aspect_ratio": "4:3"},
        })
    );
    assert_eq!(
        (&answer["quality_mode"], &answer["use_case"], &answer["product"], &answer["recommended"]),
        (&json!("balanced"), &json!("ecommerce"), &json!("image"), &json!("qwen/text-to-image"))
    );
    assert_eq!((&answer["mode"], answer.get("warnings")), (&json!("test"), None));
    assert_eq!(names(&answer, "models").len() + names(&answer, "not_suitable").len(), 9);
    let told = answer["not_suitable"].as_array().expect("a list").iter();
    let gpt = told.clone().find(|one| one["model"] == "gpt4o_image").expect("gpt4o_image");
    assert_eq!(gpt["reason"], "gpt4o_image has no aspect ratio \"4:3\".");

    let recommended =
        async |question: Value| agent.post("/v1/models/route", &question).await.ok()["recommended"].clone();
    for (question, expected) in [
        (json!({}), "nano-banana-pro"),
        (json!({"quality_mode": "fast"}), "google/nano-banana"),
        (json!({"quality_mode": "fast", "use_case": "product"}), "google/nano-banana"),
        (json!({"use_case": "product", "quality_mode": "high"}), "qwen/text-to-image"),
        (json!({"use_case": "product", "input_images": 1}), "qwen/image-to-image"),
        (json!({"use_case": "song"}), "V5"),
        (json!({"product": "video", "quality_mode": "high"}), "veo3"),
        (json!({"preset": "facebook_ad"}), "gpt4o_image"),
        (json!({"units": {"preset": "tiktok_video"}}), "sora-2"),
        (json!({"max_credits": 9}), "google/nano-banana"),
        (json!({"request_id": "r", "prompt": "x".repeat(10_001)}), "gpt4o_image"),
        (json!({"negative_prompt": "text"}), "qwen/text-to-image"),
    ] {
        assert_eq!(recommended(question.clone()).await, expected, "{question}");
    }
    let dear = agent.post("/v1/models/route", &json!({"max_credits": 7, "colour": 1})).await.ok();
    assert_eq!((&dear["recommended"], &dear["models"]), (&Value::Null, &json!([])));
    assert_eq!(dear["warnings"], json!(["unknown field `colour` was ignored"]));
    assert_eq!(
        dear["not_suitable"][0],
        json!({
            "model": "google/nano-banana", "reason": "It costs 8 credits, which is more than max_credits."
        })
    );
    assert_eq!(app.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_do_is_refused_with_what_they_can() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let refused = async |body: Value| {
        let answer = agent.post("/v1/models/route", &body).await;
        assert_eq!(answer.refusal(), "400 invalid_request", "{body}");
        let field = answer.error()["fields"][0].clone();
        (text(&field, "field"), text(&field, "problem"), field["allowed"].clone())
    };
    let (field, problem, allowed) = refused(json!({"use_case": "ecommerc"})).await;
    assert_eq!(field, "use_case");
    assert_eq!(problem, "is not a known use case; did you mean `ecommerce`?");
    assert_eq!(allowed.as_array().expect("words").len(), 15);
    assert_eq!(
        refused(json!({"quality_mode": "best"})).await,
        (
            "quality_mode".to_owned(),
            "must be one of the allowed values".to_owned(),
            json!(["fast", "balanced", "high"])
        )
    );
    let (field, problem, allowed) = refused(json!({"count": 3})).await;
    assert_eq!((field.as_str(), allowed), ("count", json!(["1", "2", "4", "8"])));
    assert_eq!(problem, "No image model can: google/nano-banana can't make 3 images in one request.");
    assert_eq!(refused(json!({"preset": "instagram_pots"})).await.0, "preset");
    assert_eq!(refused(json!({"max_credits": -1})).await.0, "max_credits");
    assert_eq!(
        refused(json!({"input_images": 2, "image_urls": ["https://a.example/b.png"]})).await.0,
        "input_images"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_account_without_vendors_is_told_why() {
    let app = TestApp::sqlite().await;
    let live = app.admin().account_create("live@example.com", true, 100).await.expect("an account").id;
    let key = app.admin().key_create(&live, Scopes::ALL, "k").await.expect("a key").1;
    let caller = app.bearer(key.expose());
    let answer = caller.post("/v1/models/route", &json!({})).await.ok();
    assert_eq!((&answer["recommended"], &answer["mode"]), (&Value::Null, &json!("live")));
    let reason = text(&answer["not_suitable"][0], "reason");
    assert!(reason.starts_with("Not available: "), "{reason}");
    let body = json!({"request_id": "live-1", "model": "auto", "prompt": "a"});
    assert_eq!(caller.post("/v1/generate", &body).await.refusal(), "400 model_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_takes_the_first_and_says_so() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let ask = json!({"model": "auto", "use_case": "shop"});
    let estimate = agent.post("/v1/credits/estimate", &ask).await.ok();
    assert_eq!(
        (&estimate["model"], &estimate["estimated_credits"]),
        (&json!("qwen/text-to-image"), &json!(15))
    );
    let mut body =
        json!({"request_id": "auto-1", "model": "auto", "use_case": "shop", "prompt": "[[instant]]"});
    let task = agent.generate(&body).await;
    assert_eq!((&task["model"], &task["credits"]["held"]), (&json!("qwen/text-to-image"), &json!(15)));
    let routed = json!({
        "reason": "First choice for product pictures: clean product pictures and text inside pictures; 15 \
                   credits, usually about 15 s.",
        "quality_mode": "balanced", "use_case": "ecommerce",
    });
    assert_eq!((&task["routed"], &estimate["routed"]), (&routed, &routed));
    assert_eq!(agent.finish("auto-1").await["routed"], routed);
    let named = agent.picture("named", "[[instant]]").await;
    assert_eq!(named.get("routed"), None);

    // The quality mode and the use case belong to what was asked.
    assert_eq!(agent.generate(&body).await["task_id"], task["task_id"]);
    body["quality_mode"] = json!("fast");
    let other = agent.post("/v1/generate", &body).await;
    assert_eq!(other.refusal(), "422 request_id_reused");
    assert_eq!(other.problems(), ["quality_mode: differs from the first request with this request_id"]);
    app.settle().await;
    assert_eq!(app.books().await, (CREDITS - 15 - 8, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_guides_the_choice_before_it_refuses() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let body = |request_id: &str, more: Value| {
        let mut body = json!({"request_id": request_id, "model": "auto", "prompt": "[[instant]]"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(agent.generate(&body("l-1", json!({"max_credits": 20}))).await["model"], "nano-banana-pro");
    assert_eq!(agent.generate(&body("l-2", json!({"max_credits": 19}))).await["model"], "gpt4o_image");
    assert_eq!(agent.generate(&body("l-3", json!({"max_credits": 8}))).await["model"], "google/nano-banana");
    app.settle().await;
    let before = app.ledger().await;
    let above = agent.post("/v1/generate", &body("l-4", json!({"max_credits": 7}))).await;
    assert_eq!(
        (above.refusal().as_str(), &above.error()["current_price"]),
        ("409 price_above_max_credits", &json!(8))
    );
    let estimate = json!({"model": "auto", "max_credits": 9});
    assert_eq!(agent.post("/v1/credits/estimate", &estimate).await.ok()["model"], "google/nano-banana");
    let pinned = agent.post("/v1/generate", &body("l-4", json!({"price_version": "1999"}))).await;
    assert_eq!(pinned.refusal(), "409 price_version_unknown");
    for (more, expected) in [
        (
            json!({"count": 3}),
            "count: No image model can: google/nano-banana can't make 3 images in one request.",
        ),
        (
            json!({"use_case": "nothing"}),
            "use_case: is not a known use case; take one of the allowed words, or leave it out",
        ),
        (json!({"quality_mod": "fast"}), "quality_mod: is not a field; did you mean `quality_mode`?"),
        (json!({"use_cases": "ad"}), "use_cases: is not a field; did you mean `use_case`?"),
        (
            json!({"aspect_ratio": "21:9", "negative_prompt": "a"}),
            "model: auto found no image model that does all of this at once; POST \
             /v1/models/route with the same body tells what each one lacks",
        ),
        (json!({"model": "z-image", "use_case": "ad"}), "use_case: goes with `model: \"auto\"` alone"),
    ] {
        let answer = agent.post("/v1/generate", &body("l-4", more.clone())).await;
        assert_eq!(
            (answer.refusal().as_str(), answer.problems()),
            ("400 invalid_request", vec![expected.to_owned()]),
            "{more}"
        );
    }
    assert_eq!(app.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_product_follows_the_request_and_its_scope_counts() {
    let app = TestApp::sqlite().await;
    let painter = app.scoped(&[Scope::Image]).await;
    let body = |request_id: &str, more: Value| {
        let mut body = json!({"request_id": request_id, "model": "auto", "prompt": "[[instant]]"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    for more in [
        json!({"product": "music"}),
        json!({"duration": 8}),
        json!({"scene": "text-to-video"}),
        json!({"use_case": "song"}),
    ] {
        let answer = painter.post("/v1/generate", &body("p-1", more.clone())).await;
        assert_eq!(answer.refusal(), "403 scope_not_allowed", "{more}");
    }
    assert_eq!(painter.generate(&body("p-1", json!({}))).await["product"], "image");
    let agent = app.agent_key();
    assert_eq!(agent.generate(&body("p-2", json!({"use_case": "song"}))).await["model"], "V5");
    assert_eq!(agent.generate(&body("p-3", json!({"resolution": "720p"}))).await["product"], "video");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_ranking_changes_no_task_and_no_quote() {
    let mut app = TestApp::sqlite().await;
    let agent = app.account_key();
    let ask = json!({"model": "auto", "quality_mode": "high"});
    let quote = text(&agent.post("/v1/credits/estimate", &ask).await.ok(), "quote_id");
    let first =
        json!({"request_id": "r-1", "model": "auto", "prompt": "[[instant]]", "quality_mode": "high"});
    let task = agent.generate(&first).await;
    assert_eq!(task["model"], "nano-banana-pro");
    agent.finish("r-1").await;

    restart_preferring(&mut app, "z-image").await;
    let again = agent.post("/v1/generate", &first).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let again = again.ok();
    assert_eq!((&again["task_id"], &again["model"]), (&task["task_id"], &json!("nano-banana-pro")));
    let body = |request_id: &str, more: Value| {
        let mut body = first.clone();
        body["request_id"] = json!(request_id);
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(agent.generate(&body("r-2", json!({}))).await["model"], "z-image");
    let quoted = agent.generate(&body("r-3", json!({"quote_id": quote}))).await;
    assert_eq!((&quoted["model"], &quoted["credits"]["held"]), (&json!("nano-banana-pro"), &json!(20)));
    assert_eq!(quoted["routed"]["reason"], "The quote was made for it.");
    // What the quote promises may be asked for by its name too.
    let named = body("r-4", json!({"quote_id": quote, "model": "nano-banana-pro", "quality_mode": null}));
    assert_eq!(agent.generate(&named).await["credits"]["held"], 20);

    let plain =
        text(&agent.post("/v1/credits/estimate", &json!({"model": "z-image"})).await.ok(), "quote_id");
    app.settle().await;
    let before = app.ledger().await;
    for (more, field) in [
        (json!({"quote_id": quote, "quality_mode": "fast"}), "quality_mode"),
        (json!({"quote_id": quote, "use_case": "ad"}), "use_case"),
        (json!({"quote_id": quote, "count": 2}), "units.count"),
        (json!({"quote_id": plain}), "model"),
    ] {
        let answer = agent.post("/v1/generate", &body("r-5", more)).await;
        assert_eq!(answer.refusal(), "409 quote_mismatch");
        assert_eq!(answer.error()["fields"][0]["field"], field);
    }
    let stranger = app.other_account().post("/v1/generate", &body("r-5", json!({"quote_id": quote}))).await;
    assert_eq!(stranger.refusal(), "409 quote_mismatch");
    assert_eq!(app.ledger().await, before);
    app.settle().await;
    app.advance(std::time::Duration::from_secs(15 * 60));
    let late = agent.post("/v1/generate", &body("r-5", json!({"quote_id": quote}))).await;
    assert_eq!(late.refusal(), "409 quote_expired");
    assert_eq!(agent.generate(&picture("r-6", "[[instant]]")).await["status"], "pending");
}
