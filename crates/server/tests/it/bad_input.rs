//! Requests that are wrong, and how they are told so.
//!
//! Invariant: a refused request names what is wrong with it and moves no credits. Not here: credentials
//! (`identity`, `token`).

use crate::support::{TestApp, client::picture};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

const GENERATE: &str = "/v1/generate";

/// A good request for a picture with some fields changed; null takes one away.
fn changed(more: &Value) -> Value {
    let mut body = picture("bad-1", "[[instant]]");
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_is_no_json() {
    let app = TestApp::sqlite().await;
    let before = app.ledger().await;
    let deep = format!("{{\"request_id\":{}1{}}}", "[".repeat(16), "]".repeat(16));
    let rows: [(&[u8], &str); 13] = [
        (b"{\"model\":", "model: is not valid JSON: EOF while parsing a value at line 1 column 9"),
        (b"nonsense", ": is not valid JSON: expected ident at line 1 column 2"),
        (b"[]", ": the body must be a JSON object"),
        (b"\"text\"", ": the body must be a JSON object"),
        (b"{} {}", ": is not valid JSON: trailing characters at line 1 column 4"),
        (b"{\"model\":\"a\",\"model\":\"a\"}", "model: appears twice"),
        (b"{\"units\":{\"count\":1,\"count\":2}}", "units.count: appears twice"),
        (b"{\"prompt\":\"a\\u0000b\"}", "prompt: holds the character U+0000"),
        (
            b"{\"prompt\":\"\\ud800\"}",
            "prompt: is not valid JSON: unexpected end of hex escape at line 1 column 18",
        ),
        (b"{\"prompt\":\"\xff\"}", "prompt: is not UTF-8 at byte 11"),
        (b"\xef\xbb\xbf{}", ": starts with a byte order mark; send plain UTF-8"),
        (b"{\"count\":1e999}", "count: is not valid JSON: number out of range at line 1 column 14"),
        (deep.as_bytes(), "request_id.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0: is nested too deeply"),
    ];
    for path in [GENERATE, "/v1/credits/estimate"] {
        for (text, problem) in rows {
            let answer = app.agent_token().post_text(path, text.to_vec()).await;
            assert_eq!(answer.refusal(), "400 invalid_request", "{}", String::from_utf8_lossy(text));
            assert_eq!(answer.problems(), [problem], "{}", String::from_utf8_lossy(text));
        }
    }
    assert_eq!(app.ledger().await, before);
}

/// What is changed of a good request, and what is wrong with it then.
type Row = (Value, &'static str);

const REQUEST_ID: &str = "request_id: must be 1 to 255 of A–Z a–z 0–9 . _ ~ : @ + = - and not . or ..";

fn names_and_prompts() -> Vec<Row> {
    vec![
        (json!({"request_id": null}), "request_id: is required"),
        (json!({"request_id": 7}), "request_id: must be a string"),
        (json!({"request_id": ""}), REQUEST_ID),
        (json!({"request_id": "."}), REQUEST_ID),
        (json!({"request_id": ".."}), REQUEST_ID),
        (json!({"request_id": "a/b"}), REQUEST_ID),
        (json!({"request_id": "a b"}), REQUEST_ID),
        (json!({"request_id": "é"}), REQUEST_ID),
        (json!({"request_id": "x".repeat(256)}), REQUEST_ID),
        (json!({"model": null}), "model: is required"),
        (json!({"model": ["z-image"]}), "model: must be a string"),
        (json!({"model": "m".repeat(101)}), "model: must be at most 100 characters"),
        (json!({"prompt": null}), "prompt: text-to-image needs a prompt."),
        (json!({"prompt": " \n"}), "prompt: text-to-image needs a prompt."),
        (json!({"prompt": 5}), "prompt: must be a string"),
        (json!({"prompt": "x".repeat(5001)}), "prompt: It has 5001 characters; 5000 fit."),
    ]
}

fn units() -> Vec<Row> {
    vec![
        (json!({"count": 0}), "count: google/nano-banana can't make 0 images in one request."),
        (json!({"count": 3}), "count: google/nano-banana can't make 3 images in one request."),
        (json!({"count": -1}), "count: google/nano-banana can't make -1 images in one request."),
        (
            json!({"count": 9_223_372_036_854_775_808_u64}),
            "count: google/nano-banana can't make 9223372036854775808 images in one request.",
        ),
        (json!({"count": 1.0}), "count: must be a whole number"),
        (json!({"count": "1"}), "count: must be a whole number"),
        (json!({"units": {"count": true}}), "units.count: must be a whole number"),
        (json!({"units": 2}), "units: must be an object"),
        (json!({"units": "2"}), "units: must be an object"),
        (json!({"resolution": "4K"}), "resolution: google/nano-banana has no resolution \"4K\"."),
        (json!({"resolution": 1}), "resolution: must be a string"),
        (json!({"aspect_ratio": "7:1"}), "aspect_ratio: google/nano-banana has no aspect ratio \"7:1\"."),
        (json!({"aspect_ratio": "wide"}), "aspect_ratio: \"wide\" is not an aspect ratio such as \"16:9\"."),
        (json!({"duration": 5}), "duration: A picture has no duration."),
        (json!({"duration": "five"}), "duration: must be whole seconds, such as 5 or \"5\""),
        (json!({"negative_prompt": "blur"}), "negative_prompt: google/nano-banana takes no negative prompt."),
        (json!({"seed": -1}), "seed: must be 0 to 4294967295"),
        (json!({"seed": 4_294_967_296_i64}), "seed: must be 0 to 4294967295"),
        (json!({"seed": "7"}), "seed: must be a whole number"),
    ]
}

fn scenes_and_inputs() -> Vec<Row> {
    vec![
        (json!({"product": "video"}), "product: google/nano-banana makes image."),
        (json!({"product": "pictures"}), "product: must be one of the allowed values"),
        (json!({"scene": "text-to-video"}), "scene: google/nano-banana has no text-to-video."),
        (
            json!({"scene": "image-to-image"}),
            "input_image_urls: google/nano-banana needs at least one input image for image-to-image.",
        ),
        (
            json!({"scene": "text-to-image", "image_urls": ["https://a.example/b.png"]}),
            "input_image_urls: text-to-image takes no input images; image-to-image does.",
        ),
        (json!({"image_urls": "https://a.example/b.png"}), "image_urls: must be a list of strings"),
        (
            json!({"image_urls": ["ftp://a.example/b"]}),
            "input_image_urls.0: must be an http or https URL, or a data:image/… URI",
        ),
        (
            json!({"input_image_urls": ["https://a.example/b", "b"]}),
            "input_image_urls.1: must be an http or https URL, or a data:image/… URI",
        ),
        (
            json!({"image_urls": vec!["https://a.example/b"; 4]}),
            "input_image_urls: google/nano-banana takes at most 3, and got 4.",
        ),
        (
            json!({"image_urls": vec!["https://a.example/b"; 17]}),
            "input_image_urls: must be at most 16 images",
        ),
    ]
}

fn money_and_misspellings() -> Vec<Row> {
    vec![
        (json!({"max_credits": -1}), "max_credits: must be 0 or more"),
        (json!({"max_credits": "20"}), "max_credits: must be a whole number"),
        (json!({"max_credits": 20.5}), "max_credits: must be a whole number"),
        (json!({"run_max_credits": 20}), "run_max_credits: needs `run_id`"),
        (json!({"run_id": "a b"}), "run_id: must be 1 to 255 of A–Z a–z 0–9 . _ ~ : @ + = -"),
        (
            json!({"webhook_url": "https://a.example"}),
            "webhook_url: is not offered yet; poll GET /v1/generate/{request_id}?wait=60",
        ),
        (
            json!({"metadata": {"a": 1}}),
            "metadata: must be at most 16 pairs of text, keys up to 64 and values up to 512 characters",
        ),
        (json!({"count": 1, "units": {"count": 2}}), "count: differs from `units.count`"),
        (
            json!({"resolution": "1K", "units": {"resolution": "2K"}}),
            "resolution: differs from `units.resolution`",
        ),
        (
            json!({"image_urls": ["https://a.example/1"], "input_image_urls": ["https://a.example/2"]}),
            "image_urls: differs from `input_image_urls`",
        ),
        (json!({"max_credit": 20}), "max_credit: is not a field; did you mean `max_credits`?"),
        (json!({"maxcredits": 20}), "maxcredits: is not a field; did you mean `max_credits`?"),
        (json!({"run_max_credit": 20}), "run_max_credit: is not a field; did you mean `run_max_credits`?"),
        (json!({"conut": 1}), "conut: is not a field; did you mean `count`?"),
        (
            json!({"units": {"resolutoin": "1K"}}),
            "units.resolutoin: is not a field; did you mean `units.resolution`?",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_the_wrong_kind_or_value() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let before = app.ledger().await;
    let rows = [names_and_prompts(), units(), scenes_and_inputs(), money_and_misspellings()];
    for (more, problem) in rows.into_iter().flatten() {
        let answer = agent.post(GENERATE, &changed(&more)).await;
        assert_eq!(
            (answer.refusal().as_str(), answer.problems()),
            ("400 invalid_request", vec![problem.to_owned()]),
            "{more}"
        );
        assert_eq!((&answer.error()["held"], &answer.error()["charged"]), (&json!(0), &json!(0)));
    }
    let counts = agent.post(GENERATE, &changed(&json!({"count": 3}))).await.error();
    assert_eq!(counts["fields"][0]["allowed"], json!(["1", "2", "4", "8"]));
    assert_eq!(counts["message"], "count: google/nano-banana can't make 3 images in one request.");
    let several = agent.post(GENERATE, &json!({"count": "x"})).await;
    assert_eq!(
        several.problems(),
        ["request_id: is required", "model: is required", "count: must be a whole number"]
    );
    assert_eq!(several.error()["message"], "request_id is required");
    assert_eq!(app.ledger().await, before);
    assert_eq!(agent.get("/v1/generate/bad-1").await.refusal(), "404 not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_are_not_there() {
    let app = TestApp::sqlite().await;
    for (name, nearest) in [
        ("nano-banana-por", json!(["nano-banana-pro"])),
        ("Sora-2", json!(["sora-2", "sora-2-pro"])),
        ("v5", json!(["V5", "V4"])),
    ] {
        let answer = app.agent_token().post(GENERATE, &changed(&json!({"model": name}))).await;
        assert_eq!(answer.refusal(), "400 unknown_model");
        assert_eq!(answer.error()["nearest"][0], nearest[0], "{name}: {}", answer.error()["nearest"]);
        let estimate = app.agent_token().post("/v1/credits/estimate", &json!({"model": name})).await;
        assert_eq!(
            (estimate.refusal(), estimate.error()["nearest"].clone()),
            ("400 unknown_model".to_owned(), answer.error()["nearest"].clone())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_are_told() {
    let app = TestApp::sqlite().await;
    let body = changed(&json!({"style": "oil", "colour_of_hat": "red", "count": null}));
    let data = app.agent_token().generate(&body).await;
    let warnings = json!(["unknown field `colour_of_hat` was ignored", "unknown field `style` was ignored"]);
    assert_eq!(sorted(&data["warnings"]), warnings);
    let estimate = json!({"model": "z-image", "max_credit": 3});
    let data = app.agent_token().post("/v1/credits/estimate", &estimate).await.ok();
    assert_eq!(data["warnings"], json!(["unknown field `max_credit` was ignored"]));
}

fn sorted(list: &Value) -> Value {
    let mut texts: Vec<&str> = list.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    texts.sort_unstable();
    json!(texts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_too_large() {
    let app = TestApp::with("[limits]\nbody_bytes = 2048\ndata_uri_body_bytes = 8192").await;
    let agent = app.agent_token();
    let before = app.ledger().await;
    let long = |prompt: usize| changed(&json!({"prompt": "x".repeat(prompt)}));
    assert_eq!(agent.post(GENERATE, &long(3000)).await.refusal(), "413 payload_too_large");
    assert_eq!(agent.post(GENERATE, &long(9000)).await.refusal(), "413 payload_too_large");
    let message = agent.post(GENERATE, &long(3000)).await.error()["message"].clone();
    assert_eq!(message, "The body is larger than this call takes: at most 2048 bytes");
    let file = |bytes: usize| {
        let uri = format!("data:image/png;base64,{}", "A".repeat(bytes));
        changed(&json!({"image_urls": [uri]}))
    };
    assert_eq!(agent.post(GENERATE, &file(9000)).await.refusal(), "413 payload_too_large");
    let register = json!({"agent_name": "x".repeat(3000)});
    assert_eq!(
        app.anonymous().post("/api/v1/agents/register", &register).await.refusal(),
        "413 payload_too_large"
    );
    assert_eq!(app.ledger().await, before);
    // Pictures inside the body may be larger, also where only their price is asked.
    let estimate = json!({"model": "google/nano-banana", "image_urls": file(3000)["image_urls"]});
    agent.post("/v1/credits/estimate", &estimate).await.ok();
    agent.generate(&file(3000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_types_paths_and_methods() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let before = app.ledger().await;
    let text = || Body::from(picture("bad-1", "[[instant]]").to_string());
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""]
    {
        let answer = agent.with("content-type", kind).send(Method::POST, GENERATE, text()).await;
        assert_eq!(answer.refusal(), "415 unsupported_media_type", "{kind}");
    }
    assert_eq!(agent.send(Method::POST, GENERATE, text()).await.refusal(), "415 unsupported_media_type");
    assert_eq!(app.ledger().await, before);
    assert_eq!(
        agent.send(Method::POST, GENERATE, Body::empty()).await.problems(),
        ["request_id: is required", "model: is required"]
    );
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"] {
        agent.with("content-type", kind).send(Method::POST, GENERATE, text()).await.ok();
    }

    let nowhere = agent.get("/v1/nothing-here").await;
    assert_eq!(
        nowhere.redacted(),
        json!({"code": 0, "message": "ok", "data": {
            "error": "not_found", "message": "There is nothing at that address for this credential",
            "suggestion": "Check the path and the id; GET /openapi.json lists all calls.", "retryable": false,
            "trace_id": "<trace_id>", "docs_url": "https://gateway.test/docs/api#not_found",
        }})
    );
    assert_eq!(nowhere.status, 404);
    let refused = agent.request(Method::DELETE, "/v1/models/list", None).await;
    assert_eq!(
        (refused.refusal().as_str(), refused.header("allow")),
        ("405 method_not_allowed", Some("GET,HEAD"))
    );
    let refused = agent.get("/v1/credits/estimate").await;
    assert_eq!(
        (refused.refusal().as_str(), refused.header("allow")),
        ("405 method_not_allowed", Some("POST"))
    );
    // The second family of paths has its own envelope, also for what the layers refuse.
    for (method, path) in
        [(Method::GET, "/api/v1/agents/register"), (Method::GET, "/api/v1/agents/keys/list")]
    {
        let json = app.anonymous().request(method, path, None).await.redacted();
        assert_eq!(
            (&json["success"], &json["error"]),
            (&json!(false), &json!("method_not_allowed")),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problem_details_on_request() {
    let app = TestApp::sqlite().await;
    let client = app.agent_token().with("accept", "application/problem+json");
    let answer = client.post(GENERATE, &changed(&json!({"count": 3}))).await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let mut json = answer.json();
    assert_eq!(json["trace_id"].as_str(), answer.header("x-request-id"));
    json["trace_id"] = json!("<trace_id>");
    let docs_url = "https://gateway.test/docs/api#invalid_request";
    let message = "count: google/nano-banana can't make 3 images in one request.";
    assert_eq!(
        json,
        json!({
            "type": docs_url, "title": "The request is malformed, or asks for something that is not allowed",
            "status": 400, "detail": message, "error": "invalid_request", "message": message,
            "suggestion": "Correct what `fields` names and send the request again.", "retryable": false,
            "trace_id": "<trace_id>", "docs_url": docs_url, "held": 0, "charged": 0,
            "fields": [{"field": "count", "problem": "google/nano-banana can't make 3 images in one request.",
                "allowed": ["1", "2", "4", "8"]}],
        })
    );
    let family_b = app
        .anonymous()
        .with("accept", "application/problem+json")
        .post("/api/v1/agents/register", &json!({}))
        .await;
    assert_eq!(
        (family_b.header("content-type"), family_b.json()["status"].clone()),
        (Some("application/problem+json"), json!(400))
    );
    // An answer that is no error stays plain JSON.
    assert_eq!(client.get("/v1/models/list").await.header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misspelt_limit_does_not_hide_behind_other_unknown_fields() {
    let app = TestApp::sqlite().await;
    let before = app.ledger().await;
    let mut body = changed(&json!({"max_credit": 1}));
    for n in 0..60 {
        body[format!("a{n:02}_extension")] = json!("x");
    }
    let answer = app.agent_token().post(GENERATE, &body).await;
    assert_eq!(answer.problems(), ["max_credit: is not a field; did you mean `max_credits`?"]);
    assert_eq!(app.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_cost_more_than_they_say() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let many = changed(&json!({"x": vec![0; 10_001]}));
    let answer = agent.post("/v1/credits/estimate", &many).await;
    assert_eq!(answer.refusal(), "400 invalid_request");
    assert!(answer.problems()[0].contains("one value too many"), "{:?}", answer.problems());
    for name in ["resolution", "aspect_ratio", "model", "price_version"] {
        let long = changed(&json!({name: "\u{300}".repeat(100_000)}));
        let answer = agent.post(GENERATE, &long).await;
        assert_eq!(answer.refusal(), "400 invalid_request", "{name}");
        assert!(answer.body.len() < 2_000, "{name}: {} bytes", answer.body.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_at_addresses_that_are_not_public() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    for url in [
        "http://127.0.0.1/x",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost:8080/",
        "http://user:secret@example.com/a.png",
        "file:///etc/passwd",
    ] {
        let answer = agent.post(GENERATE, &changed(&json!({"input_image_urls": [url]}))).await;
        assert_eq!(answer.refusal(), "400 invalid_request", "{url}");
        assert!(answer.problems()[0].starts_with("input_image_urls.0: must "), "{url}");
    }
}
