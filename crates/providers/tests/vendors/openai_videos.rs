//! OpenAI's historic videos: created by a form, asked for, found in the list, downloaded with the key.
//!
//! Invariant: as `main`. Not here: pictures (`openai`).

use crate::{
    openai::form_field,
    support::{KEY, errors, fetch, file, go_on, input, media, settings, trouble, units, video_job},
};
use rynjer_core::catalog::Mode;
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{
    Ambiguity, CancelAnswer, Job, LookUpAnswer, OutputSource, PollAnswer, Provider, ProviderError,
    SubmitAnswer, TaskError, Unit, guarded::FetchLimits, openai::OpenAi,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const SMALL: &str = "videos:sora-2";
const LARGE: &str = "videos:sora-2-pro";

async fn start() -> (Emulator, OpenAi) {
    let emulator = Emulator::start(Vendor::OpenAi).await.unwrap();
    let provider = OpenAi::new(settings(&emulator), false).unwrap();
    (emulator, provider)
}

async fn accepted(provider: &OpenAi, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, .. } => provider_task_id,
        other @ SubmitAnswer::Finished { .. } => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_clip_of_the_catalog() {
    let (emulator, provider) = start().await;
    let table = [
        (SMALL, "sora-2", 1280, 720, 4, (160, 90)),
        (SMALL, "sora-2", 720, 1280, 12, (90, 160)),
        (LARGE, "sora-2-pro", 1280, 720, 8, (160, 90)),
        (LARGE, "sora-2-pro", 1920, 1080, 8, (160, 90)),
        (LARGE, "sora-2-pro", 1080, 1920, 4, (90, 160)),
    ];
    for (vendor_model, model, width, height, seconds, sides) in table {
        emulator.world().forget_seen();
        let job = Job { width, height, ..video_job(vendor_model, seconds) };
        let made = media(&provider, &job).await;
        assert_eq!((made[0].width, made[0].height), (Some(sides.0), Some(sides.1)));
        let seen = emulator.world().seen();
        let calls: Vec<(&str, &str)> =
            seen.iter().map(|seen| (seen.method.as_str(), seen.path.as_str())).collect();
        let id = emulator.world().jobs().last().unwrap().id.clone();
        let (path, content) = (format!("/v1/videos/{id}"), format!("/v1/videos/{id}/content"));
        assert_eq!(calls, [("POST", "/v1/videos"), ("GET", &*path), ("GET", &*content)]);
        assert_eq!(seen[2].query, "variant=video");
        for seen in &seen {
            assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        }
        let expected = [
            ("model", Some(model.to_owned())),
            ("prompt", Some("a red fox".to_owned())),
            ("seconds", Some(seconds.to_string())),
            ("size", Some(format!("{width}x{height}"))),
            ("n", None),
            ("input_reference", None),
        ];
        for (name, value) in expected {
            assert_eq!(form_field(&seen[0], name), value, "{name}");
        }
        assert_eq!(seen[0].text().matches("Content-Disposition").count(), 4);
    }
    let too_large = Job { width: 1920, height: 1080, ..video_job(SMALL, 4) };
    assert_eq!(trouble(&provider, &too_large).await, Expected::Refused("provider_failed"));
}

#[tokio::test]
async fn a_clip_from_a_picture() {
    let (emulator, provider) = start().await;
    let job = Job { input_images: vec![input(64, 64)], ..video_job(SMALL, 4) };
    assert_eq!(media(&provider, &job).await.len(), 1);
    let part = "name=\"input_reference\"; filename=\"input-0.png\"\r\nContent-Type: image/png\r\n\r\n";
    assert_eq!(emulator.world().seen()[0].text().matches(part).count(), 1);
}

#[tokio::test]
async fn a_clip_is_asked_for_at_the_servers_pace() {
    let (emulator, provider) = start().await;
    emulator.world().polls(1);
    let job = video_job(SMALL, 4);
    let id = accepted(&provider, &job).await;
    let pending = provider.poll(job.clone(), id.clone(), go_on()).await.unwrap();
    let PollAnswer::Pending { poll_after_ms: 1_500, progress: Some(0.5) } = pending else {
        panic!("{pending:?}")
    };
    let done = provider.poll(job, id, go_on()).await.unwrap();
    let PollAnswer::Finished { units, cost: None } = done else { panic!("{done:?}") };
    assert_eq!(units.len(), 1);
}

#[tokio::test]
async fn each_error_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::OpenAi, &emulator, &provider, &video_job(SMALL, 4)).await;
}

#[tokio::test]
async fn a_clip_whose_answer_was_lost_is_found_and_no_other() {
    let (emulator, provider) = start().await;
    let world = emulator.world();
    let job = video_job(SMALL, 4);
    assert_eq!(provider.ambiguity(SMALL), Ambiguity::Lookup);
    let others = [
        Job { prompt: "a blue fox".to_owned(), ..job.clone() },
        Job { vendor_model: LARGE.to_owned(), ..job.clone() },
        Job { duration_ms: 8_000, ..job.clone() },
        Job { width: 720, height: 1280, ..job.clone() },
    ];
    for other in &others {
        accepted(&provider, other).await;
    }
    let old = accepted(&provider, &job).await;
    let made_s = world.job(&old).unwrap().input["created_at"].as_i64().unwrap();
    world.change(&old, |old| old.input["created_at"] = json!(made_s - 60)).unwrap();
    // One second of rounding, and clocks that differ by a little.
    let started_at_ms = (made_s + 3) * 1000;
    let absent = provider.look_up(job.clone(), started_at_ms).await;
    assert!(matches!(absent, Err(ProviderError::Ambiguous { .. })), "{absent:?}");

    for fault in [Fault::Lost, Fault::Cut] {
        world.fault(fault);
        assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
    }
    let silent = accepted(&provider, &job).await;
    world.change(&silent, |silent| silent.input["prompt"] = json!(null)).unwrap();
    let pictured = Job { mode: Mode::ImageToVideo, ..job.clone() };
    for doubtful in [pictured, Job { count: 2, ..job.clone() }] {
        let unknown = provider.look_up(doubtful, started_at_ms).await;
        assert!(matches!(unknown, Err(ProviderError::Ambiguous { .. })), "{unknown:?}");
    }
    let mut ids: Vec<String> = world.jobs().iter().rev().skip(1).take(2).map(|job| job.id.clone()).collect();
    let found = provider.look_up(job.clone(), started_at_ms).await.unwrap();
    assert_eq!(found, LookUpAnswer::Found { provider_task_ids: ids.clone(), poll_after_ms: 5_000 });
    assert_eq!(world.unmatched(), 2);
    let done = provider.poll(job.clone(), ids.remove(0), go_on()).await.unwrap();
    assert!(matches!(done, PollAnswer::Finished { .. }), "{done:?}");
    assert_eq!(world.unmatched(), 1);

    let gone = settings(&emulator);
    drop(emulator);
    // Not `NotNow`: that the list can't be had says nothing about the clip.
    let unread = OpenAi::new(gone, false).unwrap().look_up(job, started_at_ms).await;
    assert!(matches!(unread, Err(ProviderError::Ambiguous { .. })), "{unread:?}");
}

#[tokio::test]
async fn a_clip_is_found_behind_a_hundred_newer_ones() {
    let (emulator, provider) = start().await;
    let job = video_job(SMALL, 4);
    let id = accepted(&provider, &job).await;
    let other = Job { prompt: "a blue fox".to_owned(), ..job.clone() };
    for _ in 0..120 {
        accepted(&provider, &other).await;
    }
    let made_s = emulator.world().job(&id).unwrap().input["created_at"].as_i64().unwrap();
    emulator.world().forget_seen();
    let found = provider.look_up(job, made_s * 1000).await.unwrap();
    assert_eq!(found, LookUpAnswer::Found { provider_task_ids: vec![id], poll_after_ms: 5_000 });
    assert_eq!(emulator.world().seen().len(), 2);
}

#[tokio::test]
async fn of_several_clips_one_may_be_lost_and_one_refused() {
    let (emulator, provider) = start().await;
    let job = Job { count: 3, ..video_job(SMALL, 4) };
    emulator.world().fault(Fault::Lost);
    let body = json!({"error": {"message": "No.", "code": "moderation_blocked"}});
    emulator.world().fault(Fault::Answer { status: 400, headers: Vec::new(), body });
    let units = units(&provider, &job).await.unwrap();
    assert!(matches!(units[0], Unit::Lost { .. }));
    let refused = |unit: &Unit| matches!(unit, Unit::Refused { error: TaskError::ContentRejected, .. });
    let delivered = |unit: &Unit| matches!(unit, Unit::Delivered(_));
    assert_eq!(units[1..].iter().filter(|unit| refused(unit)).count(), 1);
    assert_eq!(units[1..].iter().filter(|unit| delivered(unit)).count(), 1);
}

#[tokio::test]
async fn a_poll_that_fails_goes_on_and_so_does_an_unknown_job() {
    let (emulator, provider) = start().await;
    let job = video_job(SMALL, 4);
    let id = accepted(&provider, &job).await;
    let mut keyless = settings(&emulator);
    keyless.api_key = rynjer_providers::upstream::ApiKey::new("");
    let refused = OpenAi::new(keyless, false).unwrap().poll(job.clone(), id.clone(), go_on()).await;
    assert!(matches!(refused, Err(ProviderError::NotNow { .. })), "{refused:?}");
    let unknown = provider.poll(job.clone(), "video_x".to_owned(), go_on()).await;
    assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
    drop(emulator);
    let gone = provider.poll(job, id, go_on()).await;
    assert!(matches!(gone, Err(ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })), "{gone:?}");
}

#[tokio::test]
async fn the_key_goes_to_the_files_of_clips_and_nowhere_else() {
    let (emulator, provider) = start().await;
    let job = video_job(SMALL, 4);
    let made = units(&provider, &job).await.unwrap();
    assert!(!file(&provider, &made[0]).await.is_empty());
    let Unit::Delivered(OutputSource::Url(url)) = &made[0] else { panic!("{made:?}") };
    let limits = FetchLimits { max_bytes: 1 << 20, max_pixels: 1 << 20 };
    assert!(fetch(&provider, url.clone(), FetchLimits { max_bytes: 10, ..limits }).await.is_err());
    assert!(fetch(&provider, url.replace("content", "nothing"), limits).await.is_err());

    // Another server at another port is a stranger: it gets no key, and is not even asked on loopback.
    let stranger = Emulator::start(Vendor::OpenAi).await.unwrap();
    let moved = url.replace(emulator.world().origin(), stranger.world().origin());
    assert!(fetch(&provider, moved, limits).await.is_err());
    assert_eq!(stranger.world().seen().len(), 0);
}

#[tokio::test]
async fn a_file_that_is_elsewhere_is_fetched_there_without_the_key() {
    let (stranger, _) = start().await;
    let place = stranger.world().file("clip.mp4", rynjer_emulator::clip(160, 90, 500));
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", relay.local_addr().unwrap());
    let mut known = settings(&stranger);
    known.allow_hosts = vec![stranger.address().to_string()];
    known.base_url = base_url.parse().unwrap();
    let provider = OpenAi::new(known, false).unwrap();
    let answered = async {
        let (mut stream, _) = relay.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    };
    let limits = FetchLimits { max_bytes: 1 << 20, max_pixels: 1 << 20 };
    let fetched = fetch(&provider, format!("{base_url}/videos/v1/content?variant=video"), limits);
    let (head, file) = tokio::join!(answered, fetched);
    assert!(head.contains(&format!("Bearer {KEY}")), "{head}");
    assert_eq!(file.unwrap(), rynjer_emulator::clip(160, 90, 500));
}

#[tokio::test]
async fn nothing_can_be_taken_back() {
    let (_emulator, provider) = start().await;
    let canceled = provider.cancel(SMALL.to_owned(), Some("video_1".to_owned())).await.unwrap();
    assert_eq!(canceled, CancelAnswer::NotFree);
}
