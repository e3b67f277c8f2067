//! DashScope: what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{KEY, errors, go_on, image_job, input, media, nobody, settings, trouble, video_job};
use rynjer_core::catalog::Mode;
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Ambiguity, CancelAnswer, Job, LookUpAnswer, Provider, ProviderError, SubmitAnswer, dashscope::DashScope,
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
