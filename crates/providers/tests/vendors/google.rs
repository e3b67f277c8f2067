//! Google's pictures, interactions and Veo: what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{
    KEY, errors, fetch, file, go_on, image_job, input, media, settings, trouble, units, video_job,
};
use data_encoding::BASE64;
use rynjer_emulator::{
    Emulator, ErrorCase, Expected, Fault, Seen, Vendor, google_interaction_errors, google_service_account,
    google_veo_errors,
};
use rynjer_providers::{
    Ambiguity, Callback, CallbackError, CancelAnswer, Job, PollAnswer, Provider, ProviderError, SubmitAnswer,
    Unit,
    google::{CloudSettings, Google},
    guarded::FetchLimits,
    media::Media,
    upstream::ApiKey,
};
use serde_json::{Value, json};

const OMNI: &str = "omni-seeded:gemini-omni-1.2-flash";
const VEO: &str = "veo:veo-3.1-generate-001";
const LIMITS: FetchLimits = FetchLimits { max_bytes: 1 << 26, max_pixels: 1 << 26 };

async fn start() -> (Emulator, Google) {
    let emulator = Emulator::start(Vendor::Google).await.unwrap();
    let provider = Google::new(settings(&emulator), Some(cloud(&emulator))).unwrap();
    (emulator, provider)
}

fn cloud(emulator: &Emulator) -> CloudSettings {
    CloudSettings {
        credentials_json: ApiKey::new(&google_service_account(emulator.world().origin())),
        project: None,
        location: "us-central1".to_owned(),
        base_url: Some(emulator.world().origin().parse().unwrap()),
        token_url: None,
    }
}

fn shapes(made: &[Media]) -> Vec<(u32, u32)> {
    made.iter().map(|media| (media.width.unwrap(), media.height.unwrap())).collect()
}

fn seen(emulator: &Emulator, path: &str) -> Vec<Seen> {
    emulator.world().seen().into_iter().filter(|seen| seen.path.ends_with(path)).collect()
}

/// The id of a job that was accepted.
async fn accepted(provider: &Google, job: &Job) -> String {
    match provider.submit(job.clone(), go_on()).await.unwrap() {
        SubmitAnswer::Accepted { provider_task_id, poll_after_ms: 5_000 } => provider_task_id,
        other => panic!("{other:?}"),
    }
}

fn letters(units: &[Unit]) -> String {
    let letter = |unit: &Unit| match unit {
        Unit::Delivered(_) => 'd',
        Unit::Refused { .. } => 'r',
        Unit::Lost { .. } => 'l',
    };
    units.iter().map(letter).collect()
}

fn picture_body(size: &str, ratio: &str, parts: &Value) -> Value {
    json!({
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {
            "responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": ratio, "imageSize": size},
            "seed": 5,
        },
    })
}

#[tokio::test]
async fn pictures_from_a_prompt() {
    let (emulator, provider) = start().await;
    for (model, size) in
        [("gemini-3.1-flash-image", "1K"), ("gemini-3-pro-image", "4K"), ("gemini-nano-banana-2.1", "2K")]
    {
        emulator.world().forget_seen();
        let shape = (Some("16:9".to_owned()), Some(size.to_owned()));
        let job = Job { aspect_ratio: shape.0, resolution: shape.1, ..image_job(model, 1) };
        assert_eq!(shapes(&media(&provider, &job).await), [(1366, 768)]);
        let [seen] = emulator.world().seen().try_into().unwrap();
        let path = format!("/v1beta/models/{model}:generateContent");
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str(), seen.query.as_str()),
            ("POST", path.as_str(), "")
        );
        assert_eq!((seen.header("x-goog-api-key"), seen.header("authorization")), (Some(KEY), None));
        assert_eq!(seen.json(), picture_body(size, "16:9", &json!([{"text": "a red fox"}])));
    }
}

#[tokio::test]
async fn pictures_from_pictures() {
    let (emulator, provider) = start().await;
    let inputs = vec![input(64, 64), input(96, 64)];
    let job = Job { input_images: inputs.clone(), ..image_job("gemini-3-pro-image", 1) };
    assert_eq!(shapes(&media(&provider, &job).await), [(1024, 1024)]);
    let inline = |index: usize| {
        let data = BASE64.encode(&inputs[index].bytes);
        json!({"inlineData": {"mimeType": "image/png", "data": data}})
    };
    let parts = json!([{"text": "a red fox"}, inline(0), inline(1)]);
    assert_eq!(emulator.world().seen()[0].json(), picture_body("1K", "1:1", &parts));
}

#[tokio::test]
async fn several_pictures_are_several_calls() {
    let (emulator, provider) = start().await;
    let job = image_job("gemini-3.1-flash-image", 4);
    assert_eq!(media(&provider, &job).await.len(), 4);
    assert_eq!(emulator.world().seen().len(), 4);
    emulator.world().fault(Fault::Lost);
    emulator.world().fault(Fault::End(json!({"promptFeedback": {"blockReason": "SAFETY"}})));
    let made = units(&provider, &job).await.unwrap();
    let mut kinds: Vec<char> = letters(&made).chars().collect();
    assert_eq!(kinds[0], 'l');
    kinds.sort_unstable();
    assert_eq!(kinds, ['d', 'd', 'l', 'r']);
}

#[tokio::test]
async fn each_error_of_a_picture_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::Google, &emulator, &provider, &image_job("gemini-3-pro-image", 1)).await;
}

async fn table(cases: Vec<ErrorCase>, job: &Job) {
    let (emulator, provider) = start().await;
    for ErrorCase { name, fault, expected } in cases {
        emulator.world().fault(fault);
        assert_eq!(trouble(&provider, job).await, expected, "{name}");
    }
}

#[tokio::test]
async fn each_error_of_a_clip_is_understood() {
    table(google_interaction_errors(), &video_job(OMNI, 4)).await;
    table(google_veo_errors(), &video_job(VEO, 4)).await;
}

#[tokio::test]
async fn a_wait_is_taken_from_the_body() {
    let (emulator, provider) = start().await;
    let body = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow down.",
        "details": [{"retryDelay": "38.25s"}]}});
    emulator.world().fault(Fault::Answer { status: 429, headers: Vec::new(), body });
    let answer = provider.submit(image_job("gemini-3-pro-image", 1), go_on()).await;
    let Err(ProviderError::NotNow { retry_after_ms, message }) = answer else { panic!("{answer:?}") };
    assert_eq!((retry_after_ms, message.as_str()), (Some(38_250), "Slow down."));
}

#[tokio::test]
async fn clips_from_a_prompt() {
    let (emulator, provider) = start().await;
    emulator.world().polls(2);
    let made = media(&provider, &Job { seed: 0xffff_ffff_ffff, ..video_job(OMNI, 8) }).await;
    assert_eq!((shapes(&made), made[0].mime), (vec![(166, 92)], "video/mp4"));
    let seen = emulator.world().seen();
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let interaction = "/v1beta/interactions/v1_1";
    assert_eq!(
        paths,
        [
            "/v1beta/interactions",
            interaction,
            interaction,
            interaction,
            "/v1beta/files/clip1",
            "/v1beta/files/clip1:download"
        ]
    );
    assert_eq!((seen[5].query.as_str(), seen[5].header("x-goog-api-key")), ("alt=media", Some(KEY)));
    let expected = json!({
        "model": "gemini-omni-1.2-flash", "input": [{"type": "text", "text": "a red fox"}],
        "background": true,
        "response_format": {"type": "video", "delivery": "uri", "aspect_ratio": "16:9",
            "resolution": "720p", "duration": "8s"},
        "generation_config": {"seed": 2_147_483_647, "video_config": {"task": "text_to_video"}},
    });
    assert_eq!(seen[0].json(), expected);
}

#[tokio::test]
async fn clips_from_a_picture() {
    let (emulator, provider) = start().await;
    let shape = (Some("9:16".to_owned()), Some("1080p".to_owned()));
    let job = Job {
        input_images: vec![input(64, 64)],
        aspect_ratio: shape.0,
        resolution: shape.1,
        ..video_job("omni:gemini-omni-1.1-flash", 4)
    };
    assert_eq!(shapes(&media(&provider, &job).await), [(92, 166)]);
    let data = BASE64.encode(&job.input_images[0].bytes);
    let expected = json!({
        "model": "gemini-omni-1.1-flash", "background": true,
        "input": [{"type": "image", "data": data, "mime_type": "image/png"},
            {"type": "text", "text": "a red fox"}],
        "response_format": {"type": "video", "delivery": "uri", "aspect_ratio": "9:16",
            "resolution": "1080p", "duration": "4s"},
        "generation_config": {"video_config": {"task": "image_to_video"}},
    });
    assert_eq!(emulator.world().seen()[0].json(), expected);
}

#[tokio::test]
async fn a_file_that_is_at_work_is_waited_for() {
    let (emulator, provider) = start().await;
    let job = video_job(OMNI, 4);
    let id = accepted(&provider, &job).await;
    let say =
        |state: &str| emulator.world().change(&id, |job| job.input["file_state"] = json!(state)).unwrap();
    let ask = || provider.poll(job.clone(), id.clone(), go_on());
    say("PROCESSING");
    assert!(matches!(ask().await, Ok(PollAnswer::Pending { .. })));
    say("FAILED");
    let Ok(PollAnswer::Finished { units, .. }) = ask().await else { panic!() };
    assert_eq!(letters(&units), "l");
    say("ACTIVE");
    let Ok(PollAnswer::Finished { units, .. }) = ask().await else { panic!() };
    assert_eq!(letters(&units), "d");
}

#[tokio::test]
async fn veo_is_asked_with_a_token() {
    let (emulator, provider) = start().await;
    assert!(provider.has_cloud());
    emulator.world().polls(1);
    let job = Job { negative_prompt: Some("rain".to_owned()), ..video_job(VEO, 6) };
    assert_eq!(shapes(&media(&provider, &job).await), [(166, 92)]);
    let models = "/v1beta1/projects/stand-in/locations/us-central1/publishers/google/models";
    let [made] = seen(&emulator, ":predictLongRunning").try_into().unwrap();
    assert_eq!(made.path, format!("{models}/veo-3.1-generate-001:predictLongRunning"));
    let token = made.header("authorization").unwrap();
    assert!(token.starts_with("Bearer ya29.stand-in-") && made.header("x-goog-api-key").is_none());
    let expected = json!({
        "instances": [{"prompt": "a red fox"}],
        "parameters": {"sampleCount": 1, "durationSeconds": 6, "aspectRatio": "16:9", "resolution": "720p",
            "generateAudio": true, "seed": 5, "negativePrompt": "rain"},
    });
    assert_eq!(made.json(), expected);
    let asked = seen(&emulator, ":fetchPredictOperation");
    let name = &emulator.world().jobs()[0].id;
    assert_eq!((asked.len(), asked[0].json()), (2, json!({"operationName": name})));
    assert_eq!(seen(&emulator, "/token").len(), 1);
}

#[tokio::test]
async fn veo_is_asked_for_where_it_was_made() {
    let (emulator, provider) = start().await;
    let job = video_job(VEO, 4);
    let id = accepted(&provider, &job).await;
    let elsewhere = CloudSettings { location: "global".to_owned(), ..cloud(&emulator) };
    let moved = Google::new(settings(&emulator), Some(elsewhere)).unwrap();
    let Ok(PollAnswer::Finished { units, .. }) = moved.poll(job, id, go_on()).await else { panic!() };
    assert_eq!(letters(&units), "d");
}

#[tokio::test]
async fn veo_from_a_picture() {
    let (emulator, provider) = start().await;
    let job = Job { input_images: vec![input(64, 64)], ..video_job("veo:veo-3.1-fast-generate-001", 4) };
    assert_eq!(media(&provider, &job).await.len(), 1);
    let data = BASE64.encode(&job.input_images[0].bytes);
    let image = json!({"bytesBase64Encoded": data, "mimeType": "image/png"});
    let [made] = seen(&emulator, ":predictLongRunning").try_into().unwrap();
    assert_eq!(made.json()["instances"], json!([{"prompt": "a red fox", "image": image}]));
}

#[tokio::test]
async fn a_token_is_bought_anew_when_it_ends_or_is_taken_back() {
    let (emulator, provider) = start().await;
    let job = video_job(VEO, 4);
    let later = |minutes: i64| Job { now_ms: job.now_ms + minutes * 60_000, ..job.clone() };
    accepted(&provider, &job).await;
    accepted(&provider, &later(57)).await;
    assert_eq!(seen(&emulator, "/token").len(), 1);
    accepted(&provider, &later(58)).await;
    assert_eq!(seen(&emulator, "/token").len(), 2);
    emulator.world().fault(Fault::Answer { status: 401, headers: Vec::new(), body: json!({}) });
    accepted(&provider, &later(59)).await;
    assert_eq!((seen(&emulator, "/token").len(), emulator.world().jobs().len()), (3, 4));
}

#[tokio::test]
async fn veo_without_good_credentials_is_unusable() {
    let (emulator, _) = start().await;
    let provider = Google::new(settings(&emulator), None).unwrap();
    assert!(!provider.has_cloud());
    assert_eq!(trouble(&provider, &video_job(VEO, 4)).await, Expected::Unusable);
    assert_eq!(trouble(&provider, &video_job("lyria:x", 4)).await, Expected::Unusable);
    let with = |json: String| {
        let cloud = CloudSettings { credentials_json: ApiKey::new(&json), ..cloud(&emulator) };
        Google::new(settings(&emulator), Some(cloud))
    };
    let account = google_service_account(emulator.world().origin());
    let stranger = with(account.replace("stand-in@", "somebody@")).unwrap();
    assert_eq!(trouble(&stranger, &video_job(VEO, 4)).await, Expected::Unusable);
    let refused = |json: String| with(json).err().unwrap().to_string();
    let start = "the cloud platform's settings can't be used: ";
    let broken = account.replace("PRIVATE KEY", "SECRET");
    assert_eq!(refused(broken), format!("{start}the private key of the credentials can't be read"));
    assert_eq!(refused("{}".to_owned()), format!("{start}the credentials are no service account's JSON"));
}

#[tokio::test]
async fn a_lost_answer_is_in_doubt_and_one_that_never_left_is_not() {
    let (emulator, provider) = start().await;
    for job in [image_job("gemini-3-pro-image", 1), video_job(OMNI, 4), video_job(VEO, 4)] {
        assert_eq!(provider.ambiguity(&job.vendor_model), Ambiguity::Neither);
        for fault in [Fault::Lost, Fault::Cut] {
            emulator.world().fault(fault);
            assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
        }
        let body = json!({"neither": "this nor that"});
        emulator.world().fault(Fault::Answer { status: 200, headers: Vec::new(), body });
        assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
    }
    assert_eq!(emulator.world().unmatched(), 6);
    let gone = (settings(&emulator), cloud(&emulator));
    drop(emulator);
    let provider = Google::new(gone.0, Some(gone.1)).unwrap();
    for job in [image_job("gemini-3-pro-image", 1), video_job(OMNI, 4), video_job(VEO, 4)] {
        assert_eq!(trouble(&provider, &job).await, Expected::NotNow);
    }
}

#[tokio::test]
async fn polls() {
    let (emulator, provider) = start().await;
    for (job, stranger) in [(video_job(OMNI, 4), "v1_none"), (video_job(VEO, 4), "operations/none")] {
        let id = accepted(&provider, &job).await;
        let unknown = provider.poll(job.clone(), stranger.to_owned(), go_on()).await;
        assert!(matches!(unknown, Err(ProviderError::NotNow { .. })), "{unknown:?}");
        let free = provider.cancel(job.vendor_model.clone(), Some(id)).await.unwrap();
        assert_eq!(free, CancelAnswer::NotFree);
    }
    let keyless = Google::new(
        rynjer_providers::upstream::VendorSettings { api_key: ApiKey::new(""), ..settings(&emulator) },
        None,
    );
    let (keyless, job) = (keyless.unwrap(), video_job(OMNI, 4));
    assert_eq!(trouble(&keyless, &job).await, Expected::Unusable);
    for job in [job, video_job(VEO, 4)] {
        let wrong = keyless.poll(job, "v1_1".to_owned(), go_on()).await;
        assert!(matches!(wrong, Err(ProviderError::NotNow { .. })), "{wrong:?}");
    }
    let gone = settings(&emulator);
    drop(emulator);
    let provider = Google::new(gone, None).unwrap();
    let answer = provider.poll(video_job(OMNI, 4), "v1_1".to_owned(), go_on()).await;
    assert!(matches!(answer, Err(ProviderError::NotNow { .. } | ProviderError::Ambiguous { .. })));
}

#[tokio::test]
async fn several_clips_are_one_job() {
    let (emulator, provider) = start().await;
    emulator.world().fault(Fault::Lost);
    let job = Job { count: 3, ..video_job(OMNI, 4) };
    assert_eq!(accepted(&provider, &job).await, "-outcome_unknown,v1_2,v1_3");
    let job = Job { count: 2, ..video_job(VEO, 4) };
    let made = units(&provider, &job).await.unwrap();
    assert_eq!(letters(&made), "dd");
    assert_eq!(file(&provider, &made[0]).await, file(&provider, &made[1]).await);
}

#[tokio::test]
async fn the_key_goes_to_no_other_host() {
    let (emulator, provider) = start().await;
    let other = Emulator::start(Vendor::Google).await.unwrap();
    drop(other.world().file("x", bytes::Bytes::from_static(b"x")));
    let url = format!("{}/v1beta/files/x:download?alt=media", other.world().origin());
    assert!(fetch(&provider, url, LIMITS).await.is_err());
    assert_eq!(other.world().seen().len(), 0);
    let url = format!("{}/v1beta/files/none:download?alt=media", emulator.world().origin());
    assert!(fetch(&provider, url, LIMITS).await.is_err());
}

#[tokio::test]
async fn callbacks_are_not_listened_to() {
    let (_emulator, provider) = start().await;
    let body = bytes::Bytes::from_static(b"{\"id\": \"v1_1\"}");
    let callback = Callback { headers: Vec::new(), body, now_s: 1_770_000_000 };
    assert_eq!(provider.hear(callback).await, Err(CallbackError::Forged));
}
