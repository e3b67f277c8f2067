//! Replicate's predictions: what is sent, what comes back, what each error means, what a look-up finds, and
//! which callbacks are believed.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{KEY, errors, go_on, image_job, input, media, settings, trouble, units, video_job};
use rynjer_core::catalog::{Catalog, Mode, VendorRoute};
use rynjer_emulator::{CallbackOut, Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Callback, CallbackError, CancelAnswer, InputImage, Job, LookUpAnswer, PollAnswer, Provider,
    ProviderError, SubmitAnswer, Unit, replicate::Replicate, upstream::ApiKey,
};
use serde_json::{Value, json};

const CALLBACK_URL: &str = "https://gateway.example/callbacks/replicate/att_1";
const SECRET: &str = "whsec_c3RhbmQtaW4tc2VjcmV0LW9mLXJlcGxpY2F0ZQ==";
/// After whatever a stand-in makes.
const AFTER_MS: i64 = 4_000_000_000_000;

fn routes() -> Vec<VendorRoute> {
    let builtin = Catalog::builtin().unwrap();
    let all = builtin.vendor_routes().iter();
    all.filter(|route| route.provider == "replicate").cloned().collect()
}

async fn start() -> (Emulator, Replicate) {
    let emulator = Emulator::start(Vendor::Replicate).await.unwrap();
    let provider = Replicate::new(settings(&emulator), Some(ApiKey::new(SECRET)), &routes()).unwrap();
    (emulator, provider)
}

fn job() -> Job {
    image_job("google/nano-banana-pro", 1)
}

async fn id(provider: &Replicate, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
        SubmitAnswer::Finished { .. } => panic!(),
    }
}

/// When the first was made.
fn made_ms(emulator: &Emulator) -> i64 {
    emulator.world().jobs()[0].input["created_ms"].as_i64().unwrap()
}

#[tokio::test]
async fn each_model_gets_its_own_words() {
    let (emulator, provider) = start().await;
    emulator.world().polls(2);
    let ratio = Some("16:9".to_owned());
    let picture = Job { aspect_ratio: ratio.clone(), ..job() };
    let small = Job { width: 512, height: 768, ..image_job("prunaai/z-image-turbo", 1) };
    let clip = video_job("google/veo-3.1", 6);
    let fast = video_job("google/veo-3.1-fast", 8);
    let draft = image_job("google/nano-banana", 1);
    let veo = |seconds: u32| {
        json!({"prompt": "a red fox", "aspect_ratio": "16:9", "duration": seconds,
            "resolution": "720p", "seed": 5})
    };
    let pro = json!({"prompt": "a red fox", "aspect_ratio": "16:9", "resolution": "1K"});
    let turbo = json!({"prompt": "a red fox", "width": 512, "height": 768, "seed": 5});
    let banana = json!({"prompt": "a red fox", "aspect_ratio": "1:1"});
    for (job, input, width, height, after) in [
        (picture, pro, 1024, 576, "10m"),
        (small, turbo, 512, 768, "10m"),
        (draft, banana, 1024, 1024, "10m"),
        (clip, veo(6), 160, 90, "30m"),
        (fast, veo(8), 160, 90, "30m"),
    ] {
        emulator.world().forget_seen();
        let made = media(&provider, &job).await;
        assert_eq!((made[0].width, made[0].height), (Some(width), Some(height)));
        let seen = &emulator.world().seen()[0];
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/predictions"));
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(seen.header("cancel-after"), Some(after));
        assert_eq!(seen.json(), json!({"version": job.vendor_model, "input": input}));
    }
}

#[tokio::test]
async fn small_pictures_go_inside_and_large_ones_by_url() {
    let (emulator, provider) = start().await;
    let large = InputImage { bytes: vec![7; 200_000].into(), ..input(64, 64) };
    let by_url = InputImage { url: Some("https://gateway.example/in/1".to_owned()), ..large.clone() };
    let mode = Mode::ImageToImage;
    let both = Job { mode, input_images: vec![input(64, 64), by_url.clone()], ..job() };
    assert_eq!(media(&provider, &both).await.len(), 1);
    let pictures = emulator.world().seen()[0].json()["input"]["image_input"].take();
    assert!(pictures[0].as_str().unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
    assert_eq!(pictures[1], "https://gateway.example/in/1");
    let clip = Job { input_images: vec![by_url], ..video_job("google/veo-3.1", 8) };
    assert_eq!(media(&provider, &clip).await.len(), 1);
    let seen = emulator.world().seen();
    let submit = seen.iter().rfind(|seen| seen.method == "POST").unwrap();
    assert_eq!(submit.json()["input"]["image"], "https://gateway.example/in/1");
    let hidden = Job { mode, input_images: vec![large], ..job() };
    assert_eq!(trouble(&provider, &hidden).await, Expected::Refused("input_rejected"));
    let nameless = Job { input_images: vec![input(64, 64)], ..image_job("prunaai/z-image-turbo", 1) };
    assert_eq!(trouble(&provider, &nameless).await, Expected::Unusable);
    assert_eq!(trouble(&provider, &image_job("no/route", 1)).await, Expected::Unusable);
}

#[tokio::test]
async fn each_error_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::Replicate, &emulator, &provider, &job()).await;
    let body = json!({"detail": "Request was throttled. Your rate limit resets in ~30s."});
    emulator.world().fault(Fault::Answer { status: 429, headers: Vec::new(), body });
    let Err(ProviderError::NotNow { retry_after_ms, .. }) = provider.submit(job(), go_on()).await else {
        panic!()
    };
    assert_eq!(retry_after_ms, Some(30_000));
}

#[tokio::test]
async fn what_was_lost_is_found_by_all_that_the_list_shows() {
    let (emulator, provider) = start().await;
    let sought = job();
    for fault in [Fault::Lost, Fault::Cut] {
        emulator.world().fault(fault);
        assert_eq!(trouble(&provider, &sought).await, Expected::Unknown);
    }
    id(&provider, &Job { prompt: "a stranger's".to_owned(), ..sought.clone() }).await;
    id(&provider, &Job { input_images: vec![input(64, 64)], ..sought.clone() }).await;
    id(&provider, &image_job("google/nano-banana", 1)).await;
    let begun_ms = made_ms(&emulator);
    let second = emulator.world().jobs()[1].id.clone();
    emulator.world().change(&second, |job| job.input["created_ms"] = json!(begun_ms + 1_000)).unwrap();
    let found = provider.look_up(sought.clone(), begun_ms).await.unwrap();
    let ids: Vec<String> = emulator.world().jobs().iter().take(2).map(|job| job.id.clone()).collect();
    assert_eq!(found, LookUpAnswer::Found { provider_task_ids: ids, poll_after_ms: 2_000 });
    // Older than the submit: another one's.
    let late = Job { now_ms: AFTER_MS + 60_000, ..sought.clone() };
    assert_eq!(provider.look_up(late.clone(), AFTER_MS).await.unwrap(), LookUpAnswer::Absent);
    let early = Job { now_ms: AFTER_MS + 1_000, ..sought };
    let Err(ProviderError::NotNow { retry_after_ms, .. }) = provider.look_up(early, AFTER_MS).await else {
        panic!()
    };
    assert_eq!(retry_after_ms, Some(59_000));
    let other = Job { resolution: Some("2K".to_owned()), ..late };
    assert_eq!(provider.look_up(other, begun_ms).await.unwrap(), LookUpAnswer::Absent);
}

#[tokio::test]
async fn a_look_up_takes_no_stranger_for_ours() {
    let (emulator, provider) = start().await;
    let now_ms = AFTER_MS;
    let by_url = |name: &str| {
        let url = Some(format!("https://gateway.example/in/{name}"));
        let large = InputImage { bytes: vec![7; 200_000].into(), url, ..input(64, 64) };
        Job { mode: Mode::ImageToImage, input_images: vec![large], now_ms, ..job() }
    };
    let inline = Job { mode: Mode::ImageToImage, input_images: vec![input(64, 64)], now_ms, ..job() };
    id(&provider, &Job { prompt: "data:a".to_owned(), ..job() }).await;
    id(&provider, &inline).await;
    let ours = id(&provider, &by_url("1")).await;
    let look_up = async |job: Job| provider.look_up(job, made_ms(&emulator)).await;
    // Words that look like a file are words.
    let other = Job { prompt: "data:b".to_owned(), now_ms, ..job() };
    assert_eq!(look_up(other).await.unwrap(), LookUpAnswer::Absent);
    let found = LookUpAnswer::Found { provider_task_ids: vec![ours], poll_after_ms: 2_000 };
    assert_eq!(look_up(by_url("1")).await.unwrap(), found);
    assert_eq!(look_up(by_url("2")).await.unwrap(), LookUpAnswer::Absent);
    assert_eq!(look_up(Job { now_ms, ..job() }).await.unwrap(), LookUpAnswer::Absent);
    emulator.world().forget_seen();
    let away = Job { input_images: Vec::new(), ..inline.clone() };
    for doubtful in [inline, away, Job { count: 2, ..job() }] {
        assert!(matches!(look_up(doubtful).await, Err(ProviderError::Ambiguous { .. })));
    }
    assert_eq!(emulator.world().seen().len(), 0);
}

#[tokio::test]
async fn a_look_up_turns_the_pages() {
    let (emulator, provider) = start().await;
    let first = id(&provider, &job()).await;
    for _ in 0..100 {
        id(&provider, &image_job("google/nano-banana", 1)).await;
    }
    let found = provider.look_up(job(), made_ms(&emulator)).await.unwrap();
    assert_eq!(found, LookUpAnswer::Found { provider_task_ids: vec![first], poll_after_ms: 2_000 });
    assert_eq!(emulator.world().seen().iter().filter(|seen| seen.method == "GET").count(), 2);
}

#[tokio::test]
async fn of_several_one_is_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    let body = json!({"title": "Input validation failed", "detail": "- input: no\n"});
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(Fault::Answer { status: 422, headers: Vec::new(), body });
    let made = units(&provider, &Job { count: 4, ..job() }).await.unwrap();
    let count = |is: fn(&Unit) -> bool| made.iter().filter(|unit| is(unit)).count();
    assert!(matches!(made[0], Unit::Lost { .. }));
    assert_eq!(count(|unit| matches!(unit, Unit::Refused { .. })), 1);
    assert_eq!(count(|unit| matches!(unit, Unit::Delivered(_))), 2);
}

#[tokio::test]
async fn a_poll_that_fails_says_nothing_of_the_job() {
    let (emulator, provider) = start().await;
    emulator.world().polls(1);
    let task = id(&provider, &job()).await;
    let Ok(PollAnswer::Pending { progress: Some(progress), .. }) =
        provider.poll(job(), task.clone(), go_on()).await
    else {
        panic!()
    };
    assert!((progress - 0.45).abs() < 1e-6);
    for strange in ["unknown", "../predictions"] {
        let unknown = provider.poll(job(), strange.to_owned(), go_on()).await;
        assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
    }
    let gone = settings(&emulator);
    drop(emulator);
    let provider = Replicate::new(gone, None, &routes()).unwrap();
    assert!(matches!(provider.poll(job(), task, go_on()).await, Err(ProviderError::NotNow { .. })));
    assert_eq!(trouble(&provider, &job()).await, Expected::NotNow);
}

#[tokio::test]
async fn only_what_never_ran_is_canceled_for_nothing() {
    let (emulator, provider) = start().await;
    emulator.world().polls(3);
    let cancel = async |id: Option<String>| provider.cancel("any".to_owned(), id).await.unwrap();
    let waiting = id(&provider, &job()).await;
    assert_eq!(cancel(Some(waiting.clone())).await, CancelAnswer::Free);
    assert!(matches!(provider.poll(job(), waiting, go_on()).await, Err(ProviderError::Refused { .. })));
    let running = id(&provider, &job()).await;
    for _ in 0..2 {
        provider.poll(job(), running.clone(), go_on()).await.unwrap();
    }
    emulator.world().forget_seen();
    assert_eq!(cancel(Some(running.clone())).await, CancelAnswer::NotFree);
    assert!(emulator.world().seen().iter().all(|seen| seen.method == "GET"));
    assert!(!emulator.world().job(&running).unwrap().canceled);
    emulator.world().polls(0);
    let done = id(&provider, &job()).await;
    assert_eq!(cancel(Some(done)).await, CancelAnswer::NotFree);
    assert_eq!(cancel(None).await, CancelAnswer::NotFree);
}

#[tokio::test]
async fn what_was_stopped_while_it_ran_is_lost() {
    let (emulator, provider) = start().await;
    emulator.world().fail_next(json!({"status": "canceled", "error": null}));
    let made = units(&provider, &job()).await.unwrap();
    assert!(matches!(&made[..], [Unit::Lost { .. }]), "{made:?}");
    emulator.world().polls(1);
    let running = id(&provider, &job()).await;
    // By somebody else.
    let stopped = |job: &mut rynjer_emulator::Job| {
        job.canceled = true;
        job.input["ran"] = json!(true);
    };
    emulator.world().change(&running, stopped).unwrap();
    let ended = provider.poll(job(), running, go_on()).await.unwrap();
    assert!(matches!(ended, PollAnswer::Finished { units, .. } if matches!(units[..], [Unit::Lost { .. }])));
    emulator.world().polls(0);
    emulator.world().fail_next(json!({"status": "aborted", "error": null}));
    assert_eq!(trouble(&provider, &job()).await, Expected::Refused("provider_failed"));
}

fn heard(out: &CallbackOut) -> Callback {
    let stamp = out.headers.iter().find(|(name, _)| name == "webhook-timestamp").unwrap();
    Callback { headers: out.headers.clone(), body: out.body.clone(), now_s: stamp.1.parse().unwrap() }
}

#[tokio::test]
async fn only_callbacks_that_were_signed_are_believed() {
    let (emulator, provider) = start().await;
    let with_url = Job { callback_url: Some(CALLBACK_URL.to_owned()), ..job() };
    let task = id(&provider, &with_url).await;
    let sent = emulator.world().seen()[0].json();
    assert_eq!(
        (&sent["webhook"], &sent["webhook_events_filter"]),
        (&json!(CALLBACK_URL), &json!(["completed"]))
    );
    let out = &emulator.world().take_callbacks()[0];
    assert_eq!(out.url, CALLBACK_URL);
    let body: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(body["status"], "succeeded");
    let good = heard(out);
    assert_eq!(provider.hear(good.clone()).await.unwrap().provider_task_id, Some(task));
    let mut rotated = good.clone();
    rotated.headers[3].1 = format!("v1,{} {}", "AAAA", good.headers[3].1);
    assert!(provider.hear(rotated).await.is_ok());
    let old = Callback { now_s: good.now_s + 301, ..good.clone() };
    let other = Callback { body: b"{}".as_slice().into(), ..good.clone() };
    let mut forged = good.clone();
    forged.headers[3].1 = format!("v1,{}=", "A".repeat(43));
    let bare = Callback { headers: Vec::new(), ..good.clone() };
    for (name, callback) in [("old", old), ("other body", other), ("forged", forged), ("bare", bare)] {
        assert_eq!(provider.hear(callback).await, Err(CallbackError::Forged), "{name}");
    }
    // Without the secret nothing could be checked: no callback is asked for, and none is believed.
    let blind = Replicate::new(settings(&emulator), None, &routes()).unwrap();
    assert_eq!(blind.hear(good).await, Err(CallbackError::Forged));
    id(&blind, &with_url).await;
    assert!(emulator.world().take_callbacks().is_empty());
}
