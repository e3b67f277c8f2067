//! OpenAI's images: what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway, clips (`openai_videos`).

use crate::support::{KEY, errors, go_on, image_job, input, media, settings, trouble, units};
use data_encoding::BASE64;
use rynjer_emulator::{Emulator, Expected, Fault, Seen, Vendor};
use rynjer_providers::{
    Ambiguity, Job, OutputSource, PollAnswer, Provider, ProviderError, SubmitAnswer, TaskError, Unit,
    openai::OpenAi,
};
use serde_json::json;

async fn start() -> (Emulator, OpenAi) {
    let emulator = Emulator::start(Vendor::OpenAi).await.unwrap();
    let provider = OpenAi::new(settings(&emulator), false).unwrap();
    (emulator, provider)
}

/// The text of a form's field, and whether it comes once.
pub(crate) fn form_field(seen: &Seen, name: &str) -> Option<String> {
    let text = seen.text();
    let head = format!("; name=\"{name}\"\r\n\r\n");
    let mut parts = text.split(&head).skip(1);
    let value = parts.next()?.split("\r\n").next()?.to_owned();
    assert_eq!(parts.next(), None, "{name} comes twice");
    Some(value)
}

#[tokio::test]
async fn pictures_from_a_prompt() {
    let (emulator, provider) = start().await;
    let job = Job { width: 1536, height: 1024, ..image_job("gpt-image-2.6-flare", 2) };
    let made = media(&provider, &job).await;
    assert_eq!(made.iter().map(|m| (m.width, m.height)).collect::<Vec<_>>(), [(Some(1536), Some(1024)); 2]);
    let seen = &emulator.world().seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/images/generations"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    let expected = json!({
        "model": "gpt-image-2.6-flare", "prompt": "a red fox", "n": 2, "size": "1536x1024",
        "output_format": "png", "safety_identifier": "0123456789abcdef0123456789abcdef",
    });
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn every_size_of_the_catalog_is_one_of_the_vendor() {
    let (emulator, provider) = start().await;
    let table = [
        (1024, 1024, "1024x1024"),
        (1024, 1536, "1024x1536"),
        (1952, 1024, "1952x1024"),
        (1200, 628, "1200x624"),
        (1200, 627, "1200x624"),
        (1080, 1080, "1088x1088"),
        (1280, 720, "1280x720"),
    ];
    for (width, height, size) in table {
        emulator.world().forget_seen();
        let made = media(&provider, &Job { width, height, ..image_job("gpt-image-2.6-flare", 1) }).await;
        assert_eq!(emulator.world().seen()[0].json()["size"], size);
        assert_eq!(format!("{}x{}", made[0].width.unwrap(), made[0].height.unwrap()), size);
    }
    let wide = Job { width: 4096, height: 1024, ..image_job("gpt-image-2.6-flare", 1) };
    assert_eq!(trouble(&provider, &wide).await, Expected::Refused("provider_failed"));
}

#[tokio::test]
async fn pictures_from_pictures() {
    let (emulator, provider) = start().await;
    let job = Job { input_images: vec![input(64, 64), input(96, 64)], ..image_job("gpt-image-2", 2) };
    assert_eq!(media(&provider, &job).await.len(), 2);
    let seen = &emulator.world().seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/images/edits"));
    assert!(seen.header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
    let expected = [
        ("model", Some("gpt-image-2")),
        ("prompt", Some("a red fox")),
        ("n", Some("2")),
        ("size", Some("1024x1024")),
        ("output_format", Some("png")),
        ("safety_identifier", Some("0123456789abcdef0123456789abcdef")),
        ("response_format", None),
        ("moderation", None),
    ];
    for (name, value) in expected {
        assert_eq!(form_field(seen, name).as_deref(), value, "{name}");
    }
    let file = |index| {
        format!("name=\"image[]\"; filename=\"input-{index}.png\"\r\nContent-Type: image/png\r\n\r\n")
    };
    let text = seen.text();
    assert!(text.find(&file(0)).unwrap() < text.find(&file(1)).unwrap());
    assert_eq!(emulator.world().jobs()[0].input["images"], 2);

    emulator.world().forget_seen();
    let one = Job { input_images: vec![input(64, 64)], ..image_job("gpt-image-2", 1) };
    assert_eq!(media(&provider, &one).await.len(), 1);
    let text = emulator.world().seen()[0].text();
    assert_eq!(text.matches("name=\"image\"; filename=\"input-0.png\"").count(), 1);
}

#[tokio::test]
async fn of_an_odd_answer_each_picture_counts_for_itself() {
    let (emulator, provider) = start().await;
    let picture = BASE64.encode(&rynjer_emulator::picture(64, 64));
    let data = json!([{"b64_json": picture}, {"b64_json": "!"}, {"b64_json": null}]);
    let body = json!({"created": 1, "data": data});
    emulator.world().fault(Fault::Answer { status: 200, headers: Vec::new(), body: body.clone() });
    let made = units(&provider, &image_job("gpt-image-2", 4)).await.unwrap();
    let [Unit::Delivered(OutputSource::Bytes(_)), Unit::Lost { .. }, third, last] = made.as_slice() else {
        panic!("{made:?}")
    };
    for unit in [third, last] {
        assert!(matches!(unit, Unit::Refused { error: TaskError::ContentRejected, .. }));
    }
    emulator.world().fault(Fault::Answer { status: 200, headers: Vec::new(), body });
    assert_eq!(units(&provider, &image_job("gpt-image-2", 1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_error_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::OpenAi, &emulator, &provider, &image_job("gpt-image-2", 1)).await;
}

#[tokio::test]
async fn the_wait_of_a_rate_limit_is_kept() {
    let (emulator, provider) = start().await;
    let headers = vec![("retry-after-ms".to_owned(), "250".to_owned())];
    let body = json!({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}});
    emulator.world().fault(Fault::Answer { status: 429, headers, body });
    let refused = provider.submit(image_job("gpt-image-2", 1), go_on()).await;
    let Err(ProviderError::NotNow { retry_after_ms: Some(250), .. }) = refused else { panic!("{refused:?}") };
}

#[tokio::test]
async fn a_lost_answer_is_in_doubt_and_one_that_never_left_is_not() {
    let (emulator, provider) = start().await;
    let job = image_job("gpt-image-2", 1);
    assert_eq!(provider.ambiguity(&job.vendor_model), Ambiguity::Neither);
    for fault in [Fault::Lost, Fault::Cut] {
        emulator.world().fault(fault);
        assert_eq!(trouble(&provider, &job).await, Expected::Unknown);
    }
    assert_eq!(emulator.world().unmatched(), 2);
    let gone = settings(&emulator);
    drop(emulator);
    let provider = OpenAi::new(gone, false).unwrap();
    assert_eq!(trouble(&provider, &job).await, Expected::NotNow);
}

#[tokio::test]
async fn a_server_that_knows_keys_gets_one() {
    let (emulator, _) = start().await;
    let provider = OpenAi::new(settings(&emulator), true).unwrap();
    let job = image_job("gpt-image-2", 1);
    assert_eq!(provider.ambiguity(&job.vendor_model), Ambiguity::Key);
    assert_eq!(media(&provider, &job).await.len(), 1);
    assert_eq!(emulator.world().seen()[0].header("idempotency-key"), Some("att_1"));
}

#[tokio::test]
async fn a_picture_leaves_no_job() {
    let (_emulator, provider) = start().await;
    let job = image_job("gpt-image-2", 1);
    let answer = provider.submit(job.clone(), go_on()).await.unwrap();
    assert!(matches!(answer, SubmitAnswer::Finished { provider_task_id: None, cost: None, .. }));
    let asked: Result<PollAnswer, _> = provider.poll(job, "x".to_owned(), go_on()).await;
    assert!(matches!(asked, Err(ProviderError::Refused { error: TaskError::ProviderFailed, .. })));
}
