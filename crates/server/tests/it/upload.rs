//! Uploads by a caller that means harm: bodies made to be kept, places taken for nothing, quotas ignored.
//!
//! Invariant: what one caller sends costs the gateway little and the others nothing. Not here: what is kept
//! (`file`), waiting for the next piece of a body (`server/src/http/form.rs`).

use crate::support::{
    TestApp,
    png::png,
    upload::{form, objects, send, upload},
};
use axum::body::Body;
use futures::{StreamExt, stream};
use http::Method;
use serde_json::json;
use std::{convert::Infallible, sync::Arc};
use tokio::sync::Semaphore;

const AROUND: &str = ": the body has more than 65536 bytes before or between its parts";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_around_parts_is_bounded() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    let whole = form(&[("file", &png(4, 4, 1))]);
    let close = whole.len() - b"--XX--\r\n".len();
    let head = |bytes: usize| [b"--XX\r\nX: ".as_slice(), &vec![b'a'; bytes], b"\r\n"].concat();
    let with_head = |bytes| [head(bytes), whole["--XX\r\n".len()..].to_vec()].concat();
    let rows = [
        ("preamble", [vec![b'a'; 1 << 20], b"\r\n".to_vec(), whole.clone()].concat()),
        ("header", with_head(1 << 20)),
        ("header without an end", head(1 << 20)),
        ("header after the file", [whole[..close].to_vec(), head(1 << 20)].concat()),
    ];
    for (what, body) in rows {
        let pieces: Vec<_> = body.chunks(1000).map(|piece| Ok::<_, Infallible>(piece.to_vec())).collect();
        let caller = agent.with("content-type", "multipart/form-data; boundary=XX");
        let streamed = caller.send(Method::POST, "/v1/files", Body::from_stream(stream::iter(pieces))).await;
        for answer in [send(&agent, body).await, streamed] {
            assert_eq!(answer.refusal(), "400 invalid_request", "{what}");
            assert_eq!(answer.problems(), [AROUND], "{what}");
        }
    }
    assert_eq!(objects(&app), Vec::<String>::new());

    let small = [b"hello\r\n".to_vec(), with_head(60_000)].concat();
    assert_eq!(send(&agent, small).await.status, 200);
    // A byte at a time reads the same.
    let bytes = whole.clone().into_iter().map(|byte| Ok::<_, Infallible>(vec![byte]));
    let caller = agent.with("content-type", "multipart/form-data; boundary=XX");
    let answer = caller.send(Method::POST, "/v1/files", Body::from_stream(stream::iter(bytes))).await;
    assert_eq!(answer.ok()["bytes"], json!(png(4, 4, 1).len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_beside_the_file_are_few() {
    let app = TestApp::sqlite().await;
    let (agent, picture) = (app.agent_token(), png(4, 4, 1));
    let beside = |count: usize| {
        let mut parts: Vec<(&str, &[u8])> = vec![("purpose", b"vision"); count];
        parts.insert(count / 2, ("file", &picture));
        form(&parts)
    };
    let answer = send(&agent, beside(63)).await.ok();
    assert_eq!(answer["warnings"], json!(vec!["unknown part `purpose` was ignored"; 20]));
    let refused = send(&agent, beside(64)).await;
    assert_eq!(refused.refusal(), "400 invalid_request");
    assert_eq!(refused.problems(), [": the body has more than 64 parts"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_has_few_uploads_under_way() {
    let app = TestApp::sqlite().await;
    let agent = app.agent_token();
    // Each begins, says that it is being read, and never goes on.
    let begun = Arc::new(Semaphore::new(0));
    let endless = || {
        let begun = Arc::clone(&begun);
        let read = stream::once(async move {
            begun.add_permits(1);
            Ok::<_, Infallible>("--XX\r\n")
        });
        let caller = agent.with("content-type", "multipart/form-data; boundary=XX");
        let body = Body::from_stream(read.chain(stream::pending()));
        async move { caller.send(Method::POST, "/v1/files", body).await }
    };
    let others_meanwhile = async {
        drop(begun.acquire_many(4).await.expect("four uploads"));
        // The same agent by its key is the same caller.
        for caller in [&agent, &app.agent_key()] {
            let refused = upload(caller, &png(2, 2, 1)).await;
            assert_eq!(refused.refusal(), "429 rate_limited");
            assert_eq!(
                refused.error()["message"],
                "4 uploads of yours are under way already, which is the most allowed"
            );
            assert_eq!(
                refused.error()["suggestion"],
                "Send POST /v1/files again when one of them has ended."
            );
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        for caller in [app.account_key(), app.other_account()] {
            assert_eq!(upload(&caller, &png(2, 2, 1)).await.status, 200);
        }
    };
    tokio::select! {
        answer = futures::future::select_all((0..4).map(|_| Box::pin(endless()))) => {
            panic!("an endless upload has ended: {:?}", answer.0.body);
        }
        () = others_meanwhile => {}
    }
    // The four are gone, and so are their places.
    assert_eq!(upload(&agent, &png(2, 2, 1)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stored_beyond_the_quota() {
    let app = TestApp::with("[limits]\nfile_bytes_per_account = 65536").await;
    let agent = app.agent_token();
    let large = [png(4, 4, 1), vec![0; 6 << 20]].concat();
    let refused = upload(&agent, &large).await;
    assert_eq!(refused.refusal(), "413 payload_too_large");
    assert_eq!(refused.error()["message"], "The account's files would take more than 65536 bytes");
    // Storage was not even begun with.
    assert!(!app.data_dir().join("outputs/files").exists());

    let first = upload(&agent, &png(2, 2, 1)).await.ok();
    // It is not looked into either.
    assert_eq!(upload(&agent, b"no picture").await.refusal(), "413 payload_too_large");
    assert_eq!(upload(&agent, &png(2, 2, 1)).await.ok()["file_id"], first["file_id"]);
    assert_eq!(objects(&app).len(), 1);
}
