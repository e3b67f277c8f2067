//! Generations that start from pictures: every way to name one, and what becomes of it.
//!
//! Invariant: a picture that can't be had costs nothing; somebody else's never opens. Not here: uploads
//! themselves (`file`), what the guarded client refuses (`providers/src/guarded`).

use crate::support::{
    CREDITS, Client, DAY, HOUR, TestApp,
    agent::text,
    png::{bomb, data_uri, png},
    until,
    upload::{objects, upload},
    web::Web,
};
use http::Method;
use rynjer_core::id::TaskId;
use rynjer_server::gateway::Role;
use serde_json::{Value, json};
use std::time::Duration;

const UNKNOWN: &str = "names no file of yours that is still there";

/// A request for one picture of 8 credits from others.
fn from(request_id: &str, prompt: &str, inputs: &[&str]) -> Value {
    json!({"request_id": request_id, "model": "google/nano-banana", "prompt": prompt, "seed": 7,
        "input_image_urls": inputs})
}

fn released() -> Value {
    json!({"held": 0, "charged": 0, "released": 8, "refunded": 0})
}

/// Generates and returns the finished task.
async fn made(caller: &Client, body: &Value) -> Value {
    caller.generate(body).await;
    caller.finish(&text(body, "request_id")).await
}

/// A gateway that may fetch from that server.
async fn allowing(web: &Web, more: &str) -> TestApp {
    let host = web.address;
    TestApp::with(&format!("{more}\n[inputs]\nallow_hosts = [\"{host}\"]")).await
}

fn ok_page(path: &'static str, body: Vec<u8>) -> (&'static str, String, Vec<u8>) {
    (path, "200 OK\r\ncontent-type: text/html".to_owned(), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_name_a_picture_gives_the_same() {
    let picture = png(64, 48, 200);
    let web = Web::new(vec![ok_page("/a.png", picture.clone())]);
    let app = allowing(&web, "").await;
    let agent = app.agent_key();
    let file = upload(&agent, &picture).await.ok();
    let mut hashes = Vec::new();
    let ways = [
        text(&file, "file_id"),
        text(&file, "url"),
        data_uri(&picture),
        web.url("/a.png"),
        data_uri(&picture).replace("image/png;base64", "image/x-any;name=a;BASE64"),
    ];
    for (number, way) in ways.iter().enumerate() {
        let task = made(&agent, &from(&format!("w-{number}"), "a calm sea", &[way])).await;
        assert_eq!(
            (&task["status"], &task["credits"]["charged"]),
            (&json!("success"), &json!(8)),
            "{task:#}"
        );
        hashes.push(text(&task["outputs"][0], "sha256"));
    }
    hashes.dedup();
    assert_eq!((hashes.len(), web.came()), (1, 1));
    // It is the picture that is seen: another one gives another output.
    let other = made(&agent, &from("other", "a calm sea", &[&data_uri(&png(64, 48, 20))])).await;
    assert_ne!(text(&other["outputs"][0], "sha256"), hashes[0]);
    assert_eq!(app.books().await, (CREDITS - 48, 0));
    // Each picture is stored once.
    let files = objects(&app).into_iter().filter(|name| name.starts_with("files/")).count();
    assert_eq!(files, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_becomes_a_clip() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    agent.picture("still", "[[instant]]").await;
    let still = agent.finish("still").await;
    let url = text(&still["outputs"][0], "url");
    let clip = json!({"request_id": "clip", "model": "sora-2", "prompt": "[[instant]]", "image_urls": [url]});
    let task = made(&agent, &clip).await;
    assert_eq!((&task["status"], &task["outputs"][0]["type"]), (&json!("success"), &json!("video")));
    assert_eq!(task["credits"]["charged"], 15);
    assert_eq!(app.books().await, (CREDITS - 23, 0));
    // Others of the account may have been handed the link; another account has no use for it.
    let owners = from("o", "[[instant]]", &[&url]);
    assert_eq!(made(&app.account_key(), &owners).await["status"], "success");
    let strangers = app.other_account().post("/v1/generate", &owners).await;
    assert_eq!(strangers.problems(), [format!("input_image_urls.0: {UNKNOWN}")]);
    let film = text(&task["outputs"][0], "url");
    let refused = agent.post("/v1/generate", &from("f", "a", &[&film])).await;
    assert_eq!(
        refused.problems(),
        ["input_image_urls.0: is of type video; only pictures can be started from"]
    );
    // A link that is over is told apart from one that never was.
    app.advance(DAY * 7);
    let late = app.account_key().post("/v1/generate", &from("l", "a", &[&url])).await;
    assert_eq!(
        late.problems(),
        [[
            "input_image_urls.0: is a link that has expired;",
            "poll GET /v1/generate/{request_id} for a fresh one"
        ]
        .join(" ")]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_is_about_to_go_is_kept_for_its_task() {
    let app = TestApp::sqlite().await;
    let owner = app.account_key();
    owner.picture("still", "[[instant]]").await;
    owner.finish("still").await;
    app.advance(DAY * 30 - Duration::from_secs(60));
    let url = text(&owner.poll("still").await["outputs"][0], "url");
    let slow = from("slow", "[[instant]] [[slow=120]]", &[&url]);
    owner.generate(&slow).await;
    until("the provider has it", async || owner.poll("slow").await["provider_task_id"].as_str().map(drop))
        .await;
    app.advance(Duration::from_secs(61));
    app.gateway().sweep().await.expect("a sweep");
    assert_eq!(owner.poll("still").await["outputs"][0]["url"], Value::Null);
    app.advance(Duration::from_secs(60));
    assert_eq!(owner.finish("slow").await["status"], "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_that_are_about_to_go_are_summed_before_they_are_read() {
    let mut app = TestApp::sqlite().await;
    app.account_key().picture("still", "[[instant]]").await;
    let still = app.account_key().finish("still").await;
    let bytes = still["outputs"][0]["bytes"].as_i64().expect("a size");
    // One fits, two do not.
    for (section, key, value) in [
        ("limits", "file_bytes", 1024),
        ("inputs", "max_bytes", bytes),
        ("inputs", "memory_bytes", bytes * 4),
    ] {
        app.set(section, key, toml::Value::Integer(value));
    }
    app.restart().await;
    app.advance(DAY * 30 - Duration::from_secs(60));
    let owner = app.account_key();
    let url = text(&owner.poll("still").await["outputs"][0], "url");
    // Who read them would miss them.
    let stored = objects(&app);
    assert_eq!(stored.len(), 1);
    std::fs::remove_file(app.data_dir().join("outputs").join(&stored[0])).expect("removed");
    let refused = owner.post("/v1/generate", &from("two", "a", &[&url, &url])).await;
    assert_eq!(refused.problems(), [format!("input_image_urls: must have at most {bytes} bytes together")]);
    let missing = owner.post("/v1/generate", &from("one", "a", &[&url])).await;
    assert_eq!(missing.problems(), [format!("input_image_urls.0: {UNKNOWN}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_the_callers() {
    let app = TestApp::sqlite().await;
    let (agent, picture) = (app.agent_key(), png(4, 4, 1));
    let other_agent = app.another_agent(41).await;
    let others = upload(&app.bearer(&other_agent.api_key), &picture).await.ok();
    let foreign = upload(&app.other_account(), &picture).await.ok();
    let own = upload(&agent, &picture).await.ok();
    let forged = text(&own, "url").replace("signature=", "signature=A");
    let unsigned = text(&own, "url").split('?').next().unwrap_or_default().to_owned();
    let before = app.ledger().await;
    for input in [
        text(&others, "file_id"),
        text(&foreign, "file_id"),
        text(&foreign, "url"),
        text(&foreign, "url").replace(app.other.as_str(), app.account.as_str()),
        forged,
        unsigned,
        "file_06egn8yc0hs5fc4pkp2kezx3y4".to_owned(),
        "file_nonsense".to_owned(),
    ] {
        let refused = agent.post("/v1/generate", &from("n", "a", &[&text(&own, "file_id"), &input])).await;
        assert_eq!(refused.refusal(), "400 invalid_request", "{input}");
        assert_eq!(refused.problems(), [format!("input_image_urls.1: {UNKNOWN}")], "{input}");
    }
    assert_eq!(app.ledger().await, before);
    // An account's key sees the files of its agents.
    let both = [text(&own, "file_id"), text(&others, "file_id")];
    let owners = from("n", "[[instant]]", &[&both[0], &both[1]]);
    assert_eq!(made(&app.account_key(), &owners).await["status"], "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_needs_no_file_any_more() {
    let app = TestApp::sqlite().await;
    let owner = app.account_key();
    let file = upload(&owner, &png(8, 8, 1)).await.ok();
    let (id, uri) = (text(&file, "file_id"), data_uri(&png(8, 8, 2)));
    let body = from("again", "[[instant]]", &[&id, &uri]);
    let first = made(&owner, &body).await;
    app.advance(DAY * 3);
    app.gateway().sweep().await.expect("a sweep");
    assert_eq!(owner.get(&format!("/v1/files/{id}")).await.status, 404);
    let stored = objects(&app);
    assert_eq!(stored.len(), 1);
    let replayed = owner.post("/v1/generate", &body).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    assert_eq!(replayed.ok()["task_id"], first["task_id"]);
    let other = from("again", "[[instant]]", &[&id]);
    let refused = owner.post("/v1/generate", &other).await;
    assert_eq!(refused.refusal(), "422 request_id_reused");
    assert_eq!(refused.problems(), ["input_image_urls: differs from the first request with this request_id"]);
    let fresh = owner.post("/v1/generate", &from("fresh", "[[instant]]", &[&id])).await;
    assert_eq!(fresh.problems(), [format!("input_image_urls.0: {UNKNOWN}")]);
    // Neither stored the picture of its body again.
    assert_eq!(objects(&app), stored);
    assert_eq!(app.books().await, (CREDITS - 8, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_in_the_request_are_stored_beside_it() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let uri = data_uri(&png(700, 700, 1));
    let mut keys = Vec::new();
    for request_id in ["d-1", "d-2"] {
        let task = made(&agent, &from(request_id, "[[instant]]", &[&uri, &uri])).await;
        assert_eq!(task["status"], "success");
        let id = TaskId::parse(&text(&task, "task_id")).expect("a task id");
        let body = app.admin().task_show(&id).await.expect("the task").body.expect("a body");
        assert!(body.len() < 500, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        keys.extend(body["input_image_urls"].as_array().expect("inputs").clone());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    let files: Vec<Value> =
        objects(&app).into_iter().filter(|name| name.starts_with("files/")).map(Value::from).collect();
    assert_eq!(files, keys);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_in_the_request_that_are_none() {
    let app = TestApp::with(
        "[limits]\nfile_bytes = 40000\nfile_bytes_per_account = 65536\n\
                              [inputs]\nmax_pixels = 1000000",
    )
    .await;
    let agent = app.agent_token();
    let before = app.ledger().await;
    let form = "must have the form data:image/png;base64,… with standard base64";
    let refused = "The input picture is refused: ";
    let rows = [
        ("data:image/png;base64".to_owned(), form.to_owned()),
        ("data:image/png,abc".to_owned(), form.to_owned()),
        ("data:image/png;base64,a*".to_owned(), form.to_owned()),
        ("data:image/png;base64,".to_owned(), format!("{refused}the file is empty.")),
        (data_uri(&png(300, 300, 1)), "must be at most 40000 bytes".to_owned()),
        (data_uri(b"GIF89a"), format!("{refused}GIF files are not supported.")),
        (
            data_uri(&bomb(5_000, 4_000)),
            format!("{refused}5000×4000 pixels are more than the 1000000 allowed."),
        ),
    ];
    for (uri, problem) in rows {
        let answer = agent.post("/v1/generate", &from("bad", "a", &[&uri])).await;
        assert_eq!(answer.problems(), [format!("input_image_urls.0: {problem}")]);
    }
    // What is refused for a cheaper reason stores nothing.
    let uri = data_uri(&png(9, 9, 1));
    let mut dear = from("bad", "a", &[&uri]);
    dear["max_credits"] = json!(7);
    assert_eq!(agent.post("/v1/generate", &dear).await.refusal(), "409 price_above_max_credits");
    let unknown = from("bad", "a", &[&uri, "file_nonsense"]);
    assert_eq!(agent.post("/v1/generate", &unknown).await.refusal(), "400 invalid_request");
    let reader = app.scoped(&[rynjer_core::scope::Scope::CreditsRead]).await;
    let answer = reader.post("/v1/generate", &from("bad", "a", &[&uri])).await;
    assert_eq!(answer.refusal(), "403 scope_not_allowed");
    assert_eq!(objects(&app), Vec::<String>::new());
    // They count as files of the account.
    assert_eq!(made(&agent, &from("good", "[[instant]]", &[&uri])).await["status"], "success");
    let full = agent.post("/v1/generate", &from("bad", "a", &[&data_uri(&png(9, 9, 2))])).await;
    assert_eq!(full.refusal(), "413 payload_too_large");
    assert_eq!((&full.error()["held"], &full.error()["charged"]), (&json!(0), &json!(0)));
    app.settle().await;
    assert_eq!(app.books().await, (CREDITS - 8, 0));
    assert_ne!(app.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_lives_as_long_as_its_task() {
    let app = TestApp::sqlite().await;
    let owner = app.account_key();
    let file = upload(&owner, &png(8, 8, 1)).await.ok();
    let path = format!("/v1/files/{}", text(&file, "file_id"));
    app.advance(DAY - Duration::from_secs(60));
    let slow = from("slow", "[[slow=120]]", &[&text(&file, "file_id")]);
    owner.generate(&slow).await;
    until("the provider has it", async || owner.poll("slow").await["provider_task_id"].as_str().map(drop))
        .await;
    app.advance(Duration::from_secs(61));
    app.gateway().sweep().await.expect("a sweep");
    // Half an hour in the queue, the model's 180 s, and an hour for a last question.
    assert_eq!(owner.get(&path).await.ok()["expires_at"], "2025-03-19T11:22:00.000Z");
    app.advance(Duration::from_secs(60));
    let task = owner.finish("slow").await;
    assert_eq!((&task["status"], &task["credits"]["charged"]), (&json!("success"), &json!(8)), "{task:#}");
    app.advance(HOUR * 2);
    app.gateway().sweep().await.expect("a sweep");
    assert_eq!(owner.get(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_deleted_under_its_task() {
    let mut app = TestApp::start("", Role::Api).await;
    let agent = app.agent_key();
    let files = [upload(&agent, &png(8, 8, 1)).await.ok(), upload(&agent, &png(8, 8, 2)).await.ok()];
    let ids = files.map(|file| text(&file, "file_id"));
    agent.generate(&from("gone", "[[instant]]", &[&ids[0], &ids[1]])).await;
    agent.request(Method::DELETE, &format!("/v1/files/{}", ids[1]), None).await.ok();
    assert_eq!(app.books().await, (CREDITS - 8, 8));
    app.restart_as(Role::All).await;
    let task = agent.finish("gone").await;
    assert_eq!((&task["status"], &task["credits"]), (&json!("failed"), &released()));
    assert_eq!(
        (&task["error"]["error"], &task["error"]["message"]),
        (&json!("input_unreachable"), &json!("input_image_urls.1: The file is no longer there."))
    );
    assert_eq!(app.books().await, (CREDITS, 0));
    let books = app.admin().account_show(&app.account).await.expect("the account").books;
    assert_eq!(books.provider_loss.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_give_no_picture() {
    let witness = Web::new(vec![ok_page("/secret.png", png(4, 4, 1))]);
    let moved = format!("302 Found\r\nlocation: {}", witness.url("/secret.png"));
    let web = Web::new(vec![
        ok_page("/page", b"<html>".to_vec()),
        ok_page("/bomb.png", bomb(9_000, 9_000)),
        ok_page("/huge.png", png(400, 400, 1)),
        ("/moved.png", moved, Vec::new()),
    ]);
    let limits = "[limits]\nfile_bytes = 100000";
    let app = TestApp::with(&format!(
        "{limits}\n[inputs]\nmax_bytes = 100000\nallow_hosts = [\"{}\"]",
        web.address
    ))
    .await;
    let agent = app.agent_key();
    let rows = [
        ("/gone.png", "input_unreachable", 3),
        ("/moved.png", "input_unreachable", 3),
        ("/page", "input_rejected", 1),
        ("/bomb.png", "input_rejected", 1),
        ("/huge.png", "input_rejected", 1),
    ];
    let good = data_uri(&png(4, 4, 1));
    for (path, code, tries) in rows {
        let came = web.came();
        let task = made(&agent, &from(path.trim_matches('/'), "[[instant]]", &[&good, &web.url(path)])).await;
        assert_eq!((&task["status"], &task["credits"]), (&json!("failed"), &released()), "{path}");
        assert_eq!(task["error"]["error"], code, "{path}");
        let message = text(&task["error"], "message");
        assert!(message.starts_with("input_image_urls.1: The "), "{message}");
        assert_eq!(web.came() - came, tries, "{path}");
        assert_eq!(app.books().await, (CREDITS, 0));
    }
    // Where a public page sends us is checked like the page itself.
    assert_eq!(witness.came(), 0);
    let refused = agent.post("/v1/generate", &from("w", "a", &[&witness.url("/secret.png")])).await;
    assert_eq!(refused.problems(), ["input_image_urls.0: must be a public address"]);
    assert_eq!(witness.came(), 0);
    let books = app.admin().account_show(&app.account).await.expect("the account").books;
    assert_eq!(books.provider_loss.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_private_is_asked_without_leave() {
    let witness = Web::new(vec![ok_page("/a.png", png(4, 4, 1))]);
    let mut app =
        TestApp::start(&format!("[inputs]\nallow_hosts = [\"{}\"]", witness.address), Role::Api).await;
    app.agent_key().generate(&from("private", "[[instant]]", &[&witness.url("/a.png")])).await;
    // The operator takes the leave back before the worker comes to it.
    app.set("inputs", "allow_hosts", toml::Value::Array(Vec::new()));
    app.restart_as(Role::All).await;
    let task = app.agent_key().finish("private").await;
    assert_eq!((&task["status"], &task["credits"]), (&json!("failed"), &released()));
    assert_eq!(task["error"]["error"], "input_unreachable");
    assert_eq!(witness.came(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pictures_of_one_task_have_a_size_together() {
    let web = Web::new(vec![ok_page("/a.png", png(250, 250, 1)), ok_page("/b.png", png(250, 250, 2))]);
    let settings = format!(
        "[limits]\nfile_bytes = 100000\n[inputs]\nmax_bytes = 100000\nmemory_bytes = 400000\n\
         allow_hosts = [\"{}\"]",
        web.address
    );
    let app = TestApp::with_moving_clock(&settings).await;
    let agent = app.agent_key();
    let uris = [1, 2].map(|shade| data_uri(&png(250, 250, shade)));
    let known = agent.post("/v1/generate", &from("k", "a", &[&uris[0], &uris[1]])).await;
    assert_eq!(known.problems(), ["input_image_urls: must have at most 100000 bytes together"]);
    let urls = [web.url("/a.png"), web.url("/b.png")];
    let task = made(&agent, &from("u", "[[instant]]", &[&urls[0], &urls[1]])).await;
    assert_eq!((&task["status"], &task["credits"]), (&json!("failed"), &released()));
    assert_eq!(task["error"]["error"], "input_rejected");
    // Many tasks share the memory, each for its time.
    for number in 0..12 {
        agent.generate(&from(&format!("m-{number}"), "[[instant]]", &[&urls[number % 2]])).await;
    }
    for number in 0..12 {
        assert_eq!(agent.finish(&format!("m-{number}")).await["status"], "success", "{number}");
    }
    assert_eq!(app.books().await, (CREDITS - 96, 0));
}
