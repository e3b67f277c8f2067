//! The published document, walked from its first call to the downloaded file.
//!
//! Invariant: requests are those of the document but for host, secrets and times; answers have its shapes.
//! Not here: everything that can go wrong.

use crate::support::{Signer, TestApp, agent::text, redacted};
use http::Method;
use rynjer_core::scope::Scopes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

const SPEAKER: &str = "Studio product shot of a matte black smart speaker on a neutral background, soft \
                       commercial lighting, premium ad look";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_registration_to_refresh() {
    let app = TestApp::sqlite().await;
    let (stranger, signer) = (app.anonymous(), Signer::new(7));

    let request = signer.sign_as_is(&json!({
        "public_key": signer.public_hex(), "agent_name": "Demo Agent", "agent_version": "0.1.0",
        "timestamp": 1_742_291_400, "nonce": "random-nonce",
    }));
    let answer = stranger.post("/api/v1/agents/register", &request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.redacted(),
        json!({"success": true, "data": {
            "agent_id": "<agent>", "registration_code": "<registration code>",
            "expires_at": "2025-03-19T09:50:00.000Z",
            "bind_url": "https://gateway.test/settings/agents/bind", "user_code": "<user_code>",
            "bound": false,
        }})
    );
    let registered = answer.ok();
    let (agent_id, code) = (text(&registered, "agent_id"), text(&registered, "registration_code"));

    let image = Scopes::parse(["image"]).expect("a scope");
    app.admin().agent_bind(&code, &app.account, image, None).await.expect("a binding");

    app.advance(Duration::from_secs(60));
    let request = signer.sign_as_is(&json!({
        "agent_id": agent_id, "registration_code": code, "key_name": "demo-key", "scopes": ["image"],
        "expires_in_days": 90, "timestamp": 1_742_291_460, "nonce": "random-nonce-2",
    }));
    let answer = stranger.post("/api/v1/agents/keys/create", &request).await;
    assert_eq!(
        answer.redacted(),
        json!({"success": true, "data": {
            "key_id": "<key>", "api_key": "<agent key>", "scopes": ["image"],
            "expires_at": "2025-06-16T09:51:00.000Z",
        }})
    );
    let api_key = text(&answer.ok(), "api_key");

    app.advance(Duration::from_secs(60));
    let request = signer.sign_as_is(&json!({
        "agent_id": agent_id, "scopes": ["image"], "timestamp": 1_742_291_520, "nonce": "random-nonce-3",
    }));
    let answer = app.bearer(&api_key).post("/api/v1/agents/auth/token", &request).await;
    let token_shape = json!({"code": 0, "message": "ok", "data": {
        "access_token": "<access token>", "token_type": "Bearer", "expires_in": 900,
        "refresh_token": "<refresh token>", "agent_id": "<agent>", "account_id": "<account>",
        "scopes": ["image"],
        "mode": "test",
    }});
    assert_eq!(answer.redacted(), token_shape);
    let first = answer.ok();

    let request = json!({"refresh_token": first["refresh_token"]});
    let answer = stranger.post("/api/v1/agents/auth/refresh", &request).await;
    assert_eq!(answer.redacted(), token_shape);
    let second = answer.ok();
    assert_ne!(first["access_token"], second["access_token"]);
    assert_ne!(first["refresh_token"], second["refresh_token"]);

    let agent = app.bearer(&text(&second, "access_token"));
    assert_eq!(agent.get("/v1/models/list").await.status, 200);
    let estimate =
        json!({"product": "image", "model": "nano-banana-pro", "units": {"count": 1, "resolution": "1K"}});
    let quote = agent.post("/v1/credits/estimate", &estimate).await.ok();
    let body = json!({"request_id": "uuid", "model": "nano-banana-pro", "prompt": SPEAKER});
    assert_eq!(agent.generate(&body).await["credits"]["held"], quote["estimated_credits"]);
    let output = agent.finish("uuid").await["outputs"][0].take();
    let file = stranger.get(&text(&output, "url")).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("image/png")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_estimate_and_balance() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let list = agent.get("/v1/models/list").await.json();
    assert_eq!(list["data"]["currency"], "credits");
    assert_eq!(list["data"]["price_version"], "2026-02-02-v1");
    let prices: Vec<(String, i64)> = list["data"]["models"]
        .as_array()
        .expect("models")
        .iter()
        .map(|model| (text(model, "model"), model["credits"].as_i64().expect("credits")))
        .collect();
    let seed = [
        ("google/nano-banana", 8),
        ("nano-banana-pro", 20),
        ("gpt4o_image", 10),
        ("qwen/text-to-image", 15),
        ("qwen/image-to-image", 15),
        ("xai/grok-imagine-image", 20),
        ("xai/grok-imagine-image/edit", 20),
        ("z-image", 20),
        // Not of the seed: it came later.
        ("google/nano-banana-2", 14),
        ("sora-2", 10),
        ("sora-2-pro", 330),
        ("veo3_fast", 50),
        ("veo3", 280),
        ("doubao-seedance-1.0-pro-fast", 40),
        ("wan-2.6", 20),
        ("fal-ai/ltx-2/image-to-video", 50),
        ("xai/grok-imagine-video/text-to-video", 10),
        ("V5", 35),
        ("V4_5PLUS", 30),
        ("V4_5", 25),
        ("V4", 20),
    ];
    assert_eq!(prices, seed.map(|(model, credits)| (model.to_owned(), credits)));

    let expected = json!({"code": 0, "message": "ok", "data": {
        "estimated_credits": 20, "price_version": "2026-02-02-v1", "model": "nano-banana-pro",
        "breakdown": {
            "mediaType": "image",
            "options": {"aspect_ratio": "1:1", "resolution": "1K", "scene": "text-to-image"},
            "price_rules": ["nano-banana-pro costs 20 credits per image at 1K."], "base": 20, "count": 1,
            "multipliers": [],
        },
        "quote_id": "<quote>", "expires_at": "2025-03-18T10:05:00.000Z", "affordable": true, "mode": "test",
    }});
    let bodies = [
        json!({"product": "image", "model": "nano-banana-pro", "units": {"count": 1, "resolution": "1K"}}),
        json!({"product": "image", "model": "nano-banana-pro", "units": {"count": 1, "resolution": "1K"},
            "price_version": "2026-02-02-v1"}),
        json!({"model": "nano-banana-pro", "units": 1, "options": {"resolution": "1K"}}),
        json!({"model": "nano-banana-pro", "count": 1, "resolution": "1K", "aspect_ratio": "1:1"}),
        json!({"model": "nano-banana-pro"}),
    ];
    for path in ["/v1/credits/estimate", "/api/credits/estimate"] {
        for body in &bodies {
            let answer = agent.post(path, body).await;
            assert_eq!((answer.status, answer.redacted()), (200, expected.clone()), "{path} {body}");
        }
        let four = agent.post(path, &json!({"model": "nano-banana-pro", "units": 4})).await.ok();
        assert_eq!(four["estimated_credits"], 80);
    }

    let answer = agent.get("/v1/credits/balance").await;
    assert_eq!(
        answer.redacted(),
        json!({"code": 0, "message": "ok", "data": {
            "available": 100_000, "held": 0, "currency": "credits", "account_id": "<account>", "mode": "test",
            "budgets": [],
        }})
    );
    assert_eq!(app.account_key().get("/v1/credits/balance").await.json(), answer.json());
}

fn finished(request_id: &str, model: &str, count: u32, charged: i64, outputs: &[Value]) -> Value {
    json!({
        "task_id": "<task>", "provider_task_id": "<job>", "status": "success", "usage_event_id": "<usage>",
        "request_id": request_id, "model": model, "served_by": "sandbox", "mode": "test",
        "credits": {"held": 0, "charged": charged, "released": 0, "refunded": 0}, "poll_after_ms": null,
        "product": "image", "units": {"count": count, "resolution": "1K", "aspect_ratio": "1:1"},
        "outputs": outputs, "missing": [], "created_at": "2025-03-18T09:50:00.000Z",
        "finished_at": "2025-03-18T09:50:00.000Z",
    })
}

fn picture_file() -> Value {
    json!({
        "url": "<signed url>", "type": "image", "mime": "image/png", "width": 1024, "height": 1024,
        "duration_seconds": null, "bytes": "<bytes>", "sha256": "<sha256>",
        "expires_at": "2025-03-25T09:50:00.000Z",
        "deleted_at": null, "sandbox": true,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generate_and_poll() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let body = json!({"request_id": "demo-uuid-001", "model": "nano-banana-pro", "prompt": SPEAKER});
    let answer = agent.post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        answer.redacted(),
        json!({"code": 0, "message": "ok", "data": {
            "task_id": "<task>", "provider_task_id": null, "status": "pending", "usage_event_id": "<usage>",
            "request_id": "demo-uuid-001", "model": "nano-banana-pro", "served_by": "sandbox", "mode": "test",
            "credits": {"held": 20, "charged": 0, "released": 0, "refunded": 0}, "poll_after_ms": 250,
            "product": "image", "units": {"count": 1, "resolution": "1K", "aspect_ratio": "1:1"},
            "outputs": [], "missing": [], "created_at": "2025-03-18T09:50:00.000Z", "finished_at": null,
        }})
    );
    let task_id = text(&answer.ok(), "task_id");

    let answer = agent.get("/v1/generate/demo-uuid-001?wait=60").await;
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(
        answer.redacted(),
        json!({"code": 0, "message": "ok",
            "data": finished("demo-uuid-001", "nano-banana-pro", 1, 20, &[picture_file()])})
    );
    assert_eq!(agent.get(&format!("/v1/generate/{task_id}")).await.json(), answer.json());
    assert_eq!(app.account_key().poll(&task_id).await, answer.ok());
    assert_eq!(app.books().await, (99_980, 0));

    let body = json!({
        "request_id": "demo-uuid-002", "model": "qwen/text-to-image",
        "prompt": "Minimal ecommerce hero image for a skincare bottle, front-facing, soft shadow, high-end \
                   brand aesthetic",
        "count": 1, "resolution": "1K", "aspect_ratio": "1:1",
    });
    let answer = agent.with("prefer", "wait=60").post("/v1/generate", &body).await;
    assert_eq!(answer.header("preference-applied"), Some("wait=60"));
    assert_eq!(
        redacted(answer.ok()),
        finished("demo-uuid-002", "qwen/text-to-image", 1, 15, &[picture_file()])
    );
    assert_eq!(agent.balance().await, (99_965, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn download() {
    let app = TestApp::sqlite().await;
    let (agent, stranger) = (app.agent_token(), app.anonymous());
    agent.picture("d-1", "a lighthouse").await;
    let output = agent.finish("d-1").await["outputs"][0].take();
    let (url, sha256) = (text(&output, "url"), text(&output, "sha256"));

    let whole = stranger.get(&url).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.body.len() as u64, output["bytes"].as_u64().expect("bytes"));
    assert!(whole.body.starts_with(b"\x89PNG\r\n\x1a\n"));
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&whole.body));
    assert_eq!(digest, sha256);
    let (length, etag) = (whole.body.len().to_string(), format!("\"{sha256}\""));
    let headers = |answer: &crate::support::Answer| {
        let names = [
            "content-type",
            "content-length",
            "etag",
            "accept-ranges",
            "cache-control",
            "content-security-policy",
            "content-disposition",
            "x-content-type-options",
            "access-control-allow-origin",
        ];
        names.map(|name| answer.header(name).unwrap_or("-").to_owned())
    };
    let expected = [
        "image/png",
        &length,
        &etag,
        "bytes",
        "private, max-age=3600",
        "default-src 'none'; sandbox",
        "inline; filename=\"rynjer-0.png\"",
        "nosniff",
        "*",
    ];
    assert_eq!(headers(&whole), expected);
    let head = stranger.request(Method::HEAD, &url, None).await;
    assert_eq!((head.status, head.body.len(), headers(&head)), (200, 0, expected.map(str::to_owned)));

    let part = stranger.with("range", "bytes=1-3").get(&url).await;
    assert_eq!((part.status, &part.body[..]), (206, &b"PNG"[..]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 1-3/{length}").as_str()));
    assert_eq!(part.header("content-length"), Some("3"));
    let beyond = stranger.with("range", &format!("bytes={length}-")).get(&url).await;
    assert_eq!((beyond.status, beyond.body.len()), (416, 0));
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{length}").as_str()));
    let unchanged = stranger.with("if-none-match", &etag).get(&url).await;
    assert_eq!(
        (unchanged.status, unchanged.body.len(), unchanged.header("etag")),
        (304, 0, Some(etag.as_str()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampered_and_expired_urls() {
    let app = TestApp::sqlite().await;
    let (agent, stranger) = (app.agent_token(), app.anonymous());
    agent.picture("d-1", "[[instant]]").await;
    let url = text(&agent.finish("d-1").await["outputs"][0], "url");
    let whole = stranger.get(&url).await;
    let (path, query) = url.split_once('?').expect("a query");
    let parts: Vec<&str> = query.split('&').collect();
    let tampered = [
        path.to_owned(),
        url.replace("/0.png", "/1.png"),
        url.replace("/0.png", "/0.jpg"),
        url.replace(parts[0], "expires=4102444800"),
        format!("{path}?{}&{}&signature=AAAA", parts[0], parts[1]),
        format!("{url}A"),
        url.replace(&app.account.to_string(), &app.other.to_string()),
    ];
    for url in tampered {
        assert_eq!(stranger.get(&url).await.refusal(), "404 not_found", "{url}");
    }

    app.advance(Duration::from_secs(7 * 86_400 - 1));
    assert_eq!(stranger.get(&url).await.status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(stranger.get(&url).await.refusal(), "404 not_found");
    let fresh = text(&app.account_key().poll(&task_of(&app, "d-1").await).await["outputs"][0], "url");
    assert_eq!(stranger.get(&fresh).await.body, whole.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_keys() {
    let app = TestApp::sqlite().await;
    let answer = app.agent_key().post("/api/v1/agents/keys/list", &json!({})).await;
    let mut json = answer.redacted();
    // Enough of the key to tell it from others, and no more.
    let prefix = text(&answer.ok()["keys"][0], "prefix");
    let shown = format!("{}…", &app.agent.api_key["ryn_agent_v1_".len()..][..4]);
    assert_eq!(prefix, format!("ryn_agent_v1_{shown}"));
    json["data"]["keys"][0]["prefix"] = json!("<prefix>");
    let scopes = ["image", "video", "music", "credits:read"];
    assert_eq!(
        json,
        json!({"success": true, "data": {"mode": "test", "keys": [{
            "key_id": "<key>", "key_name": "demo-key", "prefix": "<prefix>", "scopes": scopes,
            "created_at": "2025-03-18T09:50:00.000Z", "expires_at": "2025-06-16T09:50:00.000Z",
            "last_used_at": "2025-03-18T09:50:00.000Z", "revoked_at": null, "status": "active",
        }]}})
    );
}

/// The id of the agent's task; its token has expired by now, its key has not.
async fn task_of(app: &TestApp, request_id: &str) -> String {
    text(&app.agent_key().poll(request_id).await, "task_id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_literal_error_shape() {
    let app = TestApp::sqlite().await;
    let body =
        json!({"request_id": "poor", "model": "sora-2-pro", "prompt": "a storm", "resolution": "1080p"});
    for request_id in ["a", "b"] {
        let held = json!({"request_id": request_id, "model": "sora-2-pro", "prompt": "[[timeout]]"});
        app.other_account().generate(&held).await;
    }
    let answer = app.other_account().post("/v1/generate", &body).await;
    assert_eq!(answer.status, 402);
    assert_eq!(
        answer.redacted(),
        json!({"code": 0, "message": "ok", "data": {
            "error": "insufficient_credits", "message": "There are not enough credits available",
            "suggestion": "Use a cheaper model or ask the owner to top up.", "retryable": false,
            "trace_id": "<trace_id>", "docs_url": "https://gateway.test/docs/api#insufficient_credits",
            "held": 0, "charged": 0, "required": 594, "available": 340,
        }})
    );
    assert_eq!(answer.header("x-request-id"), answer.error()["trace_id"].as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machine_readable_documents() {
    let app = TestApp::sqlite().await;
    let stranger = app.anonymous();
    for path in ["/agent/openapi.json", "/openapi.json"] {
        let document = stranger.get(path).await.json();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"], json!([{"url": "https://gateway.test"}]));
    }
    for path in ["/llms.txt", "/agent/llms.txt"] {
        let answer = stranger.get(path).await;
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert!(text.contains("https://gateway.test/v1/generate") && !text.contains("{base_url}"), "{text}");
    }
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = stranger.get(path).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})));
    }
    for path in ["/docs", "/docs/api"] {
        assert_eq!(stranger.get(path).await.status, 200);
    }
}
