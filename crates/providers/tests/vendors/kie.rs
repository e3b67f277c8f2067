//! kie: what is sent for each model, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: callbacks and doubt (`doubt`), the gateway.

mod doubt;
mod look_up;

use crate::support::{
    KEY, errors, file, go_on, image_job, input, media, settings, trouble, units, video_job,
};
use rynjer_core::catalog::{Mode, Product};
use rynjer_emulator::{Emulator, Expected, Vendor};
use rynjer_providers::{
    InputForm, InputImage, Job, PollAnswer, Provider, ProviderError, SubmitAnswer, Unit,
    kie::Kie,
    media::{Limits, inspect},
};
use serde_json::{Value, json};

const NANO: &str = "jobs-nano:google/nano-banana";

async fn start() -> (Emulator, Kie) {
    let emulator = Emulator::start(Vendor::Kie).await.unwrap();
    let provider = Kie::new(settings(&emulator), None).unwrap();
    (emulator, provider)
}

fn linked(at: usize) -> InputImage {
    InputImage { url: Some(format!("https://gateway.example/in/{at}?s=x")), ..input(64, 64) }
}

fn edit(vendor_model: &str, pictures: usize) -> Job {
    let input_images = (0..pictures).map(linked).collect();
    Job { mode: Mode::ImageToImage, input_images, ..image_job(vendor_model, 1) }
}

fn animate(vendor_model: &str, seconds: u32) -> Job {
    Job { mode: Mode::ImageToVideo, input_images: vec![linked(0)], ..video_job(vendor_model, seconds) }
}

fn song(vendor_model: &str) -> Job {
    Job {
        product: Product::Music,
        mode: Mode::TextToMusic,
        width: 0,
        height: 0,
        duration_ms: 30_000,
        aspect_ratio: None,
        resolution: None,
        ..image_job(vendor_model, 1)
    }
}

/// What one job sends, and the sizes of what it makes.
async fn sent(job: Job) -> (String, Value, Vec<(u32, u32)>) {
    let (emulator, provider) = start().await;
    let made = media(&provider, &job).await;
    let seen = &emulator.world().seen()[0];
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    let sizes = made.iter().map(|media| (media.width.unwrap_or(0), media.height.unwrap_or(0))).collect();
    (format!("{} {}", seen.method, seen.path), seen.json(), sizes)
}

/// A market job sends this `input`, and makes one file of this size.
async fn market(job: Job, expected: Value, size: (u32, u32)) {
    let (_, model) = job.vendor_model.split_once(':').unwrap();
    let body = json!({"model": model, "input": expected});
    assert_eq!(sent(job.clone()).await, ("POST /api/v1/jobs/createTask".to_owned(), body, vec![size]));
}

#[tokio::test]
async fn google_pictures() {
    let wide = Job { aspect_ratio: Some("16:9".to_owned()), ..image_job(NANO, 1) };
    let expected = json!({"prompt": "a red fox", "aspect_ratio": "16:9", "output_format": "png"});
    market(wide, expected, (1136, 640)).await;
    let expected = json!({"prompt": "a red fox", "aspect_ratio": "1:1", "output_format": "png",
        "image_urls": ["https://gateway.example/in/0?s=x", "https://gateway.example/in/1?s=x"]});
    market(edit("jobs-nano:google/nano-banana-edit", 2), expected, (640, 640)).await;
    let pro = "jobs-nano-pro:nano-banana-pro";
    let expected =
        json!({"prompt": "a red fox", "aspect_ratio": "1:1", "resolution": "2K", "output_format": "png"});
    let job = Job { resolution: Some("2K".to_owned()), ..image_job(pro, 1) };
    market(job, expected, (640, 640)).await;
    let expected = json!({"prompt": "a red fox", "aspect_ratio": "1:1", "resolution": "1K",
        "output_format": "png", "image_input": ["https://gateway.example/in/0?s=x"]});
    market(edit(pro, 1), expected, (640, 640)).await;
}

#[tokio::test]
async fn qwen_and_z_pictures() {
    let job = Job {
        negative_prompt: Some("x".repeat(600)),
        aspect_ratio: Some("3:4".to_owned()),
        seed: (1 << 31) + 7,
        ..image_job("jobs-qwen:qwen/text-to-image", 1)
    };
    let expected = json!({"prompt": "a red fox", "image_size": "portrait_4_3", "output_format": "png",
        "seed": 7, "negative_prompt": "x".repeat(500)});
    market(job, expected, (640, 848)).await;
    let expected = json!({"prompt": "a red fox", "image_size": "square_hd", "output_format": "png",
        "seed": 5, "image_url": "https://gateway.example/in/0?s=x", "num_images": "1"});
    market(edit("jobs-qwen-edit:qwen/image-edit", 1), expected, (640, 640)).await;
    let expected = json!({"prompt": "a red fox", "aspect_ratio": "1:1"});
    market(image_job("jobs-z-image:z-image", 1), expected, (640, 640)).await;
}

#[tokio::test]
async fn grok_pictures_come_several_at_once() {
    let expected = json!({"prompt": "a red fox", "aspect_ratio": "1:1"});
    let model = "jobs-grok-image:grok-imagine/text-to-image";
    market(image_job(model, 1), expected, (640, 640)).await;
    let expected = json!({"prompt": "a red fox", "image_urls": ["https://gateway.example/in/0?s=x"]});
    market(edit("jobs-grok-edit:grok-imagine/image-to-image", 1), expected, (1136, 640)).await;
    let (emulator, provider) = start().await;
    let job = image_job(model, 8);
    let made = media(&provider, &job).await;
    assert_eq!((made.len(), emulator.world().jobs().len()), (8, 2));
    let look_ups = emulator.world().seen().iter().filter(|seen| seen.method == "GET").count();
    assert_eq!(look_ups, 2, "a task is asked for once");
}

#[tokio::test]
async fn clips_of_the_market() {
    let wide = (160, 96);
    let job = Job {
        aspect_ratio: Some("9:16".to_owned()),
        ..video_job("jobs-grok-video:grok-imagine/text-to-video", 8)
    };
    let expected = json!({"prompt": "a red fox", "aspect_ratio": "9:16", "resolution": "720p",
        "duration": 8, "mode": "normal"});
    market(job, expected, (96, 160)).await;
    let expected = json!({"prompt": "a red fox", "resolution": "720p", "duration": "15"});
    market(video_job("jobs-wan:wan/2-6-text-to-video", 15), expected, wide).await;
    let expected = json!({"prompt": "a red fox", "resolution": "720p", "duration": "5",
        "image_urls": ["https://gateway.example/in/0?s=x"]});
    market(animate("jobs-wan:wan/2-6-image-to-video", 5), expected, wide).await;
    let expected = json!({"prompt": "a red fox", "resolution": "720p", "duration": "10",
        "image_url": "https://gateway.example/in/0?s=x"});
    market(animate("jobs-seedance-image:bytedance/v1-pro-fast-image-to-video", 10), expected, wide).await;
    let expected = json!({"prompt": "a red fox", "aspect_ratio": "16:9", "resolution": "720p",
        "duration": "5", "seed": 5});
    market(video_job("jobs-seedance:bytedance/v1-pro-text-to-video", 5), expected, wide).await;
}

#[tokio::test]
async fn veo_clips() {
    let path = "POST /api/v1/veo/generate".to_owned();
    let body = json!({"prompt": "a red fox", "model": "veo3_fast", "generationType": "TEXT_2_VIDEO",
        "aspect_ratio": "16:9", "resolution": "720p", "duration": 6});
    assert_eq!(sent(video_job("veo:veo3_fast", 6)).await, (path.clone(), body, vec![(160, 96)]));
    let job = Job {
        callback_url: Some("https://gateway.example/hear/n".to_owned()),
        resolution: Some("1080p".to_owned()),
        aspect_ratio: Some("9:16".to_owned()),
        ..animate("veo:veo3", 8)
    };
    let body = json!({"prompt": "a red fox", "model": "veo3",
        "generationType": "FIRST_AND_LAST_FRAMES_2_VIDEO",
        "imageUrls": ["https://gateway.example/in/0?s=x"], "aspect_ratio": "9:16", "resolution": "1080p",
        "duration": 8, "callBackUrl": "https://gateway.example/hear/n"});
    assert_eq!(sent(job).await, (path, body, vec![(96, 160)]));
}

#[tokio::test]
async fn pictures_of_4o() {
    let path = "POST /api/v1/gpt4o-image/generate".to_owned();
    let job = Job { aspect_ratio: Some("3:2".to_owned()), ..image_job("4o:gpt-4o-image", 2) };
    let body = json!({"prompt": "a red fox", "size": "3:2"});
    assert_eq!(sent(job).await, (path.clone(), body, vec![(960, 640); 2]));
    let body =
        json!({"prompt": "a red fox", "size": "1:1", "filesUrl": ["https://gateway.example/in/0?s=x"]});
    assert_eq!(sent(edit("4o:gpt-4o-image", 1)).await, (path, body, vec![(640, 640)]));
}

#[tokio::test]
async fn songs_come_with_all_their_tracks() {
    for model in ["V4", "V4_5", "V4_5PLUS", "V5"] {
        let (emulator, provider) = start().await;
        let job = song(&format!("suno:{model}"));
        let made = units(&provider, &job).await.unwrap();
        assert_eq!(made.len(), 2);
        let limits = Limits { max_bytes: 1 << 26, max_pixels: 1 };
        assert!(inspect(&file(&provider, &made[1]).await, &limits).unwrap().width.is_none());
        let seen = &emulator.world().seen()[0];
        assert_eq!(seen.path, "/api/v1/generate");
        let body = json!({"model": model, "prompt": "a red fox", "customMode": false, "instrumental": false,
            "callBackUrl": "https://callback.invalid/none"});
        assert_eq!(seen.json(), body);
    }
    let (emulator, provider) = start().await;
    let url = "https://gateway.example/hear/n".to_owned();
    let job = Job { negative_prompt: Some("drums".to_owned()), callback_url: Some(url), ..song("suno:V5") };
    units(&provider, &job).await.unwrap();
    let body = emulator.world().seen()[0].json();
    assert_eq!(body["prompt"], "a red fox\nAvoid: drums");
    assert_eq!(body["callBackUrl"], "https://gateway.example/hear/n");
}

/// Only the callback failed: what is there is taken, what is not there yet is waited for.
#[tokio::test]
async fn a_song_whose_callback_failed() {
    let (emulator, provider) = start().await;
    emulator.world().fail_next(json!({"status": "CALLBACK_EXCEPTION", "errorMessage": "no answer"}));
    assert_eq!(units(&provider, &song("suno:V4")).await.unwrap().len(), 2);
    emulator.world().fail_next(json!({"status": "CALLBACK_EXCEPTION", "response": {"sunoData": []}}));
    let (answer, _) = first_poll(&provider, &song("suno:V4")).await;
    assert!(matches!(answer, Ok(PollAnswer::Pending { progress: None, .. })), "{answer:?}");
}

async fn first_poll(provider: &Kie, job: &Job) -> (Result<PollAnswer, ProviderError>, String) {
    let submitted = provider.submit(job.clone(), go_on()).await.unwrap();
    let SubmitAnswer::Accepted { provider_task_id, .. } = submitted else { panic!("{submitted:?}") };
    (provider.poll(job.clone(), provider_task_id.clone(), go_on()).await, provider_task_id)
}

#[tokio::test]
async fn each_error_is_understood_in_each_api() {
    let linked = edit("jobs-nano:google/nano-banana-edit", 1);
    for job in [linked, video_job("veo:veo3", 8), image_job("4o:gpt-4o-image", 1), song("suno:V5")] {
        let (emulator, provider) = start().await;
        errors(Vendor::Kie, &emulator, &provider, &job).await;
    }
}

#[tokio::test]
async fn errors_of_one_api_alone() {
    let (emulator, provider) = start().await;
    let cases = [
        (song("suno:V4"), json!({"status": "GENERATE_AUDIO_FAILED", "errorCode": 413}), "content_rejected"),
        (song("suno:V4"), json!({"status": "SENSITIVE_WORD_ERROR"}), "content_rejected"),
        (
            video_job("veo:veo3", 8),
            json!({"successFlag": 2, "errorCode": 400, "errorMessage": "English only."}),
            "provider_failed",
        ),
        (
            animate("veo:veo3", 8),
            json!({"successFlag": 3, "errorCode": "400", "errorMessage": "Failed to fetch the image."}),
            "input_unreachable",
        ),
        (
            animate("veo:veo3", 8),
            json!({"successFlag": 3, "errorCode": 400, "errorMessage": "The image size exceeds 10MB"}),
            "input_rejected",
        ),
    ];
    for (job, words, expected) in cases {
        emulator.world().fail_next(words.clone());
        assert_eq!(trouble(&provider, &job).await, Expected::Refused(expected), "{words}");
    }
    for words in
        [json!({"state": "success", "resultJson": ""}), json!({"state": "success", "resultJson": null})]
    {
        emulator.world().fail_next(words.clone());
        assert_eq!(trouble(&provider, &image_job(NANO, 1)).await, Expected::Unknown, "{words}");
    }
}

/// Fields are renamed often, and JSON stands inside strings.
#[tokio::test]
async fn old_spellings_of_results() {
    let (emulator, provider) = start().await;
    let url = emulator.world().file("old.png", rynjer_emulator::picture(32, 32));
    let as_text = json!([url]).to_string();
    let cases = [
        (NANO, json!({"state": "success", "resultJson": {"resultUrls": [url]}})),
        (NANO, json!({"state": "success", "resultJson": json!({"resultUrls": as_text}).to_string()})),
        ("veo:veo3", json!({"successFlag": 1, "response": {"resultUrls": as_text}})),
        ("veo:veo3", json!({"successFlag": "1", "response": json!({"resultUrls": [url]}).to_string()})),
        ("4o:gpt-4o-image", json!({"successFlag": 1, "response": {"result_urls": [url]}})),
    ];
    for (model, words) in cases {
        emulator.world().fail_next(words.clone());
        let job = if model == "veo:veo3" { video_job(model, 8) } else { image_job(model, 1) };
        let made = units(&provider, &job).await;
        assert!(matches!(made.as_deref(), Ok([Unit::Delivered(_)])), "{words} {made:?}");
    }
}

#[tokio::test]
async fn unknown_states_and_progress_are_work_under_way() {
    let (emulator, provider) = start().await;
    emulator.world().fail_next(json!({"state": "paused"}));
    let (answer, _) = first_poll(&provider, &image_job(NANO, 1)).await;
    assert!(matches!(answer, Ok(PollAnswer::Pending { poll_after_ms: 3_000, progress: None })), "{answer:?}");
    emulator.world().polls(1);
    let (answer, _) = first_poll(&provider, &image_job("4o:gpt-4o-image", 1)).await;
    let Ok(PollAnswer::Pending { progress: Some(progress), .. }) = answer else { panic!("{answer:?}") };
    assert!((progress - 0.4).abs() < 0.001);
    let (answer, _) = first_poll(&provider, &video_job("veo:veo3", 8)).await;
    assert!(matches!(answer, Ok(PollAnswer::Pending { poll_after_ms: 10_000, .. })), "{answer:?}");
}

#[tokio::test]
async fn pictures_need_a_url_and_routes_a_protocol() {
    let (emulator, provider) = start().await;
    assert_eq!(provider.input_form(NANO), InputForm::Url);
    let job = Job { input_images: vec![input(64, 64)], ..image_job("jobs-nano:google/nano-banana-edit", 1) };
    assert_eq!(trouble(&provider, &job).await, Expected::Unusable);
    for model in ["google/nano-banana", "jobs-none:x"] {
        assert_eq!(trouble(&provider, &image_job(model, 1)).await, Expected::Unusable);
    }
    assert_eq!(emulator.world().seen().len(), 0);
}
