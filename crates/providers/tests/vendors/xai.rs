//! Grok Imagine: pictures and clips, what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{
    KEY, errors, file, go_on, image_job, input, media, settings, trouble, units, video_job,
};
use data_encoding::BASE64;
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Ambiguity, CancelAnswer, InputImage, Job, OutputSource, PollAnswer, Provider, ProviderError,
    SubmitAnswer, TaskError, Unit, xai::Xai,
};
use serde_json::{Value, json};

const IMAGE: &str = "grok-imagine-image-2.0";
const VIDEO: &str = "grok-imagine-video-1.5";
const USER: &str = "0123456789abcdef0123456789abcdef";

async fn start() -> (Emulator, Xai) {
    let emulator = Emulator::start(Vendor::Xai).await.unwrap();
    let provider = Xai::new(settings(&emulator)).unwrap();
    (emulator, provider)
}

/// An answer to the next submit, from beginning to end.
fn answer(status: u16, body: Value) -> Fault {
    Fault::Answer { status, headers: Vec::new(), body }
}

fn uri(image: &InputImage) -> String {
    format!("data:image/png;base64,{}", BASE64.encode(&image.bytes))
}

fn clip_job() -> Job {
    video_job(VIDEO, 6)
}

async fn accepted(provider: &Xai, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
        other @ SubmitAnswer::Finished { .. } => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pictures_from_a_prompt() {
    let (emulator, provider) = start().await;
    let job = Job {
        aspect_ratio: Some("16:9".to_owned()),
        resolution: Some("2K".to_owned()),
        ..image_job(IMAGE, 2)
    };
    let made = media(&provider, &job).await;
    assert_eq!(made.iter().map(|m| (m.width, m.height)).collect::<Vec<_>>(), [(Some(1360), Some(768)); 2]);
    let seen = &emulator.world().seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/images/generations"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let expected = json!({
        "model": IMAGE, "prompt": "a red fox", "n": 2, "aspect_ratio": "16:9", "resolution": "2k",
        "response_format": "b64_json", "user": USER,
    });
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn the_cost_is_told_in_millionths() {
    let (_emulator, provider) = start().await;
    let answer = provider.submit(image_job(IMAGE, 4), go_on()).await.unwrap();
    let SubmitAnswer::Finished { provider_task_id: None, units, cost: Some(80_000) } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(units.len(), 4);
}

#[tokio::test]
async fn an_edit_of_one_picture_keeps_its_shape() {
    let (emulator, provider) = start().await;
    let picture = input(96, 64);
    let job = Job { input_images: vec![picture.clone()], ..image_job(IMAGE, 1) };
    let made = media(&provider, &job).await;
    assert_eq!((made[0].width, made[0].height), (Some(1248), Some(832)));
    let seen = &emulator.world().seen()[0];
    assert_eq!(seen.path, "/v1/images/edits");
    let expected = json!({
        "model": IMAGE, "prompt": "a red fox", "n": 1, "resolution": "1k", "response_format": "b64_json",
        "user": USER, "image": {"url": uri(&picture), "type": "image_url"},
    });
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn an_edit_of_several_pictures_has_the_shape_that_was_asked_for() {
    let (emulator, provider) = start().await;
    let pictures = vec![input(64, 64), input(96, 64), input(64, 96)];
    let job = Job { input_images: pictures.clone(), ..image_job(IMAGE, 2) };
    assert_eq!(media(&provider, &job).await.len(), 2);
    let sources: Vec<Value> =
        pictures.iter().map(|one| json!({"url": uri(one), "type": "image_url"})).collect();
    let expected = json!({
        "model": IMAGE, "prompt": "a red fox", "n": 2, "aspect_ratio": "1:1", "resolution": "1k",
        "response_format": "b64_json", "user": USER, "images": sources,
    });
    assert_eq!(emulator.world().seen()[0].json(), expected);
}

#[tokio::test]
async fn pictures_that_moderation_held_back_are_missing_and_their_cost_is_told() {
    let (emulator, provider) = start().await;
    let picture = BASE64.encode(&rynjer_emulator::picture(64, 64));
    let usage = json!({"cost_in_usd_ticks": 400_000_001});
    let held = json!({"url": null, "b64_json": null, "respect_moderation": false});
    let data = json!([held, {"b64_json": format!("data:image/png;base64,{picture}")}, {"b64_json": "!"}]);
    emulator.world().fault(answer(200, json!({"data": data, "usage": usage})));
    let made = provider.submit(image_job(IMAGE, 4), go_on()).await.unwrap();
    let SubmitAnswer::Finished { units, cost: Some(40_001), .. } = made else { panic!("{made:?}") };
    let [Unit::Refused { error, .. }, Unit::Delivered(OutputSource::Bytes(_)), Unit::Lost { .. }, last] =
        units.as_slice()
    else {
        panic!("{units:?}")
    };
    assert_eq!(*error, TaskError::ContentRejected);
    assert!(matches!(last, Unit::Refused { error: TaskError::ContentRejected, .. }));

    for data in [json!([held, held]), json!([]), Value::Null] {
        emulator.world().fault(answer(200, json!({"data": data, "usage": usage})));
        let refused = provider.submit(image_job(IMAGE, 2), go_on()).await;
        let Err(ProviderError::Refused { error, cost, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((error, cost), (TaskError::ContentRejected, Some(40_001)));
    }
    let body = json!({"code": "imagine:content-moderated", "error": "No.", "usage": usage});
    emulator.world().fault(answer(400, body));
    let refused = provider.submit(image_job(IMAGE, 1), go_on()).await;
    let Err(ProviderError::Refused { cost: Some(40_001), .. }) = refused else { panic!("{refused:?}") };
}

#[tokio::test]
async fn more_pictures_than_asked_are_dropped_and_urls_are_fetched() {
    let (emulator, provider) = start().await;
    let url = emulator.world().file("one.png", rynjer_emulator::picture(64, 64));
    emulator.world().fault(answer(200, json!({"data": [{"url": url}, {"url": url}]})));
    let units = units(&provider, &image_job(IMAGE, 1)).await.unwrap();
    assert_eq!(units.len(), 1);
    assert_eq!(file(&provider, &units[0]).await, rynjer_emulator::picture(64, 64));
    let fetched = emulator.world().seen();
    assert!(fetched.iter().all(|seen| !seen.path.starts_with("/files")), "files are not noted");
}

#[tokio::test]
async fn a_clip_from_a_prompt() {
    let (emulator, provider) = start().await;
    for (resolution, ratio, sides) in
        [("720p", "16:9", (160, 90)), ("1080p", "2:3", (106, 160)), ("720p", "1:1", (160, 160))]
    {
        emulator.world().forget_seen();
        let job = Job {
            aspect_ratio: Some(ratio.to_owned()),
            resolution: Some(resolution.to_owned()),
            ..video_job(VIDEO, 15)
        };
        let made = media(&provider, &job).await;
        assert_eq!((made[0].width, made[0].height), (Some(sides.0), Some(sides.1)));
        let seen = emulator.world().seen();
        assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1/videos/generations"));
        let expected = json!({
            "model": VIDEO, "prompt": "a red fox", "duration": 15, "aspect_ratio": ratio,
            "resolution": resolution, "user": USER,
        });
        assert_eq!(seen[0].json(), expected);
        assert_eq!(seen[1].method, "GET");
        assert!(seen[1].path.starts_with("/v1/videos/"));
        assert_eq!(seen[1].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
}

#[tokio::test]
async fn clips_from_pictures() {
    let (emulator, provider) = start().await;
    let one = input(64, 64);
    media(&provider, &Job { input_images: vec![one.clone()], ..clip_job() }).await;
    let two = vec![one.clone(), input(96, 64)];
    media(&provider, &Job { input_images: two.clone(), ..clip_job() }).await;
    let seen = emulator.world().seen();
    let common = json!({
        "model": VIDEO, "prompt": "a red fox", "duration": 6, "resolution": "720p", "user": USER,
    });
    let mut expected = common.clone();
    expected["image"] = json!({"url": uri(&one)});
    assert_eq!(seen[0].json(), expected);
    let mut expected = common;
    expected["aspect_ratio"] = json!("16:9");
    expected["reference_images"] = two.iter().map(|one| json!({"url": uri(one)})).collect();
    assert_eq!(seen[2].json(), expected);
}

#[tokio::test]
async fn a_clip_is_pending_with_and_without_a_body_until_it_is_done() {
    let (emulator, provider) = start().await;
    emulator.world().polls(2);
    let id = accepted(&provider, &clip_job()).await;
    let mut shares = Vec::new();
    for _ in 0..2 {
        match provider.poll(clip_job(), id.clone(), go_on()).await.unwrap() {
            PollAnswer::Pending { poll_after_ms: 5_000, progress } => shares.push(progress),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(shares, [None, Some(0.4)]);
    let done = provider.poll(clip_job(), id, go_on()).await.unwrap();
    let PollAnswer::Finished { units, cost: Some(300_000) } = done else { panic!("{done:?}") };
    assert!(matches!(units[0], Unit::Delivered(OutputSource::Url(_))));
}

#[tokio::test]
async fn each_error_is_understood_for_pictures_and_for_clips() {
    let (emulator, provider) = start().await;
    errors(Vendor::Xai, &emulator, &provider, &image_job(IMAGE, 1)).await;
    errors(Vendor::Xai, &emulator, &provider, &clip_job()).await;
}

#[tokio::test]
async fn the_wait_of_a_rate_limit_is_kept() {
    let (emulator, provider) = start().await;
    let headers = vec![("retry-after".to_owned(), "3".to_owned())];
    emulator.world().fault(Fault::Answer { status: 429, headers, body: json!({"error": "Slow down."}) });
    let refused = provider.submit(clip_job(), go_on()).await;
    let Err(ProviderError::NotNow { retry_after_ms: Some(3_000), .. }) = refused else {
        panic!("{refused:?}")
    };
}

#[tokio::test]
async fn a_lost_or_cut_answer_is_in_doubt_for_ever() {
    let (emulator, provider) = start().await;
    assert_eq!(provider.ambiguity(IMAGE), Ambiguity::Neither);
    for job in [image_job(IMAGE, 1), clip_job()] {
        for fault in [Fault::Lost, Fault::Cut, answer(200, json!({})), answer(200, json!("x"))] {
            let is_empty_picture = job.count == 1 && fault == answer(200, json!({})) && job.duration_ms == 0;
            emulator.world().fault(fault);
            // A picture's answer without pictures is one that was held back.
            let expected =
                if is_empty_picture { Expected::Refused("content_rejected") } else { Expected::Unknown };
            assert_eq!(trouble(&provider, &job).await, expected);
        }
    }
    assert_eq!(emulator.world().unmatched(), 4);
    emulator.world().fault(answer(200, json!({"request_id": "../keys,x"})));
    assert_eq!(trouble(&provider, &clip_job()).await, Expected::Unknown);
    let gone = settings(&emulator);
    drop(emulator);
    assert_eq!(trouble(&Xai::new(gone).unwrap(), &clip_job()).await, Expected::NotNow);
}

#[tokio::test]
async fn of_several_clips_one_may_be_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    let job = Job { count: 3, ..clip_job() };
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(answer(400, json!({"code": "imagine:content-moderated", "error": "No."})));
    let units = units(&provider, &job).await.unwrap();
    assert!(matches!(units[0], Unit::Lost { .. }));
    let refused = |unit: &Unit| matches!(unit, Unit::Refused { error: TaskError::ContentRejected, .. });
    let delivered = |unit: &Unit| matches!(unit, Unit::Delivered(_));
    assert_eq!(units[1..].iter().filter(|unit| refused(unit)).count(), 1);
    assert_eq!(units[1..].iter().filter(|unit| delivered(unit)).count(), 1);
    assert_eq!(emulator.world().jobs().len(), 2);
}

#[tokio::test]
async fn a_poll_that_fails_goes_on_and_so_does_an_unknown_job() {
    let (emulator, provider) = start().await;
    let id = accepted(&provider, &clip_job()).await;
    let mut keyless = settings(&emulator);
    keyless.api_key = rynjer_providers::upstream::ApiKey::new("");
    let keyless = Xai::new(keyless).unwrap().poll(clip_job(), id.clone(), go_on()).await;
    let Err(ProviderError::NotNow { .. }) = keyless else { panic!("{keyless:?}") };
    let unknown = provider.poll(clip_job(), "unknown".to_owned(), go_on()).await;
    assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
    emulator.world().change(&id, |job| job.failure = Some(json!({"status": "thinking"}))).unwrap();
    let strange = provider.poll(clip_job(), id.clone(), go_on()).await.unwrap();
    assert!(matches!(strange, PollAnswer::Pending { .. }), "{strange:?}");
    drop(emulator);
    let gone = provider.poll(clip_job(), id, go_on()).await;
    assert!(matches!(gone, Err(ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })), "{gone:?}");
}

#[tokio::test]
async fn nothing_can_be_taken_back_and_no_callback_is_believed() {
    let (_emulator, provider) = start().await;
    let canceled = provider.cancel(VIDEO.to_owned(), Some("x".to_owned())).await.unwrap();
    assert_eq!(canceled, CancelAnswer::NotFree);
    let callback =
        rynjer_providers::Callback { headers: Vec::new(), body: bytes::Bytes::new(), now_s: 1_770_000_000 };
    assert!(provider.hear(callback).await.is_err());
}
