//! What is estimated is what is held is what is charged, for everything that can be bought.
//!
//! Invariant: unit prices stand here a second time, worked out by hand from the published tables. Not here:
//! how prices are computed (`core::catalog`).

use crate::support::{
    TestApp,
    agent::text,
    png::{data_uri, png},
};
use rynjer_core::catalog::{Catalog, Combination};
use serde_json::{Value, json};

/// Scene, resolution, and what one unit costs there.
type UnitPrice = (&'static str, &'static str, i64);

const UNIT_PRICES: &[(&str, &[UnitPrice])] = &[
    ("google/nano-banana", &[("text-to-image", "1K", 8), ("image-to-image", "1K", 8)]),
    (
        "nano-banana-pro",
        &[
            ("text-to-image", "1K", 20),
            ("text-to-image", "2K", 20),
            ("text-to-image", "4K", 40),
            ("image-to-image", "1K", 20),
            ("image-to-image", "2K", 20),
            ("image-to-image", "4K", 40),
        ],
    ),
    ("gpt4o_image", &[("text-to-image", "1K", 10), ("image-to-image", "1K", 10)]),
    ("qwen/text-to-image", &[("text-to-image", "1K", 15)]),
    ("qwen/image-to-image", &[("image-to-image", "1K", 15)]),
    ("xai/grok-imagine-image", &[("text-to-image", "1K", 20), ("text-to-image", "2K", 20)]),
    ("xai/grok-imagine-image/edit", &[("image-to-image", "1K", 20), ("image-to-image", "2K", 20)]),
    ("z-image", &[("text-to-image", "1K", 20)]),
    (
        "sora-2",
        &[
            ("text-to-video", "720p", 10),
            ("text-to-video", "1080p", 18),
            ("image-to-video", "720p", 15),
            ("image-to-video", "1080p", 27),
        ],
    ),
    (
        "sora-2-pro",
        &[
            ("text-to-video", "720p", 330),
            ("text-to-video", "1080p", 594),
            ("image-to-video", "720p", 495),
            ("image-to-video", "1080p", 891),
        ],
    ),
    (
        "veo3_fast",
        &[
            ("text-to-video", "720p", 50),
            ("text-to-video", "1080p", 90),
            ("image-to-video", "720p", 75),
            ("image-to-video", "1080p", 135),
        ],
    ),
    (
        "veo3",
        &[
            ("text-to-video", "720p", 280),
            ("text-to-video", "1080p", 350),
            ("image-to-video", "720p", 420),
            ("image-to-video", "1080p", 525),
        ],
    ),
    (
        "doubao-seedance-1.0-pro-fast",
        &[
            ("text-to-video", "720p", 40),
            ("text-to-video", "1080p", 72),
            ("image-to-video", "720p", 60),
            ("image-to-video", "1080p", 108),
        ],
    ),
    (
        "wan-2.6",
        &[
            ("text-to-video", "720p", 20),
            ("text-to-video", "1080p", 300),
            ("image-to-video", "720p", 30),
            ("image-to-video", "1080p", 450),
        ],
    ),
    ("fal-ai/ltx-2/image-to-video", &[("image-to-video", "1080p", 50)]),
    (
        "xai/grok-imagine-video/text-to-video",
        &[("text-to-video", "720p", 10), ("text-to-video", "1080p", 18)],
    ),
    (
        "google/nano-banana-2",
        &[
            ("text-to-image", "1K", 14),
            ("text-to-image", "2K", 20),
            ("text-to-image", "4K", 30),
            ("image-to-image", "1K", 14),
            ("image-to-image", "2K", 20),
            ("image-to-image", "4K", 30),
        ],
    ),
    ("V5", &[("text-to-music", "", 35)]),
    ("V4_5PLUS", &[("text-to-music", "", 30)]),
    ("V4_5", &[("text-to-music", "", 25)]),
    ("V4", &[("text-to-music", "", 20)]),
];

fn unit_price(bought: &Combination<'_>) -> i64 {
    let (scene, resolution) = (bought.mode.as_str(), bought.resolution.unwrap_or(""));
    let model = UNIT_PRICES.iter().find(|(model, _)| *model == bought.model.name).expect("the model");
    let row = model.1.iter().find(|row| (row.0, row.1) == (scene, resolution));
    row.unwrap_or_else(|| panic!("{} {scene} {resolution} has no price in the test", model.0)).2
}

fn request(bought: &Combination<'_>, request_id: &str, prompt: &str) -> Value {
    let mut body = json!({
        "request_id": request_id, "model": bought.model.name, "scene": bought.mode.as_str(), "prompt": prompt,
        "units": {"count": bought.count, "resolution": bought.resolution},
    });
    if bought.mode.takes_images() {
        body["input_image_urls"] = json!([data_uri(&png(16, 16, 1))]);
    }
    body
}

fn assert_made_as_bought(bought: &Combination<'_>, task: &Value) {
    let outputs = task["outputs"].as_array().expect("outputs");
    assert_eq!(outputs.len(), usize::try_from(bought.count).expect("a count"), "{task:#}");
    let side = match bought.resolution {
        Some("1K") => Some(1024),
        Some("2K") => Some(2048),
        Some("4K") => Some(4096),
        Some("720p") => Some(720),
        Some("1080p") => Some(1080),
        other => {
            assert_eq!(other, None);
            None
        }
    };
    for output in outputs {
        let shorter = output["width"].as_i64().min(output["height"].as_i64());
        assert_eq!(shorter, side, "{output:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimate_is_hold_is_charge_for_every_combination() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let catalog = Catalog::builtin().expect("the catalog");
    let every: Vec<Combination<'_>> = catalog.every_combination().collect();
    assert_eq!(every.len(), 123);
    let (before, _) = app.books().await;
    let mut spent = 0;
    for (index, bought) in every.iter().enumerate() {
        let body = request(bought, &format!("p-{index}"), "[[instant]]");
        let mut question = body.clone();
        question
            .as_object_mut()
            .expect("an object")
            .retain(|name, _| name != "request_id" && name != "prompt");
        let estimate = agent.post("/v1/credits/estimate", &question).await.ok();
        let price = unit_price(bought) * i64::from(bought.count);
        assert_eq!(estimate["estimated_credits"], price, "{question}");
        let held = agent.generate(&body).await;
        assert_eq!(
            held["credits"],
            json!({"held": price, "charged": 0, "released": 0, "refunded": 0}),
            "{body}"
        );
        let task = agent.finish(&format!("p-{index}")).await;
        assert_eq!(
            task["credits"],
            json!({"held": 0, "charged": price, "released": 0, "refunded": 0}),
            "{body}"
        );
        assert_made_as_bought(bought, &task);
        spent += price;
    }
    assert_eq!(app.books().await, (before - spent, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "renders real video and music for minutes; scripts/test-heavy runs it"]
async fn every_model_makes_a_real_file() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let catalog = Catalog::builtin().expect("the catalog");
    for model in catalog.models() {
        let bought = catalog.every_combination().find(|bought| bought.model.name == model.name).expect("one");
        let request_id = model.name.replace('/', ".");
        agent.generate(&request(&bought, &request_id, "a lighthouse in a storm, calm song")).await;
        let task = agent.finish(&request_id).await;
        assert_made_as_bought(&bought, &task);
        let (kind, mime) = match model.product.as_str() {
            "video" => ("video", "video/mp4"),
            "music" => ("audio", "audio/flac"),
            _ => ("image", "image/png"),
        };
        for output in task["outputs"].as_array().expect("outputs") {
            assert_eq!((text(output, "type").as_str(), text(output, "mime").as_str()), (kind, mime));
            let file = app.anonymous().get(&text(output, "url")).await;
            assert_eq!((file.status, file.header("content-type")), (200, Some(mime)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotes_and_limits_of_one_request() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let ask = json!({"model": "google/nano-banana", "units": {"count": 2}});
    let quote = text(&agent.post("/v1/credits/estimate", &ask).await.ok(), "quote_id");
    let body = |request_id: &str, more: Value| {
        let mut body = json!({"request_id": request_id, "model": "google/nano-banana", "count": 2,
            "prompt": "[[instant]]"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(agent.generate(&body("q-1", json!({"quote_id": quote}))).await["credits"]["held"], 16);
    app.settle().await;

    let refusals = [
        (json!({"quote_id": quote, "units": {"count": 4}, "count": null}), "409 quote_mismatch"),
        (json!({"quote_id": quote, "model": "z-image"}), "409 quote_mismatch"),
        (json!({"quote_id": format!("{quote}A")}), "409 quote_mismatch"),
        (json!({"quote_id": "q1.x.y.z"}), "409 quote_mismatch"),
        (json!({"max_credits": 15}), "409 price_above_max_credits"),
        (json!({"price_version": "1999"}), "409 price_version_unknown"),
    ];
    let before = app.ledger().await;
    for (more, expected) in refusals {
        let answer = agent.post("/v1/generate", &body("q-2", more.clone())).await;
        assert_eq!(answer.refusal(), expected, "{more}");
    }
    let foreign = app.account_key().post("/v1/generate", &body("q-2", json!({"quote_id": quote}))).await;
    assert_eq!(foreign.refusal(), "409 quote_mismatch");
    let above = agent.post("/v1/generate", &body("q-2", json!({"max_credits": 15}))).await.error();
    assert_eq!(above["current_price"], 16);
    let unknown = agent.post("/v1/generate", &body("q-2", json!({"price_version": "1999"}))).await.error();
    assert_eq!(
        (&unknown["current_price_version"], &unknown["current_price"]),
        (&json!("2026-02-02-v1"), &json!(16))
    );
    assert_eq!(app.ledger().await, before);
    let exact = body("q-2", json!({"max_credits": 16, "price_version": "2026-02-02-v1"}));
    assert_eq!(agent.generate(&exact).await["credits"]["held"], 16);

    app.advance(std::time::Duration::from_secs(14 * 60 + 59));
    assert_eq!(app.agent_key().generate(&body("q-1", json!({"quote_id": quote}))).await["request_id"], "q-1");
    let late = app.agent_key().post("/v1/generate", &body("q-3", json!({"quote_id": quote}))).await;
    assert_eq!(late.status, 200);
    app.advance(std::time::Duration::from_secs(1));
    let late = app.agent_key().post("/v1/generate", &body("q-4", json!({"quote_id": quote}))).await;
    assert_eq!(late.refusal(), "409 quote_expired");
}
