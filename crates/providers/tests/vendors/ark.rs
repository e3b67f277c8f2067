//! Ark: what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{errors, go_on, hangs_up, input, media, nobody, settings, trouble, video_job};
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Ambiguity, Callback, CancelAnswer, Job, PollAnswer, Provider, ProviderError, SubmitAnswer, TaskError,
    Unit,
    ark::Ark,
    upstream::{ApiKey, VendorSettings},
};
use serde_json::json;

const MODEL: &str = "seedance-1-0-pro-fast-251015";

async fn start() -> (Emulator, Ark) {
    let emulator = Emulator::start(Vendor::Ark).await.unwrap();
    let provider = Ark::new(settings(&emulator)).unwrap();
    (emulator, provider)
}

async fn accepted(provider: &Ark, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
        other @ SubmitAnswer::Finished { .. } => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn clips() {
    let (emulator, provider) = start().await;
    emulator.world().polls(2);
    let url = "https://gateway.test/callbacks/att_1".to_owned();
    let job =
        Job { prompt: "a fox --dur 12".to_owned(), callback_url: Some(url.clone()), ..video_job(MODEL, 5) };
    assert_eq!(media(&provider, &job).await.len(), 1);
    let text = "a fox \u{2010}\u{2010}dur 12";
    let body = json!({
        "model": MODEL, "content": [{"type": "text", "text": text}], "resolution": "720p", "ratio": "16:9",
        "duration": 5, "watermark": false, "safety_identifier": job.end_user, "callback_url": url,
    });
    assert_eq!(emulator.world().seen()[0].json(), body);
    let sent = emulator.world().take_callbacks().remove(0);
    assert_eq!(sent.url, url);
    let callback = Callback { headers: sent.headers, body: sent.body, now_s: 0 };
    assert_eq!(provider.hear(callback.clone()).await.unwrap().provider_task_id.as_deref(), Some("cgt-1"));
    assert!(provider.hear(Callback { body: "{}".into(), ..callback }).await.is_err());
    emulator.world().forget_seen();
    let job = Job { input_images: vec![input(64, 64)], ..video_job(MODEL, 10) };
    assert_eq!(media(&provider, &job).await.len(), 1);
    let body = emulator.world().seen()[0].json();
    assert_eq!(
        (body["ratio"].as_str(), body["content"][1]["role"].as_str()),
        (Some("adaptive"), Some("first_frame"))
    );
}

#[tokio::test]
async fn each_error_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::Ark, &emulator, &provider, &video_job(MODEL, 5)).await;
}

/// The list tells neither prompt nor picture: the clip of another task would be taken for it.
#[tokio::test]
async fn a_lost_clip_is_not_looked_for() {
    let (emulator, provider) = start().await;
    let job = video_job(MODEL, 5);
    media(&provider, &Job { prompt: "a blue cat".to_owned(), ..job.clone() }).await;
    emulator.world().fault(Fault::Lost);
    assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
    assert_eq!(provider.ambiguity(MODEL), Ambiguity::Neither);
    let asked = provider.look_up(job, 1_770_000_000_000).await;
    assert!(matches!(asked, Err(ProviderError::Ambiguous { .. })), "{asked:?}");
}

#[tokio::test]
async fn only_what_waits_is_taken_back() {
    let (emulator, provider) = start().await;
    for (polls, expected) in [(5, CancelAnswer::Free), (0, CancelAnswer::NotFree)] {
        emulator.world().polls(polls);
        let answer = provider.submit(video_job(MODEL, 5), go_on()).await.unwrap();
        let SubmitAnswer::Accepted { provider_task_id, .. } = answer else { panic!() };
        let in_doubt = format!("{provider_task_id},-outcome_unknown");
        assert_eq!(provider.cancel(MODEL.to_owned(), Some(provider_task_id)).await.unwrap(), expected);
        let canceled = provider.cancel(MODEL.to_owned(), Some(in_doubt)).await.unwrap();
        assert_eq!(canceled, CancelAnswer::NotFree);
    }
}

#[tokio::test]
async fn of_several_clips_one_may_be_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    emulator.world().polls(9);
    let job = Job { count: 4, ..video_job(MODEL, 5) };
    let refusal = json!({"error": {"code": "InputTextSensitiveContentDetected", "message": "No."}});
    emulator.world().fault(Fault::Slow { ms: 0 });
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(Fault::Answer { status: 400, headers: Vec::new(), body: refusal });
    let ids = accepted(&provider, &job).await;
    let entries = |word: &str| ids.split(',').filter(|entry| entry.starts_with(word)).count();
    let found = ["cgt-", "-outcome_unknown", "-content_rejected"].map(entries);
    assert_eq!(found, [2, 1, 1], "{ids}");
    assert_eq!(emulator.world().jobs().len(), 3);
    // One of those that wait is done before the other: nothing ends before both are.
    let first = ids.split(',').find(|entry| entry.starts_with("cgt-")).unwrap();
    emulator.world().change(first, |job| job.polls_left = 0).unwrap();
    for _ in 0..9 {
        let pending = provider.poll(job.clone(), ids.clone(), go_on()).await.unwrap();
        assert!(matches!(pending, PollAnswer::Pending { poll_after_ms: 5_000, .. }), "{pending:?}");
    }
    let done = provider.poll(job, ids, go_on()).await.unwrap();
    let PollAnswer::Finished { units, .. } = done else { panic!("{done:?}") };
    assert_eq!(units.iter().filter(|unit| matches!(unit, Unit::Delivered(_))).count(), 2);
    assert_eq!(units.iter().filter(|unit| matches!(unit, Unit::Lost { .. })).count(), 1);
    let refused = |unit: &&Unit| matches!(unit, Unit::Refused { error: TaskError::ContentRejected, .. });
    assert_eq!(units.iter().filter(refused).count(), 1);
}

#[tokio::test]
async fn a_cancel_with_a_lost_clip_is_not_free() {
    let (emulator, provider) = start().await;
    emulator.world().polls(9);
    let cancel = async |id: String| provider.cancel(MODEL.to_owned(), Some(id)).await.unwrap();
    let whole = accepted(&provider, &Job { count: 2, ..video_job(MODEL, 5) }).await;
    assert_eq!(cancel(whole.clone()).await, CancelAnswer::Free);
    assert!(whole.split(',').all(|id| emulator.world().job(id).unwrap().canceled));
    let lost = format!("{},-outcome_unknown", accepted(&provider, &video_job(MODEL, 5)).await);
    assert_eq!(cancel(lost.clone()).await, CancelAnswer::NotFree);
    // What could be taken back was.
    assert!(emulator.world().job(lost.split(',').next().unwrap()).unwrap().canceled);
    assert_eq!(provider.cancel(MODEL.to_owned(), None).await.unwrap(), CancelAnswer::NotFree);
}

#[tokio::test]
async fn a_poll_that_fails_goes_on_and_so_does_an_unknown_task() {
    let (emulator, provider) = start().await;
    emulator.world().polls(1);
    let job = Job { count: 2, ..video_job(MODEL, 5) };
    let ids = accepted(&provider, &job).await;
    let pending = provider.poll(job.clone(), ids.clone(), go_on()).await.unwrap();
    assert!(matches!(pending, PollAnswer::Pending { .. }), "{pending:?}");
    // Nobody listens, somebody hangs up, and the key is gone: three networks, one task.
    for base_url in [nobody().await, hangs_up().await] {
        let away = Ark::new(VendorSettings { base_url, ..settings(&emulator) }).unwrap();
        let failed = away.poll(job.clone(), ids.clone(), go_on()).await;
        let goes_on = |error: &ProviderError| {
            matches!(error, ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })
        };
        assert!(failed.as_ref().is_err_and(goes_on), "{failed:?}");
    }
    let keyless = VendorSettings { api_key: ApiKey::new(""), ..settings(&emulator) };
    let failed = Ark::new(keyless).unwrap().poll(job.clone(), ids.clone(), go_on()).await;
    assert!(matches!(failed, Err(ProviderError::NotNow { .. })), "{failed:?}");
    let done = provider.poll(job.clone(), ids, go_on()).await.unwrap();
    let PollAnswer::Finished { units, .. } = done else { panic!("{done:?}") };
    assert!(units.len() == 2 && units.iter().all(|unit| matches!(unit, Unit::Delivered(_))), "{units:?}");
    let unknown = provider.poll(job, "cgt-99".to_owned(), go_on()).await;
    assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
}
