//! Ark: what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{errors, go_on, input, media, settings, trouble, video_job};
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Ambiguity, Callback, CancelAnswer, Job, Provider, ProviderError, SubmitAnswer, ark::Ark,
};
use serde_json::json;

const MODEL: &str = "seedance-1-0-pro-fast-251015";

async fn start() -> (Emulator, Ark) {
    let emulator = Emulator::start(Vendor::Ark).await.unwrap();
    let provider = Ark::new(settings(&emulator)).unwrap();
    (emulator, provider)
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
