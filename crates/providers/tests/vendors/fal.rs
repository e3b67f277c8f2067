//! fal's queue: what is sent, what comes back, what each error means, and which callbacks are believed.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{KEY, errors, go_on, input, media, settings, trouble, units, video_job};
use futures::FutureExt;
use rynjer_core::catalog::Mode;
use rynjer_emulator::{CallbackOut, Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Callback, CallbackError, CancelAnswer, Job, PollAnswer, Provider, ProviderError, SubmitAnswer, Unit,
    fal::Fal,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const LTX: &str = "ltx-2:fal-ai/ltx-2/image-to-video";
const CALLBACK_URL: &str = "https://gateway.example/callbacks/fal/att_1?secret=a&b";

async fn start() -> (Emulator, Fal) {
    let emulator = Emulator::start(Vendor::Fal).await.unwrap();
    let keys = format!("{}/.well-known/jwks.json", emulator.world().origin());
    let provider = Fal::new(settings(&emulator), keys.parse().unwrap()).unwrap();
    (emulator, provider)
}

fn job() -> Job {
    Job {
        mode: Mode::ImageToVideo,
        resolution: Some("1080p".to_owned()),
        input_images: vec![input(64, 36)],
        ..video_job(LTX, 6)
    }
}

async fn id(provider: &Fal, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
        SubmitAnswer::Finished { .. } => panic!(),
    }
}

#[tokio::test]
async fn a_clip_from_a_picture() {
    let (emulator, provider) = start().await;
    emulator.world().polls(2);
    let made = media(&provider, &job()).await;
    assert_eq!(made.iter().map(|m| (m.width, m.height)).collect::<Vec<_>>(), [(Some(160), Some(90))]);
    let seen = emulator.world().seen();
    let submit = &seen[0];
    assert_eq!((submit.method.as_str(), submit.path.as_str()), ("POST", "/fal-ai/ltx-2/image-to-video"));
    assert_eq!(submit.header("authorization"), Some(format!("Key {KEY}").as_str()));
    let mut body = submit.json();
    let picture = body["image_url"].take();
    assert!(picture.as_str().unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
    let expected = json!({"image_url": null, "prompt": "a red fox", "duration": 6, "resolution": "1080p"});
    assert_eq!(body, expected);
    let id = &emulator.world().jobs()[0].id;
    let asked: Vec<&str> = seen[1..5].iter().map(|seen| seen.path.as_str()).collect();
    let (status, result) =
        (format!("/fal-ai/ltx-2/requests/{id}/status"), format!("/fal-ai/ltx-2/requests/{id}"));
    assert_eq!(asked, [&*status, &*status, &*status, &*result]);
    assert!(
        seen.iter()
            .filter(|seen| seen.path.starts_with("/files/"))
            .all(|s| s.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_tall_clip() {
    let (emulator, provider) = start().await;
    let ratio = Some("9:16".to_owned());
    let model = "ltx-2.3:fal-ai/ltx-2.3/image-to-video".to_owned();
    let made = media(&provider, &Job { vendor_model: model, aspect_ratio: ratio, ..job() }).await;
    assert_eq!((made[0].width, made[0].height), (Some(90), Some(160)));
    let seen = &emulator.world().seen()[0];
    assert_eq!(seen.path, "/fal-ai/ltx-2.3/image-to-video");
    assert_eq!(seen.json()["aspect_ratio"], "9:16");
}

#[tokio::test]
async fn what_fal_would_not_take_is_refused_by_its_checks() {
    let (_emulator, provider) = start().await;
    let long = Job { duration_ms: 20_000, ..job() };
    assert_eq!(trouble(&provider, &long).await, Expected::Refused("provider_failed"));
    let bare = Job { input_images: Vec::new(), ..job() };
    assert_eq!(trouble(&provider, &bare).await, Expected::Refused("input_rejected"));
    for model in
        ["fal-ai/ltx-2/image-to-video", "ltx-2:fal-ai", "ltx-2:fal-ai/ltx-2/../x", "ltx-2:a/retired/x"]
    {
        let job = Job { vendor_model: model.to_owned(), ..job() };
        assert_eq!(trouble(&provider, &job).await, Expected::Unusable, "{model}");
    }
}

#[tokio::test]
async fn each_error_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::Fal, &emulator, &provider, &job()).await;
}

#[tokio::test]
async fn a_lost_answer_is_in_doubt_and_one_that_never_left_is_not() {
    let (emulator, provider) = start().await;
    for fault in [Fault::Lost, Fault::Cut] {
        emulator.world().fault(fault);
        assert_eq!(trouble(&provider, &job()).await, Expected::Unknown);
    }
    assert_eq!(emulator.world().unmatched(), 2);
    let gone = settings(&emulator);
    drop(emulator);
    let provider = Fal::new(gone, "http://127.0.0.1:9/".parse().unwrap()).unwrap();
    assert_eq!(trouble(&provider, &job()).await, Expected::NotNow);
}

#[tokio::test]
async fn of_several_one_is_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    let body = json!({"detail": "Bad input"});
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(Fault::Answer { status: 422, headers: Vec::new(), body });
    let several = Job { count: 4, ..job() };
    let made = units(&provider, &several).await.unwrap();
    let count = |is: fn(&Unit) -> bool| made.iter().filter(|unit| is(unit)).count();
    assert!(matches!(made[0], Unit::Lost { .. }));
    assert_eq!(count(|unit| matches!(unit, Unit::Refused { .. })), 1);
    assert_eq!(count(|unit| matches!(unit, Unit::Delivered(_))), 2);
}

#[tokio::test]
async fn a_poll_that_fails_says_nothing_of_the_job() {
    let (emulator, provider) = start().await;
    let task = id(&provider, &job()).await;
    let strange = provider.poll(job(), "00000000-dead".to_owned(), go_on()).await;
    assert!(matches!(strange, Err(ProviderError::NotNow { .. })), "{strange:?}");
    // The same id with the app in front, as after a reply that named another one.
    let path = format!("fal-ai/ltx-2/requests/{task}");
    assert!(matches!(provider.poll(job(), path, go_on()).await, Ok(PollAnswer::Finished { .. })));
    let gone = settings(&emulator);
    drop(emulator);
    let provider = Fal::new(gone, "http://127.0.0.1:9/".parse().unwrap()).unwrap();
    assert!(matches!(provider.poll(job(), task, go_on()).await, Err(ProviderError::NotNow { .. })));
}

#[tokio::test]
async fn only_what_never_ran_is_canceled_for_nothing() {
    let (emulator, provider) = start().await;
    let cancel = async |id: Option<String>| provider.cancel(LTX.to_owned(), id).await.unwrap();
    emulator.world().polls(9);
    let queued = id(&provider, &job()).await;
    assert_eq!(cancel(Some(queued.clone())).await, CancelAnswer::Free);
    assert!(emulator.world().job(&queued).unwrap().canceled);
    // Whoever asks all the same asks until the task's time is over: a job may be unknown for a moment.
    let gone = provider.poll(job(), queued, go_on()).await;
    assert!(matches!(gone, Err(ProviderError::NotNow { .. })), "{gone:?}");
    emulator.world().polls(2);
    let running = id(&provider, &job()).await;
    emulator.world().forget_seen();
    assert_eq!(cancel(Some(running.clone())).await, CancelAnswer::NotFree);
    assert!(emulator.world().seen().iter().all(|seen| seen.method == "GET"));
    let done = provider.poll(job(), running, go_on()).await.unwrap();
    assert!(matches!(done, PollAnswer::Pending { .. }));
    emulator.world().polls(0);
    let done = id(&provider, &job()).await;
    assert_eq!(cancel(Some(done)).await, CancelAnswer::NotFree);
    assert_eq!(cancel(None).await, CancelAnswer::NotFree);
    emulator.world().polls(9);
    let lost = format!("{},-outcome_unknown", id(&provider, &job()).await);
    assert_eq!(cancel(Some(lost)).await, CancelAnswer::NotFree);
}

#[tokio::test]
async fn what_was_stopped_while_it_ran_is_lost() {
    let (emulator, provider) = start().await;
    let body = json!({"detail": "Request cancelled", "error_type": "client_cancelled"});
    emulator.world().fail_next(json!({"status": 499, "body": body}));
    let made = units(&provider, &job()).await.unwrap();
    assert!(matches!(&made[..], [Unit::Lost { .. }]), "{made:?}");
}

fn heard(out: &CallbackOut) -> Callback {
    let stamp = out.headers.iter().find(|(name, _)| name == "x-fal-webhook-timestamp").unwrap();
    Callback { headers: out.headers.clone(), body: out.body.clone(), now_s: stamp.1.parse().unwrap() }
}

#[tokio::test]
async fn only_callbacks_that_fal_signed_are_believed() {
    let (emulator, provider) = start().await;
    let with_url = Job { callback_url: Some(CALLBACK_URL.to_owned()), ..job() };
    let task = id(&provider, &with_url).await;
    let outs = emulator.world().take_callbacks();
    assert_eq!(outs[0].url, CALLBACK_URL);
    let body: Value = serde_json::from_slice(&outs[0].body).unwrap();
    assert_eq!((&body["status"], &body["request_id"]), (&json!("OK"), &json!(task)));
    let good = heard(&outs[0]);
    assert_eq!(provider.hear(good.clone()).await.unwrap().provider_task_id, Some(task));
    let old = Callback { now_s: good.now_s + 301, ..good.clone() };
    let other = Callback { body: b"{}".as_slice().into(), ..good.clone() };
    let mut forged = good.clone();
    forged.headers[4].1 = "00".repeat(64);
    let bare = Callback { headers: Vec::new(), ..good.clone() };
    for (name, callback) in [("old", old), ("other body", other), ("forged", forged), ("bare", bare)] {
        assert_eq!(provider.hear(callback).await, Err(CallbackError::Forged), "{name}");
    }
    let key_calls = || emulator.world().seen().iter().filter(|seen| seen.path.contains("jwks")).count();
    assert_eq!(key_calls(), 1);
    let mut later = Callback { now_s: good.now_s + 61, ..good };
    later.headers[4].1 = "00".repeat(64);
    assert_eq!(provider.hear(later).await, Err(CallbackError::Forged));
    assert_eq!(key_calls(), 2);
    let keys = emulator.world().seen();
    assert!(
        keys.iter().filter(|seen| seen.path.contains("jwks")).all(|s| s.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_callback_of_a_known_key_waits_for_no_fetch() {
    let (emulator, _) = start().await;
    let keys_at = format!("{}/.well-known/jwks.json", emulator.world().origin());
    let keys = reqwest::get(keys_at).await.unwrap().text().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut known = settings(&emulator);
    known.allow_hosts = vec![address.to_string()];
    let url = format!("http://{address}/keys").parse().unwrap();
    let provider = Fal::new(known, url).unwrap();
    id(&provider, &Job { callback_url: Some(CALLBACK_URL.to_owned()), ..job() }).await;
    let good = heard(&emulator.world().take_callbacks()[0]);
    let answered = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", keys.len());
        stream.write_all(format!("{head}{keys}").as_bytes()).await.unwrap();
    };
    let (known, ()) = tokio::join!(provider.hear(good.clone()), answered);
    assert!(known.is_ok());
    let mut forged = Callback { now_s: good.now_s + 61, ..good.clone() };
    forged.headers[4].1 = "00".repeat(64);
    let mut asking = Box::pin(provider.hear(forged));
    // The second fetch gets no answer.
    let _silent = tokio::select! {
        early = &mut asking => panic!("{early:?}"),
        silent = listener.accept() => silent.unwrap(),
    };
    let heard = tokio::time::timeout(std::time::Duration::from_secs(2), provider.hear(good)).await;
    assert!(heard.unwrap().is_ok());
    assert!((&mut asking).now_or_never().is_none());
}

#[tokio::test]
async fn a_callback_waits_while_the_keys_are_out_of_reach() {
    let (emulator, _) = start().await;
    let provider = Fal::new(settings(&emulator), "http://127.0.0.1:9/keys".parse().unwrap()).unwrap();
    let with_url = Job { callback_url: Some(CALLBACK_URL.to_owned()), ..job() };
    id(&provider, &with_url).await;
    let callback = heard(&emulator.world().take_callbacks()[0]);
    for _ in 0..2 {
        assert!(matches!(provider.hear(callback.clone()).await, Err(CallbackError::NotNow(_))));
    }
}
