//! OpenAI's images: what is sent, what comes back, what each error means.
//!
//! Invariant: as `main`. Not here: the gateway.

use crate::support::{KEY, errors, image_job, input, media, settings, trouble};
use rynjer_emulator::{Emulator, Expected, Fault, Vendor};
use rynjer_providers::{Job, openai::OpenAi};
use serde_json::json;

async fn start() -> (Emulator, OpenAi) {
    let emulator = Emulator::start(Vendor::OpenAi).await.unwrap();
    let provider = OpenAi::new(settings(&emulator), false).unwrap();
    (emulator, provider)
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
async fn pictures_from_pictures() {
    let (emulator, provider) = start().await;
    let job = Job { input_images: vec![input(64, 64), input(96, 64)], ..image_job("gpt-image-2", 1) };
    assert_eq!(media(&provider, &job).await.len(), 1);
    let seen = &emulator.world().seen()[0];
    assert_eq!(seen.path, "/v1/images/edits");
    assert_eq!(seen.text().matches("name=\"image[]\"; filename=\"input-").count(), 2);
}

#[tokio::test]
async fn each_error_is_understood() {
    let (emulator, provider) = start().await;
    errors(Vendor::OpenAi, &emulator, &provider, &image_job("gpt-image-2", 1)).await;
}

#[tokio::test]
async fn a_lost_answer_is_in_doubt_and_one_that_never_left_is_not() {
    let (emulator, provider) = start().await;
    let job = image_job("gpt-image-2", 1);
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
