//! DashScope: what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{
    KEY, errors, go_on, hangs_up, image_job, input, media, nobody, settings, trouble, video_job,
};
use rynjer_core::catalog::Mode;
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Ambiguity, CancelAnswer, Job, LookUpAnswer, PollAnswer, Provider, ProviderError, SubmitAnswer, TaskError,
    Unit,
    dashscope::DashScope,
    upstream::{ApiKey, VendorSettings},
};
use serde_json::json;

const CLIP: &str = "text:wan2.6-t2v";
const BEGIN_MS: i64 = 1_770_000_000_000;

async fn start() -> (Emulator, DashScope) {
    let emulator = Emulator::start(Vendor::DashScope).await.unwrap();
    let provider = DashScope::new(settings(&emulator)).unwrap();
    (emulator, provider)
}

async fn accepted(provider: &DashScope, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
        other @ SubmitAnswer::Finished { .. } => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pictures_from_a_prompt() {
    let (emulator, provider) = start().await;
    let wide = Job { width: 1824, height: 1024, ..image_job("image:qwen-image-plus", 1) };
    let made = media(&provider, &Job { negative_prompt: Some("blur".to_owned()), ..wide }).await;
    assert_eq!((made[0].width, made[0].height), (Some(1664), Some(928)));
    assert_eq!(media(&provider, &image_job("free:z-image-turbo", 1)).await[0].width, Some(1024));
    let seen = emulator.world().seen();
    assert_eq!(seen[0].path, "/api/v1/services/aigc/multimodal-generation/generation");
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    let input = json!({"messages": [{"role": "user", "content": [{"text": "a red fox"}]}]});
    let parameters = json!({"size": "1664*928", "n": 1, "seed": 5, "watermark": false, "prompt_extend": true,
        "negative_prompt": "blur"});
    assert_eq!(seen[0].json(), json!({"model": "qwen-image-plus", "input": input, "parameters": parameters}));
    let free = seen.iter().find(|seen| seen.json()["model"] == "z-image-turbo").unwrap().json();
    let parameters = json!({"size": "1024*1024", "seed": 5, "watermark": false, "prompt_extend": false});
    assert_eq!(free["parameters"], parameters);
}

#[tokio::test]
async fn pictures_from_pictures_with_one_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    let inputs = vec![input(64, 64), input(96, 64)];
    let job = Job { input_images: inputs, ..image_job("edit-plus:qwen-image-edit-plus", 4) };
    emulator.world().fault(Fault::Slow { ms: 0 });
    emulator.world().fault(Fault::Lost);
    let refusal = json!({"code": "DataInspectionFailed", "message": "No."});
    emulator.world().fault(Fault::Answer { status: 400, headers: Vec::new(), body: refusal });
    let made = provider.submit(job, go_on()).await;
    let Ok(SubmitAnswer::Finished { units, .. }) = made else { panic!("{made:?}") };
    let text = format!("{units:?}");
    let counts = ["Delivered", "Lost", "ContentRejected"].map(|word| text.matches(word).count());
    assert_eq!(counts, [2, 1, 1]);
    let bodies: Vec<_> = emulator.world().seen().iter().map(rynjer_emulator::Seen::json).collect();
    let mut seeds: Vec<_> = bodies.iter().filter_map(|body| body["parameters"]["seed"].as_u64()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [5, 6, 7, 8]);
    assert_eq!(bodies[0]["input"]["messages"][0]["content"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn clips() {
    let (emulator, provider) = start().await;
    emulator.world().polls(2);
    assert_eq!(media(&provider, &video_job("text:wan2.6-t2v", 10)).await.len(), 1);
    let seen = &emulator.world().seen()[0];
    assert_eq!(seen.header("x-dashscope-async"), Some("enable"));
    let parameters = json!({"size": "1280*720", "duration": 10, "prompt_extend": true, "shot_type": "single",
        "watermark": false, "seed": 5});
    let body = json!({"model": "wan2.6-t2v", "input": {"prompt": "a red fox"}, "parameters": parameters});
    assert_eq!(seen.json(), body);
    emulator.world().forget_seen();
    let job = Job { input_images: vec![input(64, 64)], ..video_job("first-frame:wan2.6-i2v", 5) };
    let job = Job { resolution: Some("1080p".to_owned()), ..job };
    assert_eq!(media(&provider, &job).await.len(), 1);
    let body = emulator.world().seen()[0].json();
    assert_eq!(body["parameters"]["resolution"], "1080P");
    assert!(body["input"]["img_url"].as_str().unwrap().starts_with("data:image/png;base64,"));
}

#[tokio::test]
async fn each_error_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::DashScope, &emulator, &provider, &video_job("text:wan2.6-t2v", 5)).await;
}

#[tokio::test]
async fn a_lost_clip_is_found_by_its_words_and_no_other_is() {
    let (emulator, provider) = start().await;
    let job = video_job("text:wan2.6-t2v", 5);
    let stranger = Job { prompt: "a blue cat".to_owned(), ..job.clone() };
    media(&provider, &stranger).await;
    assert_eq!(provider.look_up(job.clone(), BEGIN_MS).await.unwrap(), LookUpAnswer::Absent);
    for fault in [Fault::Lost, Fault::Cut] {
        emulator.world().fault(fault);
        assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
    }
    let found = provider.look_up(job.clone(), BEGIN_MS).await.unwrap();
    let provider_task_ids = vec!["task-2".to_owned(), "task-3".to_owned()];
    assert_eq!(found, LookUpAnswer::Found { provider_task_ids, poll_after_ms: 5_000 });
    assert_eq!(provider.look_up(job.clone(), BEGIN_MS + 61_000).await.unwrap(), LookUpAnswer::Absent);
    for doubtful in [Job { mode: Mode::ImageToVideo, ..job.clone() }, Job { count: 2, ..job }] {
        let unknown = provider.look_up(doubtful, BEGIN_MS).await;
        assert!(matches!(unknown, Err(ProviderError::Ambiguous { .. })), "{unknown:?}");
    }
    assert_eq!(provider.ambiguity("first-frame:wan2.6-i2v"), Ambiguity::Neither);
    assert_eq!(provider.ambiguity("image:qwen-image-plus"), Ambiguity::Neither);
}

#[tokio::test]
async fn of_several_clips_one_may_be_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    emulator.world().polls(9);
    let job = Job { count: 4, ..video_job(CLIP, 5) };
    let refusal = json!({"code": "DataInspectionFailed", "message": "No."});
    emulator.world().fault(Fault::Slow { ms: 0 });
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(Fault::Answer { status: 400, headers: Vec::new(), body: refusal });
    let ids = accepted(&provider, &job).await;
    let entries = |word: &str| ids.split(',').filter(|entry| entry.starts_with(word)).count();
    let found = ["task-", "-outcome_unknown", "-content_rejected"].map(entries);
    assert_eq!(found, [2, 1, 1], "{ids}");
    assert_eq!(emulator.world().jobs().len(), 3);
    // One of those that wait is done before the other: nothing ends before both are.
    let first = ids.split(',').find(|entry| entry.starts_with("task-")).unwrap();
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
    let cancel = async |id: String| provider.cancel(CLIP.to_owned(), Some(id)).await.unwrap();
    let whole = accepted(&provider, &Job { count: 2, ..video_job(CLIP, 5) }).await;
    assert_eq!(cancel(whole.clone()).await, CancelAnswer::Free);
    assert!(whole.split(',').all(|id| emulator.world().job(id).unwrap().canceled));
    let lost = format!("{},-outcome_unknown", accepted(&provider, &video_job(CLIP, 5)).await);
    assert_eq!(cancel(lost.clone()).await, CancelAnswer::NotFree);
    // What could be taken back was.
    assert!(emulator.world().job(lost.split(',').next().unwrap()).unwrap().canceled);
    assert_eq!(provider.cancel(CLIP.to_owned(), None).await.unwrap(), CancelAnswer::NotFree);
}

#[tokio::test]
async fn a_poll_that_fails_goes_on_and_so_does_an_unknown_task() {
    let (emulator, provider) = start().await;
    emulator.world().polls(1);
    let job = Job { count: 2, ..video_job(CLIP, 5) };
    let ids = accepted(&provider, &job).await;
    let pending = provider.poll(job.clone(), ids.clone(), go_on()).await.unwrap();
    assert!(matches!(pending, PollAnswer::Pending { .. }), "{pending:?}");
    // Nobody listens, somebody hangs up, and the key is gone: three networks, one task.
    for base_url in [nobody().await, hangs_up().await] {
        let away = DashScope::new(VendorSettings { base_url, ..settings(&emulator) }).unwrap();
        let failed = away.poll(job.clone(), ids.clone(), go_on()).await;
        let goes_on = |error: &ProviderError| {
            matches!(error, ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })
        };
        assert!(failed.as_ref().is_err_and(goes_on), "{failed:?}");
    }
    let keyless = VendorSettings { api_key: ApiKey::new(""), ..settings(&emulator) };
    let failed = DashScope::new(keyless).unwrap().poll(job.clone(), ids.clone(), go_on()).await;
    assert!(matches!(failed, Err(ProviderError::NotNow { .. })), "{failed:?}");
    let done = provider.poll(job.clone(), ids, go_on()).await.unwrap();
    let PollAnswer::Finished { units, .. } = done else { panic!("{done:?}") };
    assert!(units.len() == 2 && units.iter().all(|unit| matches!(unit, Unit::Delivered(_))), "{units:?}");
    let unknown = provider.poll(job, "task-99".to_owned(), go_on()).await;
    assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
}

#[tokio::test]
async fn only_what_waits_is_taken_back() {
    let (emulator, provider) = start().await;
    for (polls, expected) in [(5, CancelAnswer::Free), (0, CancelAnswer::NotFree)] {
        emulator.world().polls(polls);
        let id = accepted(&provider, &video_job(CLIP, 5)).await;
        assert_eq!(provider.cancel(CLIP.to_owned(), Some(id)).await.unwrap(), expected);
    }
    let mut keyless = settings(&emulator);
    keyless.base_url = nobody().await;
    let unheard = DashScope::new(keyless).unwrap().cancel(CLIP.to_owned(), Some("task-1".to_owned())).await;
    assert!(matches!(unheard, Err(ProviderError::NotNow { .. })), "{unheard:?}");
}
