//! Sizes by the name of a platform.
//!
//! Invariant: a picture of a preset has exactly its pixels, and what a model can't make is refused before any
//! hold. Not here: which models have which shapes (`core::catalog`).

use crate::support::{TestApp, agent::text};
use serde_json::{Value, json};

fn body(request_id: &str, model: &str, more: &Value) -> Value {
    let mut body = json!({"request_id": request_id, "model": model, "prompt": "[[instant]]"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_have_the_size_of_the_preset() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    for (index, (model, more, size, credits)) in [
        ("gpt4o_image", json!({"units": {"preset": "facebook_ad"}}), (1200, 628), 10),
        ("gpt4o_image", json!({"preset": "linkedin_post", "count": 2}), (1200, 627), 20),
        ("z-image", json!({"preset": "instagram_post"}), (1080, 1080), 20),
        ("google/nano-banana", json!({"preset": "instagram_story"}), (1080, 1920), 8),
        ("nano-banana-pro", json!({"preset": "youtube_thumbnail", "aspect_ratio": "16:9"}), (1280, 720), 20),
        ("nano-banana-pro", json!({"preset": "instagram_post", "resolution": "2K"}), (2048, 2048), 20),
        ("veo3_fast", json!({"preset": "youtube_short"}), (720, 1280), 50),
        ("auto", json!({"preset": "twitter_card"}), (1200, 628), 10),
        ("auto", json!({"preset": "youtube_short", "quality_mode": "high"}), (720, 1280), 280),
    ]
    .into_iter()
    .enumerate()
    {
        let request_id = format!("size-{index}");
        let mut ask = json!({"model": model});
        ask.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let estimate = agent.post("/v1/credits/estimate", &ask).await.ok();
        assert_eq!(estimate["estimated_credits"], credits, "{more}");
        let mut with_quote = body(&request_id, model, &more);
        with_quote["quote_id"] = estimate["quote_id"].clone();
        assert_eq!(agent.generate(&with_quote).await["credits"]["held"], credits, "{more}");
        let task = agent.finish(&request_id).await;
        for output in task["outputs"].as_array().expect("outputs") {
            assert_eq!((&output["width"], &output["height"]), (&json!(size.0), &json!(size.1)), "{more}");
        }
        assert_eq!(task["units"]["preset"], estimate["breakdown"]["options"]["preset"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let before = app.ledger().await;
    for (model, more, expected) in [
        (
            "z-image",
            json!({"preset": "facebook_ad"}),
            "preset: z-image can't make facebook_ad (1.91:1); models that can: gpt4o_image.",
        ),
        (
            "z-image",
            json!({"preset": "instagram_post", "units": {"aspect_ratio": "16:9"}}),
            "aspect_ratio: The preset instagram_post is 1:1; leave the aspect ratio out.",
        ),
        (
            "z-image",
            json!({"preset": "instagram"}),
            "preset: There is no preset \"instagram\". Did you mean \"instagram_post\"?",
        ),
        (
            "z-image",
            json!({"preset": "instagram_post", "units": {"preset": "twitter_post"}}),
            "preset: differs from `units.preset`",
        ),
        (
            "z-image",
            json!({"units": {"presett": "a"}}),
            "units.presett: is not a field; did you mean `units.preset`?",
        ),
        ("z-image", json!({"preset": 1}), "preset: must be a string"),
    ] {
        let answer = agent.post("/v1/generate", &body("refused", model, &more)).await;
        assert_eq!(
            (answer.refusal().as_str(), answer.problems()),
            ("400 invalid_request", vec![expected.to_owned()])
        );
    }
    let song = agent.post("/v1/generate", &body("refused", "V5", &json!({"preset": "instagram_post"}))).await;
    assert_eq!(song.refusal(), "400 invalid_request");
    assert_eq!(song.error()["fields"][0]["field"], "preset");
    assert_eq!(app.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preset_belongs_to_the_request_and_its_quote() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let ask = json!({"model": "z-image", "preset": "instagram_post"});
    let quote = text(&agent.post("/v1/credits/estimate", &ask).await.ok(), "quote_id");
    let first = body("p-1", "z-image", &json!({"preset": "instagram_post"}));
    let task = agent.generate(&first).await;
    // The place of the field does not matter, its value does.
    let moved = body("p-1", "z-image", &json!({"units": {"preset": "instagram_post"}}));
    assert_eq!(agent.generate(&moved).await["task_id"], task["task_id"]);
    let other =
        agent.post("/v1/generate", &body("p-1", "z-image", &json!({"preset": "facebook_post"}))).await;
    assert_eq!(other.problems(), ["units.preset: differs from the first request with this request_id"]);
    let plain = body("p-2", "z-image", &json!({"quote_id": quote, "aspect_ratio": "1:1"}));
    let refused = agent.post("/v1/generate", &plain).await;
    assert_eq!(refused.refusal(), "409 quote_mismatch");
    assert_eq!(refused.error()["fields"][0]["field"], "units.preset");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presets_are_listed_with_who_makes_them() {
    let app = TestApp::sqlite().await;
    let list = app.agent_token().get("/v1/models/list").await.ok();
    let presets = list["presets"].as_array().expect("presets");
    assert_eq!(presets.len(), 15);
    let of = |name: &str| presets.iter().find(|one| one["preset"] == name).expect("a preset");
    assert_eq!(
        *of("facebook_ad"),
        json!({
            "preset": "facebook_ad", "products": ["image"], "aspect_ratio": "1.91:1", "width": 1200,
            "height": 628, "models": ["gpt4o_image"],
        })
    );
    assert_eq!(
        (&of("tiktok_video")["width"], &of("tiktok_video")["products"]),
        (&Value::Null, &json!(["video"]))
    );
    assert!(presets.iter().all(|one| !one["models"].as_array().expect("models").is_empty()));
}
