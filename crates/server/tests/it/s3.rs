//! Outputs and uploads in a bucket: stored, read, led to, swept.
//!
//! Invariant: what the API shows is the same as with a folder, and what is in the bucket is what rows name.
//! Not here: a storage that is away (`s3_outage`).

use crate::support::{
    CREDITS, DAY, HOUR, TestApp,
    agent::text,
    client::picture,
    png::png,
    s3::{S3, fetch},
    until,
    upload::upload,
};
use http::Method;
use rynjer_core::time::rfc3339;
use rynjer_server::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, Options, Role},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_in_a_bucket() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let (agent, anybody) = (app.agent_token(), app.anonymous());
    // The trial at the start leaves nothing.
    assert_eq!(s3.objects(), Vec::<String>::new());
    agent.picture("p", "a red fox").await;
    let film = json!({"request_id": "f", "model": "sora-2", "prompt": "a calm sea", "duration": 4});
    agent.generate(&film).await;
    let mut names = Vec::new();
    for (id, extension, mime) in [("p", "png", "image/png"), ("f", "mp4", "video/mp4")] {
        let task = agent.finish(id).await;
        assert_eq!(task["status"], "success", "{task:#}");
        names.push(format!("{}/{}/{}-1-0.{extension}", app.account, date(&app), text(&task, "task_id")));
        let output = &task["outputs"][0];
        let url = text(output, "url");
        let whole = anybody.get(&url).await;
        assert_eq!((whole.status, whole.header("content-type")), (200, Some(mime)));
        assert_eq!(sha256(&whole.body), text(output, "sha256"));
        assert_eq!(json!(whole.body.len()), output["bytes"]);
        let part = anybody.with("range", "bytes=10-19").get(&url).await;
        assert_eq!((part.status, &part.body[..]), (206, &whole.body[10..20]));
        let range = format!("bytes 10-19/{}", whole.body.len());
        assert_eq!(part.header("content-range"), Some(range.as_str()));
        let last = anybody.with("range", "bytes=-7").get(&url).await;
        assert_eq!(last.body[..], whole.body[whole.body.len() - 7..]);
        let head = anybody.request(Method::HEAD, &url, None).await;
        let length = whole.body.len().to_string();
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), Some(length.as_str()));
        let etag = whole.header("etag").expect("an etag").to_owned();
        assert_eq!(anybody.with("if-none-match", &etag).get(&url).await.status, 304);
    }
    names.sort();
    assert_eq!(s3.objects(), names);
    assert_eq!(app.anonymous().get("/readyz").await.json(), json!({"status": "ok", "object_storage": "ok"}));

    let gone = agent.request(Method::DELETE, "/v1/generate/p", None).await.ok();
    assert!(gone["outputs"][0]["deleted_at"].is_string(), "{gone:#}");
    assert_eq!(s3.objects().len(), 1);
    // Retention takes the rest.
    app.advance(DAY * 31);
    app.gateway().sweep().await.expect("a sweep");
    assert_eq!(s3.objects(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_to_start_from() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let agent = app.agent_key();
    // What follows the picture's end makes it large.
    let large = [png(64, 48, 200), vec![0; 12 << 20]].concat();
    let mut tasks = Vec::new();
    for (number, picture) in [png(64, 48, 200), large].iter().enumerate() {
        let file = upload(&agent, picture).await.ok();
        assert_eq!(file["sha256"], json!(sha256(picture)));
        let name = format!("files/{}/{}.png", app.account, text(&file, "file_id"));
        assert!(s3.objects().contains(&name));
        let got = app.anonymous().get(&text(&file, "url")).await;
        assert_eq!((got.status, got.body == picture), (200, true));
        let body = json!({"request_id": format!("t-{number}"), "model": "google/nano-banana", "seed": 7,
            "prompt": "a calm sea", "input_image_urls": [file["file_id"]]});
        agent.generate(&body).await;
        let task = agent.finish(&text(&body, "request_id")).await;
        assert_eq!(task["credits"]["charged"], 8, "{task:#}");
        tasks.push(text(&task["outputs"][0], "sha256"));
        let path = format!("/v1/files/{}", text(&file, "file_id"));
        agent.request(Method::DELETE, &path, None).await.ok();
        assert!(!s3.objects().contains(&name));
    }
    assert_eq!(tasks[0], tasks[1]);
    // What is no picture is found out early or late; either way nothing stays.
    let junk = [b"GIF89a".to_vec(), vec![0; 7 << 20]].concat();
    let broken = [png(64, 48, 9)[..40].to_vec(), vec![0; 7 << 20]].concat();
    for body in [junk, broken] {
        assert_eq!(upload(&agent, &body).await.refusal(), "400 invalid_request");
    }
    until("uploads are aborted", async || (s3.unfinished() == 0).then_some(())).await;
    assert!(s3.objects().iter().all(|name| !name.starts_with("files/")), "{:?}", s3.objects());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_goes_in_small_parts() {
    let s3 = S3::start().await;
    let app = TestApp::with(&format!("{}[limits]\nfile_bytes = 70000000", s3.settings())).await;
    let large = [png(4, 4, 1), vec![7; 64 << 20]].concat();
    s3.requests();
    let file = upload(&app.agent_key(), &large).await.ok();
    assert_eq!(file["bytes"], json!(large.len()));
    let requests = s3.requests();
    let parts: Vec<u64> = requests
        .iter()
        .filter(|(_, url, _)| url.contains("partNumber="))
        .map(|(_, _, bytes)| *bytes)
        .collect();
    let mut expected = vec![5 << 20; 12];
    expected.push((4 << 20) + png(4, 4, 1).len() as u64);
    assert_eq!(parts, expected);
    // Nothing else carries bytes: a list of the parts is all that the end needs.
    let others: u64 = requests.iter().map(|(_, _, bytes)| bytes).sum::<u64>() - parts.iter().sum::<u64>();
    assert!(others < 4096, "{others}");
    assert_eq!(s3.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_output_goes_in_parts() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    let agent = app.agent_token();
    s3.requests();
    agent.generate(&large_picture("large")).await;
    let task = agent.finish("large").await;
    assert_eq!(task["credits"]["charged"], 40, "{task:#}");
    let requests = s3.requests();
    let parts: Vec<u64> = requests
        .iter()
        .filter(|(_, url, _)| url.contains("partNumber="))
        .map(|(_, _, bytes)| *bytes)
        .collect();
    assert_eq!(json!(parts.iter().sum::<u64>()), task["outputs"][0]["bytes"]);
    assert!(parts.len() > 1 && parts.iter().all(|bytes| *bytes <= 5 << 20), "{parts:?}");
    let got = app.anonymous().get(&text(&task["outputs"][0], "url")).await;
    assert_eq!(sha256(&got.body), text(&task["outputs"][0], "sha256"));
}

/// A picture of 40 credits that has more bytes than one part.
pub(crate) fn large_picture(request_id: &str) -> Value {
    json!({"request_id": request_id, "model": "nano-banana-pro", "prompt": "a city at night", "seed": 3,
        "resolution": "4K"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_the_bucket_do_not_outlive_ours() {
    let s3 = S3::start().await;
    let app = TestApp::with(&format!("{}downloads = \"redirect\"", s3.settings())).await;
    let agent = app.agent_token();
    agent.picture("p", "a red fox").await;
    let url = text(&agent.finish("p").await["outputs"][0], "url");
    let expires = url.split_once("expires=").and_then(|(_, rest)| rest.split('&').next()).expect("a time");
    let left_s = expires.parse::<i64>().expect("seconds") - app.now_s();
    app.advance(Duration::from_secs(u64::try_from(left_s).expect("a future") - 60));
    let led = app.anonymous().get(&url).await;
    let place = led.header("location").expect("a location");
    assert!(place.contains("X-Amz-Expires=60&"), "{place}");
}

/// The same tests with a proxy in the environment that answers nobody.
#[test]
fn no_proxy_is_taken_from_the_environment() {
    let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", "s3::links_that_lead_to_the_bucket"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, "http://127.0.0.1:9");
    }
    let again = again.output().expect("a run");
    let printed = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && printed.contains("1 passed"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_lead_to_the_bucket() {
    let s3 = S3::start().await;
    let app = TestApp::with(&format!("{}downloads = \"redirect\"", s3.settings())).await;
    let agent = app.agent_token();
    agent.picture("p", "a red fox").await;
    let output = agent.finish("p").await["outputs"][0].take();
    let (url, anybody) = (text(&output, "url"), app.anonymous());
    let led = anybody.get(&url).await;
    assert_eq!((led.status, led.body.len()), (307, 0));
    assert_eq!(led.header("cache-control"), Some("no-store"));
    assert_eq!(led.header("access-control-allow-origin"), Some("*"));
    let place = led.header("location").expect("a location").to_owned();
    assert!(place.contains("X-Amz-Expires=300&"), "{place}");
    let (status, head, body) = fetch(&place, "").await;
    assert_eq!((status, sha256(&body)), (200, text(&output, "sha256")));
    assert!(head.contains("content-type: image/png"), "{head}");
    let (status, _, part) = fetch(&place, "range: bytes=1-3\r\n").await;
    assert_eq!((status, part.as_slice()), (206, b"PNG".as_slice()));

    // Neither longer nor later nor for something else, and ours is checked as ever.
    let date = place.split_once("X-Amz-Date=").and_then(|(_, rest)| rest.get(..8)).expect("a date");
    let late = place.replace(date, &long_ago(date));
    let (status, _, body) = fetch(&late, "").await;
    assert_eq!((status, String::from_utf8_lossy(&body).contains("expired")), (403, true));
    for other in [place.replace("Expires=300", "Expires=900"), place.replace("1-0.png", "1-1.png")] {
        assert_eq!(fetch(&other, "").await.0, 403, "{other}");
    }
    assert_eq!(anybody.get(&url.replace("signature=", "signature=x")).await.refusal(), "404 not_found");
    // What has no bytes is answered here.
    assert_eq!(anybody.request(Method::HEAD, &url, None).await.status, 200);
    assert_eq!(anybody.with("range", "bytes=999999999-").get(&url).await.status, 416);
    app.advance(DAY * 8);
    assert_eq!(anybody.get(&url).await.refusal(), "404 not_found");
}

/// The folder of today's outputs.
fn date(app: &TestApp) -> String {
    let now = rfc3339(app.now_ms());
    now.split_once('T').expect("a time").0.to_owned()
}

/// A date as in `20280229`, four years before, which is a date too.
fn long_ago(date: &str) -> String {
    let year: u32 = date[..4].parse().expect("a year");
    format!("{}{}", year - 4, &date[4..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_in_a_bucket() {
    let s3 = S3::start().await;
    let app = TestApp::with(&s3.settings()).await;
    app.agent_token().picture("p", "a red fox").await;
    app.agent_token().finish("p").await;
    upload(&app.agent_token(), &png(3, 3, 3)).await.ok();
    let living = s3.objects();
    assert_eq!(living.len(), 2);
    // More than one page of a list.
    for number in 0..1100 {
        let task = "task_06egn8yc0hs5fc4pkp2kezx3y4";
        // As they are stored, and as they were.
        let (folder, name) = if number % 2 == 0 {
            (date(&app), format!("{task}-{number}-0.png"))
        } else {
            (task.to_owned(), format!("{number}-0.png"))
        };
        let folder = s3.folder().join(app.account.as_str()).join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(name), b"x").expect("an orphan");
    }
    let all = s3.objects();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(app.now_ms().unsigned_abs());
    let age = |before: Duration| {
        for name in &all {
            let object =
                std::fs::File::options().append(true).open(s3.folder().join(name)).expect("an object");
            object.set_modified(now - before).expect("a time");
        }
    };
    age(HOUR * 23);
    app.gateway().sweep_orphans().await.expect("a look");
    assert_eq!(s3.objects(), all);
    age(HOUR * 25);
    app.gateway().sweep_orphans().await.expect("a look");
    assert_eq!(s3.objects(), living);
}

/// What killed uploads into a folder left; S3 has a rule for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_files_in_a_folder() {
    let app = TestApp::sqlite().await;
    app.agent_token().picture("p", "a red fox").await;
    app.agent_token().finish("p").await;
    let folder = app.data_dir().join("outputs");
    let living = crate::support::upload::objects(&app);
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(app.now_ms().unsigned_abs());
    let below = folder.join(format!("files/{}", app.account));
    std::fs::create_dir_all(&below).expect("a folder");
    for (name, before) in [("file_a.png#1", HOUR * 25), ("file_b.png#12", HOUR * 23)] {
        std::fs::write(below.join(name), b"x").expect("a leftover");
        let file = std::fs::File::options().append(true).open(below.join(name)).expect("a leftover");
        file.set_modified(now - before).expect("a time");
    }
    app.gateway().sweep_orphans().await.expect("a look");
    let mut expected = living;
    expected.push(format!("files/{}/file_b.png#12", app.account));
    expected.sort();
    assert_eq!(crate::support::upload::objects(&app), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_bucket_is_found_at_the_start() {
    let s3 = S3::start().await;
    let address = s3.address;
    let start = async |settings: String| {
        let folder = tempfile::TempDir::new().expect("a folder");
        let settings = format!("[server]\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"\"\n{settings}");
        let settings = settings.parse().expect("settings");
        let config = Config::load(None, std::iter::empty(), settings).expect("settings").config;
        let options = Options {
            config,
            data_dir: folder.path().join("data"),
            role: Role::All,
            clock: Clock::System,
            master_key: None,
        };
        Gateway::start(options).await.err().expect("a refusal").to_string()
    };
    assert_eq!(
        start(s3.settings_with("s3://studio/x", "wrong-wrong-wrong")).await,
        format!(
            "http://{address} refuses the credentials for s3://studio/x (SignatureDoesNotMatch): correct \
             storage.access_key_id and storage.secret_access_key, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY"
        )
    );
    assert_eq!(
        start(s3.settings_with("s3://nowhere/x", "hunter2-hunter2-hunter2")).await,
        format!("the bucket nowhere does not exist at http://{address}: create it, or correct storage.url")
    );
    s3.cut_after(-1);
    let refused = start(s3.settings()).await;
    let unreachable = format!(
        "http://{address} can't be reached for s3://studio/eu/rynjer: correct storage.endpoint or the \
         network ("
    );
    assert!(refused.starts_with(&unreachable), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    s3.mend();
    assert_eq!(s3.objects(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_goes_on_in_the_same_bucket() {
    let s3 = S3::start().await;
    let mut app = TestApp::with(&s3.settings()).await;
    app.agent_token().generate(&picture("p", "a red fox")).await;
    let output = app.agent_token().finish("p").await["outputs"][0].take();
    app.restart().await;
    let got = app.anonymous().get(&text(&output, "url")).await;
    assert_eq!(sha256(&got.body), text(&output, "sha256"));
    assert_eq!(app.books().await, (CREDITS - 8, 0));
}
