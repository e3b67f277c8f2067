//! One `request_id`, one task, one hold: however often, from wherever and whenever it is sent.
//!
//! Invariant: counts are exact; nothing may answer 5xx. Not here: the decision itself (`core::ledger`).

use crate::support::{Client, DAY, TestApp, agent::text, client::picture};
use rynjer_core::scope::{Scope, Scopes};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// Request ids of the storm.
const STORM: usize = 1000;

/// Sends many bodies at once; `(request_id, status, body)` of each.
async fn at_once(client: &Client, bodies: Vec<Value>) -> Vec<(String, u16, Value)> {
    let mut calls = JoinSet::new();
    for body in bodies {
        let client = client.clone();
        calls.spawn(async move {
            let answer = client.post("/v1/generate", &body).await;
            (text(&body, "request_id"), answer.status, answer.json())
        });
    }
    calls.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_twins_of_each_request() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_key();
    let ids: Vec<String> = (0..STORM).map(|number| format!("twin-{number}")).collect();
    let mut tasks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for some in ids.chunks(20) {
        let twins = (0..50).flat_map(|_| some.iter().map(|id| picture(id, "[[instant]]"))).collect();
        for (id, status, json) in at_once(&agent, twins).await {
            assert_eq!(status, 200, "{json:#}");
            tasks.entry(id).or_default().insert(text(&json["data"], "task_id"));
        }
    }
    assert_eq!(tasks.len(), ids.len());
    assert!(tasks.values().all(|tasks| tasks.len() == 1));
    let distinct: BTreeSet<&String> = tasks.values().flatten().collect();
    assert_eq!(distinct.len(), ids.len());
    app.settle().await;
    let spent = 8 * i64::try_from(ids.len()).expect("a count");
    assert_eq!(app.books().await, (crate::support::CREDITS - spent, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_at_once_on_credit_for_ten() {
    let app = TestApp::sqlite().await;
    let account = app.admin().account_create("ten@example.com", false, 80).await.expect("an account").id;
    let key = app.admin().key_create(&account, Scopes::ALL, "k").await.expect("a key").1;
    let client = app.bearer(key.expose());
    let bodies = (0..200).map(|number| picture(&format!("poor-{number}"), "[[instant]]")).collect();
    let mut statuses: BTreeMap<(u16, String), usize> = BTreeMap::new();
    for (_, status, json) in at_once(&client, bodies).await {
        let code = json["data"]["error"].as_str().unwrap_or("").to_owned();
        *statuses.entry((status, code)).or_default() += 1;
    }
    let expected = [((200, String::new()), 10), ((402, "insufficient_credits".to_owned()), 190)];
    assert_eq!(statuses, BTreeMap::from(expected));
    let row = app.admin().account_show(&account).await.expect("the account");
    assert_eq!(row.books.available.0, 0);
    app.settle().await;
    let row = app.admin().account_show(&account).await.expect("the account");
    assert_eq!((row.books.available.0, row.books.held.0, row.books.revenue.0), (0, 0, 80));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_again_is_the_same_task() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let first = agent.post("/v1/generate", &picture("r-1", "[[instant]] a")).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let task_id = text(&first.ok(), "task_id");
    let done = agent.finish("r-1").await;
    let with = |more: &Value| {
        let mut body = picture("r-1", "[[instant]] a");
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let same = [
        json!({}),
        json!({"product": "image"}),
        json!({"count": 1}),
        json!({"units": {"count": 1}, "seed": null}),
        json!({"max_credits": 1, "price_version": "of-tomorrow", "run_id": "r", "metadata": {"a": "b"},
            "colour_of_hat": "red"}),
    ];
    for body in same.iter().map(with) {
        let again = agent.post("/v1/generate", &body).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{body}");
        let mut data = again.ok();
        data.as_object_mut().expect("an object").remove("warnings");
        assert_eq!(data, done, "{body}");
    }
    assert_eq!(app.books().await, (crate::support::CREDITS - 8, 0));

    let differing = [
        (json!({"prompt": "b"}), vec!["prompt"]),
        (json!({"model": "z-image"}), vec!["model"]),
        (json!({"count": 2, "seed": 7}), vec!["seed", "units.count"]),
        (json!({"resolution": "1K"}), vec!["units.resolution"]),
        (json!({"aspect_ratio": "1:1"}), vec!["units.aspect_ratio"]),
        (json!({"scene": "text-to-image"}), vec!["scene"]),
        (json!({"input_image_urls": ["https://a.example/b.png"]}), vec!["input_image_urls"]),
        (json!({"prompt": null}), vec!["prompt"]),
        (json!({"model": "no-such-model"}), vec!["model"]),
    ];
    for (more, fields) in differing {
        let body = with(&more);
        let answer = agent.post("/v1/generate", &body).await;
        assert_eq!(answer.refusal(), "422 request_id_reused", "{body}");
        let named: Vec<String> = answer.error()["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .map(|field| text(field, "field"))
            .collect();
        let named: BTreeSet<&str> = named.iter().map(String::as_str).collect();
        assert_eq!(named, fields.into_iter().collect(), "{body}");
        assert_eq!((&answer.error()["held"], &answer.error()["charged"]), (&json!(0), &json!(0)));
    }
    assert_eq!(text(&agent.poll("r-1").await, "task_id"), task_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_ever_and_after_everything() {
    let mut app = TestApp::sqlite().await;
    let body = picture("r-1", "[[instant]] a");
    let task_id = text(&app.agent_token().generate(&body).await, "task_id");
    app.agent_token().finish("r-1").await;

    // Another key of the agent, after the first is revoked.
    let mut agent = app.agent.clone();
    agent.make_key(&app.anonymous(), &["image"]).await;
    let revoke = json!({"key_id": app.agent.key_id});
    app.agent_key().post("/api/v1/agents/keys/revoke", &revoke).await.ok();
    assert_eq!(app.agent_key().post("/v1/generate", &body).await.refusal(), "401 invalid_token");
    app.agent = agent;
    assert_eq!(text(&app.agent_key().generate(&body).await, "task_id"), task_id);

    app.restart().await;
    assert_eq!(text(&app.agent_key().generate(&body).await, "task_id"), task_id);

    app.advance(DAY * 31);
    app.gateway().sweep().await.expect("a sweep");
    let late = app.agent_key().generate(&body).await;
    assert_eq!((text(&late, "task_id"), late["outputs"][0]["url"].clone()), (task_id.clone(), Value::Null));

    app.advance(DAY * 58);
    app.restart().await;
    assert_eq!(text(&app.agent_key().generate(&body).await, "task_id"), task_id);
    assert_eq!(app.books().await, (crate::support::CREDITS - 8, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_asks_no_setting() {
    let allowed = "[inputs]\nallow_hosts = [\"10.0.0.5\"]\n[limits]\ninput_images = 2";
    let mut app = TestApp::start(allowed, rynjer_server::gateway::Role::Api).await;
    let body = json!({"request_id": "r", "model": "qwen/image-to-image", "prompt": "a",
        "input_image_urls": ["http://10.0.0.5/a.png", "http://10.0.0.5/b.png"]});
    let first = app.agent_key().generate(&body).await;
    app.restart_with("[limits]\ninput_images = 1").await;
    let again = app.agent_key().post("/v1/generate", &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok()["task_id"], first["task_id"]);
    // Another body under the name is refused as such, and a new name meets the settings of now.
    let mut other = body.clone();
    other["input_image_urls"] = json!(["http://10.0.0.5/c.png"]);
    assert_eq!(app.agent_key().post("/v1/generate", &other).await.refusal(), "422 request_id_reused");
    other["request_id"] = json!("new");
    assert_eq!(
        app.agent_key().post("/v1/generate", &other).await.problems(),
        ["input_image_urls.0: must be a public address"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_principal_has_its_own_names() {
    let app = TestApp::sqlite().await;
    let other_agent = app.another_agent(9).await;
    let body = picture("shared-name", "[[instant]]");
    let callers =
        [app.agent_token(), app.bearer(&other_agent.api_key), app.account_key(), app.other_account()];
    let mut tasks = BTreeSet::new();
    for caller in &callers {
        let answer = caller.post("/v1/generate", &body).await;
        assert_eq!(answer.header("idempotent-replayed"), None);
        tasks.insert(text(&answer.ok(), "task_id"));
    }
    assert_eq!(tasks.len(), 4);
    let polled: BTreeSet<String> = {
        let mut polled = BTreeSet::new();
        for caller in &callers {
            polled.insert(text(&caller.poll("shared-name").await, "task_id"));
        }
        polled
    };
    assert_eq!(polled, tasks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_header_stands_for_a_missing_name() {
    let app = TestApp::sqlite().await;
    let body = json!({"model": "google/nano-banana", "prompt": "[[instant]]"});
    let named = app.agent_token().with("idempotency-key", "header-1");
    let first = named.generate(&body).await;
    assert_eq!(first["request_id"], "header-1");
    let again = named.post("/v1/generate", &body).await;
    assert_eq!(
        (again.header("idempotent-replayed"), again.ok()["task_id"].clone()),
        (Some("true"), first["task_id"].clone())
    );
    // The body's own name wins.
    let both = named.generate(&picture("body-1", "[[instant]]")).await;
    assert_eq!(both["request_id"], "body-1");
    let bad = app.agent_token().with("idempotency-key", "a b").post("/v1/generate", &body).await;
    assert_eq!(bad.refusal(), "400 invalid_request");
    assert_eq!(app.agent_token().post("/v1/generate", &body).await.problems(), ["request_id: is required"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_requests_leave_the_name_free() {
    let app = TestApp::sqlite().await;
    let client = app.other_account();
    let expensive = json!({"request_id": "free", "model": "sora-2-pro", "prompt": "a", "resolution": "1080p",
        "scene": "image-to-video", "image_urls": ["https://a.example/b.png"]});
    client.generate(&json!({"request_id": "hold", "model": "sora-2-pro", "prompt": "[[timeout]]"})).await;
    let refusals = [
        (expensive, "402 insufficient_credits"),
        (json!({"request_id": "free", "model": "nano-banana-pr", "prompt": "a"}), "400 unknown_model"),
        (json!({"request_id": "free", "model": "z-image", "prompt": "a", "count": 3}), "400 invalid_request"),
        (
            json!({"request_id": "free", "model": "z-image", "prompt": "a", "max_credits": 1}),
            "409 price_above_max_credits",
        ),
    ];
    for (body, expected) in refusals {
        assert_eq!(client.post("/v1/generate", &body).await.refusal(), expected);
        assert_eq!(client.get("/v1/generate/free").await.refusal(), "404 not_found");
    }
    assert_eq!(client.generate(&picture("free", "[[instant]]")).await["status"], "pending");

    // A failed task keeps its name.
    client.picture("failed", "[[fail]]").await;
    let failed = client.finish("failed").await;
    let again = client.post("/v1/generate", &picture("failed", "[[fail]]")).await;
    assert_eq!((again.header("idempotent-replayed"), again.ok()), (Some("true"), failed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_wins_over_what_changed_since() {
    let app = TestApp::sqlite().await;
    let account = app.admin().account_create("eight@example.com", false, 8).await.expect("an account").id;
    let key = app.admin().key_create(&account, Scopes::ALL, "k").await.expect("a key").1;
    let poor = app.bearer(key.expose());
    let task_id = text(&poor.picture("last", "[[instant]]").await, "task_id");
    assert_eq!(
        poor.post("/v1/generate", &picture("next", "[[instant]]")).await.refusal(),
        "402 insufficient_credits"
    );
    assert_eq!(text(&poor.picture("last", "[[instant]]").await, "task_id"), task_id);
    app.admin().account_freeze(&account, Some("test".to_owned())).await.expect("frozen");
    assert_eq!(
        poor.post("/v1/generate", &picture("next", "[[instant]]")).await.refusal(),
        "403 account_frozen"
    );
    assert_eq!(text(&poor.picture("last", "[[instant]]").await, "task_id"), task_id);

    let agent = app.agent_key();
    let body = picture("kept", "[[instant]]");
    let task_id = text(&agent.generate(&body).await, "task_id");
    let id = rynjer_core::id::AgentId::parse(&app.agent.id).expect("an agent's id");
    app.admin().agent_pause(&id, true).await.expect("paused");
    app.advance(std::time::Duration::from_secs(1));
    assert_eq!(agent.post("/v1/generate", &picture("new", "a")).await.refusal(), "403 agent_paused");
    assert_eq!(text(&agent.generate(&body).await, "task_id"), task_id);
    app.admin().agent_pause(&id, false).await.expect("resumed");

    let video: Scopes = [Scope::Video].into_iter().collect();
    app.admin().agent_bind(&app.agent.code, &app.account, video, None).await.expect("a binding");
    app.advance(std::time::Duration::from_secs(1));
    assert_eq!(agent.post("/v1/generate", &picture("new", "a")).await.refusal(), "403 scope_not_allowed");
    assert_eq!(text(&agent.generate(&body).await, "task_id"), task_id);
    let other = agent.post("/v1/generate", &picture("kept", "something else")).await;
    assert_eq!(other.refusal(), "422 request_id_reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_that_differ() {
    let app = TestApp::sqlite().await;
    let prompts = ["[[instant]] a", "[[instant]] b", "[[instant]] c", "[[instant]] d"];
    let bodies = (0..100).map(|number| picture("one-name", prompts[number % 4])).collect();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    let mut tasks = BTreeSet::new();
    for (_, status, json) in at_once(&app.agent_key(), bodies).await {
        *statuses.entry(status).or_default() += 1;
        if status == 200 {
            tasks.insert(text(&json["data"], "task_id"));
        }
    }
    assert_eq!((statuses, tasks.len()), (BTreeMap::from([(200, 25), (422, 75)]), 1));
    app.settle().await;
    assert_eq!(app.books().await, (crate::support::CREDITS - 8, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_every_legal_character() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    for (request_id, path) in [
        ("aZ09._~:@+=-", "aZ09._~:@+=-"),
        ("a:b@c+d=e", "a%3Ab%40c%2Bd%3De"),
        ("...", "..."),
        (&"x".repeat(255), &"x".repeat(255)),
        ("task_00000000000000000000000000", "task_00000000000000000000000000"),
    ] {
        let task = agent.picture(request_id, "[[instant]]").await;
        assert_eq!(agent.poll(path).await["task_id"], task["task_id"], "{request_id}");
    }
    assert_eq!(agent.get("/v1/generate/a%20b").await.refusal(), "404 not_found");
    assert_eq!(agent.get("/v1/generate/%ff").await.refusal(), "404 not_found");
}
