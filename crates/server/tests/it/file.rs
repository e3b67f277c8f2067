//! Uploads: what is kept, for whom, how long, and what is refused.
//!
//! Invariant: a refused upload leaves nothing in storage. Not here: generations that start from files
//! (`input`).

use crate::support::{
    DAY, HOUR, TestApp,
    agent::text,
    png::{bomb, png},
    redacted,
    upload::{form, objects, send, upload},
};
use axum::body::Body;
use http::Method;
use rynjer_core::scope::Scope;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_upload_to_deletion() {
    let app = TestApp::sqlite().await;
    let (agent, picture) = (app.agent_token(), png(7, 5, 9));
    let answer = upload(&agent, &picture).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let mut expected = json!({
        "file_id": "<file>", "url": "<signed url>", "mime": "image/png", "width": 7, "height": 5,
        "bytes": "<bytes>", "sha256": "<sha256>", "mode": "test",
        "created_at": "2025-03-18T09:50:00.000Z", "expires_at": "2025-03-19T09:50:00.000Z",
    });
    let whole = json!({"code": 0, "message": "ok", "data": expected});
    assert_eq!(answer.redacted(), whole);
    let file = answer.ok();
    assert_eq!((&file["bytes"], &file["sha256"]), (&json!(picture.len()), &json!(sha256(&picture))));
    let id = text(&file, "file_id");
    assert_eq!(objects(&app), [format!("files/{}/{id}.png", app.account)]);

    // Music alone can't start from a picture; others may upload, and nobody needs a scope to look.
    for (scopes, status) in [(vec![Scope::Music, Scope::CreditsRead], 403), (vec![Scope::Video], 200)] {
        assert_eq!(upload(&app.scoped(&scopes).await, &picture).await.status, status);
    }
    app.advance(Duration::from_secs(60));
    let shown = agent.get(&format!("/v1/files/{id}")).await.ok();
    assert_eq!(redacted(shown.clone()), expected.take());
    let url = text(&shown, "url");
    let got = app.anonymous().get(&url).await;
    assert_eq!((got.status, &got.body[..]), (200, picture.as_slice()));
    assert_eq!(got.header("content-type"), Some("image/png"));
    assert_eq!(got.header("etag"), Some(format!("\"{}\"", sha256(&picture)).as_str()));
    assert_eq!(got.header("content-disposition"), Some(format!("inline; filename=\"{id}.png\"").as_str()));
    let part = app.anonymous().with("range", "bytes=1-3").get(&url).await;
    assert_eq!((part.status, &part.body[..]), (206, b"PNG".as_slice()));
    // Neither another file nor another kind of object opens with its signature.
    for other in
        [url.replace("/files/", "/outputs/"), url.replace(".png", ".jpg"), url.replace("&key=", "&k=")]
    {
        assert_eq!(app.anonymous().get(&other).await.refusal(), "404 not_found", "{other}");
    }

    let gone = agent.request(Method::DELETE, &format!("/v1/files/{id}"), None).await;
    assert_eq!(gone.ok(), json!({"file_id": id, "deleted": true}));
    for path in [url, format!("/v1/files/{id}"), "/v1/files/file_x".to_owned()] {
        assert_eq!(agent.get(&path).await.refusal(), "404 not_found", "{path}");
    }
    let again = agent.request(Method::DELETE, &format!("/v1/files/{id}"), None).await;
    assert_eq!(again.refusal(), "404 not_found");
    // What the account's key uploaded is another file.
    assert_eq!(objects(&app).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_are_the_same_file_of_the_same_caller() {
    let app = TestApp::sqlite().await;
    let picture = png(3, 3, 1);
    let first = upload(&app.agent_token(), &picture).await.ok();
    app.advance(HOUR);
    let again = upload(&app.bearer(&app.agent.api_key), &picture).await;
    // The access token has expired, the key has not: both are the same agent.
    let again = again.ok();
    assert_eq!((&again["file_id"], &again["created_at"]), (&first["file_id"], &first["created_at"]));
    assert_eq!(again["expires_at"], "2025-03-19T10:50:00.000Z");
    assert_ne!(upload(&app.agent_key(), &png(3, 3, 2)).await.ok()["file_id"], first["file_id"]);

    let (other_agent, owner, stranger) =
        (app.another_agent(40).await, app.account_key(), app.other_account());
    let other_agent = app.bearer(&other_agent.api_key);
    let mut ids = vec![text(&first, "file_id")];
    for caller in [&other_agent, &owner, &stranger] {
        ids.push(text(&upload(caller, &picture).await.ok(), "file_id"));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let path = format!("/v1/files/{}", text(&first, "file_id"));
    assert_eq!(owner.get(&path).await.status, 200);
    for caller in [&other_agent, &stranger] {
        assert_eq!(caller.get(&path).await.refusal(), "404 not_found");
        assert_eq!(caller.request(Method::DELETE, &path, None).await.refusal(), "404 not_found");
    }
    assert_eq!(objects(&app).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_uploads_of_one_picture_at_once() {
    let app = TestApp::with("[limits]\nuploads_per_principal = 16").await;
    let (agent, picture) = (app.agent_token(), png(30, 30, 1));
    let calls = (0..16).map(|_| upload(&agent, &picture));
    let answers = futures::future::join_all(calls).await;
    let first = answers[0].ok();
    for answer in &answers {
        assert_eq!(answer.ok()["file_id"], first["file_id"]);
    }
    assert_eq!(objects(&app).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_account_may_have_at_once() {
    // Each of these counts for 64 KiB.
    let app = TestApp::with("[limits]\nfile_bytes_per_account = 131072").await;
    let (agent, owner) = (app.agent_key(), app.account_key());
    let first = upload(&agent, &png(2, 2, 1)).await.ok();
    upload(&owner, &png(2, 2, 2)).await.ok();
    let refused = upload(&agent, &png(2, 2, 3)).await;
    assert_eq!(refused.refusal(), "413 payload_too_large");
    let error = refused.error();
    assert_eq!(error["message"], "The account's files would take more than 131072 bytes");
    assert_eq!(
        error["suggestion"],
        "Delete a file with DELETE /v1/files/{file_id}, or wait until one expires."
    );
    assert_eq!(objects(&app).len(), 2);
    // The same bytes take no more room, another account has its own, and what goes makes room.
    assert_eq!(upload(&agent, &png(2, 2, 1)).await.ok()["file_id"], first["file_id"]);
    assert_eq!(upload(&app.other_account(), &png(2, 2, 3)).await.status, 200);
    let path = format!("/v1/files/{}", text(&first, "file_id"));
    agent.request(Method::DELETE, &path, None).await.ok();
    assert_eq!(upload(&agent, &png(2, 2, 3)).await.status, 200);
    assert_eq!(upload(&agent, &png(2, 2, 4)).await.refusal(), "413 payload_too_large");
    app.advance(DAY);
    assert_eq!(upload(&agent, &png(2, 2, 4)).await.status, 200);
    // An expired file that nobody has swept yet counts again when its bytes come again.
    assert_eq!(upload(&agent, &png(2, 2, 3)).await.status, 200);
    assert_eq!(upload(&owner, &png(2, 2, 2)).await.refusal(), "413 payload_too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_expires() {
    let app = TestApp::sqlite().await;
    let owner = app.account_key();
    let file = upload(&owner, &png(2, 2, 1)).await.ok();
    let (path, url) = (format!("/v1/files/{}", text(&file, "file_id")), text(&file, "url"));
    app.advance(DAY - Duration::from_secs(1));
    app.gateway().sweep().await.expect("a sweep");
    assert_eq!((owner.get(&path).await.status, owner.get(&url).await.status), (200, 200));
    app.advance(Duration::from_secs(1));
    assert_eq!(owner.get(&path).await.refusal(), "404 not_found");
    let late = owner.get(&url).await;
    assert_eq!(late.refusal(), "404 not_found");
    assert_eq!(
        late.error()["suggestion"],
        "Ask GET /v1/generate/{request_id} or GET /v1/files/{file_id} for a fresh link."
    );
    assert_eq!(objects(&app).len(), 1);
    app.gateway().sweep().await.expect("a sweep");
    assert_eq!(objects(&app), Vec::<String>::new());
    assert_ne!(upload(&owner, &png(2, 2, 1)).await.ok()["file_id"], file["file_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_upload() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let picture = png(4, 4, 1);
    let whole = form(&[("file", &picture)]);
    let refused = "The input picture is refused: ";
    let cut = form(&[("file", &picture[..picture.len() - 13])]);
    let rows: Vec<(Vec<u8>, String)> = vec![
        (form(&[]), "file: is required: a part of that name".to_owned()),
        (form(&[("image", &picture)]), "file: is required: a part of that name, not `image`".to_owned()),
        (
            form(&[("file", &picture), ("file", &picture)]),
            "file: appears twice: send one picture with each call".to_owned(),
        ),
        (whole[..whole.len() - 20].to_vec(), ": the body is no whole multipart/form-data".to_owned()),
        (picture.clone(), ": the body is no whole multipart/form-data".to_owned()),
        (Vec::new(), ": the body is no whole multipart/form-data".to_owned()),
        (form(&[("file", b"")]), format!("file: {refused}the file is empty.")),
        (form(&[("file", b"GIF89a")]), format!("file: {refused}GIF files are not supported.")),
        (
            form(&[("file", b"<svg xmlns='http://www.w3.org/2000/svg'/>")]),
            format!("file: {refused}the bytes are no known picture, video or audio format."),
        ),
        (cut, format!("file: {refused}broken PNG file: a chunk is cut off.")),
        (
            form(&[("file", &bomb(10_000, 5_001))]),
            format!("file: {refused}10000×5001 pixels are more than the 50000000 allowed."),
        ),
    ];
    for (body, problem) in rows {
        let answer = send(&agent, body).await;
        assert_eq!(answer.refusal(), "400 invalid_request", "{problem}");
        assert_eq!(answer.problems(), [problem]);
    }
    for kind in ["application/json", "image/png", "multipart/form-data", "multipart/mixed; boundary=XX"] {
        let caller = agent.with("content-type", kind);
        let answer = caller.send(Method::POST, "/v1/files", whole.clone().into()).await;
        assert_eq!(answer.refusal(), "415 unsupported_media_type", "{kind}");
    }
    let nameless = agent.send(Method::POST, "/v1/files", whole.into()).await;
    assert_eq!(nameless.refusal(), "415 unsupported_media_type");
    assert_eq!(objects(&app), Vec::<String>::new());
    // Parts that others send beside the file do no harm.
    let answer = send(&agent, form(&[("purpose", b"vision"), ("file", &picture)])).await.ok();
    assert_eq!(answer["warnings"], json!(["unknown part `purpose` was ignored"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_a_largest_size() {
    let exact = png(40, 40, 1);
    let app = TestApp::with(&format!("[limits]\nfile_bytes = {}", exact.len())).await;
    let agent = app.agent_token();
    let body = form(&[("file", &png(40, 41, 1))]);
    let huge = form(&[("file", &exact), ("other", &vec![0; 70_000])]);
    let message = format!("The body is larger than this call takes: at most {} bytes", exact.len());
    for body in [body, huge] {
        let caller = agent.with("content-type", "multipart/form-data; boundary=XX");
        let with_length = caller.with("content-length", &body.len().to_string());
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
            body.chunks(100).map(|piece| Ok(piece.to_vec())).collect();
        let streamed = Body::from_stream(futures::stream::iter(pieces));
        let answers = [
            caller.send(Method::POST, "/v1/files", streamed).await,
            with_length.send(Method::POST, "/v1/files", body.into()).await,
        ];
        for answer in answers {
            assert_eq!(answer.refusal(), "413 payload_too_large");
            assert_eq!(answer.error()["message"], json!(message));
        }
    }
    assert_eq!(objects(&app), Vec::<String>::new());
    assert_eq!(upload(&agent, &exact).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_picture_goes_in_parts() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let picture = png(3_000, 3_700, 200);
    assert!(picture.len() > 2 * (5 << 20), "{}", picture.len());
    let mut broken = picture.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    let answer = upload(&agent, &broken).await;
    assert_eq!(
        answer.problems(),
        ["file: The input picture is refused: broken PNG file: the checksum of a chunk is wrong."]
    );
    let no_picture = upload(&agent, &vec![b'x'; 6 << 20]).await;
    assert_eq!(no_picture.problems(), ["file: must be a PNG, JPEG or WebP picture"]);
    let body = form(&[("file", &picture)]);
    assert_eq!(send(&agent, body[..body.len() - 9].to_vec()).await.refusal(), "400 invalid_request");
    let nothing = async || objects(&app).is_empty().then_some(());
    crate::support::until("what was begun is cleaned up", nothing).await;

    let file = upload(&agent, &picture).await.ok();
    assert_eq!(
        (&file["width"], &file["height"], &file["bytes"], &file["sha256"]),
        (&json!(3_000), &json!(3_700), &json!(picture.len()), &json!(sha256(&picture)))
    );
    let got = app.anonymous().get(&text(&file, "url")).await;
    assert_eq!(sha256(&got.body), sha256(&picture));
    assert_eq!(upload(&agent, &picture).await.ok()["file_id"], file["file_id"]);
    assert_eq!(objects(&app).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_no_row_names_are_swept() {
    let app = TestApp::sqlite().await;
    let owner = app.account_key();
    let file = upload(&owner, &png(2, 2, 1)).await.ok();
    owner.picture("o", "[[instant]]").await;
    owner.finish("o").await;
    let living = objects(&app);
    let folder = app.data_dir().join("outputs");
    let unnamed = format!("files/{}/file_06egn8yc0hs5fc4pkp2kezx3y4.png", app.account);
    let half = format!("files/{}/{}.jpg", app.account, text(&file, "file_id"));
    let output = format!("{}/task_06egn8yc0hs5fc4pkp2kezx3y4/1-0.png", app.account);
    let handed = format!("inputs/{}/task_06egn8yc0hs5fc4pkp2kezx3y4/00.png", app.account);
    for name in [&unnamed, &half, &output, &handed] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(path, b"x").expect("written");
    }
    let young = objects(&app);
    assert_eq!(young.len(), living.len() + 4);
    // Storage has its own clock: an hour less than a day is too young.
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(app.now_ms().unsigned_abs());
    let age = |before: Duration| {
        for name in &young {
            let object = std::fs::File::options().append(true).open(folder.join(name)).expect("an object");
            object.set_modified(now - before).expect("a time");
        }
    };
    age(HOUR * 23);
    app.gateway().sweep_orphans().await.expect("a look");
    assert_eq!(objects(&app), young);
    age(HOUR * 25);
    app.gateway().sweep_orphans().await.expect("a look");
    assert_eq!(objects(&app), living);
    let still: Value = owner.get(&format!("/v1/files/{}", text(&file, "file_id"))).await.ok();
    assert_eq!(owner.get(&text(&still, "url")).await.status, 200);
}
